//! A clock that stands still until a test moves it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::Clock;
use crate::env::Sleep;
use crate::sync::lock;

/// A clock that stands still until it is told to go on, for tests of what waits. Cloning shares it.
///
/// `tokio::time::pause` does the same for a whole runtime, but only for one with a single thread, and it leaps on
/// whenever the program waits for a socket. This clock works on any runtime and beside real connections: only the
/// layers that it is given to live by it.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use polysight_layers::{Clock, Env, ManualClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = ManualClock::new();
/// let env = Env::seeded(7).with_clock(Arc::new(clock.clone()));
///
/// let nap = tokio::spawn(env.clock.sleep(Duration::from_secs(30)));
/// while clock.sleepers() == 0 {
///     tokio::task::yield_now().await;
/// }
/// assert_eq!(clock.until_next(), Some(Duration::from_secs(30)));
/// clock.advance(Duration::from_secs(30));
/// nap.await.unwrap();
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    now: Instant,
    next_id: u64,
    sleepers: BTreeMap<u64, Sleeper>,
}

#[derive(Debug)]
struct Sleeper {
    until: Option<Instant>,
    waker: Waker,
}

impl Sleeper {
    fn is_due(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock that stands still.
    #[must_use]
    pub fn new() -> Self {
        // Any moment does as the beginning; an `Instant` can be had from nowhere else.
        Self(Arc::new(Mutex::new(State { now: Instant::now(), next_id: 0, sleepers: BTreeMap::new() })))
    }

    /// Moves the clock on in one step and wakes whoever is due.
    ///
    /// Those who are woken see the new time. One that sleeps again begins then: let several waits in a row pass with
    /// several steps.
    pub fn advance(&self, duration: Duration) {
        let due: Vec<Waker> = {
            let mut state = self.state();
            state.now = state.now.checked_add(duration).unwrap_or(state.now);
            let now = state.now;
            state.sleepers.values().filter(|sleeper| sleeper.is_due(now)).map(|s| s.waker.clone()).collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// How many sleepers wait now. One that has not been polled yet does not count.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.state().sleepers.len()
    }

    /// How long until the next sleeper is due: zero when one is and was not polled since; `None` when nobody waits.
    #[must_use]
    pub fn until_next(&self) -> Option<Duration> {
        let state = self.state();
        let next = state.sleepers.values().filter_map(|sleeper| sleeper.until).min()?;
        Some(next.saturating_duration_since(state.now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.state().now
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.state();
        state.next_id += 1;
        let until = state.now.checked_add(duration);
        Box::pin(Nap { clock: self.clone(), id: state.next_id, until })
    }
}

struct Nap {
    clock: ManualClock,
    id: u64,
    /// `None`: for ever.
    until: Option<Instant>,
}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        let sleeper = Sleeper { until: self.until, waker: context.waker().clone() };
        if sleeper.is_due(state.now) {
            state.sleepers.remove(&self.id);
            return Poll::Ready(());
        }
        state.sleepers.insert(self.id, sleeper);
        Poll::Pending
    }
}

impl Drop for Nap {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn asleep(clock: &ManualClock, sleepers: usize) {
        for _ in 0..1_000 {
            if clock.sleepers() == sleepers {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{} sleepers instead of {sleepers}", clock.sleepers());
    }

    #[tokio::test]
    async fn wakes_those_who_are_due_and_no_others() {
        let clock = ManualClock::new();
        let start = clock.now();
        let [short, long] = [1, 5].map(|seconds| tokio::spawn(clock.sleep(SECOND * seconds)));
        asleep(&clock, 2).await;
        assert_eq!(clock.until_next(), Some(SECOND));

        clock.advance(SECOND);
        short.await.unwrap();
        assert_eq!((clock.sleepers(), clock.until_next()), (1, Some(SECOND * 4)));
        assert!(!long.is_finished());

        clock.advance(SECOND * 4);
        long.await.unwrap();
        assert_eq!((clock.now() - start, clock.sleepers()), (SECOND * 5, 0));
    }

    #[tokio::test]
    async fn a_sleeper_that_is_dropped_is_forgotten() {
        let clock = ManualClock::new();
        let sleeper = tokio::spawn(clock.sleep(SECOND));
        asleep(&clock, 1).await;
        sleeper.abort();
        asleep(&clock, 0).await;
        assert_eq!(clock.until_next(), None);
    }

    #[tokio::test]
    async fn no_time_is_no_wait_and_too_much_is_for_ever() {
        let clock = ManualClock::new();
        clock.sleep(Duration::ZERO).await;
        let ever = tokio::spawn(clock.sleep(Duration::MAX));
        asleep(&clock, 1).await;
        clock.advance(SECOND * 1_000_000);
        assert!(!ever.is_finished() && clock.until_next().is_none());
        ever.abort();
    }
}
