//! The queue of calls that wait for one model, and the permit that a call holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight_core::{Billed, Error, RateLimitScope, RateLimits, Result, Usage};

use super::store::{Grant, Lease, Limits, RateLimitKey, RateLimitStore};
use crate::lock;

/// Models beyond which unused queues are forgotten, since model ids may come from a program's own users.
const MANY_MODELS: usize = 256;

/// The queues of a provider, by model.
#[derive(Debug, Default)]
pub(super) struct WaitQueues(Mutex<HashMap<String, Arc<WaitQueue>>>);

impl WaitQueues {
    pub(super) fn of(&self, model: &str) -> Arc<WaitQueue> {
        let mut queues = lock(&self.0);
        if let Some(queue) = queues.get(model) {
            return Arc::clone(queue);
        }
        if queues.len() >= MANY_MODELS {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        Arc::clone(queues.entry(model.to_owned()).or_default())
    }
}

/// The calls that wait: first come, first served, and only the first asks the store.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    /// Held by the call whose turn it is; the others queue for it in order.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Notified when a call ends in this process.
    pub(super) released: tokio::sync::Notify,
    length: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    requests: Option<u64>,
    tokens: Option<u64>,
    last_wait: Option<(RateLimitScope, Duration)>,
}

impl WaitQueue {
    /// Enters the queue, unless so many wait already.
    pub(super) fn enter(self: &Arc<Self>, max_waiting: usize) -> Option<Waiting> {
        let waiting = Waiting(Arc::clone(self));
        (self.length.fetch_add(1, Ordering::Relaxed) < max_waiting).then_some(waiting)
    }

    /// What the first call had to wait for last.
    pub(super) fn last_wait(&self) -> Option<(RateLimitScope, Duration)> {
        lock(&self.known).last_wait
    }

    pub(super) fn note_wait(&self, limit: RateLimitScope, after: Duration) {
        lock(&self.known).last_wait = Some((limit, after));
    }

    /// Keeps the limits of the vendor's headers; the last ones hold.
    fn apply_headers(&self, limits: &RateLimits) {
        let mut known = lock(&self.known);
        let given = |limit: Option<u64>| limit.filter(|limit| *limit > 0);
        known.requests = given(limits.limit_requests).or(known.requests);
        known.tokens = given(limits.limit_tokens).or(known.tokens);
    }

    /// These limits, and no more than the vendor's headers said.
    pub(super) fn clamp_to_headers(&self, mut limits: Limits) -> Limits {
        let known = lock(&self.known);
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        limits.requests = least(limits.requests, known.requests);
        limits.tokens = least(limits.tokens, known.tokens);
        limits
    }
}

/// A place in the queue, left on drop.
#[derive(Debug)]
pub(super) struct Waiting(Arc<WaitQueue>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.length.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call that is counted, released on drop.
#[derive(Debug)]
pub(super) struct Permit {
    pub(super) key: RateLimitKey,
    pub(super) limits: Limits,
    pub(super) queue: Arc<WaitQueue>,
    lease: Lease,
    /// The store that counts the call, or is being asked to.
    store: Option<Arc<dyn RateLimitStore>>,
    /// `None`: what was reserved stays counted.
    used: Option<u64>,
    /// A count of tokens above this is not believed.
    most_tokens: u64,
}

impl Permit {
    /// A permit that holds nothing yet.
    pub(super) fn new(
        key: RateLimitKey,
        limits: Limits,
        queue: Arc<WaitQueue>,
        lease: Lease,
        most_tokens: u64,
    ) -> Self {
        Self { key, limits, queue, lease, store: None, used: None, most_tokens }
    }

    /// Asks a store. If this is dropped meanwhile the store may have granted it without anybody knowing: then it is released
    /// unused.
    pub(super) async fn acquire(&mut self, store: &Arc<dyn RateLimitStore>) -> Result<Grant> {
        self.store = Some(Arc::clone(store));
        self.used = Some(0);
        let grant = store.acquire(&self.key, &self.limits, &self.lease).await;
        match grant {
            Ok(Grant::Granted) => self.used = None,
            Ok(Grant::Wait { .. }) => self.store = None,
            Err(_) => self.release(),
        }
        grant
    }

    /// The call has its answer.
    pub(super) fn succeeded(mut self, usage: Option<&Usage>, limits: Option<&RateLimits>) {
        self.used = usage.map(|usage| usage.total_tokens).filter(|used| *used <= self.most_tokens);
        self.apply_headers(limits);
    }

    /// The call has failed: a rejection is recorded before the permit is released, while the call counts as in flight.
    pub(super) fn failed(mut self, error: &Error) {
        if error.billed() == Billed::No {
            self.used = Some(0);
        }
        self.apply_headers(error.rate_limits());
        let reaction = error.reaction();
        if let Some(store) = self.store.as_ref().filter(|_| reaction.slow_down) {
            store.record_rejection(&self.key, &self.limits, error.rate_limit_scope(), reaction.wait);
        }
    }

    fn apply_headers(&self, limits: Option<&RateLimits>) {
        if let Some(limits) = limits {
            self.queue.apply_headers(limits);
        }
    }

    fn release(&mut self) {
        if let Some(store) = self.store.take() {
            store.release(&self.key, &self.lease, self.used);
            self.queue.released.notify_one();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release();
    }
}
