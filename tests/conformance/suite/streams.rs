//! Streams: the same answer in pieces, and closing early.

use std::sync::Arc;
use std::time::Duration;

use polysight::{ChatRequest, ChatResponse, Role, StreamEvent, Thinking};
use polysight_testkit::calls::{self, answers};

use super::answers::question;
use super::fixture::{Fixture, Scenario};
use super::pictures::jpeg;
use super::tools::weather_in;

async fn is_the_same(role: Role, request: ChatRequest) -> ChatResponse {
    let [plain, streamed] = answers(&role, request).await;
    assert_eq!(plain.text, streamed.text);
    assert_eq!(plain.reasoning, streamed.reasoning);
    assert_eq!(plain.finish, streamed.finish);
    assert_eq!((&plain.model, &plain.provider), (&streamed.model, &streamed.provider));
    assert_eq!(plain.usage, streamed.usage);
    assert!(plain.usage.is_some());
    let calls = |answer: &ChatResponse| {
        let calls = answer.tool_calls.iter();
        calls.map(|call| (call.name.clone(), call.parse::<serde_json::Value>().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(calls(&plain), calls(&streamed));
    plain
}

pub(super) async fn text(fixture: Arc<Fixture>) {
    is_the_same(fixture.text(), question("Hello, 世界! What is the weather like?")).await;
}

pub(super) async fn picture(fixture: Arc<Fixture>) {
    let answer = is_the_same(fixture.vision(), ChatRequest::ask("图里有什么？", [jpeg(1)])).await;
    assert!(answer.text.contains("Picture 1: JPEG"));
}

pub(super) async fn reasoning(fixture: Arc<Fixture>) {
    let answer = is_the_same(fixture.thinking(), question("Hello").with_thinking(Thinking::On)).await;
    assert!(!answer.reasoning.is_empty());
}

pub(super) async fn calls(fixture: Arc<Fixture>) {
    let answer = is_the_same(fixture.tools(), weather_in("Paris")).await;
    assert_eq!(answer.tool_calls.len(), 1);
}

pub(super) async fn pieces(fixture: Arc<Fixture>) {
    let mut stream = calls::open(&fixture.text(), question("Hello, who are you?")).await.unwrap();
    let (mut texts, mut ends) = (Vec::new(), 0);
    while let Some(event) = stream.next_event().await {
        match event.unwrap() {
            StreamEvent::Text(text) => texts.push(text),
            StreamEvent::End(_) => ends += 1,
            _ => {}
        }
    }
    assert!(texts.len() > 1 && texts.iter().all(|text| !text.is_empty()), "{texts:?}");
    assert!(texts.concat().ends_with("Hello, who are you?"));
    assert_eq!(ends, 1);
    assert!(stream.next_event().await.is_none());
}

/// The vendor stops generating, and billing, when the connection closes.
pub(super) async fn dropped_stream(fixture: Arc<Fixture>) {
    // Of its own, since it counts connections.
    let fixture = Fixture::of(fixture.target).await;
    let role = fixture.text();
    fixture.script(Scenario::Stall);
    let mut stream = calls::open(&role, question("Hello, who are you?")).await.unwrap();
    stream.next_event().await.unwrap().unwrap();
    assert_eq!(fixture.open_connections(), 1);
    drop(stream);
    assert!(fixture.wait_for_connections(0).await, "the connection stays open");
    calls::plain(&role, question("Hello")).await.unwrap();
}

pub(super) async fn dropped_call(fixture: Arc<Fixture>) {
    let fixture = Fixture::of(fixture.target).await;
    let role = fixture.text();
    fixture.script(Scenario::Silence);
    let has_arrived = async {
        while fixture.arrived().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = calls::plain(&role, question("Hello")) => panic!("nothing is answered, but {answer:?}"),
        () = has_arrived => {}
    }
    assert!(fixture.wait_for_connections(0).await, "the connection stays open");
    calls::plain(&role, question("Hello")).await.unwrap();
}
