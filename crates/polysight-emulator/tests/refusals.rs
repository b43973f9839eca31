//! What Zhipu's interface refuses, and in which words.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Surface};
use serde_json::{Value, json};

const EXPIRED: &str = concat!(
    "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInNpZ25fdHlwZSI6IlNJR04ifQ.",
    "eyJhcGlfa2V5IjoiMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYiLCJleHAiOjE3MDAwMDAyMTAwMDAsInRpbWVzdGFtcCI6MTcw",
    "MDAwMDAwMDAwMH0.-z1pZdBIe1z0POyfw3FzAzRSIcuL7G72q6tEISuxmzM"
);

fn tiny() -> String {
    base64(&picture(2, 2, ImageFormat::Png))
}

fn pictures(count: usize) -> Value {
    Value::Array(std::iter::repeat_with(|| image_part("https://a.example/b.jpg")).take(count).collect())
}

/// Every wrong request with status, code and a part of the Chinese text.
fn wrong() -> Vec<(Value, u16, &'static str, &'static str)> {
    let hi = || question("hi");
    let see = |model: &str, content: Value| parts(model, content);
    let messages = |messages: Value| json!({"model": "glm-4.6v", "messages": messages});
    let many_tools = vec![json!({"type": "function", "function": {"name": "f"}}); 129];
    vec![
        (json!([]), 400, "1210", ""),
        (json!({"messages": []}), 400, "1213", "model"),
        (with(hi(), "model", "glm-0"), 400, "1211", "模型不存在，请检查模型代码。"),
        (with(hi(), "model", 4), 400, "1214", "model"),
        (json!({"model": "glm-4.6v"}), 400, "1213", "messages"),
        (messages(json!([])), 400, "1214", "messages 参数非法。请检查文档。"),
        (messages(json!("hi")), 400, "1214", "messages"),
        (messages(json!([{"role": "system", "content": "x"}])), 400, "1214", "messages"),
        (messages(json!([{"role": "user", "content": ""}])), 400, "1214", "messages"),
        (messages(json!([{"role": "user", "content": []}])), 400, "1214", "messages"),
        (messages(json!([{"role": "wizard", "content": "x"}])), 400, "1214", "messages"),
        (
            messages(
                json!([{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "a", "content": "y"}]),
            ),
            400,
            "1214",
            "messages",
        ),
        (see("glm-4-plus", pictures(1)), 400, "1210", "content.type 参数非法, allowed ['text']"),
        (see("glm-4v", json!([video_part("https://a.example/b.mp4")])), 400, "1210", "content.type"),
        (see("glm-4.6v", json!([{"type": "sculpture"}])), 400, "1210", "content.type"),
        (see("glm-4.6v", json!([image_part(tiny()), text_part("")])), 400, "1210", ""),
        (see("glm-4.6v", json!([text_part(""), text_part("?")])), 400, "1210", ""),
        (see("glm-4.6v", pictures(51)), 400, "1210", "输入图片数量超过限制"),
        (see("glm-4v-plus", pictures(6)), 400, "1210", "输入图片数量超过限制"),
        (see("glm-4v-flash", pictures(2)), 400, "1210", "输入图片数量超过限制"),
        (see("glm-4v-flash", json!([image_part(tiny())])), 400, "1210", "图片输入格式/解析错误"),
        (see("glm-4.6v", json!([image_part("AAAA")])), 400, "1210", "图片输入格式/解析错误"),
        (
            see("glm-4.6v", json!([image_part("data:image/png;base64,A")])),
            400,
            "1210",
            "图片输入格式/解析错误",
        ),
        (see("glm-4.6v", json!([image_part("file:///a.jpg")])), 400, "1210", "图片输入格式/解析错误"),
        (
            see("glm-4.6v", json!([image_part(base64(&picture(6001, 1, ImageFormat::Png)))])),
            400,
            "1210",
            "6000*6000",
        ),
        (
            see("glm-4v-plus", json!([text_part("x"), video_part("https://a.example/b.mp4")])),
            400,
            "1210",
            "第一个元素",
        ),
        (
            see(
                "glm-4v-plus",
                json!([video_part("https://a.example/b.mp4"), image_part("https://a.example/b.jpg")]),
            ),
            400,
            "1210",
            "不能同时输入",
        ),
        (see("glm-4v-plus", json!([video_part(base64(&video(31)))])), 400, "1210", "视频时长超过限制"),
        (see("glm-4.6v", json!([video_part(base64(&video(3)))])), 400, "1210", "视频输入格式/解析错误"),
        (with(hi(), "max_tokens", 1025), 400, "1210", "max_tokens参数非法：限制数值范围[1,1024]"),
        (with(hi(), "max_tokens", 0), 400, "1210", "max_tokens参数非法：限制数值范围[1,1024]"),
        (with(hi(), "max_tokens", "9"), 400, "1210", "max_tokens"),
        (with(hi(), "temperature", f64::from(0.8_f32)), 400, "1210", "temperature 参数非法：限制小数点[2]位"),
        (with(hi(), "temperature", 1.01), 400, "1210", "temperature"),
        (with(hi(), "top_p", 0.0), 400, "1210", "top_p"),
        (with(hi(), "top_p", 0.955), 400, "1210", "top_p 参数非法：限制小数点[2]位"),
        (with(hi(), "stop", "x"), 400, "1214", "stop"),
        (with(hi(), "stop", json!(["1", "2", "3", "4", "5"])), 400, "1214", "stop"),
        (with(hi(), "user_id", "short"), 400, "1214", "user_id"),
        (with(hi(), "user_id", "x".repeat(129)), 400, "1214", "user_id"),
        (with(hi(), "request_id", "x".repeat(65)), 400, "1214", "request_id"),
        (
            with(with(hi(), "model", "glm-5.3-flash"), "thinking", json!({"type": "disabled"})),
            400,
            "1210",
            "thinking",
        ),
        (
            with(with(hi(), "model", "glm-5.3-flash"), "reasoning_effort", "medium"),
            400,
            "1210",
            "reasoning_effort",
        ),
        (
            with(hi(), "tools", json!([{"type": "function", "function": {"name": "no spaces"}}])),
            400,
            "1214",
            "tools",
        ),
        (with(hi(), "tools", many_tools), 400, "1214", "tools"),
        (with(hi(), "tool_choice", "required"), 400, "1210", "tool_choice"),
        (question(&"字".repeat(8001)), 400, "1261", ""),
    ]
}

#[tokio::test]
async fn refuses_each_wrong_request_in_the_vendors_words() {
    let emulator = Emulator::start().await.unwrap();
    expect_refusals(&emulator, Surface::Zhipu, wrong()).await;
}

#[tokio::test]
async fn takes_what_is_right_at_the_edge() {
    let emulator = Emulator::start().await.unwrap();
    let hi = || question("hi");
    let tool_turn = json!({"model": "glm-4.6v", "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]},
        {"role": "tool", "tool_call_id": "b", "content": "1"}, {"role": "tool", "tool_call_id": "a", "content": ""},
    ]});
    let right = [
        with(hi(), "max_tokens", 1024),
        with(with(hi(), "temperature", 0.0), "top_p", 0.01),
        with(with(hi(), "temperature", 1), "top_p", 1.0),
        with(with(hi(), "temperature", Value::Null), "thinking", Value::Null),
        with(with(hi(), "store", true), "prompt_cache_key", "k"),
        with(hi(), "reasoning_effort", "medium"),
        with(hi(), "user_id", "sixsix"),
        with(hi(), "request_id", 1.5),
        parts("glm-4.6v", pictures(50)),
        parts("glm-4v-plus", json!([video_part(base64(&video(30))), text_part("x")])),
        parts("glm-4.6v", json!([text_part("x"), video_part("https://a.example/b.mp4"), image_part(tiny())])),
        parts(
            "glm-4.6v",
            json!([{"type": "file", "file": {"file_url": "https://a.example/b.pdf"}}, text_part("x")]),
        ),
        parts("glm-4v", json!([image_part("cdn.example.cn/p/x.jpg"), text_part("x")])),
        tool_turn,
    ];
    expect_answers(&emulator, Surface::Zhipu, right).await;
}

#[tokio::test]
async fn counts_pictures_of_all_turns() {
    let emulator = Emulator::start().await.unwrap();
    let turn = json!({"role": "user", "content": pictures(3)});
    let body =
        json!({"model": "glm-4v-plus", "messages": [turn, {"role": "assistant", "content": "x"}, turn]});
    assert_eq!(chat(&emulator, &body).await.message(), "输入图片数量超过限制");
}

#[tokio::test]
async fn refuses_a_picture_over_five_megabytes() {
    let emulator = Emulator::start().await.unwrap();
    // Bytes behind the end of a BMP do not disturb its decoding.
    let mut bytes = picture(2, 2, ImageFormat::Bmp);
    bytes.resize(5 * 1024 * 1024, 0);
    let body = |bytes: &[u8]| parts("glm-4v", json!([image_part(base64(bytes))]));
    assert_eq!(chat(&emulator, &body(&bytes)).await.status(), 200);
    bytes.push(0);
    let answer = chat(&emulator, &body(&bytes)).await;
    assert_eq!((answer.status(), answer.code().as_str()), (400, "1210"));
    assert!(answer.message().contains("5MB"), "{}", answer.message());
}

#[tokio::test]
async fn speaks_english_when_asked() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(question("hi"), "model", "glm-0").to_string();
    for (header, english) in [("Accept-Language: en-US,en", true), ("Accept-Language: zh-CN", false)] {
        let answer = send(&emulator, "POST", CHAT, &[KEY, header], body.as_bytes()).await;
        assert_eq!(answer.message().is_ascii(), english, "{}", answer.message());
    }
}

#[tokio::test]
async fn refuses_bad_credentials() {
    let emulator = Emulator::builder().key("id.secret").start().await.unwrap();
    let body = question("hi").to_string();
    for (header, status, code) in [
        ("X-Nothing: here", 401, "1001"),
        ("Authorization: Bearer id.wrong", 401, "1000"),
        ("Authorization: Bearer nodot", 401, "1000"),
        (EXPIRED, 401, "1000"),
        ("Authorization: id.secret", 200, ""),
        (KEY, 200, ""),
    ] {
        let answer = send(&emulator, "POST", CHAT, &[header], body.as_bytes()).await;
        assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{header}");
    }
    let open = Emulator::start().await.unwrap();
    let answer = send(&open, "POST", CHAT, &[EXPIRED], body.as_bytes()).await;
    assert_eq!((answer.status(), answer.code().as_str()), (401, "1003"));
}

#[tokio::test]
async fn a_key_without_balance_gets_free_models_alone() {
    let emulator = Emulator::builder().key_without_balance("id.secret").start().await.unwrap();
    let answer = chat(&emulator, &question("hi")).await;
    assert_eq!((answer.status(), answer.code().as_str()), (429, "1113"));
    assert_eq!(chat(&emulator, &with(question("hi"), "model", "glm-4v-flash")).await.status(), 200);
}

#[tokio::test]
async fn audits_the_text_of_the_request() {
    let emulator = Emulator::builder().forbidden_text("forbidden").start().await.unwrap();
    let answer = chat(&emulator, &question("this is forbidden")).await;
    assert_eq!((answer.status(), answer.code().as_str()), (400, "1301"));
    assert_eq!(answer.json()["contentFilter"], json!([{"level": 1, "role": "user"}]));
    assert!(answer.text().starts_with(r#"{"contentFilter""#));
}

#[tokio::test]
async fn a_bad_key_does_not_start_an_emulator() {
    assert!(Emulator::builder().key("nodot").start().await.is_err());
}
