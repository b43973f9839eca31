//! What Alibaba's two interfaces answer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use common::*;
use image::ImageFormat;
use polysight_emulator::{Emulator, Surface};
use serde_json::{Value, json};

const COMPATIBLE: Surface = Surface::DashScopeCompatible;
const NATIVE: Surface = Surface::DashScopeNative;

fn ask_about(model: &str, text: &str) -> Value {
    talk(model, json!([{"role": "user", "content": text}]))
}

#[tokio::test]
async fn a_plain_reply_of_compatible_mode_tells_pictures_from_words() {
    let emulator = Emulator::start().await.unwrap();
    let body = parts("qwen3-vl-plus", json!([image_part(png(640, 480)), text_part("What is this?")]));
    let answer = ask(&emulator, COMPATIBLE, &body).await;
    let reply = answer.json();
    assert!(answer.content().starts_with("Picture 1: PNG, 640x480 px, mean colour #0ac81e, "));
    assert!(answer.content().ends_with("\nYou asked: What is this?"));
    let usage = &reply["usage"];
    assert_eq!(
        usage["prompt_tokens_details"],
        json!({"image_tokens": 302, "text_tokens": 12, "cached_tokens": 0})
    );
    assert_eq!(usage["prompt_tokens"], 314);
    assert_eq!(usage["completion_tokens_details"]["text_tokens"], usage["completion_tokens"]);
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(reply["id"], format!("chatcmpl-{id}"));
    assert_eq!(reply["object"], "chat.completion");
    assert!(answer.text().starts_with(r#"{"choices":[{"message":{"role":"assistant""#));
    assert_eq!(answer.header("x-dashscope-finished").as_deref(), Some("true"));
}

#[tokio::test]
async fn a_stream_of_compatible_mode_begins_with_the_role() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(ask_about("qwen3-vl-plus", "hello there"), "stream", true);
    let body = with(body, "stream_options", json!({"include_usage": true}));
    let answer = ask(&emulator, COMPATIBLE, &body).await;
    let chunks = answer.chunks();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"content": "", "role": "assistant"}));
    assert!(chunks[1..].iter().all(|chunk| chunk["choices"][0]["delta"].get("role").is_none()));
    assert_eq!(answer.streamed("content"), "You asked: hello there");
    let [.., finish, usage] = chunks.as_slice() else { panic!("{chunks:?}") };
    assert_eq!((&finish["choices"][0]["finish_reason"], &finish["usage"]), (&json!("stop"), &Value::Null));
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["total_tokens"].is_u64());
}

#[tokio::test]
async fn thinking_needs_a_stream_and_comes_first() {
    let emulator = Emulator::start().await.unwrap();
    let body = with(with(ask_about("qwen3-vl-plus", "hi"), "enable_thinking", true), "stream", true);
    let answer = ask(&emulator, COMPATIBLE, &body).await;
    assert!(answer.streamed("reasoning_content").starts_with("The request brings 0 pictures"));
    assert_eq!(answer.streamed("content"), "You asked: hi");
    let thought = answer.chunks()[1]["choices"][0]["delta"].clone();
    assert!(thought.get("content").is_some_and(Value::is_null), "{thought}");

    let budget = ask(&emulator, COMPATIBLE, &with(body.clone(), "thinking_budget", 2)).await;
    assert_eq!(budget.streamed("reasoning_content"), "The requ");
    assert_eq!(budget.streamed("content"), "You asked: hi");

    let plain = ask(&emulator, COMPATIBLE, &with(body, "stream", false)).await;
    assert_eq!((plain.status(), plain.code().as_str()), (400, "invalid_parameter_error"));
    assert_eq!(plain.message(), "parameter.enable_thinking must be set to false for non-streaming calls");

    // Families differ in what they do by default.
    let newer = ask(&emulator, COMPATIBLE, &ask_about("qwen3.5-plus", "hi")).await;
    assert!(newer.json()["choices"][0]["message"]["reasoning_content"].is_string());
    let always = ask(&emulator, COMPATIBLE, &ask_about("qvq-max", "hi")).await;
    assert!(always.status() == 400 && always.message().starts_with("This model only support stream mode"));
}

#[tokio::test]
async fn one_limit_covers_thinking_and_the_other_does_not() {
    let emulator = Emulator::start().await.unwrap();
    let body = ask_about("qwen3.5-plus", "hello world");
    let answer = ask(&emulator, COMPATIBLE, &with(body.clone(), "max_tokens", 3)).await;
    assert_eq!(answer.content(), "You asked:");
    let answer = ask(&emulator, COMPATIBLE, &with(body, "max_completion_tokens", 3)).await;
    assert_eq!(
        (answer.content().as_str(), &answer.json()["choices"][0]["finish_reason"]),
        ("", &json!("length"))
    );
}

#[tokio::test]
async fn a_plain_reply_of_the_native_path_has_lists_of_parts() {
    let emulator = Emulator::start().await.unwrap();
    let content = json!([{"image": png(640, 480)}, {"text": "hi"}]);
    let answer = ask(&emulator, NATIVE, &native("qwen3-vl-plus", content, json!({}))).await;
    let reply = answer.json();
    let choice = &reply["output"]["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert!(
        choice["message"]["content"][0]["text"].as_str().unwrap().starts_with("Picture 1: PNG, 640x480 px")
    );
    assert_eq!(reply["usage"]["image_tokens"], 302);
    assert_eq!(reply["usage"]["input_tokens"], 302 + 1 + 8);
    assert_eq!(reply["request_id"], answer.header("x-request-id").unwrap());
}

#[tokio::test]
async fn a_native_stream_has_numbered_events_and_no_done() {
    let emulator = Emulator::start().await.unwrap();
    let body = native("qwen3-vl-plus", json!([{"text": "hello there"}]), json!({"incremental_output": true}));
    let answer = ask_with(&emulator, NATIVE, &[SSE], &body).await;
    let events = answer.native_events();
    let choice = |event: &(u16, Value)| event.1["output"]["choices"][0].clone();
    let text: String = events
        .iter()
        .filter_map(|event| choice(event)["message"]["content"][0]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(text, "You asked: hello there");
    let (last, before) = events.split_last().unwrap();
    assert!(before.iter().all(|event| choice(event)["finish_reason"] == "null"));
    assert_eq!(
        (&choice(last)["finish_reason"], &choice(last)["message"]["content"]),
        (&json!("stop"), &json!([]))
    );
    let spent: Vec<u64> =
        events.iter().map(|event| event.1["usage"]["output_tokens"].as_u64().unwrap()).collect();
    assert!(spent.is_sorted() && spent[0] > 0, "{spent:?}");
    assert_eq!(answer.header("x-dashscope-finished").as_deref(), Some("false"));
    assert!(!answer.text().contains("[DONE]"));
}

#[tokio::test]
async fn a_native_stream_may_repeat_all_that_was_said() {
    let emulator = Emulator::start().await.unwrap();
    let body =
        native("qwen3-vl-plus", json!([{"text": "hello there"}]), json!({"incremental_output": false}));
    let events = ask_with(&emulator, NATIVE, &[SSE], &body).await.native_events();
    let texts: Vec<&str> = events
        .iter()
        .map(|(_, event)| event["output"]["choices"][0]["message"]["content"][0]["text"].as_str().unwrap())
        .collect();
    assert!(texts.windows(2).all(|pair| pair[1].starts_with(pair[0])), "{texts:?}");
    assert_eq!(texts.last(), Some(&"You asked: hello there"));
    // Older models do so unless it is switched off.
    let older = native("qwen-vl-max", json!([{"text": "hello there"}]), json!({}));
    let events = ask_with(&emulator, NATIVE, &[SSE], &older).await.native_events();
    assert_eq!(
        events.last().unwrap().1["output"]["choices"][0]["message"]["content"][0]["text"],
        *texts.last().unwrap()
    );
}

#[tokio::test]
async fn hints_change_the_tokens_of_a_picture() {
    let emulator = Emulator::start().await.unwrap();
    let tokens = async |part: Value, extra: Option<&str>| {
        let body = parts("qwen3-vl-plus", json!([part, text_part("x")]));
        let body = match extra {
            Some(flag) => with(body, flag, true),
            None => body,
        };
        ask(&emulator, COMPATIBLE, &body).await.json()["usage"]["prompt_tokens_details"]["image_tokens"]
            .clone()
    };
    let beside = json!({"type": "image_url", "image_url": {"url": png(1024, 768)}, "max_pixels": 262_144});
    let inside = json!({"type": "image_url", "image_url": {"url": png(1024, 768), "max_pixels": 262_144}});
    assert_eq!(tokens(image_part(png(1024, 768)), None).await, 770);
    assert_eq!(tokens(beside.clone(), None).await, 18 * 13 + 2);
    assert_eq!(tokens(inside, None).await, 18 * 13 + 2);
    assert_eq!(tokens(beside, Some("vl_high_resolution_images")).await, 770);
    let larger = json!({"type": "image_url", "image_url": {"url": png(20, 20)}, "min_pixels": 262_144});
    assert_eq!(tokens(larger, None).await, 16 * 16 + 2);
}

#[tokio::test]
async fn tells_the_size_to_which_pictures_are_brought() {
    let emulator = Emulator::start().await.unwrap();
    let content = json!([{"image": png(640, 480)}, {"image": png(100, 20)}, {"text": "hi"}]);
    let body = native("qwen2.5-vl-7b-instruct", content, json!({"vl_enable_image_hw_output": true}));
    let reply = ask(&emulator, NATIVE, &body).await.json();
    let parts = reply["output"]["choices"][0]["message"]["content"].clone();
    assert_eq!(parts[1], json!({"image_hw": [[476, 644], [28, 112]]}));
}

#[tokio::test]
async fn measures_every_frame_of_a_list() {
    let emulator = Emulator::start().await.unwrap();
    let frames = json!([png(1280, 720), png(640, 360), "https://a.example/c.jpg", png(1280, 720)]);
    let compatible =
        parts("qwen3-vl-plus", json!([{"type": "video", "video": frames, "fps": 2}, text_part("x")]));
    let answer = ask(&emulator, COMPATIBLE, &compatible).await;
    let content = answer.content();
    let lines: Vec<&str> = content.lines().collect();
    assert_eq!(lines[0], "Video 1: 4 frames.");
    assert!(
        lines[1].starts_with("Video 1, frame 1: PNG, 1280x720 px, mean colour #0ac81e, "),
        "{}",
        lines[1]
    );
    assert!(lines[2].starts_with("Video 1, frame 2: PNG, 640x360 px"), "{}", lines[2]);
    assert_eq!(lines[3], "Video 1, frame 3: https://a.example/c.jpg (not fetched).");
    assert_eq!(answer.json()["usage"]["prompt_tokens_details"]["video_tokens"], 1190);

    let native = native("qwen3-vl-plus", json!([{"video": frames, "fps": 2}, {"text": "x"}]), json!({}));
    let reply = ask(&emulator, NATIVE, &native).await.json();
    assert_eq!(reply["output"]["choices"][0]["message"]["content"][0]["text"], content);
    assert_eq!(reply["usage"]["video_tokens"], 1190);
}

#[tokio::test]
async fn measures_a_video_file() {
    let emulator = Emulator::start().await.unwrap();
    let film = data_uri(&video(12), "video/mp4");
    let body = parts(
        "qwen3-vl-plus",
        json!([{"type": "video_url", "video_url": {"url": film}, "fps": 1}, text_part("x")]),
    );
    let answer = ask(&emulator, COMPATIBLE, &body).await;
    assert!(answer.content().starts_with("Video 1: MP4, 12 s, "), "{}", answer.text());
}

#[tokio::test]
async fn reads_tiff_by_its_header_and_refuses_gif() {
    let emulator = Emulator::start().await.unwrap();
    let entry = |tag: u16, value: u32| {
        [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()[..]].concat()
    };
    let tiff = [b"II*\0\x08\0\0\0\x02\0".to_vec(), entry(256, 40), entry(257, 30), vec![0; 4]].concat();
    let body = parts("qwen3-vl-plus", json!([image_part(data_uri(&tiff, "image/tiff")), text_part("x")]));
    let content = ask(&emulator, COMPATIBLE, &body).await.content();
    assert!(
        content.starts_with(&format!("Picture 1: TIFF, 40x30 px, {} bytes, SHA-256 ", tiff.len())),
        "{content}"
    );

    let gif = data_uri(&picture(20, 20, ImageFormat::Gif), "image/gif");
    let refused = ask(&emulator, COMPATIBLE, &parts("qwen3-vl-plus", json!([image_part(gif)]))).await;
    assert_eq!(refused.status(), 400);
}

fn tools() -> Value {
    json!([
        {"type": "function", "function": {"name": "clock"}},
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object",
            "properties": {"city": {"type": "string"}}}}},
    ])
}

#[tokio::test]
async fn calls_tools_in_both_dialects() {
    let emulator = Emulator::start().await.unwrap();
    let choice = json!({"type": "function", "function": {"name": "weather"}});
    let body =
        with(with(ask_about("qwen3-vl-plus", "Weather in Paris"), "tools", tools()), "tool_choice", choice);
    let reply = ask(&emulator, COMPATIBLE, &body).await.json();
    let call = reply["choices"][0]["message"]["tool_calls"][0].clone();
    assert_eq!(
        (&call["function"]["name"], &reply["choices"][0]["finish_reason"]),
        (&json!("weather"), &json!("tool_calls"))
    );
    let streamed = ask(&emulator, COMPATIBLE, &with(body, "stream", true)).await;
    let pieces: Vec<Value> = streamed
        .chunks()
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned())
        .flatten()
        .collect();
    assert!(pieces[0]["id"].as_str().unwrap().starts_with("call_"));
    assert!(pieces[1..].iter().all(|piece| piece["id"] == "" && piece["index"] == 0), "{pieces:?}");

    let body = native("qwen3-vl-plus", json!([{"text": "Use both for Paris"}]), json!({"tools": tools()}));
    let reply = ask(&emulator, NATIVE, &body).await.json();
    let choice = &reply["output"]["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &json!([])));
    assert_eq!(choice["message"]["tool_calls"][1]["function"]["arguments"], r#"{"city":"Paris"}"#);
    let events = ask_with(&emulator, NATIVE, &[SSE], &body).await.native_events();
    assert_eq!(events.last().unwrap().1["output"]["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn an_object_must_be_asked_for_in_words_too() {
    let emulator = Emulator::start().await.unwrap();
    let format = json!({"type": "json_object"});
    let body = with(ask_about("qwen3-vl-plus", "as JSON, please"), "response_format", format.clone());
    let facts: Value = serde_json::from_str(&ask(&emulator, COMPATIBLE, &body).await.content()).unwrap();
    assert_eq!(facts["question"], "as JSON, please");
    let silent = with(ask_about("qwen3-vl-plus", "as an object"), "response_format", format);
    assert!(ask(&emulator, COMPATIBLE, &silent).await.message().contains("must contain the word 'json'"));
}

#[tokio::test]
async fn lists_its_models() {
    let emulator = Emulator::start().await.unwrap();
    let list = send(&emulator, "GET", "/compatible-mode/v1/models", &[DASHSCOPE_KEY], b"").await.json();
    let count = list["data"].as_array().unwrap().len();
    assert!(count > 30);
    let path = "/api/v1/models?page_no=2&page_size=10";
    let page = send(&emulator, "GET", path, &[DASHSCOPE_KEY], b"").await.json();
    assert_eq!(
        (&page["output"]["total"], page["output"]["models"].as_array().unwrap().len()),
        (&json!(count), 10)
    );
    let one = send(&emulator, "GET", "/api/v1/models?model=qvq-max", &[DASHSCOPE_KEY], b"").await.json();
    assert_eq!(one["output"]["models"][0]["model"], "qvq-max");
}

#[tokio::test]
async fn holds_keys_to_quotas_when_told() {
    let emulator = Emulator::builder().quotas(true).start().await.unwrap();
    for _ in 0..60 {
        let body = with(ask_about("qvq-max", "hi"), "stream", true);
        assert_eq!(ask(&emulator, COMPATIBLE, &body).await.status(), 200);
    }
    let refused = ask(&emulator, COMPATIBLE, &ask_about("qvq-max", "hi")).await;
    assert_eq!((refused.status(), refused.code().as_str()), (429, "limit_requests"));
}

#[tokio::test]
async fn an_answer_is_an_object_of_the_schema_wherever_that_stands() {
    let emulator = Emulator::start().await.unwrap();
    let schema = json!({"type": "object", "properties": {
        "width": {"type": "integer"}, "format": {"enum": ["JPEG", "PNG"]}, "shop": {"type": "string", "minLength": 1}}});
    let about = |words: &str| parts("qwen3-vl-plus", json!([image_part(png(64, 48)), text_part(words)]));
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let words = format!("Follow this JSON Schema:\n{schema}\nand nothing else.");
    let wanted = json!({"width": 64, "format": "PNG", "shop": "the shop"});
    for body in [
        with(about("Read it."), "response_format", format),
        with(about(&words), "response_format", json!({"type": "json_object"})),
        about(&words),
    ] {
        let answer = ask(&emulator, COMPATIBLE, &body).await.content();
        assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), wanted, "{answer}");
    }
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
    let choice = json!({"type": "function", "function": {"name": "f"}});
    let reply =
        ask(&emulator, COMPATIBLE, &with(with(about("Read it."), "tools", tool), "tool_choice", choice))
            .await;
    let arguments = &reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
    let arguments: Value = serde_json::from_str(arguments.as_str().unwrap()).unwrap();
    assert_eq!((&arguments["width"], &arguments["format"]), (&json!(64), &json!("PNG")));
    emulator.script("broken-json=trailing-comma".parse().unwrap());
    assert!(ask(&emulator, COMPATIBLE, &about(&words)).await.content().ends_with(",}"));
}

#[tokio::test]
async fn an_ocr_model_fills_in_a_form() {
    let emulator = Emulator::start().await.unwrap();
    let body = |form: &Value, task: &str| {
        let options = json!({"task": task, "task_config": {"result_schema": form}});
        let content = json!([{"image": png(64, 48)}]);
        native("qwen-vl-ocr", content, json!({"ocr_options": options}))
    };
    let form = json!({"width": "in pixels", "payer": {"name": "", "age": "a whole number"}});
    let task = "key_information_extraction";
    let values = json!({"width": "64", "payer": {"name": "the name", "age": "1"}});
    let reply = ask(&emulator, NATIVE, &body(&form, task)).await.json();
    let part = &reply["output"]["choices"][0]["message"]["content"][0];
    assert_eq!(part["ocr_result"]["kv_result"], values);
    assert!(part["text"].as_str().unwrap().starts_with("```json\n{"));
    let events = ask_with(&emulator, NATIVE, &[SSE], &body(&form, task)).await.native_events();
    assert!(
        events.iter().all(|(_, event)| !event.to_string().contains("ocr_result")),
        "streams have the text alone"
    );
    let deep = json!({"a": {"b": {"c": {"d": ""}}}});
    assert!(ask(&emulator, NATIVE, &body(&deep, task)).await.text().contains("3 levels"));
    assert!(ask(&emulator, NATIVE, &body(&form, "read")).await.text().contains("ocr_options.task"));
}

#[tokio::test]
async fn a_marked_beginning_is_kept_and_then_read_from_the_cache() {
    let emulator = Emulator::start().await.unwrap();
    let guide = "Look for hats. ".repeat(500);
    let mark = json!({"type": "ephemeral"});
    let mut details = Vec::new();
    for (surface, question) in
        [(COMPATIBLE, "first?"), (COMPATIBLE, "second?"), (NATIVE, "first?"), (NATIVE, "second?")]
    {
        let (text, question) = match surface {
            COMPATIBLE => (
                json!({"type": "text", "text": guide, "cache_control": mark}),
                json!({"type": "text", "text": question}),
            ),
            _ => (json!({"text": guide, "cache_control": mark}), json!({"text": question})),
        };
        let messages = json!([{"role": "user", "content": [text, question]}]);
        let body = match surface {
            COMPATIBLE => talk("qwen3-vl-plus", messages),
            _ => json!({"model": "qwen3-vl-plus", "input": {"messages": messages}}),
        };
        let reply = ask(&emulator, surface, &body).await.json();
        let details_of = &reply["usage"]["prompt_tokens_details"];
        details
            .push((details_of["cached_tokens"].clone(), details_of["cache_creation_input_tokens"].clone()));
    }
    // Four tokens a sentence, and eight around the message. Both interfaces share the cache of the account.
    let kept = json!(500 * 4 + 8);
    assert_eq!(
        details,
        [
            (json!(0), kept.clone()),
            (kept.clone(), Value::Null),
            (kept.clone(), Value::Null),
            (kept, Value::Null)
        ]
    );
}
