use std::time::Duration;

use polysight_core::{ChatRequest, Result, Sampling};
use serde::Deserialize;

use crate::setting::require;

/// Longest time to live: what is meant to be for ever fits into it.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// What a [`Cache`](super::Cache) keeps, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CachePolicy {
    /// Most memory of all answers together, in bytes. Default: 64 MiB.
    pub max_bytes: u64,
    /// Largest answer that is kept, in bytes. Default: 1 MiB.
    pub max_entry_bytes: u64,
    /// How long an answer is good for, at most ten years. Default: 1 hour.
    #[serde(with = "crate::seconds")]
    pub time_to_live: Duration,
    /// Whether requests are answered from the cache whose answers are drawn at random anew each time: those that are
    /// neither greedy (or of temperature 0) nor seeded. Default: `false`.
    pub random: bool,
    /// Whether requests are kept whose pictures or videos the vendor fetches, by the link's text: what it leads to
    /// may have changed. Default: `false`.
    pub urls: bool,
    /// Whether each [end user](ChatRequest::end_user_id) has answers of their own. Default: `false`.
    pub per_end_user: bool,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_entry_bytes: 1 << 20,
            time_to_live: Duration::from_secs(3_600),
            random: false,
            urls: false,
            per_end_user: false,
        }
    }
}

impl CachePolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the most memory of all answers together, in bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the largest answer that is kept, in bytes.
    #[must_use]
    pub fn with_max_entry_bytes(mut self, bytes: u64) -> Self {
        self.max_entry_bytes = bytes;
        self
    }

    /// Sets how long an answer is good for.
    #[must_use]
    pub fn with_time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = time;
        self
    }

    /// Says whether answers that are drawn at random are kept.
    #[must_use]
    pub fn with_random(mut self, random: bool) -> Self {
        self.random = random;
        self
    }

    /// Says whether requests with links are kept.
    #[must_use]
    pub fn with_urls(mut self, urls: bool) -> Self {
        self.urls = urls;
        self
    }

    /// Says whether each end user has answers of their own.
    #[must_use]
    pub fn with_per_end_user(mut self, per_end_user: bool) -> Self {
        self.per_end_user = per_end_user;
        self
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) naming the field, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        require(self.max_bytes > 0, "max_bytes", self.max_bytes, "at least 1")?;
        let fits = (1..=self.max_bytes).contains(&self.max_entry_bytes);
        require(fits, "max_entry_bytes", self.max_entry_bytes, "at least 1, and no more than `max_bytes`")?;
        let fits = !self.time_to_live.is_zero() && self.time_to_live <= LONGEST;
        require(fits, "time_to_live", self.time_to_live, "more than nothing, and at most 10 years")
    }

    /// The time to live, within what clocks can add up.
    pub(super) fn lifetime(&self) -> Duration {
        self.time_to_live.min(LONGEST)
    }

    /// Whether the answer to this request would be the same again, as far as its own words tell.
    pub(super) fn takes(&self, request: &ChatRequest) -> bool {
        !request.keep_raw && (self.random || repeatable(request))
    }
}

fn repeatable(request: &ChatRequest) -> bool {
    request.seed.is_some()
        || match request.sampling {
            Sampling::Greedy => true,
            Sampling::Random(random) => random.temperature == Some(0.0),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_number_is_wrong() {
        let problem = |policy: CachePolicy| policy.check().unwrap_err().to_string();
        let policy = CachePolicy::default;
        assert!(policy().check().is_ok());
        assert!(problem(policy().with_max_bytes(0)).contains("`max_bytes` is 0"));
        assert!(problem(policy().with_max_entry_bytes(0)).contains("`max_entry_bytes` is 0"));
        assert!(problem(policy().with_max_bytes(5)).contains("no more than `max_bytes`"));
        assert!(problem(policy().with_time_to_live(Duration::ZERO)).contains("`time_to_live` is 0ns"));
        assert!(problem(policy().with_time_to_live(Duration::MAX)).contains("10 years"));
    }
}
