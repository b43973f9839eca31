//! What the layer learns from a vendor's rejections.

use polysight_core::RateLimits;

use super::*;

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
