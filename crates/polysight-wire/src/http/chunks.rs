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
    uri: Option<Uri>,
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
        let (idle, wait, rate) = (limits.idle, ReadTimeout::after(limits.idle), Rate::new(limits));
        Self { body, uri: None, idle, deadline, timer: None, first, wait, begun: false, rate }
    }

    /// Names the server in errors.
    pub(crate) fn name(&mut self, uri: Uri) {
        self.uri = Some(uri);
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
            (true, false) => limit.renewed(self.first),
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
                    return Poll::Ready(Err(broken(&*error, self.uri.as_ref())));
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
            let idle_until = limit.deadline();
            let (until, phase) = match self.deadline {
                Some(deadline) if deadline < idle_until => (deadline, TimeoutPhase::Total),
                _ => (idle_until, limit.phase),
            };
            let window = self.rate.window(limit).filter(|end| *end < until);
            let until = window.unwrap_or(until);
            if self.timer.is_none()
                && let Err(error) = require_runtime()
            {
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

/// When a wait must end, and which limit that is. It begins with the first poll that finds nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadTimeout {
    wait: Duration,
    until: Option<Instant>,
    phase: TimeoutPhase,
}

impl ReadTimeout {
    /// A wait for the next piece.
    pub(crate) fn after(wait: Duration) -> Self {
        Self { wait, until: None, phase: TimeoutPhase::Idle }
    }

    /// A wait that has begun.
    pub(crate) fn until(until: Instant, phase: TimeoutPhase) -> Self {
        Self { wait: Duration::ZERO, until: Some(until), phase }
    }

    /// The same wait once more, but no longer than `first`.
    fn renewed(self, first: Self) -> Self {
        let within = first.until.is_none_or(|until| Instant::now() + self.wait < until);
        if within && self.phase == TimeoutPhase::Idle { Self::after(self.wait) } else { first }
    }

    fn deadline(&mut self) -> Instant {
        *self.until.get_or_insert_with(|| Instant::now() + self.wait)
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
