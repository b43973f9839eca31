//! The OpenAI-compatible gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Fault, models};
use serde_json::{Value, json};

#[tokio::test]
async fn takes_model_ids_in_any_case_and_echoes_them() {
    let emulator = Emulator::start().await.unwrap();
    let png = picture(3, 3, ImageFormat::Png);
    for url in [base64(&png), format!("data:image/png;base64,{}", base64(&png))] {
        let body = parts("GLM-4V-Plus", json!([image_part(url), text_part("see")]));
        let reply = gateway(&emulator, &body).await.json();
        assert!(reply["id"].as_str().unwrap().starts_with("chatcmpl-"));
        assert_eq!((&reply["model"], &reply["object"]), (&json!("GLM-4V-Plus"), &json!("chat.completion")));
        assert!(
            reply["choices"][0]["message"]["content"].as_str().unwrap().starts_with("Picture 1: PNG, 3x3 px")
        );
    }
}

#[tokio::test]
async fn streams_as_openai_does() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(streamed("hi"), "stream_options", json!({"include_usage": true}));
    let chunks = gateway(&emulator, &body).await.chunks();
    let (usage, chunks) = chunks.split_last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["total_tokens"].is_u64());
    let role = |chunk: &Value| chunk["choices"][0]["delta"]["role"].is_string();
    assert!(role(&chunks[0]) && !chunks[1..].iter().any(role));
    assert!(chunks[0]["choices"][0].get("finish_reason").is_some_and(Value::is_null));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn refuses_in_its_own_words() {
    let emulator = Emulator::start().await.unwrap();
    for (body, status, code) in [
        (with(question("x"), "model", "gpt-9"), 404, "model_not_found"),
        (json!({"model": "glm-4v", "messages": []}), 400, "invalid_value"),
        (with(question("x"), "temperature", 2.5), 400, "invalid_value"),
        (with(question("x"), "max_tokens", 0), 400, "invalid_value"),
        (parts("glm-4v", json!([image_part("AAAA")])), 400, "invalid_value"),
        (parts("glm-4-air", json!([image_part("https://a.example/b.jpg")])), 400, "invalid_value"),
    ] {
        let answer = gateway(&emulator, &body).await;
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{body}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    let nobody =
        send(&emulator, "POST", "/v1/chat/completions", &[], question("x").to_string().as_bytes()).await;
    assert_eq!(nobody.status(), 401);
}

#[tokio::test]
async fn is_laxer_than_the_vendor() {
    let emulator = Emulator::start().await.unwrap();
    for body in [with(question("x"), "temperature", 0.333), with(question("x"), "stop", "word")] {
        assert_eq!(gateway(&emulator, &body).await.status(), 200, "{body}");
        assert_eq!(chat(&emulator, &body).await.status(), 400, "{body}");
    }
}

#[tokio::test]
async fn faults_reach_it_too() {
    let emulator = Emulator::start().await.unwrap();
    emulator.script(Fault::Code("1305".into()));
    let answer = gateway(&emulator, &question("x")).await;
    assert_eq!((answer.status(), answer.code().as_str()), (429, "1305"));
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
}

#[tokio::test]
async fn lists_all_models() {
    let emulator = Emulator::start().await.unwrap();
    let list = send(&emulator, "GET", "/v1/models", &["Authorization: Bearer x"], b"").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), models::zhipu().len());
}
