use std::sync::atomic::AtomicUsize;

use polysight_core::{Message, RateLimits, StreamEvent, VisionProviderExt as _};

use super::*;
use crate::fake::{Fake, Play};

const SECOND: Duration = Duration::from_secs(1);

fn request() -> ChatRequest {
    ChatRequest::new([Message::user("What is it?")])
}

fn quota(fake: &Fake, policy: QuotaPolicy) -> Arc<Quota> {
    Arc::new(Quota::new(Arc::new(fake.clone()), policy))
}

/// Without the catalogue's limits: 2 at once, 60 requests and 10,000 tokens a minute.
fn open() -> QuotaPolicy {
    QuotaPolicy::new()
        .with_concurrency(1_000)
        .with_requests_per_minute(100_000)
        .with_tokens_per_minute(100_000_000)
        .with_burst(None)
}

fn slow(count: usize, each: Duration) -> Vec<Play> {
    vec![Play::Answer("ok", each); count]
}

fn refused(error: Error) -> Play {
    Play::fail(error.with_status(429))
}

async fn in_parallel(quota: &Arc<Quota>, count: usize) -> Vec<Result<ChatResponse>> {
    let calls: Vec<_> = (0..count)
        .map(|_| {
            let quota = Arc::clone(quota);
            tokio::spawn(async move { quota.chat(request()).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(call.await.unwrap());
    }
    outcomes
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
async fn keeps_to_the_catalogues_calls_at_once() {
    let fake = Fake::new("f", slow(10, SECOND));
    let start = tokio::time::Instant::now();
    let outcomes = in_parallel(&quota(&fake, QuotaPolicy::new()), 10).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(fake.most_in_flight(), 2);
    assert!(start.elapsed() >= 5 * SECOND && start.elapsed() < 6 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn keeps_to_requests_a_minute_and_spreads_them() {
    let fake = Fake::new("f", []);
    let start = tokio::time::Instant::now();
    let policy = open().with_requests_per_minute(20).with_burst(Some(0.1)).with_max_wait(90 * SECOND);
    assert!(in_parallel(&quota(&fake, policy.clone()), 20).await.iter().all(Result::is_ok));
    assert!(
        start.elapsed() >= 9 * SECOND && start.elapsed() <= 11 * SECOND,
        "two a second: {:?}",
        start.elapsed()
    );
    let quota = quota(&fake, policy.with_burst(None));
    assert!(in_parallel(&quota, 21).await.iter().all(Result::is_ok));
    assert!(start.elapsed() >= 69 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn sets_tokens_aside_and_puts_them_right_by_the_vendors_count() {
    // 100 are estimated for the prompt and 1,024 assumed for the answer; the fake uses 110.
    let fake = Fake::new("f", slow(2, SECOND));
    let policy = open().with_tokens_per_minute(1_300).with_max_wait(10 * SECOND);
    let quota = quota(&fake, policy);
    let start = tokio::time::Instant::now();
    assert!(in_parallel(&quota, 2).await.iter().all(Result::is_ok));
    assert_eq!(fake.most_in_flight(), 1, "the second fits when the first is put right");
    assert_eq!(start.elapsed(), 2 * SECOND);
    let error = quota.chat(request().with_max_tokens(1_250)).await.unwrap_err();
    assert_eq!((error.kind(), error.throttle()), (ErrorKind::RateLimited, Some(Throttle::Tokens)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_not_billed_used_no_tokens_and_an_abandoned_one_all() {
    let server_error = Error::new(ErrorKind::Server, "x");
    let fake = Fake::new("f", [Play::fail(server_error), Play::Silence]);
    let quota = quota(&fake, open().with_tokens_per_minute(1_300).with_max_wait(SECOND));
    quota.chat(request()).await.unwrap_err();
    let abandoned = Arc::clone(&quota);
    let call = tokio::spawn(async move { abandoned.chat(request()).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    call.abort();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(fake.calls(), 2);
    assert_eq!(quota.chat(request()).await.unwrap_err().throttle(), Some(Throttle::Tokens));
}

#[tokio::test(start_paused = true)]
async fn first_come_first_served() {
    let fake = Fake::new("f", slow(20, SECOND));
    let quota = quota(&fake, open().with_concurrency(1));
    let order = Arc::new(Mutex::new(Vec::new()));
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let (quota, order) = (Arc::clone(&quota), Arc::clone(&order));
            tokio::spawn(async move {
                quota.chat(request()).await.unwrap();
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
async fn the_line_is_bounded_and_says_so() {
    let fake = Fake::new("f", slow(4, SECOND));
    let quota = quota(&fake, open().with_concurrency(1).with_max_waiting(3));
    let outcomes = in_parallel(&quota, 10).await;
    let errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!((fake.calls(), errors.len()), (4, 6), "one goes and three wait");
    let error = &errors[0];
    assert_eq!(
        (error.kind(), error.code(), error.status()),
        (ErrorKind::RateLimited, Some(LOCAL_QUOTA), None)
    );
    assert_eq!((error.billed(), error.throttle()), (Billed::No, Some(Throttle::Concurrency)));
    assert!(matches!(error.retry(), RetryAdvice::After(Some(after)) if !after.is_zero()));
    let line = error.to_string();
    assert!(line.contains("1 calls at once") && line.contains("3 calls wait already"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_longest_wait() {
    let fake = Fake::new("f", [Play::Silence]);
    let quota = quota(&fake, open().with_concurrency(1).with_max_wait(7 * SECOND));
    let holder = Arc::clone(&quota);
    let _held = tokio::spawn(async move { holder.chat(request()).await });
    tokio::task::yield_now().await;
    let start = tokio::time::Instant::now();
    let outcomes = in_parallel(&quota, 3).await;
    assert_eq!(start.elapsed(), 7 * SECOND, "those behind the first give up by themselves");
    let told = outcomes[2].as_ref().unwrap_err().to_string();
    assert!(told.contains("`max_wait` of 7s"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_sure_to_be_too_long_fails_at_once() {
    let fake = Fake::new("f", []);
    let quota = quota(&fake, open().with_requests_per_minute(1).with_max_wait(30 * SECOND));
    quota.chat(request()).await.unwrap();
    let start = tokio::time::Instant::now();
    let error = quota.chat(request()).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(error.to_string().contains("1 requests a minute"), "{error}");
    let RetryAdvice::After(Some(after)) = error.retry() else { panic!("{error:?}") };
    tokio::time::sleep(after).await;
    quota.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_longest_wait_means_now_or_never() {
    let fake = Fake::new("f", []);
    let quota = quota(&fake, open().with_max_wait(Duration::ZERO).with_concurrency(1));
    quota.chat(request()).await.unwrap();
    let stream = quota.stream(request()).await.unwrap();
    quota.chat(request()).await.unwrap_err();
    drop(stream);
    quota.chat(request()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_holds_its_place_until_its_end_its_error_or_its_drop() {
    let broken = Error::new(ErrorKind::Interrupted, "x");
    let pieces = |error| Play::Pieces(vec!["a", "b"], SECOND, error);
    let next = || Play::answer("ok");
    let fake = Fake::new("f", [pieces(None), next(), pieces(Some(broken)), next(), pieces(None)]);
    let quota = quota(&fake, open().with_concurrency(1).with_max_wait(Duration::ZERO));
    for way in ["end", "error", "drop"] {
        let mut stream = quota.stream(request()).await.unwrap();
        for piece in 0..2 {
            assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(_)))), "{way}");
            quota.chat(request()).await.unwrap_err();
            assert_eq!(fake.in_flight(), 1, "{way} {piece}");
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
        quota.stream(request()).await.unwrap();
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_streams_tokens_are_put_right_at_its_end() {
    let fake = Fake::new("f", []);
    let quota = quota(&fake, open().with_tokens_per_minute(1_300).with_max_wait(Duration::ZERO));
    let stream = quota.stream(request()).await.unwrap();
    assert_eq!(quota.chat(request()).await.unwrap_err().throttle(), Some(Throttle::Tokens));
    stream.collect_response().await.unwrap();
    quota.chat(request()).await.unwrap();
}

/// A store that takes a few polls to answer, and counts what is left behind.
#[derive(Debug)]
struct Hesitant {
    inner: LocalStore,
    polls: usize,
    broken: std::sync::atomic::AtomicBool,
    asked: AtomicUsize,
}

impl Hesitant {
    fn new(polls: usize) -> Arc<Self> {
        let (broken, asked) = Default::default();
        Arc::new(Self { inner: LocalStore::new(), polls, broken, asked })
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
        grant
    }
    fn settle(&self, key: &QuotaKey, lease: &Lease, used: Option<u64>) {
        self.inner.settle(key, lease, used);
    }
    fn throttled(
        &self,
        key: &QuotaKey,
        limits: &QuotaLimits,
        met: Option<Throttle>,
        pause: Option<Duration>,
    ) {
        self.inner.throttled(key, limits, met, pause);
    }
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
async fn a_waiter_that_is_dropped_leaves_the_line_and_takes_nobodys_turn() {
    let fake = Fake::new("f", slow(3, SECOND));
    let quota = quota(&fake, open().with_concurrency(1).with_max_waiting(2));
    let spawn = || {
        let quota = Arc::clone(&quota);
        tokio::spawn(async move { quota.chat(request()).await })
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
    assert_eq!((fake.calls(), fake.most_in_flight()), (3, 1));
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
async fn a_vendors_refusal_pauses_everybody_and_its_own_does_not() {
    let told = Error::new(ErrorKind::RateLimited, "slow down")
        .with_retry(RetryAdvice::After(Some(20 * SECOND)))
        .with_throttle(Throttle::Requests);
    let fake = Fake::new("f", [refused(told)]);
    let quota = quota(&fake, open());
    quota.chat(request()).await.unwrap_err();
    let start = tokio::time::Instant::now();
    quota.chat(request()).await.unwrap();
    assert_eq!(start.elapsed(), 20 * SECOND);

    let outer = Quota::new(
        Arc::new(Quota::new(
            Arc::new(fake),
            open().with_requests_per_minute(1).with_max_wait(Duration::ZERO),
        )),
        open(),
    );
    outer.chat(request()).await.unwrap();
    outer.chat(request()).await.unwrap_err();
    let start = tokio::time::Instant::now();
    outer.chat(request()).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO, "what this side refuses teaches nothing");
}

#[tokio::test(start_paused = true)]
async fn learns_the_calls_at_once_that_nobody_knew() {
    let met = Error::new(ErrorKind::RateLimited, "x").with_throttle(Throttle::Concurrency);
    let mut script = slow(9, SECOND);
    script.push(refused(met));
    script.extend(slow(30, SECOND));
    let fake = Fake::new("f", script);
    let quota = quota(&fake, QuotaPolicy::new());
    // "dear" has no quotas in the catalogue.
    let spawn = |quota: &Arc<Quota>| {
        let quota = Arc::clone(quota);
        tokio::spawn(async move { quota.chat(request().with_model("dear")).await.is_ok() })
    };
    let first: Vec<_> = (0..10).map(|_| spawn(&quota)).collect();
    for call in first {
        call.await.unwrap();
    }
    assert_eq!(fake.most_in_flight(), 10);
    let start = tokio::time::Instant::now();
    let later: Vec<_> = (0..14).map(|_| spawn(&quota)).collect();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(fake.in_flight(), 7, "seven of the ten that were seen");
    for call in later {
        assert!(call.await.unwrap());
    }
    assert!(start.elapsed() >= 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_overload_teaches_only_when_it_names_a_throttle() {
    for (throttle, pause) in [(None, Duration::ZERO), (Some(Throttle::Model), 10 * SECOND)] {
        let mut busy = Error::new(ErrorKind::Overloaded, "busy");
        if let Some(throttle) = throttle {
            busy = busy.with_throttle(throttle);
        }
        let fake = Fake::new("f", [refused(busy)]);
        let quota = quota(&fake, open());
        quota.stream(request()).await.unwrap_err();
        let start = tokio::time::Instant::now();
        quota.chat(request()).await.unwrap();
        assert_eq!(start.elapsed(), pause);
    }
}

#[tokio::test(start_paused = true)]
async fn the_vendors_headers_are_a_ceiling() {
    let mut limits = RateLimits::default();
    limits.limit_requests = Some(2);
    let error = Error::new(ErrorKind::Server, "x").with_rate_limits(Some(limits));
    let fake = Fake::new("f", [Play::fail(error)]);
    let quota = quota(&fake, open().with_max_wait(Duration::ZERO));
    quota.chat(request()).await.unwrap_err();
    quota.chat(request()).await.unwrap();
    let error = quota.chat(request()).await.unwrap_err();
    assert!(error.to_string().contains("2 requests a minute"), "{error}");
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
async fn models_wait_in_lines_of_their_own() {
    let fake = Fake::new("f", [Play::Silence]);
    let quota = quota(&fake, open().with_concurrency(1));
    let holder = Arc::clone(&quota);
    let _held = tokio::spawn(async move { holder.chat(request()).await });
    tokio::task::yield_now().await;
    let other = quota.chat(request().with_model("dear"));
    assert!(tokio::time::timeout(SECOND, other).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn is_the_provider_that_it_wraps() {
    let fake = Fake::new("f", []);
    let quota = quota(&fake, open());
    assert_eq!((quota.id(), quota.catalog().vendor()), (fake.id(), "fake"));
    assert_eq!(quota.plan(request()).unwrap().model(), "eye");
    assert!(!quota.ask("What is it?", None::<polysight_core::Image>).await.unwrap().text.is_empty());
}
