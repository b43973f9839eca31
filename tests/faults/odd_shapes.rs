//! Refusals and usage in shapes of which every server has another, on every wire: the words are shown, the unknown is unknown.

use polysight::{ChatRequest, Error, Message, VisionProvider};
use polysight_testkit::{ANSWER, MockServer, PIECES, Reply, Wire, calls};
use serde_json::{Value, json};

/// Bodies of status 200 without an answer, the code and the words in them.
const REFUSALS: [(&str, Option<&str>, &str); 20] = [
    (r#"{"error":"the model is not loaded"}"#, None, "the model is not loaded"),
    (r#"{"error":["one fault","another"]}"#, None, "one fault; another"),
    (r#"{"error":{"error":{"message":"deep inside","code":"E7"}}}"#, Some("E7"), "deep inside"),
    (r#"{"error":"{\"code\":\"E7\",\"message\":\"as text\"}"}"#, Some("E7"), "as text"),
    (r#"{"status":"451","msg":"not here","body":null}"#, Some("451"), "not here"),
    (r#"{"status":503,"message":"drained","choices":null}"#, Some("503"), "drained"),
    (r#"{"base_resp":{"status_code":2056,"status_msg":"used up"},"choices":[]}"#, Some("2056"), "used up"),
    (r#"{"id":"c","base_resp":{"status_code":2056,"status_msg":"used up"}}"#, Some("2056"), "used up"),
    (r#"{"code":40013,"message":"no such group","data":null}"#, Some("40013"), "no such group"),
    (r#"{"code":"E7","msg":"flat"}"#, Some("E7"), "flat"),
    (r#"{"error_code":336100,"error_msg":"try later"}"#, Some("336100"), "try later"),
    (r#"{"errcode":7,"errmsg":"busy"}"#, None, "busy"),
    (r#"{"success":false,"message":"no seat"}"#, None, "no seat"),
    (r#"{"msg":"words alone"}"#, None, "words alone"),
    (
        r#"{"code":0,"msg":"success","data":{"error":{"code":"E7","message":"wrapped"}}}"#,
        Some("E7"),
        "wrapped",
    ),
    (r#"{"code":200,"data":{"code":"E7","message":"wrapped"}}"#, Some("E7"), "wrapped"),
    (r#"[{"error":{"code":"E7","message":"in a list"}}]"#, Some("E7"), "in a list"),
    (r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, None, "field required"),
    (r#"{"detail":{"error":{"message":"in a detail"}}}"#, None, "in a detail"),
    ("\u{feff}{\"error\":{\"error\":1,\"message\":\"no\\ud83d money\",\"x\":NaN}}", None, "no\u{fffd} money"),
];

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("?")])
}

async fn served(wire: Wire, reply: Reply) -> (MockServer, std::sync::Arc<dyn VisionProvider>) {
    let server = MockServer::with_reply(reply).await;
    let transport = polysight::Transport::builder().build().unwrap();
    let provider = wire.provider(wire.options(&server.url(""), transport).with_model("some-model"));
    (server, provider)
}

fn of(error: &Error) -> (Option<&str>, &str) {
    (error.code(), error.vendor_message().unwrap_or_default())
}

#[tokio::test]
async fn the_words_of_a_refusal_are_shown_whatever_its_shape() {
    let mut wrong = Vec::new();
    for wire in Wire::ALL {
        for (body, code, words) in REFUSALS {
            let event = Reply::events().piece(format!("data: {body}\n\n")).end();
            for (way, reply) in
                [("plain", Reply::json(200, body)), ("streamed", Reply::json(200, body)), ("event", event)]
            {
                let (_server, provider) = served(wire, reply).await;
                let error = match way {
                    "plain" => calls::plain(&*provider, ask()).await.unwrap_err(),
                    _ => calls::streamed(&*provider, ask()).await.unwrap_err(),
                };
                // An event without a code is none that ends a stream: its words stand at the end.
                let (shown_code, shown) = of(&error);
                if shown != words || (code.is_some() && shown_code != code) {
                    wrong.push(format!("{wire:?} {way} {body}: {error:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn words_of_a_stream_that_is_none_are_shown() {
    for wire in Wire::ALL {
        for (body, words) in [
            ("data: worker died\n\n", "worker died"),
            ("worker died\n", "worker died"),
            (": on\n\nworker died\n\n", "worker died"),
            (": on\n\n{\n \"error\": {\n  \"message\": \"worker died\"\n }\n}\n", "worker died"),
            ("event: error\ndata: worker died\n\n", "worker died"),
            (": on\n\n{\n \"messages\": [\n  {\"content\": \"a secret\"},\n", ""),
        ] {
            let (_server, provider) = served(wire, Reply::events().piece(body).end()).await;
            let error = calls::streamed(&*provider, ask()).await.unwrap_err();
            assert_eq!(of(&error).1.trim(), words, "{wire:?} {body:?}: {error:?}");
        }
    }
}

/// Usage as servers write it, and the tokens that it says.
fn usages(wire: Wire) -> Vec<(Value, Option<[u64; 3]>)> {
    let [one, other] = match wire {
        Wire::QwenVlNative => [["input_tokens", "output_tokens"], ["prompt_tokens", "completion_tokens"]],
        _ => [["prompt_tokens", "completion_tokens"], ["input_tokens", "output_tokens"]],
    };
    vec![
        (json!({}), None),
        (Value::Null, None),
        (json!("unknown"), None),
        (json!([]), None),
        (json!({one[0]: null, one[1]: null, "total_tokens": null}), None),
        (json!({one[0]: 0, one[1]: 0, "total_tokens": 0}), None),
        (json!({one[0]: -1, one[1]: "x"}), None),
        (json!({other[0]: 5, other[1]: 2}), Some([5, 2, 7])),
        (json!({other[0]: "5", other[1]: "2", "total_tokens": 9}), Some([5, 2, 9])),
        (json!({one[0]: 5, other[1]: 2}), Some([5, 2, 7])),
        (json!({one[0]: null, other[0]: 5, one[1]: 2}), Some([5, 2, 7])),
        (json!({one[0]: 5, one[1]: 0}), Some([5, 0, 5])),
    ]
}

#[tokio::test]
async fn usage_that_is_not_said_is_unknown_in_both_modes() {
    for wire in Wire::ALL {
        for (usage, tokens) in usages(wire) {
            let content = if wire == Wire::QwenVlNative { json!([{"text": ANSWER}]) } else { ANSWER.into() };
            let mut reply = wire.reply(&content);
            reply["usage"] = usage.clone();
            let mut frames: Vec<Value> =
                PIECES.iter().map(|piece| wire.frame(json!([piece_of(wire, piece)]))).collect();
            let mut last = wire.finish_alone();
            last["usage"] = usage.clone();
            frames.push(last);
            let events: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
            let (_server, provider) = served(wire, Reply::json(200, reply.to_string())).await;
            let plain = calls::plain(&*provider, ask()).await.unwrap();
            let (_server, provider) = served(wire, Reply::events().piece(events).end()).await;
            let streamed = calls::streamed(&*provider, ask()).await.unwrap();
            for answer in [plain, streamed] {
                let read =
                    answer.usage.map(|usage| [usage.input_tokens, usage.output_tokens, usage.total_tokens]);
                assert_eq!((answer.text.as_str(), read), (ANSWER, tokens), "{wire:?}: {usage}");
            }
        }
    }
}

fn piece_of(wire: Wire, text: &str) -> Value {
    match wire {
        Wire::QwenVlNative => json!({"message": {"content": [{"text": text}]}, "finish_reason": "null"}),
        _ => json!({"delta": {"content": text}, "finish_reason": null}),
    }
}
