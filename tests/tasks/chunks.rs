//! However a stream is cut, into deltas and into bytes, it comes to the same as the plain reply.

use std::sync::{Arc, Mutex};

use polysight::tasks::{ExtractError, Extracted, Extractor, Tool, ToolLoop};
use polysight::{ChatRequest, Message, Transport, VisionProvider};
use polysight_testkit::{Framing, MockServer, ReceivedRequest, Reply, Wire};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Receipt;

const TEXTS: [&str; 9] = [
    r#"{"shop":"茶屋 😺 \"A\"","total":12.5}"#,
    "Here {it} is:\n```json\n{\"shop\":\"Jade\",\"total\":3}\n```\nDone.",
    r#"<|begin_of_box|>{"shop":"Jade","total":3}<|end_of_box|>"#,
    r#"<think>{"shop":"?","total":0}</think>{"shop":"Jade","total":3,}"#,
    r#"{"shop":"Jade"},"total":3}""#,
    r#"{"shop":"Jade","total":3"#,
    r#"{"shop":"Jade","total":"much"}"#,
    r#"{"shop":"Jade","total":"#,
    "I see a receipt.",
];

/// How an answer is cut: the lengths of its deltas in characters, and of its pieces in bytes, each list again and again.
#[derive(Debug, Clone)]
struct Cuts {
    deltas: Vec<usize>,
    bytes: Vec<usize>,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let lengths = || prop_oneof![1 => Just(vec![1]), 3 => vec(1..60_usize, 1..6)];
    (lengths(), lengths()).prop_map(|(deltas, bytes)| Cuts { deltas, bytes })
}

/// Pieces of these lengths.
fn pieces<T: Clone>(items: &[T], lengths: &[usize]) -> Vec<Vec<T>> {
    let mut rest = items;
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = after;
    }
    pieces
}

fn texts(text: &str, lengths: &[usize]) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    pieces(&characters, lengths).iter().map(|piece| piece.iter().collect()).collect()
}

/// What the server says: a text, or a call of `weather` with these arguments.
#[derive(Debug, Clone)]
enum Said {
    Text(String),
    Call(String),
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!([{ "index": 0, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }])
}

fn call_frame(wire: Wire, calls: &Value) -> Value {
    wire.frame(match wire {
        Wire::QwenVlNative => json!([{ "message": { "role": "assistant", "content": [], "tool_calls": calls },
                                       "finish_reason": "null" }]),
        _ => json!([{ "index": 0, "delta": { "role": "assistant", "tool_calls": calls }, "finish_reason": null }]),
    })
}

fn plain(wire: Wire, said: &Said) -> Reply {
    let mut reply = match said {
        Said::Text(text) => wire.reply(&json!(text)),
        Said::Call(_) => wire.reply(&json!("")),
    };
    if let Said::Call(arguments) = said {
        let choices =
            if wire == Wire::QwenVlNative { "/output/choices/0/message" } else { "/choices/0/message" };
        reply.pointer_mut(choices).unwrap()["tool_calls"] = call("c1", "weather", arguments);
    }
    Reply::json(200, reply.to_string())
}

fn streamed(wire: Wire, said: &Said, cuts: &Cuts) -> Reply {
    let mut frames: Vec<Value> = match said {
        Said::Text(text) => texts(text, &cuts.deltas).iter().map(|piece| wire.delta(piece)).collect(),
        Said::Call(arguments) => {
            let first = call_frame(wire, &call("c1", "weather", ""));
            let rest = texts(arguments, &cuts.deltas);
            let rest = rest.iter().map(|piece| {
                let id = if wire == Wire::Zhipu { "c1" } else { "" };
                call_frame(
                    wire,
                    &json!([{ "index": 0, "id": id, "type": "function",
                                           "function": { "arguments": piece } }]),
                )
            });
            std::iter::once(first).chain(rest).collect()
        }
    };
    frames.extend(wire.ending());
    let framing = Framing::of(wire);
    let body = framing.write(wire, &frames) + &framing.done(wire);
    Reply::events().pieces(pieces(body.as_bytes(), &cuts.bytes)).end()
}

fn is_streamed(request: &ReceivedRequest) -> bool {
    request.json()["stream"] == true || request.header("x-dashscope-sse").is_some()
}

/// A server that says this, however it is asked, and a provider of it.
async fn serving(wire: Wire, said: Vec<Said>, cuts: Cuts) -> (MockServer, Arc<dyn VisionProvider>) {
    let server = MockServer::with_handler(move |request| {
        // A request that brings a result is the second one of a loop.
        let turn = usize::from(String::from_utf8_lossy(&request.body).contains("\"tool_call_id\""));
        let said = &said[turn.min(said.len() - 1)];
        if is_streamed(request) { streamed(wire, said, &cuts) } else { plain(wire, said) }
    })
    .await;
    let transport = Transport::builder().build().unwrap();
    let provider = wire.provider(wire.options(&server.url(""), transport));
    (server, provider)
}

/// What came of an extraction, without what names its calls.
fn outcome(outcome: Result<Extracted<Receipt>, ExtractError>) -> String {
    match outcome {
        Ok(extracted) => {
            format!(
                "{:?} {:?} {} {:?} {:?}",
                extracted.value,
                extracted.repairs,
                extracted.rung,
                extracted.usage(),
                extracted.cost()
            )
        }
        Err(error) => {
            format!(
                "{:?} {:?} {:?} {:?} {:?}",
                error.fault,
                error.text(),
                error.usage(),
                error.cost(),
                error.billed()
            )
        }
    }
}

async fn extracted(wire: Wire, text: &str, cuts: Cuts) -> [String; 2] {
    let (_server, provider) = serving(wire, vec![Said::Text(text.to_owned())], cuts).await;
    let extractor = Extractor::of::<Receipt>().unwrap().with_repair_turns(0);
    let request = || ChatRequest::new([Message::user("Read the receipt.")]);
    let plain = extractor.clone().with_streaming(false).extract_as(&*provider, request()).await;
    let streamed = extractor.extract_as(&*provider, request()).await;
    [outcome(plain), outcome(streamed)]
}

#[derive(Deserialize, JsonSchema)]
struct Place {
    city: String,
    days: u8,
}

async fn looped(wire: Wire, city: &str, cuts: Cuts) -> [String; 2] {
    let arguments = json!({ "city": city, "days": 3 }).to_string();
    let said = vec![Said::Call(arguments), Said::Text(format!("It is clear in {city}."))];
    let (_server, provider) = serving(wire, said, cuts).await;
    let called = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&called);
    let tool = Tool::new("weather", "Weather of a city", move |Place { city, days }: Place| {
        kept.lock().unwrap().push(format!("{city} {days}"));
        async move { Ok("clear") }
    });
    let plain = ToolLoop::new([tool.unwrap()]);
    let streamed = plain.clone().with_events(|_| {});
    let mut outcomes = [String::new(), String::new()];
    for (outcome, tools) in outcomes.iter_mut().zip([plain, streamed]) {
        let mut request = ChatRequest::new([Message::user("What is the weather?")]);
        if wire == Wire::Ernie {
            request = request.with_model("ernie-5.0");
        }
        let run = tools.run(&*provider, request).await.unwrap();
        let calls = std::mem::take(&mut *called.lock().unwrap());
        *outcome =
            format!("{:?} {calls:?} {} {:?} {:?}", run.text(), run.responses.len(), run.usage(), run.cost());
    }
    outcomes
}

fn cases() -> TestRunner {
    TestRunner::new(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn values_are_the_same_plain_and_streamed_under_every_chunking() {
    let runtime = runtime();
    for wire in Wire::ALL {
        let text = proptest::sample::select(&TEXTS[..]);
        let checked = cases().run(&(text, cuts()), |(text, cuts)| {
            let [plain, streamed] = runtime.block_on(extracted(wire, text, cuts));
            prop_assert!(plain.contains("14"), "the tokens are counted: {}", plain);
            prop_assert!(plain.contains("amount:"), "they have a price: {}", plain);
            prop_assert_eq!(plain, streamed);
            Ok(())
        });
        assert!(checked.is_ok(), "{wire:?}: {checked:?}");
    }
}

#[test]
fn calls_are_the_same_plain_and_streamed_under_every_chunking() {
    let runtime = runtime();
    for wire in Wire::ALL {
        let city = proptest::sample::select(&["Beijing", "北京 \"😺\"", "São\\Paulo\n"][..]);
        let checked = cases().run(&(city, cuts()), |(city, cuts)| {
            let [plain, streamed] = runtime.block_on(looped(wire, city, cuts));
            prop_assert!(plain.contains("28"), "the tokens of both rounds: {}", plain);
            prop_assert_eq!(plain, streamed);
            Ok(())
        });
        assert!(checked.is_ok(), "{wire:?}: {checked:?}");
    }
}
