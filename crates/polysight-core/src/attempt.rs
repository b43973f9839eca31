//! The attempts that failed before an answer or an error.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::Money;
use crate::error::OneLine;
use crate::{Billed, Error, ErrorKind};

/// An attempt that failed before the outcome that it is listed on.
///
/// Layers that retry, here or at another provider, list each failed attempt; see
/// [`ResponseMeta::attempts`](crate::ResponseMeta::attempts) and [`Error::attempts`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Whether the vendor may charge for it.
    #[serde(default)]
    pub billed: Billed,
    /// What it cost, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
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
            billed: error.billed(),
            cost: error.cost().cloned(),
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

/// The failed attempts of one call, listed as they happen. Cloning shares the list.
///
/// Layers that retry keep their own list for the outcome that they give; this one is for a layer that ends the call before
/// they have an outcome. Layers inside one another write to the same log: each remembers the [length](Self::len) at its
/// start, and replaces what was added since by what it knows.
#[derive(Debug, Clone, Default)]
pub struct AttemptLog(Arc<Mutex<Vec<Attempt>>>);

impl AttemptLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many attempts are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// True when no attempt is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Replaces all attempts after the first `start` by these.
    pub fn replace_from(&self, start: usize, attempts: Vec<Attempt>) {
        let mut log = self.lock();
        log.truncate(start);
        log.extend(attempts);
    }

    /// The attempts after the first `start`.
    #[must_use]
    pub fn since(&self, start: usize) -> Vec<Attempt> {
        self.lock().iter().skip(start).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Attempt>> {
        // Nothing here is left half changed by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn layers_inside_one_another_share_a_log() {
        let failed =
            |code: &str| Error::new(ErrorKind::Server, "").with_code(code).into_attempts(Duration::ZERO);
        let codes = |log: &AttemptLog, start| -> Vec<_> {
            log.since(start).into_iter().filter_map(|attempt| attempt.code).collect()
        };
        let log = AttemptLog::new();
        log.replace_from(0, failed("1"));
        let inner = log.clone();
        let start = inner.len();
        inner.replace_from(start, failed("2"));
        assert_eq!(
            (codes(&log, 0), codes(&inner, start)),
            (vec!["1".to_owned(), "2".to_owned()], vec!["2".to_owned()])
        );
        log.replace_from(0, failed("3"));
        assert_eq!((codes(&log, 0), log.is_empty()), (vec!["3".to_owned()], false));
    }
}
