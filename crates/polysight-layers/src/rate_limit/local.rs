//! Counts of this process alone.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::{RateLimitScope, Result};
use tokio::time::Instant;

use super::adaptive::AdaptiveLimits;
use super::store::{Grant, Lease, Limits, RateLimitKey, RateLimitStore};
use super::window::{Window, micros};
use crate::lock;

/// After so many windows without a call a key is forgotten.
const IDLE_WINDOWS: u64 = 5;
/// How soon it is worth asking again where all concurrent requests are taken: when one ends is unknown.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// Counts in this process. What it grants stays within the limits in any window of a minute, and takes constant memory
/// per key; keys that were not used for five windows are forgotten.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::layers::rate_limit::{LocalStore, RateLimitStore};
///
/// // Several providers that share one account can share one store.
/// let store: Arc<dyn RateLimitStore> = Arc::new(LocalStore::new());
/// ```
#[derive(Debug)]
pub struct LocalStore {
    start: Instant,
    window: Duration,
    counters: Mutex<AllCounters>,
}

#[derive(Debug, Default)]
struct AllCounters {
    by_key: HashMap<RateLimitKey, Counters>,
    swept: u64,
}

impl Default for LocalStore {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalStore {
    /// An empty store with a window of 60 s.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), window: Duration::from_secs(60), counters: Mutex::default() }
    }

    /// Sets the length of the window in which requests and tokens are counted, instead of 60 s; pauses and what is learned
    /// scale with it.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Microseconds since the store was made.
    fn now(&self) -> u64 {
        micros(self.start.elapsed())
    }

    fn with<T>(&self, key: &RateLimitKey, act: impl FnOnce(&mut Counters, u64) -> T) -> T {
        let now = self.now();
        let mut counters = lock(&self.counters);
        counters.sweep(now, micros(self.window));
        match counters.by_key.get_mut(key) {
            Some(counters) => act(counters, now),
            None => {
                act(counters.by_key.entry(key.clone()).or_insert_with(|| Counters::new(self.window)), now)
            }
        }
    }
}

impl AllCounters {
    fn sweep(&mut self, now: u64, window: u64) {
        if now.saturating_sub(self.swept) > window {
            self.swept = now;
            self.by_key.retain(|_, counters| !counters.is_idle(now, window.saturating_mul(IDLE_WINDOWS)));
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RateLimitStore for LocalStore {
    async fn acquire(&self, key: &RateLimitKey, limits: &Limits, lease: &Lease) -> Result<Grant> {
        Ok(self.with(key, |counters, now| counters.acquire(now, limits, lease)))
    }

    fn release(&self, key: &RateLimitKey, lease: &Lease, used: Option<u64>) {
        self.with(key, |counters, now| counters.release(now, lease, used));
    }

    fn record_rejection(
        &self,
        key: &RateLimitKey,
        limits: &Limits,
        scope: Option<RateLimitScope>,
        wait: Option<Duration>,
    ) {
        self.with(key, |counters, now| counters.record_rejection(now, limits, scope, wait));
    }
}

/// Requests, tokens, concurrent requests and what was learned of one key.
#[derive(Debug)]
struct Counters {
    requests: Window,
    tokens: Window,
    leases: HashMap<String, Reserved>,
    adaptive: AdaptiveLimits,
    last_used: u64,
}

/// Where a call's tokens are counted.
#[derive(Debug)]
struct Reserved {
    slot: u64,
    tokens: u64,
}

impl Counters {
    fn new(window: Duration) -> Self {
        Self {
            requests: Window::new(window),
            tokens: Window::new(window),
            leases: HashMap::new(),
            adaptive: AdaptiveLimits::new(window),
            last_used: 0,
        }
    }

    fn acquire(&mut self, now: u64, limits: &Limits, lease: &Lease) -> Grant {
        self.last_used = now;
        if self.leases.contains_key(&lease.id) {
            return Grant::Granted;
        }
        let limits = self.adaptive.limits(limits, now);
        let tokens = limits.tokens.map_or(lease.tokens, |limit| lease.tokens.min(limit));
        if let Some((wait, limit)) = self.longest_wait(now, &limits, tokens) {
            return Grant::Wait { after: Duration::from_micros(wait), limit };
        }
        self.requests.add(now, 1);
        let slot = self.tokens.add(now, tokens);
        self.leases.insert(lease.id.clone(), Reserved { slot, tokens });
        Grant::Granted
    }

    fn longest_wait(&mut self, now: u64, limits: &Limits, tokens: u64) -> Option<(u64, RateLimitScope)> {
        let full = limits.concurrency.filter(|limit| self.leases.len() as u64 >= *limit);
        let fits = |window: &mut Window, limit: Option<u64>, need, scope| {
            limit.and_then(|limit| window.wait(now, limit, need)).map(|wait| (wait, scope))
        };
        let waits = [
            self.adaptive.pause(now),
            fits(&mut self.requests, limits.requests, 1, RateLimitScope::Requests),
            fits(&mut self.tokens, limits.tokens, tokens, RateLimitScope::Tokens),
            full.map(|_| (micros(POLL), RateLimitScope::Concurrency)),
        ];
        waits.into_iter().flatten().max_by_key(|(wait, _)| *wait)
    }

    fn release(&mut self, now: u64, lease: &Lease, used: Option<u64>) {
        self.last_used = now;
        let Some(reserved) = self.leases.remove(&lease.id) else { return };
        let used = used.unwrap_or(reserved.tokens);
        if used > reserved.tokens {
            self.tokens.add(now, used - reserved.tokens);
        } else {
            self.tokens.take_back(reserved.slot, reserved.tokens - used);
        }
    }

    fn record_rejection(
        &mut self,
        now: u64,
        limits: &Limits,
        scope: Option<RateLimitScope>,
        wait: Option<Duration>,
    ) {
        self.last_used = now;
        let seen = Limits {
            requests: Some(self.requests.total(now)),
            tokens: Some(self.tokens.total(now)),
            concurrency: Some(self.leases.len() as u64),
        };
        self.adaptive.on_rejection(now, limits, &seen, scope, wait);
    }

    /// True when it was not used for so long and nothing would be lost with it.
    fn is_idle(&self, now: u64, unused: u64) -> bool {
        now.saturating_sub(self.last_used) > unused && self.leases.is_empty() && self.adaptive.is_default(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rate_limit::conformance::{self, Bench};

    struct Local(Arc<LocalStore>);

    #[async_trait]
    impl Bench for Local {
        fn store(&self) -> Arc<dyn RateLimitStore> {
            Arc::<LocalStore>::clone(&self.0)
        }
        async fn advance(&self, by: Duration) {
            tokio::time::advance(by).await;
        }
        async fn settled(&self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn does_what_every_store_must() {
        conformance::check(&Local(Arc::new(LocalStore::new())), 3_000).await;
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_keys_that_are_not_used() {
        let store = LocalStore::new();
        let limits = Limits::default();
        for name in 0..1_000 {
            let lease = Lease::new("a", 1);
            let key = RateLimitKey::new("d", name.to_string(), "");
            store.acquire(&key, &limits, &lease).await.unwrap();
            if name != 0 {
                store.release(&key, &lease, None);
            }
        }
        tokio::time::advance(Duration::from_secs(301)).await;
        store.acquire(&RateLimitKey::new("d", "new", ""), &limits, &Lease::new("b", 1)).await.unwrap();
        let left = store.counters.lock().unwrap().by_key.len();
        assert_eq!(left, 2, "the new one, and the one with a call that still runs");
    }
}
