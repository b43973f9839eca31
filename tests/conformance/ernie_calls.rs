//! Baidu's provider over a socket, with a plain key and with short-lived ones of the IAM.

use std::sync::atomic::{AtomicUsize, Ordering};

use image::ImageFormat;
use polysight::ernie::{Ernie, ErnieSettings};
use polysight::{ApiKey, ChatRequest, ErrorKind, Image, Message, ProviderOptions, Transport};
use polysight_testkit::calls::{plain, streamed};
use polysight_testkit::{MockServer, ReceivedRequest, Reply, Wire, base64, picture};

const ANSWER: &str = r#"{"id":"as-1","model":"ernie-4.5-turbo-vl","choices":[{"message":{"content":"猫"},"finish_reason":"normal","flag":0}]}"#;
const STALE: &str = r#"{"error":{"code":"invalid_iam_token","message":"IAM Certification failed","type":"invalid_request_error"},"id":"as-0"}"#;

/// The vendor names the request in a header.
fn json(status: u16, body: &str) -> Reply {
    Reply::document(status, &["Content-Type: application/json", "x-baidu-request-id: rid-1"], body)
}

fn ernie(server: &MockServer, settings: &ErnieSettings) -> Ernie {
    let options = Wire::Ernie.options(&server.url(""), Transport::builder().build().unwrap());
    Ernie::new(options, settings).unwrap()
}

fn is_for_the_iam(request: &ReceivedRequest) -> bool {
    request.line().starts_with("GET ")
}

fn with_iam(server: &MockServer) -> Ernie {
    let key = |text| ApiKey::new(text).unwrap();
    let settings =
        ErnieSettings::new().with_iam(key("ALTAK-access"), key("secret-canary")).with_iam_url(server.url(""));
    let transport = Transport::builder().header("x-proxy-secret", "canary").build().unwrap();
    let options = ProviderOptions::new("ernie")
        .with_base_url(server.url("/v2").parse().unwrap())
        .with_transport(transport);
    Ernie::new(options, &settings).unwrap()
}

fn token_of(calls: &AtomicUsize) -> Reply {
    let call = calls.fetch_add(1, Ordering::Relaxed);
    json(200, &format!(r#"{{"token":"bce-v3/short-{call}","status":"enable"}}"#))
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("?")])
}

#[tokio::test]
async fn a_call_carries_its_ids_and_its_picture() {
    let server = MockServer::with_reply(json(200, ANSWER)).await;
    let ernie = ernie(&server, &ErnieSettings::new().with_appid("app-1"));
    let png = picture(ImageFormat::Png, 16, 16);
    let request = ChatRequest::ask("图里有什么?", [Image::from_bytes(png.clone()).unwrap()]);
    let response = plain(&ernie, request).await.unwrap();
    assert_eq!((response.text.as_str(), response.request_id.as_deref()), ("猫", Some("rid-1")));
    let received = server.requests().remove(0);
    assert_eq!(received.line(), "POST /v2/chat/completions HTTP/1.1");
    assert_eq!(received.header("authorization"), Some(format!("Bearer {}", Wire::Ernie.key()).as_str()));
    assert_eq!(received.header("appid"), Some("app-1"));
    assert!(received.header("request_id").unwrap().starts_with("polysight-"));
    let body = received.json();
    let url = body["messages"][0]["content"][0]["image_url"]["url"].as_str().unwrap();
    assert_eq!(url, format!("data:image/png;base64,{}", base64(&png)));
}

#[tokio::test]
async fn a_stale_key_is_made_anew_once() {
    let calls = AtomicUsize::new(0);
    let server = MockServer::with_handler(move |request| match request.header("authorization") {
        _ if is_for_the_iam(request) => token_of(&calls),
        Some("Bearer bce-v3/short-0") => json(401, STALE),
        _ => json(200, ANSWER),
    })
    .await;
    let ernie = with_iam(&server);
    assert_eq!(plain(&ernie, ask()).await.unwrap().text, "猫");
    assert_eq!(plain(&ernie, ask()).await.unwrap().text, "猫");
    let lines: Vec<String> = server
        .requests()
        .iter()
        .map(|request| request.line().split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let token = "GET /v1/BCE-BEARER/token?expireInSeconds=1800";
    let chat = "POST /v2/chat/completions";
    assert_eq!(lines, [token, chat, token, chat, chat]);
}

#[tokio::test]
async fn headers_for_the_provider_do_not_reach_the_iam() {
    let calls = AtomicUsize::new(0);
    let server =
        MockServer::with_handler(
            move |request| {
                if is_for_the_iam(request) { token_of(&calls) } else { json(200, ANSWER) }
            },
        )
        .await;
    plain(&with_iam(&server), ask()).await.unwrap();
    let received = server.requests();
    assert_eq!(received[0].header("x-proxy-secret"), None);
    assert_eq!(received[1].header("x-proxy-secret"), Some("canary"));
    assert_eq!(received[1].header("authorization"), Some("Bearer bce-v3/short-0"));
}

#[tokio::test]
async fn a_key_that_stays_refused_is_an_error_without_secrets() {
    let calls = AtomicUsize::new(0);
    let server =
        MockServer::with_handler(
            move |request| {
                if is_for_the_iam(request) { token_of(&calls) } else { json(401, STALE) }
            },
        )
        .await;
    let error = plain(&with_iam(&server), ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Authentication, false));
    assert_eq!(server.requests().len(), 4);
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary") && !text.contains("short-"), "{text}");
}

#[tokio::test]
async fn a_stream_that_is_taken_back_is_an_error_with_what_was_shown() {
    let stream = concat!(
        "data: {\"id\":\"as-1\",\"choices\":[{\"delta\":{\"content\":\"shown\"},\"flag\":0}]}\n\n",
        "data: {\"id\":\"as-1\",\"choices\":[{\"delta\":{\"content\":\"\"},\"flag\":4,\"ban_round\":-1}]}\n\n",
    );
    let server = MockServer::with_reply(Reply::events().piece(stream).end()).await;
    let error = streamed(&ernie(&server, &ErnieSettings::new()), ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContentRefused);
    assert_eq!(error.partial().unwrap().text, "shown");
}
