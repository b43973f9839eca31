//! When to try again, and after how long: arithmetic without a clock.

use std::time::Duration;

use polysight_core::{Billed, Error, ErrorKind, RateLimitScope, Result, RetryAdvice, TimeoutPhase};
use serde::Deserialize;

use crate::setting::require;

/// How a pause is spread, so that calls that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from nothing to the whole step: the best spread.
    #[default]
    Full,
    /// From half the step to the whole: never less than half.
    Equal,
}

/// When a failed call is tried again, and after how long.
///
/// It rests on the error's own [advice](polysight_core::Error::retry): "never" and "with new credentials" are final here,
/// the latter since whoever holds the credentials has used new ones already.
///
/// ```
/// use std::time::Duration;
/// use polysight_core::Billed;
/// use polysight_layers::RetryPolicy;
///
/// let careful = RetryPolicy::default().with_repeat(Billed::No).with_deadline(Duration::from_secs(60));
/// assert!(careful.check().is_ok());
/// assert!(RetryPolicy::default().with_attempts(0).check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Most failures of the ordinary kind in one call: tries in all when nothing else happens, the first included.
    /// 1 to 100, default 3; 1 tries nothing again.
    pub attempts: u32,
    /// The same for failures whose cause [lasts minutes](RateLimitScope::lasts_minutes). 1 to 100, default 8.
    ///
    /// The two are counted apart, so that a broken connection after five waits for a busy model does not end the call.
    pub throttle_attempts: u32,
    /// Longest first pause where the vendor does not say how long to wait. Default 0.5 s.
    #[serde(with = "crate::seconds")]
    pub first_pause: Duration,
    /// By how much the longest pause grows from one to the next. 1 to 10, default 2.
    pub factor: f64,
    /// Where it stops growing. Default 20 s.
    #[serde(with = "crate::seconds")]
    pub max_pause: Duration,
    /// How these pauses are spread. Default [`Jitter::Full`].
    pub jitter: Jitter,
    /// Longest wait that a vendor may ask for; the call fails at once when it asks for more, and the error's advice
    /// tells the wait. Default 60 s. Where the cause lasts minutes,
    /// [`max_throttle_pause`](Self::max_throttle_pause) counts if it is longer.
    ///
    /// A wait that is asked for is kept, or the policy's own pause if that is longer.
    #[serde(with = "crate::seconds")]
    pub max_retry_after: Duration,
    /// Shortest pause after a failure whose cause [lasts minutes](RateLimitScope::lasts_minutes). Default 30 s.
    ///
    /// Pauses are drawn from here to its double at first; the upper end doubles each time, up to
    /// [`max_throttle_pause`](Self::max_throttle_pause).
    #[serde(with = "crate::seconds")]
    pub throttle_pause: Duration,
    /// Longest pause after such a failure. Default 120 s.
    #[serde(with = "crate::seconds")]
    pub max_throttle_pause: Duration,
    /// Up to which [risk of a second bill](Error::billed) a call is tried again. Default [`Billed::Perhaps`].
    ///
    /// With [`Billed::No`] only what surely cost nothing is repeated. With [`Billed::Likely`] answers that broke off
    /// are repeated, and so are time limits that passed below this layer, whose own advice is "never".
    pub repeat: Billed,
    /// Longest time for all tries and pauses together, a stream's until its end. Default: none.
    ///
    /// No pause begins that would not end before it, and a try that is under way then ends with
    /// [`TimeoutPhase::Total`].
    #[serde(with = "crate::seconds::optional")]
    pub deadline: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            throttle_attempts: 8,
            first_pause: Duration::from_millis(500),
            factor: 2.0,
            max_pause: Duration::from_secs(20),
            jitter: Jitter::default(),
            max_retry_after: Duration::from_secs(60),
            throttle_pause: Duration::from_secs(30),
            max_throttle_pause: Duration::from_secs(120),
            repeat: Billed::Perhaps,
            deadline: None,
        }
    }
}

impl RetryPolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the most tries of a call whose failures are ordinary.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the most tries of a call whose failures last minutes.
    #[must_use]
    pub fn with_throttle_attempts(mut self, attempts: u32) -> Self {
        self.throttle_attempts = attempts;
        self
    }

    /// Sets the longest first pause.
    #[must_use]
    pub fn with_first_pause(mut self, pause: Duration) -> Self {
        self.first_pause = pause;
        self
    }

    /// Sets by how much the longest pause grows.
    #[must_use]
    pub fn with_factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets where the longest pause stops growing.
    #[must_use]
    pub fn with_max_pause(mut self, pause: Duration) -> Self {
        self.max_pause = pause;
        self
    }

    /// Sets how pauses are spread.
    #[must_use]
    pub fn with_jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the longest wait that a vendor may ask for.
    #[must_use]
    pub fn with_max_retry_after(mut self, wait: Duration) -> Self {
        self.max_retry_after = wait;
        self
    }

    /// Sets the shortest pause after a failure that lasts minutes.
    #[must_use]
    pub fn with_throttle_pause(mut self, pause: Duration) -> Self {
        self.throttle_pause = pause;
        self
    }

    /// Sets the longest pause after a failure that lasts minutes.
    #[must_use]
    pub fn with_max_throttle_pause(mut self, pause: Duration) -> Self {
        self.max_throttle_pause = pause;
        self
    }

    /// Sets up to which risk of a second bill a call is tried again.
    #[must_use]
    pub fn with_repeat(mut self, repeat: Billed) -> Self {
        self.repeat = repeat;
        self
    }

    /// Sets the longest time for all tries and pauses together.
    #[must_use]
    pub fn with_deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// Checks that each setting is within its range.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the first setting which is not, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let tries = |attempts: u32| (1..=100).contains(&attempts);
        require(tries(self.attempts), "attempts", self.attempts, "1 to 100")?;
        require(tries(self.throttle_attempts), "throttle_attempts", self.throttle_attempts, "1 to 100")?;
        require((1.0..=10.0).contains(&self.factor), "factor", self.factor, "1 to 10")?;
        let fits = self.first_pause <= self.max_pause;
        require(fits, "first_pause", self.first_pause, "no longer than `max_pause`")?;
        let fits = self.throttle_pause <= self.max_throttle_pause;
        require(fits, "throttle_pause", self.throttle_pause, "no longer than `max_throttle_pause`")?;
        require(self.deadline != Some(Duration::ZERO), "deadline", self.deadline, "more than nothing")
    }

    /// How long to wait before the next try; `None` when there must be none. `unit` is a random number in `[0, 1)`.
    pub(super) fn pause(&self, error: &Error, failures: Failures, unit: f64) -> Option<Duration> {
        let asked = self.advice(error)?;
        if error.billed() > self.repeat || failures.reached(self, error) {
            return None;
        }
        let (own, most) = if lasts_minutes(error) {
            (self.long_step(failures.long, unit), self.max_retry_after.max(self.max_throttle_pause))
        } else {
            (self.step(failures.ordinary, unit), self.max_retry_after)
        };
        match asked {
            None => Some(own),
            Some(wait) => (wait <= most).then(|| wait.max(own)),
        }
    }

    /// The wait that the vendor asks for, if any; `None` for a failure that is final.
    fn advice(&self, error: &Error) -> Option<Option<Duration>> {
        match error.retry() {
            RetryAdvice::After(wait) => Some(wait),
            RetryAdvice::Never if self.repeat >= Billed::Likely && is_read_timeout(error) => Some(None),
            _ => None,
        }
    }

    fn step(&self, failures: u32, unit: f64) -> Duration {
        let growth = self.factor.powf(f64::from(failures.saturating_sub(1)));
        let step = scaled(self.first_pause, growth, self.max_pause);
        match self.jitter {
            Jitter::Full => scaled(step, unit, step),
            Jitter::Equal => scaled(step, 0.5 + unit / 2.0, step),
        }
    }

    fn long_step(&self, failures: u32, unit: f64) -> Duration {
        let low = self.throttle_pause;
        let high = scaled(low, 2_f64.powf(f64::from(failures)), self.max_throttle_pause).max(low);
        low + scaled(high - low, unit, high - low)
    }
}

/// How often a call has failed, by how long the cause lasts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Failures {
    ordinary: u32,
    long: u32,
}

impl Failures {
    pub(super) fn count(&mut self, error: &Error) {
        let counter = if lasts_minutes(error) { &mut self.long } else { &mut self.ordinary };
        *counter = counter.saturating_add(1);
    }

    fn reached(self, policy: &RetryPolicy, error: &Error) -> bool {
        let most = policy.attempts.max(policy.throttle_attempts);
        let this = if lasts_minutes(error) {
            self.long >= policy.throttle_attempts
        } else {
            self.ordinary >= policy.attempts
        };
        this || self.ordinary.saturating_add(self.long) >= most
    }
}

fn lasts_minutes(error: &Error) -> bool {
    error.rate_limit_scope().is_some_and(RateLimitScope::lasts_minutes)
}

fn is_read_timeout(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Timeout(phase) if phase != TimeoutPhase::Connect)
}

/// A multiple of a pause, `most` at most, also when the multiple is out of a duration's range.
fn scaled(pause: Duration, by: f64, most: Duration) -> Duration {
    Duration::try_from_secs_f64(pause.as_secs_f64() * by).map_or(most, |pause| pause.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Randomness;

    fn after(failures: u32) -> Failures {
        Failures { ordinary: failures, long: failures }
    }

    #[test]
    fn pauses_stay_within_their_bounds_for_a_thousand_seeds() {
        let policy = RetryPolicy::default().with_attempts(100).with_throttle_attempts(100);
        let equal = policy.clone().with_jitter(Jitter::Equal);
        let busy = Error::new(ErrorKind::Server, "");
        let throttled = Error::new(ErrorKind::RateLimited, "").with_rate_limit_scope(RateLimitScope::Account);
        let seconds = |policy: &RetryPolicy, error: &Error, failures, unit| {
            policy.pause(error, after(failures), unit).unwrap().as_secs_f64()
        };
        for seed in 0..1_000 {
            let random = Randomness::seeded(seed);
            for failures in 1..20 {
                let step = (0.5 * 2_f64.powi(failures as i32 - 1)).min(20.0);
                let unit = random.unit();
                assert!((0.0..=step).contains(&seconds(&policy, &busy, failures, unit)));
                assert!((step / 2.0..=step).contains(&seconds(&equal, &busy, failures, unit)));
                let high = (30.0 * 2_f64.powi(failures as i32)).min(120.0);
                assert!((30.0..=high).contains(&seconds(&policy, &throttled, failures, unit)));
            }
        }
    }

    #[test]
    fn a_pause_can_be_the_whole_step_and_almost_nothing() {
        let policy = RetryPolicy::default();
        let busy = Error::new(ErrorKind::Overloaded, "");
        assert_eq!(policy.pause(&busy, after(1), 0.0), Some(Duration::ZERO));
        assert!(policy.pause(&busy, after(2), 0.999).unwrap() > Duration::from_millis(990));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_or_ones_own_if_longer() {
        let policy = RetryPolicy::default();
        let asks = |ms| {
            let wait = Some(Duration::from_millis(ms));
            let error = Error::new(ErrorKind::RateLimited, "").with_retry(RetryAdvice::After(wait));
            policy.pause(&error, after(1), 0.5).map(|pause| pause.as_millis())
        };
        assert_eq!(asks(0), Some(250));
        assert_eq!(asks(7_000), Some(7_000));
        assert_eq!(asks(60_000), Some(60_000));
        assert_eq!(asks(60_001), None);
    }

    #[test]
    fn where_the_cause_lasts_minutes_a_longer_wait_may_be_asked_for() {
        let asks = |seconds| {
            let advice = RetryAdvice::After(Some(Duration::from_secs(seconds)));
            let error = Error::new(ErrorKind::Overloaded, "")
                .with_rate_limit_scope(RateLimitScope::Model)
                .with_retry(advice);
            RetryPolicy::default().pause(&error, after(1), 0.5).map(|pause| pause.as_secs())
        };
        assert_eq!([asks(1), asks(90), asks(120), asks(121)], [Some(45), Some(90), Some(120), None]);
    }

    #[test]
    fn odd_settings_give_pauses_within_bounds_and_no_panic() {
        let max = Duration::from_secs(1);
        for factor in [f64::NAN, f64::INFINITY, -3.0, 1e300] {
            let policy = RetryPolicy::default().with_attempts(100).with_max_pause(max).with_factor(factor);
            let pause = policy.pause(&Error::new(ErrorKind::Server, ""), after(9), 0.9).unwrap();
            assert!(pause <= max, "{factor}: {pause:?}");
        }
        let policy = RetryPolicy::default().with_throttle_pause(Duration::MAX);
        let throttled = Error::new(ErrorKind::Overloaded, "").with_rate_limit_scope(RateLimitScope::Model);
        assert_eq!(policy.pause(&throttled, after(1), 0.9), Some(Duration::MAX));
    }

    #[test]
    fn a_setting_out_of_range_is_named_with_its_value() {
        let policy = RetryPolicy::default;
        for (policy, words) in [
            (policy().with_attempts(0), "`attempts` is 0, but must be 1 to 100"),
            (policy().with_throttle_attempts(101), "`throttle_attempts` is 101"),
            (policy().with_factor(f64::NAN), "`factor` is NaN"),
            (policy().with_first_pause(Duration::from_secs(21)), "`first_pause` is 21s"),
            (policy().with_max_throttle_pause(Duration::from_secs(9)), "`throttle_pause` is 30s"),
            (policy().with_deadline(Some(Duration::ZERO)), "`deadline` is Some(0ns)"),
        ] {
            let error = policy.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(words), "{error}");
        }
        assert!(policy().check().is_ok());
    }
}
