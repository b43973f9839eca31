//! A reply's body piece by piece, within the limits of time that hold for it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use polysight_core::{Billed, Error, ErrorKind, Result, TimeoutPhase};
use tokio::time::{Instant, Sleep};

use super::Limits;
use super::failure::{broken, require_runtime};
use super::reply::ReplyBody;

/// The pieces of a reply's body.
#[derive(Debug)]
pub struct Chunks {
    body: ReplyBody,
    /// The server, for errors.
    uri: Option<Box<Uri>>,
    idle: Duration,
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    first: ReadTimeout,
    wait: ReadTimeout,
    /// Anything but white space has come.
    begun: bool,
    rate: Rate,
}

impl Chunks {
    pub(crate) fn new(body: ReplyBody, limits: &Limits, deadline: Option<Instant>) -> Self {
        let first = ReadTimeout::until(Instant::now() + limits.first_byte, TimeoutPhase::FirstByte);
        let wait = ReadTimeout { pause: Some(Clock::new(limits.idle)), ..first };
        let (idle, rate) = (limits.idle, Rate::new(limits));
        Self { body, uri: None, idle, deadline, timer: None, first, wait, begun: false, rate }
    }

    /// Names the server in errors.
    pub(crate) fn name(&mut self, uri: Uri) {
        self.uri = Some(Box::new(uri));
    }

    /// Waits for the first piece as long as for the first event of a stream, since it may be one.
    pub(crate) fn use_first_byte_timeout(&mut self) {
        self.wait = self.first;
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when nothing came for [`Limits::idle`], nothing but white space for
    /// [`Limits::first_byte`], too little, or when the whole call took too long; [`ErrorKind::Network`] when the connection
    /// broke.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let mut limit = self.wait;
        self.rate.is_off = !self.begun;
        let next = std::future::poll_fn(|context| self.poll_chunk(context, &mut limit)).await?;
        let is_blank = next.as_ref().is_some_and(|piece| piece.trim_ascii_start().is_empty());
        self.begun |= !is_blank;
        self.rate.is_off = false;
        self.wait = match (is_blank, self.begun) {
            (false, _) => ReadTimeout::after(self.idle),
            // Before the answer white space keeps the line open for a while, within it for no time.
            (true, false) => limit.renewed(),
            (true, true) => limit,
        };
        Ok(next)
    }

    /// The wait for the first piece of the answer, which began with the reply's head.
    pub(crate) fn first_wait(&self) -> ReadTimeout {
        self.first
    }

    /// Polls for a piece, waiting until `limit` or the whole call's deadline, whichever is earlier.
    pub(crate) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
        limit: &mut ReadTimeout,
    ) -> Poll<Result<Option<Bytes>>> {
        loop {
            match self.body.poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => {
                        self.rate.received += data.len();
                        return Poll::Ready(Ok(Some(data)));
                    }
                    // Trailers hold nothing that a vendor documents.
                    Err(_) => {}
                },
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(broken(&*error, self.uri.as_deref())));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(None)),
                Poll::Pending => break,
            }
        }
        self.poll_limits(context, limit).map(Err)
    }

    /// Polls for the first limit that is met.
    fn poll_limits(&mut self, context: &mut Context<'_>, limit: &mut ReadTimeout) -> Poll<Error> {
        loop {
            let (until, phase) = match (limit.deadline(), self.deadline) {
                (Some(first), Some(deadline)) if first.0 <= deadline => first,
                (_, Some(deadline)) => (deadline, TimeoutPhase::Total),
                (Some(first), None) => first,
                (None, None) => return Poll::Pending,
            };
            let window = self.rate.window(limit).filter(|end| *end < until);
            let until = window.unwrap_or(until);
            // A timer whose runtime is gone panics.
            if let Err(error) = require_runtime() {
                return Poll::Ready(error.with_billed(Billed::Likely));
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            // A timer that fires too early is set again then: cheaper than setting it again for every piece.
            if timer.deadline() > until {
                timer.as_mut().reset(until);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() < until {
                timer.as_mut().reset(until);
            } else if window.is_none() {
                return Poll::Ready(timed_out(phase));
            } else if let Some(error) = self.rate.check_min_rate() {
                return Poll::Ready(error);
            }
        }
    }
}

/// How much must come, counted in windows that are longer than any pause that is allowed.
#[derive(Debug)]
struct Rate {
    least: Option<usize>,
    window: Duration,
    received: usize,
    until: Option<Instant>,
    is_off: bool,
}

impl Rate {
    fn new(limits: &Limits) -> Self {
        let window = limits.idle.saturating_mul(3);
        let least = limits.min_rate.map(|rate| {
            let seconds = usize::try_from(window.as_secs()).unwrap_or(usize::MAX);
            seconds.saturating_mul(usize::try_from(rate).unwrap_or(usize::MAX))
        });
        Self { least, window, received: 0, until: None, is_off: false }
    }

    /// The end of the present window. Before the answer has begun there is none: what comes then keeps the line open.
    fn window(&mut self, wait: &ReadTimeout) -> Option<Instant> {
        self.least.filter(|_| wait.phase == TimeoutPhase::Idle && !self.is_off)?;
        Some(*self.until.get_or_insert_with(|| Instant::now() + self.window))
    }

    /// Begins the next window, unless too little came in the last one.
    fn check_min_rate(&mut self) -> Option<Error> {
        let received = std::mem::take(&mut self.received);
        self.until = None;
        let seconds = self.window.as_secs();
        let message = || format!("{received} bytes came in {seconds} s, less than min_rate allows");
        self.least.filter(|least| received < *least)?;
        Some(Error::new(ErrorKind::Timeout(TimeoutPhase::Idle), message()))
    }
}

/// When a wait must end, and which limit that is: a pause between two pieces, and all pauses together until something comes
/// that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadTimeout {
    pause: Option<Clock>,
    whole: Option<Clock>,
    /// The limit that `whole` is; a pause is always [`TimeoutPhase::Idle`].
    phase: TimeoutPhase,
}

/// A time that begins with the first poll that finds nothing, so that a reader who takes his time uses none of it.
#[derive(Debug, Clone, Copy)]
struct Clock {
    wait: Duration,
    until: Option<Instant>,
}

impl Clock {
    fn new(wait: Duration) -> Self {
        Self { wait, until: None }
    }

    fn end(&mut self) -> Instant {
        *self.until.get_or_insert_with(|| Instant::now() + self.wait)
    }
}

impl ReadTimeout {
    /// A wait for the next piece.
    pub(crate) fn after(pause: Duration) -> Self {
        Self { pause: Some(Clock::new(pause)), whole: None, phase: TimeoutPhase::Idle }
    }

    /// A wait that has begun.
    pub(crate) fn until(until: Instant, phase: TimeoutPhase) -> Self {
        let whole = Clock { wait: Duration::ZERO, until: Some(until) };
        Self { pause: None, whole: Some(whole), phase }
    }

    /// The same wait, which no renewal makes longer than this in all.
    pub(crate) fn within(self, whole: Duration) -> Self {
        Self { whole: Some(Clock::new(whole)), ..self }
    }

    /// The same wait after a piece that does not count: the pause begins anew.
    pub(crate) fn renewed(self) -> Self {
        Self { pause: self.pause.map(|pause| Clock::new(pause.wait)), ..self }
    }

    /// When it ends, and which limit that is.
    fn deadline(&mut self) -> Option<(Instant, TimeoutPhase)> {
        let pause = self.pause.as_mut().map(|pause| (pause.end(), TimeoutPhase::Idle));
        let whole = self.whole.as_mut().map(|whole| (whole.end(), self.phase));
        whole.into_iter().chain(pause).min_by_key(|(until, _)| *until)
    }
}

pub(crate) fn timed_out(phase: TimeoutPhase) -> Error {
    Error::new(ErrorKind::Timeout(phase), "")
}

#[cfg(test)]
pub(crate) mod drips {
    use super::*;
    use crate::WireReply;

    /// A body of these pieces, the same pause before each of them; the last one comes again and again.
    struct Drip {
        pieces: std::collections::VecDeque<&'static str>,
        pause: u64,
        wait: Option<Pin<Box<Sleep>>>,
    }

    impl http_body::Body for Drip {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
            let pause = Duration::from_secs(self.pause);
            let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            std::task::ready!(wait.as_mut().poll(context));
            self.wait = None;
            let next =
                if self.pieces.len() > 1 { self.pieces.pop_front() } else { self.pieces.front().copied() };
            let data = http_body::Frame::data(Bytes::from(next.unwrap_or_default()));
            Poll::Ready(Some(Ok(data)))
        }
    }

    /// A body that is there already.
    struct Whole(Option<Bytes>);

    impl http_body::Body for Whole {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
        }
    }

    impl<T: Into<Bytes>> From<T> for ReplyBody {
        fn from(bytes: T) -> Self {
            Self::wrap(Whole(Some(bytes.into())))
        }
    }

    /// Such a body.
    pub(crate) fn drip(pause: u64, pieces: &[&'static str]) -> ReplyBody {
        ReplyBody::wrap(Drip { pieces: pieces.iter().copied().collect(), pause, wait: None })
    }

    /// How a plain reply ends whose body is this drip, and after how many seconds.
    async fn ending(limits: &Limits, pause: u64, pieces: &[&'static str]) -> (ErrorKind, u64, String) {
        let begun = Instant::now();
        let response = http::Response::new(drip(pause, pieces));
        let reply = WireReply::new(response, limits, None);
        let error = reply.into_bytes().await.unwrap_err();
        (error.kind(), begun.elapsed().as_secs(), error.message().to_owned())
    }

    const IDLE: ErrorKind = ErrorKind::Timeout(TimeoutPhase::Idle);
    const FIRST_BYTE: ErrorKind = ErrorKind::Timeout(TimeoutPhase::FirstByte);

    #[tokio::test(start_paused = true)]
    async fn white_space_is_no_piece_of_a_plain_reply() {
        let limits = Limits::default();
        let (kind, seconds, _) = ending(&limits, 10, &[" ", "\n\n", "\r\n"]).await;
        assert_eq!((kind, seconds), (FIRST_BYTE, 300));
        let (kind, seconds, _) = ending(&limits, 100, &[" "]).await;
        assert_eq!((kind, seconds), (IDLE, 90));
        let (kind, seconds, _) = ending(&limits, 10, &["\n", "{\"a\":", " ", " "]).await;
        assert_eq!((kind, seconds), (IDLE, 20 + 90));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drip_is_a_stall() {
        let (kind, seconds, message) = ending(&Limits::default(), 80, &["{", "x"]).await;
        assert_eq!((kind, seconds), (IDLE, 80 + 270), "{message}");
        assert_eq!(message, "4 bytes came in 270 s, less than min_rate allows");
        let more = Limits::default().with_min_rate(Some(1_000)).with_idle(Duration::from_secs(20));
        let (kind, seconds, message) = ending(&more, 1, &["{", "some more"]).await;
        assert_eq!((kind, seconds), (IDLE, 1 + 60), "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_fast_enough_may_take_its_time() {
        let limits = Limits::default().with_max_reply_bytes(1_000);
        let enough =
            "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901";
        let (kind, seconds, message) = ending(&limits, 89, &[enough]).await;
        assert_eq!((kind, seconds), (ErrorKind::Protocol, 89 * 11), "{message}");
        assert!(message.contains("1000 bytes") && message.contains("sizes.max_reply"), "{message}");
        let off = limits.with_min_rate(None).with_max_reply_bytes(20);
        let (kind, seconds, _) = ending(&off, 80, &["x"]).await;
        assert_eq!((kind, seconds), (ErrorKind::Protocol, 80 * 21));
    }
}
