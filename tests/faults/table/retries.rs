//! How often a retry would ask for what failed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use polysight::layers::{Clock, Env, Retry, RetryPolicy, Sleep};
use polysight::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, Plan, ProviderId, Result, VisionProvider,
};

/// Most tries of a call.
pub(super) const MOST: u32 = 2;

/// A provider whose failure lasts: what it failed with once, it fails with again, without asking anybody. So the try that is
/// judged goes over a real socket, and a retry above tells by the count what it makes of the failure.
#[derive(Debug)]
pub(super) struct Lasting {
    inner: Arc<dyn VisionProvider>,
    tries: AtomicUsize,
    failure: Mutex<Option<Error>>,
}

impl Lasting {
    pub(super) fn new(inner: &Arc<dyn VisionProvider>) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), tries: AtomicUsize::new(0), failure: Mutex::default() })
    }

    /// The provider behind a retry with the usual policy, which does not really wait.
    pub(super) fn retried(self: &Arc<Self>) -> Retry {
        let policy = RetryPolicy::default().with_attempts(MOST).with_throttle_attempts(MOST);
        let inner: Arc<dyn VisionProvider> = Arc::<Self>::clone(self);
        Retry::new(inner, policy).with_budget(None).with_env(Env::seeded(7).with_clock(Arc::new(Hurried)))
    }

    /// How often it was asked.
    pub(super) fn tries(&self) -> usize {
        self.tries.load(Ordering::SeqCst)
    }

    /// The failure of an earlier try.
    fn again(&self) -> Result<()> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn kept<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| *self.failure.lock().unwrap() = Some(error.clone()))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Lasting {
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
struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::ready(()))
    }
}
