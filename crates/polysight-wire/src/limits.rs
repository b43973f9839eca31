//! How long to wait and how much to take.

use std::time::Duration;

/// Limits of time and size for every call; each has a default that suits the vendors' clouds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Longest wait for a connection, TLS included. Default 10 s.
    pub connect: Duration,
    /// Longest wait for the reply's head after the last piece of the request went out, and for a stream's first
    /// event. Default 300 s: a model that reasons may take minutes before it says anything.
    pub first_byte: Duration,
    /// Longest wait between two pieces of a reply. In a stream a piece is an event: comments that only keep the line
    /// open are none, and before the first one [`first_byte`](Self::first_byte) holds. In a plain reply it is any byte of
    /// the body. Default 90 s.
    pub idle: Duration,
    /// Longest time for the whole call. Default: none, since a long answer is no fault.
    pub total: Option<Duration>,
    /// Longest wait for the rest of a stream after the model has said that it is done, if [`idle`](Self::idle) is not
    /// shorter. Default 5 s; the answer counts as complete then.
    pub after_finish: Duration,
    /// Largest plain reply, in bytes. Default 32 MiB.
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
            total: None,
            after_finish: Duration::from_secs(5),
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

    /// Sets the longest time for the whole call.
    #[must_use]
    pub fn with_total(mut self, limit: Option<Duration>) -> Self {
        self.total = limit;
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
}
