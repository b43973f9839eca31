//! Leaves a target alone that fails again and again, and tries it carefully later.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use polysight_core::{ErrorKind, Result};

use super::breaker_policy::{BreakerPolicy, Verdict};
use crate::Env;
use crate::sync::lock;

/// The window is counted in so many slices, so that its memory does not grow with the traffic.
const SLICES: u32 = 10;

/// Where a target's breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// The target is left alone for this much longer.
    Open(Duration),
    /// One call may go, or is going, to see whether the target is well again.
    HalfOpen,
}

/// The breaker of one target. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Breaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    policy: BreakerPolicy,
    env: Env,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    slices: VecDeque<Slice>,
    in_a_row: u32,
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

#[derive(Debug)]
struct Slice {
    start: Instant,
    calls: u32,
    failures: u32,
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy, env: Env) -> Self {
        let state = State {
            phase: Phase::Closed,
            slices: VecDeque::new(),
            in_a_row: 0,
            next_open: policy.open_for,
            cause: ErrorKind::Server,
            probes: 0,
        };
        Self(Arc::new(Inner { policy, env, state: Mutex::new(state) }))
    }

    pub(crate) fn state(&self) -> BreakerState {
        let phase = self.lock().phase;
        match phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Probing(_) => BreakerState::HalfOpen,
            Phase::Open(until) => match until.saturating_duration_since(self.0.env.now()) {
                Duration::ZERO => BreakerState::HalfOpen,
                left => BreakerState::Open(left),
            },
        }
    }

    /// Lets a call through, or says what keeps it out.
    pub(crate) fn enter(&self) -> Result<Permit, Closed> {
        let now = self.0.env.now();
        let mut state = self.lock();
        match state.phase {
            Phase::Closed => Ok(self.permit(Pass::Plain)),
            Phase::Open(until) if until <= now => {
                state.probes += 1;
                let probe = state.probes;
                state.phase = Phase::Probing(probe);
                Ok(self.permit(Pass::Probe(probe)))
            }
            Phase::Open(until) => Err(Closed { cause: state.cause, left: until - now }),
            Phase::Probing(_) => Err(Closed { cause: state.cause, left: Duration::ZERO }),
        }
    }

    /// Lets a call through whatever the state, since there is nobody else to ask.
    pub(crate) fn force(&self) -> Permit {
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
pub(crate) struct Closed {
    /// The kind of the failure that opened the breaker.
    pub(crate) cause: ErrorKind,
    /// How long it stays open; zero while a probe is under way.
    pub(crate) left: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Plain,
    Probe(u64),
    Forced,
}

/// A call that was let through. A probe that is dropped without an outcome makes room for the next.
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Breaker,
    pass: Pass,
}

impl Permit {
    /// The target has begun to answer: that is all that a probe wanted to know.
    pub(crate) fn began(&mut self) {
        let mut state = self.breaker.lock();
        if self.is_current(&state) {
            state.close(&self.breaker.0.policy);
        }
        self.pass = Pass::Plain;
    }

    /// The call went well.
    pub(crate) fn succeeded(mut self) {
        self.began();
        let Inner { policy, env, .. } = &*self.breaker.0;
        self.breaker.lock().count(policy, env.now(), None);
    }

    /// The call failed.
    pub(crate) fn failed(self, verdict: Verdict, kind: ErrorKind) {
        let Inner { policy, env, .. } = &*self.breaker.0;
        let (now, mut state) = (env.now(), self.breaker.lock());
        match (verdict, self.pass) {
            (Verdict::Rest(duration), _) => state.rest(later(now, duration), kind),
            (Verdict::Failure, Pass::Plain) => state.count(policy, now, Some(kind)),
            (Verdict::Failure, Pass::Probe(_)) if self.is_current(&state) => {
                state.next_open = state.next_open.saturating_mul(2).min(policy.max_open);
                state.open(now, kind);
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
            let now = self.breaker.0.env.now();
            let mut state = self.breaker.lock();
            if state.phase == Phase::Probing(probe) {
                state.phase = Phase::Open(now);
            }
        }
    }
}

/// A vendor may say any number; a year is forever.
fn later(now: Instant, duration: Duration) -> Instant {
    now + duration.min(Duration::from_secs(365 * 24 * 3_600))
}

impl State {
    fn close(&mut self, policy: &BreakerPolicy) {
        self.phase = Phase::Closed;
        self.slices.clear();
        self.in_a_row = 0;
        self.next_open = policy.open_for;
    }

    fn open(&mut self, now: Instant, cause: ErrorKind) {
        self.cause = cause;
        self.phase = Phase::Open(later(now, self.next_open));
    }

    /// Opens until a time, but never shortens an opening.
    fn rest(&mut self, until: Instant, cause: ErrorKind) {
        if !matches!(self.phase, Phase::Open(later) if later >= until) {
            self.cause = cause;
            self.phase = Phase::Open(until);
        }
    }

    /// Counts an outcome of an ordinary call. One that began before the breaker opened comes too late to matter.
    fn count(&mut self, policy: &BreakerPolicy, now: Instant, failure: Option<ErrorKind>) {
        if self.phase != Phase::Closed {
            return;
        }
        self.in_a_row = if failure.is_some() { self.in_a_row + 1 } else { 0 };
        self.add(policy.window, now, failure.is_some());
        if let Some(kind) = failure.filter(|_| self.is_bad(policy)) {
            self.open(now, kind);
        }
    }

    fn add(&mut self, window: Duration, now: Instant, failure: bool) {
        while self.slices.front().is_some_and(|slice| now.saturating_duration_since(slice.start) >= window) {
            self.slices.pop_front();
        }
        if self
            .slices
            .back()
            .is_none_or(|slice| now.saturating_duration_since(slice.start) >= window / SLICES)
        {
            self.slices.push_back(Slice { start: now, calls: 0, failures: 0 });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.calls += 1;
            slice.failures += u32::from(failure);
        }
    }

    fn is_bad(&self, policy: &BreakerPolicy) -> bool {
        let calls: u32 = self.slices.iter().map(|slice| slice.calls).sum();
        let failures: u32 = self.slices.iter().map(|slice| slice.failures).sum();
        let share = f64::from(failures) / f64::from(calls.max(1));
        self.in_a_row >= policy.consecutive || (calls >= policy.min_calls && share >= policy.failure_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerPolicy::default(), Env::seeded(1))
    }

    /// Plays `f` (a call fails), `s` (succeeds), `b` (fails without blame), `x` (fails fatally), `d` (is dropped), `F`,
    /// `S` and `X` (the same of a forced call), and waits numbers of seconds.
    async fn play(breaker: &Breaker, script: &str) {
        for step in script.split(' ') {
            let (verdict, forced) = match step {
                "f" => (Some(Verdict::Failure), false),
                "F" => (Some(Verdict::Failure), true),
                "b" => (Some(Verdict::Blameless), false),
                "x" => (Some(Verdict::Rest(Duration::from_secs(60))), false),
                "X" => (Some(Verdict::Rest(Duration::from_secs(60))), true),
                "s" | "d" => (None, false),
                "S" => (None, true),
                seconds => {
                    tokio::time::advance(Duration::from_secs(seconds.parse().unwrap())).await;
                    continue;
                }
            };
            let permit =
                if forced { breaker.force() } else { breaker.enter().expect("lets the call through") };
            match verdict {
                _ if step == "d" => drop(permit),
                None => permit.succeeded(),
                Some(verdict) => permit.failed(verdict, ErrorKind::Server),
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
            // By share.
            ("f s f s f s f s s", BreakerState::Closed),
            ("f s f s f s f s s f", open(10)),
            ("f s f s f s f s s s f", BreakerState::Closed),
            ("f s f s f s 31 f s s f", BreakerState::Closed),
            ("f s f s f s 29 f s s f", open(10)),
            ("f s f s f b b b b s s f", BreakerState::Closed),
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
        let probe = breaker.enter().unwrap();
        assert_eq!(breaker.enter().unwrap_err().left, Duration::ZERO);
        drop(probe);
        let mut probe = breaker.enter().unwrap();
        probe.began();
        assert_eq!(breaker.state(), BreakerState::Closed, "a stream's first event is enough");
        drop(probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_breaks_off_later_is_an_ordinary_failure() {
        let breaker = breaker();
        play(&breaker, "f f f f f 10").await;
        let mut probe = breaker.enter().unwrap();
        probe.began();
        probe.failed(Verdict::Failure, ErrorKind::Network);
        assert_eq!(breaker.state(), BreakerState::Closed);
        play(&breaker, "f f f f").await;
        assert_eq!(breaker.state(), BreakerState::Open(Duration::from_secs(10)), "the fifth in a row");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_from_before_it_opened_come_too_late() {
        let breaker = breaker();
        let [good, bad] = [breaker.enter().unwrap(), breaker.enter().unwrap()];
        play(&breaker, "f f f f f 3").await;
        let opened = breaker.state();
        bad.failed(Verdict::Failure, ErrorKind::Server);
        good.succeeded();
        assert_eq!(breaker.state(), opened);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_the_window_does_not_grow_with_the_traffic() {
        let breaker = breaker();
        for _ in 0..50_000 {
            play(&breaker, "s").await;
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!(breaker.lock().slices.len() <= SLICES as usize);
    }
}
