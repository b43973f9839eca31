//! Answers and schemas that only do harm: each costs bounded time and memory, and has an error that says what it was.

use std::io::ErrorKind as IoErrorKind;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use polysight::tasks::json::{Unreadable, Verdict};
use polysight::tasks::{ExtractError, ExtractFault, Extractor, Schema};
use polysight::{Billed, ChatRequest, Message, Transport};
use polysight_testkit::{Framing, MockServer, Reply, Step, Wire};
use serde_json::{Value, json};

use super::Receipt;

fn request() -> ChatRequest {
    ChatRequest::new([Message::user("Read the receipt.")])
}

async fn failed(wire: Wire, server: &MockServer, streamed: bool) -> ExtractError {
    let provider = wire.provider(wire.options(&server.url(""), Transport::builder().build().unwrap()));
    let extractor = Extractor::of::<Receipt>().unwrap().with_repair_turns(0).with_streaming(streamed);
    extractor.extract_as::<Receipt, _>(&*provider, request()).await.unwrap_err()
}

/// 100 MB of JSON: a stream is cut off after the first one, a document is refused by its length.
#[tokio::test]
async fn a_hundred_megabytes_of_json_are_not_read() {
    for wire in Wire::ALL {
        let began = Instant::now();
        let server = MockServer::start().await;
        let piece = format!("\"{}\",", "a sign ".repeat(1000));
        let open = Framing::of(wire).write(wire, &[wire.delta("{\"shop\":[")]);
        let frame = Framing::of(wire).write(wire, &[wire.delta(&piece)]);
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len()).into_bytes();
        let mut steps = Reply::events().into_steps();
        steps.insert(0, Step::ReadRequest);
        steps.extend([Step::Send(chunk(&open)), Step::Repeat(chunk(&frame), Duration::ZERO)]);
        server.play(&steps);
        let error = failed(wire, &server, true).await;
        assert!(matches!(error.fault, ExtractFault::CutOff(Verdict::TooLong)), "{wire:?}: {error}");
        assert!(error.text().len() < 1 << 21 && error.billed() == Billed::Likely, "{wire:?}");

        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n";
        let steps = [
            Step::ReadRequest,
            Step::Send(head.as_bytes().to_vec()),
            Step::Repeat(vec![b' '; 65_536], Duration::ZERO),
        ];
        server.play(&steps);
        let error = failed(wire, &server, false).await;
        assert!(
            matches!(error.fault, ExtractFault::Call(_)) && error.to_string().contains("bytes"),
            "{error}"
        );
        assert!(began.elapsed() < Duration::from_secs(20), "{wire:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn depth_and_tangles_are_given_up_and_keys_given_twice_are_read() {
    let wire = Wire::Zhipu;
    let rows = [
        (format!("{{\"shop\":{}", "[".repeat(100_000)), Unreadable::TooDeep),
        (format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)), Unreadable::TooDeep),
        (("[1,".repeat(30) + "x").repeat(1_000), Unreadable::TooMuchWork),
    ];
    for (text, reason) in rows {
        let server = MockServer::with_reply(Reply::json(200, wire.reply(&json!(text)).to_string())).await;
        let error = failed(wire, &server, false).await;
        assert!(matches!(error.fault, ExtractFault::Unreadable(found) if found == reason), "{error}");
        assert!(error.text() == text && error.usage().is_some());
    }
    let twice = r#"{"shop":"A","total":1,"shop":"B","total":2}"#;
    let server = MockServer::with_reply(Reply::json(200, wire.reply(&json!(twice)).to_string())).await;
    let provider = wire.provider(wire.options(&server.url(""), Transport::builder().build().unwrap()));
    let extractor = Extractor::of::<Receipt>().unwrap().with_streaming(false);
    let receipt: Receipt = extractor.extract_as(&*provider, request()).await.unwrap().value;
    assert_eq!(receipt, Receipt { shop: "B".to_owned(), total: 2.0 });
}

/// Whatever names another document is refused or left alone: no connection is made, no file is read.
#[test]
fn nothing_that_a_schema_refers_to_is_fetched() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/schema.json", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schema.json");
    std::fs::write(&path, r#"{"type":"string"}"#).unwrap();
    let file = format!("file://{}", path.display());
    for target in [&url, &file] {
        let fields = |field: Value| json!({ "type": "object", "properties": { "a": field } });
        let refused = [
            json!({ "$ref": target }),
            fields(json!({ "$ref": target })),
            fields(json!({ "$dynamicRef": format!("{target}#node") })),
            json!({ "type": "object", "$defs": { "x": { "$ref": target } }, "properties": { "a": { "$ref": "#/$defs/x" } } }),
            json!({ "type": "object", "$id": target, "properties": { "a": { "$ref": "other.json" } } }),
            json!({ "type": "object", "$schema": target }),
        ];
        for schema in refused {
            let error = Schema::from_json("s", schema.clone()).expect_err(&schema.to_string());
            assert!(!error.violations().is_empty(), "{error}");
        }
        // A name is no reference, and what an answer says is none either.
        let named = Schema::from_json("s", json!({ "type": "object", "$id": target })).unwrap();
        assert!(named.check(json!({ "$ref": target })).is_ok());
    }
    assert_eq!(listener.accept().unwrap_err().kind(), IoErrorKind::WouldBlock, "a connection was made");
    let large = json!({ "type": "object", "description": "x".repeat(1 << 20) });
    assert!(Schema::from_json("s", large).unwrap_err().violations()[0].limit.contains("65536"));
}
