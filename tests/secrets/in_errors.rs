//! Servers that repeat what they were sent: no secret comes out, whichever way it came back.

use std::sync::Arc;

use polysight::ernie::{Ernie, ErnieSettings};
use polysight::qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight::zhipu::{Auth, Zhipu, ZhipuSettings};
use polysight::{
    ApiKey, ChatRequest, Error, MediaSource, Message, ProviderOptions, Transport, VisionProvider,
    VisionProviderExt as _,
};
use polysight_tests::scripted::{Reply, Scripted};
use serde_json::json;

/// Every secret holds it.
const CANARY: &str = "canary";
/// In the header that the transport adds to all requests.
const HEADER_KEY: &str = "header-canary-0123456789";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Zhipu,
    ZhipuJwt,
    Compatible,
    Native,
    Ernie,
}

const ALL: [Who; 5] = [Who::Zhipu, Who::ZhipuJwt, Who::Compatible, Who::Native, Who::Ernie];

impl Who {
    fn key(self) -> &'static str {
        match self {
            Self::Zhipu | Self::ZhipuJwt => "canaryid01234567.canarysecret0123",
            Self::Compatible | Self::Native => "sk-canary0123456789",
            Self::Ernie => "bce-v3/ALTAK-canary012345/canary0123456789",
        }
    }

    fn provider(self, server: &Scripted) -> Arc<dyn VisionProvider> {
        let transport = Transport::builder().header("x-api-key", HEADER_KEY).build().unwrap();
        let options = ProviderOptions::new("p")
            .with_api_key(ApiKey::new(self.key()).unwrap())
            .with_base_url(server.url("/v1").parse().unwrap())
            .with_model("some-model")
            .with_transport(transport);
        let qwen = |protocol| QwenVlSettings::new().with_protocol(protocol);
        match self {
            Self::Zhipu => Arc::new(Zhipu::new(options, &ZhipuSettings::new()).unwrap()),
            Self::ZhipuJwt => {
                Arc::new(Zhipu::new(options, &ZhipuSettings::new().with_auth(Auth::Jwt)).unwrap())
            }
            Self::Compatible => Arc::new(QwenVl::new(options, &qwen(Protocol::Compatible)).unwrap()),
            Self::Native => Arc::new(QwenVl::new(options, &qwen(Protocol::Native)).unwrap()),
            Self::Ernie => Arc::new(Ernie::new(options, &ErnieSettings::new()).unwrap()),
        }
    }

    /// Words that hold all secrets of a call.
    fn words(self) -> String {
        format!("no such key: {}, nor {HEADER_KEY}!", self.key())
    }
}

/// All that can be seen of an error.
fn shown(error: &Error) -> String {
    let mut shown = format!(
        "{error} {error:?} {:?} {:?} {:?} {}",
        error.vendor_message(),
        error.code(),
        error.request_id(),
        error.message()
    );
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        shown = format!("{shown} {cause} {cause:?}");
        source = cause.source();
    }
    shown
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
async fn no_secret_comes_back_out_of_any_reply() {
    for who in ALL {
        for (name, reply) in replies(&who.words()) {
            let server = Scripted::start(reply.end()).await.unwrap();
            let provider = who.provider(&server);
            let streamed = provider.stream_collected(ask()).await;
            for (way, answer) in [("plain", provider.chat(ask()).await), ("stream", streamed)] {
                let Err(error) = answer else { panic!("{who:?}, {name}, {way}: an answer") };
                let shown = shown(&error);
                assert!(!shown.contains(CANARY), "{who:?}, {name}, {way}: {shown}");
            }
        }
    }
}

#[tokio::test]
async fn the_iam_and_who_takes_its_keys_may_repeat_them_too() {
    let (access, secret) = ("ALTAK-canary0123456789", "canary-secret-0123456789");
    let token = "bce-v3/short-canary-0123456789";
    let words = format!("no such key: {token} of {access} and {secret}");
    let failure = json!({"token": token, "error": {"code": secret, "message": words}}).to_string();
    let told = format!("no such key: {access}, {secret}");
    let refusal = json!({"code": access, "message": told, "requestId": secret}).to_string();
    for (name, status, body) in [("key", 200, failure), ("iam", 403, refusal), ("iam fails", 500, told)] {
        let server = Scripted::start(Reply::document(status, &[], body)).await.unwrap();
        let key = |text| ApiKey::new(text).unwrap();
        let settings = ErnieSettings::new().with_iam(key(access), key(secret)).with_iam_url(server.url(""));
        let options = ProviderOptions::new("p").with_base_url(server.url("/v2").parse().unwrap());
        let ernie = Ernie::new(options, &settings).unwrap();
        for answer in [ernie.chat(ask()).await, ernie.stream_collected(ask()).await] {
            let shown = shown(&answer.unwrap_err());
            assert!(!shown.contains(CANARY), "{name}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_ticket_for_an_upload_is_asked_for_without_showing_the_key_either() {
    let who = Who::Compatible;
    let words = json!({"code": who.key(), "message": who.words()}).to_string();
    for status in [200, 401] {
        let server = Scripted::start(Reply::document(status, &[], &words)).await.unwrap();
        let options = ProviderOptions::new("p")
            .with_api_key(ApiKey::new(who.key()).unwrap())
            .with_base_url(server.url("/compatible-mode/v1").parse().unwrap());
        let qwen = QwenVl::new(options, &QwenVlSettings::new()).unwrap();
        let source = MediaSource::Bytes(b"bytes"[..].into());
        let error = qwen.upload("some-model", &source).await.unwrap_err();
        assert!(!shown(&error).contains("sk-canary"), "{}", shown(&error));
    }
}
