//! Plain and streamed answers.

use image::ImageFormat;
use polysight_testkit::{picture, sha256};
use serde_json::json;

use crate::client::{Served, about_picture, and, question};

#[tokio::test]
async fn a_plain_answer_has_the_shape_and_what_is_known_beyond_it() {
    let served = Served::start("").await;
    let png = picture(ImageFormat::Png, 64, 48);
    let reply = served.post(&about_picture("default", &png).to_string(), "X-Request-Id: mine-1\r\n").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("x-request-id"), Some("mine-1"));
    assert_eq!(reply.header("x-polysight-provider"), Some("zhipu"));
    let answer = reply.json();
    assert_eq!(answer["id"], "chatcmpl-mine-1");
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("default")));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["role"]), (&json!("stop"), &json!("assistant")));
    assert!(choice["message"]["content"].as_str().unwrap().contains("64"), "{answer}");
    let usage = &answer["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    assert_eq!(
        (&answer["polysight"]["provider"], &answer["polysight"]["model"]),
        (&json!("zhipu"), &json!("glm-4.6v"))
    );
    let path = answer["polysight"]["adjustments"][0]["path"].as_str().unwrap();
    assert!(path.starts_with("messages[0].content[1]"), "{answer}");
    let arrived = served.emulator.requests();
    assert_eq!(arrived[0].media[0].sha256, sha256(&png), "the picture as it was");
}

#[tokio::test]
async fn a_stream_ends_with_usage_in_its_finish_event() {
    let served = Served::start("").await;
    let reply = served.chat(&and(question("qwen"), "stream", true)).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    let chunks = reply.chunks();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({ "role": "assistant", "content": "" }));
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(
            (&chunk["id"], &chunk["created"], &chunk["model"]),
            (&chunks[0]["id"], &chunks[0]["created"], &json!("qwen"))
        );
        assert!(chunk["choices"].is_array());
    }
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert!(last["usage"]["total_tokens"].as_u64().unwrap() > 0, "{last}");
    assert_eq!(last["polysight"]["provider"], "alibaba");
    assert_eq!(reply.data().last(), Some(&"[DONE]"));
    assert!(reply.text().contains("What is it?"), "{reply:?}");
}

#[tokio::test]
async fn usage_stands_once_in_an_event_of_its_own_before_the_finish_when_it_is_asked_for() {
    let served = Served::start("").await;
    let body =
        and(and(question("default"), "stream", true), "stream_options", json!({ "include_usage": true }));
    let reply = served.chat(&body).await;
    let chunks = reply.chunks();
    let with_usage: Vec<_> = chunks.iter().filter(|chunk| !chunk["usage"].is_null()).collect();
    assert_eq!(with_usage.len(), 1);
    // Some clients stop to read behind the finish reason.
    let [.., usage, finish] = &chunks[..] else { panic!("{reply:?}") };
    assert_eq!((&usage["choices"], usage["usage"].is_object()), (&json!([]), true));
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert_eq!(reply.data().last(), Some(&"[DONE]"));
}

#[tokio::test]
async fn tool_calls_go_round() {
    let served = Served::start("").await;
    let tools = json!([{ "type": "function", "function": { "name": "repaint", "parameters": { "type": "object" } } }]);
    served.emulator.answer_call("repaint", json!({ "colour": "blue" })).unwrap();
    let body = and(question("default"), "tools", tools.clone());
    let answer = served.chat(&body).await.json();
    let message = &answer["choices"][0]["message"];
    assert_eq!(
        (&answer["choices"][0]["finish_reason"], &message["content"]),
        (&json!("tool_calls"), &json!(null))
    );
    let call = &message["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("repaint")));

    served.emulator.answer_call("repaint", json!({ "colour": "blue" })).unwrap();
    let chunks = served.chat(&and(body.clone(), "stream", true)).await.chunks();
    let first = chunks.iter().find(|chunk| !chunk["choices"][0]["delta"]["tool_calls"].is_null()).unwrap();
    let first = &first["choices"][0]["delta"]["tool_calls"][0];
    assert!(
        first["id"].is_string() && first["function"]["name"] == "repaint" && first["index"] == 0,
        "{first}"
    );

    served.emulator.answer("Done.").unwrap();
    let mut next = body;
    let messages = next["messages"].as_array_mut().unwrap();
    messages.push(message.clone());
    messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": "painted" }));
    let reply = served.chat(&next).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Done.", "{reply:?}");
}

#[tokio::test]
async fn json_is_asked_for_by_the_means_that_the_model_has() {
    let served = Served::start("").await;
    let schema = json!({ "type": "object", "properties": { "colour": { "type": "string" } }, "required": ["colour"],
        "additionalProperties": false });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "colours", "strict": true, "schema": schema } });
    for role in ["default", "qwen"] {
        for stream in [false, true] {
            served.emulator.answer_json(json!({ "colour": "red" })).unwrap();
            let body = and(and(question(role), "response_format", format.clone()), "stream", stream);
            let reply = served.chat(&body).await;
            let text = if stream {
                reply.text()
            } else {
                reply.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
            };
            assert!(text.contains("red"), "{role} {stream}: {reply:?}");
        }
    }
    let reply =
        served.chat(&and(question("default"), "response_format", json!({ "type": "json_object" }))).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn a_role_with_a_fallback_lists_the_attempts() {
    let served = Served::start("").await;
    served.emulator.script(polysight_emulator::Fault::Empty500);
    let reply = served.chat(&question("steady")).await;
    let answer = reply.json();
    assert_eq!(answer["polysight"]["provider"], "alibaba", "{answer}");
    assert_eq!(answer["polysight"]["attempts"][0]["provider"], "zhipu");
    assert_eq!(reply.header("x-polysight-provider"), Some("alibaba"));
}

#[tokio::test]
async fn an_answer_cut_at_the_vendors_own_limit_is_an_answer() {
    let served = Served::start("[roles.cut]\nprovider = \"zhipu\"\nmodel = \"glm-4.6v\"").await;
    for stream in [false, true] {
        served.emulator.script(polysight_emulator::Fault::FinishReason("length".to_owned()));
        let reply = served.chat(&and(question("cut"), "stream", stream)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let last = if stream { reply.chunks().pop().unwrap() } else { reply.json() };
        assert_eq!(last["choices"][0]["finish_reason"], "length", "{reply:?}");
    }
    // It is counted as an answer, not as a client that went away; a request is counted a moment after its last byte.
    let counted = async {
        loop {
            let counters = served.get("/metrics", "").await.body;
            let of_role = counters
                .lines()
                .filter(|line| line.contains("requests_total{") && line.contains("role=\"cut\""));
            let lines: Vec<String> = of_role.map(str::to_owned).collect();
            if lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>() == 2
            {
                return lines;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let lines = tokio::time::timeout(crate::client::LONG, counted).await.unwrap();
    assert!(lines.len() == 1 && lines[0].contains("status=\"200\""), "{lines:?}");
}
