//! How often a retry would send what failed.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use polysight::layers::{Retry, RetryPolicy};
use polysight::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, MockProvider, Plan, ProviderId, Result,
    VisionProvider,
};
use polysight_testkit::calls;

/// Most attempts of a call.
pub(super) const MAX_ATTEMPTS: u32 = 2;

/// A provider that remembers the failure that a retry around it would see: an error instead of an answer, or instead of a
/// stream's first event.
#[derive(Debug)]
pub(super) struct Recorder {
    inner: Arc<dyn VisionProvider>,
    failure: Mutex<Option<Error>>,
}

impl Recorder {
    pub(super) fn new(inner: &Arc<dyn VisionProvider>) -> Self {
        Self { inner: Arc::clone(inner), failure: Mutex::default() }
    }

    /// How many attempts a retry with the usual policy makes of this failure, if it lasts, and how many of them its error
    /// lists as earlier ones.
    pub(super) fn attempts(&self) -> (usize, usize) {
        let failure = self.failure.lock().unwrap().take();
        // A runtime of its own, whose waits are over at once, needs a thread of its own.
        failure.map_or((1, 0), |error| {
            std::thread::scope(|scope| scope.spawn(|| retried(error)).join().unwrap())
        })
    }

    fn kept<T>(&self, outcome: Result<T>) -> Result<T> {
        outcome.inspect_err(|error| *self.failure.lock().unwrap() = Some(error.clone()))
    }
}

fn retried(failure: Error) -> (usize, usize) {
    let mock = MockProvider::new("mock").error(failure).forever();
    let policy = RetryPolicy { max_attempts: MAX_ATTEMPTS, ..RetryPolicy::default() };
    let retry = Retry::new(Arc::new(mock.clone()), policy).with_budget(None).with_seed(7);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let request = ChatRequest::ask("What is it?", [] as [polysight::Part; 0]);
    let error = runtime.block_on(calls::plain(&retry, request)).unwrap_err();
    (mock.call_count(), error.attempts().len())
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Recorder {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }

    fn catalog(&self) -> &Catalog {
        self.inner.catalog()
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        self.kept(self.inner.plan(request))
    }

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        self.kept(self.inner.send(plan).await)
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        let started = async { self.inner.stream(plan).await?.with_first_event().await };
        self.kept(started.await)
    }
}
