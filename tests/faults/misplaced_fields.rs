//! Fields in an unusual place of a reply or a stream, and what each vendor's provider makes of them.

use std::sync::Arc;
use std::time::Duration;

use polysight::{
    ChatRequest, ErrorKind, Image, Limits, Message, StreamEvent, ToolDefinition, Transport, VisionProvider,
};
use polysight_testkit::{MockServer, Reply, Step, Wire, bulky_png, calls};
use serde_json::{Value, json};

fn provider(wire: Wire, server: &MockServer, limits: Limits) -> Arc<dyn VisionProvider> {
    let transport = Transport::builder().limits(limits).build().unwrap();
    wire.provider(wire.options(&server.url(""), transport).with_model("some-model"))
}

async fn served(wire: Wire, reply: Reply) -> (MockServer, Arc<dyn VisionProvider>) {
    let server = MockServer::with_reply(reply).await;
    let provider = provider(wire, &server, Limits::default());
    (server, provider)
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("?")])
}

/// One choice of a plain reply or a stream, in the vendor's envelope.
fn choice(wire: Wire, message: Value, finish: Value) -> Value {
    match wire {
        Wire::QwenVlNative => json!({"output": {"choices": [{"message": message, "finish_reason": finish}]}}),
        _ => json!({"choices": [{"delta": message, "finish_reason": finish}]}),
    }
}

#[tokio::test]
async fn frames_without_blank_lines_are_handed_out_as_they_come() {
    for with_ids in [true, false] {
        let frame = |number: usize, text: &str, finish: Value| {
            let id = if with_ids {
                format!("id:{number}\nevent:result\n:HTTP_STATUS/200\n")
            } else {
                String::new()
            };
            format!("{id}data:{}\n", choice(Wire::QwenVlNative, json!({"content": [{"text": text}]}), finish))
        };
        // The third frame shows that the second one is whole; nothing more comes.
        let pieces =
            [frame(1, "one", Value::Null), frame(2, "two", Value::Null), frame(3, "", json!("stop"))];
        let reply = Reply::events().pieces(pieces).then(Step::Hang);
        let (_server, provider) = served(Wire::QwenVlNative, reply).await;
        let mut stream = calls::open(&*provider, ask()).await.unwrap();
        for expected in ["one", "two"] {
            let event = tokio::time::timeout(Duration::from_secs(20), stream.next_event()).await;
            let Some(Ok(StreamEvent::Text(text))) = event.unwrap() else { panic!("no {expected}") };
            assert_eq!(text, expected);
        }
    }
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[tokio::test]
async fn a_new_id_without_an_index_begins_a_new_call() {
    for wire in Wire::ALL {
        let piece =
            |call: Value| format!("data: {}\n\n", choice(wire, json!({"tool_calls": [call]}), Value::Null));
        let reply = Reply::events()
            .piece(piece(call("a", "first", "{\"x\":")))
            .piece(piece(json!({"function": {"arguments": "1}"}})))
            .piece(piece(call("b", "second", "{}")))
            .piece(format!("data: {}\n\n", choice(wire, json!({}), json!("tool_calls"))))
            .end();
        let (_server, provider) = served(wire, reply).await;
        let tool = ToolDefinition::new("first", "a tool", json!({"type": "object"}));
        let answer = calls::streamed(&*provider, ask().with_tools([tool])).await.unwrap();
        let calls: Vec<_> =
            answer.tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
        assert_eq!(calls, [("a", "first", "{\"x\":1}"), ("b", "second", "{}")], "{wire:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_for_calls_and_has_none_is_an_error_either_way() {
    for wire in Wire::ALL {
        let said = choice(wire, json!({"content": "I will call"}), json!("tool_calls"));
        let plain = Reply::document(200, &["Content-Type: application/json"], said.to_string());
        let (_server, provider) = served(wire, plain).await;
        let plain = calls::plain(&*provider, ask()).await.unwrap_err();
        let reply = Reply::events().piece(format!("data: {said}\n\n")).end();
        let (_server, provider) = served(wire, reply).await;
        let streamed = calls::streamed(&*provider, ask()).await.unwrap_err();
        for error in [plain, streamed] {
            assert_eq!(
                (error.kind(), error.partial().unwrap().text.as_str()),
                (ErrorKind::Protocol, "I will call")
            );
            assert!(error.message().contains("names none"), "{wire:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_picture_that_was_sent_along_is_not_unreachable() {
    let body = r#"{"error":{"code":"1210","message":"图片输入格式/解析错误"}}"#;
    let inline = || Image::from_bytes(bulky_png(200)).unwrap();
    let url = || Image::from_url("https://cdn.example/a.png").unwrap();
    for status in [400, 200] {
        let reply = Reply::document(status, &["Content-Type: application/json"], body);
        let (_server, provider) = served(Wire::Zhipu, reply).await;
        let failed = |pictures: Vec<Image>| calls::plain(&*provider, ChatRequest::ask("?", pictures));
        let error = failed(vec![inline(), inline()]).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::InvalidMedia, Some("1210")),
            "{status}: {error}"
        );
        assert!(error.message().ends_with("messages[0].parts[0] or messages[0].parts[1]"), "{error}");
        assert_eq!(failed(vec![inline(), url()]).await.unwrap_err().kind(), ErrorKind::MediaFetchFailed);
    }
}

#[tokio::test]
async fn what_is_collected_or_kept_of_a_stream_is_bounded_and_what_is_read_is_not() {
    let piece = |text: &str, finish: Value| {
        format!("data: {}\n\n", choice(Wire::Zhipu, json!({"content": text}), finish))
    };
    let long = "long ".repeat(100);
    let reply = (0..20).fold(Reply::events(), |reply, _| reply.piece(piece(&long, Value::Null)));
    let server = MockServer::with_reply(reply.piece(piece("", json!("stop"))).end()).await;
    let limits = Limits::default().with_max_reply_bytes(5_000);
    let provider = provider(Wire::Zhipu, &server, limits);
    let collected = calls::streamed(&*provider, ask()).await.unwrap_err();
    let mut kept = calls::open(&*provider, ask().with_raw()).await.unwrap();
    let kept = loop {
        match kept.next_event().await.unwrap() {
            Ok(StreamEvent::Text(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    for error in [collected, kept] {
        let message = error.message();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(message.contains("5000 bytes") && message.contains("sizes.max_reply"), "{message}");
    }
    let mut stream = calls::open(&*provider, ask()).await.unwrap();
    let mut bytes = 0;
    while let Some(event) = stream.next_event().await {
        if let StreamEvent::Text(text) = event.unwrap() {
            bytes += text.len();
        }
    }
    assert_eq!(bytes, 20 * 500);
}
