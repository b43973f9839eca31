//! When a second try starts, and how often.

use std::time::Duration;

use polysight_core::Result;
use serde::Deserialize;

use super::RING;
use crate::setting::require;

/// When a second try starts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HedgePolicy {
    /// The second try starts when the first takes longer than this share of the last 100 answers; within `(0, 1)`,
    /// default 0.95. Plain calls and streams are measured apart.
    pub percentile: f64,
    /// Fewest answers that must have been timed before; 1 to 100, default 20.
    pub min_samples: usize,
    /// Soonest that a second try starts; default 500 ms.
    #[serde(with = "crate::seconds")]
    pub min_delay: Duration,
    /// Latest that a second try starts, however slow the answers are; at least `min_delay`, default 30 s.
    #[serde(with = "crate::seconds")]
    pub max_delay: Duration,
    /// Largest share of calls that get a second try; within `(0, 1]`, default 0.05. Quiet times save up ten at most.
    pub max_rate: f64,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self {
            percentile: 0.95,
            min_samples: 20,
            min_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
            max_rate: 0.05,
        }
    }
}

impl HedgePolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the share of answers that must have been faster.
    #[must_use]
    pub fn with_percentile(mut self, percentile: f64) -> Self {
        self.percentile = percentile;
        self
    }

    /// Sets the fewest answers that must have been timed.
    #[must_use]
    pub fn with_min_samples(mut self, samples: usize) -> Self {
        self.min_samples = samples;
        self
    }

    /// Sets the soonest that a second try starts.
    #[must_use]
    pub fn with_min_delay(mut self, delay: Duration) -> Self {
        self.min_delay = delay;
        self
    }

    /// Sets the latest that a second try starts.
    #[must_use]
    pub fn with_max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// Sets the largest share of calls that get a second try.
    #[must_use]
    pub fn with_max_rate(mut self, share: f64) -> Self {
        self.max_rate = share;
        self
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) that names the field, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let share = self.percentile > 0.0 && self.percentile < 1.0;
        require(share, "percentile", self.percentile, "above 0, below 1")?;
        let samples = (1..=RING).contains(&self.min_samples);
        require(samples, "min_samples", self.min_samples, "1 to 100")?;
        require(self.max_delay >= self.min_delay, "max_delay", self.max_delay, "at least `min_delay`")?;
        require(self.max_rate > 0.0 && self.max_rate <= 1.0, "max_rate", self.max_rate, "above 0, at most 1")
    }
}
