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
impl QuotaStore for Hesitant {
    async fn take(&self, key: &QuotaKey, limits: &QuotaLimits, lease: &Lease) -> Result<Grant> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Network, "gone").with_billed(Billed::No));
        }
        for _ in 0..self.polls {
            tokio::task::yield_now().await;
        }
        let grant = self.inner.take(key, limits, lease).await;
        for _ in 0..self.polls {
            tokio::task::yield_now().await;
        }
        if self.late.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Network, "too late").with_billed(Billed::No));
        }
        grant
    }
    fn settle(&self, key: &QuotaKey, lease: &Lease, used: Option<u64>) {
        self.inner.settle(key, lease, used);
    }
    fn throttled(
        &self,
        key: &QuotaKey,
        limits: &QuotaLimits,
        met: Option<RateLimitScope>,
        pause: Option<Duration>,
    ) {
        self.inner.throttled(key, limits, met, pause);
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
            let fake = Fake::new("f", [Play::Answer("ok", Duration::from_millis(1))]);
            let policy = open().with_concurrency(1).with_max_waiting(1);
            let store = Hesitant::new(3);
            let quota = Quota::new(Arc::new(fake.clone()), policy).with_store(Arc::<Hesitant>::clone(&store));
            let ready = if streamed {
                let mut call = Box::pin(quota.stream(request()));
                poll_times(call.as_mut(), polls).await
            } else {
                let mut call = Box::pin(quota.chat(request()));
                poll_times(call.as_mut(), polls).await
            };
            let next = tokio::time::timeout(SECOND / 2, quota.chat(request())).await;
            assert!(next.expect("no place is left taken").is_ok(), "{polls} polls, done: {ready}");
            assert_eq!(fake.in_flight(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_granted_when_nobody_waited_any_more_costs_no_tokens() {
    let fake = Fake::new("f", []);
    let store = Hesitant::new(3);
    let policy = open().with_tokens_per_minute(1_300).with_max_wait(SECOND);
    let quota = Quota::new(Arc::new(fake.clone()), policy).with_store(Arc::<Hesitant>::clone(&store));
    let mut call = Box::pin(quota.chat(request()));
    assert!(!poll_times(call.as_mut(), 5).await, "granted, and not told yet");
    drop(call);
    assert_eq!(fake.calls(), 0);
    quota.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_place_whose_grant_came_too_late_is_given_back() {
    let fake = Fake::new("f", []);
    let store = Hesitant::new(0);
    let policy = open().with_concurrency(1).with_max_wait(Duration::ZERO);
    let quota = Quota::new(Arc::new(fake), policy).with_store(Arc::<Hesitant>::clone(&store));
    store.late.store(true, Ordering::SeqCst);
    quota.chat(request()).await.unwrap();
    store.late.store(false, Ordering::SeqCst);
    tokio::time::sleep(STORE_REST).await;
    quota.chat(request()).await.unwrap();
    assert_eq!(store.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_plan_refuses_takes_nothing() {
    let fake = Fake::new("f", []);
    let store = Hesitant::new(0);
    let quota = Quota::new(Arc::new(fake.clone()), open()).with_store(Arc::<Hesitant>::clone(&store));
    let image = polysight_core::Image::from_url("https://example.com/a.jpg").unwrap();
    let blind = ChatRequest::ask("?", [image]).with_model("blind");
    assert_eq!(quota.chat(blind).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    assert_eq!((fake.calls(), store.asked.load(Ordering::SeqCst)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_replaced_by_the_process_own_count_and_asked_again_later() {
    let fake = Fake::new("f", []);
    let store = Hesitant::new(0);
    let policy = open().with_requests_per_minute(2).with_max_wait(Duration::ZERO);
    let quota = Quota::new(Arc::new(fake), policy).with_store(Arc::<Hesitant>::clone(&store));
    store.fail(true);
    quota.chat(request()).await.unwrap();
    quota.chat(request()).await.unwrap();
    quota.chat(request()).await.unwrap_err();
    assert_eq!(store.asked.load(Ordering::SeqCst), 1, "it is left alone for a while");
    store.fail(false);
    tokio::time::sleep(STORE_REST).await;
    quota.chat(request()).await.unwrap();
    assert_eq!(store.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_closed_policy_sends_nothing_while_the_store_is_away() {
    let fake = Fake::new("f", []);
    let store = Hesitant::new(0);
    let policy = open().with_on_store_failure(StoreFailure::Closed);
    let quota = Quota::new(Arc::new(fake.clone()), policy).with_store(Arc::<Hesitant>::clone(&store));
    store.fail(true);
    for _ in 0..2 {
        let error = quota.chat(request()).await.unwrap_err();
        assert_eq!((error.kind(), error.billed()), (ErrorKind::Network, Billed::No));
        assert_eq!(error.retry(), RetryAdvice::After(Some(STORE_REST)));
    }
    assert_eq!((fake.calls(), store.asked.load(Ordering::SeqCst)), (0, 1));
    store.fail(false);
    tokio::time::sleep(STORE_REST).await;
    quota.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_speaks_against_no_target() {
    use crate::route::{BreakerState, Route, RoutePolicy, Target};

    let store = Hesitant::new(0);
    store.fail(true);
    let policy = open().with_on_store_failure(StoreFailure::Closed);
    let quota = Quota::new(Arc::new(Fake::new("f", [])), policy).with_store(store);
    let route = Route::new("r", [Target::new(Arc::new(quota))], RoutePolicy::new()).unwrap();
    for _ in 0..6 {
        let error = route.chat(request()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Network, Some(LOCAL_QUOTA)));
    }
    assert_eq!(route.targets()[0].breaker, BreakerState::Closed);
}
