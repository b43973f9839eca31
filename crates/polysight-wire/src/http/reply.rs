//! A reply as it comes from the socket, bounded in time and size.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Uri, header};
use http_body::{Body as _, Frame};
use polysight_core::{Billed, Error, ErrorKind, RateLimits, Result, RetryAdvice};
use tokio::time::{Instant, timeout_at};

use super::{Chunks, Limits};

/// Where vendors put their ids of a request; the first one that is there holds.
const REQUEST_IDS: [&str; 4] = ["x-request-id", "x-baidu-request-id", "x-dashscope-request-id", "request-id"];

/// Status and headers of a reply. Cloning shares the headers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReplyHead {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Arc<HeaderMap>,
}

impl ReplyHead {
    /// A head for decoding without a socket.
    #[must_use]
    pub fn new(status: u16, headers: HeaderMap) -> Self {
        Self { status, headers: Arc::new(headers) }
    }

    /// The same head under another status, for failures that carry one of their own.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// True for status 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// True when the reply says that it is an event stream.
    #[must_use]
    pub fn is_event_stream(&self) -> bool {
        self.media_type().eq_ignore_ascii_case("text/event-stream")
    }

    /// The media type without parameters; empty when none is given.
    #[must_use]
    pub fn media_type(&self) -> &str {
        let text = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        text.unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }

    /// The vendor's id of the request, from whichever header this vendor puts it in.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        // A look at every name costs less than a search for each of four.
        if !self.headers.keys().any(|name| name.as_str().ends_with("request-id")) {
            return None;
        }
        REQUEST_IDS.iter().find_map(|name| self.header(name)).filter(|id| !id.is_empty())
    }

    /// What the `x-ratelimit-*` headers say; `None` when there are none.
    #[must_use]
    pub fn rate_limits(&self) -> Option<RateLimits> {
        // Most replies have none, and eight searches cost more than a look at every name.
        if !self.headers.keys().any(|name| name.as_str().starts_with("x-ratelimit-")) {
            return None;
        }
        let count = |name| self.header(name).and_then(|text| text.trim().parse().ok());
        let mut limits = RateLimits::default();
        limits.limit_requests = count("x-ratelimit-limit-requests");
        limits.remaining_requests = count("x-ratelimit-remaining-requests");
        limits.limit_tokens = count("x-ratelimit-limit-tokens");
        limits.remaining_tokens = count("x-ratelimit-remaining-tokens");
        limits.limit_input_tokens = count("x-ratelimit-limit-input-tokens");
        limits.remaining_input_tokens = count("x-ratelimit-remaining-input-tokens");
        limits.limit_output_tokens = count("x-ratelimit-limit-output-tokens");
        limits.remaining_output_tokens = count("x-ratelimit-remaining-output-tokens");
        (limits != RateLimits::default()).then_some(limits)
    }

    /// How long the vendor asks to wait, from `retry-after-ms` or `retry-after` in seconds or as a date; a gateway's
    /// `llm_provider-retry-after` too. Negative, absurd (over a day) and malformed values are ignored.
    #[must_use]
    pub fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        const MAX: f64 = 86_400.0;
        let seconds = |text: &str, scale: f64| {
            let value = text.trim().parse::<f64>().ok()? / scale;
            (0.0..=MAX).contains(&value).then(|| Duration::from_secs_f64(value))
        };
        let date = |text: &str| {
            let wait = httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).unwrap_or_default();
            (wait.as_secs_f64() <= MAX).then_some(wait)
        };
        self.header("retry-after-ms").and_then(|text| seconds(text, 1_000.0)).or_else(|| {
            let text = self.header("retry-after").or_else(|| self.header("llm_provider-retry-after"))?;
            seconds(text, 1.0).or_else(|| date(text))
        })
    }

    /// Completes an error with what the headers say: the account's limits, how long to wait before trying again, and
    /// `x-should-retry`.
    #[must_use]
    pub fn advise(&self, error: Error) -> Error {
        let error = match self.rate_limits() {
            None => error,
            limits => error.with_rate_limits(limits),
        };
        match self.header("x-should-retry") {
            Some("false") => return error.with_retry(RetryAdvice::Never),
            Some("true") if error.retry() == RetryAdvice::Never => {
                return error.with_retry(RetryAdvice::After(self.retry_after(SystemTime::now())));
            }
            _ => {}
        }
        match (error.retry(), self.retry_after(SystemTime::now())) {
            (RetryAdvice::After(None), Some(wait)) => error.with_retry(RetryAdvice::After(Some(wait))),
            _ => error,
        }
    }
}

/// The bytes of a reply.
pub(crate) enum ReplyBody {
    /// From a connection; boxed, since many things hold a body.
    Wire(Box<hyper::body::Incoming>),
    /// All there already; taken by the first read.
    Whole(Bytes),
    /// Of a test.
    #[cfg(test)]
    Test(Pin<Box<dyn http_body::Body<Data = Bytes, Error = std::io::Error> + Send + Sync>>),
}

impl ReplyBody {
    /// Polls for the next bytes or trailers.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Wire(body) => Pin::new(&mut **body).poll_frame(context).map_err(Into::into),
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            #[cfg(test)]
            Self::Test(body) => body.as_mut().poll_frame(context).map_err(Into::into),
        }
    }

    #[cfg(test)]
    pub(crate) fn wrap(
        body: impl http_body::Body<Data = Bytes, Error = std::io::Error> + Send + Sync + 'static,
    ) -> Self {
        Self::Test(Box::pin(body))
    }
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReplyBody(..)")
    }
}

/// Whatever a body breaks off with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A reply whose body has not been read yet.
#[derive(Debug)]
pub struct WireReply {
    /// Status and headers.
    pub head: ReplyHead,
    chunks: Chunks,
    max_bytes: usize,
    max_error_bytes: usize,
    /// The longest time for the body of an error.
    error_time: Duration,
}

impl WireReply {
    pub(crate) fn new(
        response: http::Response<ReplyBody>,
        limits: &Limits,
        deadline: Option<Instant>,
    ) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            head: ReplyHead::new(parts.status.as_u16(), parts.headers),
            chunks: Chunks::new(body, limits, deadline),
            max_bytes: limits.max_reply_bytes,
            max_error_bytes: limits.max_error_bytes,
            error_time: limits.drain_timeout,
        }
    }

    /// Names the server in errors.
    pub(crate) fn of(mut self, uri: Uri) -> Self {
        self.chunks.name(uri);
        self
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it is larger than [`Limits::max_reply_bytes`] or compressed without being asked for;
    /// [`ErrorKind::Timeout`] and [`ErrorKind::Network`] when it breaks off.
    pub async fn into_bytes(self) -> Result<Bytes> {
        self.into_whole().await.map(|(_, body)| body)
    }

    /// Reads the whole body, and gives the head along with it.
    pub(crate) async fn into_whole(mut self) -> Result<(ReplyHead, Bytes)> {
        self.refuse_compression()?;
        let limit = self.max_bytes;
        match self.read_up_to(limit).await? {
            (body, true) => Ok((self.head, body)),
            (_, false) => Err(too_large(limit).with_status(self.head.status)),
        }
    }

    /// Reads what an error reply says: at most [`Limits::max_error_bytes`] within [`Limits::drain_timeout`], and whatever
    /// arrived before it broke off. Its status is known without it.
    pub async fn into_error_bytes(mut self) -> (ReplyHead, Bytes) {
        let limit = self.max_error_bytes;
        let until = Instant::now() + self.error_time;
        let mut all = BytesMut::new();
        while all.len() < limit
            && let Ok(Ok(Some(chunk))) = timeout_at(until, self.chunks.next_chunk()).await
        {
            all.extend_from_slice(&chunk);
        }
        all.truncate(limit);
        if self.refuse_compression().is_err() && std::str::from_utf8(&all).is_err() {
            // Compressed noise would pass for the vendor's words.
            all.clear();
        }
        (self.head, all.freeze())
    }

    /// Gives the body piece by piece.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] when it is compressed without being asked for.
    pub fn into_chunks(self) -> Result<(ReplyHead, Chunks)> {
        self.refuse_compression()?;
        Ok((self.head, self.chunks))
    }

    fn refuse_compression(&self) -> Result<()> {
        let Some(encoding) = self.head.headers.get(header::CONTENT_ENCODING) else { return Ok(()) };
        match encoding.to_str().unwrap_or("identity").trim() {
            "identity" | "" => Ok(()),
            other => Err(Error::new(
                ErrorKind::Protocol,
                format!(
                    "the reply is {}-encoded, which was not asked for",
                    polysight_core::redact_name(other)
                ),
            )
            // Read for good replies alone: the vendor has answered.
            .with_billed(Billed::Likely)
            .with_status(self.head.status)),
        }
    }

    /// Reads until the end or until more than `limit` bytes have come; says whether that was all.
    async fn read_up_to(&mut self, limit: usize) -> Result<(Bytes, bool)> {
        let Some(first) = self.chunks.next_chunk().await? else { return Ok((Bytes::new(), true)) };
        let Some(second) = self.chunks.next_chunk().await? else {
            let whole = first.len() <= limit;
            return Ok((first.slice(..first.len().min(limit)), whole));
        };
        let mut all = BytesMut::with_capacity(first.len() + second.len());
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while all.len() <= limit {
            match self.chunks.next_chunk().await? {
                Some(chunk) => all.extend_from_slice(&chunk),
                None => return Ok((all.freeze(), true)),
            }
        }
        all.truncate(limit);
        Ok((all.freeze(), false))
    }
}

/// The error of a reply over [`Limits::max_reply_bytes`].
pub(crate) fn too_large(limit: usize) -> Error {
    let message = format!(
        "the reply is larger than {limit} bytes: raise max_reply_bytes (sizes.max_reply in a config file)"
    );
    Error::new(ErrorKind::Protocol, message).with_billed(Billed::Likely)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    fn head(headers: &[(&'static str, &str)]) -> ReplyHead {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        ReplyHead::new(429, map)
    }

    #[test]
    fn reads_every_form_of_retry_after() {
        let now = httpdate::parse_http_date("Sat, 21 Nov 2026 10:00:00 GMT").unwrap();
        let wait = |headers: &[_]| head(headers).retry_after(now);
        assert_eq!(wait(&[("retry-after", "2")]), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[("retry-after", "1.5")]), Some(Duration::from_millis(1_500)));
        assert_eq!(wait(&[("retry-after", "Sat, 21 Nov 2026 10:00:07 GMT")]), Some(Duration::from_secs(7)));
        assert_eq!(wait(&[("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(
            wait(&[("retry-after-ms", "300"), ("retry-after", "2")]),
            Some(Duration::from_millis(300))
        );
        assert_eq!(wait(&[("llm_provider-retry-after", "3")]), Some(Duration::from_secs(3)));
        for absurd in ["-1", "soon", "1e300", "NaN", "inf", "99999999", "Sat, 21 Nov 2099 09:00:00 GMT"] {
            assert_eq!(wait(&[("retry-after", absurd)]), None, "{absurd}");
        }
    }

    #[test]
    fn headers_complete_the_advice_but_do_not_overrule_never() {
        let limited = || Error::new(ErrorKind::RateLimited, "");
        let billing = || Error::new(ErrorKind::Billing, "");
        let waits = head(&[("retry-after", "2")]);
        assert_eq!(waits.advise(limited()).retry(), RetryAdvice::After(Some(Duration::from_secs(2))));
        assert_eq!(waits.advise(billing()).retry(), RetryAdvice::Never);
        assert_eq!(head(&[("x-should-retry", "false")]).advise(limited()).retry(), RetryAdvice::Never);
        assert!(head(&[("x-should-retry", "true")]).advise(billing()).is_retryable());
    }

    /// A body that breaks off after its only piece.
    struct Broken(Option<&'static str>);

    impl http_body::Body for Broken {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            let piece = self.0.take().map(|text| Frame::data(Bytes::from(text)));
            Poll::Ready(Some(piece.ok_or_else(|| std::io::Error::other("reset"))))
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_on_the_bill_all_the_same() {
        let limits = Limits { max_reply_bytes: 2, ..Limits::default() };
        let reply = |response: http::Response<ReplyBody>| WireReply::new(response, &limits, None);
        let large = reply(http::Response::new(ReplyBody::from("three"))).into_bytes().await.unwrap_err();
        let gzip = http::Response::builder().header("content-encoding", "gzip").body("".into()).unwrap();
        let gzip = reply(gzip).into_chunks().unwrap_err();
        for error in [large, gzip] {
            assert_eq!((error.kind(), error.billed()), (ErrorKind::Protocol, Billed::Likely), "{error}");
        }
    }

    #[tokio::test]
    async fn an_error_reply_that_breaks_off_keeps_what_it_said() {
        let response = http::Response::new(ReplyBody::wrap(Broken(Some("{\"code\":1}"))));
        let reply = WireReply::new(response, &Limits::default(), None);
        assert_eq!(reply.into_error_bytes().await.1, "{\"code\":1}");
    }
}
