//! The layer over a provider that plays a script: counting, waiting and streams.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use polysight_core::{ChatRequest, ChatResponse, RateLimits, StreamEvent, VisionProviderExt as _};

use super::*;
use crate::testing::{MockProvider, SECOND, mock, request};

fn limited(mock: &MockProvider, policy: RateLimitPolicy) -> Arc<RateLimit> {
    Arc::new(RateLimit::new(Arc::new(mock.clone()), policy))
}

/// Without the catalogue's limits: 2 concurrent requests, 60 requests and 10,000 tokens per minute.
fn open() -> RateLimitPolicy {
    RateLimitPolicy {
        concurrency: Some(1_000),
        requests_per_minute: Some(100_000),
        tokens_per_minute: Some(100_000_000),
        ..RateLimitPolicy::default()
    }
}

fn one_at_a_time() -> RateLimitPolicy {
    RateLimitPolicy { concurrency: Some(1), ..open() }
}

/// A call whose turn has not come at once fails.
fn now_or_never(policy: RateLimitPolicy) -> RateLimitPolicy {
    RateLimitPolicy { max_wait: Duration::ZERO, ..policy }
}

fn requests(per_minute: u64) -> RateLimitPolicy {
    RateLimitPolicy { requests_per_minute: Some(per_minute), ..open() }
}

fn tokens(per_minute: u64, max_wait: Duration) -> RateLimitPolicy {
    RateLimitPolicy { tokens_per_minute: Some(per_minute), max_wait, ..open() }
}

fn slow(count: usize) -> MockProvider {
    mock("f").answer("ok").after(SECOND).times(count)
}

async fn in_parallel(limit: &Arc<RateLimit>, count: usize) -> Vec<Result<ChatResponse>> {
    let calls: Vec<_> = (0..count)
        .map(|_| {
            let limit = Arc::clone(limit);
            tokio::spawn(async move { limit.chat(request()).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await.unwrap());
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn keeps_to_the_catalogues_concurrent_requests() {
    let provider = slow(10);
    let start = Instant::now();
    let outcomes = in_parallel(&limited(&provider, RateLimitPolicy::default()), 10).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(provider.max_in_flight(), 2);
    assert!(start.elapsed() >= 5 * SECOND && start.elapsed() < 6 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn keeps_to_requests_per_minute() {
    let provider = mock("f");
    let start = Instant::now();
    let limit = limited(&provider, RateLimitPolicy { max_wait: 90 * SECOND, ..requests(20) });
    assert!(in_parallel(&limit, 20).await.iter().all(Result::is_ok));
    assert_eq!(start.elapsed(), Duration::ZERO, "the whole minute's requests may go at once");
    assert!(in_parallel(&limit, 1).await.iter().all(Result::is_ok));
    assert!(start.elapsed() >= 60 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn reserves_tokens_and_reconciles_them_with_the_vendors_count() {
    // 100 are estimated for the prompt and 1,024 assumed for the answer; the provider uses 110.
    let provider = slow(2);
    let limit = limited(&provider, tokens(1_300, 10 * SECOND));
    let start = Instant::now();
    assert!(in_parallel(&limit, 2).await.iter().all(Result::is_ok));
    assert_eq!(provider.max_in_flight(), 1, "the second fits when the first is reconciled");
    assert_eq!(start.elapsed(), 2 * SECOND);
    let error = limit.chat(request().with_max_tokens(1_250)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.rate_limit_scope()),
        (ErrorKind::RateLimited, Some(RateLimitScope::Tokens))
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_billed_used_no_tokens_and_an_abandoned_one_all() {
    let server_error = Error::new(ErrorKind::Server, "x");
    let provider = mock("f").error(server_error).silence();
    let limit = limited(&provider, tokens(1_300, SECOND));
    limit.chat(request()).await.unwrap_err();
    let abandoned = Arc::clone(&limit);
    let call = tokio::spawn(async move { abandoned.chat(request()).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    call.abort();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(provider.call_count(), 2);
    assert_eq!(limit.chat(request()).await.unwrap_err().rate_limit_scope(), Some(RateLimitScope::Tokens));
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served() {
    let provider = slow(20);
    let limit = limited(&provider, one_at_a_time());
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let (limit, order) = (Arc::clone(&limit), Arc::clone(&order));
            tokio::spawn(async move {
                limit.chat(request()).await.unwrap();
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_says_so() {
    let provider = slow(4);
    let limit = limited(&provider, RateLimitPolicy { max_waiting: 3, ..one_at_a_time() });
    let outcomes = in_parallel(&limit, 10).await;
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!((provider.call_count(), errors.len()), (4, 6), "one goes and three wait");
    let error = &errors[0];
    assert_eq!((error.kind(), error.code()), (ErrorKind::RateLimited, Some(LOCAL_RATE_LIMIT)));
    assert!(error.is_local() && error.status().is_none());
    assert_eq!((error.billed(), error.rate_limit_scope()), (Billed::No, Some(RateLimitScope::Concurrency)));
    assert!(matches!(error.retry(), RetryAdvice::After(Some(after)) if !after.is_zero()));
    let line = error.to_string();
    assert!(line.contains("1 concurrent requests") && line.contains("3 calls wait already"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_longer_than_the_longest_wait() {
    let provider = mock("f").silence();
    let limit = limited(&provider, RateLimitPolicy { max_wait: 7 * SECOND, ..one_at_a_time() });
    let holder = Arc::clone(&limit);
    let _held = tokio::spawn(async move { holder.chat(request()).await });
    tokio::task::yield_now().await;
    let start = Instant::now();
    let outcomes = in_parallel(&limit, 3).await;
    assert_eq!(start.elapsed(), 7 * SECOND, "those behind the first give up by themselves");
    let error = outcomes[2].as_ref().unwrap_err().to_string();
    assert!(error.contains("`max_wait` of 7s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_sure_to_be_too_long_fails_at_once() {
    let provider = mock("f");
    let limit = limited(&provider, RateLimitPolicy { max_wait: 30 * SECOND, ..requests(1) });
    limit.chat(request()).await.unwrap();
    let start = Instant::now();
    let error = limit.chat(request()).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(error.to_string().contains("1 requests per minute"), "{error}");
    let RetryAdvice::After(Some(after)) = error.retry() else { panic!("{error:?}") };
    tokio::time::sleep(after).await;
    limit.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_longest_wait_means_now_or_never() {
    let provider = mock("f");
    let limit = limited(&provider, now_or_never(one_at_a_time()));
    limit.chat(request()).await.unwrap();
    let stream = limit.chat_stream(request()).await.unwrap();
    limit.chat(request()).await.unwrap_err();
    drop(stream);
    limit.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_until_its_end_its_error_or_its_drop() {
    let broken = Error::new(ErrorKind::Interrupted, "x");
    let pieces = |mock: MockProvider| mock.deltas(["a", "b"]).after(SECOND);
    let provider = pieces(mock("f")).answer("ok").interrupted(["a", "b"], broken).after(SECOND).answer("ok");
    let provider = pieces(provider);
    let limit = limited(&provider, now_or_never(one_at_a_time()));
    for way in ["end", "error", "drop"] {
        let mut stream = limit.chat_stream(request()).await.unwrap();
        for piece in 0..2 {
            assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(_)))), "{way}");
            limit.chat(request()).await.unwrap_err();
            assert_eq!(provider.in_flight(), 1, "{way} {piece}");
        }
        let kept = match way {
            "drop" => {
                drop(stream);
                None
            }
            _ => {
                let last = stream.next_event().await.unwrap();
                assert_eq!(last.is_ok(), way == "end");
                Some(stream)
            }
        };
        limit.chat_stream(request()).await.unwrap();
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_streams_tokens_are_reconciled_at_its_end() {
    let provider = mock("f");
    let limit = limited(&provider, tokens(1_300, Duration::ZERO));
    let stream = limit.chat_stream(request()).await.unwrap();
    assert_eq!(limit.chat(request()).await.unwrap_err().rate_limit_scope(), Some(RateLimitScope::Tokens));
    stream.collect_response().await.unwrap();
    limit.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_leaves_the_queue_and_takes_no_others_turn() {
    let provider = slow(3);
    let limit = limited(&provider, RateLimitPolicy { max_waiting: 2, ..one_at_a_time() });
    let spawn = || {
        let limit = Arc::clone(&limit);
        tokio::spawn(async move { limit.chat(request()).await })
    };
    let first = spawn();
    tokio::task::yield_now().await;
    for round in 0..20 {
        let (head, second) = (spawn(), spawn());
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        if round % 2 == 0 {
            head.abort()
        } else {
            second.abort()
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        head.abort();
        second.abort();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (second, third) = (spawn(), spawn());
    for call in [first, second, third] {
        call.await.unwrap().unwrap();
    }
    assert_eq!((provider.call_count(), provider.max_in_flight()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn models_wait_in_queues_of_their_own() {
    let provider = mock("f").silence();
    let limit = limited(&provider, one_at_a_time());
    let holder = Arc::clone(&limit);
    let _held = tokio::spawn(async move { holder.chat(request()).await });
    tokio::task::yield_now().await;
    let other = limit.chat(request().with_model("dear"));
    assert!(timeout(SECOND, other).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn identity_catalogue_and_plans_are_the_providers() {
    let provider = mock("f");
    let limit = limited(&provider, open());
    assert_eq!((limit.id(), limit.catalog().vendor()), (provider.id(), "fake"));
    assert_eq!(limit.plan(&request()).unwrap().model(), "eye");
    assert!(!limit.ask("What is it?", None::<polysight_core::Image>).await.unwrap().text.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_model_shares_one_limit_under_all_its_names() {
    let provider = mock("f");
    let limit = limited(&provider, now_or_never(requests(1)));
    limit.chat(request().with_model("eye")).await.unwrap();
    let error = limit.chat(request().with_model("Eye")).await.unwrap_err();
    assert_eq!(error.code(), Some(LOCAL_RATE_LIMIT));
    for other in ["blind", "unlisted", "unlisted too"] {
        limit.chat(request().with_model(other)).await.unwrap();
    }
}

// What the layer learns from a vendor's rejections.

fn rejecting(error: Error) -> MockProvider {
    mock("f").error(error.with_status(429))
}

#[tokio::test(start_paused = true)]
async fn a_vendors_rejection_pauses_all_calls_and_its_own_does_not() {
    let asks = Error::new(ErrorKind::RateLimited, "slow down")
        .with_retry(RetryAdvice::After(Some(20 * SECOND)))
        .with_rate_limit_scope(RateLimitScope::Requests);
    let provider = rejecting(asks);
    let limit = limited(&provider, open());
    limit.chat(request()).await.unwrap_err();
    let start = Instant::now();
    limit.chat(request()).await.unwrap();
    assert_eq!(start.elapsed(), 20 * SECOND);

    let inner = RateLimit::new(Arc::new(provider), now_or_never(requests(1)));
    let outer = RateLimit::new(Arc::new(inner), RateLimitPolicy { max_wait: 600 * SECOND, ..open() });
    outer.chat(request()).await.unwrap();
    outer.chat(request()).await.unwrap_err();
    let start = Instant::now();
    outer.chat(request()).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO, "nothing is learned from a rejection of this side");
}

#[tokio::test(start_paused = true)]
async fn learns_unknown_concurrent_requests() {
    let met = Error::new(ErrorKind::RateLimited, "x").with_rate_limit_scope(RateLimitScope::Concurrency);
    let provider = slow(9).error(met.with_status(429)).answer("ok").after(SECOND).times(30);
    let limit = limited(&provider, RateLimitPolicy::default());
    // "dear" has no quotas in the catalogue.
    let spawn = |limit: &Arc<RateLimit>| {
        let limit = Arc::clone(limit);
        tokio::spawn(async move { limit.chat(request().with_model("dear")).await.is_ok() })
    };
    let first: Vec<_> = (0..10).map(|_| spawn(&limit)).collect();
    for call in first {
        call.await.unwrap();
    }
    assert_eq!(provider.max_in_flight(), 10);
    let start = Instant::now();
    let later: Vec<_> = (0..14).map(|_| spawn(&limit)).collect();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(provider.in_flight(), 7, "seven of the ten that were seen");
    for call in later {
        assert!(call.await.unwrap());
    }
    assert!(start.elapsed() >= 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_a_rejection_only_where_it_names_a_limit() {
    for (scope, pause) in [(None, Duration::ZERO), (Some(RateLimitScope::Model), 30 * SECOND)] {
        let mut busy = Error::new(ErrorKind::Overloaded, "busy");
        if let Some(scope) = scope {
            busy = busy.with_rate_limit_scope(scope);
        }
        let limit = limited(&rejecting(busy), open());
        limit.chat_stream(request()).await.unwrap_err();
        let start = Instant::now();
        limit.chat(request()).await.unwrap();
        assert_eq!(start.elapsed(), pause);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_sent_than_the_vendors_headers_allow() {
    let mut limits = RateLimits::default();
    limits.limit_requests = Some(2);
    let error = Error::new(ErrorKind::Server, "x").with_rate_limits(Some(limits));
    let limit = limited(&mock("f").error(error), now_or_never(open()));
    limit.chat(request()).await.unwrap_err();
    limit.chat(request()).await.unwrap();
    let error = limit.chat(request()).await.unwrap_err();
    assert!(error.to_string().contains("2 requests per minute"), "{error}");
}

// Stores that hesitate, fail and come too late.

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

#[test]
fn own_numbers_go_before_the_catalogues_one_by_one() {
    let mock = mock("a");
    let policy = RateLimitPolicy { requests_per_minute: Some(30), ..RateLimitPolicy::default() };
    let own = Limits { requests: Some(30), ..Limits::default() };
    let expected = Limits { tokens: Some(10_000), concurrency: Some(2), ..own };
    assert_eq!(policy.limits(&mock.catalog().card("eye")), expected);
    assert_eq!(policy.limits(&mock.catalog().card("unlisted")), own);
    assert_eq!(RateLimitPolicy::default().limits(&mock.catalog().card("unlisted")), Limits::default());
}

#[test]
fn names_the_field_that_is_out_of_range() {
    let policy = RateLimitPolicy::default;
    assert!(policy().check().is_ok());
    let error = |policy: RateLimitPolicy| policy.check().unwrap_err().to_string();
    assert!(error(RateLimitPolicy { concurrency: Some(0), ..policy() }).contains("`concurrency` is 0"));
    assert!(error(RateLimitPolicy { max_waiting: 0, ..policy() }).contains("`max_waiting` is 0"));
    assert!(
        error(RateLimitPolicy { tokens_per_minute: Some(0), ..policy() })
            .contains("`tokens_per_minute` is 0")
    );
}
