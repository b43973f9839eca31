//! Alibaba's temporary store for files.

use std::sync::Mutex;

use image::ImageFormat;
use polysight::qwen_vl::{QwenVl, QwenVlSettings};
use polysight::{ErrorKind, Image, MediaSource, Transport};
use polysight_testkit::{MockServer, Reply, Wire, bulky_png, picture};

const TICKET: &str = r#"{"request_id":"r-1","data":{"policy":"cG9saWN5","signature":"c2ln","upload_dir":"dashscope-instant/h/2026-11-21/u",
    "upload_host":"{host}","expire_in_seconds":300,"max_file_size_mb":1,"capacity_limit_mb":9,"oss_access_key_id":"id-1",
    "x_oss_object_acl":"private","x_oss_forbid_overwrite":"true"}}"#;

/// A server that answers each request with the next of these, its own address in place of `{host}`.
async fn serve<const N: usize>(replies: [(u16, &'static str); N]) -> MockServer {
    let replies = Mutex::new(replies.into_iter());
    MockServer::with_handler(move |request| {
        let (status, body) = replies.lock().unwrap().next().unwrap();
        let host = format!("http://{}", request.header("host").unwrap());
        Reply::json(status, body.replace("{host}", &host))
    })
    .await
}

fn provider(host: &str) -> QwenVl {
    let transport = Transport::builder().header("x-own-secret", "canary").build().unwrap();
    let options = Wire::QwenVl.options(host, transport);
    QwenVl::new(options, &QwenVlSettings::new().with_workspace("ws-1")).unwrap()
}

fn png() -> Image {
    Image::from_bytes(picture(ImageFormat::Png, 16, 16)).unwrap()
}

#[tokio::test]
async fn a_file_goes_to_the_store_as_a_form_and_the_key_does_not() {
    let server = serve([(200, TICKET), (200, "")]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cat 1.png");
    let bytes = bulky_png(200_000);
    std::fs::write(&path, &bytes).unwrap();
    let image = Image::from_file(&path).unwrap();

    let url = provider(&server.url("")).upload("qwen3-vl-plus", image.source()).await.unwrap();
    assert_eq!(url.as_str(), "oss://dashscope-instant/h/2026-11-21/u/cat_1.png");

    let arrived = server.requests();
    assert_eq!(arrived[0].line(), "GET /api/v1/uploads?action=getPolicy&model=qwen3-vl-plus HTTP/1.1");
    assert_eq!(arrived[0].header("authorization"), Some("Bearer sk-canary0123456789"));
    assert_eq!(arrived[0].header("x-dashscope-workspace"), Some("ws-1"));
    let form = &arrived[1];
    assert!(form.line().starts_with("POST / "), "{}", form.line());
    for absent in ["authorization", "x-own-secret", "x-dashscope-workspace", "transfer-encoding"] {
        assert!(form.header(absent).is_none(), "{absent}");
    }
    let boundary =
        form.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let text = String::from_utf8_lossy(&form.body);
    let names: Vec<&str> =
        text.split("form-data; name=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let expected = [
        "OSSAccessKeyId",
        "Signature",
        "policy",
        "key",
        "x-oss-object-acl",
        "x-oss-forbid-overwrite",
        "success_action_status",
        "x-oss-content-type",
        "file",
    ];
    assert_eq!(names, expected);
    assert!(text.contains("\r\n\r\ndashscope-instant/h/2026-11-21/u/cat_1.png\r\n"));
    assert!(text.contains("filename=\"cat_1.png\"\r\nContent-Type: image/png\r\n\r\n"));
    let end = format!("\r\n--{boundary}--\r\n");
    let sent = form.body.strip_suffix(end.as_bytes()).unwrap();
    assert!(sent.ends_with(&bytes), "the file as it is");
}

#[tokio::test]
async fn base64_and_bytes_are_uploaded_as_what_they_encode() {
    let decoded = {
        let server = serve([(200, TICKET), (204, "")]).await;
        let url = provider(&server.url("")).upload("qwen3-vl-plus", png().source()).await.unwrap();
        assert!(url.path().ends_with("/media.png"));
        server.requests().remove(1).body
    };
    assert!(decoded.windows(4).any(|window| window == b"\x89PNG"));
    assert!(decoded.windows(4).any(|window| window == b"IEND"));
}

#[tokio::test]
async fn refusals_of_the_store_and_of_the_vendor_become_errors() {
    let denied =
        "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Policy expired.</Message></Error>";
    let server = serve([(200, TICKET), (403, denied)]).await;
    let error = provider(&server.url("")).upload("m", png().source()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.status()),
        (ErrorKind::Permission, Some("AccessDenied"), Some(403))
    );
    assert_eq!(error.vendor_message(), Some("Policy expired."));
    assert_eq!(error.provider(), Some("qwen-vl"));

    let refused = r#"{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"r-1"}"#;
    let server = serve([(401, refused)]).await;
    let error = provider(&server.url("")).upload("m", png().source()).await.unwrap_err();
    assert_eq!((error.kind(), error.request_id()), (ErrorKind::Authentication, Some("r-1")));

    let server = serve([(200, r#"{"data":{}}"#)]).await;
    let error = provider(&server.url("")).upload("m", png().source()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn the_ticket_is_shown_in_no_error() {
    let ticket = TICKET
        .replace("cG9saWN5", "eyJjYW5hcnkiOiJwb2xpY3kifQ")
        .replace("c2ln", "canary/signature+01ab")
        .replace("id-1", "LTAI-canary0123456789");
    let ticket: &'static str = Box::leak(ticket.into_boxed_str());
    for echo in [
        "eyJjYW5hcnkiOiJwb2xpY3kifQ",
        "canary/signature+01ab",
        "canary%2Fsignature%2B01ab",
        r"canary\/signature+01ab",
        "LTAI-canary0123456789",
        "LTAI-canary\n0123456789",
    ] {
        let body = format!("<Error><Code>{echo}</Code><Message>no {echo}, sorry</Message></Error>");
        let server = serve([(200, ticket), (403, Box::leak(body.into_boxed_str()))]).await;
        let error = provider(&server.url("")).upload("m", png().source()).await.unwrap_err();
        assert_eq!((error.code(), error.vendor_message()), (Some(".."), Some("no .., sorry")), "{echo}");
    }
}

#[tokio::test]
async fn a_file_over_the_tickets_limit_is_not_sent() {
    let server = serve([(200, TICKET)]).await;
    let large = MediaSource::Bytes(vec![0; (1 << 20) + 1].into());
    let error = provider(&server.url("")).upload("m", &large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidMedia);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn nothing_is_uploaded_where_there_is_no_store() {
    let transport = Transport::builder().build().unwrap();
    let options = Wire::QwenVl.options("http://127.0.0.1:9", transport).with_deployment("gateway");
    let gateway = QwenVl::new(options, &QwenVlSettings::new()).unwrap();
    assert_eq!(gateway.upload("m", png().source()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let url = Image::from_url("https://img.example.com/a.png").unwrap();
    let error = provider("http://127.0.0.1:9").upload("m", url.source()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}
