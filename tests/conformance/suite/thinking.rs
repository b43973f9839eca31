//! Reasoning.

use std::sync::Arc;

use polysight::{Thinking, VisionProvider, VisionProviderExt};

use super::answers::question;
use super::stage::Stage;

pub(super) async fn on(stage: Arc<Stage>) {
    let request = question("Hello").with_thinking(Thinking::On);
    for answer in [
        stage.thinking().chat(request.clone()).await.unwrap(),
        stage.thinking().stream_collected(request.clone()).await.unwrap(),
    ] {
        assert!(!answer.reasoning.is_empty() && !answer.text.contains(&answer.reasoning));
        assert!(
            answer.text.ends_with("You asked: Hello") && !answer.text.contains("think>"),
            "{}",
            answer.text
        );
    }
}

pub(super) async fn off(stage: Arc<Stage>) {
    let request = question("Hello").with_thinking(Thinking::Off);
    for answer in [
        stage.thinking().chat(request.clone()).await.unwrap(),
        stage.thinking().stream_collected(request.clone()).await.unwrap(),
    ] {
        assert_eq!(answer.reasoning, "");
        assert!(answer.text.ends_with("You asked: Hello"), "{}", answer.text);
    }
}

/// Enough for half a thought.
pub(super) async fn budget(stage: Arc<Stage>) {
    let whole = question("Hello").with_thinking(Thinking::On);
    let half = question("Hello").with_thinking(Thinking::Budget(10));
    let whole = stage.thinking().stream_collected(whole).await.unwrap().reasoning;
    for answer in [
        stage.thinking().chat(half.clone()).await.unwrap(),
        stage.thinking().stream_collected(half.clone()).await.unwrap(),
    ] {
        assert!(!answer.reasoning.is_empty() && answer.reasoning.len() < whole.len(), "{}", answer.reasoning);
        assert!(answer.text.ends_with("You asked: Hello"), "{}", answer.text);
    }
}
