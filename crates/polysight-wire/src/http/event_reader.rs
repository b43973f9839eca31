//! From the pieces of a body to the events of an answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use polysight_core::{Billed, Error, ErrorKind, Result, StreamEvent};

use super::chunks::{Chunks, ReadTimeout};
use crate::sse::{SseItem, SseReader};
use crate::{Events, Limits, Progress, StreamDecoder};

/// Reads a body as an event stream. Dropping it closes the connection.
pub(crate) struct EventReader {
    chunks: Chunks,
    sse: SseReader,
    /// What came before the answer and is none of it: an error over several lines, or words.
    document: Vec<u8>,
    decoder: Box<dyn StreamDecoder>,
    events: Events,
    /// How many bytes of the body may still be kept; `None` when none are.
    raw_left: Option<usize>,
    limit: ReadTimeout,
    limits: Limits,
    state: State,
    begun: bool,
    /// The model has said that it is done.
    is_ending: bool,
    /// Bytes since the last piece of the answer, and all of them once the model is done.
    quiet_bytes: usize,
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
const DONE_DRAIN: Duration = Duration::from_millis(20);

impl EventReader {
    pub(crate) fn new(chunks: Chunks, decoder: Box<dyn StreamDecoder>, limits: &Limits) -> Self {
        Self {
            limit: chunks.first_wait(),
            chunks,
            sse: SseReader::new(limits.max_line_bytes).with_split_documents(),
            document: Vec::new(),
            decoder,
            events: Events::new(),
            raw_left: None,
            limits: limits.clone(),
            state: State::Reading,
            begun: false,
            is_ending: false,
            quiet_bytes: 0,
            error: None,
        }
    }

    /// Bounds a body whose frames are kept.
    pub(crate) fn with_raw_limit(mut self, bytes: Option<usize>) -> Self {
        self.raw_left = bytes;
        self
    }

    /// Hands over what has arrived of the body.
    pub(crate) fn push(&mut self, chunk: bytes::Bytes) {
        if let Some(left) = self.raw_left {
            let Some(left) = left.checked_sub(chunk.len()) else {
                return self.fail(too_much_raw(self.limits.max_reply_bytes));
            };
            self.raw_left = Some(left);
        }
        self.quiet_bytes = self.quiet_bytes.saturating_add(chunk.len());
        self.sse.push(chunk);
    }

    /// Reads items out of what has arrived, until there is an event to hand out or more must arrive.
    fn drain(&mut self) -> Result<()> {
        while self.events.is_empty() {
            let Some(item) = self.sse.next_item().map_err(oversized)? else {
                if self.state == State::BodyEnded {
                    self.read_document()?;
                    self.finish()?;
                }
                return Ok(());
            };
            match self.decoder.read(item, &mut self.events) {
                Ok(Progress::None) if self.begun => {}
                Ok(Progress::None) => keep_words(&mut self.document, item, self.limits.max_error_bytes),
                Ok(Progress::Empty) => self.note_event(false),
                Ok(Progress::Event) => self.note_event(true),
                Ok(Progress::Done) => {
                    self.state = State::Done;
                    self.limit = ReadTimeout::after(DONE_DRAIN);
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

    /// A decoder was shown the lines of an error one by one: now it gets them as one document.
    fn read_document(&mut self) -> Result<()> {
        if self.begun || self.document.is_empty() {
            return Ok(());
        }
        self.decoder.read(SseItem::NonField(&self.document), &mut self.events).map(drop)
    }

    fn is_cut(&self, error: &Error) -> bool {
        self.state == State::BodyEnded && error.kind() == ErrorKind::Protocol
    }

    /// Sets the limit for what comes after an event. A piece of the answer begins a new wait; other events only begin a new
    /// pause within it, and none once the model is done.
    fn note_event(&mut self, is_piece: bool) {
        let Limits { idle, first_byte, drain_timeout, .. } = self.limits;
        let whole = first_byte.max(idle);
        self.begun = true;
        let was_ending = std::mem::replace(&mut self.is_ending, self.decoder.is_complete());
        self.limit = match (self.is_ending, is_piece) {
            (true, _) if !was_ending => ReadTimeout::after(drain_timeout.min(idle)).within(whole),
            (true, false) => self.limit,
            (false, true) => ReadTimeout::after(idle).within(whole),
            (true, true) | (false, false) => self.limit.renewed(),
        };
        if is_piece && !was_ending {
            self.quiet_bytes = 0;
        }
    }

    /// Ends a body that goes on without a pause and without a piece of the answer, which no clock sees.
    fn check_quiet_bytes(&mut self) {
        let limit = self.limits.max_reply_bytes.max(self.limits.max_line_bytes);
        if self.quiet_bytes <= limit {
            return;
        }
        if self.decoder.is_complete() {
            return self.end_body();
        }
        let message =
            format!("{limit} bytes came without a piece of the answer: the server sends something else");
        self.fail(Error::new(ErrorKind::Protocol, message));
    }

    fn finish(&mut self) -> Result<()> {
        self.state = State::Finished;
        let words = std::mem::take(&mut self.document);
        let words = Some(words).filter(|words| !self.begun && !words.is_empty());
        let end = self.decoder.finish(&mut self.events).map_err(|error| {
            match words.and_then(|words| crate::chat::words_of(&words)) {
                Some(words) => error.with_vendor_message(words),
                None => error,
            }
        })?;
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
            if self.state == State::Reading {
                self.check_quiet_bytes();
            }
            if !self.events.is_empty() || self.state != State::Reading {
                continue;
            }
            match ready!(self.chunks.poll_chunk(context, &mut self.limit)) {
                Ok(Some(chunk)) => self.push(chunk),
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
        // What the decoder held back is part of what had come.
        let _ = self.decoder.finish(&mut self.events);
        // What an error frame refuses before anything else has come costs nothing.
        let answered = self.begun || error.kind() == ErrorKind::Protocol;
        self.error = Some(if answered { error.with_billed(Billed::Likely) } else { error });
    }
}

/// Keeps what is no comment and no part of an answer, within a limit.
fn keep_words(words: &mut Vec<u8>, item: SseItem<'_>, limit: usize) {
    let line = match item {
        SseItem::NonField(line) => line,
        SseItem::Event(event) => event.data,
        SseItem::Comment(_) => return,
    };
    if !line.is_empty() && words.len() + line.len() < limit {
        words.extend_from_slice(line);
        words.push(b'\n');
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

fn too_much_raw(limit: usize) -> Error {
    let message = format!(
        "the stream is larger than {limit} bytes, and all of it is kept: leave keep_raw out, or raise max_reply_bytes \
         (sizes.max_reply in a config file)"
    );
    Error::new(ErrorKind::Protocol, message)
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
    use polysight_core::{FinishKind, FinishReason, ResponseMeta};
    use tokio::time::Instant;

    use super::*;
    use crate::WireReply;
    use crate::http::reply::ReplyBody;

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
            Ok(Progress::Event)
        }

        fn is_complete(&self) -> bool {
            self.complete
        }

        fn finish(&mut self, _: &mut Events) -> Result<ResponseMeta> {
            if self.complete {
                Ok(ResponseMeta::new("p", "m", FinishReason::new(FinishKind::Stop, "stop")))
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
    async fn read(body: impl Into<ReplyBody>, limits: &Limits) -> (String, Option<ErrorKind>) {
        let response = http::Response::new(body.into());
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

    #[tokio::test]
    async fn a_stream_whose_frames_are_kept_is_bounded() {
        let body = "data: a\n\ndata: b\n\ndata: .\n\n";
        for (limit, words, message) in [
            (None, "ab", ""),
            (Some(body.len()), "ab", ""),
            (Some(body.len() - 1), "", "the stream is larger than 26 bytes"),
        ] {
            let limits = Limits::default().with_max_reply_bytes(limit.unwrap_or(1));
            let response = http::Response::new(ReplyBody::from(body));
            let (_, chunks) = WireReply::new(response, &limits, None).into_chunks().unwrap();
            let reader = EventReader::new(chunks, Box::new(Words::default()), &limits).with_raw_limit(limit);
            let answer = polysight_core::ChatStream::new(reader).collect_response().await;
            let (text, error) = match answer {
                Ok(answer) => (answer.text, String::new()),
                Err(error) => (String::new(), error.message().to_owned()),
            };
            assert_eq!(text, words);
            assert!(
                error.starts_with(message) && error.contains("sizes.max_reply") != message.is_empty(),
                "{error}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_body_is_waited_for_a_moment_behind_the_mark_of_the_end() {
        for (last, end) in [("data: .\n\n", None), ("", Some(ErrorKind::Interrupted))] {
            let body = format!("data: a\n\n{last}data: *\n\ndata: b\n\n");
            assert_eq!(read(body.clone(), &Limits::default()).await, ("a".to_owned(), end));
            let begun = Instant::now();
            let silent = ReplyBody::wrap(Silent(Some(body.into())));
            assert_eq!(read(silent, &Limits::default()).await, ("a".to_owned(), end));
            // The clock of paused time ticks in milliseconds.
            assert!(begun.elapsed() <= DONE_DRAIN + Duration::from_millis(1), "{:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_falls_silent_after_the_answer_is_waited_for_no_longer_than_any_other() {
        for (idle, drain_timeout, waited) in [(1, 5, 1), (90, 5, 5)] {
            let mut limits = Limits::default().with_idle(Duration::from_secs(idle));
            limits.drain_timeout = Duration::from_secs(drain_timeout);
            let begun = Instant::now();
            let silent = Silent(Some(Bytes::from_static(b"data: a\n\ndata: .\n\n")));
            assert_eq!(read(ReplyBody::wrap(silent), &limits).await, ("a".to_owned(), None));
            assert_eq!(begun.elapsed().as_secs(), waited);
        }
    }
}

#[cfg(test)]
mod waits {
    use std::collections::VecDeque;
    use std::time::Duration;

    use bytes::Bytes;
    use http_body::{Body, Frame};
    use polysight_core::{FinishKind, FinishReason, ResponseMeta};
    use tokio::time::{Instant, Sleep};

    use super::*;
    use crate::http::reply::ReplyBody;

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

    /// Takes the data of each event as text; `end` says that the model is done, and `-` says nothing.
    struct Plain {
        is_complete: bool,
    }

    impl StreamDecoder for Plain {
        fn read(&mut self, item: SseItem<'_>, events: &mut Events) -> Result<Progress> {
            let SseItem::Event(event) = item else { return Ok(Progress::None) };
            if event.data == b"-" {
                return Ok(Progress::Empty);
            }
            self.is_complete |= event.data == b"end";
            events.push_back(StreamEvent::Text(String::from_utf8_lossy(event.data).into_owned()));
            Ok(Progress::Event)
        }

        fn is_complete(&self) -> bool {
            self.is_complete
        }

        fn finish(&mut self, _: &mut Events) -> Result<ResponseMeta> {
            Ok(ResponseMeta::new("p", "m", FinishReason::new(FinishKind::Stop, "stop")))
        }
    }

    /// What comes out of a body, and after how many seconds it is over.
    async fn read(pieces: &[(u64, &'static str)], total: Option<u64>) -> (Vec<String>, u64) {
        let started = Instant::now();
        let limits = Limits::default().with_first_byte(Duration::from_secs(300));
        let script = Script { pieces: pieces.iter().copied().collect(), wait: None };
        let deadline = total.map(|seconds| started + Duration::from_secs(seconds));
        let chunks = Chunks::new(ReplyBody::wrap(script), &limits, deadline);
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
    async fn events_that_say_nothing_keep_a_stream_open_no_longer_than_the_first_byte_limit() {
        // Longer pauses fall below min_rate.
        for pause in [1, 4, 8] {
            let mut pieces = vec![(10, "data: a\n\n")];
            pieces.extend([(pause, "data: -\n\n"); 400]);
            let (seen, seconds) = read(&pieces, None).await;
            assert_eq!((seen.join(" "), seconds), ("a Timeout(Idle)".to_owned(), 10 + 300), "{pause}");
        }
        let (seen, seconds) = read(&[(10, "data: a\n\n"), (50, "data: -\n\n")], None).await;
        assert_eq!((seen.join(" "), seconds), ("a Timeout(Idle)".to_owned(), 10 + 50 + 90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_thinks_in_silence_is_not_cut_off() {
        let (seen, _) = read(&[(1, "data: -\n\n"), (250, "data: a\n\n"), (1, "data: end\n\n")], None).await;
        assert_eq!(seen.join(" "), "a end complete");
        let thinking = [(80, "data: -\n\n"), (80, "data: -\n\n"), (80, "data: b\n\n"), (1, "data: end\n\n")];
        let (seen, _) = read(&[&[(1, "data: a\n\n")][..], &thinking].concat(), None).await;
        assert_eq!(seen.join(" "), "a b end complete");
        let (seen, seconds) = read(&[(40, "data: -\n\n"); 20], None).await;
        assert_eq!((seen.join(" "), seconds), ("Timeout(FirstByte)".to_owned(), 300));
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_finished_stream_is_bounded_as_a_whole() {
        for rest in ["data: -\n\n", ": on\n\n", "\n\n", "data: -\n\n: on\n\n"] {
            let pieces = [&[(10, "data: end\n\n")][..], &[(1, rest); 400]].concat();
            let (seen, seconds) = read(&pieces, None).await;
            assert_eq!((seen.join(" "), seconds), ("end complete".to_owned(), 10 + 5), "{rest:?}");
        }
        let pieces = [&[(10, "data: end\n\n")][..], &[(2, "data: a\n\n"); 400]].concat();
        let (seen, seconds) = read(&pieces, None).await;
        assert_eq!((seen.len(), seconds), (1 + 150 + 1, 10 + 300));
    }

    #[tokio::test]
    async fn a_flood_that_says_nothing_ends_by_its_size() {
        let limits = Limits::default().with_max_reply_bytes(1_000).with_max_line_bytes(1_000);
        for (before, end) in [("data: a\n\n", "Some(Protocol)"), ("data: end\n\n", "None")] {
            let body = before.to_owned() + &"data: -\n\n".repeat(200) + "data: late\n\n";
            let pieces = body.as_bytes().chunks(100).map(Bytes::copy_from_slice).collect();
            let body = ReplyBody::wrap(Pieces(pieces));
            let mut reader = EventReader::new(
                Chunks::new(body, &limits, None),
                Box::new(Plain { is_complete: false }),
                &limits,
            );
            let (mut seen, mut error) = (Vec::new(), None);
            while let Some(event) = std::future::poll_fn(|context| reader.poll_event(context)).await {
                match event {
                    Ok(StreamEvent::Text(text)) => seen.push(text),
                    Ok(_) => {}
                    Err(failure) => error = Some(failure.kind()),
                }
            }
            assert_eq!((seen.len(), format!("{error:?}")), (1, end.to_owned()));
        }
    }

    /// Pieces that are all there already.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
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
    async fn comments_before_the_first_event_move_no_limit_and_have_no_rate() {
        let keep_alive = [(15, ": on\n\n"); 30];
        let (seen, seconds) = read(&keep_alive, None).await;
        assert_eq!((seen.join(" "), seconds), ("Timeout(FirstByte)".to_owned(), 300));
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_drip_are_a_stall() {
        let (seen, seconds) = read(&[(80, "data: a\n\n"); 9], None).await;
        assert_eq!((seen.len(), seen.last().map(String::as_str)), (5, Some("Timeout(Idle)")));
        assert_eq!(seconds, 80 + 270);
        let long = concat!("data: 12345678901234567890123456789012345678901234567890", "1234567890\n\n");
        let (seen, _) = read(&[(60, long); 9], None).await;
        assert_eq!(seen.len(), 9 + 1, "{seen:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_call_has_a_limit_that_pieces_do_not_move() {
        let (seen, seconds) = read(&[(10, "data: a\n\n"), (80, "data: b\n\n")], Some(100)).await;
        assert_eq!(seen, ["a", "b", "Timeout(Total)"]);
        assert_eq!(seconds, 100);
    }
}
