//! Time and chance, which tests must be able to hold in their hands.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::sync::lock;

/// A future that is ready when a time has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time and waits for it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment. It never goes back.
    fn now(&self) -> Instant;

    /// Waits this long.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The runtime's own clock. It stands still under `tokio::time::pause`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Where jitter and weighted choices come from. Cloning shares it.
#[derive(Clone)]
pub struct Randomness(Arc<Mutex<fastrand::Rng>>);

impl Randomness {
    /// The same numbers in each run, for tests.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A number in `[0, 1)`.
    #[must_use]
    pub fn unit(&self) -> f64 {
        lock(&self.0).f64()
    }
}

impl Default for Randomness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness")
    }
}

/// What a layer needs of the world: a clock and chance. Cloning shares both.
#[derive(Debug, Clone)]
pub struct Env {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives jitter.
    pub random: Randomness,
}

impl Default for Env {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), random: Randomness::default() }
    }
}

impl Env {
    /// The runtime's clock, and the same jitter in each run.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { clock: Arc::new(SystemClock), random: Randomness::seeded(seed) }
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_runtimes_clock_can_be_stopped() {
        let clock = SystemClock;
        let start = clock.now();
        clock.sleep(Duration::from_secs(3_600)).await;
        assert_eq!(clock.now() - start, Duration::from_secs(3_600));
    }

    #[test]
    fn a_seed_gives_the_same_numbers_within_bounds() {
        let (a, b) = (Randomness::seeded(7), Randomness::seeded(7));
        for _ in 0..100 {
            let number = a.unit();
            assert!((0.0..1.0).contains(&number) && number == b.unit());
        }
    }
}
