//! From the pieces of a body to the events of an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

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
    begun: bool,
    error: Option<Error>,
}

#[derive(PartialEq, Clone, Copy)]
enum State {
    Reading,
    /// The vendor's mark of the end has come, the body's own end not yet.
    Done,
    BodyEnded,
    Finished,
}

/// Longest wait for the end of a body behind the vendor's mark of the end. It comes in the same packet as a rule, and a
/// connection whose body was not read to its end is lost to the next request.
const BEHIND_DONE: Duration = Duration::from_millis(20);

impl EventReader {
    pub(crate) fn new(chunks: Chunks, decoder: Box<dyn StreamDecoder>, limits: &Limits) -> Self {
        Self {
            chunks,
            sse: SseReader::new(limits.max_line_bytes),
            decoder,
            events: Events::new(),
            limit: WaitLimit::new(Instant::now() + limits.first_byte, TimeoutPhase::FirstByte),
            limits: limits.clone(),
            state: State::Reading,
            begun: false,
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
            match self.decoder.read(item, &mut self.events) {
                Ok(Progress::None) => {}
                Ok(Progress::Piece) => {
                    self.begun = true;
                    self.limit = self.next_limit();
                }
                Ok(Progress::Done) => {
                    self.state = State::Done;
                    self.limit = WaitLimit::new(Instant::now() + BEHIND_DONE, TimeoutPhase::Idle);
                    return Ok(());
                }
                // What is left when the body has ended lacks its end: an event that makes no sense then was cut, and
                // what came before it decides.
                Err(error) if self.is_cut(&error) => return self.finish(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_cut(&self, error: &Error) -> bool {
        self.state == State::BodyEnded && error.kind() == ErrorKind::Protocol
    }

    fn next_limit(&self) -> WaitLimit {
        let Limits { idle, after_finish, .. } = self.limits;
        let wait = if self.decoder.is_complete() { after_finish.min(idle) } else { idle };
        WaitLimit::new(Instant::now() + wait, TimeoutPhase::Idle)
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
            if self.state == State::Done {
                // Whether it ends, goes on, breaks or falls silent: the answer was complete before.
                let _ = ready!(self.chunks.poll_chunk(context, &mut self.limit));
                if let Err(error) = self.finish() {
                    self.fail(error);
                }
                continue;
            }
            if let Err(error) = self.drain() {
                self.fail(error);
            }
            if !self.events.is_empty() || matches!(self.state, State::Done | State::Finished) {
                continue;
            }
            match ready!(self.chunks.poll_chunk(context, &mut self.limit)) {
                Ok(Some(chunk)) => self.sse.push(chunk),
                // Once the model has said that it is done, a line that breaks or falls silent takes nothing away.
                Ok(None) => self.end_body(),
                Err(_) if self.decoder.is_complete() => self.end_body(),
                Err(error) => {
                    let error = if self.begun { interrupted(error) } else { error };
                    self.fail(error);
                }
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

/// A connection that broke took the rest of the answer with it.
fn interrupted(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Network => {
            Error::new(ErrorKind::Interrupted, "the connection broke before the answer's end")
                .with_source(error)
        }
        _ => error,
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
    use bytes::Bytes;
    use http_body::Frame;
    use polysight_core::{FinishKind, FinishReason, StreamEnd};

    use super::*;
    use crate::WireReply;
    use crate::sse::SseItem;

    /// Takes `.` for the last delta, `*` for the mark of the end, refuses `!`, and hands everything else out.
    #[derive(Default)]
    struct Words {
        complete: bool,
    }

    impl StreamDecoder for Words {
        fn read(&mut self, item: SseItem<'_>, events: &mut Events) -> Result<Progress> {
            let SseItem::Event(event) = item else { return Ok(Progress::None) };
            match event.data {
                b"!" => return Err(Error::new(ErrorKind::Protocol, "")),
                b"*" => return Ok(Progress::Done),
                b"." => self.complete = true,
                word => events.push_back(StreamEvent::Text(String::from_utf8_lossy(word).into_owned())),
            }
            Ok(Progress::Piece)
        }

        fn is_complete(&self) -> bool {
            self.complete
        }

        fn finish(&mut self, _: &mut Events) -> Result<StreamEnd> {
            if self.complete {
                Ok(StreamEnd::new("p", "m", FinishReason::new(FinishKind::Stop, "stop")))
            } else {
                Err(Error::new(ErrorKind::Interrupted, ""))
            }
        }
    }

    /// A body that falls silent after its first bytes.
    struct Silent(Option<Bytes>);

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
            self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
        }
    }

    /// Reads a body to the end: the words, and the kind of the error at the end.
    async fn read(body: impl Into<reqwest::Body>, limits: &Limits) -> (String, Option<ErrorKind>) {
        let response = reqwest::Response::from(http::Response::new(body.into()));
        let (_, chunks) = WireReply::new(response, limits, None).into_chunks().unwrap();
        let mut reader = EventReader::new(chunks, Box::new(Words::default()), limits);
        let mut words = String::new();
        let mut end = None;
        while let Some(event) = std::future::poll_fn(|context| reader.poll_event(context)).await {
            match event {
                Ok(StreamEvent::Text(word)) => words.push_str(&word),
                Ok(_) => {}
                Err(error) => end = Some(error.kind()),
            }
        }
        (words, end)
    }

    #[tokio::test]
    async fn an_event_that_the_end_of_the_body_cuts_is_none() {
        for (body, words, end) in [
            ("data: a\n\ndata: !", "a", Some(ErrorKind::Interrupted)),
            ("data: a\n\ndata: !\n", "a", Some(ErrorKind::Interrupted)),
            ("data: a\n\ndata: .\n\ndata: !", "a", None),
            ("data: a\n\ndata: .", "a", None),
            ("data: a\n\ndata: b", "ab", Some(ErrorKind::Interrupted)),
            ("data: a\n\ndata: !\n\n", "a", Some(ErrorKind::Protocol)),
        ] {
            assert_eq!(read(body, &Limits::default()).await, (words.to_owned(), end), "{body:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_body_is_waited_for_a_moment_behind_the_mark_of_the_end() {
        for (last, end) in [("data: .\n\n", None), ("", Some(ErrorKind::Interrupted))] {
            let body = format!("data: a\n\n{last}data: *\n\ndata: b\n\n");
            assert_eq!(read(body.clone(), &Limits::default()).await, ("a".to_owned(), end));
            let begun = Instant::now();
            let silent = reqwest::Body::wrap(Silent(Some(body.into())));
            assert_eq!(read(silent, &Limits::default()).await, ("a".to_owned(), end));
            // The clock of paused time ticks in milliseconds.
            assert!(begun.elapsed() <= BEHIND_DONE + Duration::from_millis(1), "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_falls_silent_after_the_answer_is_waited_for_no_longer_than_any_other() {
        for (idle, after_finish, waited) in [(1, 5, 1), (90, 5, 5)] {
            let mut limits = Limits::default().with_idle(Duration::from_secs(idle));
            limits.after_finish = Duration::from_secs(after_finish);
            let begun = Instant::now();
            let silent = Silent(Some(Bytes::from_static(b"data: a\n\ndata: .\n\n")));
            assert_eq!(read(reqwest::Body::wrap(silent), &limits).await, ("a".to_owned(), None));
            assert_eq!(begun.elapsed().as_secs(), waited);
        }
    }
}
