//! Repeats a failed call when the error says that this may help.
//!
//! A call whose error is final is sent once; no stream is asked for again after its first event was handed out; what may
//! be billed twice is repeated only if the policy allows it; every attempt is listed on the outcome.

#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight_core::{AtFault, Attempt, Billed, CallEvent, Error, Plan, Result, VisionProvider};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Unexpected, Visitor};
use tokio::time::{Instant, sleep};

use crate::call::{EarlierAttempts, Reply, attempts_of, begin};
use crate::config::{require, seconds};
use crate::lock;
use crate::runtime::require_runtime;

/// How a delay is spread, so that calls that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jitter {
    /// From nothing to the whole step: the best spread.
    #[default]
    Full,
    /// From half the step to the whole.
    Equal,
}

/// When a failed call is repeated, and after how long. Times are in seconds in a config file.
///
/// Whether a failure may pass by itself, and how long its cause lasts, is the error's own
/// [reaction](polysight_core::Error::reaction). The policy says how often and how long.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use polysight::Billed;
/// use polysight::layers::RetryPolicy;
///
/// let careful = RetryPolicy { max_billed: Billed::No, ..RetryPolicy::default() };
/// assert!(careful.check().is_ok());
/// assert!(RetryPolicy { max_attempts: 0, ..careful }.check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Most attempts of one call, the first included. 1 to 100, default 3; 1 repeats nothing.
    pub max_attempts: u32,
    /// Longest delay after the first failure. At most `max_delay`, default 0.5 s.
    #[serde(deserialize_with = "seconds")]
    pub base_delay: Duration,
    /// Longest delay of the policy's own. Default 20 s.
    #[serde(deserialize_with = "seconds")]
    pub max_delay: Duration,
    /// By how much the longest delay grows from one failure to the next. 1 to 10, default 2.
    pub multiplier: f64,
    /// How delays are spread: `full` or `equal`. Default [`Jitter::Full`].
    pub jitter: Jitter,
    /// Longest [wait](polysight_core::Reaction::wait) of an error that is waited for: the vendor's `Retry-After`, or 30 s for a
    /// limit that usually lasts minutes. Such a wait is kept, or the policy's own delay if that is longer. A call whose error
    /// wants a longer wait fails at once. Default 60 s.
    #[serde(deserialize_with = "seconds")]
    pub max_retry_after: Duration,
    /// Up to which [risk of a second bill](polysight_core::Error::billed) a call is repeated: `no`, `perhaps` or `likely`.
    /// Default [`Billed::Perhaps`].
    ///
    /// With [`Billed::No`] only what surely cost nothing is repeated. With [`Billed::Likely`] answers that broke off and read
    /// timeouts are repeated too.
    pub max_billed: Billed,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(20),
            multiplier: 2.0,
            jitter: Jitter::default(),
            max_retry_after: Duration::from_secs(60),
            max_billed: Billed::Perhaps,
        }
    }
}

impl RetryPolicy {
    /// For jobs: outlasts limits of minutes. 8 attempts, delays from 2 s to 120 s, waits of up to 120 s. What is likely
    /// billed is not repeated.
    #[must_use]
    pub fn patient() -> Self {
        Self {
            max_attempts: 8,
            base_delay: Duration::from_secs(2),
            max_delay: Duration::from_secs(120),
            jitter: Jitter::Equal,
            max_retry_after: Duration::from_secs(120),
            ..Self::default()
        }
    }

    /// For calls that a person waits for: 3 attempts, delays of up to 2 s, waits of up to 5 s, so that all delays together
    /// take at most 10 s. What is likely billed is not repeated.
    #[must_use]
    pub fn interactive() -> Self {
        Self {
            base_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(2),
            max_retry_after: Duration::from_secs(5),
            ..Self::default()
        }
    }

    /// Checks that each setting is within its range.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) that names the first setting out of range, its value and the
    /// range.
    pub fn check(&self) -> Result<()> {
        let fits = (1..=100).contains(&self.max_attempts);
        require(fits, "max_attempts", self.max_attempts, "1 to 100")?;
        require((1.0..=10.0).contains(&self.multiplier), "multiplier", self.multiplier, "1 to 10")?;
        let fits = self.base_delay <= self.max_delay;
        require(fits, "base_delay", self.base_delay, "no longer than `max_delay`")
    }

    /// How long to wait after so many failures; `None` when the call must not be repeated. `unit` is a random number in
    /// `[0, 1)`.
    fn delay(&self, error: &Error, failures: u32, unit: f64) -> Option<Duration> {
        let reaction = error.reaction();
        if !reaction.retry_here || error.billed() > self.max_billed || failures >= self.max_attempts {
            return None;
        }
        let own = self.step(failures, unit);
        match reaction.wait {
            None => Some(own),
            Some(wait) => (wait <= self.max_retry_after).then(|| wait.max(own)),
        }
    }

    fn step(&self, failures: u32, unit: f64) -> Duration {
        let growth = self.multiplier.powf(f64::from(failures.saturating_sub(1)));
        let step = scaled(self.base_delay, growth, self.max_delay);
        match self.jitter {
            Jitter::Full => scaled(step, unit, step),
            Jitter::Equal => scaled(step, 0.5 + unit / 2.0, step),
        }
    }
}

/// A multiple of a delay, `most` at most, also when the multiple is out of a duration's range.
fn scaled(delay: Duration, by: f64, most: Duration) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * by).map_or(most, |delay| delay.min(most))
}

/// A retry policy as a config file gives it: `true` or `false`, `"patient"`, `"interactive"`, or a table of settings.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySetting(pub Option<RetryPolicy>);

impl<'de> Deserialize<'de> for RetrySetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SettingVisitor).map(Self)
    }
}

struct SettingVisitor;

impl<'de> Visitor<'de> for SettingVisitor {
    type Value = Option<RetryPolicy>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, \"patient\", \"interactive\" or a table of settings")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(on.then(RetryPolicy::default))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        match name {
            "patient" => Ok(Some(RetryPolicy::patient())),
            "interactive" => Ok(Some(RetryPolicy::interactive())),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, settings: A) -> Result<Self::Value, A::Error> {
        RetryPolicy::deserialize(MapAccessDeserializer::new(settings)).map(Some)
    }
}

/// Repeats failed calls of a provider, as the error's [reaction](polysight_core::Error::reaction) and a [`RetryPolicy`] say.
///
/// Failed attempts are listed on the response, on a stream's end and on the last error, each with its duration and the
/// delay after it. A stream is handed out when its first event is there; up to then a failure is repeated, from then on
/// never. Each attempt sends a clone of the plan, which shares its media; the provider reads a media file again.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::VisionProvider;
/// use polysight::layers::{Retry, RetryBudget, RetryPolicy};
///
/// fn patient(provider: Arc<dyn VisionProvider>, shared: &RetryBudget) -> Retry {
///     Retry::new(provider, RetryPolicy::patient()).with_budget(shared.clone())
/// }
/// ```
pub struct Retry {
    inner: Arc<dyn VisionProvider>,
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
    random: Mutex<fastrand::Rng>,
}

show_as_wrapper!(Retry);

impl Retry {
    /// Repeats the calls of a provider, with a [`RetryBudget`] of its own.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: RetryPolicy) -> Self {
        Self { inner, policy, budget: Some(RetryBudget::default()), random: Mutex::new(fastrand::Rng::new()) }
    }

    /// Pays for retries from this budget, which other layers may share; `None`: without a budget.
    #[must_use]
    pub fn with_budget(mut self, budget: impl Into<Option<RetryBudget>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// Draws the same delays in each run, for tests.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.random = Mutex::new(fastrand::Rng::with_seed(seed));
        self
    }

    /// Sends the plan until there is an answer or a final error.
    async fn run<R: Reply>(&self, plan: Plan) -> Result<R> {
        let mut state = RetryState::new(self, &plan);
        loop {
            let start = Instant::now();
            match begin::<R>(&*self.inner, plan.clone()).await {
                Ok(reply) => {
                    let attempts = state.succeeded();
                    return Ok(if attempts.is_empty() {
                        reply
                    } else {
                        reply.observed(EarlierAttempts(attempts))
                    });
                }
                Err(error) => state.failed(error, start, &plan).await?,
            }
        }
    }
}

impl_layer!(Retry, inner, run);

/// One call's attempts so far.
struct RetryState<'a> {
    retry: &'a Retry,
    failures: u32,
    attempts: Vec<Attempt>,
    payment: Option<Payment>,
    log_start: usize,
}

impl<'a> RetryState<'a> {
    fn new(retry: &'a Retry, plan: &Plan) -> Self {
        let log_start = plan.attempt_log().map_or(0, |log| log.len());
        Self { retry, failures: 0, attempts: Vec::new(), payment: None, log_start }
    }

    fn succeeded(self) -> Vec<Attempt> {
        match (self.payment, &self.retry.budget) {
            (Some(payment), _) => payment.refund(),
            (None, Some(budget)) if self.attempts.is_empty() => budget.earn(),
            (None, _) => {}
        }
        self.attempts
    }

    /// Waits until the next attempt is due, or gives the error back if there must be none.
    async fn failed(&mut self, error: Error, start: Instant, plan: &Plan) -> Result<()> {
        let failed = Instant::now();
        self.failures += 1;
        let unit = lock(&self.retry.random).f64();
        let delay = self.retry.policy.delay(&error, self.failures, unit);
        let Some(delay) = delay.filter(|_| self.pay(&error)) else {
            return Err(error.with_earlier_attempts(mem::take(&mut self.attempts)));
        };
        self.attempts.extend(attempts_of(error, failed - start));
        self.log(plan);
        if let Err(error) = require_runtime() {
            return Err(error.with_earlier_attempts(mem::take(&mut self.attempts)));
        }
        if let Some(attempt) = self.attempts.last() {
            plan.request.observers.emit(&CallEvent::AttemptFailed { attempt, next_in: delay });
        }
        sleep(delay).await;
        if let Some(payment) = &mut self.payment {
            payment.sent();
        }
        if let Some(last) = self.attempts.last_mut() {
            last.delay = failed.elapsed();
        }
        self.log(plan);
        Ok(())
    }

    fn log(&self, plan: &Plan) {
        if let Some(log) = plan.attempt_log() {
            log.replace_from(self.log_start, self.attempts.clone());
        }
    }

    /// Pays for the next attempt; false when the budget is used up.
    fn pay(&mut self, error: &Error) -> bool {
        let Some(budget) = &self.retry.budget else { return true };
        self.payment = budget.pay(error);
        self.payment.is_some()
    }
}

/// What a retry costs.
const RETRY: u32 = 5;
/// What a retry costs where the server did not reply at all: these attempts hold resources longest.
const RETRY_WITHOUT_REPLY: u32 = 10;
/// What a call earns that succeeds at its first attempt.
const EARNED: u32 = 1;

/// A bucket of tokens that retries are paid from, so that an outage is not made worse by every caller asking three times.
/// Cloning shares the bucket: give clones to all layers that talk to the same vendor.
///
/// A retry costs 5 tokens, and 10 where the server gave no reply (a timeout, a broken connection). One that succeeds gives
/// its cost back, and so does one that is given up before it was sent; a call that succeeds at its first attempt earns 1.
/// When the bucket does not hold the cost, errors are handed out as they are. So with the default of 500 tokens a program
/// can afford 100 retries in vain, and from then on one for each five calls that succeed.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use polysight::layers::RetryBudget;
///
/// let shared = RetryBudget::default();
/// assert_eq!(shared.available(), 500);
/// assert_eq!(RetryBudget::new(100).capacity(), 100);
/// ```
#[derive(Debug, Clone)]
pub struct RetryBudget(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    capacity: u32,
    tokens: AtomicU32,
}

impl Default for RetryBudget {
    /// A full bucket of 500 tokens.
    fn default() -> Self {
        Self::new(500)
    }
}

impl RetryBudget {
    /// A full bucket of this many tokens; with fewer than 5 nothing is ever repeated.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        Self(Arc::new(Bucket { capacity, tokens: AtomicU32::new(capacity) }))
    }

    /// Most tokens that it holds.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.0.capacity
    }

    /// Tokens that are left now.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.0.tokens.load(Ordering::Relaxed)
    }

    /// Pays for a retry after this error; `None` when there is too little left.
    fn pay(&self, error: &Error) -> Option<Payment> {
        let no_reply = error.reaction().at_fault == AtFault::Target && error.status().is_none();
        let cost = if no_reply { RETRY_WITHOUT_REPLY } else { RETRY };
        let take = |tokens: u32| tokens.checked_sub(cost);
        self.0.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Payment { budget: self.clone(), cost, sent: false })
    }

    /// Notes a call that succeeded at once.
    fn earn(&self) {
        self.put(EARNED);
    }

    fn put(&self, tokens: u32) {
        let add = |held: u32| Some(held.saturating_add(tokens).min(self.0.capacity));
        let _ = self.0.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// What was paid for one retry. It goes back to the bucket when the retry is dropped before it was sent.
#[derive(Debug)]
struct Payment {
    budget: RetryBudget,
    cost: u32,
    sent: bool,
}

impl Payment {
    /// The retry goes out: from here on only success gives the cost back.
    fn sent(&mut self) {
        self.sent = true;
    }

    /// The retry succeeded.
    fn refund(mut self) {
        self.sent = false;
    }
}

impl Drop for Payment {
    fn drop(&mut self) {
        if !self.sent {
            self.budget.put(self.cost);
        }
    }
}
