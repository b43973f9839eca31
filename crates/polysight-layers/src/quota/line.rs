//! The line of calls that wait for one model, and the place that a call holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight_core::{Billed, Error, ErrorKind, RateLimitScope, RateLimits, Result, RetryAdvice, Usage};

use super::is_local;
use super::store::{Grant, Lease, QuotaKey, QuotaLimits, QuotaStore};
use crate::sync::lock;

/// Models beyond which lines that nobody uses are forgotten, since model ids may come from a program's own users.
const MANY_MODELS: usize = 256;

/// The lines of a provider, by model.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<String, Arc<Line>>>);

impl Lines {
    pub(super) fn of(&self, model: &str) -> Arc<Line> {
        let mut lines = lock(&self.0);
        if let Some(line) = lines.get(model) {
            return Arc::clone(line);
        }
        if lines.len() >= MANY_MODELS {
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        Arc::clone(lines.entry(model.to_owned()).or_default())
    }
}

/// Those who wait: first come, first served, and only the first asks the store.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Held by the one whose turn it is; the others queue for it in order.
    pub(super) head: tokio::sync::Mutex<()>,
    /// Told when a place is given back in this process.
    pub(super) freed: tokio::sync::Notify,
    length: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    requests: Option<u64>,
    tokens: Option<u64>,
    last_wait: Option<(RateLimitScope, Duration)>,
}

impl Line {
    /// Joins the line, unless that is as long already.
    pub(super) fn join(self: &Arc<Self>, longest: usize) -> Option<InLine> {
        let joined = InLine(Arc::clone(self));
        (self.length.fetch_add(1, Ordering::Relaxed) < longest).then_some(joined)
    }

    /// What the first in line was told last.
    pub(super) fn last_wait(&self) -> Option<(RateLimitScope, Duration)> {
        lock(&self.known).last_wait
    }

    pub(super) fn note_wait(&self, limit: RateLimitScope, after: Duration) {
        lock(&self.known).last_wait = Some((limit, after));
    }

    /// The vendor's headers are a ceiling: the last ones hold, and only below what is known otherwise.
    fn note_ceilings(&self, limits: &RateLimits) {
        let mut known = lock(&self.known);
        let told = |limit: Option<u64>| limit.filter(|limit| *limit > 0);
        known.requests = told(limits.limit_requests).or(known.requests);
        known.tokens = told(limits.limit_tokens).or(known.tokens);
    }

    /// These limits, and below the ceilings.
    pub(super) fn below_ceilings(&self, mut limits: QuotaLimits) -> QuotaLimits {
        let known = lock(&self.known);
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        limits.requests = least(limits.requests, known.requests);
        limits.tokens = least(limits.tokens, known.tokens);
        limits
    }
}

/// A place in the line, left on drop.
#[derive(Debug)]
pub(super) struct InLine(Arc<Line>);

impl Drop for InLine {
    fn drop(&mut self) {
        self.0.length.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a call takes of the quota, given back on drop.
#[derive(Debug)]
pub(super) struct Permit {
    pub(super) key: QuotaKey,
    pub(super) limits: QuotaLimits,
    pub(super) line: Arc<Line>,
    lease: Lease,
    /// The store that counts the call, or is being asked to.
    store: Option<Arc<dyn QuotaStore>>,
    /// `None`: what was set aside stays counted.
    used: Option<u64>,
}

impl Permit {
    /// A permit that holds nothing yet.
    pub(super) fn new(key: QuotaKey, limits: QuotaLimits, line: Arc<Line>, lease: Lease) -> Self {
        Self { key, limits, line, lease, store: None, used: None }
    }

    /// Asks a store for the place. If this is dropped meanwhile the store may have granted it without anybody knowing:
    /// then it is given back unused.
    pub(super) async fn ask(&mut self, store: &Arc<dyn QuotaStore>) -> Result<Grant> {
        self.store = Some(Arc::clone(store));
        self.used = Some(0);
        let grant = store.take(&self.key, &self.limits, &self.lease).await;
        match grant {
            Ok(Grant::Granted) => self.used = None,
            Ok(Grant::Wait { .. }) => self.store = None,
            Err(_) => self.give_back(),
        }
        grant
    }

    /// The call has its answer.
    pub(super) fn answered(mut self, usage: Option<&Usage>, limits: Option<&RateLimits>) {
        self.used = usage.map(|usage| usage.total_tokens);
        self.heed(limits);
    }

    /// The call has failed: what it teaches is learnt before its place is given back, while it counts as in flight.
    pub(super) fn failed(mut self, error: &Error) {
        if error.billed() == Billed::No {
            self.used = Some(0);
        }
        self.heed(error.rate_limits());
        let refused = match error.kind() {
            ErrorKind::RateLimited => !is_local(error),
            ErrorKind::Overloaded => error.rate_limit_scope().is_some(),
            _ => false,
        };
        let pause = match error.retry() {
            RetryAdvice::After(pause) => pause,
            _ => None,
        };
        if let Some(store) = self.store.as_ref().filter(|_| refused) {
            store.throttled(&self.key, &self.limits, error.rate_limit_scope(), pause);
        }
    }

    fn heed(&self, limits: Option<&RateLimits>) {
        if let Some(limits) = limits {
            self.line.note_ceilings(limits);
        }
    }

    fn give_back(&mut self) {
        if let Some(store) = self.store.take() {
            store.settle(&self.key, &self.lease, self.used);
            self.line.freed.notify_one();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back();
    }
}
