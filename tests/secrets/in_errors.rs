//! Servers that know the keys and repeat them: no key is in the error that comes of it.

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

/// The providers of a wire: with the key as it is, and Zhipu's with a token signed by it.
fn providers(wire: Wire, server: &MockServer) -> Vec<Arc<dyn VisionProvider>> {
    let mut providers = vec![wire.provider(options(wire, server))];
    if wire == Wire::Zhipu {
        let settings = ZhipuSettings::new().with_auth(Auth::Jwt);
        providers.push(Arc::new(Zhipu::new(options(wire, server), &settings).unwrap()));
    }
    providers
}

/// Words that hold all secrets of a call.
fn words(wire: Wire) -> String {
    format!("no such key: {}, nor {HEADER_KEY}!", wire.key())
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("?")])
}

#[tokio::test]
async fn a_refused_key_that_the_server_repeats_is_an_authentication_error_without_it() {
    for wire in Wire::ALL {
        let key = wire.key();
        for text in [
            format!("Invalid token: Authorization: Bearer {key}"),
            format!("Incorrect API key provided: {key}. Find yours in the console."),
            format!("no such key '{key}'"),
            words(wire),
        ] {
            let reply = Reply::document(
                401,
                &["Content-Type: application/json", "x-request-id: req-7"],
                wire.error("x", &text).to_string(),
            );
            let server = MockServer::with_reply(reply).await;
            for provider in providers(wire, &server) {
                for error in failures(&*provider, ask()).await {
                    let shown = shown(&error);
                    assert!(!shown.contains(CANARY), "{}: {shown}", wire.name());
                    assert_eq!(error.kind(), ErrorKind::Authentication, "{shown}");
                }
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
