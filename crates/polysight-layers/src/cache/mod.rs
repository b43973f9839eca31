//! Answers kept in memory: an equal request is not sent, and not paid for, again.
//!
//! An answer is given only to a request that is the same in every respect that can shape the answer, pictures by their
//! content; equal plain requests at the same time make one call; failures and partial answers are never kept; memory stays
//! within its bound. A request that waits for another's call gets that call's failure too.

mod key;
mod policy;
mod single_flight;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use moka::sync::Cache as Bounded;
use polysight_core::catalog::Money;
use polysight_core::{
    Adjustment, ChatResponse, ChatStream, Error, FinishKind, Plan, ResponseMeta, Result, StreamCollector,
    StreamEvent, VisionProvider,
};

use self::key::{Key, Keys};
pub use self::policy::CachePolicy;
use self::single_flight::SingleFlight;
use crate::call::{CallObserver, observe};

/// What an entry takes besides its texts, roughly.
const OVERHEAD: usize = size_of::<ChatResponse>() + 256;

/// Answers equal requests from memory.
///
/// An answer that was not made for the call is marked [`cached`](ResponseMeta::cached). It keeps the usage, ids and time of
/// the call that made it; that call's failed attempts and rate limits are left out.
///
/// Not kept are requests that want the vendor's [raw JSON](polysight_core::ChatRequest::keep_raw), and what the [policy](CachePolicy) leaves
/// out: by default answers drawn at random, and pictures by link. What one of several providers behind the cache answered is
/// given for all of them.
///
/// A streamed answer is kept when it has come to its end; equal streams at the same time each make their call.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
///
/// use polysight::VisionProvider;
/// use polysight::layers::{Cache, CachePolicy};
///
/// fn cached(provider: Arc<dyn VisionProvider>) -> Cache {
///     Cache::new(provider, CachePolicy { max_bytes: 256 << 20, ..CachePolicy::default() })
/// }
/// ```
pub struct Cache {
    inner: Arc<dyn VisionProvider>,
    store: Arc<Store>,
    keys: Keys,
    flights: SingleFlight,
}

/// How often a cache could answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CacheStats {
    /// Requests answered from memory.
    pub hits: u64,
    /// Requests for which a call was made, to be kept.
    pub misses: u64,
    /// Requests that waited for a call that another one had begun, and got its outcome.
    pub shared: u64,
    /// Answers that were kept.
    pub stored: u64,
    /// Requests that must not be answered from a cache.
    pub passed: u64,
}

show_as_wrapper!(Cache);

impl Cache {
    /// Puts a cache before a provider.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: CachePolicy) -> Self {
        let (store, keys) = (Arc::new(Store::new(policy)), Keys::new());
        Self { inner, store, keys, flights: SingleFlight::default() }
    }

    /// How often it could answer so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.store.counts.stats()
    }

    /// The key of a plan; `None` when it must not be answered from a cache.
    async fn lookup_of(&self, plan: &Plan) -> Option<Lookup> {
        let Some(key) = self.keys.of(plan, self.inner.id(), &self.store.policy).await else {
            add(&self.store.counts.passed);
            return None;
        };
        Some(Lookup { key, adjustments: plan.adjustments.clone() })
    }

    fn hit(&self, lookup: &Lookup) -> Option<ChatResponse> {
        let kept = self.store.get(&lookup.key)?;
        add(&self.store.counts.hits);
        Some(self.replay(&kept, lookup))
    }

    /// An answer as it is given to a request that it was not made for.
    fn replay(&self, kept: &ChatResponse, lookup: &Lookup) -> ChatResponse {
        let mut response = kept.clone();
        response.cached = true;
        response.cost = response.cost.take().map(|cost| Money::new(cost.currency, 0.0));
        response.attempts.clear();
        response.rate_limits = None;
        if *response.provider == *self.inner.id().name {
            response.adjustments.clone_from(&lookup.adjustments);
        }
        response
    }
}

/// A request that the cache may answer.
struct Lookup {
    key: Key,
    /// What its plan changed, which may differ between requests that are sent alike.
    adjustments: Vec<Adjustment>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Cache {
    impl_layer!(plans with inner);

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        let Some(lookup) = self.lookup_of(&plan).await else { return self.inner.send(plan).await };
        if let Some(response) = self.hit(&lookup) {
            return Ok(response);
        }
        let mut made = false;
        let call = async {
            // It may have been kept since this request looked.
            if let Some(kept) = self.store.get(&lookup.key) {
                return Ok(kept);
            }
            made = true;
            add(&self.store.counts.misses);
            let response = Arc::new(self.inner.send(plan).await?);
            self.store.put(lookup.key, Arc::clone(&response));
            Ok(response)
        };
        let outcome = self.flights.run(lookup.key, call).await;
        if made {
            return outcome.map(Arc::unwrap_or_clone);
        }
        add(&self.store.counts.shared);
        outcome.map(|response| self.replay(&response, &lookup))
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        let Some(lookup) = self.lookup_of(&plan).await else { return self.inner.stream(plan).await };
        if let Some(response) = self.hit(&lookup) {
            return Ok(ChatStream::from_response(response));
        }
        add(&self.store.counts.misses);
        observe(&*self.inner, plan, Recorder::new(lookup.key, Arc::clone(&self.store))).await
    }
}

/// Collects a stream's answer, and keeps it when it is complete and not too large.
struct Recorder {
    key: Key,
    store: Arc<Store>,
    /// What came so far; `None` once it is too large.
    collected: Option<StreamCollector>,
}

impl Recorder {
    fn new(key: Key, store: Arc<Store>) -> Self {
        Self { key, store, collected: Some(StreamCollector::new()) }
    }
}

impl CallObserver for Recorder {
    fn on_event(&mut self, event: &StreamEvent) {
        let (Some(collector), false) = (&mut self.collected, matches!(event, StreamEvent::End(_))) else {
            return;
        };
        collector.add(event.clone());
        if !self.store.fits(collector.bytes()) {
            self.collected = None;
        }
    }

    fn on_end(&mut self, meta: &mut ResponseMeta) {
        if let Some(collector) = self.collected.take() {
            self.store.put(self.key, Arc::new(collector.complete(meta.clone())));
        }
    }

    fn on_error(&mut self, error: Error) -> Error {
        self.collected = None;
        error
    }
}

/// Answers within bounds of memory and time.
struct Store {
    answers: Bounded<Key, Arc<ChatResponse>>,
    policy: CachePolicy,
    counts: Counts,
}

impl Store {
    fn new(policy: CachePolicy) -> Self {
        let answers = Bounded::builder()
            .max_capacity(policy.max_bytes)
            .weigher(|_, response: &Arc<ChatResponse>| u32::try_from(size(response)).unwrap_or(u32::MAX))
            .time_to_live(policy.lifetime())
            .build();
        Self { answers, policy, counts: Counts::default() }
    }

    fn get(&self, key: &Key) -> Option<Arc<ChatResponse>> {
        self.answers.get(key)
    }

    /// Keeps an answer, unless it is too large.
    fn put(&self, key: Key, response: Arc<ChatResponse>) {
        if is_sound(&response) && self.fits(size(&response)) {
            self.answers.insert(key, response);
            add(&self.counts.stored);
        }
    }

    /// Whether so many bytes of one answer may be kept.
    fn fits(&self, bytes: usize) -> bool {
        bytes as u64 <= self.policy.max_entry_bytes
    }

    #[cfg(test)]
    fn bytes(&self) -> u64 {
        self.answers.run_pending_tasks();
        self.answers.weighted_size()
    }
}

/// How often each thing happened.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    shared: AtomicU64,
    stored: AtomicU64,
    passed: AtomicU64,
}

impl Counts {
    fn stats(&self) -> CacheStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CacheStats {
            hits: read(&self.hits),
            misses: read(&self.misses),
            shared: read(&self.shared),
            stored: read(&self.stored),
            passed: read(&self.passed),
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Whether an answer ended in a way that is known, without a remark of the content audit: another call may get a better one.
fn is_sound(response: &ChatResponse) -> bool {
    let is_known =
        matches!(response.finish.kind, FinishKind::Stop | FinishKind::ToolCalls | FinishKind::Length);
    is_known && response.safety.is_empty()
}

fn size(response: &ChatResponse) -> usize {
    let calls = response.tool_calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
    let changes = response.adjustments.iter().map(|change| change.path.len() + change.change.len());
    let attempts = response.attempts.iter().map(|attempt| size_of_val(attempt) + attempt.message.len());
    let texts = [&response.text, &response.reasoning, &response.provider, &response.model];
    let texts = texts.into_iter().map(String::len);
    OVERHEAD + calls.chain(changes).chain(attempts).chain(texts).sum::<usize>()
}
