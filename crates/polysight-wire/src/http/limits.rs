//! How long a call may take, and how large its reply may be.

use std::time::Duration;

use polysight_core::{Error, ErrorKind, Result};

/// The longest that a limit may be: `Instant` overflows beyond.
const MAX_LIMIT: Duration = Duration::from_secs(365 * 86_400);

/// Limits of **time** and of **size** for every call; each has a default that suits the vendors' clouds.
///
/// Time: [`connect`](Self::connect), [`first_byte`](Self::first_byte), [`idle`](Self::idle), [`min_rate`](Self::min_rate),
/// [`drain_timeout`](Self::drain_timeout) and [`total`](Self::total), all measured by the transport: a stream that stalls is
/// found out here and nowhere else. In a config file they are a provider's `timeouts`, in seconds.
///
/// Size: [`max_reply_bytes`](Self::max_reply_bytes), [`max_error_bytes`](Self::max_error_bytes) and
/// [`max_line_bytes`](Self::max_line_bytes). In a config file they are a provider's `sizes`, in bytes.
///
/// The head of a reply has the bounds of the HTTP client: 100 headers and some 400 KiB in HTTP/1, 16 KiB in HTTP/2. A larger
/// one is [`ErrorKind::Network`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest wait for a connection, TLS included. Default 10 s.
    pub connect: Duration,
    /// Longest wait for the reply's head after the last piece of the request went out, and from there for the first piece
    /// of the answer. Default 300 s: a model that reasons may take minutes before it says anything.
    pub first_byte: Duration,
    /// Longest wait between two pieces of a reply. In a stream a piece is an event: comments and blank lines that only keep
    /// the line open are none. Events without text, reasoning or a tool call renew this wait for
    /// [`first_byte`](Self::first_byte) in all, and before the first piece of the answer that alone holds. In a plain reply it is any
    /// byte of the body but white space, which keeps the line open before the answer, for `first_byte` at most, and
    /// not within it. Default 90 s.
    pub idle: Duration,
    /// Fewest bytes a second of a reply that has begun, so that one which drips is found out. They are counted over
    /// three times [`idle`](Self::idle), since a shorter pause is allowed; the error is a timeout of that phase. Default 1;
    /// `None`: any.
    pub min_rate: Option<u32>,
    /// Longest time for the whole call. Default: none, since a long answer is no fault.
    pub total: Option<Duration>,
    /// Longest time for the rest of a stream after the model has said that it is done, if [`idle`](Self::idle) is not
    /// shorter; a piece of the answer that comes after all renews it, for [`first_byte`](Self::first_byte) in all. The answer
    /// counts as complete then. Also the longest time for the body of an error, whose status is known without it. Default 5 s.
    pub drain_timeout: Duration,
    /// Largest plain reply, in bytes. So much may also be collected of a stream, and be kept of one by
    /// [`keep_raw`](polysight_core::ChatRequest::keep_raw); one that is read event by event is as long as it is. Default
    /// 32 MiB.
    pub max_reply_bytes: usize,
    /// Largest error reply that is read, in bytes; the rest is left. Default 64 KiB.
    pub max_error_bytes: usize,
    /// Longest line and largest event of a stream, in bytes. Default 8 MiB.
    pub max_line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(90),
            min_rate: Some(1),
            total: None,
            drain_timeout: Duration::from_secs(5),
            max_reply_bytes: 32 << 20,
            max_error_bytes: 64 << 10,
            max_line_bytes: 8 << 20,
        }
    }
}

impl Limits {
    /// Sets the longest wait for a connection.
    #[must_use]
    pub fn with_connect(mut self, limit: Duration) -> Self {
        self.connect = limit;
        self
    }

    /// Sets the longest wait for the reply's head and a stream's first event.
    #[must_use]
    pub fn with_first_byte(mut self, limit: Duration) -> Self {
        self.first_byte = limit;
        self
    }

    /// Sets the longest wait between two pieces of a reply.
    #[must_use]
    pub fn with_idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    /// Sets the fewest bytes a second of a reply that has begun.
    #[must_use]
    pub fn with_min_rate(mut self, bytes_per_second: Option<u32>) -> Self {
        self.min_rate = bytes_per_second;
        self
    }

    /// Sets the longest time for the whole call.
    #[must_use]
    pub fn with_total(mut self, limit: Option<Duration>) -> Self {
        self.total = limit;
        self
    }

    /// Sets the longest wait for the rest of a stream after the model has said that it is done.
    #[must_use]
    pub fn with_drain_timeout(mut self, limit: Duration) -> Self {
        self.drain_timeout = limit;
        self
    }

    /// Sets the largest error reply that is read, in bytes.
    #[must_use]
    pub fn with_max_error_bytes(mut self, limit: usize) -> Self {
        self.max_error_bytes = limit;
        self
    }

    /// Sets the largest plain reply, in bytes.
    #[must_use]
    pub fn with_max_reply_bytes(mut self, limit: usize) -> Self {
        self.max_reply_bytes = limit;
        self
    }

    /// Sets the longest line and largest event of a stream, in bytes.
    #[must_use]
    pub fn with_max_line_bytes(mut self, limit: usize) -> Self {
        self.max_line_bytes = limit;
        self
    }

    /// Says whether every time is one that can be kept: more than zero and at most a year.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names every one that is not.
    pub fn check(&self) -> Result<()> {
        let times = [
            ("connect", Some(self.connect)),
            ("first_byte", Some(self.first_byte)),
            ("idle", Some(self.idle)),
            ("total", self.total),
            ("drain_timeout", Some(self.drain_timeout)),
        ];
        let is_bad = |limit: &Duration| limit.is_zero() || *limit > MAX_LIMIT;
        let bad = times.iter().filter(|(_, limit)| limit.as_ref().is_some_and(is_bad));
        let bad: Vec<String> = bad.map(|(name, _)| format!("`{name}`")).collect();
        if bad.is_empty() {
            return Ok(());
        }
        let message = format!("the time limit {} must be more than 0 and at most a year", bad.join(", "));
        Err(Error::new(ErrorKind::Config, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_that_cannot_be_kept_is_named() {
        assert!(Limits::default().check().is_ok());
        let bad = Limits::default().with_idle(Duration::ZERO).with_total(Some(MAX_LIMIT * 2));
        let error = bad.check().unwrap_err();
        assert_eq!(error.message(), "the time limit `idle`, `total` must be more than 0 and at most a year");
    }
}
