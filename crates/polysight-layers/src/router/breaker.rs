//! A circuit breaker: skips a target that keeps failing, and tests it carefully later.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use polysight_core::{AtFault, Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::time::Instant;

use crate::config::{require, seconds};
use crate::lock;

/// The code on the note of a target that was skipped since its breaker is open: such an
/// [`Attempt`](polysight_core::Attempt) sent nothing.
pub const BREAKER_OPEN: &str = "breaker_open";

/// When a target is skipped, and for how long. Times are in seconds in a config file.
///
/// What a failure says of the target is its [reaction](polysight_core::Error::reaction): where the key or the account is at
/// fault and the wait is known, the breaker opens at once for that long; where nobody is at fault it counts neither as
/// failure nor as success; all others count as failures. A call counts once, a stream when it ends; one that is dropped does
/// not count.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// So many failures in a row open it; at least 1, default 5.
    pub consecutive_failures: u32,
    /// How long it stays open at first; above zero, default 10 s. Doubled with each probe that fails.
    #[serde(deserialize_with = "seconds")]
    pub open_duration: Duration,
    /// Longest that doubling may reach; at least `open_duration`, default 300 s.
    #[serde(deserialize_with = "seconds")]
    pub max_open_duration: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            open_duration: Duration::from_secs(10),
            max_open_duration: Duration::from_secs(300),
        }
    }
}

impl BreakerPolicy {
    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let failures = self.consecutive_failures;
        require(failures > 0, "breaker.consecutive_failures", failures, "at least 1")?;
        require(!self.open_duration.is_zero(), "breaker.open_duration", self.open_duration, "above zero")?;
        let fits = self.max_open_duration >= self.open_duration;
        require(fits, "breaker.max_open_duration", self.max_open_duration, "at least `open_duration`")
    }
}

/// What a failure says of the target that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Nothing.
    Ignore,
    /// It failed.
    Failure,
    /// It is of no use for this long, whatever it did before.
    OpenFor(Duration),
}

impl Signal {
    pub(super) fn of(error: &Error) -> Self {
        let reaction = error.reaction();
        match (reaction.at_fault, reaction.wait) {
            (AtFault::Nobody, _) => Self::Ignore,
            (AtFault::Key | AtFault::Account, Some(wait)) => Self::OpenFor(wait),
            _ => Self::Failure,
        }
    }
}

/// Where a target's breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// The target is skipped for this much longer.
    Open(Duration),
    /// One call may go, or is under way, to test whether the target works again.
    HalfOpen,
}

/// The breaker of one target. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Breaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: BreakerPolicy,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    consecutive: u32,
    /// How long the next opening lasts.
    next_open: Duration,
    /// The kind of the failure that opened it.
    cause: ErrorKind,
    probes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    /// Once the time has come, the next call is a probe.
    Open(Instant),
    /// This probe is under way.
    Probing(u64),
}

impl Breaker {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        let state = State {
            phase: Phase::Closed,
            consecutive: 0,
            next_open: policy.open_duration,
            cause: ErrorKind::Server,
            probes: 0,
        };
        Self(Arc::new(Inner { policy, state: Mutex::new(state) }))
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.check() {
            Ok(Phase::Closed) => BreakerState::Closed,
            Err(Rejected { left, .. }) if !left.is_zero() => BreakerState::Open(left),
            _ => BreakerState::HalfOpen,
        }
    }

    /// Whether a call would be let through now, and in which phase.
    fn check(&self) -> Result<Phase, Rejected> {
        let state = self.lock();
        state.check()
    }

    /// Fails if a call would be rejected now.
    pub(super) fn would_admit(&self) -> Result<(), Rejected> {
        self.check().map(|_| ())
    }

    /// Lets a call through, or says what keeps it out.
    pub(super) fn try_acquire(&self) -> Result<Permit, Rejected> {
        let mut state = self.lock();
        let pass = match state.check()? {
            Phase::Closed => Pass::Plain,
            _ => {
                state.probes += 1;
                state.phase = Phase::Probing(state.probes);
                Pass::Probe(state.probes)
            }
        };
        Ok(self.permit(pass))
    }

    /// Lets a call through whatever the state, since there is no other target.
    pub(super) fn force(&self) -> Permit {
        self.permit(Pass::Forced)
    }

    fn permit(&self, pass: Pass) -> Permit {
        Permit { breaker: self.clone(), pass }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

/// What keeps a call out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rejected {
    /// The kind of the failure that opened the breaker.
    pub(super) cause: ErrorKind,
    /// How long it stays open; zero while a probe is under way.
    pub(super) left: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Plain,
    Probe(u64),
    Forced,
}

/// A call that was let through. A probe that is dropped without an outcome makes room for the next.
#[derive(Debug)]
pub(super) struct Permit {
    breaker: Breaker,
    pass: Pass,
}

impl Permit {
    /// The target has begun to answer: that is all that a probe tests.
    pub(super) fn began(&mut self) {
        let mut state = self.breaker.lock();
        if self.is_current(&state) {
            state.close(&self.breaker.0.policy);
        }
        self.pass = Pass::Plain;
    }

    /// The call succeeded. One that began before the breaker opened comes too late to matter.
    pub(super) fn succeeded(mut self) {
        self.began();
        let mut state = self.breaker.lock();
        if state.phase == Phase::Closed {
            state.consecutive = 0;
        }
    }

    /// The call failed.
    pub(super) fn failed(self, signal: Signal, kind: ErrorKind) {
        let policy = &self.breaker.0.policy;
        let mut state = self.breaker.lock();
        match (signal, self.pass) {
            (Signal::OpenFor(duration), _) => state.open_until(later(duration), kind),
            (Signal::Failure, Pass::Plain) => state.count_failure(policy, kind),
            (Signal::Failure, Pass::Probe(_)) if self.is_current(&state) => {
                state.next_open = state.next_open.saturating_mul(2).min(policy.max_open_duration);
                state.open(kind);
            }
            _ => {}
        }
    }

    /// True when this call's success closes the breaker.
    fn is_current(&self, state: &State) -> bool {
        match self.pass {
            Pass::Plain => false,
            Pass::Probe(probe) => state.phase == Phase::Probing(probe),
            Pass::Forced => state.phase != Phase::Closed,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Pass::Probe(probe) = self.pass {
            let mut state = self.breaker.lock();
            if state.phase == Phase::Probing(probe) {
                state.phase = Phase::Open(Instant::now());
            }
        }
    }
}

/// A vendor may name any wait; a year is the longest.
fn later(duration: Duration) -> Instant {
    Instant::now() + duration.min(Duration::from_secs(365 * 24 * 3_600))
}

impl State {
    fn check(&self) -> Result<Phase, Rejected> {
        let left = match self.phase {
            Phase::Closed => return Ok(self.phase),
            Phase::Open(until) => match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return Ok(self.phase),
                left => left,
            },
            Phase::Probing(_) => Duration::ZERO,
        };
        Err(Rejected { cause: self.cause, left })
    }

    fn close(&mut self, policy: &BreakerPolicy) {
        self.phase = Phase::Closed;
        self.consecutive = 0;
        self.next_open = policy.open_duration;
    }

    fn open(&mut self, cause: ErrorKind) {
        self.cause = cause;
        self.phase = Phase::Open(later(self.next_open));
    }

    /// Opens until a time, but never shortens an opening.
    fn open_until(&mut self, until: Instant, cause: ErrorKind) {
        if !matches!(self.phase, Phase::Open(later) if later >= until) {
            self.cause = cause;
            self.phase = Phase::Open(until);
        }
    }

    /// Counts a failure. That of a call from before the breaker opened comes too late to matter.
    fn count_failure(&mut self, policy: &BreakerPolicy, cause: ErrorKind) {
        if self.phase != Phase::Closed {
            return;
        }
        self.consecutive += 1;
        if self.consecutive >= policy.consecutive_failures {
            self.open(cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::{RateLimitScope, RetryAdvice, TimeoutPhase};

    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerPolicy::default())
    }

    /// Plays `f` (a call fails), `s` (succeeds), `b` (fails and nobody is at fault), `x` (fails for the account), `d` (is
    /// dropped), `F`, `S` and `X` (the same of a forced call), and waits numbers of seconds.
    async fn play(breaker: &Breaker, script: &str) {
        for step in script.split(' ') {
            let (signal, forced) = match step {
                "f" => (Some(Signal::Failure), false),
                "F" => (Some(Signal::Failure), true),
                "b" => (Some(Signal::Ignore), false),
                "x" => (Some(Signal::OpenFor(Duration::from_secs(60))), false),
                "X" => (Some(Signal::OpenFor(Duration::from_secs(60))), true),
                "s" | "d" => (None, false),
                "S" => (None, true),
                seconds => {
                    tokio::time::advance(Duration::from_secs(seconds.parse().unwrap())).await;
                    continue;
                }
            };
            let permit =
                if forced { breaker.force() } else { breaker.try_acquire().expect("lets the call through") };
            match signal {
                _ if step == "d" => drop(permit),
                None => permit.succeeded(),
                Some(signal) => permit.failed(signal, ErrorKind::Server),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn goes_through_its_states_as_the_table_says() {
        let open = |seconds| BreakerState::Open(Duration::from_secs(seconds));
        for (script, state) in [
            // In a row.
            ("f f f f", BreakerState::Closed),
            ("f f f f f", open(10)),
            ("f f f f s f f f f", BreakerState::Closed),
            ("f f f f b f", open(10)),
            ("f f f f d f", open(10)),
            ("f f f f 3600 f", open(10)),
            // At once.
            ("x", open(60)),
            ("s s s s s s s s s s x", open(60)),
            // Half open.
            ("f f f f f 9", open(1)),
            ("f f f f f 10", BreakerState::HalfOpen),
            ("f f f f f 10 s", BreakerState::Closed),
            ("f f f f f 10 s f f f f", BreakerState::Closed),
            ("f f f f f 10 f", open(20)),
            ("f f f f f 10 f 20 f 40 f", open(80)),
            ("f f f f f 10 f 20 f 40 f 80 f 160 f 300 f", open(300)),
            ("f f f f f 10 f 20 s f f f f f", open(10)),
            ("f f f f f 10 d", BreakerState::HalfOpen),
            ("f f f f f 10 b", BreakerState::HalfOpen),
            ("f f f f f 10 d s", BreakerState::Closed),
            ("f f f f f 10 x", open(60)),
            // Forced.
            ("f f f f f F", open(10)),
            ("f f f f f S", BreakerState::Closed),
            ("f f f f f X", open(60)),
            ("f f f f f 10 f 20 f 40 f X", open(80)),
        ] {
            let breaker = breaker();
            play(&breaker, script).await;
            assert_eq!(breaker.state(), state, "{script}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_goes_at_a_time_and_a_dropped_one_makes_room() {
        let breaker = breaker();
        play(&breaker, "f f f f f 10").await;
        assert!(breaker.would_admit().is_ok(), "asking takes no probe");
        let probe = breaker.try_acquire().unwrap();
        assert_eq!(breaker.try_acquire().unwrap_err().left, Duration::ZERO);
        assert_eq!(breaker.would_admit().unwrap_err().left, Duration::ZERO);
        drop(probe);
        let mut probe = breaker.try_acquire().unwrap();
        probe.began();
        assert_eq!(breaker.state(), BreakerState::Closed, "a stream's first event is enough");
        drop(probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_breaks_off_later_is_an_ordinary_failure() {
        let breaker = breaker();
        play(&breaker, "f f f f f 10").await;
        let mut probe = breaker.try_acquire().unwrap();
        probe.began();
        probe.failed(Signal::Failure, ErrorKind::Network);
        assert_eq!(breaker.state(), BreakerState::Closed);
        play(&breaker, "f f f f").await;
        assert_eq!(breaker.state(), BreakerState::Open(Duration::from_secs(10)), "the fifth in a row");
    }

    #[tokio::test(start_paused = true)]
    async fn the_outcomes_of_calls_from_before_it_opened_do_not_count() {
        let breaker = breaker();
        let [good, bad] = [breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap()];
        play(&breaker, "f f f f f 3").await;
        let opened = breaker.state();
        bad.failed(Signal::Failure, ErrorKind::Server);
        good.succeeded();
        assert_eq!(breaker.state(), opened);
    }

    #[test]
    fn reads_the_reaction_of_a_failure() {
        let error = |kind| Error::new(kind, "");
        let minute = Signal::OpenFor(Duration::from_secs(60));
        let asks = error(ErrorKind::RateLimited).with_retry(RetryAdvice::After(Some(Duration::from_secs(7))));
        for (error, signal) in [
            (error(ErrorKind::Authentication), minute),
            (error(ErrorKind::Permission), minute),
            (error(ErrorKind::Billing), minute),
            (error(ErrorKind::QuotaExhausted), minute),
            (asks, Signal::OpenFor(Duration::from_secs(7))),
            (error(ErrorKind::RateLimited), Signal::Failure),
            (error(ErrorKind::Overloaded).with_rate_limit_scope(RateLimitScope::Model), Signal::Failure),
            (error(ErrorKind::Timeout(TimeoutPhase::Idle)), Signal::Failure),
            (error(ErrorKind::Network), Signal::Failure),
            (error(ErrorKind::Server), Signal::Failure),
            (error(ErrorKind::Protocol), Signal::Failure),
            (error(ErrorKind::Interrupted), Signal::Failure),
            (error(ErrorKind::Interrupted).with_retry(RetryAdvice::Never), Signal::Ignore),
            (error(ErrorKind::InvalidRequest), Signal::Ignore),
            (error(ErrorKind::ContentRefused), Signal::Ignore),
            (error(ErrorKind::RateLimited).with_local(), Signal::Ignore),
            (error(ErrorKind::Network).with_local(), Signal::Ignore),
        ] {
            assert_eq!(Signal::of(&error), signal, "{error}");
        }
    }

    #[test]
    fn names_the_field_that_is_out_of_range() {
        let policy = BreakerPolicy::default;
        for (policy, field) in [
            (BreakerPolicy { consecutive_failures: 0, ..policy() }, "consecutive_failures` is 0,"),
            (BreakerPolicy { open_duration: Duration::ZERO, ..policy() }, "open_duration` is 0ns,"),
            (
                BreakerPolicy { max_open_duration: Duration::from_secs(9), ..policy() },
                "max_open_duration` is 9s,",
            ),
        ] {
            let error = policy.check().unwrap_err();
            assert!(error.message().starts_with(&format!("`breaker.{field}")), "{error}");
        }
    }
}
