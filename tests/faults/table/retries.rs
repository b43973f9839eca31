//! How often a retry would ask for what failed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use polysight::layers::{Clock, Env, Retry, RetryPolicy, Sleep};
use polysight::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, Plan, ProviderId, Result, VisionProvider,
};

/// Most attempts of a call.
pub(super) const MAX_ATTEMPTS: u32 = 2;

/// A provider whose failure lasts: after its first failure it fails with the same error again, without sending anything. So
/// the attempt that is judged goes over a real socket, and the count of attempts shows what a retry makes of the failure.
#[derive(Debug)]
pub(super) struct PersistentFailure {
    inner: Arc<dyn VisionProvider>,
    attempts: AtomicUsize,
    failure: Mutex<Option<Error>>,
}

impl PersistentFailure {
    pub(super) fn new(inner: &Arc<dyn VisionProvider>) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), attempts: AtomicUsize::new(0), failure: Mutex::default() })
    }

    /// The provider behind a retry with the usual policy, which does not really wait.
    pub(super) fn retried(self: &Arc<Self>) -> Retry {
        let policy = RetryPolicy::default().with_attempts(MAX_ATTEMPTS).with_throttle_attempts(MAX_ATTEMPTS);
        let inner: Arc<dyn VisionProvider> = Arc::<Self>::clone(self);
        Retry::new(inner, policy).with_budget(None).with_env(Env::seeded(7).with_clock(Arc::new(NoWait)))
    }

    /// How often it was called.
    pub(super) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }

    /// The failure of an earlier attempt.
    fn again(&self) -> Result<()> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn kept<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| *self.failure.lock().unwrap() = Some(error.clone()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for PersistentFailure {
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
        self.again()?;
        self.kept(self.inner.chat(request).await)
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        self.again()?;
        let primed = async { self.inner.stream(request).await?.with_first_event().await };
        self.kept(primed.await)
    }
}

/// A clock on which every pause is over at once.
#[derive(Debug)]
struct NoWait;

impl Clock for NoWait {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}
