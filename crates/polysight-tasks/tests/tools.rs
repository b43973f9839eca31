//! Tool loops over a scripted provider.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight_core::{
    Billed, ChatRequest, Error, ErrorKind, Image, Message, MessageRole, Part, StreamEvent, ToolChoice, Usage,
};
use polysight_layers::testing::MockProvider;
use polysight_tasks::tools::{ToolLoopError, ToolLoopFault};
use polysight_tasks::{Tool, ToolError, ToolLoop, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Sum {
    a: i64,
    b: i64,
}

fn sum() -> Tool {
    Tool::new("sum", "Adds two numbers.", |Sum { a, b }: Sum| async move { Ok((a + b).to_string()) }).unwrap()
}

fn tool<R, O>(handler: impl Fn() -> R + Send + Sync + 'static) -> Tool
where
    R: Future<Output = Result<O, ToolError>> + Send + 'static,
    O: Into<ToolOutput>,
{
    Tool::new("sum", "Adds two numbers.", move |_: Sum| handler()).unwrap()
}

fn request() -> ChatRequest {
    ChatRequest::new(vec![Message::user("What is 2 + 3?")])
}

fn calls(arguments: &str) -> MockProvider {
    MockProvider::new("m").answer_call("sum", arguments).answer("It is 5.")
}

fn result_of(mock: &MockProvider) -> String {
    let request = mock.requests()[1].clone();
    let results =
        request.messages.iter().flat_map(|message| message.parts.clone()).filter_map(|part| match part {
            Part::ToolResult(result) => Some(result.content),
            _ => None,
        });
    results.collect::<Vec<_>>().join("|")
}

#[tokio::test]
async fn a_call_is_run_and_its_result_goes_back() {
    let mock = calls(r#"{"a":2,"b":3}"#);
    let run =
        ToolLoop::new([sum()]).run(&mock, request().with_tool_choice(ToolChoice::Required)).await.unwrap();
    assert_eq!((run.text(), run.responses.len(), run.messages.len()), ("It is 5.", 2, 4));
    assert_eq!(run.usage().unwrap().total_tokens, 220);
    assert_eq!(result_of(&mock), "5");
    assert_eq!(mock.requests()[0].tools[0].name, "sum");
    assert_eq!(mock.requests()[1].tool_choice, ToolChoice::Auto);
}

#[tokio::test]
async fn streamed_and_plain_give_the_same() {
    let seen = Arc::new(Mutex::new(0));
    let count = Arc::clone(&seen);
    let mock = calls(r#"{"a":2,"b":3}"#);
    let looped = ToolLoop::new([sum()]).with_events(move |event| {
        *count.lock().unwrap() += usize::from(matches!(event, StreamEvent::End(_)));
    });
    let run = looped.run(&mock, request()).await.unwrap();
    assert_eq!((run.text(), result_of(&mock), *seen.lock().unwrap()), ("It is 5.", "5".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_a_result_for_the_model() {
    let panics = tool(|| async { if true { panic!("no") } else { Ok("") } });
    let hangs = tool(|| async {
        std::future::pending::<()>().await;
        Ok("")
    });
    let refuses = tool(|| async { Err::<String, _>(ToolError::from("x".parse::<u8>().unwrap_err())) });
    let rows = [
        (panics, r#"{"a":2,"b":3}"#, "failed"),
        (hangs.with_timeout(Duration::from_secs(5)), r#"{"a":2,"b":3}"#, "longer than 5s"),
        (refuses, r#"{"a":2,"b":3}"#, "invalid digit"),
        (sum(), r#"{"a":2}"#, "required"),
        (sum(), r#"{"a":2,"b":"#, "arguments"),
        (sum(), "", "required"),
        (sum(), r#"{"a":2,"b":"three"}"#, "/b"),
    ];
    for (tool, arguments, words) in rows {
        let mock = calls(arguments);
        ToolLoop::new([tool]).run(&mock, request()).await.unwrap();
        assert!(result_of(&mock).contains(words), "{} is no {words}", result_of(&mock));
    }
    let mock = MockProvider::new("m").answer_call("other", "{}").answer("Well.");
    ToolLoop::new([sum()]).run(&mock, request()).await.unwrap();
    assert!(result_of(&mock).contains("no such tool"));
}

#[tokio::test]
async fn a_tool_can_end_the_loop_and_rounds_are_bounded() {
    let ends = tool(|| async { Err::<String, _>(ToolError::abort("the database is gone")) });
    let error: ToolLoopError =
        ToolLoop::new([ends]).run(&calls(r#"{"a":2,"b":3}"#), request()).await.unwrap_err();
    assert!(
        matches!(error.fault, ToolLoopFault::Tool { .. }) && error.to_string().contains("database"),
        "{error}"
    );
    assert_eq!(error.responses.len(), 1);

    let mock = MockProvider::new("m").answer_call("sum", r#"{"a":2,"b":3}"#).forever();
    let runs = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&runs);
    let counts = tool(move || {
        *counted.lock().unwrap() += 1;
        async { Ok("5") }
    });
    let error = ToolLoop::new([counts]).with_max_rounds(3).run(&mock, request()).await.unwrap_err();
    assert!(matches!(error.fault, ToolLoopFault::TooManyRounds(3)), "{error}");
    assert_eq!((error.responses.len(), *runs.lock().unwrap()), (4, 3), "the fourth call is not run");

    let mock = MockProvider::new("m")
        .answer_call("sum", r#"{"a":2,"b":3}"#)
        .error(Error::new(ErrorKind::Billing, "none"));
    let error = ToolLoop::new([sum()]).run(&mock, request()).await.unwrap_err();
    assert!(matches!(error.fault, ToolLoopFault::Call(_)) && error.responses.len() == 1, "{error}");
}

#[tokio::test]
async fn pictures_of_a_tool_follow_in_a_message_of_the_user() {
    let image = || Image::from_url("https://example.com/a.jpg").unwrap();
    let looks = tool(move || {
        let output = ToolOutput::from("see below").with_image(image());
        async move { Ok(output) }
    });
    let mock = calls(r#"{"a":2,"b":3}"#);
    ToolLoop::new([looks]).run(&mock, request()).await.unwrap();
    let last = mock.requests()[1].messages.last().unwrap().clone();
    assert_eq!((last.role, last.has_media()), (MessageRole::User, true));
}

/// A handler that never gives its thread back holds up nothing but that thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_is_left_behind() {
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let blocked = Arc::new(Mutex::new(blocked));
    let blocks = tool(move || {
        let blocked = Arc::clone(&blocked);
        async move {
            let _ = blocked.lock().unwrap().recv();
            Ok("late")
        }
    });
    let mock = calls(r#"{"a":2,"b":3}"#);
    let run = ToolLoop::new([blocks.with_timeout(Duration::from_millis(30))]).run(&mock, request()).await;
    drop(release);
    assert_eq!(run.unwrap().text(), "It is 5.");
    assert!(result_of(&mock).contains("longer than 30ms"), "{}", result_of(&mock));
}

/// What the rounds before a failed one cost is on the error.
#[tokio::test]
async fn an_error_says_what_was_used() {
    let ends = tool(|| async { Err::<String, _>(ToolError::abort("gone")) });
    let good = MockProvider::new("m").answer_call("sum", r#"{"a":1,"b":2}"#);
    let error = ToolLoop::new([ends]).run(&good, request()).await.unwrap_err();
    assert_eq!((error.usage().unwrap().total_tokens, error.billed()), (110, Billed::Likely));
    let none = MockProvider::new("m").error(Error::new(ErrorKind::Billing, "none"));
    let error = ToolLoop::new([sum()]).run(&none, request()).await.unwrap_err();
    assert_eq!((error.billed(), error.usage()), (Billed::No, Some(Usage::default())));
    let perhaps = Error::new(ErrorKind::Network, "broke").with_billed(Billed::Perhaps);
    let counted = perhaps.clone().with_usage(Some(Usage::new(5, 2, 7)));
    for (failed, tokens) in [(perhaps, None), (counted, Some(117))] {
        let mock = MockProvider::new("m").answer_call("sum", r#"{"a":1,"b":2}"#).error(failed);
        let error = ToolLoop::new([sum()]).run(&mock, request()).await.unwrap_err();
        assert_eq!((error.usage().map(|usage| usage.total_tokens), error.billed()), (tokens, Billed::Likely));
    }
}
