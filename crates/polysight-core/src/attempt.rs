//! The attempts that failed before an answer or an error.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::OneLine;
use crate::{Error, ErrorKind};

/// An attempt that failed before the outcome that it is listed on.
///
/// Layers that retry, here or at another provider, list each failed attempt; see
/// [`ChatResponse::attempts`](crate::ChatResponse::attempts) and [`Error::attempts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// Name of the provider.
    pub provider: Option<String>,
    /// Kind of the failure.
    pub kind: ErrorKind,
    /// HTTP status, when there was a reply.
    pub status: Option<u16>,
    /// The vendor's own code.
    pub code: Option<String>,
    /// The id to name in a support case.
    pub request_id: Option<String>,
    /// The failure in one line, as [`Error`] displays it.
    pub message: String,
    /// How long the attempt took; zero when it was refused before sending.
    pub duration: Duration,
    /// How long was waited after it before the next attempt.
    pub delay: Duration,
}

impl Attempt {
    /// Notes down a failure; `duration` is how long the attempt took.
    #[must_use]
    pub fn of(error: &Error, duration: Duration) -> Self {
        Self {
            provider: error.provider().map(str::to_owned),
            kind: error.kind(),
            status: error.status(),
            code: error.code().map(str::to_owned),
            request_id: error.request_id().map(str::to_owned),
            message: error.line(),
            duration,
            delay: Duration::ZERO,
        }
    }

    /// Says how long was waited before the next attempt.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut OneLine(f);
        write!(f, "{} (after {:.1?}", self.message, self.duration)?;
        match self.delay {
            Duration::ZERO => f.write_str(")"),
            delay => write!(f, ", then waited {delay:.1?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_a_support_case_needs_on_one_line() {
        let error = Error::new(ErrorKind::RateLimited, "slow\ndown")
            .with_provider("zhipu")
            .with_status(429)
            .with_code("1302")
            .with_request_id("r-1");
        let attempt = Attempt::of(&error, Duration::from_millis(120)).with_delay(Duration::from_secs(2));
        assert_eq!((attempt.status, attempt.code.as_deref()), (Some(429), Some("1302")));
        assert_eq!(
            attempt.to_string(),
            "zhipu: rate limited (HTTP 429, code 1302): slow down [request r-1] (after 120.0ms, then waited 2.0s)"
        );
        let last = Attempt::of(&Error::new(ErrorKind::Server, ""), Duration::from_secs(1));
        assert_eq!(last.to_string(), "server failure (after 1.0s)");
    }
}
