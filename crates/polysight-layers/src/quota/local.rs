//! Quotas of this process alone.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use polysight_core::{RateLimitScope, Result};

use super::meter::Meter;
use super::store::{Grant, Lease, QuotaKey, QuotaLimits, QuotaStore};
use super::window::micros;
use crate::Env;
use crate::sync::lock;

/// After so many windows without a call a key is forgotten.
const IDLE_WINDOWS: u64 = 5;

/// Counts in this process. What it grants stays within the limits in any window of a minute, and takes constant memory
/// per key; keys that nobody has used for five windows are forgotten.
///
/// ```
/// use std::sync::Arc;
/// use polysight_layers::quota::{LocalStore, QuotaStore};
///
/// // Several providers that share one account can share one store.
/// let store: Arc<dyn QuotaStore> = Arc::new(LocalStore::new());
/// ```
#[derive(Debug)]
pub struct LocalStore {
    env: Env,
    start: Instant,
    window: Duration,
    meters: Mutex<Meters>,
}

#[derive(Debug, Default)]
struct Meters {
    by_key: HashMap<QuotaKey, Meter>,
    swept: u64,
}

impl Default for LocalStore {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalStore {
    /// An empty store with a window of 60 s, by the runtime's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_env(Env::default())
    }

    /// An empty store with a window of 60 s, by another clock.
    #[must_use]
    pub fn with_env(env: Env) -> Self {
        let start = env.now();
        Self { env, start, window: Duration::from_secs(60), meters: Mutex::default() }
    }

    /// Sets the length of the window in which requests and tokens are counted, instead of 60 s; the second of
    /// [`QuotaLimits::burst`], pauses and what is learnt scale with it.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    fn with<T>(&self, key: &QuotaKey, act: impl FnOnce(&mut Meter, u64) -> T) -> T {
        let now = micros(self.env.now().saturating_duration_since(self.start));
        let mut meters = lock(&self.meters);
        meters.sweep(now, micros(self.window));
        let meter = match meters.by_key.get_mut(key) {
            Some(meter) => meter,
            None => meters.by_key.entry(key.clone()).or_insert_with(|| Meter::new(self.window)),
        };
        act(meter, now)
    }
}

impl Meters {
    fn sweep(&mut self, now: u64, window: u64) {
        if now.saturating_sub(self.swept) > window {
            self.swept = now;
            self.by_key.retain(|_, meter| !meter.is_idle(now, window.saturating_mul(IDLE_WINDOWS)));
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl QuotaStore for LocalStore {
    async fn take(&self, key: &QuotaKey, limits: &QuotaLimits, lease: &Lease) -> Result<Grant> {
        Ok(self.with(key, |meter, now| meter.take(now, limits, lease)))
    }

    fn settle(&self, key: &QuotaKey, lease: &Lease, used: Option<u64>) {
        self.with(key, |meter, now| meter.settle(now, lease, used));
    }

    fn throttled(
        &self,
        key: &QuotaKey,
        limits: &QuotaLimits,
        met: Option<RateLimitScope>,
        pause: Option<Duration>,
    ) {
        self.with(key, |meter, now| meter.throttled(now, limits, met, pause));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::quota::contract::{self, Bench};

    struct Local(Arc<LocalStore>);

    #[async_trait]
    impl Bench for Local {
        fn store(&self) -> Arc<dyn QuotaStore> {
            Arc::<LocalStore>::clone(&self.0)
        }
        async fn advance(&self, by: Duration) {
            tokio::time::advance(by).await;
        }
        async fn settled(&self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_contract() {
        contract::holds(&Local(Arc::new(LocalStore::new())), 3_000).await;
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_keys_that_nobody_uses() {
        let store = LocalStore::new();
        let limits = QuotaLimits::default();
        for name in 0..1_000 {
            let lease = Lease::new("a", 1);
            let key = QuotaKey::new("d", name.to_string(), "");
            store.take(&key, &limits, &lease).await.unwrap();
            if name != 0 {
                store.settle(&key, &lease, None);
            }
        }
        tokio::time::advance(Duration::from_secs(301)).await;
        store.take(&QuotaKey::new("d", "new", ""), &limits, &Lease::new("b", 1)).await.unwrap();
        let left = store.meters.lock().unwrap().by_key.len();
        assert_eq!(left, 2, "the new one, and the one with a call that still runs");
    }
}
