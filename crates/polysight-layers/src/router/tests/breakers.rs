//! Who is left alone.

use tokio::time::advance;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_target_that_fails_again_and_again_is_skipped_with_a_note() {
    let [a, b] = [down("a"), well("b")];
    let route = fallback([&a, &b]);
    for _ in 0..8 {
        route.chat(request()).await.unwrap();
    }
    assert_eq!([a.calls(), b.calls()], [5, 8]);
    let answer = route.chat(request()).await.unwrap();
    assert_eq!(told(&answer.attempts), ["a server"]);
    assert_eq!(answer.attempts[0].code.as_deref(), Some("breaker_open"));
    assert_eq!(
        answer.attempts[0].message,
        "a: server failure (code breaker_open): skipped after earlier failures for another 10.0s"
    );
    assert_eq!(answer.attempts[0].took, Duration::ZERO);
    assert_eq!(route.targets()[0].breaker, BreakerState::Open(Duration::from_secs(10)));
    advance(Duration::from_secs(10)).await;
    route.chat(request()).await.unwrap();
    assert_eq!(a.calls(), 6, "one probe");
}

#[tokio::test(start_paused = true)]
async fn without_a_breaker_nobody_is_skipped() {
    let [a, b] = [down("a"), well("b")];
    let route = route([&a, &b], RoutePolicy::new().with_breaker(None));
    for _ in 0..20 {
        route.chat(request()).await.unwrap();
    }
    assert_eq!(a.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn when_all_are_left_alone_the_one_whose_time_is_up_first_is_asked() {
    let poor = Fake::new("a", [failing(ErrorKind::Billing)]);
    let ill = Fake::new("b", std::iter::repeat_n(failing(ErrorKind::Server), 5));
    let route = fallback([&poor, &ill]);
    for _ in 0..5 {
        assert!(route.chat(request()).await.is_err());
    }
    assert_eq!([poor.calls(), ill.calls()], [1, 5]);
    let answer = route.chat(request()).await.unwrap();
    assert_eq!(answer.provider, "b");
    assert_eq!(told(&answer.attempts), ["a billing"], "the one that was asked is not listed as skipped");
    assert_eq!(route.targets()[1].breaker, BreakerState::Closed, "it has shown that it is well");
    assert_eq!(poor.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_lets_the_next_call_try() {
    let script = std::iter::repeat_n(failing(ErrorKind::Server), 5).chain([Play::Silence]);
    let [a, b] = [Fake::new("a", script), well("b")];
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
    let broken = || Play::Pieces(vec!["half"], Duration::ZERO, Some(Error::new(ErrorKind::Network, "")));
    let a = Fake::new("a", std::iter::repeat_with(broken).take(5));
    let route = fallback([&a]);
    for _ in 0..5 {
        let stream = route.stream(request()).await.unwrap();
        assert!(stream.collect_response().await.is_err());
    }
    assert!(matches!(route.targets()[0].breaker, BreakerState::Open(_)));
}

#[tokio::test(start_paused = true)]
async fn a_streams_good_end_breaks_a_row_of_failures() {
    let four = || std::iter::repeat_n(failing(ErrorKind::Server), 4);
    let a = Fake::new("a", four().chain([Play::answer("ok")]).chain(four()));
    let route = fallback([&a]);
    for _ in 0..9 {
        if let Ok(stream) = route.stream(request()).await {
            stream.collect_response().await.unwrap();
        }
    }
    assert_eq!((a.calls(), route.targets()[0].breaker), (9, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_streams_needs_its_first_event_only() {
    let [a, b] = [Fake::new("a", std::iter::repeat_n(failing(ErrorKind::Server), 5)), well("b")];
    let route = fallback([&a, &b]);
    for _ in 0..5 {
        route.chat(request()).await.unwrap();
    }
    advance(Duration::from_secs(10)).await;
    let probe = route.stream(request()).await.unwrap();
    assert_eq!(route.targets()[0].breaker, BreakerState::Closed);
    assert_eq!(route.chat(request()).await.unwrap().provider, "a");
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_on_says_nothing_of_its_target() {
    let broken = || Play::Pieces(vec!["half"], Duration::ZERO, Some(Error::new(ErrorKind::Network, "")));
    let a = Fake::new("a", std::iter::repeat_with(broken).take(20));
    let route = fallback([&a]);
    for _ in 0..20 {
        drop(route.stream(request()).await.unwrap());
    }
    assert_eq!((route.targets()[0].breaker, a.calls()), (BreakerState::Closed, 20));
}
