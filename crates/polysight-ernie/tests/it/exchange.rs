//! Whole calls over a real socket.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{KEY, PNG, Received, Reply, Server, options, picture};
use polysight_core::{ApiKey, ChatRequest, ErrorKind, Message, VisionProviderExt as _};
use polysight_ernie::{Ernie, ErnieSettings};
use polysight_wire::{ProviderOptions, Transport};

const ANSWER: &str = r#"{"id":"as-1","model":"ernie-4.5-turbo-vl","choices":[{"message":{"content":"猫"},"finish_reason":"normal","flag":0}]}"#;
const STALE: &str = r#"{"error":{"code":"invalid_iam_token","message":"IAM Certification failed","type":"invalid_request_error"},"id":"as-0"}"#;

fn json(status: u16, body: impl Into<String>) -> Reply {
    (status, "application/json", body.into())
}

fn with_iam(server: &Server) -> Ernie {
    let key = |text| ApiKey::new(text).unwrap();
    let settings =
        ErnieSettings::new().with_iam(key("ALTAK-access"), key("secret-canary")).with_iam_url(&server.url);
    let transport = Transport::builder().header("x-proxy-secret", "canary").build().unwrap();
    let options = ProviderOptions::new("ernie")
        .with_base_url(format!("{}/v2", server.url).parse().unwrap())
        .with_transport(transport);
    Ernie::new(options, &settings).unwrap()
}

fn token_of(calls: &AtomicUsize) -> Reply {
    let call = calls.fetch_add(1, Ordering::Relaxed);
    json(200, format!(r#"{{"token":"bce-v3/short-{call}","status":"enable"}}"#))
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("?")])
}

#[tokio::test]
async fn a_call_carries_its_ids_and_its_picture() {
    let server = Server::start(|_| json(200, ANSWER)).await;
    let options = options().with_base_url(format!("{}/v2", server.url).parse().unwrap());
    let ernie = Ernie::new(options, &ErnieSettings::new().with_appid("app-1")).unwrap();
    let response = ernie.chat(ChatRequest::ask("图里有什么?", [picture()])).await.unwrap();
    assert_eq!((response.text.as_str(), response.request_id.as_deref()), ("猫", Some("rid-1")));
    let received: Received = server.received().remove(0);
    assert_eq!(received.line, "POST /v2/chat/completions HTTP/1.1");
    assert_eq!(received.header("authorization"), Some(format!("Bearer {}", KEY).as_str()));
    assert_eq!(received.header("appid"), Some("app-1"));
    assert!(received.header("request_id").unwrap().starts_with("polysight-"));
    let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
    let url = body["messages"][0]["content"][0]["image_url"]["url"].as_str().unwrap();
    assert_eq!(url, format!("data:image/png;base64,{}", PNG));
}

#[tokio::test]
async fn a_stale_key_is_made_anew_once() {
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |request| match request.header("authorization") {
        _ if request.line.starts_with("GET ") => token_of(&calls),
        Some("Bearer bce-v3/short-0") => json(401, STALE),
        _ => json(200, ANSWER),
    })
    .await;
    let ernie = with_iam(&server);
    assert_eq!(ernie.chat(ask()).await.unwrap().text, "猫");
    assert_eq!(ernie.chat(ask()).await.unwrap().text, "猫");
    let lines: Vec<String> = server
        .received()
        .iter()
        .map(|request| request.line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let token = "GET /v1/BCE-BEARER/token?expireInSeconds=1800";
    let chat = "POST /v2/chat/completions";
    assert_eq!(lines, [token, chat, token, chat, chat]);
}

#[tokio::test]
async fn headers_for_the_provider_do_not_reach_the_iam() {
    let calls = AtomicUsize::new(0);
    let server =
        Server::start(
            move |request| {
                if request.line.starts_with("GET ") { token_of(&calls) } else { json(200, ANSWER) }
            },
        )
        .await;
    with_iam(&server).chat(ask()).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].header("x-proxy-secret"), None);
    assert_eq!(received[1].header("x-proxy-secret"), Some("canary"));
    assert_eq!(received[1].header("authorization"), Some("Bearer bce-v3/short-0"));
}

#[tokio::test]
async fn a_key_that_stays_refused_is_an_error_without_secrets() {
    let calls = AtomicUsize::new(0);
    let server =
        Server::start(
            move |request| {
                if request.line.starts_with("GET ") { token_of(&calls) } else { json(401, STALE) }
            },
        )
        .await;
    let error = with_iam(&server).chat(ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Authentication, false));
    assert_eq!(server.received().len(), 4);
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary") && !text.contains("short-"), "{text}");
}

#[tokio::test]
async fn a_stream_that_is_taken_back_is_an_error_with_what_was_shown() {
    let stream = concat!(
        "data: {\"id\":\"as-1\",\"choices\":[{\"delta\":{\"content\":\"shown\"},\"flag\":0}]}\n\n",
        "data: {\"id\":\"as-1\",\"choices\":[{\"delta\":{\"content\":\"\"},\"flag\":4,\"ban_round\":-1}]}\n\n",
    );
    let server = Server::start(move |_| (200, "text/event-stream", stream.to_owned())).await;
    let options = options().with_base_url(format!("{}/v2", server.url).parse().unwrap());
    let ernie = Ernie::new(options, &ErnieSettings::new()).unwrap();
    let error = ernie.chat_stream(ask()).await.unwrap().collect_response().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContentRefused);
    assert_eq!(error.partial().unwrap().text, "shown");
}
