//! Reasoning.

use std::sync::Arc;

use polysight::Thinking;
use polysight_testkit::calls::{self, answers};

use super::answers::question;
use super::fixture::Fixture;

pub(super) async fn on(fixture: Arc<Fixture>) {
    let request = question("Hello").with_thinking(Thinking::On);
    for answer in answers(&fixture.thinking(), request).await {
        assert!(!answer.reasoning.is_empty() && !answer.text.contains(&answer.reasoning));
        assert!(
            answer.text.ends_with("You asked: Hello") && !answer.text.contains("think>"),
            "{}",
            answer.text
        );
    }
}

pub(super) async fn off(fixture: Arc<Fixture>) {
    let request = question("Hello").with_thinking(Thinking::Off);
    for answer in answers(&fixture.thinking(), request).await {
        assert_eq!(answer.reasoning, "");
        assert!(answer.text.ends_with("You asked: Hello"), "{}", answer.text);
    }
}

/// Enough for half a thought.
pub(super) async fn budget(fixture: Arc<Fixture>) {
    let whole = question("Hello").with_thinking(Thinking::On);
    let half = question("Hello").with_thinking(Thinking::Budget(10));
    let whole = calls::streamed(&fixture.thinking(), whole).await.unwrap().reasoning;
    for answer in answers(&fixture.thinking(), half).await {
        assert!(!answer.reasoning.is_empty() && answer.reasoning.len() < whole.len(), "{}", answer.reasoning);
        assert!(answer.text.ends_with("You asked: Hello"), "{}", answer.text);
    }
}
