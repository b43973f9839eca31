//! What is kept, and for how long.

use std::time::Duration;

use polysight_core::{ChatRequest, Result, Sampling};
use serde::Deserialize;

use crate::config::{require, seconds};

/// Longest time to live.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// What a [`Cache`](super::Cache) keeps, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CachePolicy {
    /// Most memory of all answers together, in bytes; at least 1, default 64 MiB.
    pub max_bytes: u64,
    /// Largest answer that is kept, in bytes; at least 1 and at most `max_bytes`, default 1 MiB.
    pub max_entry_bytes: u64,
    /// How long an answer is kept, in seconds in a config file; above zero and at most ten years, default 1 hour.
    #[serde(deserialize_with = "seconds")]
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
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) naming the field, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        require(self.max_bytes > 0, "max_bytes", self.max_bytes, "at least 1")?;
        let fits = (1..=self.max_bytes).contains(&self.max_entry_bytes);
        require(fits, "max_entry_bytes", self.max_entry_bytes, "at least 1, and no more than `max_bytes`")?;
        let fits = !self.time_to_live.is_zero() && self.time_to_live <= LONGEST;
        require(fits, "time_to_live", self.time_to_live, "above zero, and at most 10 years")
    }

    /// The time to live, within what clocks can add up.
    pub(super) fn lifetime(&self) -> Duration {
        self.time_to_live.min(LONGEST)
    }

    /// Whether the answer to this request would be the same again, as far as its settings show.
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
    fn names_the_number_that_is_out_of_range() {
        let problem = |policy: CachePolicy| policy.check().unwrap_err().to_string();
        let policy = CachePolicy::default;
        assert!(policy().check().is_ok());
        assert!(problem(CachePolicy { max_bytes: 0, ..policy() }).contains("`max_bytes` is 0"));
        assert!(problem(CachePolicy { max_entry_bytes: 0, ..policy() }).contains("`max_entry_bytes` is 0"));
        assert!(problem(CachePolicy { max_bytes: 5, ..policy() }).contains("no more than `max_bytes`"));
        assert!(
            problem(CachePolicy { time_to_live: Duration::ZERO, ..policy() })
                .contains("`time_to_live` is 0ns")
        );
        assert!(problem(CachePolicy { time_to_live: Duration::MAX, ..policy() }).contains("10 years"));
    }
}
