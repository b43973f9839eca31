//! When a target is left alone, for how long, and which failures speak against it.

use std::time::Duration;

use polysight_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::quota::is_local;
use crate::setting::require;

/// The code on the note of a target that was skipped since its breaker is open: such an
/// [`Attempt`](polysight_core::Attempt) was no try.
pub const SKIPPED: &str = "breaker_open";

/// When a target is left alone, and for how long.
///
/// Counted are failures that speak about the target: `network`, `timeout`, `server`, `overloaded`, `protocol`,
/// `rate_limited`, and an `interrupted` that may be tried again. `authentication`, `billing` and `quota_exhausted` open
/// the breaker at once. All others say something of the request, as does a refusal by a quota of this side (code
/// `local_quota`): they count neither as failure nor as success. A call counts once, a stream when it ends; one that
/// is dropped does not count.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// Share of failed calls within the window at which the breaker opens; within `(0, 1]`, default 0.5.
    pub failure_rate: f64,
    /// Fewest calls within the window before their share means anything; at least 1, default 10.
    pub min_calls: u32,
    /// The window; above zero, default 30 s.
    #[serde(with = "crate::seconds")]
    pub window: Duration,
    /// So many failures in a row open it too; at least 1, default 5.
    pub consecutive: u32,
    /// How long it stays open at first; above zero, default 10 s. Doubled with each probe that fails.
    #[serde(with = "crate::seconds")]
    pub open_for: Duration,
    /// Longest that doubling may reach; at least `open_for`, default 5 min.
    #[serde(with = "crate::seconds")]
    pub max_open: Duration,
    /// How long it stays open after a failure that waiting a little does not mend: no money, no quota, a wrong key.
    /// Default 60 s.
    #[serde(with = "crate::seconds")]
    pub fatal_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failure_rate: 0.5,
            min_calls: 10,
            window: Duration::from_secs(30),
            consecutive: 5,
            open_for: Duration::from_secs(10),
            max_open: Duration::from_secs(300),
            fatal_for: Duration::from_secs(60),
        }
    }
}

impl BreakerPolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the share of failed calls at which it opens.
    #[must_use]
    pub fn with_failure_rate(mut self, share: f64) -> Self {
        self.failure_rate = share;
        self
    }

    /// Sets the fewest calls before their share means anything.
    #[must_use]
    pub fn with_min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }

    /// Sets the window.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many failures in a row open it.
    #[must_use]
    pub fn with_consecutive(mut self, failures: u32) -> Self {
        self.consecutive = failures;
        self
    }

    /// Sets how long it stays open at first.
    #[must_use]
    pub fn with_open_for(mut self, duration: Duration) -> Self {
        self.open_for = duration;
        self
    }

    /// Sets the longest that doubling may reach.
    #[must_use]
    pub fn with_max_open(mut self, duration: Duration) -> Self {
        self.max_open = duration;
        self
    }

    /// Sets how long it stays open after a failure that waiting a little does not mend.
    #[must_use]
    pub fn with_fatal_for(mut self, duration: Duration) -> Self {
        self.fatal_for = duration;
        self
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let rate = self.failure_rate > 0.0 && self.failure_rate <= 1.0;
        require(rate, "breaker.failure_rate", self.failure_rate, "above 0, at most 1")?;
        require(self.min_calls > 0, "breaker.min_calls", self.min_calls, "at least 1")?;
        let long = self.window >= Duration::from_millis(1);
        require(long, "breaker.window", self.window, "at least 0.001 s")?;
        require(self.consecutive > 0, "breaker.consecutive", self.consecutive, "at least 1")?;
        require(!self.open_for.is_zero(), "breaker.open_for", self.open_for, "more than nothing")?;
        let fits = self.max_open >= self.open_for;
        require(fits, "breaker.max_open", self.max_open, "at least `open_for`")
    }

    /// What a failure says of the target.
    pub(crate) fn judge(&self, error: &Error) -> Verdict {
        match error.kind() {
            _ if is_local(error) => Verdict::Blameless,
            ErrorKind::Authentication | ErrorKind::Billing | ErrorKind::QuotaExhausted => {
                Verdict::Rest(self.fatal_for)
            }
            ErrorKind::Network
            | ErrorKind::Timeout(_)
            | ErrorKind::Server
            | ErrorKind::Overloaded
            | ErrorKind::Protocol
            | ErrorKind::RateLimited => Verdict::Failure,
            ErrorKind::Interrupted if error.is_retryable() => Verdict::Failure,
            _ => Verdict::Blameless,
        }
    }
}

/// What a failure says of the target that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Blameless,
    /// It failed.
    Failure,
    /// It is to be left alone for this long, whatever it did before.
    Rest(Duration),
}

#[cfg(test)]
mod tests {
    use crate::quota::LOCAL_QUOTA;
    use polysight_core::{RetryAdvice, TimeoutPhase};
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn judges_every_kind() {
        let policy = BreakerPolicy::default();
        let judged = |verdict| {
            let of = |kind: &ErrorKind| policy.judge(&Error::new(*kind, "")) == verdict;
            ErrorKind::iter().filter(of).map(ErrorKind::name).collect::<Vec<_>>()
        };
        assert_eq!(judged(Verdict::Rest(policy.fatal_for)), ["authentication", "billing", "quota_exhausted"]);
        let failures =
            ["rate_limited", "overloaded", "interrupted", "timeout", "network", "server", "protocol"];
        assert_eq!(judged(Verdict::Failure), failures);
        let blameless = [
            "invalid_request",
            "media",
            "media_fetch_failed",
            "permission",
            "model_not_found",
            "context_too_long",
            "content_refused",
            "config",
            "unsupported",
        ];
        assert_eq!(judged(Verdict::Blameless), blameless);
        for phase in TimeoutPhase::iter() {
            let timeout = Error::new(ErrorKind::Timeout(phase), "");
            assert_eq!(policy.judge(&timeout), Verdict::Failure, "{timeout}");
        }
    }

    #[test]
    fn neither_a_quota_of_this_side_nor_a_cut_answer_blames_the_target() {
        let policy = BreakerPolicy::default();
        let local = Error::new(ErrorKind::RateLimited, "").with_code(LOCAL_QUOTA);
        let cut = Error::new(ErrorKind::Interrupted, "").with_retry(RetryAdvice::Never);
        assert_eq!([policy.judge(&local), policy.judge(&cut)], [Verdict::Blameless; 2]);
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        let policy = BreakerPolicy::new;
        for (policy, field) in [
            (policy().with_failure_rate(0.0), "failure_rate` is 0.0,"),
            (policy().with_failure_rate(f64::NAN), "failure_rate` is NaN,"),
            (policy().with_min_calls(0), "min_calls` is 0,"),
            (policy().with_window(Duration::ZERO), "window` is 0ns,"),
            (policy().with_consecutive(0), "consecutive` is 0,"),
            (policy().with_open_for(Duration::ZERO), "open_for` is 0ns,"),
            (policy().with_max_open(Duration::from_secs(9)), "max_open` is 9s,"),
        ] {
            let error = policy.check().unwrap_err();
            assert!(error.message().starts_with(&format!("`breaker.{field}")), "{error}");
        }
        assert!(policy().with_fatal_for(Duration::ZERO).check().is_ok());
    }
}
