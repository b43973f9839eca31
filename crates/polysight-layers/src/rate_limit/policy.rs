//! How much may be sent, and how calls wait.

use std::time::Duration;

use polysight_core::{ModelCard, Result};
use serde::Deserialize;

use super::store::Limits;
use crate::config::{require, seconds};

/// What happens when a shared store cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoreFailure {
    /// Calls go on, with the same limits counted in this process alone. The default: a vendor that gets a few calls too many
    /// answers 429, which can be retried, while a program whose store is down would get no answer at all.
    #[default]
    Open,
    /// Calls fail until the store is back: for accounts on which an excess costs more than a standstill.
    Closed,
}

/// How many requests, tokens and concurrent requests may go to a model, and how calls wait for their turn.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitPolicy {
    /// Requests per minute, at least 1. Default: as the catalogue says; where that says nothing there is no limit until the
    /// vendor rejects a call.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, prompt and answer together, at least 1. Default: as for `requests_per_minute`.
    pub tokens_per_minute: Option<u64>,
    /// Concurrent requests, at least 1. A stream counts until its end. Default: as for `requests_per_minute`.
    pub concurrency: Option<u64>,
    /// Longest wait for a call's turn, in seconds in a config file; default 60 s. Zero: a call that cannot go at once fails.
    #[serde(deserialize_with = "seconds")]
    pub max_wait: Duration,
    /// Most calls that wait for one model, the one whose turn it is included: at least 1, default 1,000.
    pub max_waiting: usize,
    /// Tokens that are reserved for an answer whose request has no `max_tokens`; default 1,024.
    pub assumed_output: u32,
    /// What happens when a shared store cannot be asked: `open` or `closed`. Default [`StoreFailure::Open`].
    pub on_store_failure: StoreFailure,
}

impl Default for RateLimitPolicy {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            concurrency: None,
            max_wait: Duration::from_secs(60),
            max_waiting: 1_000,
            assumed_output: 1_024,
            on_store_failure: StoreFailure::Open,
        }
    }
}

impl RateLimitPolicy {
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
        counts.into_iter().try_for_each(|(name, count)| require(count != Some(0), name, 0, "at least 1"))
    }

    /// The policy's own numbers, else the catalogue's.
    pub(super) fn limits(&self, card: &ModelCard) -> Limits {
        let known = card.quotas.unwrap_or_default();
        Limits {
            requests: self.requests_per_minute.or(known.requests_per_minute),
            tokens: self.tokens_per_minute.or(known.tokens_per_minute),
            concurrency: self.concurrency.or(known.concurrency),
        }
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::VisionProvider as _;

    use super::*;
    use crate::testing::mock;

    #[test]
    fn own_numbers_go_before_the_catalogues_one_by_one() {
        let mock = mock("a");
        let policy = RateLimitPolicy { requests_per_minute: Some(30), ..RateLimitPolicy::default() };
        let own = Limits { requests: Some(30), ..Limits::default() };
        let expected = Limits { tokens: Some(10_000), concurrency: Some(2), ..own };
        assert_eq!(policy.limits(&mock.catalog().card("eye")), expected);
        assert_eq!(policy.limits(&mock.catalog().card("unlisted")), own);
        assert_eq!(RateLimitPolicy::default().limits(&mock.catalog().card("unlisted")), Limits::default());
    }

    #[test]
    fn names_the_field_that_is_out_of_range() {
        let policy = RateLimitPolicy::default;
        assert!(policy().check().is_ok());
        let error = |policy: RateLimitPolicy| policy.check().unwrap_err().to_string();
        assert!(error(RateLimitPolicy { concurrency: Some(0), ..policy() }).contains("`concurrency` is 0"));
        assert!(error(RateLimitPolicy { max_waiting: 0, ..policy() }).contains("`max_waiting` is 0"));
        assert!(
            error(RateLimitPolicy { tokens_per_minute: Some(0), ..policy() })
                .contains("`tokens_per_minute` is 0")
        );
    }
}
