//! Streams and replies that say things in an odd place, and what each vendor's provider makes of them.

use std::sync::Arc;
use std::time::Duration;

use polysight::ernie::{Ernie, ErnieSettings};
use polysight::qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight::zhipu::{Zhipu, ZhipuSettings};
use polysight::{
    ApiKey, ChatRequest, ErrorKind, Image, Limits, Message, ProviderOptions, StreamEvent, ToolDefinition,
    Transport, VisionProvider, VisionProviderExt as _,
};
use polysight_tests::scripted::{Reply, Scripted, Step};
use polysight_tests::{Act, Server, bulky_png};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Zhipu,
    Compatible,
    Native,
    Ernie,
}

const ALL: [Who; 4] = [Who::Zhipu, Who::Compatible, Who::Native, Who::Ernie];

fn provider(who: Who, base_url: &str, limits: Limits) -> Arc<dyn VisionProvider> {
    let key = if who == Who::Zhipu { "id.secret" } else { "sk-0123456789" };
    let options = ProviderOptions::new("p")
        .with_api_key(ApiKey::new(key).unwrap())
        .with_base_url(base_url.parse().unwrap())
        .with_model("some-model")
        .with_transport(Transport::builder().limits(limits).build().unwrap());
    let qwen = |protocol| QwenVlSettings::new().with_protocol(protocol);
    match who {
        Who::Zhipu => Arc::new(Zhipu::new(options, &ZhipuSettings::new()).unwrap()),
        Who::Compatible => Arc::new(QwenVl::new(options, &qwen(Protocol::Compatible)).unwrap()),
        Who::Native => Arc::new(QwenVl::new(options, &qwen(Protocol::Native)).unwrap()),
        Who::Ernie => Arc::new(Ernie::new(options, &ErnieSettings::new()).unwrap()),
    }
}

async fn served(who: Who, reply: Reply) -> (Scripted, Arc<dyn VisionProvider>) {
    let server = Scripted::start(reply).await.unwrap();
    let provider = provider(who, &server.url("/v1"), Limits::default());
    (server, provider)
}

fn ask() -> ChatRequest {
    ChatRequest::new([Message::user("?")])
}

/// One choice of a plain reply or a stream, in the vendor's envelope.
fn choice(who: Who, message: Value, finish: Value) -> Value {
    match who {
        Who::Native => json!({"output": {"choices": [{"message": message, "finish_reason": finish}]}}),
        _ => json!({"choices": [{"delta": message, "finish_reason": finish}]}),
    }
}

#[tokio::test]
async fn an_error_over_several_lines_keeps_its_code_in_a_body_that_calls_itself_a_stream() {
    for (who, error, code) in [
        (Who::Zhipu, json!({"error": {"code": "1302", "message": "slow"}}), "1302"),
        (Who::Compatible, json!({"error": {"code": "invalid_api_key", "message": "no"}}), "invalid_api_key"),
        (Who::Native, json!({"code": "InvalidApiKey", "message": "no", "request_id": "r"}), "InvalidApiKey"),
        (
            Who::Ernie,
            json!({"error": {"code": "invalid_model", "message": "no"}, "id": "as-1"}),
            "invalid_model",
        ),
    ] {
        let pretty = serde_json::to_string_pretty(&error).unwrap();
        for body in [pretty.clone(), pretty.replace("\n", "\r\n") + "\r\n\r\n"] {
            let (_server, provider) = served(who, Reply::events().piece(body).end()).await;
            let error = provider.stream_collected(ask()).await.unwrap_err();
            assert_eq!(error.code(), Some(code), "{who:?}: {error}");
        }
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
            format!("{id}data:{}\n", choice(Who::Native, json!({"content": [{"text": text}]}), finish))
        };
        // The third frame tells that the second one is whole; nothing more comes.
        let pieces =
            [frame(1, "one", Value::Null), frame(2, "two", Value::Null), frame(3, "", json!("stop"))];
        let reply = Reply::events().pieces(pieces).then(Step::Hang);
        let (_server, provider) = served(Who::Native, reply).await;
        let mut stream = provider.stream(ask()).await.unwrap();
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
    for who in ALL {
        let piece =
            |call: Value| format!("data: {}\n\n", choice(who, json!({"tool_calls": [call]}), Value::Null));
        let reply = Reply::events()
            .piece(piece(call("a", "first", "{\"x\":")))
            .piece(piece(json!({"function": {"arguments": "1}"}})))
            .piece(piece(call("b", "second", "{}")))
            .piece(format!("data: {}\n\n", choice(who, json!({}), json!("tool_calls"))))
            .end();
        let (_server, provider) = served(who, reply).await;
        let tool = ToolDefinition::new("first", "a tool", json!({"type": "object"}));
        let answer = provider.stream_collected(ask().with_tools([tool])).await.unwrap();
        let calls: Vec<_> =
            answer.tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
        assert_eq!(calls, [("a", "first", "{\"x\":1}"), ("b", "second", "{}")], "{who:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_for_calls_and_has_none_is_an_error_either_way() {
    for who in ALL {
        let said = choice(who, json!({"content": "I will call"}), json!("tool_calls"));
        let plain = Reply::document(200, &["Content-Type: application/json"], said.to_string());
        let (_server, provider) = served(who, plain).await;
        let plain = provider.chat(ask()).await.unwrap_err();
        let reply = Reply::events().piece(format!("data: {said}\n\n")).end();
        let (_server, provider) = served(who, reply).await;
        let streamed = provider.stream_collected(ask()).await.unwrap_err();
        for error in [plain, streamed] {
            assert_eq!(
                (error.kind(), error.partial().unwrap().text.as_str()),
                (ErrorKind::Protocol, "I will call")
            );
            assert!(error.message().contains("names none"), "{who:?}: {error}");
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
        let (_server, provider) = served(Who::Zhipu, reply).await;
        let failed = |pictures: Vec<Image>| provider.chat(ChatRequest::ask("?", pictures));
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
        format!("data: {}\n\n", choice(Who::Zhipu, json!({"content": text}), finish))
    };
    let long = "long ".repeat(100);
    let reply = (0..20).fold(Reply::events(), |reply, _| reply.piece(piece(&long, Value::Null)));
    let server = Scripted::start(reply.piece(piece("", json!("stop"))).end()).await.unwrap();
    let limits = Limits::default().with_max_reply_bytes(5_000);
    let provider = provider(Who::Zhipu, &server.url("/v1"), limits);
    let collected = provider.stream_collected(ask()).await.unwrap_err();
    let mut kept = provider.stream(ask().with_raw()).await.unwrap();
    let kept = loop {
        match kept.next_event().await.unwrap() {
            Ok(StreamEvent::Text(_)) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    for error in [collected, kept] {
        let told = error.message();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(told.contains("5000 bytes") && told.contains("sizes.max_reply"), "{told}");
    }
    let mut stream = provider.stream(ask()).await.unwrap();
    let mut bytes = 0;
    while let Some(event) = stream.next_event().await {
        if let StreamEvent::Text(text) = event.unwrap() {
            bytes += text.len();
        }
    }
    assert_eq!(bytes, 20 * 500);
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let head = || Act::Write(b"HTTP/1.1 200 OK\r\n".to_vec());
    let block = |line: String| line.repeat(64).into_bytes();
    for (name, endless) in [
        ("many", block("x-more: 1\r\n".to_owned())),
        ("long", block(format!("x-{}: {}\r\n", "n".repeat(30), "v".repeat(16_000)))),
        ("one", block("v".repeat(1_000))),
    ] {
        let server = Server::start().await.unwrap();
        let begin = if name == "one" { Act::Write(b"x-one: ".to_vec()) } else { Act::Write(Vec::new()) };
        server.play(&[Act::Request, head(), begin, Act::Trickle(endless, Duration::from_millis(1))]);
        let provider = provider(Who::Zhipu, &format!("http://{}/v1", server.address()), Limits::default());
        let error =
            tokio::time::timeout(Duration::from_secs(30), provider.chat(ask())).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{name}: {error}");
    }
}
