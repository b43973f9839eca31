//! A streamed answer as the body of a reply: server-sent events.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream as _;
use http_body::Frame;
use polysight::{ChatStream, Error, FinishKind, ResponseMeta, Result, StreamEvent, ToolCallDelta, Usage};
use serde::Serialize;
use tokio::time::{Instant, Sleep, sleep};

use super::boxes::BoxText;
use super::objects::{CallObject, FunctionObject, Head, Known, UsageObject, finish_reason};
use crate::refusal::Refusal;
use crate::server::Cut;
use crate::server::record::Record;

/// So much is put together before it is handed on, where events come faster than they are sent: 16 KiB.
const PIECE: usize = 16 << 10;

/// The call until its first event is there.
pub(crate) type Opening = Pin<Box<dyn Future<Output = Result<ChatStream>> + Send>>;

/// How far a call has come.
pub(crate) enum Phase {
    Opening(Opening),
    Open(ChatStream),
    Ended,
}

/// The events of an answer. Dropping it hangs up on the vendor.
///
/// It ends with `[DONE]` only where the answer came to its end; every failure is an event with an error, and the end.
pub(crate) struct StreamBody {
    phase: Phase,
    writer: Writer,
    keep_alive: Duration,
    silence: Pin<Box<Sleep>>,
    cut: Cut,
    record: Record,
}

impl StreamBody {
    /// Sends what comes of a call; a comment goes out after each `keep_alive` without an event. `cut` ends the stream before its
    /// time, when the gateway shuts down.
    pub(crate) fn new(
        phase: Phase,
        head: Head,
        include_usage: bool,
        keep_alive: Duration,
        cut: Cut,
        record: Record,
    ) -> Self {
        let writer = Writer::new(head, include_usage);
        Self { phase, writer, keep_alive, silence: Box::pin(sleep(keep_alive)), cut, record }
    }

    fn take(&mut self, event: Result<StreamEvent>) {
        match event {
            Ok(StreamEvent::End(meta)) => {
                self.record.answered(&meta);
                self.writer.end(&meta);
                self.phase = Phase::Ended;
            }
            Ok(event) => self.writer.event(event),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: Error) {
        if error.finish() == Some(FinishKind::Length) {
            self.record.cut(&error);
            self.writer.end_cut(&error);
        } else {
            self.end_with(&Refusal::from(error));
        }
        self.phase = Phase::Ended;
    }

    fn end_with(&mut self, refusal: &Refusal) {
        self.record.failed(refusal);
        self.writer.buffer.extend_from_slice(&refusal.frame());
        self.phase = Phase::Ended;
    }

    /// Takes whatever has come.
    fn poll_events(&mut self, context: &mut Context<'_>) {
        while self.writer.buffer.len() < PIECE {
            let event = match &mut self.phase {
                Phase::Opening(opening) => match opening.as_mut().poll(context) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(stream)) => {
                        self.phase = Phase::Open(stream);
                        continue;
                    }
                    Poll::Ready(Err(error)) => Err(error),
                },
                Phase::Open(stream) => match Pin::new(stream).poll_next(context) {
                    Poll::Pending => return,
                    // A stream names its own end.
                    Poll::Ready(None) => {
                        self.phase = Phase::Ended;
                        return;
                    }
                    Poll::Ready(Some(event)) => event,
                },
                Phase::Ended => return,
            };
            self.take(event);
        }
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        std::task::ready!(self.silence.as_mut().poll(context));
        self.restart_silence();
        Poll::Ready(Bytes::from_static(b": keep-alive\n\n"))
    }

    fn restart_silence(&mut self) {
        self.silence.as_mut().reset(Instant::now() + self.keep_alive);
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        this.poll_events(context);
        if !matches!(this.phase, Phase::Ended) && this.cut.poll(context).is_ready() {
            this.end_with(&Refusal::shutting_down());
        }
        if !this.writer.buffer.is_empty() {
            this.restart_silence();
            let piece = Bytes::from(std::mem::take(&mut this.writer.buffer));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if matches!(this.phase, Phase::Ended) {
            return Poll::Ready(None);
        }
        // Registers the timer, so that the silence ends.
        let comment = std::task::ready!(this.poll_silence(context));
        // And registers it anew.
        let _ = this.silence.as_mut().poll(context);
        Poll::Ready(Some(Ok(Frame::data(comment))))
    }
}

/// Writes chunks of the shape.
struct Writer {
    head: Head,
    include_usage: bool,
    /// What each chunk begins with, up to the delta.
    prefix: Vec<u8>,
    buffer: Vec<u8>,
    has_begun: bool,
    calls: BTreeSet<usize>,
    text: BoxText,
}

/// What each chunk with a delta ends with.
const SUFFIX: &[u8] = b",\"logprobs\":null,\"finish_reason\":null}]}\n\n";

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallObject<'a>; 1]>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [LastChoice],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    polysight: Option<&'a Known<'a>>,
}

#[derive(Serialize)]
struct LastChoice {
    index: u32,
    delta: Delta<'static>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

const CHUNK: &str = "chat.completion.chunk";

impl Writer {
    fn new(head: Head, include_usage: bool) -> Self {
        let prefix = format!(
            "data: {{\"id\":{},\"object\":\"{CHUNK}\",\"created\":{},\"model\":{},\"choices\":[{{\"index\":0,\"delta\":",
            serde_json::Value::from(&*head.id),
            head.created,
            serde_json::Value::from(&*head.model),
        );
        Self {
            text: BoxText::new(head.is_about_pictures),
            head,
            include_usage,
            prefix: prefix.into_bytes(),
            buffer: Vec::new(),
            has_begun: false,
            calls: BTreeSet::new(),
        }
    }

    fn begin(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            self.delta(&Delta { role: Some("assistant"), content: Some(""), ..Delta::default() });
        }
    }

    fn event(&mut self, event: StreamEvent) {
        self.begin();
        match event {
            StreamEvent::Text(text) => self.content(&text),
            StreamEvent::Reasoning(text) => {
                self.delta(&Delta { reasoning_content: Some(&text), ..Delta::default() });
            }
            StreamEvent::ToolCall(call) if self.head.calls_are_text => {
                self.content(&call.arguments);
            }
            StreamEvent::ToolCall(call) => self.call(&call),
            _ => {}
        }
    }

    fn content(&mut self, text: &str) {
        self.text.push(text);
        self.delta(&Delta { content: Some(text), ..Delta::default() });
    }

    /// The first piece of a call has an id and a name, which clients insist on.
    fn call(&mut self, call: &ToolCallDelta) {
        let is_first = self.calls.insert(call.index);
        let made;
        let id = match &call.id {
            None if is_first => {
                made = format!("call_{}", uuid::Uuid::new_v4().simple());
                Some(&*made)
            }
            id => id.as_deref(),
        };
        let name = call.name.as_deref().or(is_first.then_some(""));
        let function = FunctionObject { name, arguments: &call.arguments };
        let call =
            CallObject { index: Some(call.index), id, r#type: is_first.then_some("function"), function };
        self.delta(&Delta { tool_calls: Some([call]), ..Delta::default() });
    }

    fn delta(&mut self, delta: &Delta<'_>) {
        self.buffer.extend_from_slice(&self.prefix);
        // Texts and numbers into memory: this cannot fail.
        let _ = serde_json::to_writer(&mut self.buffer, delta);
        self.buffer.extend_from_slice(SUFFIX);
    }

    fn end(&mut self, meta: &ResponseMeta) {
        let finish = finish_reason(meta.finish.kind, self.head.calls_are_text);
        self.begin();
        let known = Known::of(meta, &self.head, self.text.boxes(meta.grounding.as_deref()));
        finish_frames(&mut self.buffer, &self.head, finish, meta.usage, &known, self.include_usage);
    }

    /// The vendor's own token limit was met.
    fn end_cut(&mut self, error: &Error) {
        self.begin();
        let known = Known::of_cut(error, &self.head);
        finish_frames(&mut self.buffer, &self.head, "length", None, &known, self.include_usage);
    }
}

/// The last events. Usage stands in one of them alone, since some clients add up what they get: in that with the finish reason, or
/// in one of its own without a choice for clients that asked for it, as the shape has it. That one comes first, since some stop
/// to read behind the finish reason.
fn finish_frames(
    buffer: &mut Vec<u8>,
    head: &Head,
    finish_reason: &'static str,
    usage: Option<Usage>,
    known: &Known<'_>,
    include_usage: bool,
) {
    let (in_finish, apart) = if include_usage { (None, usage) } else { (usage, None) };
    let last = [LastChoice { index: 0, delta: Delta::default(), logprobs: None, finish_reason }];
    let chunk = |choices, usage: Option<Usage>, polysight| Chunk {
        id: &head.id,
        object: CHUNK,
        created: head.created,
        model: &head.model,
        choices,
        usage: usage.map(Into::into),
        polysight,
    };
    if apart.is_some() {
        frame(buffer, &chunk(&[], apart, None));
    }
    frame(buffer, &chunk(&last, in_finish, Some(known)));
    buffer.extend_from_slice(b"data: [DONE]\n\n");
}

fn frame(buffer: &mut Vec<u8>, chunk: &Chunk<'_>) {
    buffer.extend_from_slice(b"data: ");
    // Texts and numbers into memory: this cannot fail.
    let _ = serde_json::to_writer(&mut *buffer, chunk);
    buffer.extend_from_slice(b"\n\n");
}
