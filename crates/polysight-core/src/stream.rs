//! An answer as it arrives.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::{Billed, ChatResponse, Error, ErrorKind, Partial, ResponseMeta, Result, ToolCall};

/// A piece of a tool call, as it arrives. Pieces with the same index belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ToolCallDelta {
    /// Which of the parallel calls this piece belongs to.
    pub index: usize,
    /// The call's id, in its first piece.
    pub id: Option<String>,
    /// The function's name, in its first piece.
    pub name: Option<String>,
    /// The next piece of the arguments' JSON text.
    pub arguments: String,
}

impl ToolCallDelta {
    /// A piece of the call at `index`.
    #[must_use]
    pub fn new(index: usize, id: Option<String>, name: Option<String>, arguments: String) -> Self {
        Self { index, id, name, arguments }
    }
}

/// One event of a streamed answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StreamEvent {
    /// The next piece of text.
    Text(String),
    /// The next piece of reasoning.
    Reasoning(String),
    /// The next piece of a tool call.
    ToolCall(ToolCallDelta),
    /// The answer is complete: the last event, exactly once. An answer that ends in any other way yields an error as
    /// its last item instead.
    End(Box<ResponseMeta>),
}

/// An answer as it arrives: a [`Stream`] of [`StreamEvent`]s.
///
/// It ends exactly once: with [`StreamEvent::End`] or with an error, and nothing after either. Dropping it closes the
/// connection, so that the vendor stops generating; it holds no text, so a long answer costs no memory here.
///
/// `tokio_stream::StreamExt` (or any other crate's `StreamExt`) gives it `next`; [`next_event`](Self::next_event) does
/// without one.
pub struct ChatStream {
    events: Option<Pin<Box<dyn Stream<Item = Result<StreamEvent>> + Send>>>,
    first: Option<StreamEvent>,
    collect_limit: Option<usize>,
    origin: Option<(String, Option<String>)>,
}

impl ChatStream {
    /// Wraps the events of a provider. A stream that stops without an end or an error gets an error as its end.
    #[must_use]
    pub fn new(events: impl Stream<Item = Result<StreamEvent>> + Send + 'static) -> Self {
        Self { events: Some(Box::pin(events)), first: None, collect_limit: None, origin: None }
    }

    /// Puts something around the events of this stream, which keeps its bounds.
    #[must_use]
    pub fn map_stream<S>(mut self, wrap: impl FnOnce(Self) -> S) -> Self
    where
        S: Stream<Item = Result<StreamEvent>> + Send + 'static,
    {
        let (collect_limit, origin) = (self.collect_limit, self.origin.take());
        Self { collect_limit, origin, ..Self::new(wrap(self)) }
    }

    /// Says whose stream it is and which request it answers, for errors that are made here and name neither.
    #[must_use]
    pub fn with_origin(mut self, provider: impl Into<String>, request_id: Option<&str>) -> Self {
        self.origin = Some((provider.into(), request_id.map(str::to_owned)));
        self
    }

    /// Names provider and request on an error that has no names of its own.
    fn named(&self, mut error: Error) -> Error {
        let Some((provider, id)) = &self.origin else { return error };
        if error.provider().is_none() {
            error = error.with_provider(provider.as_str());
        }
        match id {
            Some(id) if error.request_id().is_none() => error.with_request_id(id),
            _ => error,
        }
    }

    /// Bounds what [`collect_response`](Self::collect_response) puts together, in bytes; a tool call counts for 1,024 at
    /// least. Reading event by event has no bound.
    #[must_use]
    pub fn with_collect_limit(mut self, bytes: usize) -> Self {
        self.collect_limit = Some(bytes);
        self
    }

    /// A whole answer as a stream of few events: its reasoning, its text, its tool calls, and the end.
    #[must_use]
    pub fn from_response(response: ChatResponse) -> Self {
        Self::new(Whole(events_of(response).into_iter()))
    }

    /// Waits for the first event and keeps it: a stream that fails before it has said anything is an error then, and
    /// can be retried, since the caller has not seen half an answer.
    ///
    /// # Errors
    /// The stream's own, when it is the first item.
    pub async fn with_first_event(mut self) -> Result<Self> {
        if self.first.is_none() {
            match self.next_event().await {
                Some(Ok(event)) => self.first = Some(event),
                Some(Err(error)) => return Err(error),
                None => {}
            }
        }
        Ok(self)
    }

    /// The next event; `None` after the end.
    pub async fn next_event(&mut self) -> Option<Result<StreamEvent>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// Reads to the end and puts the pieces together: the response that a plain call would have given.
    ///
    /// # Errors
    /// The stream's own error, with the text so far as its [`partial`](Error::partial); [`ErrorKind::Protocol`] when there
    /// is more than the [limit](Self::with_collect_limit).
    pub async fn collect_response(mut self) -> Result<ChatResponse> {
        let mut collected = StreamCollector::new();
        while let Some(event) = self.next_event().await {
            match event {
                Ok(StreamEvent::End(end)) => return Ok(collected.complete(*end)),
                Ok(event) => {
                    collected.add(event);
                    if let Some(limit) = self.collect_limit.filter(|limit| collected.bytes > *limit) {
                        return Err(self.named(collected.interrupted(too_long(limit))));
                    }
                }
                Err(error) => return Err(self.named(collected.interrupted(error))),
            }
        }
        Err(self.named(collected.interrupted(no_end())))
    }
}

/// Events that are all there already.
struct Whole(std::vec::IntoIter<StreamEvent>);

impl Stream for Whole {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

fn events_of(response: ChatResponse) -> Vec<StreamEvent> {
    let mut events = Vec::new();
    if !response.reasoning.is_empty() {
        events.push(StreamEvent::Reasoning(response.reasoning));
    }
    if !response.text.is_empty() {
        events.push(StreamEvent::Text(response.text));
    }
    for (index, call) in response.tool_calls.into_iter().enumerate() {
        let delta = ToolCallDelta::new(index, Some(call.id), Some(call.name), call.arguments);
        events.push(StreamEvent::ToolCall(delta));
    }
    events.push(StreamEvent::End(Box::new(response.meta)));
    events
}

fn too_long(limit: usize) -> Error {
    let message = format!(
        "the collected answer is larger than {limit} bytes: read it event by event, or raise max_reply_bytes \
         (sizes.max_reply in a config file)"
    );
    Error::new(ErrorKind::Protocol, message).with_billed(Billed::Likely)
}

fn no_end() -> Error {
    Error::new(ErrorKind::Interrupted, "the stream stopped without an end")
}

impl Stream for ChatStream {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.first.take() {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(events) = self.events.as_mut() else { return Poll::Ready(None) };
        let item = match events.as_mut().poll_next(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(item)) => item,
            Poll::Ready(None) => Err(self.named(no_end())),
        };
        if matches!(item, Ok(StreamEvent::End(_)) | Err(_)) {
            self.events = None;
        }
        Poll::Ready(Some(item))
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.events.is_some() || self.first.is_some() {
            "ChatStream(open)"
        } else {
            "ChatStream(ended)"
        })
    }
}

/// Collects the events of a stream into a response, for code that also passes them on.
#[derive(Default)]
pub struct StreamCollector {
    text: String,
    reasoning: String,
    calls: Vec<(usize, ToolCall)>,
    bytes: usize,
}

/// What a tool call weighs beside its texts, so that many empty ones are not free.
const CALL_BYTES: usize = 1_024;

impl fmt::Debug for StreamCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "StreamCollector({} bytes, {} calls)",
            self.text.len() + self.reasoning.len(),
            self.calls.len()
        )
    }
}

impl StreamCollector {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next event. An end adds nothing: give it to [`complete`](Self::complete).
    pub fn add(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Text(piece) => {
                self.bytes += piece.len();
                self.text.push_str(&piece);
            }
            StreamEvent::Reasoning(piece) => {
                self.bytes += piece.len();
                self.reasoning.push_str(&piece);
            }
            StreamEvent::ToolCall(delta) => self.add_call(delta),
            StreamEvent::End(_) => {}
        }
    }

    /// Bytes of what was added; a tool call counts for 1,024 at least, so that many empty ones are not free.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn add_call(&mut self, delta: ToolCallDelta) {
        let slot = match self.calls.iter().position(|(index, _)| *index == delta.index) {
            Some(slot) => slot,
            None => {
                self.bytes += CALL_BYTES;
                self.calls.push((delta.index, ToolCall::new("", "", "")));
                self.calls.len() - 1
            }
        };
        if let Some((_, call)) = self.calls.get_mut(slot) {
            if let Some(id) = delta.id.filter(|id| !id.is_empty()) {
                self.bytes += id.len();
                call.id = id;
            }
            if let Some(name) = delta.name.filter(|name| !name.is_empty()) {
                self.bytes += name.len();
                call.name = name;
            }
            self.bytes += delta.arguments.len();
            call.arguments.push_str(&delta.arguments);
        }
    }

    /// Leaves what had arrived on the error; one that brings its own partial keeps it when nothing had.
    #[must_use]
    pub fn interrupted(self, error: Error) -> Error {
        match Partial::new(self.text, self.reasoning) {
            None => error,
            partial => error.with_partial(partial),
        }
    }

    /// The response that a plain call would have given.
    #[must_use]
    pub fn complete(mut self, meta: ResponseMeta) -> ChatResponse {
        self.calls.sort_by_key(|(index, _)| *index);
        let mut response = ChatResponse::from(meta);
        response.text = self.text;
        response.reasoning = self.reasoning;
        response.tool_calls = self.calls.into_iter().map(|(_, call)| call).collect();
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FinishKind, FinishReason, Usage};

    fn events(items: Vec<Result<StreamEvent>>) -> ChatStream {
        struct Items(std::vec::IntoIter<Result<StreamEvent>>);
        impl Stream for Items {
            type Item = Result<StreamEvent>;
            fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                Poll::Ready(self.0.next())
            }
        }
        ChatStream::new(Items(items.into_iter()))
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing here waits"),
        }
    }

    fn response() -> ChatResponse {
        let mut response =
            ChatResponse::new("p", "m", FinishReason::new(FinishKind::ToolCalls, "tool_calls"));
        response.text = "text".to_owned();
        response.reasoning = "why".to_owned();
        response.tool_calls = vec![ToolCall::new("1", "look", "{}"), ToolCall::new("2", "see", "{}")];
        response.usage = Some(Usage::new(1, 2, 3));
        response.cached = true;
        response
    }

    #[test]
    fn a_response_as_a_stream_collects_to_itself() {
        let collected = now(ChatStream::from_response(response()).collect_response()).unwrap();
        assert_eq!(format!("{collected:?}"), format!("{:?}", response()));
    }

    #[test]
    fn priming_keeps_the_first_event_and_tells_of_a_first_error() {
        let stream = now(ChatStream::from_response(response()).with_first_event()).unwrap();
        let stream = now(stream.with_first_event()).unwrap();
        assert_eq!(now(stream.collect_response()).unwrap().reasoning, "why");

        let failing = events(vec![Err(Error::new(ErrorKind::Server, "x"))]);
        assert_eq!(now(failing.with_first_event()).unwrap_err().kind(), ErrorKind::Server);
        assert_eq!(now(events(Vec::new()).with_first_event()).unwrap_err().kind(), ErrorKind::Interrupted);
    }

    #[test]
    fn a_primed_end_is_the_last_event() {
        let mut response = response();
        (response.text, response.reasoning, response.tool_calls) = Default::default();
        let mut stream = now(ChatStream::from_response(response).with_first_event()).unwrap();
        assert_eq!(format!("{stream:?}"), "ChatStream(open)");
        assert!(matches!(now(stream.next_event()), Some(Ok(StreamEvent::End(_)))));
        assert!(now(stream.next_event()).is_none());
        assert_eq!(format!("{stream:?}"), "ChatStream(ended)");
    }
}
