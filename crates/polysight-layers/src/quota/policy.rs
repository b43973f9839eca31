//! What the quota layer is told.

use std::time::Duration;

use polysight_core::{ModelCard, Result};
use serde::Deserialize;

use super::store::QuotaLimits;
use crate::setting::require;

/// What happens when a shared store cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoreFailure {
    /// The calls go on with the same limits counted in this process alone. The default: a vendor that is asked a
    /// little too much answers 429, which can be tried again, while a program whose store is down would see nothing at all.
    #[default]
    Open,
    /// The calls fail until the store is back: for accounts on which an excess costs more than a standstill.
    Closed,
}

/// How many requests, tokens and calls at once may go to a model, and how calls wait for their turn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QuotaPolicy {
    /// Requests a minute, at least 1; `None`: as the catalogue says, and where that says nothing there is no limit
    /// until a refusal teaches one. So for the next two.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, prompt and answer together, at least 1.
    pub tokens_per_minute: Option<u64>,
    /// Calls at once, at least 1. A stream is a call until its end.
    pub concurrency: Option<u64>,
    /// Share of the requests a minute that may go within one second, in `(0, 1]`, and at least one request; default 0.1.
    /// Some vendors hold a sixtieth of the minute against each second; a tenth passes where that is not meant to the
    /// letter and costs a small batch no time. `None`, in a config 1: all at once if need be.
    pub burst: Option<f64>,
    /// Tokens that are set aside for an answer whose request has no `max_tokens`; default 1,024.
    pub assumed_output: u32,
    /// Most calls in line for one model, the one whose turn it is included: at least 1, default 1,000.
    pub max_waiting: usize,
    /// Longest wait for a place; default 60 s. Zero: a call that cannot go at once fails.
    #[serde(with = "crate::seconds")]
    pub max_wait: Duration,
    /// What happens when a shared store cannot be asked.
    pub on_store_failure: StoreFailure,
}

impl Default for QuotaPolicy {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            concurrency: None,
            burst: Some(0.1),
            assumed_output: 1_024,
            max_waiting: 1_000,
            max_wait: Duration::from_secs(60),
            on_store_failure: StoreFailure::Open,
        }
    }
}

impl QuotaPolicy {
    /// The catalogue's limits, a tenth of the minute in a second, at most 1,000 calls that wait at most 60 s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the requests a minute.
    #[must_use]
    pub fn with_requests_per_minute(mut self, requests: u64) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// Sets the tokens a minute.
    #[must_use]
    pub fn with_tokens_per_minute(mut self, tokens: u64) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// Sets the calls at once.
    #[must_use]
    pub fn with_concurrency(mut self, calls: u64) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// Sets the share of a minute's requests that may go within a second.
    #[must_use]
    pub fn with_burst(mut self, share: impl Into<Option<f64>>) -> Self {
        self.burst = share.into();
        self
    }

    /// Sets the tokens that are set aside for an answer without a limit.
    #[must_use]
    pub fn with_assumed_output(mut self, tokens: u32) -> Self {
        self.assumed_output = tokens;
        self
    }

    /// Sets how many calls may wait.
    #[must_use]
    pub fn with_max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Sets how long a call may wait.
    #[must_use]
    pub fn with_max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Sets what happens when a shared store cannot be asked.
    #[must_use]
    pub fn with_on_store_failure(mut self, failure: StoreFailure) -> Self {
        self.on_store_failure = failure;
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) that names the first field out of range, its value and the range.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("concurrency", self.concurrency),
            ("max_waiting", Some(self.max_waiting as u64)),
        ];
        for (name, count) in counts {
            require(count != Some(0), name, 0, "at least 1")?;
        }
        let share = self.burst.unwrap_or(1.0);
        require(share > 0.0 && share <= 1.0, "burst", share, "above 0 and at most 1")
    }

    /// The policy's own numbers, else the catalogue's.
    pub(super) fn limits(&self, card: &ModelCard) -> QuotaLimits {
        let known = card.quotas.map(QuotaLimits::from).unwrap_or_default();
        let mut limits = QuotaLimits {
            requests: self.requests_per_minute.or(known.requests),
            tokens: self.tokens_per_minute.or(known.tokens),
            concurrency: self.concurrency.or(known.concurrency),
            burst: None,
        };
        limits.burst = self.burst(limits.requests);
        limits
    }

    /// How many of these may go within a second.
    pub(super) fn burst(&self, requests: Option<u64>) -> Option<u64> {
        // Limits are far below 2^53.
        Some(((requests? as f64 * self.burst?) as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::Catalog;

    use super::*;

    #[test]
    fn own_numbers_go_before_the_catalogues_one_by_one() {
        let catalog = Catalog::from_toml(
            r#"
            vendor = "fake"
            [defaults]
            source = "made up"
            as_of = "2026-11-22"
            [[models]]
            id = "eye"
            quotas = { requests_per_minute = 60, tokens_per_minute = 10000, concurrency = 2 }
            "#,
        )
        .unwrap();
        let policy = QuotaPolicy::new().with_requests_per_minute(30);
        let limits = policy.limits(&catalog.card("eye"));
        let expected = QuotaLimits::default().with_requests(30).with_tokens(10_000).with_concurrency(2);
        assert_eq!(limits, expected.with_burst(3));
        assert_eq!(
            policy.limits(&catalog.card("who")),
            QuotaLimits::default().with_requests(30).with_burst(3)
        );
        assert_eq!(QuotaPolicy::new().limits(&catalog.card("who")), QuotaLimits::default());
    }

    #[test]
    fn a_burst_is_never_below_one() {
        let of = |requests, share| QuotaPolicy::new().with_burst(share).burst(Some(requests));
        assert_eq!((of(3, Some(0.1)), of(600, Some(0.1)), of(600, None)), (Some(1), Some(60), None));
    }

    #[test]
    fn names_the_field_that_is_out_of_range() {
        assert!(QuotaPolicy::new().check().is_ok());
        let told = |policy: QuotaPolicy| policy.check().unwrap_err().to_string();
        assert!(told(QuotaPolicy::new().with_concurrency(0)).contains("`concurrency` is 0"));
        assert!(told(QuotaPolicy::new().with_max_waiting(0)).contains("`max_waiting` is 0"));
        for share in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(told(QuotaPolicy::new().with_burst(Some(share))).contains("`burst` is"), "{share}");
        }
    }
}
