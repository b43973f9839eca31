//! What Zhipu's interface answers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Surface};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn says_what_really_arrived() {
    let emulator = Emulator::start().await.unwrap();
    let (png, jpeg) = (picture(16, 8, ImageFormat::Png), picture(40, 30, ImageFormat::Jpeg));
    let body = parts(
        "glm-4v-plus",
        json!([
            image_part(base64(&png)),
            image_part(format!("data:image/jpeg;base64,{}", base64(&jpeg))),
            image_part("https://a.example/b.jpg"),
            text_part("What is this?"),
        ]),
    );
    let content = chat(&emulator, &body).await.content();
    let lines: Vec<&str> = content.lines().collect();
    assert_eq!(
        lines[0],
        format!(
            "Picture 1: PNG, 16x8 px, mean colour #0ac81e, {} bytes, SHA-256 {}.",
            png.len(),
            sha256(&png)
        )
    );
    assert!(lines[1].starts_with("Picture 2: JPEG, 40x30 px, mean colour #"), "{}", lines[1]);
    assert!(lines[1].ends_with(&format!("{} bytes, SHA-256 {}.", jpeg.len(), sha256(&jpeg))), "{}", lines[1]);
    assert_eq!(lines[2..], ["Picture 3: https://a.example/b.jpg (not fetched).", "You asked: What is this?"]);
}

#[tokio::test]
async fn measures_a_video_and_counts_turns() {
    let emulator = Emulator::start().await.unwrap();
    let film = video(12);
    let body = json!({"model": "glm-4v-plus", "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [video_part(base64(&film)), text_part("one")]},
        {"role": "assistant", "content": [text_part("a film")]},
        {"role": "user", "content": "two"},
    ]});
    let content = chat(&emulator, &body).await.content();
    let expected = format!(
        "System: instructions of 8 characters.\nVideo 1: MP4, 12 s, {} bytes, SHA-256 {}.\nThis is user turn 2; the \
         conversation holds 0 pictures and 1 video.\nYou asked: two",
        film.len(),
        sha256(&film)
    );
    assert_eq!(content, expected);
}

#[tokio::test]
async fn a_json_answer_holds_the_same_facts() {
    let emulator = Emulator::start().await.unwrap();
    let png = picture(4, 4, ImageFormat::Png);
    let body = |question| parts("glm-4v-plus", json!([image_part(base64(&png)), text_part(question)]));
    let ignored = with(body("facts?"), "response_format", json!({"type": "json_object"}));
    let words = chat(&emulator, &ignored).await.content();
    assert!(words.starts_with("Picture 1: PNG"), "models that see have no JSON mode: {words}");
    let asked = body("facts? Answer with a JSON object.");
    let facts: Value = serde_json::from_str(&chat(&emulator, &asked).await.content()).unwrap();
    assert_eq!(
        facts["pictures"],
        json!([{"format": "PNG", "width": 4, "height": 4, "mean_colour": "#0ac81e", "bytes": png.len(), "sha256": sha256(&png)}])
    );
    assert_eq!(facts["question"], "facts? Answer with a JSON object.");
}

#[tokio::test]
async fn a_model_of_text_heeds_its_json_mode() {
    let emulator = Emulator::start().await.unwrap();
    let body = talk("glm-4-plus", json!([{"role": "user", "content": "facts?"}]));
    let body = with(body, "response_format", json!({"type": "json_object"}));
    let facts: Value = serde_json::from_str(&chat(&emulator, &body).await.content()).unwrap();
    assert_eq!(facts["question"], "facts?");
}

#[tokio::test]
async fn a_plain_reply_has_the_shape_of_2026() {
    let emulator = Emulator::start().await.unwrap();
    let answer = chat(&emulator, &with(question("hi"), "request_id", "my-request")).await;
    let reply = answer.json();
    assert_eq!(answer.status(), 200);
    assert_eq!(reply["object"], "chat.completion");
    assert_eq!(reply["model"], "glm-4v-plus");
    assert_eq!(reply["request_id"], "my-request");
    let id = reply["id"].as_str().unwrap();
    assert!(id.len() == 30 && id[..14].bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    assert!(id[14..].bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let usage = &reply["usage"];
    let tokens = |key: &str| usage[key].as_u64().unwrap();
    assert_eq!(tokens("total_tokens"), tokens("prompt_tokens") + tokens("completion_tokens"));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 0);
}

#[tokio::test]
async fn the_legacy_shape_has_numeric_ids_and_no_object() {
    let emulator = Emulator::builder().legacy_shape(true).start().await.unwrap();
    let reply = chat(&emulator, &question("hi")).await.json();
    let id = reply["id"].as_str().unwrap();
    assert!(id.len() == 19 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    assert_eq!((reply.get("object"), reply["usage"].get("prompt_tokens_details")), (None, None));
    let chunks = chat(&emulator, &streamed("hi")).await.chunks();
    assert!(chunks.iter().all(|chunk| chunk.get("object").is_none()));
}

#[tokio::test]
async fn a_stream_carries_the_same_text_in_the_vendors_framing() {
    let emulator = Emulator::start().await.unwrap();
    let plain = chat(&emulator, &question("图里有什么 in this picture?")).await;
    let answer = chat(&emulator, &streamed("图里有什么 in this picture?")).await;
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    assert_eq!(answer.streamed("content"), plain.content());
    assert!(answer.events()[0].starts_with(r#"{"id":""#) && answer.body().1);
    let order: Vec<usize> = ["\"id\"", "\"created\"", "\"object\"", "\"model\"", "\"choices\""]
        .map(|key| answer.events()[0].find(key).unwrap())
        .into();
    assert!(order.is_sorted(), "{order:?}");

    let chunks = answer.chunks();
    let (last, before) = chunks.split_last().unwrap();
    assert!(before.len() > 2);
    for chunk in before {
        assert_eq!(chunk["choices"][0]["delta"]["role"], "assistant");
        assert!(chunk["choices"][0].get("finish_reason").is_none() && chunk.get("usage").is_none());
        assert!(chunk.get("request_id").is_none());
    }
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["usage"]["total_tokens"], plain.json()["usage"]["total_tokens"]);
}

#[tokio::test]
async fn thinking_comes_first_unless_switched_off() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(streamed("hi"), "model", "glm-4.6v");
    let answer = chat(&emulator, &body).await;
    let first_content =
        answer.chunks().iter().position(|chunk| chunk["choices"][0]["delta"]["content"].is_string()).unwrap();
    let reasoning = |chunk: &Value| chunk["choices"][0]["delta"]["reasoning_content"].is_string();
    assert!(first_content > 0);
    assert!(answer.chunks()[..first_content].iter().all(reasoning));
    assert!(!answer.chunks()[first_content..].iter().any(reasoning));

    let off = chat(&emulator, &with(body, "thinking", json!({"type": "disabled"}))).await;
    assert_eq!(off.streamed("reasoning_content"), "");
    let details = off.chunks().last().unwrap()["usage"]["completion_tokens_details"].clone();
    assert_eq!(details["reasoning_tokens"], 0);
}

#[tokio::test]
async fn glm_4_1v_thinks_inside_its_answer_whatever_it_is_told() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(question("hi"), "model", "glm-4.1v-thinking-flash");
    let answer = chat(&emulator, &with(body, "thinking", json!({"type": "disabled"}))).await;
    assert!(answer.content().starts_with("<think>") && answer.content().ends_with("</think>You asked: hi"));
    assert!(answer.json()["choices"][0]["message"].get("reasoning_content").is_none());
    assert!(answer.json()["usage"].get("completion_tokens_details").is_none());
}

#[tokio::test]
async fn few_tokens_go_to_thinking_and_leave_no_answer() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(with(question("hi"), "model", "glm-4.6v"), "max_tokens", 5);
    let reply = chat(&emulator, &body).await.json();
    assert_eq!(reply["choices"][0]["message"]["content"], "");
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    assert_eq!(reply["usage"]["completion_tokens"], 5);
    assert_eq!(reply["usage"]["completion_tokens_details"]["reasoning_tokens"], 5);
}

#[tokio::test]
async fn limits_and_stop_words_cut_the_answer() {
    let emulator = Emulator::start().await.unwrap();
    let cut = chat(&emulator, &with(question("hello world"), "max_tokens", 3)).await.json();
    assert_eq!(cut["choices"][0]["message"]["content"], "You asked:");
    assert_eq!(
        (&cut["choices"][0]["finish_reason"], &cut["usage"]["completion_tokens"]),
        (&json!("length"), &json!(3))
    );
    let stopped = chat(&emulator, &with(question("hello world"), "stop", json!(["world"]))).await.json();
    assert_eq!(stopped["choices"][0]["message"]["content"], "You asked: hello ");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
}

fn tools() -> Value {
    json!([
        {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}},
        {"type": "function", "function": {"name": "clock", "description": "d", "parameters": {}}},
    ])
}

#[tokio::test]
async fn calls_a_tool_and_repeats_its_result() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(with(question("Weather in Paris, please"), "model", "glm-4.6v"), "tools", tools());
    let reply = chat(&emulator, &body).await.json();
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    assert_eq!(call["function"]["arguments"], r#"{"city":"Paris","days":1}"#);

    let mut second = body.clone();
    let messages = second["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "rain"}));
    let answer = chat(&emulator, &second).await;
    assert_eq!(answer.content(), "Tool result 1: rain\nYou asked: Weather in Paris, please");

    let none = chat(&emulator, &with(body, "tool_choice", "none")).await;
    assert_eq!(none.json()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn streams_tool_calls_whole_or_in_pieces() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(with(streamed("Use both for Paris"), "model", "glm-4.6v"), "tools", tools());
    let calls_of = |answer: &Answer| -> Vec<Value> {
        answer
            .chunks()
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned())
            .flatten()
            .collect()
    };
    let whole = calls_of(&chat(&emulator, &body).await);
    assert_eq!(whole.len(), 2);
    assert_eq!((&whole[1]["index"], &whole[1]["function"]["name"]), (&json!(1), &json!("clock")));

    let pieces = calls_of(&chat(&emulator, &with(body, "tool_stream", true)).await);
    assert!(pieces.len() > 4, "{pieces:?}");
    let arguments: String = pieces
        .iter()
        .filter(|piece| piece["index"] == 0)
        .filter_map(|piece| piece["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, whole[0]["function"]["arguments"]);
}

#[tokio::test]
async fn an_asynchronous_task_is_found_done_after_its_polls() {
    let emulator = Emulator::builder().async_polls(2).start().await.unwrap();
    let path = format!("{}/async/chat/completions", Surface::Zhipu.prefix());
    let submitted =
        send(&emulator, "POST", &path, &[KEY], question("later").to_string().as_bytes()).await.json();
    assert_eq!(
        (&submitted["task_status"], &submitted["model"]),
        (&json!("PROCESSING"), &json!("glm-4v-plus"))
    );
    let poll = format!("{}/async-result/{}", Surface::Zhipu.prefix(), submitted["id"].as_str().unwrap());
    let stranger = send(&emulator, "GET", &poll, &["Authorization: other.secret"], b"").await;
    assert_eq!((stranger.status(), stranger.code().as_str()), (400, "1233"));
    for _ in 0..2 {
        let pending = send(&emulator, "GET", &poll, &[KEY], b"").await.json();
        assert_eq!((&pending["task_status"], pending.get("model")), (&json!("PROCESSING"), None));
    }
    let done = send(&emulator, "GET", &poll, &[KEY], b"").await.json();
    assert_eq!((&done["task_status"], done.get("object")), (&json!("SUCCESS"), None));
    assert_eq!(done["choices"][0]["message"]["content"], "You asked: later");
}

#[tokio::test]
async fn records_requests_without_keys_or_media() {
    let emulator = Emulator::start().await.unwrap();
    let png = picture(5, 7, ImageFormat::Png);
    chat(&emulator, &parts("glm-4v-plus", json!([image_part(base64(&png)), text_part("x")]))).await;
    let requests = emulator.requests();
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", CHAT));
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer sha256:{}", sha256(b"id.secret")).as_str())
    );
    let url = &request.body.as_ref().unwrap()["messages"][0]["content"][0]["image_url"]["url"];
    assert_eq!(*url, format!("sha256:{} {} bytes", sha256(&png), png.len()));
    let medium = &request.media[0];
    assert_eq!(
        (medium.format, medium.width, medium.height, medium.bytes),
        (Some("PNG"), Some(5), Some(7), png.len())
    );
    emulator.clear_requests();
    assert!(emulator.requests().is_empty());
}

#[tokio::test]
async fn lists_few_of_its_models() {
    let emulator = Emulator::start().await.unwrap();
    let list = send(&emulator, "GET", "/api/paas/v4/models", &[KEY], b"").await.json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(
        ids.contains(&"glm-5.3-flash") && ids.contains(&"glm-4-plus") && !ids.contains(&"glm-4.6v"),
        "{ids:?}"
    );
}
