//! Which targets are skipped.

use tokio::time::advance;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_target_that_keeps_failing_is_skipped_with_a_note() {
    let [a, b] = [down("a"), mock("b")];
    let route = fallback([&a, &b]);
    for _ in 0..8 {
        route.chat(request()).await.unwrap();
    }
    assert_eq!([a.call_count(), b.call_count()], [5, 8]);
    let answer = route.chat(request()).await.unwrap();
    assert_eq!(listed(&answer.attempts), ["a server"]);
    assert_eq!(answer.attempts[0].code.as_deref(), Some("breaker_open"));
    assert_eq!(
        answer.attempts[0].message,
        "a: server failure (code breaker_open): skipped after earlier failures for another 10.0s"
    );
    assert_eq!(answer.attempts[0].duration, Duration::ZERO);
    assert_eq!(route.targets()[0].breaker, BreakerState::Open(Duration::from_secs(10)));
    advance(Duration::from_secs(10)).await;
    route.chat(request()).await.unwrap();
    assert_eq!(a.call_count(), 6, "one probe");
}

#[tokio::test(start_paused = true)]
async fn without_a_breaker_no_target_is_skipped() {
    let [a, b] = [down("a"), mock("b")];
    let route = router([&a, &b], RouterPolicy { breaker: None, ..RouterPolicy::default() });
    for _ in 0..20 {
        route.chat(request()).await.unwrap();
    }
    assert_eq!(a.call_count(), 20);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_skipped_the_one_whose_time_is_up_first_is_tried() {
    let poor = mock("a").error(error(ErrorKind::Billing));
    let ill = mock("b").error(error(ErrorKind::Server)).times(5);
    let route = fallback([&poor, &ill]);
    for _ in 0..5 {
        assert!(route.chat(request()).await.is_err());
    }
    assert_eq!([poor.call_count(), ill.call_count()], [1, 5]);
    let answer = route.chat(request()).await.unwrap();
    assert_eq!(answer.provider, "b");
    assert_eq!(listed(&answer.attempts), ["a billing"], "the one that was tried is not listed as skipped");
    assert_eq!(route.targets()[1].breaker, BreakerState::Closed, "it works again");
    assert_eq!(poor.call_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_lets_the_next_call_try() {
    let [a, b] = [mock("a").error(error(ErrorKind::Server)).times(5).silence(), mock("b")];
    let route = fallback([&a, &b]);
    for _ in 0..5 {
        route.chat(request()).await.unwrap();
    }
    advance(Duration::from_secs(10)).await;
    let probe = tokio::time::timeout(Duration::from_millis(1), route.chat(request()));
    assert!(probe.await.is_err());
    assert_eq!(route.chat(request()).await.unwrap().provider, "a");
    assert_eq!(route.targets()[0].breaker, BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn streams_that_break_off_open_the_breaker_too() {
    let a = mock("a").interrupted(["half"], error(ErrorKind::Network)).times(5);
    let route = fallback([&a]);
    for _ in 0..5 {
        let stream = route.chat_stream(request()).await.unwrap();
        assert!(stream.collect_response().await.is_err());
    }
    assert!(matches!(route.targets()[0].breaker, BreakerState::Open(_)));
}

#[tokio::test(start_paused = true)]
async fn a_streams_good_end_breaks_a_row_of_failures() {
    let server = || error(ErrorKind::Server);
    let a = mock("a").error(server()).times(4).answer("ok").error(server()).times(4);
    let route = fallback([&a]);
    for _ in 0..9 {
        if let Ok(stream) = route.chat_stream(request()).await {
            stream.collect_response().await.unwrap();
        }
    }
    assert_eq!((a.call_count(), route.targets()[0].breaker), (9, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_streams_needs_its_first_event_only() {
    let [a, b] = [mock("a").error(error(ErrorKind::Server)).times(5), mock("b")];
    let route = fallback([&a, &b]);
    for _ in 0..5 {
        route.chat(request()).await.unwrap();
    }
    advance(Duration::from_secs(10)).await;
    let probe = route.chat_stream(request()).await.unwrap();
    assert_eq!(route.targets()[0].breaker, BreakerState::Closed);
    assert_eq!(route.chat(request()).await.unwrap().provider, "a");
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_counts_neither_way() {
    let a = mock("a").interrupted(["half"], error(ErrorKind::Network)).times(20);
    let route = fallback([&a]);
    for _ in 0..20 {
        drop(route.chat_stream(request()).await.unwrap());
    }
    assert_eq!((route.targets()[0].breaker, a.call_count()), (BreakerState::Closed, 20));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_account_opens_it_at_once_for_as_long_as_the_cause_lasts() {
    let [a, b] = [mock("a").error(error(ErrorKind::QuotaExhausted)), mock("b")];
    let route = fallback([&a, &b]);
    route.chat(request()).await.unwrap();
    assert_eq!(route.targets()[0].breaker, BreakerState::Open(Duration::from_secs(60)));
    route.chat(request()).await.unwrap();
    assert_eq!((a.call_count(), a.plan_count()), (1, 1), "a target that is skipped does not plan either");
}
