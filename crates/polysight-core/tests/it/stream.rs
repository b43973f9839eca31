//! Streams end once, whatever a provider does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use polysight_core::{
    Billed, ChatStream, Error, ErrorKind, FinishKind, FinishReason, Partial, ResponseMeta, Result,
    StreamEvent, ToolCallDelta, Usage,
};

/// Hands out what it was given, pausing before each item, and says when it is dropped.
struct Scripted {
    items: std::vec::IntoIter<Result<StreamEvent>>,
    paused: bool,
    dropped: Arc<AtomicBool>,
}

impl Stream for Scripted {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.paused = !self.paused;
        if self.paused {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.items.next())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

fn scripted(items: Vec<Result<StreamEvent>>) -> (ChatStream, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let inner = Scripted { items: items.into_iter(), paused: false, dropped: Arc::clone(&dropped) };
    (ChatStream::new(inner), dropped)
}

fn text(text: &str) -> Result<StreamEvent> {
    Ok(StreamEvent::Text(text.to_owned()))
}

fn end() -> Result<StreamEvent> {
    let mut end = ResponseMeta::new("toy", "eye", FinishReason::new(FinishKind::Stop, "stop"));
    end.usage = Some(Usage::new(3, 2, 5));
    Ok(StreamEvent::End(Box::new(end)))
}

fn failure() -> Error {
    Error::new(ErrorKind::Network, "the connection broke")
}

fn piece(index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> Result<StreamEvent> {
    let delta = ToolCallDelta::new(index, id.map(Into::into), name.map(Into::into), arguments.to_owned());
    Ok(StreamEvent::ToolCall(delta))
}

async fn all(mut stream: ChatStream) -> Vec<Result<StreamEvent>> {
    let mut items = Vec::new();
    while let Some(item) = stream.next_event().await {
        items.push(item);
        assert!(items.len() < 100, "it never ends");
    }
    assert!(stream.next_event().await.is_none(), "it stays ended");
    items
}

#[tokio::test]
async fn a_stream_ends_once_and_nothing_follows() {
    for script in [vec![text("a"), end(), text("b"), end()], vec![text("a"), end(), Err(failure())]] {
        let items = all(scripted(script).0).await;
        assert_eq!(items.len(), 2);
        assert!(matches!(items[1], Ok(StreamEvent::End(_))));
    }
}

#[tokio::test]
async fn an_error_ends_a_stream() {
    let items = all(scripted(vec![text("a"), Err(failure()), text("b"), end()]).0).await;
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].as_ref().unwrap_err().kind(), ErrorKind::Network);
}

#[tokio::test]
async fn a_stream_that_stops_short_was_interrupted() {
    for script in [vec![], vec![text("a")]] {
        let mut items = all(scripted(script).0).await;
        let error = items.pop().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn the_connection_is_closed_at_the_end_and_on_drop() {
    let (mut stream, dropped) = scripted(vec![text("a"), end()]);
    assert_eq!(format!("{stream:?}"), "ChatStream(open)");
    stream.next_event().await.unwrap().unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    stream.next_event().await.unwrap().unwrap();
    assert!(dropped.load(Ordering::SeqCst), "at the end, though the stream still lives");
    assert_eq!(format!("{stream:?}"), "ChatStream(ended)");
    let (stream, dropped) = scripted(vec![text("a")]);
    drop(stream);
    assert!(dropped.load(Ordering::SeqCst), "on drop");
}

#[tokio::test]
async fn collecting_puts_the_pieces_together() {
    let script = vec![
        Ok(StreamEvent::Reasoning("hm".to_owned())),
        text("one "),
        piece(1, Some("b"), Some("g"), "{\"x\""),
        piece(0, Some("a"), Some("f"), "{"),
        text("two"),
        piece(1, None, None, ":1}"),
        piece(0, Some(""), Some(""), "}"),
        Ok(StreamEvent::Reasoning("!".to_owned())),
        piece(usize::MAX, None, None, ""),
        end(),
    ];
    let response = scripted(script).0.collect_response().await.unwrap();
    assert_eq!((&*response.text, &*response.reasoning), ("one two", "hm!"));
    let calls: Vec<_> =
        response.tool_calls.iter().map(|call| (&*call.id, &*call.name, &*call.arguments)).collect();
    assert_eq!(calls, [("a", "f", "{}"), ("b", "g", "{\"x\":1}"), ("", "", "")]);
    assert_eq!((&*response.provider, response.usage.unwrap().total_tokens), ("toy", 5));
}

#[tokio::test]
async fn collecting_keeps_what_had_arrived_before_an_error() {
    let reasoned = || Ok(StreamEvent::Reasoning("hm".to_owned()));
    for (script, kind) in [
        (vec![reasoned(), text("ha"), text("lf"), Err(failure())], ErrorKind::Network),
        (vec![reasoned(), text("half")], ErrorKind::Interrupted),
    ] {
        let error = scripted(script).0.collect_response().await.unwrap_err();
        assert_eq!(error.kind(), kind);
        let partial = error.partial().unwrap();
        assert_eq!((&*partial.text, &*partial.reasoning), ("half", "hm"));
    }
    let error = scripted(vec![Err(failure())]).0.collect_response().await.unwrap_err();
    assert_eq!(error.partial(), None);
}

#[tokio::test]
async fn an_error_that_brings_its_own_partial_keeps_it() {
    let brought = failure().with_partial(Partial::new("known".to_owned(), String::new()));
    let error = scripted(vec![Err(brought)]).0.collect_response().await.unwrap_err();
    assert_eq!(error.partial().unwrap().text, "known");
}

#[tokio::test]
async fn collecting_is_bounded_and_reading_is_not() {
    let items = || vec![text("one"), Ok(StreamEvent::Reasoning("two".to_owned())), end()];
    for (limit, fits) in [(6, true), (5, false)] {
        let collected = scripted(items()).0.with_collect_limit(limit).collect_response().await;
        assert_eq!(collected.is_ok(), fits);
        let Err(error) = collected else { continue };
        assert_eq!((error.kind(), error.billed()), (ErrorKind::Protocol, Billed::Likely));
        assert!(
            error.message().contains("5 bytes") && error.message().contains("sizes.max_reply"),
            "{error}"
        );
        assert_eq!(error.partial().unwrap().text, "one");
    }
    let calls = (0..100).map(|index| piece(index, None, None, "")).chain([end()]).collect();
    assert!(scripted(calls).0.with_collect_limit(99 * 1_024).collect_response().await.is_err());
    assert_eq!(all(scripted(items()).0.with_collect_limit(0)).await.len(), 3);
}

#[test]
fn a_stream_can_cross_threads() {
    fn sendable<T: Send + 'static>() {}
    sendable::<ChatStream>();
}

#[tokio::test]
async fn what_is_found_in_a_stream_names_provider_and_request() {
    let named = |error: Error| (error.provider().map(str::to_owned), error.request_id().map(str::to_owned));
    let expected = (Some("p".to_owned()), Some("r-1".to_owned()));
    let origin = |items| scripted(items).0.with_origin("p", Some("r-1"));
    let cut = origin(vec![text("a")]).collect_response().await.unwrap_err();
    assert_eq!(named(cut), expected);
    let long = origin(vec![text("a".repeat(99).as_str()), end()]).with_collect_limit(9);
    assert_eq!(named(long.collect_response().await.unwrap_err()), expected);
    let mut read = origin(vec![text("a")]);
    let items = [read.next_event().await, read.next_event().await];
    assert_eq!(named(items.into_iter().flatten().find_map(Result::err).unwrap()), expected);
    let wrapped = origin(vec![text("a")]).map_stream(|inner| inner);
    assert_eq!(named(wrapped.collect_response().await.unwrap_err()), expected);
    let nameless = origin(vec![text("a"), Err(Error::new(ErrorKind::Server, ""))]);
    assert_eq!(named(nameless.collect_response().await.unwrap_err()), expected);
    let own = Error::new(ErrorKind::Server, "").with_provider("q").with_request_id("r-2");
    let kept = origin(vec![Err(own)]).collect_response().await.unwrap_err();
    assert_eq!(named(kept), (Some("q".to_owned()), Some("r-2".to_owned())));
    let none = scripted(vec![text("a")]).0.collect_response().await.unwrap_err();
    assert_eq!(named(none), (None, None));
}
