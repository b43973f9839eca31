//! The layer over a provider that plays a script: counting, waiting and streams.

mod refusals;
mod stores;

use polysight_core::{Message, StreamEvent, VisionProviderExt as _};

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
    assert_eq!(
        (error.kind(), error.rate_limit_scope()),
        (ErrorKind::RateLimited, Some(RateLimitScope::Tokens))
    );
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
    assert_eq!(quota.chat(request()).await.unwrap_err().rate_limit_scope(), Some(RateLimitScope::Tokens));
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
    assert_eq!((error.billed(), error.rate_limit_scope()), (Billed::No, Some(RateLimitScope::Concurrency)));
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
    assert_eq!(quota.chat(request()).await.unwrap_err().rate_limit_scope(), Some(RateLimitScope::Tokens));
    stream.collect_response().await.unwrap();
    quota.chat(request()).await.unwrap();
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

#[tokio::test(start_paused = true)]
async fn a_model_is_counted_together_by_whatever_name_it_is_asked_for() {
    let fake = Fake::new("f", []);
    let policy = open().with_requests_per_minute(1).with_max_wait(Duration::ZERO);
    let quota = quota(&fake, policy);
    quota.chat(request().with_model("eye")).await.unwrap();
    let error = quota.chat(request().with_model("Eye")).await.unwrap_err();
    assert_eq!(error.code(), Some(LOCAL_QUOTA));
    for other in ["blind", "unlisted", "unlisted too"] {
        quota.chat(request().with_model(other)).await.unwrap();
    }
}
