//! Functions called, and their results sent back.

use std::sync::Arc;

use polysight::{ChatRequest, FinishKind, Message, ToolDefinition};
use polysight_testkit::calls::answers;
use serde_json::{Value, json};

use super::fixture::Fixture;

pub(crate) fn weather() -> ToolDefinition {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    ToolDefinition::new("get_weather", "Weather for a city", schema)
}

pub(crate) fn news() -> ToolDefinition {
    let schema =
        json!({"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]});
    ToolDefinition::new("get_news", "News about a topic", schema)
}

pub(super) fn weather_in(city: &str) -> ChatRequest {
    ChatRequest::new([Message::user(format!("What is the weather in \"{city}\"?"))]).with_tools([weather()])
}

pub(super) async fn call(fixture: Arc<Fixture>) {
    for answer in answers(&fixture.tools(), weather_in("北京")).await {
        assert_eq!(answer.finish.kind, FinishKind::ToolCalls);
        assert_eq!(answer.tool_calls.len(), 1);
        let call = &answer.tool_calls[0];
        assert_eq!(
            (call.name.as_str(), call.parse::<Value>().unwrap()),
            ("get_weather", json!({"city": "北京"}))
        );
        assert!(!call.id.is_empty());
    }
}

pub(super) async fn parallel(fixture: Arc<Fixture>) {
    let request =
        ChatRequest::new([Message::user("Tell me both about \"Paris\"")]).with_tools([weather(), news()]);
    for answer in answers(&fixture.tools(), request).await {
        let calls: Vec<(&str, Value)> =
            answer.tool_calls.iter().map(|call| (call.name.as_str(), call.parse().unwrap())).collect();
        let expected = [("get_weather", json!({"city": "Paris"})), ("get_news", json!({"topic": "Paris"}))];
        assert_eq!(calls, expected);
        assert_ne!(answer.tool_calls[0].id, answer.tool_calls[1].id);
    }
}

/// Both calls of one answer are answered in one message.
pub(super) async fn result(fixture: Arc<Fixture>) {
    let asked =
        ChatRequest::new([Message::user("Tell me both about \"Paris\"")]).with_tools([weather(), news()]);
    for answer in answers(&fixture.tools(), asked.clone()).await {
        let mut results = Message::new(polysight::Role::Tool);
        for (call, text) in answer.tool_calls.iter().zip(["{\"degrees\":21}", "nothing new"]) {
            results = results.with(polysight::ToolResult::new(&call.id, text));
        }
        let request = asked.clone().with_message(answer.to_message()).with_message(results);
        for answer in answers(&fixture.tools(), request).await {
            assert_eq!(answer.finish.kind, FinishKind::Stop);
            for fact in ["Tool result 1: {\"degrees\":21}", "Tool result 2: nothing new"] {
                assert!(answer.text.contains(fact), "{fact} is not in: {}", answer.text);
            }
        }
    }
}
