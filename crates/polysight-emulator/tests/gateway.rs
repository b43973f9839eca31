//! The OpenAI-compatible gateway.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Fault, Surface, models};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

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
        (with(question("x"), "max_tokens", 1_000_000), 400, "invalid_value"),
        (parts("glm-4v", json!([image_part("AAAA")])), 400, "invalid_value"),
        (parts("glm-4-air", json!([image_part("https://a.example/b.jpg")])), 400, "invalid_value"),
    ] {
        let answer = gateway(&emulator, &body).await;
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{body}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    let anonymous =
        send(&emulator, "POST", "/v1/chat/completions", &[], question("x").to_string().as_bytes()).await;
    assert_eq!(anonymous.status(), 401);
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
async fn lists_the_models_of_its_page_first() {
    let emulator = Emulator::start().await.unwrap();
    let list = send(&emulator, "GET", "/v1/models", &["Authorization: Bearer x"], b"").await.json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    let page: Vec<&str> = models::gateway().iter().map(|model| model.id).collect();
    assert_eq!(ids[..8], page);
    assert!(ids.contains(&"glm-4-plus") && !ids.contains(&"glm-4v-plus"), "{ids:?}");
}

#[tokio::test]
async fn serves_the_models_of_three_vendors() {
    let emulator = Emulator::start().await.unwrap();
    for model in models::gateway() {
        let url = if model.id == "GLM-4V-Flash" { "https://a.example/b.png".to_owned() } else { png(60, 40) };
        let body = parts(model.id, json!([image_part(url), text_part("see")]));
        let answer = gateway(&emulator, &body).await;
        assert_eq!(answer.status(), 200, "{}: {}", model.id, answer.text());
        assert!(answer.content().starts_with("Picture 1: ") && answer.content().ends_with("see"));
        assert_eq!(answer.json()["model"], model.id);
    }
    let tokens = |answer: Answer| answer.json()["usage"]["prompt_tokens"].as_u64().unwrap();
    let body = parts("Qwen2.5-VL-7B-Instruct", json!([image_part(png(640, 480))]));
    assert_eq!(tokens(gateway(&emulator, &body).await), 393 + 5 + 3);
}

#[tokio::test]
async fn contexts_are_those_of_its_page() {
    let emulator = Emulator::start().await.unwrap();
    let long = question(&"字".repeat(4094));
    let small = gateway(&emulator, &with(long.clone(), "model", "GLM-4V-Flash")).await;
    assert_eq!((small.status(), small.code().as_str()), (400, "invalid_value"));
    assert!(small.message().contains("context"));
    assert_eq!(gateway(&emulator, &with(long, "model", "GLM-4V")).await.status(), 200);
}

#[tokio::test]
async fn counts_requests_and_tokens_of_each_key() {
    let emulator = Emulator::builder().quotas(true).start().await.unwrap();
    let body = with(question("x"), "model", "Qwen2.5-VL-32B-Instruct").to_string();
    let ask =
        async |key: &str| send(&emulator, "POST", "/v1/chat/completions", &[key], body.as_bytes()).await;
    for _ in 0..60 {
        assert_eq!(ask("Authorization: Bearer one").await.status(), 200);
    }
    let refused = ask("Authorization: Bearer one").await;
    assert_eq!((refused.status(), refused.code().as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    assert!(refused.message().contains("requests per minute"));
    assert_eq!(ask("Authorization: Bearer two").await.status(), 200);

    let long = with(question(&"字".repeat(60_000)), "model", "Qwen2.5-VL-32B-Instruct").to_string();
    let ask = async || {
        let key = "Authorization: Bearer three";
        send(&emulator, "POST", "/v1/chat/completions", &[key], long.as_bytes()).await
    };
    assert_eq!(ask().await.status(), 200);
    assert!(ask().await.message().contains("tokens per minute"));
}

#[tokio::test]
async fn counts_requests_at_once() {
    let emulator = Emulator::builder().quotas(true).start().await.unwrap();
    let body = with(streamed("x"), "model", "GLM-4V-Plus");
    let mut busy = Vec::new();
    for _ in 0..10 {
        emulator.script(Fault::StallAfterLast);
        let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
        let request = request("POST", "/v1/chat/completions", &[KEY], body.to_string().as_bytes());
        socket.write_all(&request).await.unwrap();
        // Its head says that it has been let in.
        socket.readable().await.unwrap();
        busy.push(socket);
    }
    let refused = ask(&emulator, Surface::Gateway, &body).await;
    assert!(refused.status() == 429 && refused.message().contains("concurrent"), "{}", refused.text());
    drop(busy.pop());
    for _ in 0..50 {
        if ask(&emulator, Surface::Gateway, &body).await.status() == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("the place was never given back");
}
