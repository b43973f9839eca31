//! What the layer learns from a vendor's refusals.

use polysight_core::RateLimits;

use super::*;

fn refused(error: Error) -> Play {
    Play::fail(error.with_status(429))
}

#[tokio::test(start_paused = true)]
async fn a_vendors_refusal_pauses_everybody_and_its_own_does_not() {
    let told = Error::new(ErrorKind::RateLimited, "slow down")
        .with_retry(RetryAdvice::After(Some(20 * SECOND)))
        .with_rate_limit_scope(RateLimitScope::Requests);
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
        open().with_max_wait(600 * SECOND),
    );
    outer.chat(request()).await.unwrap();
    outer.chat(request()).await.unwrap_err();
    let start = tokio::time::Instant::now();
    outer.chat(request()).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO, "what this side refuses teaches nothing");
}

#[tokio::test(start_paused = true)]
async fn learns_the_calls_at_once_that_nobody_knew() {
    let met = Error::new(ErrorKind::RateLimited, "x").with_rate_limit_scope(RateLimitScope::Concurrency);
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
    for (throttle, pause) in [(None, Duration::ZERO), (Some(RateLimitScope::Model), 10 * SECOND)] {
        let mut busy = Error::new(ErrorKind::Overloaded, "busy");
        if let Some(throttle) = throttle {
            busy = busy.with_rate_limit_scope(throttle);
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
