//! The temporary store, played by a small server on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of tests for production code; here a failure is to end the test"
)]

mod common;

use common::{JSON, options, png, serve};
use polysight_core::{ApiKey, ErrorKind, Image, MediaSource};
use polysight_qwen_vl::{QwenVl, QwenVlSettings};
use polysight_wire::{ProviderOptions, Transport};

const TICKET: &str = r#"{"request_id":"r-1","data":{"policy":"cG9saWN5","signature":"c2ln","upload_dir":"dashscope-instant/h/2026-11-21/u",
    "upload_host":"{host}","expire_in_seconds":300,"max_file_size_mb":1,"capacity_limit_mb":9,"oss_access_key_id":"id-1",
    "x_oss_object_acl":"private","x_oss_forbid_overwrite":"true"}}"#;

fn provider(host: &str) -> QwenVl {
    let transport = Transport::builder().header("x-own-secret", "canary").build().unwrap();
    let options = options()
        .with_base_url(format!("{host}/compatible-mode/v1").parse().unwrap())
        .with_transport(transport);
    QwenVl::new(options, &QwenVlSettings::new().with_workspace("ws-1")).unwrap()
}

#[tokio::test]
async fn a_file_goes_to_the_store_as_a_form_and_the_key_does_not() {
    let (host, served) = serve(vec![(200, JSON, TICKET), (200, JSON, "")]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cat 1.png");
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\0\0\0\x02\0\x08\x02\0\0\0".to_vec();
    bytes.extend((0..200_000u32).map(|n| (n % 251) as u8));
    std::fs::write(&path, &bytes).unwrap();
    let image = Image::from_file(&path).unwrap();

    let url = provider(&host).upload("qwen3-vl-plus", image.source()).await.unwrap();
    assert_eq!(url.as_str(), "oss://dashscope-instant/h/2026-11-21/u/cat_1.png");

    let arrived = served.await.unwrap();
    assert_eq!(arrived[0].start, "GET /api/v1/uploads?action=getPolicy&model=qwen3-vl-plus HTTP/1.1");
    assert_eq!(arrived[0].headers["authorization"], "Bearer sk-test");
    assert_eq!(arrived[0].headers["x-dashscope-workspace"], "ws-1");
    let form = &arrived[1];
    assert!(form.start.starts_with("POST / "), "{}", form.start);
    for absent in ["authorization", "x-own-secret", "x-dashscope-workspace", "transfer-encoding"] {
        assert!(!form.headers.contains_key(absent), "{absent}");
    }
    let boundary = form.headers["content-type"].strip_prefix("multipart/form-data; boundary=").unwrap();
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
        let (host, served) = serve(vec![(200, JSON, TICKET), (204, JSON, "")]).await;
        let url = provider(&host).upload("qwen3-vl-plus", png().source()).await.unwrap();
        assert!(url.path().ends_with("/media.png"));
        served.await.unwrap().remove(1).body
    };
    assert!(decoded.windows(4).any(|window| window == b"\x89PNG"));
    assert!(decoded.windows(4).any(|window| window == b"IEND"));
}

#[tokio::test]
async fn what_the_store_or_the_vendor_refuses_is_told() {
    let denied =
        "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Policy expired.</Message></Error>";
    let (host, _served) = serve(vec![(200, JSON, TICKET), (403, JSON, denied)]).await;
    let error = provider(&host).upload("m", png().source()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.status()),
        (ErrorKind::Permission, Some("AccessDenied"), Some(403))
    );
    assert_eq!(error.vendor_message(), Some("Policy expired."));
    assert_eq!(error.provider(), Some("qwen"));

    let refused = r#"{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"r-1"}"#;
    let (host, _served) = serve(vec![(401, JSON, refused)]).await;
    let error = provider(&host).upload("m", png().source()).await.unwrap_err();
    assert_eq!((error.kind(), error.request_id()), (ErrorKind::Authentication, Some("r-1")));

    let (host, _served) = serve(vec![(200, JSON, r#"{"data":{}}"#)]).await;
    let error = provider(&host).upload("m", png().source()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_file_over_the_tickets_limit_is_not_sent() {
    let (host, served) = serve(vec![(200, JSON, TICKET)]).await;
    let large = MediaSource::Bytes(vec![0; (1 << 20) + 1].into());
    let error = provider(&host).upload("m", &large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidMedia);
    assert_eq!(served.await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_uploaded_where_there_is_no_store() {
    let key = ApiKey::new("sk-test").unwrap();
    let gateway = ProviderOptions::new("g").with_api_key(key).with_deployment("gateway");
    let gateway = gateway.with_base_url("http://127.0.0.1:9/v1".parse().unwrap());
    let gateway = QwenVl::new(gateway, &QwenVlSettings::new()).unwrap();
    assert_eq!(gateway.upload("m", png().source()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let url = common::image("https://img.example.com/a.png");
    let error = provider("http://127.0.0.1:9").upload("m", url.source()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}
