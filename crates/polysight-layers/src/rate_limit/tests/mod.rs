//! The layer over a provider that plays a script: counting, waiting and streams.

pub(super) mod conformance;
mod rejections;
mod stores;

use polysight_core::{Message, StreamEvent, VisionProviderExt as _};

use super::*;
use crate::testing::{MockProvider, mock};

const SECOND: Duration = Duration::from_secs(1);

fn request() -> ChatRequest {
    ChatRequest::new([Message::user("What is it?")])
}

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
