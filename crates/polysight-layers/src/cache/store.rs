//! Where answers are kept, and how many of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use moka::future::Cache as Bounded;
use polysight_core::ChatResponse;

use super::key::Key;
use super::{CachePolicy, CacheStats};
use crate::Env;

/// What an entry takes besides its texts, roughly.
const OVERHEAD: usize = size_of::<ChatResponse>() + 256;

/// Answers within bounds of memory and time.
pub(super) struct Store {
    answers: Bounded<Key, Kept>,
    policy: CachePolicy,
    env: Env,
    pub(super) counts: Counts,
}

#[derive(Clone)]
struct Kept {
    response: Arc<ChatResponse>,
    until: Instant,
}

/// How often each thing happened.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) shared: AtomicU64,
    pub(super) stored: AtomicU64,
    pub(super) passed: AtomicU64,
}

impl Store {
    pub(super) fn new(policy: CachePolicy, env: Env) -> Self {
        let answers = Bounded::builder()
            .max_capacity(policy.max_bytes)
            .weigher(|_, kept: &Kept| u32::try_from(size(&kept.response)).unwrap_or(u32::MAX))
            // It frees the memory; whether an answer is still good is told by the clock that tests can hold.
            .time_to_live(policy.lifetime())
            .build();
        Self { answers, policy, env, counts: Counts::default() }
    }

    pub(super) async fn get(&self, key: &Key) -> Option<Arc<ChatResponse>> {
        let kept = self.answers.get(key).await?;
        if kept.until <= self.env.now() {
            self.answers.invalidate(key).await;
            return None;
        }
        Some(kept.response)
    }

    /// Keeps an answer, unless it is too large.
    pub(super) async fn put(&self, key: Key, response: Arc<ChatResponse>) {
        if !self.fits(size(&response)) {
            return;
        }
        let until = self.env.now() + self.policy.lifetime();
        self.answers.insert(key, Kept { response, until }).await;
        add(&self.counts.stored);
    }

    /// Whether so many bytes of one answer may be kept.
    pub(super) fn fits(&self, bytes: usize) -> bool {
        bytes as u64 <= self.policy.max_entry_bytes
    }

    pub(super) fn stats(&self) -> CacheStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { hits, misses, shared, stored, passed } = &self.counts;
        CacheStats {
            hits: read(hits),
            misses: read(misses),
            shared: read(shared),
            stored: read(stored),
            passed: read(passed),
        }
    }

    #[cfg(test)]
    pub(super) async fn bytes(&self) -> u64 {
        self.answers.run_pending_tasks().await;
        self.answers.weighted_size()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} bytes)", self.answers.weighted_size())
    }
}

pub(super) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn size(response: &ChatResponse) -> usize {
    let calls = response.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
    let changes = response.adjustments.iter().map(|change| change.path.len() + change.change.len());
    let attempts = response.attempts.iter().map(|attempt| size_of_val(attempt) + attempt.message.len());
    let texts = [&response.text, &response.reasoning, &response.provider, &response.model];
    let texts = texts.into_iter().map(String::len);
    OVERHEAD + calls.chain(changes).chain(attempts).chain(texts).sum::<usize>()
}
