use polysight::{Detail, Effort, MediaSource, MessageRole, Sampling, Thinking, ToolChoice};
use serde_json::json;

use super::*;

/// A PNG of one pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

fn read(body: JsonValue) -> Result<ParsedRequest, Refusal> {
    parse(&Bytes::from(body.to_string()), UnknownFields::Pass, &["zhipu".to_owned(), "qwen-vl".to_owned()])
}

/// The request of one user message with these fields.
fn with(fields: JsonValue) -> Result<ParsedRequest, Refusal> {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    read(body)
}

fn content(parts: JsonValue) -> Result<ParsedRequest, Refusal> {
    read(json!({ "model": "m", "messages": [{ "role": "user", "content": parts }] }))
}

fn problem(outcome: Result<ParsedRequest, Refusal>) -> String {
    let refusal = outcome.unwrap_err();
    assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
    refusal.message().to_owned()
}

fn parts(outcome: Result<ParsedRequest, Refusal>) -> Vec<Part> {
    outcome.unwrap().chat.messages[0].parts.clone()
}

#[test]
fn pictures_come_in_every_form_that_clients_send() {
    let uri = format!("data:image/png;base64,{PNG}");
    for part in [
        json!({ "type": "image_url", "image_url": { "url": uri } }),
        json!({ "type": "image_url", "image_url": uri }),
        json!({ "type": "image_url", "image_url": { "url": PNG } }),
        json!({ "type": "input_image", "image_url": uri }),
        json!({ "type": "image", "image": uri }),
        json!({ "type": "image_url", "image_url": { "url": "https://h.example/a.png" } }),
    ] {
        let parts = parts(content(json!([{ "type": "text", "text": "what?" }, part])));
        assert!(matches!(&parts[..], [Part::Text(_), Part::Image(_)]), "{part}");
    }
    let part =
        json!([{ "type": "image_url", "image_url": { "url": uri, "detail": "high" }, "max_pixels": 4096 }]);
    let Part::Image(image) = &parts(content(part))[0] else { panic!("a picture") };
    assert_eq!((image.detail(), image.max_pixels()), (Some(Detail::High), Some(4_096)));
}

#[test]
fn marks_for_a_cache_are_left_out_and_that_is_said() {
    let mark = json!({ "type": "ephemeral" });
    let parsed = content(json!([{ "type": "text", "text": "what?", "cache_control": mark }])).unwrap();
    assert_eq!(parsed.chat.messages[0].parts.len(), 1);
    assert!(parsed.notes[0].contains("cache_control"), "{:?}", parsed.notes);
}

#[test]
fn a_picture_is_a_slice_of_the_body() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{PNG}") } }
    ] }] });
    let body = Bytes::from(body.to_string());
    let parsed = parse(&body, UnknownFields::Pass, &[]).unwrap();
    let Part::Image(image) = &parsed.chat.messages[0].parts[0] else { panic!("a picture") };
    let MediaSource::Base64(text) = image.source() else { panic!("base64") };
    let place = text.text().as_ptr() as usize - body.as_ptr() as usize;
    assert_eq!(&body[place..place + PNG.len()], PNG.as_bytes());
}

#[test]
fn videos_are_links_or_lists_of_frames() {
    let frames = json!([{ "type": "video", "video": ["https://h.example/1.jpg", format!("data:image/png;base64,{PNG}")], "fps": 2 }]);
    let Part::Video(video) = &parts(content(frames))[0] else { panic!("a video") };
    assert_eq!(video.fps(), Some(2.0));
    let link =
        json!([{ "type": "video_url", "video_url": { "url": "https://h.example/a.mp4", "fps": 1.5 } }]);
    let Part::Video(video) = &parts(content(link))[0] else { panic!("a video") };
    assert_eq!(video.fps(), Some(1.5));
}

#[test]
fn a_part_that_cannot_be_read_is_named_with_the_way_out() {
    let cut = format!("data:image/png;base64,{}", &PNG[..41]);
    for (part, path, words) in [
        (json!({ "type": "image_url" }), "messages[0].content[0].image_url.url", "missing"),
        (
            json!({ "type": "image_url", "image_url": { "url": "" } }),
            "messages[0].content[0].image_url.url",
            "empty",
        ),
        (json!({ "type": "image_url", "image_url": cut }), "messages[0].content[0].image_url", "cut off"),
        (
            json!({ "type": "image_url", "image_url": "data:text/plain,x" }),
            "messages[0].content[0].image_url",
            "base64",
        ),
        (
            json!({ "type": "image_url", "image_url": "a.jpg" }),
            "messages[0].content[0].image_url",
            "no scheme",
        ),
        (
            json!({ "type": "image_url", "image_url": "file:///etc/passwd" }),
            "messages[0].content[0].image_url",
            "path",
        ),
        (json!({ "type": "input_audio" }), "messages[0].content[0].type", "not supported"),
        (json!({ "text": "x" }), "messages[0].content[0].type", "missing"),
        (json!(7), "messages[0].content[0]", "a number"),
    ] {
        let problem = problem(content(json!([part])));
        assert!(problem.contains(path) && problem.contains(words), "{part}: {problem}");
    }
}

#[test]
fn every_fault_is_in_one_error() {
    let text = problem(read(json!({
        "messages": [{ "role": "robot" }, { "role": "user", "content": 5 }],
        "n": 3, "logprobs": true, "stream": "yes", "temperature": "hot", "functions": [],
        "tools": [{ "type": "web_search" }], "tool_choice": "maybe", "response_format": { "type": "xml" },
        "thinking": { "type": "deep" }, "stop": [1], "max_tokens": 0,
    })));
    for path in [
        "messages[0].role",
        "messages[1].content",
        "n: 3 answers",
        "logprobs",
        "stream: this is a text",
        "temperature",
        "functions",
        "tools[0].type",
        "tool_choice",
        "response_format.type",
        "thinking.type",
        "stop[0]",
        "max_tokens: it is 0",
        "model: it is missing",
    ] {
        assert!(text.contains(path), "{path}: {text}");
    }
}

#[test]
fn thinking_is_understood_in_every_spelling() {
    for (fields, thinking) in [
        (json!({}), Thinking::Default),
        (json!({ "enable_thinking": true }), Thinking::On),
        (json!({ "enable_thinking": true, "thinking_budget": 500 }), Thinking::Budget(500)),
        (json!({ "thinking": { "type": "disabled" } }), Thinking::Off),
        (json!({ "thinking": { "type": "enabled", "budget_tokens": 9 } }), Thinking::Budget(9)),
        (json!({ "chat_template_kwargs": { "enable_thinking": false } }), Thinking::Off),
        (json!({ "reasoning_effort": "high" }), Thinking::Effort(Effort::High)),
        (json!({ "reasoning_effort": "none" }), Thinking::Off),
        (json!({ "reasoning": { "effort": "low" } }), Thinking::Effort(Effort::Low)),
        (json!({ "enable_thinking": false, "reasoning_effort": "high" }), Thinking::Off),
    ] {
        let parsed = with(fields.clone()).unwrap();
        assert_eq!(parsed.chat.thinking, thinking, "{fields}");
        assert!(parsed.chat.extras.is_empty(), "{fields}");
    }
    let parsed = with(json!({ "chat_template_kwargs": { "enable_thinking": true, "tone": "dry" } })).unwrap();
    assert_eq!(parsed.chat.extras["zhipu"]["chat_template_kwargs"], json!({ "tone": "dry" }));
}

#[test]
fn settings_of_the_answer() {
    let parsed = with(json!({
        "temperature": 0.7, "top_p": 0.9, "presence_penalty": 0, "max_tokens": 10, "max_completion_tokens": 20,
        "stop": "END", "seed": 7, "user": "u-1", "stream": true, "stream_options": { "include_usage": true },
        "top_logprobs": null, "n": 1, "logprobs": false,
    }))
    .unwrap();
    assert!(parsed.stream && parsed.include_usage);
    let chat = parsed.chat;
    let Sampling::Random(random) = chat.sampling else { panic!("at random") };
    assert_eq!((random.temperature, random.top_p, random.presence_penalty), (Some(0.7), Some(0.9), None));
    assert_eq!((chat.max_tokens, chat.stop, chat.seed), (Some(20), vec!["END".to_owned()], Some(7)));
    assert_eq!(chat.end_user_id.as_deref(), Some("u-1"));
    assert!(parsed.notes[0].contains("max_tokens (10)"), "{:?}", parsed.notes);
    assert_eq!(with(json!({ "temperature": 0 })).unwrap().chat.sampling, Sampling::Greedy);
    assert_eq!(with(json!({ "do_sample": false })).unwrap().chat.sampling, Sampling::Greedy);
}

#[test]
fn a_round_of_tool_calls_keeps_its_reasoning() {
    let body = json!({ "model": "m", "tools": [{ "type": "function", "function": { "name": "look" } }], "tool_choice": "required",
        "messages": [
            { "role": "developer", "content": "be brief" },
            { "role": "user", "content": "hi", "name": "ann" },
            { "role": "assistant", "content": null, "reasoning_content": "hm",
              "tool_calls": [{ "id": "c1", "type": "function", "function": { "name": "look", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": [{ "type": "text", "text": "red" }] },
        ] });
    let parsed = read(body).unwrap();
    let chat = &parsed.chat;
    assert_eq!(chat.messages[0].role, MessageRole::System);
    assert!(
        matches!(&chat.messages[2].parts[..], [Part::Reasoning(_), Part::ToolCall(call)] if call.id == "c1")
    );
    assert!(matches!(&chat.messages[3].parts[..], [Part::ToolResult(result)] if result.content == "red"));
    assert_eq!(chat.tool_choice, ToolChoice::Required);
    assert_eq!(chat.extras["zhipu"]["clear_thinking"], json!(false));
    assert_eq!(chat.extras["qwen-vl"]["preserve_thinking"], json!(true));
    let picture = json!({ "model": "m", "messages": [{ "role": "tool", "tool_call_id": "c", "content": [
        { "type": "image_url", "image_url": { "url": "https://h.example/a.png" } }] }] });
    assert!(problem(read(picture)).contains("user message"));
}

#[test]
fn unknown_fields_are_passed_or_refused_and_named() {
    let fields = json!({ "vl_high_resolution_images": true, "extra_body": { "safe_prompt": 1 } });
    let parsed = with(fields.clone()).unwrap();
    assert_eq!(
        parsed.chat.extras["qwen-vl"],
        *json!({ "vl_high_resolution_images": true, "safe_prompt": 1 }).as_object().unwrap()
    );
    assert!(parsed.notes[0].contains("`safe_prompt`"), "{:?}", parsed.notes);
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let text = problem(parse(&Bytes::from(body.to_string()), UnknownFields::Refuse, &[]));
    assert!(
        text.contains("vl_high_resolution_images: this field is unknown") && text.contains("safe_prompt"),
        "{text}"
    );
}

#[test]
fn json_that_is_none_is_refused_without_showing_it() {
    for body in ["", "{", "[]", "{\"model\": canary}", "{\"a\": 1} canary", "\u{0}"] {
        let refusal = parse(&Bytes::from(body), UnknownFields::Pass, &[]).unwrap_err();
        assert_eq!((refusal.status.as_u16(), refusal.code()), (400, "invalid_json"), "{body}");
        assert!(!refusal.message().contains("canary"), "{}", refusal.message());
    }
}
