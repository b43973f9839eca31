//! Answers kept in memory: an equal question is not asked, and not paid for, again.
//!
//! What is promised: an answer is given only to a request that asks for the same in every respect that can shape the
//! answer, pictures by their content; equal plain requests at the same time make one call; failures are never kept;
//! memory stays within its bound. Who waits for another's call gets that call's failure too.

mod flight;
mod key;
mod policy;
mod store;
mod tee;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::{
    Adjustment, Catalog, ChatRequest, ChatResponse, ChatStream, Plan, ProviderId, Result, VisionProvider,
};

use self::flight::Flights;
use self::key::{Key, Keys};
pub use self::policy::CachePolicy;
use self::store::{Store, add};
use crate::Env;

/// Answers equal requests from memory.
///
/// An answer that was not made for the call is marked [`cached`](ChatResponse::cached). It keeps the usage, ids and
/// time of the call that made it; that call's failed tries and rate limits are left out.
///
/// Not kept are requests that want the vendor's [raw JSON](ChatRequest::keep_raw), requests whose
/// [plan](VisionProvider::plan) fails, and what the [policy](CachePolicy) leaves out: by default answers drawn at
/// random, and pictures by link. What one of several providers behind the cache answered is given for all of them.
///
/// A streamed answer is kept when it has come to its end; equal streams at the same time each make their call.
///
/// ```
/// use std::sync::Arc;
///
/// use polysight_core::VisionProvider;
/// use polysight_layers::cache::{Cache, CachePolicy};
///
/// fn cached(provider: Arc<dyn VisionProvider>) -> Cache {
///     Cache::new(provider, CachePolicy::default().with_max_bytes(256 << 20))
/// }
/// ```
#[derive(Debug)]
pub struct Cache {
    inner: Arc<dyn VisionProvider>,
    policy: CachePolicy,
    store: Arc<Store>,
    keys: Keys,
    flights: Flights,
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
    /// Requests that the cache has nothing to do with.
    pub passed: u64,
}

impl Cache {
    /// Puts a cache before a provider.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: CachePolicy) -> Self {
        let store = Arc::new(Store::new(policy.clone(), Env::default()));
        Self { inner, policy, store, keys: Keys::new(), flights: Flights::default() }
    }

    /// Tells the time by another clock. What was kept before is forgotten.
    #[must_use]
    pub fn with_env(mut self, env: Env) -> Self {
        self.store = Arc::new(Store::new(self.policy.clone(), env));
        self
    }

    /// How often it could answer so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.store.stats()
    }

    /// What stands for a request; `None` when the cache has nothing to do with it.
    async fn question(&self, request: &ChatRequest) -> Option<Question> {
        let question = match self.inner.plan(request.clone()) {
            Err(_) => None,
            Ok(plan) => {
                let key = self.keys.of(request, &plan, self.inner.id(), &self.policy).await;
                key.map(|key| Question { key, adjustments: plan.adjustments })
            }
        };
        if question.is_none() {
            add(&self.store.counts.passed);
        }
        question
    }

    async fn hit(&self, question: &Question) -> Option<ChatResponse> {
        let kept = self.store.get(&question.key).await?;
        add(&self.store.counts.hits);
        Some(self.given(&kept, question))
    }

    /// An answer as it is given to a request that it was not made for.
    fn given(&self, kept: &ChatResponse, question: &Question) -> ChatResponse {
        let mut response = kept.clone();
        response.cached = true;
        response.attempts.clear();
        response.rate_limits = None;
        if response.provider == self.inner.id().name {
            response.adjustments.clone_from(&question.adjustments);
        }
        response
    }
}

/// A request that the cache may answer.
struct Question {
    key: Key,
    /// What its plan changed, which may differ between requests that go out alike.
    adjustments: Vec<Adjustment>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Cache {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }

    fn catalog(&self) -> &Catalog {
        self.inner.catalog()
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        self.inner.plan(request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        let Some(question) = self.question(&request).await else { return self.inner.chat(request).await };
        if let Some(response) = self.hit(&question).await {
            return Ok(response);
        }
        let mut made = false;
        let call = async {
            // It may have been kept since this request looked.
            if let Some(kept) = self.store.get(&question.key).await {
                return Ok(kept);
            }
            made = true;
            add(&self.store.counts.misses);
            let response = Arc::new(self.inner.chat(request).await?);
            self.store.put(question.key, Arc::clone(&response)).await;
            Ok(response)
        };
        let outcome = self.flights.share(question.key, call).await;
        if made {
            return outcome.map(Arc::unwrap_or_clone);
        }
        add(&self.store.counts.shared);
        outcome.map(|response| self.given(&response, &question))
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let Some(question) = self.question(&request).await else { return self.inner.stream(request).await };
        if let Some(response) = self.hit(&question).await {
            return Ok(ChatStream::from_response(response));
        }
        add(&self.store.counts.misses);
        let stream = self.inner.stream(request).await?;
        Ok(tee::tee(stream, question.key, Arc::clone(&self.store)))
    }
}
