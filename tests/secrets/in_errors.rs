//! Servers that repeat keys in each part of a reply: no key is in the error that comes of it.

use std::sync::Arc;

use polysight::ernie::{Ernie, ErnieSettings};
use polysight::qwen_vl::{QwenVl, QwenVlSettings};
use polysight::zhipu::{Auth, Zhipu, ZhipuSettings};
use polysight::{
    ApiKey, ChatRequest, ErrorKind, MediaSource, Message, ProviderOptions, Transport, VisionProvider,
};
use polysight_testkit::calls::failures;
use polysight_testkit::{CANARY, MockServer, Reply, Wire, shown};
use serde_json::json;

/// In the header that the transport adds to all requests.
const HEADER_KEY: &str = "header-canary-0123456789";

fn options(wire: Wire, server: &MockServer) -> ProviderOptions {
    let transport = Transport::builder().header("x-api-key", HEADER_KEY).build().unwrap();
    wire.options(&server.url(""), transport).with_model("some-model")
}

/// A provider of each wire, and one of Zhipu's that signs tokens.
fn providers(server: &MockServer) -> Vec<(&'static str, Wire, Arc<dyn VisionProvider>)> {
    let jwt = ZhipuSettings::new().with_auth(Auth::Jwt);
    let jwt = Zhipu::new(options(Wire::Zhipu, server), &jwt).unwrap();
    let plain = Wire::ALL.map(|wire| (wire.name(), wire, wire.provider(options(wire, server))));
    let mut providers: Vec<_> = plain.into();
    providers.push(("zhipu-jwt", Wire::Zhipu, Arc::new(jwt)));
    providers
}

/// Words that hold all secrets of a call.
fn words(wire: Wire) -> String {
    format!("no such key: {}, nor {HEADER_KEY}!", wire.key())
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("?")])
}

/// The replies of a server that repeats these words wherever there is a place for words.
fn replies(words: &str) -> Vec<(&'static str, Reply)> {
    let json = "Content-Type: application/json";
    let key = words.replace(['\n', ' ', ','], "-");
    let id = format!("X-Request-Id: {key}");
    let failure =
        json!({"error": {"code": key, "message": words, "type": words}, "request_id": key}).to_string();
    let native = json!({"code": key, "message": words, "request_id": key}).to_string();
    let odd = json!({"choices": words, "error": null, "usage": words}).to_string();
    let location = format!("Location: https://elsewhere.example/{key}/?key={key}");
    let delta = json!({"choices": [{"delta": {"content": "text"}}],
        "output": {"choices": [{"message": {"content": "text"}}]}});
    vec![
        ("401", Reply::document(401, &[json, &id], &failure)),
        ("401 native", Reply::document(401, &[json, &id], &native)),
        ("400 text", Reply::document(400, &[&id], words)),
        (
            "502 page",
            Reply::document(502, &["Content-Type: text/html"], format!("<html><p>{words}</p></html>")),
        ),
        ("cut words", Reply::document(400, &[json], format!("{} {}", "word ".repeat(115), words.repeat(3)))),
        ("redirect", Reply::document(307, &[&location], "")),
        ("200 error", Reply::document(200, &[json, &id], &failure)),
        ("200 native error", Reply::document(200, &[json, &id], &native)),
        ("200 text", Reply::document(200, &[json, &id], words)),
        ("200 page", Reply::document(200, &["Content-Type: text/html", &id], format!("<p>{words}</p>"))),
        ("200 odd", Reply::document(200, &[json, &id], &odd)),
        ("encoded", Reply::document(200, &[json, &format!("Content-Encoding: {key}")], "{}")),
        ("frame", Reply::events().piece(format!("data: {failure}\n\n"))),
        ("native frame", Reply::events().piece(format!(":HTTP_STATUS/400\ndata: {native}\n\n"))),
        (
            "frame in between",
            Reply::events().piece(format!("data: {delta}\n\n")).piece(format!("data: {failure}\n\n")),
        ),
        ("named frame", Reply::events().piece(format!("event: error\ndata: {native}\n\n"))),
        ("bare line", Reply::events().piece(format!("{failure}\n\n"))),
        ("no frame", Reply::events().piece(format!("data: {words}\n\n"))),
        (
            "id and no end",
            Reply::chunked(200, &["Content-Type: text/event-stream", &id])
                .piece(format!("data: {delta}\n\n")),
        ),
    ]
}

#[tokio::test]
async fn no_key_is_in_the_error_of_any_reply() {
    for wire in Wire::ALL {
        for (name, reply) in replies(&words(wire)) {
            let server = MockServer::with_reply(reply.end()).await;
            for (provider_name, _, provider) in
                providers(&server).into_iter().filter(|(_, known, _)| *known == wire)
            {
                for error in failures(&*provider, ask()).await {
                    let shown = shown(&error);
                    assert!(!shown.contains(CANARY), "{provider_name}, {name}: {shown}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_refused_key_that_the_server_repeats_is_an_authentication_error_without_it() {
    for wire in Wire::ALL {
        let key = wire.key();
        for text in [
            format!("Invalid token: Authorization: Bearer {key}"),
            format!("Incorrect API key provided: {key}. Find yours in the console."),
            format!("no such key '{key}'"),
        ] {
            let reply = Reply::document(
                401,
                &["Content-Type: application/json", "x-request-id: req-7"],
                wire.error("x", &text).to_string(),
            );
            let server = MockServer::with_reply(reply).await;
            for error in failures(&*wire.provider(options(wire, &server)), ask()).await {
                let shown = shown(&error);
                assert!(!shown.contains(CANARY), "{}: {shown}", wire.name());
                assert_eq!(error.kind(), ErrorKind::Authentication, "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn no_key_of_the_iam_is_in_an_error() {
    let (access, secret) = ("ALTAK-canary0123456789", "canary-secret-0123456789");
    let token = "bce-v3/short-canary-0123456789";
    let words = format!("no such key: {token} of {access} and {secret}");
    let failure = json!({"token": token, "error": {"code": secret, "message": words}}).to_string();
    let text = format!("no such key: {access}, {secret}");
    let refusal = json!({"code": access, "message": text, "requestId": secret}).to_string();
    for (name, status, body) in [("key", 200, failure), ("iam", 403, refusal), ("iam fails", 500, text)] {
        let server = MockServer::with_reply(Reply::document(status, &[], body)).await;
        let key = |text| ApiKey::new(text).unwrap();
        let settings = ErnieSettings::new().with_iam(key(access), key(secret)).with_iam_url(server.url(""));
        let options = ProviderOptions::new("p").with_base_url(server.url("/v2").parse().unwrap());
        for error in failures(&Ernie::new(options, &settings).unwrap(), ask()).await {
            let shown = shown(&error);
            assert!(!shown.contains(CANARY), "{name}: {shown}");
        }
    }
}

#[tokio::test]
async fn no_key_is_in_the_error_of_an_upload() {
    let wire = Wire::QwenVl;
    let words = json!({"code": wire.key(), "message": words(wire)}).to_string();
    for status in [200, 401] {
        let server = MockServer::with_reply(Reply::document(status, &[], &words)).await;
        let qwen = QwenVl::new(options(wire, &server), &QwenVlSettings::new()).unwrap();
        let source = MediaSource::Bytes(b"bytes"[..].into());
        let error = qwen.upload("some-model", &source).await.unwrap_err();
        assert!(!shown(&error).contains(CANARY), "{}", shown(&error));
    }
}
