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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use bytes::Bytes;
    use http_body::{Body, Frame};
    use polysight_core::{FinishKind, FinishReason, StreamEnd};
    use tokio::time::Sleep;

    use super::*;
    use crate::sse::SseItem;

    /// Pieces of a body, each so many seconds after the one before; then silence.
    struct Script {
        pieces: VecDeque<(u64, &'static str)>,
        wait: Option<Pin<Box<Sleep>>>,
    }

    impl Body for Script {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
            let Some((seconds, piece)) = self.pieces.front().copied() else { return Poll::Pending };
            let wait = || Box::pin(tokio::time::sleep(Duration::from_secs(seconds)));
            ready!(self.wait.get_or_insert_with(wait).as_mut().poll(context));
            self.wait = None;
            self.pieces.pop_front();
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }
    }

    /// Takes the data of each event as text; `end` says that the model is done.
    struct Plain {
        is_complete: bool,
    }

    impl StreamDecoder for Plain {
        fn read(&mut self, item: SseItem<'_>, events: &mut Events) -> Result<Progress> {
            let SseItem::Event(event) = item else { return Ok(Progress::None) };
            self.is_complete = event.data == b"end";
            events.push_back(StreamEvent::Text(String::from_utf8_lossy(event.data).into_owned()));
            Ok(Progress::Piece)
        }

        fn is_complete(&self) -> bool {
            self.is_complete
        }

        fn finish(&mut self, _: &mut Events) -> Result<StreamEnd> {
            Ok(StreamEnd::new("p", "m", FinishReason::new(FinishKind::Stop, "stop")))
        }
    }

    /// What comes out of a body, and after how many seconds it is over.
    async fn read(pieces: &[(u64, &'static str)], total: Option<u64>) -> (Vec<String>, u64) {
        let started = Instant::now();
        let limits = Limits::default().with_first_byte(Duration::from_secs(300));
        let script = Script { pieces: pieces.iter().copied().collect(), wait: None };
        let deadline = total.map(|seconds| started + Duration::from_secs(seconds));
        let chunks = Chunks::new(reqwest::Body::wrap(script), limits.idle, deadline);
        let mut reader = EventReader::new(chunks, Box::new(Plain { is_complete: false }), &limits);
        let mut seen = Vec::new();
        while let Some(event) = std::future::poll_fn(|context| reader.poll_event(context)).await {
            seen.push(match event {
                Ok(StreamEvent::Text(text)) => text,
                Ok(_) => "complete".to_owned(),
                Err(error) => format!("{:?}", error.kind()),
            });
        }
        (seen, started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_may_last_as_long_as_pieces_come() {
        let (seen, seconds) =
            read(&[(200, "data: a\n\n"), (80, "data: b\n\n"), (80, "data: c\n\n")], None).await;
        assert_eq!(seen, ["a", "b", "c", "Timeout(Idle)"]);
        assert_eq!(seconds, 200 + 80 + 80 + 90);
    }

    #[tokio::test(start_paused = true)]
    async fn comments_are_no_pieces() {
        let (seen, seconds) =
            read(&[(1, "data: a\n\n"), (40, ": on\n\n"), (40, ": on\n\n"), (40, ": on\n\n")], None).await;
        assert_eq!(seen, ["a", "Timeout(Idle)"]);
        assert_eq!(seconds, 1 + 90);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_event_has_a_limit_of_its_own() {
        let (seen, seconds) = read(&[(100, ": on\n\n"), (100, ": on\n\n"), (150, "data: a\n\n")], None).await;
        assert_eq!((seen.join(" "), seconds), ("Timeout(FirstByte)".to_owned(), 300));
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_model_is_done_the_rest_is_not_waited_for_long() {
        let (seen, seconds) = read(&[(10, "data: a\n\n"), (10, "data: end\n\n")], None).await;
        assert_eq!(seen, ["a", "end", "complete"]);
        assert_eq!(seconds, 10 + 10 + 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_call_has_a_limit_that_pieces_do_not_move() {
        let (seen, seconds) = read(&[(10, "data: a\n\n"), (80, "data: b\n\n")], Some(100)).await;
        assert_eq!(seen, ["a", "b", "Timeout(Total)"]);
        assert_eq!(seconds, 100);
    }
}
