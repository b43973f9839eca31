//! Answers that a test has prepared: in Rust, by header and by control call, on every surface, plain and streamed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod common;

use common::*;
use polysight_emulator::{Emulator, Fault, Surface};
use serde_json::{Value, json};

/// Each surface that answers chat requests, with a model that does not think.
const SURFACES: [(Surface, &str); 5] = [
    (Surface::Zhipu, "glm-4v-plus"),
    (Surface::DashScopeCompatible, "qwen-vl-max"),
    (Surface::DashScopeNative, "qwen-vl-max"),
    (Surface::Qianfan, "ernie-4.5-turbo-vl"),
    (Surface::Gateway, "GLM-4V-Plus"),
];

const ANSWERS: &str = "/polysight/answers";

/// What a client reads of an answer, whatever its shape.
#[derive(Debug, Default, PartialEq)]
struct Read {
    text: String,
    /// Name and arguments.
    calls: Vec<(String, String)>,
    finish: String,
    completion_tokens: u64,
}

impl Read {
    fn text(text: &str) -> (&str, Vec<(String, String)>, &'static str) {
        (text, Vec::new(), "stop")
    }

    /// Adds a message, or a delta of one.
    fn add(&mut self, message: &Value) {
        match &message["content"] {
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .for_each(|text| self.text.push_str(text)),
            content => self.text.push_str(content.as_str().unwrap_or_default()),
        }
        for (place, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let index = call["index"].as_u64().map_or(place, |index| usize::try_from(index).unwrap());
            if self.calls.len() <= index {
                self.calls.push(Default::default());
            }
            self.calls[index].0.push_str(call["function"]["name"].as_str().unwrap_or_default());
            self.calls[index].1.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
    }

    fn end(&mut self, choice: &Value, usage: &Value) {
        if let Some(finish) = choice["finish_reason"].as_str().filter(|finish| *finish != "null") {
            self.finish = finish.to_owned();
        }
        for key in ["completion_tokens", "output_tokens"] {
            self.completion_tokens = usage[key].as_u64().unwrap_or(self.completion_tokens);
        }
    }

    fn parts(&self) -> (&str, Vec<(String, String)>, &str) {
        (&self.text, self.calls.clone(), &self.finish)
    }
}

fn request(surface: Surface, model: &str, streamed: bool) -> (Value, Vec<&'static str>) {
    if surface == Surface::DashScopeNative {
        let body = native(model, json!([{"text": "What is this?"}]), json!({"incremental_output": true}));
        return (body, if streamed { vec![SSE] } else { Vec::new() });
    }
    let body = json!({"model": model, "messages": [{"role": "user", "content": "What is this?"}],
        "stream": streamed, "stream_options": {"include_usage": true}});
    (body, Vec::new())
}

async fn read(
    emulator: &Emulator,
    (surface, model): (Surface, &str),
    streamed: bool,
    headers: &[&str],
) -> Read {
    let (body, own) = request(surface, model, streamed);
    let answer = ask_with(emulator, surface, &[own.as_slice(), headers].concat(), &body).await;
    assert_eq!(answer.status(), 200, "{surface:?}: {}", answer.text());
    let mut read = Read::default();
    if surface == Surface::DashScopeNative {
        let bodies = match streamed {
            true => answer.native_events().into_iter().map(|(_, event)| event).collect(),
            false => vec![answer.json()],
        };
        for body in bodies {
            let choice = &body["output"]["choices"][0];
            read.add(&choice["message"]);
            read.end(choice, &body["usage"]);
        }
        return read;
    }
    let (bodies, key) = if streamed { (answer.chunks(), "delta") } else { (vec![answer.json()], "message") };
    for body in bodies {
        read.add(&body["choices"][0][key]);
        read.end(&body["choices"][0], &body["usage"]);
    }
    read
}

fn call(name: &str, arguments: &str) -> (String, Vec<(String, String)>) {
    (String::new(), vec![(name.to_owned(), arguments.to_owned())])
}

#[tokio::test]
async fn the_next_requests_take_them_in_order_on_every_surface_plain_and_streamed() {
    let emulator = Emulator::start().await.unwrap();
    for target in SURFACES {
        for streamed in [false, true] {
            emulator.answer("A red bicycle, 红色的。").unwrap();
            emulator.answer_json(json!({"wheels": 2})).unwrap();
            emulator.answer_call("repaint", json!({"colour": "blue", "coats": [1, 2]})).unwrap();
            emulator.answer_calls([("a", json!({})), ("b", json!({"x": "\"看\""}))]).unwrap();
            assert_eq!(emulator.queued_answers(), 4);
            let shown = format!("{target:?}, streamed: {streamed}");
            let text = read(&emulator, target, streamed, &[]).await;
            assert_eq!(text.parts(), Read::text("A red bicycle, 红色的。"), "{shown}");
            // By the rule of the emulator: one for "A", "red" and each wide character, three for "bicycle,".
            assert_eq!(text.completion_tokens, 1 + 1 + 2 + 4, "{shown}");
            let object = read(&emulator, target, streamed, &[]).await;
            assert_eq!(object.parts(), Read::text(r#"{"wheels":2}"#), "{shown}");
            let called = read(&emulator, target, streamed, &[]).await;
            let (_, expected) = call("repaint", r#"{"coats":[1,2],"colour":"blue"}"#);
            assert_eq!(called.parts(), ("", expected, "tool_calls"), "{shown}");
            assert!(called.completion_tokens > 0, "{shown}");
            let both = read(&emulator, target, streamed, &[]).await;
            let expected = vec![("a".into(), "{}".into()), ("b".into(), r#"{"x":"\"看\""}"#.into())];
            assert_eq!(both.parts(), ("", expected, "tool_calls"), "{shown}");
            let facts = read(&emulator, target, streamed, &[]).await;
            assert_eq!(facts.parts(), Read::text("You asked: What is this?"), "{shown}");
        }
    }
}

#[tokio::test]
async fn headers_answer_their_own_request_and_leave_the_queue_alone() {
    let emulator = Emulator::start().await.unwrap();
    emulator.answer("queued").unwrap();
    for target in SURFACES {
        for streamed in [false, true] {
            let shown = format!("{target:?}, streamed: {streamed}");
            for (header, text) in [
                ("x-polysight-answer: A cat", "A cat"),
                ("x-polysight-answer: %E7%8C%AB%0Atwo lines", "猫\ntwo lines"),
                ("x-polysight-answer: 100% 猫", "100% 猫"),
                (r#"x-polysight-answer-json: {"z":1, "a":"\u732b"}"#, r#"{"z":1, "a":"\u732b"}"#),
            ] {
                let read = read(&emulator, target, streamed, &[header]).await;
                assert_eq!(read.parts(), Read::text(text), "{shown}");
            }
            let headers =
                ["x-polysight-answer: Let me look.", r#"x-polysight-answer-call: find={"q":"a=b"}"#];
            let read = read(&emulator, target, streamed, &headers).await;
            let (_, expected) = call("find", r#"{"q":"a=b"}"#);
            assert_eq!(read.parts(), ("Let me look.", expected, "tool_calls"), "{shown}");
        }
    }
    assert_eq!(emulator.queued_answers(), 1);
}

#[tokio::test]
async fn a_control_call_queues_them_for_tests_in_other_languages() {
    let emulator = Emulator::start().await.unwrap();
    for target in SURFACES {
        for streamed in [false, true] {
            let body = r#"[{"text":"one"},{"json":{"n":2}},{"calls":[{"name":"f","arguments":{"n":3}}]}]"#;
            let queued = send(&emulator, "POST", ANSWERS, &[], body.as_bytes()).await;
            assert_eq!((queued.status(), queued.json()), (200, json!({"queued": 3})));
            assert_eq!(read(&emulator, target, streamed, &[]).await.parts(), Read::text("one"));
            assert_eq!(read(&emulator, target, streamed, &[]).await.parts(), Read::text(r#"{"n":2}"#));
            let (_, expected) = call("f", r#"{"n":3}"#);
            assert_eq!(read(&emulator, target, streamed, &[]).await.parts(), ("", expected, "tool_calls"));
        }
    }
    send(&emulator, "POST", ANSWERS, &[], br#"{"text":"never"}"#).await;
    assert_eq!(send(&emulator, "DELETE", ANSWERS, &[], b"").await.json(), json!({"queued": 0}));
    assert_eq!(emulator.queued_answers(), 0);
    assert!(
        emulator.requests().iter().all(|request| request.path != ANSWERS),
        "control calls are not recorded"
    );
}

#[tokio::test]
async fn a_refused_request_leaves_the_answer_to_its_retry() {
    let emulator = Emulator::start().await.unwrap();
    emulator.script(Fault::Code("1302".to_owned()));
    emulator.answer("at last").unwrap();
    assert_eq!(chat(&emulator, &question("x")).await.status(), 429);
    assert_eq!(chat(&emulator, &with(question("x"), "temperature", 9)).await.status(), 400);
    assert_eq!(chat(&emulator, &question("x")).await.content(), "at last");
}

#[tokio::test]
async fn limits_and_stop_words_of_the_request_still_hold() {
    let emulator = Emulator::start().await.unwrap();
    emulator.answer("one two three four").unwrap();
    let cut = chat(&emulator, &with(question("x"), "max_tokens", 2)).await.json();
    assert_eq!(cut["choices"][0]["message"]["content"], "one two");
    assert_eq!(
        (&cut["choices"][0]["finish_reason"], &cut["usage"]["completion_tokens"]),
        (&json!("length"), &json!(2))
    );
    emulator.answer("one two three four").unwrap();
    let stopped = chat(&emulator, &with(question("x"), "stop", json!([" three"]))).await;
    assert_eq!(stopped.content(), "one two");
}

#[tokio::test]
async fn an_asynchronous_request_takes_one_too() {
    let emulator = Emulator::builder().async_polls(0).start().await.unwrap();
    emulator.answer("later").unwrap();
    let path = "/api/paas/v4/async/chat/completions";
    let task = send(&emulator, "POST", path, &[KEY], question("x").to_string().as_bytes()).await.json();
    let path = format!("/api/paas/v4/async-result/{}", task["id"].as_str().unwrap());
    assert_eq!(send(&emulator, "GET", &path, &[KEY], b"").await.content(), "later");
}

#[tokio::test]
async fn bad_answers_are_refused_with_the_reason() {
    let emulator = Emulator::start().await.unwrap();
    for (body, why) in [
        (b"{\"text\":\"\xFF\xFE\"}".to_vec(), "not valid UTF-8 from byte 9"),
        (br#"{"calls":[{"name":"f","arguments":[1]}]}"#.to_vec(), "must be a JSON object"),
        (br#"{"calls":[{"name":"","arguments":{}}]}"#.to_vec(), "name of a tool"),
        (b"[1]".to_vec(), "an answer is"),
        (b"".to_vec(), "an answer is"),
        ("[".repeat(100_000).into_bytes(), "an answer is"),
        (json!({"text": "x".repeat(1_048_577)}).to_string().into_bytes(), "at most 1048576"),
    ] {
        let answer = send(&emulator, "POST", ANSWERS, &[], &body).await;
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status() == 400 && error.contains(why), "{}: {error}", answer.status());
    }
    for (header, why) in [
        (b"x-polysight-answer: \xFF\xFE".as_slice(), "x-polysight-answer is not valid UTF-8"),
        (b"x-polysight-answer: %FF", "x-polysight-answer is not valid UTF-8"),
        (b"x-polysight-answer-json: {", "x-polysight-answer-json is not JSON"),
        (b"x-polysight-answer-call: f=[]", "must be a JSON object"),
        (b"x-polysight-answer-call: f", "TOOL=ARGUMENTS"),
    ] {
        let body = question("x").to_string();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\n{KEY}\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        let raw = [head.as_bytes(), header, b"\r\n\r\n", body.as_bytes()].concat();
        let answer = send_raw(&emulator, &raw).await;
        assert!(answer.status() == 400 && answer.text().contains(why), "{}", answer.text());
    }
    let error = emulator.answer("x".repeat(100 * 1024 * 1024)).unwrap_err().to_string();
    assert!(error.contains("104857600 bytes; at most 1048576"), "{error}");
    assert!(emulator.answer_call("f", json!("{}")).unwrap_err().to_string().contains("JSON object"));
    assert!(emulator.answer_call("", json!({})).is_err());
    assert_eq!((emulator.queued_answers(), chat(&emulator, &question("x")).await.status()), (0, 200));
}

#[tokio::test]
async fn an_answer_of_a_hundred_megabytes_is_not_read() {
    let emulator = Emulator::start().await.unwrap();
    let body = vec![b'x'; 100 * 1024 * 1024];
    let answer = send(&emulator, "POST", ANSWERS, &[], &body).await;
    assert_eq!(answer.status(), 413, "{}", answer.text());
    assert!(answer.text().contains("104857600 bytes; at most 4194304"), "{}", answer.text());
    let head = format!("POST {ANSWERS} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n6400000\r\n");
    let answer = send_raw(&emulator, head.as_bytes()).await;
    assert!(answer.status() == 413 && answer.text().contains("4194304 bytes"), "{}", answer.text());
}

#[tokio::test]
async fn the_gateway_serves_any_model_where_it_is_set_up_so() {
    let emulator = Emulator::builder().any_model(true).start().await.unwrap();
    for url in [png(20, 10), base64(&picture(20, 10, image::ImageFormat::Png))] {
        let body = parts("acme/vision-9:free", json!([image_part(url), text_part("see")]));
        let answer = gateway(&emulator, &body).await;
        assert!(answer.content().starts_with("Picture 1: PNG, 20x10 px"), "{}", answer.text());
        assert_eq!(answer.json()["model"], "acme/vision-9:free");
        let chunks = gateway(&emulator, &with(body, "stream", true)).await.chunks();
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    }
    let ask = |key: &str, value: Value| with(with(question("x y z"), "model", "acme"), key, value);
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let called = gateway(&emulator, &ask("tools", tools)).await.json();
    assert_eq!(called["choices"][0]["finish_reason"], "tool_calls");
    let cut = gateway(&emulator, &ask("max_completion_tokens", json!(1))).await.json();
    assert_eq!(cut["choices"][0]["finish_reason"], "length");
    let object = gateway(&emulator, &ask("response_format", json!({"type": "json_schema"}))).await.content();
    assert!(serde_json::from_str::<Value>(&object).unwrap().is_object());
    assert_eq!(gateway(&emulator, &ask("temperature", json!(3))).await.status(), 400);
}
