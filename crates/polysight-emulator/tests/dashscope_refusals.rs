//! What Alibaba's two interfaces refuse, and in which words.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Surface};
use serde_json::{Value, json};

const COMPATIBLE: Surface = Surface::DashScopeCompatible;
const NATIVE: Surface = Surface::DashScopeNative;

fn hi() -> Value {
    talk("qwen3-vl-plus", json!([{"role": "user", "content": "hi"}]))
}

fn see(content: Value) -> Value {
    parts("qwen3-vl-plus", content)
}

fn film(frames: usize) -> Value {
    json!([{"type": "video", "video": vec!["https://a.example/b.jpg"; frames]}])
}

/// A wrong parameter and a part of what is said of it.
const PARAMETERS: &[(&str, &str, &str)] = &[
    ("temperature", "2", "Temperature should be in [0.0, 2.0)"),
    ("temperature", "-0.1", "Temperature should be in [0.0, 2.0)"),
    ("temperature", "\"hot\"", "Temperature should be in [0.0, 2.0)"),
    ("top_p", "0", "Range of top_p should be (0.0, 1.0]"),
    ("top_p", "1.01", "Range of top_p should be (0.0, 1.0]"),
    ("top_k", "-1", "top_k"),
    ("presence_penalty", "2.5", "Presence_penalty should be in [-2.0, 2.0]"),
    ("repetition_penalty", "0", "Repetition_penalty should be greater than 0.0"),
    ("max_tokens", "0", "Range of max_tokens should be [1, 32768]"),
    ("max_tokens", "32769", "Range of max_tokens should be [1, 32768]"),
    ("n", "5", "Range of n should be [1, 4]"),
    ("top_logprobs", "6", "Range of top_logprobs should be [0, 5]"),
    ("stop", "[\"a\", 1]", "stop"),
    ("thinking_budget", "81921", "thinking_budget"),
    ("enable_thinking", "\"yes\"", "enable_thinking"),
    ("response_format", "{\"type\": \"xml\"}", "response_format"),
    ("tools", "[{\"type\": \"function\", \"function\": {\"name\": \"search\"}}]", "[search]"),
    ("tools", "[{\"type\": \"function\"}]", "tools"),
    ("tool_choice", "\"required\"", "[\"none\", \"auto\"]"),
];

#[tokio::test]
async fn refuses_each_wrong_parameter_in_both_dialects() {
    let emulator = Emulator::start().await.unwrap();
    for (name, value, text) in PARAMETERS {
        let value: Value = serde_json::from_str(value).unwrap();
        let answer = ask(&emulator, COMPATIBLE, &with(hi(), name, value.clone())).await;
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (400, "invalid_parameter_error"),
            "{name} {value}"
        );
        assert!(answer.message().contains(text), "{name} {value}: {}", answer.message());
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");

        let mut body = native("qwen3-vl-plus", json!([{"text": "hi"}]), json!({}));
        body["parameters"][*name] = value;
        let answer = ask(&emulator, NATIVE, &body).await;
        assert_eq!((answer.status(), &answer.json()["code"]), (400, &json!("InvalidParameter")), "{body}");
        assert!(answer.json()["message"].as_str().unwrap().contains(text), "{body}");
    }
}

/// Every wrong request with status, code and a part of the text.
fn wrong() -> Vec<(Value, u16, &'static str, &'static str)> {
    let messages = |messages: Value| talk("qwen3-vl-plus", messages);
    const PARAMETER: &str = "invalid_parameter_error";
    vec![
        (json!([]), 400, "invalid_request_error", "JSON"),
        (json!({"messages": []}), 400, "invalid_request_error", "you must provide a model parameter"),
        (
            with(hi(), "model", "Qwen/Qwen3-VL"),
            404,
            "model_not_found",
            "The model `Qwen/Qwen3-VL` does not exist",
        ),
        (json!({"model": "qwen3-vl-plus"}), 400, "invalid_request_error", "messages"),
        (messages(json!([])), 400, PARAMETER, "[] is too short - 'messages'"),
        (messages(json!([{"role": "system", "content": "x"}])), 400, PARAMETER, "the role of user"),
        (
            messages(json!([{"role": "user", "content": ""}])),
            400,
            PARAMETER,
            "Role must be user or assistant",
        ),
        (
            messages(json!([{"role": "wizard", "content": "x"}])),
            400,
            PARAMETER,
            "Role must be user or assistant",
        ),
        (
            messages(json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}])),
            500,
            "internal_error",
            "list index out of range",
        ),
        (see(json!([{"image": "https://a.example/b.jpg"}])), 400, PARAMETER, "Supported values are: 'text'"),
        (see(json!([{"type": "sculpture"}])), 400, PARAMETER, "'text', 'image_url', 'video_url' and 'video'"),
        (see(json!([image_part("AAAA")])), 400, PARAMETER, "The provided URL does not appear to be valid"),
        (
            see(json!([image_part("file:///a.jpg")])),
            400,
            PARAMETER,
            "The provided URL does not appear to be valid",
        ),
        (see(json!([image_part("oss://a/b.jpg")])), 400, PARAMETER, "Failed to download multimodal content"),
        (see(json!([image_part("data:image/png;base64,AAAA")])), 400, PARAMETER, "image format is illegal"),
        (see(json!([image_part(png(10, 40))])), 400, PARAMETER, "must be larger than 10"),
        (
            see(json!([image_part(png(2211, 11))])),
            400,
            PARAMETER,
            "absolute aspect ratio must be smaller than 200",
        ),
        (
            see(json!([image_part(data_uri(&picture(20, 20, ImageFormat::Png), "image/jpeg"))])),
            400,
            PARAMETER,
            "image format is illegal",
        ),
        (see(film(3)), 400, PARAMETER, "the range of sequence images shoule be (4, 2000)"),
        (
            see(json!([{"type": "video_url", "video_url": {"url": "https://a.example/b.mp4"}, "fps": 0.05}])),
            400,
            PARAMETER,
            "fps",
        ),
        (
            see(json!([video_part(data_uri(&video(3601), "video/mp4"))])),
            400,
            PARAMETER,
            "The video file is too long",
        ),
        (
            see(Value::Array(vec![image_part("https://a.example/b.jpg"); 257])),
            400,
            "BadRequest.TooMany",
            "images",
        ),
        (with(hi(), "seed", 1_u64 << 31), 400, "invalid_value", "seed"),
        (
            with(with(hi(), "model", "qwen-vl-max"), "enable_thinking", true),
            400,
            "InvalidParameter.NotSupportEnableThinking",
            "enable_thinking",
        ),
        (
            with(with(hi(), "model", "qwen3-vl-8b-thinking"), "enable_thinking", false),
            400,
            "InvalidParameter.NotSupportEnableThinking",
            "enable_thinking",
        ),
        (with(see(film(4)), "model", "qwen-vl-ocr"), 400, PARAMETER, "video"),
    ]
}

#[tokio::test]
async fn refuses_each_wrong_request_in_the_vendors_words() {
    let emulator = Emulator::start().await.unwrap();
    expect_refusals(&emulator, COMPATIBLE, wrong()).await;
}

#[tokio::test]
async fn takes_what_is_right_at_the_edge() {
    let emulator = Emulator::start().await.unwrap();
    let right = [
        with(with(hi(), "temperature", 1.99), "top_p", 1),
        with(with(hi(), "top_k", 1000), "stop", json!([[1, 2], [3]])),
        with(with(hi(), "repetition_penalty", 0.01), "seed", (1_u64 << 31) - 1),
        with(with(hi(), "max_tokens", 32_768), "frequency_penalty", 9),
        see(json!([
            image_part(png(11, 11)),
            image_part(png(2200, 11)),
            image_part("HTTPS://a.example/b.jpg")
        ])),
        see(json!([
            image_part("https://a.example/b.jpg"),
            video_part("https://a.example/b.mp4"),
            text_part("x")
        ])),
        with(see(Value::Array(vec![image_part("https://a.example/b.jpg"); 256])), "model", "qwen3.6-plus"),
        see(film(4)),
        talk(
            "qwen3-vl-plus",
            json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "partial": true}]),
        ),
    ];
    expect_answers(&emulator, COMPATIBLE, right).await;
}

#[tokio::test]
async fn refuses_a_data_uri_over_ten_megabytes_by_its_length() {
    let emulator = Emulator::start().await.unwrap();
    let mut bytes = picture(20, 20, ImageFormat::Bmp);
    // The longest string that is taken has 10,485,760 characters, the prefix included.
    bytes.resize(7_864_302, 0);
    let uri = data_uri(&bytes, "image/bmp");
    assert_eq!(uri.len(), 10 * 1024 * 1024 - 2);
    assert_eq!(ask(&emulator, COMPATIBLE, &see(json!([image_part(uri)]))).await.status(), 200);
    bytes.extend([0; 3]);
    let answer = ask(&emulator, COMPATIBLE, &see(json!([image_part(data_uri(&bytes, "image/bmp"))]))).await;
    assert!(answer.message().ends_with("Exceeded limit on max bytes per data-uri item : 10485760"));
}

#[tokio::test]
async fn the_native_path_has_words_of_its_own() {
    let emulator = Emulator::start().await.unwrap();
    let text = "/api/v1/services/aigc/text-generation/generation";
    let body = native("qwen3-vl-plus", json!([{"text": "hi"}]), json!({}));
    let answer = send(&emulator, "POST", text, &[DASHSCOPE_KEY], body.to_string().as_bytes()).await;
    assert_eq!((answer.status(), &answer.json()["message"]), (400, &json!("url error, please check url!")));

    let foreign = native("qwen3-vl-plus", json!([image_part("https://a.example/b.jpg")]), json!({}));
    let answer = ask(&emulator, NATIVE, &foreign).await;
    assert!(answer.json()["message"].as_str().unwrap().ends_with("should be a message of a certain modal"));

    let answer = ask_with(&emulator, NATIVE, &["X-DashScope-Async: enable"], &body).await;
    assert_eq!((answer.status(), &answer.json()["code"]), (403, &json!("AccessDenied")));

    let empty = json!({"model": "qwen3-vl-plus", "parameters": {}});
    assert_eq!(ask(&emulator, NATIVE, &empty).await.json()["code"], "BadRequest.EmptyInput");
    let large = native("qwen3-vl-plus", json!([{"text": "hi"}]), json!({"seed": (1_u64 << 31)}));
    assert_eq!(ask(&emulator, NATIVE, &large).await.status(), 200);
}

#[tokio::test]
async fn refuses_streams_in_the_framing_of_streams() {
    let emulator = Emulator::start().await.unwrap();
    let answer = ask(&emulator, COMPATIBLE, &with(with(hi(), "stream", true), "top_p", 0)).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.header("content-type").as_deref(), Some("text/event-stream;charset=UTF-8"));
    let error: Value = serde_json::from_str(&answer.events()[0]).unwrap();
    assert_eq!(error["error"]["code"], "invalid_parameter_error");

    let body = native("qwen3-vl-plus", json!([{"text": "hi"}]), json!({"top_p": 0}));
    let answer = ask_with(&emulator, NATIVE, &[SSE], &body).await;
    assert_eq!(answer.status(), 200);
    let [(status, error)] = &answer.native_events()[..] else { panic!("{}", answer.text()) };
    assert_eq!((*status, &error["code"]), (400, &json!("InvalidParameter")));

    let snapshots = json!({"enable_thinking": true, "incremental_output": false});
    let body = native("qwen3-vl-plus", json!([{"text": "hi"}]), snapshots);
    let events = ask_with(&emulator, NATIVE, &[SSE], &body).await.native_events();
    assert!(events[0].1["message"].as_str().unwrap().contains("incremental_output"));
}

#[tokio::test]
async fn keys_are_of_the_vendors_form() {
    let emulator = Emulator::builder().key("sk-good").key_without_balance("sk-poor").start().await.unwrap();
    let body = hi().to_string();
    let path = "/compatible-mode/v1/chat/completions";
    for (header, status, code) in [
        ("X-Nothing: here", 401, "invalid_api_key"),
        ("Authorization: sk-good", 401, "invalid_api_key"),
        ("Authorization: Bearer sk-other", 401, "invalid_api_key"),
        ("Authorization: Bearer sk-poor", 400, "Arrearage"),
        ("Authorization: Bearer sk-good", 200, ""),
    ] {
        let answer = send(&emulator, "POST", path, &[header], body.as_bytes()).await;
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{header}");
    }
    let open = Emulator::start().await.unwrap();
    let native_path = "/api/v1/services/aigc/multimodal-generation/generation";
    let answer =
        send(&open, "POST", native_path, &["Authorization: Bearer id.secret", SSE], body.as_bytes()).await;
    assert_eq!((answer.status(), &answer.json()["code"]), (401, &json!("InvalidApiKey")));
    assert_eq!(answer.json()["message"], "Invalid API-key provided.");
}

#[tokio::test]
async fn audits_the_text_of_the_request() {
    let emulator = Emulator::builder().forbidden_text("forbidden").start().await.unwrap();
    let body = talk("qwen3-vl-plus", json!([{"role": "user", "content": "this is forbidden"}]));
    let answer = ask(&emulator, COMPATIBLE, &body).await;
    assert_eq!((answer.status(), answer.code().as_str()), (400, "data_inspection_failed"));
}
