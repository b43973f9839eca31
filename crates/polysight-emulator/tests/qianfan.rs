//! What Baidu's interface answers and refuses, and the keys that it issues.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use common::*;
use hmac::{Hmac, KeyInit, Mac};
use image::ImageFormat;
use polysight_emulator::{Emulator, Surface};
use serde_json::{Value, json};
use sha2::Sha256;

const VISION: &str = "ernie-4.5-turbo-vl";

async fn qianfan(emulator: &Emulator, body: &Value) -> Answer {
    ask(emulator, Surface::Qianfan, body).await
}

fn hi() -> Value {
    talk(VISION, json!([{"role": "user", "content": "hi"}]))
}

#[tokio::test]
async fn a_plain_reply_carries_a_safety_flag() {
    let emulator = Emulator::start().await.unwrap();
    let part = json!({"type": "image_url", "image_url": {"url": png(1024, 768), "detail": "high"}});
    let answer = qianfan(&emulator, &parts(VISION, json!([part, text_part("What is this?")]))).await;
    let reply = answer.json();
    assert!(answer.content().starts_with("Picture 1: PNG, 1024x768 px, mean colour #0ac81e, "));
    assert_eq!(
        (&reply["choices"][0]["flag"], &reply["choices"][0]["finish_reason"]),
        (&json!(0), &json!("stop"))
    );
    assert_eq!(reply["usage"]["prompt_tokens"], 999 + 2 + 3 + 4);
    assert_eq!(reply["usage"]["prompt_tokens_details"], json!({"search_tokens": 0, "cached_tokens": 0}));
    let id = reply["id"].as_str().unwrap();
    assert!(id.len() == 13 && id.starts_with("as-"), "{id}");
    assert_eq!(answer.header("x-baidu-request-id").as_deref(), Some(id));
    assert_eq!(answer.header("x-ratelimit-limit-requests").as_deref(), Some("1000"));
    assert_eq!(answer.header("x-ratelimit-limit-tokens").as_deref(), Some("200000"));
}

#[tokio::test]
async fn a_stream_tells_usage_only_when_asked() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(hi(), "stream", true);
    let answer = qianfan(&emulator, &body).await;
    let chunks = answer.chunks();
    assert_eq!(answer.streamed("content"), "You asked: hi");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks[1..].iter().all(|chunk| chunk["choices"][0]["delta"].get("role").is_none()));
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"][0]["flag"] == 0));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    let asked = with(body, "stream_options", json!({"include_usage": true}));
    let last = qianfan(&emulator, &asked).await.chunks().pop().unwrap();
    assert!(last["usage"]["total_tokens"].is_u64());
}

#[tokio::test]
async fn models_think_and_call_tools_where_they_can() {
    let emulator = Emulator::start().await.unwrap();
    let thinker = with(hi(), "model", "ernie-5.0-thinking-preview");
    let message = |answer: Answer| answer.json()["choices"][0]["message"].clone();
    assert!(message(qianfan(&emulator, &thinker).await)["reasoning_content"].is_string());
    let off = with(thinker.clone(), "enable_thinking", false);
    assert!(message(qianfan(&emulator, &off).await).get("reasoning_content").is_none());
    let tools = json!([{"type": "function", "function": {"name": "clock"}}]);
    let call = message(qianfan(&emulator, &with(thinker, "tools", tools.clone())).await);
    assert_eq!(call["tool_calls"][0]["function"]["name"], "clock");
    let refused = qianfan(&emulator, &with(hi(), "tools", tools)).await;
    assert_eq!((refused.status(), refused.code().as_str()), (400, "invalid_argument"));
}

/// Every wrong request with status, code and a part of the text.
fn wrong() -> Vec<(Value, u16, &'static str, &'static str)> {
    let see = |content: Value| parts(VISION, content);
    let link = || "https://a.example/b.jpg";
    let long = format!("https://a.example/{}", "x".repeat(1024));
    vec![
        (json!([]), 400, "malformed_json", "Invalid Argument"),
        (json!({"messages": []}), 400, "invalid_model", "model is empty"),
        (with(hi(), "model", "ernie-9"), 401, "invalid_model", "does not exist or you do not have access"),
        (with(hi(), "model", "ernie-4.5-turbo-vl-preview"), 403, "model_offline", "offline"),
        (talk(VISION, json!([])), 400, "invalid_messages", "empty"),
        (talk(VISION, json!([{"role": "user", "content": ""}])), 400, "invalid_messages", "empty"),
        (talk(VISION, json!([{"role": "user", "content": " \n"}])), 400, "invalid_messages", "empty"),
        (talk(VISION, json!([{"role": "wizard", "content": "x"}])), 400, "invalid_messages", "role"),
        (
            talk(VISION, json!([{"role": "assistant", "content": "x"}])),
            400,
            "invalid_messages",
            "last message",
        ),
        (
            talk(
                VISION,
                json!([{"role": "system", "content": [image_part(link())]}, {"role": "user", "content": "x"}]),
            ),
            400,
            "invalid_messages",
            "user",
        ),
        (
            with(see(json!([image_part(link())])), "model", "ernie-5.1"),
            400,
            "invalid_messages",
            "not supported",
        ),
        (
            with(see(json!([video_part(link())])), "model", "ernie-5.0"),
            400,
            "invalid_messages",
            "not supported",
        ),
        (see(json!([{"type": "sculpture"}])), 400, "invalid_messages", "type"),
        (see(Value::Array(vec![image_part(link()); 11])), 400, "invalid_messages", "over 10"),
        (
            see(json!([image_part(base64(&picture(20, 20, ImageFormat::Png)))])),
            400,
            "invalid_image_url",
            "data URI",
        ),
        (see(json!([image_part(long)])), 400, "invalid_image_url", "1024 bytes"),
        (see(json!([image_part("a.example/b/c.jpg")])), 400, "invalid_image_url", "url"),
        (see(json!([image_part(png(4, 20))])), 400, "invalid_image_url", "width or height"),
        (see(json!([image_part(png(6000, 5))])), 400, "invalid_image_url", "width or height"),
        (
            see(json!([image_part(data_uri(&picture(20, 20, ImageFormat::Gif), "image/gif"))])),
            400,
            "invalid_image_url",
            "cannot be read",
        ),
        (
            see(json!([{"type": "image_url", "image_url": {"url": link(), "detail": "best"}}])),
            400,
            "invalid_argument",
            "detail",
        ),
        (
            see(json!([{"type": "video_url", "video_url": {"url": link(), "fps": 6}}])),
            400,
            "invalid_argument",
            "fps",
        ),
        (with(hi(), "temperature", 1.1), 400, "invalid_argument", "temperature"),
        (with(hi(), "penalty_score", 0.9), 400, "invalid_argument", "penalty_score"),
        (with(hi(), "max_tokens", 1), 400, "invalid_argument", "max_tokens should be in [2, 16384]"),
        (with(hi(), "max_completion_tokens", 16_385), 400, "invalid_argument", "max_completion_tokens"),
        (with(hi(), "seed", 0), 400, "invalid_argument", "seed"),
        (with(hi(), "stop", "word"), 400, "invalid_argument", "stop"),
        (with(hi(), "stop", json!(["x".repeat(21)])), 400, "invalid_argument", "stop"),
        (with(hi(), "user", 7), 400, "invalid_argument", "user"),
        (with(hi(), "metadata", json!({"a": 1})), 400, "invalid_argument", "metadata"),
        (with(hi(), "enable_thinking", true), 400, "invalid_argument", "enable_thinking"),
        (with(hi(), "response_format", json!({"type": "xml"})), 400, "invalid_argument", "response_format"),
        (with(hi(), "web_search", json!({"enable": "yes"})), 400, "invalid_argument", "web_search.enable"),
        (
            with(hi(), "web_search", json!({"search_number": 3, "reference_number": 4})),
            400,
            "invalid_argument",
            "reference_number",
        ),
        (
            talk("ernie-4.5-turbo-vl-32k", json!([{"role": "user", "content": "字".repeat(27_700)}])),
            400,
            "tokens_too_long",
            "Prompt tokens too long",
        ),
    ]
}

#[tokio::test]
async fn refuses_each_wrong_request_with_the_vendors_codes() {
    let emulator = Emulator::start().await.unwrap();
    expect_refusals(&emulator, Surface::Qianfan, wrong()).await;
    let refused = qianfan(&emulator, &json!([])).await.json();
    assert!(refused["id"].as_str().unwrap().starts_with("as-"));
}

#[tokio::test]
async fn takes_what_is_right_at_the_edge() {
    let emulator = Emulator::start().await.unwrap();
    let right = [
        with(with(hi(), "temperature", 0), "max_tokens", 2),
        with(with(hi(), "top_p", 1.0), "web_search", json!({"enable": true, "search_number": 28})),
        with(with(hi(), "stop", json!(["x".repeat(20)])), "extra_parameters", json!({"request_source": "x"})),
        with(with(hi(), "enable_thinking", false), "user", "someone"),
        parts(VISION, json!([image_part(png(5999, 5)), text_part("x")])),
        parts(
            VISION,
            json!([
                image_part("https://a.example/b.jpg"),
                video_part("https://a.example/b.mp4"),
                text_part("x")
            ]),
        ),
        parts(
            VISION,
            json!([{"type": "video_url", "video_url": {"url": data_uri(&video(9), "video/mp4"), "fps": 5}}]),
        ),
        talk(VISION, json!([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}])),
    ];
    expect_answers(&emulator, Surface::Qianfan, right).await;
}

#[tokio::test]
async fn keys_and_applications_are_checked() {
    let emulator = Emulator::builder()
        .key("bce-v3/ALTAK-good/0f")
        .key_without_balance("bce-v3/ALTAK-poor/0f")
        .start()
        .await
        .unwrap();
    let body = hi().to_string();
    let good = "Authorization: Bearer bce-v3/ALTAK-good/0f";
    for (headers, status, code) in [
        (["X-Nothing: here", "X: y"], 401, "invalid_iam_token"),
        (["Authorization: bce-v3/ALTAK-good/0f", "X: y"], 401, "invalid_iam_token"),
        (["Authorization: Bearer sk-good", "X: y"], 401, "invalid_iam_token"),
        (["Authorization: Bearer bce-v3/ALTAK-poor/0f", "X: y"], 403, "account_overdue"),
        ([good, "appid: wrong"], 401, "invalid_appid"),
        ([good, "appid: app-x1"], 200, ""),
        ([good, "appid:"], 200, ""),
    ] {
        let answer = send(&emulator, "POST", "/v2/chat/completions", &headers, body.as_bytes()).await;
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{headers:?}");
    }
    let wrong = send(&emulator, "GET", "/v2/chat/completions", &[good], b"").await;
    assert_eq!((wrong.status(), wrong.code().as_str()), (405, "method_not_supported"));
}

#[tokio::test]
async fn audits_texts_by_who_said_them() {
    let emulator = Emulator::builder().forbidden_text("forbidden").start().await.unwrap();
    for (role, code) in [("system", "system_unsafe"), ("user", "user_setting_unsafe")] {
        let body =
            talk(VISION, json!([{"role": role, "content": "forbidden"}, {"role": "user", "content": "x"}]));
        let answer = qianfan(&emulator, &body).await;
        assert_eq!((answer.status(), answer.code().as_str()), (403, code));
        assert_eq!(answer.json()["error"]["type"], "unsafe_request");
    }
}

#[tokio::test]
async fn holds_keys_to_quotas_when_told() {
    let emulator = Emulator::builder().quotas(true).start().await.unwrap();
    let body = with(hi(), "model", "ernie-5.1");
    for left in (0..60).rev() {
        let answer = qianfan(&emulator, &body).await;
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(left.to_string()));
    }
    let refused = qianfan(&emulator, &body).await;
    assert_eq!((refused.status(), refused.code().as_str()), (429, "rpm_rate_limit_exceeded"));
    assert_eq!(refused.json()["error"]["type"], "rate_limit_exceeded");
    assert_eq!(refused.header("x-ratelimit-limit-requests").as_deref(), Some("60"));
}

#[tokio::test]
async fn lists_its_models_with_their_limits() {
    let emulator = Emulator::start().await.unwrap();
    let list = send(&emulator, "GET", "/v2/models", &[QIANFAN_KEY], b"").await.json();
    let model = list["data"].as_array().unwrap().iter().find(|model| model["id"] == VISION).unwrap();
    assert_eq!(
        (&model["context_length"], &model["max_completions_tokens"]),
        (&json!(131_072), &json!(16_384))
    );
    assert_eq!(model["architecture"]["input_modalities"], json!(["text", "image", "video"]));
}

const TOKEN: &str = "/v1/BCE-BEARER/token";

fn hmac(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Now in UTC, as a `Date` header of the server has it, in the form of signatures.
async fn now(emulator: &Emulator) -> String {
    let date = send(emulator, "GET", "/", &[], b"").await.header("date").unwrap();
    let words: Vec<&str> = date.split(' ').collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == words[2]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}Z", words[3], words[1], words[4])
}

fn signed(access_key: &str, secret: &str, time: &str, query: &str) -> String {
    let prefix = format!("bce-auth-v1/{access_key}/{time}/1800");
    let canonical = format!("GET\n{TOKEN}\n{query}\nhost:local");
    format!("Authorization: {prefix}/host/{}", hmac(&hmac(secret, &prefix), &canonical))
}

async fn token(emulator: &Emulator, query: &str, header: &str) -> Answer {
    send(emulator, "GET", &format!("{TOKEN}?{query}"), &[header], b"").await
}

#[tokio::test]
async fn a_good_signature_buys_a_key_that_lives_for_a_while() {
    let life = Duration::from_millis(60);
    let emulator =
        Emulator::builder().iam("AK", "SK").iam_keys_live(life).key("bce-v3/a/b").start().await.unwrap();
    let time = now(&emulator).await;
    let query = "expireInSeconds=300";
    let answer = token(&emulator, query, &signed("AK", "SK", &time, query)).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let reply = answer.json();
    assert_eq!(reply["status"], "enable");
    let key = format!("Authorization: Bearer {}", reply["token"].as_str().unwrap());
    let body = hi().to_string();
    let ask = async || send(&emulator, "POST", "/v2/chat/completions", &[&key], body.as_bytes()).await;
    assert_eq!(ask().await.status(), 200);
    tokio::time::sleep(life).await;
    let late = ask().await;
    assert_eq!((late.status(), late.code().as_str()), (401, "invalid_iam_token"));
}

#[tokio::test]
async fn bad_signatures_buy_nothing() {
    let emulator = Emulator::builder().iam("AK", "SK").start().await.unwrap();
    let (time, query) = (now(&emulator).await, "expireInSeconds=300");
    for (query, header, status, code) in [
        (query, "X: y".to_owned(), 400, "InvalidHTTPAuthHeader"),
        (query, signed("AK", "other", &time, query), 400, "SignatureDoesNotMatch"),
        ("expireInSeconds=301", signed("AK", "SK", &time, query), 400, "SignatureDoesNotMatch"),
        (query, signed("BK", "SK", &time, query), 403, "InvalidAccessKeyId"),
        (query, signed("AK", "SK", "2025-10-09T08:53:20Z", query), 400, "RequestExpired"),
        ("expireInSeconds=299", signed("AK", "SK", &time, "expireInSeconds=299"), 400, "InvalidParameter"),
        (query, "Authorization: Bearer nonsense".to_owned(), 403, "AccessDenied"),
    ] {
        let answer = token(&emulator, query, &header).await;
        assert_eq!((answer.status(), &answer.json()["code"]), (status, &json!(code)), "{header}");
        assert_eq!(answer.header("x-bce-error-code").as_deref(), Some(code));
    }
    let open = Emulator::start().await.unwrap();
    assert_eq!(token(&open, query, &signed("any", "thing", &now(&open).await, query)).await.status(), 200);
    assert_eq!(token(&open, query, QIANFAN_KEY).await.status(), 200);
}
