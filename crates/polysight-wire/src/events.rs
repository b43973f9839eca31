//! From the pieces of a body to the events of an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use polysight_core::{Error, ErrorKind, Result, StreamEvent, TimeoutPhase};
use tokio::time::Instant;

use crate::reply::{Chunks, WaitLimit};
use crate::sse::SseReader;
use crate::{Events, Limits, Progress, StreamDecoder};

/// Reads a body as an event stream. Dropping it closes the connection.
pub(crate) struct EventReader {
    chunks: Chunks,
    sse: SseReader,
    decoder: Box<dyn StreamDecoder>,
    events: Events,
    limit: WaitLimit,
    limits: Limits,
    state: State,
    error: Option<Error>,
}

#[derive(PartialEq, Clone, Copy)]
enum State {
    Reading,
    BodyEnded,
    Finished,
}

impl EventReader {
    pub(crate) fn new(chunks: Chunks, decoder: Box<dyn StreamDecoder>, limits: &Limits) -> Self {
        Self {
            chunks,
            sse: SseReader::new(limits.max_line_bytes),
            decoder,
            events: Events::new(),
            limit: WaitLimit::until(Instant::now() + limits.first_byte, TimeoutPhase::FirstByte),
            limits: limits.clone(),
            state: State::Reading,
            error: None,
        }
    }

    /// Hands over what has arrived of the body already.
    pub(crate) fn push(&mut self, chunk: bytes::Bytes) {
        self.sse.push(chunk);
    }

    /// Reads items out of what has arrived, until there is an event to hand out or more must arrive.
    fn drain(&mut self) -> Result<()> {
        while self.events.is_empty() {
            let Some(item) = self.sse.next_item().map_err(oversized)? else {
                if self.state == State::BodyEnded {
                    self.finish()?;
                }
                return Ok(());
            };
            match self.decoder.read(item, &mut self.events)? {
                Progress::None => {}
                Progress::Piece => self.limit = self.next_limit(),
                Progress::Done => return self.finish(),
            }
        }
        Ok(())
    }

    fn next_limit(&self) -> WaitLimit {
        let wait = if self.decoder.is_complete() { self.limits.after_finish } else { self.limits.idle };
        WaitLimit::after(wait)
    }

    fn finish(&mut self) -> Result<()> {
        self.state = State::Finished;
        let end = self.decoder.finish(&mut self.events)?;
        self.events.push_back(StreamEvent::End(Box::new(end)));
        Ok(())
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<StreamEvent>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.state == State::Finished {
                return Poll::Ready(self.error.take().map(Err));
            }
            if let Err(error) = self.drain() {
                self.fail(error);
            }
            if !self.events.is_empty() || self.state == State::Finished {
                continue;
            }
            match ready!(self.chunks.poll_chunk(context, &mut self.limit)) {
                Ok(Some(chunk)) => self.sse.push(chunk),
                // Once the model has said that it is done, a line that breaks or falls silent takes nothing away.
                Ok(None) => self.end_body(),
                Err(_) if self.decoder.is_complete() => self.end_body(),
                Err(error) => self.fail(error),
            }
        }
    }

    fn end_body(&mut self) {
        self.sse.finish();
        self.state = State::BodyEnded;
    }

    /// Ends with an error, handed out after the events that were read before it.
    fn fail(&mut self, error: Error) {
        self.state = State::Finished;
        self.error = Some(error);
    }
}

fn oversized(error: crate::sse::SseError) -> Error {
    Error::new(ErrorKind::Protocol, error.to_string())
}

impl Stream for EventReader {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context)
    }
}
