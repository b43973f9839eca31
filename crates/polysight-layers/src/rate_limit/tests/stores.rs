//! Stores that hesitate, fail and come too late.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;

/// A store that takes a few polls to answer, and counts what is left behind.
#[derive(Debug)]
struct Hesitant {
    inner: LocalStore,
    polls: usize,
    broken: AtomicBool,
    late: AtomicBool,
    asked: AtomicUsize,
}

impl Hesitant {
    fn new(polls: usize) -> Arc<Self> {
        let (broken, late, asked) = Default::default();
        Arc::new(Self { inner: LocalStore::new(), polls, broken, late, asked })
    }

    fn fail(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }
}

#[async_trait]
impl RateLimitStore for Hesitant {
    async fn acquire(&self, key: &RateLimitKey, limits: &Limits, lease: &Lease) -> Result<Grant> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Network, "gone").with_billed(Billed::No));
        }
        for _ in 0..self.polls {
            tokio::task::yield_now().await;
        }
        let grant = self.inner.acquire(key, limits, lease).await;
        for _ in 0..self.polls {
            tokio::task::yield_now().await;
        }
        if self.late.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Network, "too late").with_billed(Billed::No));
        }
        grant
    }
    fn release(&self, key: &RateLimitKey, lease: &Lease, used: Option<u64>) {
        self.inner.release(key, lease, used);
    }
    fn record_rejection(
        &self,
        key: &RateLimitKey,
        limits: &Limits,
        scope: Option<RateLimitScope>,
        wait: Option<Duration>,
    ) {
        self.inner.record_rejection(key, limits, scope, wait);
    }
}

/// Polls a future so many times, with everything else run in between.
async fn poll_times<F: Future>(mut future: std::pin::Pin<&mut F>, times: usize) -> bool {
    for _ in 0..times {
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await;
        if polled.is_ready() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_at_any_await_leaves_nothing_behind() {
    for streamed in [false, true] {
        for polls in 0..14 {
            let provider = mock("f").answer("ok").after(Duration::from_millis(1));
            let policy = RateLimitPolicy { max_waiting: 1, ..one_at_a_time() };
            let store = Hesitant::new(3);
            let limit =
                RateLimit::new(Arc::new(provider.clone()), policy).with_store(Arc::<Hesitant>::clone(&store));
            let ready = if streamed {
                let mut call = Box::pin(limit.chat_stream(request()));
                poll_times(call.as_mut(), polls).await
            } else {
                let mut call = Box::pin(limit.chat(request()));
                poll_times(call.as_mut(), polls).await
            };
            let next = timeout(SECOND / 2, limit.chat(request())).await;
            assert!(next.expect("no lease is left held").is_ok(), "{polls} polls, done: {ready}");
            assert_eq!(provider.in_flight(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_to_a_call_that_was_dropped_costs_no_tokens() {
    let provider = mock("f");
    let store = Hesitant::new(3);
    let policy = tokens(1_300, SECOND);
    let limit = RateLimit::new(Arc::new(provider.clone()), policy).with_store(Arc::<Hesitant>::clone(&store));
    let mut call = Box::pin(limit.chat(request()));
    assert!(!poll_times(call.as_mut(), 5).await, "granted, and not known yet");
    drop(call);
    assert_eq!(provider.call_count(), 0);
    limit.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_whose_grant_came_too_late_is_released() {
    let provider = mock("f");
    let store = Hesitant::new(0);
    let policy = now_or_never(one_at_a_time());
    let limit = RateLimit::new(Arc::new(provider), policy).with_store(Arc::<Hesitant>::clone(&store));
    store.late.store(true, Ordering::SeqCst);
    limit.chat(request()).await.unwrap();
    store.late.store(false, Ordering::SeqCst);
    tokio::time::sleep(STORE_COOLDOWN).await;
    limit.chat(request()).await.unwrap();
    assert_eq!(store.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_plan_refuses_takes_nothing() {
    let provider = mock("f");
    let store = Hesitant::new(0);
    let limit = RateLimit::new(Arc::new(provider.clone()), open()).with_store(Arc::<Hesitant>::clone(&store));
    let image = polysight_core::Image::from_url("https://example.com/a.jpg").unwrap();
    let blind = ChatRequest::ask("?", [image]).with_model("blind");
    assert_eq!(limit.chat(blind).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!((provider.call_count(), store.asked.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_replaced_by_the_process_own_count_and_asked_again_later() {
    let provider = mock("f");
    let store = Hesitant::new(0);
    let policy = now_or_never(requests(2));
    let limit = RateLimit::new(Arc::new(provider), policy).with_store(Arc::<Hesitant>::clone(&store));
    store.fail(true);
    limit.chat(request()).await.unwrap();
    limit.chat(request()).await.unwrap();
    limit.chat(request()).await.unwrap_err();
    assert_eq!(store.asked.load(Ordering::SeqCst), 1, "it is not asked for a while");
    store.fail(false);
    tokio::time::sleep(STORE_COOLDOWN).await;
    limit.chat(request()).await.unwrap();
    assert_eq!(store.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_closed_policy_sends_nothing_while_the_store_cannot_be_asked() {
    let provider = mock("f");
    let store = Hesitant::new(0);
    let policy = RateLimitPolicy { on_store_failure: StoreFailure::Closed, ..open() };
    let limit = RateLimit::new(Arc::new(provider.clone()), policy).with_store(Arc::<Hesitant>::clone(&store));
    store.fail(true);
    for _ in 0..2 {
        let error = limit.chat(request()).await.unwrap_err();
        assert_eq!((error.kind(), error.billed()), (ErrorKind::Network, Billed::No));
        assert_eq!(error.retry(), RetryAdvice::After(Some(STORE_COOLDOWN)));
    }
    assert_eq!((provider.call_count(), store.asked.load(Ordering::SeqCst)), (0, 1));
    store.fail(false);
    tokio::time::sleep(STORE_COOLDOWN).await;
    limit.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_asked_is_no_fault_of_the_target() {
    use crate::router::{BreakerState, Router, RouterPolicy, Target};

    let store = Hesitant::new(0);
    store.fail(true);
    let policy = RateLimitPolicy { on_store_failure: StoreFailure::Closed, ..open() };
    let limit = RateLimit::new(Arc::new(mock("f")), policy).with_store(store);
    let router = Router::new("r", [Target::new(Arc::new(limit))], RouterPolicy::default()).unwrap();
    for _ in 0..6 {
        let error = router.chat(request()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Network, Some(LOCAL_RATE_LIMIT)));
    }
    assert_eq!(router.targets()[0].breaker, BreakerState::Closed);
}
