use std::task::Poll;

use polysight_core::{ErrorKind, Image, StreamEvent};

use super::*;
use crate::fake::{Fake, Play};

const SECOND: Duration = Duration::from_secs(1);

fn request() -> ChatRequest {
    ChatRequest::ask("What is it?", Vec::<Image>::new())
}

fn answer(text: &'static str, seconds: u32) -> Play {
    Play::Answer(text, SECOND * seconds)
}

fn fail(kind: ErrorKind, seconds: u32) -> Play {
    Play::Fail(Error::new(kind, ""), SECOND * seconds)
}

/// A hedge that has seen twenty answers of a second each, before the rest of the script. It has saved up one try.
async fn warm(script: impl IntoIterator<Item = Play>, policy: HedgePolicy) -> (Hedge, Fake) {
    let fake = Fake::new("a", std::iter::repeat_n(answer("ok", 1), 20).chain(script));
    let hedge = Hedge::new(Arc::new(fake.clone()), policy).with_env(Env::seeded(1));
    for _ in 0..20 {
        hedge.chat(request()).await.unwrap();
    }
    assert_eq!(hedge.stats(), HedgeStats { calls: 20, hedged: 0, won_by_hedge: 0 });
    (hedge, fake)
}

async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = tokio::time::Instant::now();
    (future.await, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_slow_try_gets_a_second_and_the_loser_is_dropped() {
    let (hedge, fake) = warm([answer("slow", 60), answer("quick", 2)], HedgePolicy::new()).await;
    let (answer, took) = timed(hedge.chat(request())).await;
    let answer = answer.unwrap();
    assert_eq!((answer.text.as_str(), took), ("quick", SECOND * 3));
    assert!(answer.attempts.is_empty(), "a loser is no attempt");
    assert_eq!((fake.in_flight(), fake.calls()), (0, 22));
    assert_eq!(hedge.stats(), HedgeStats { calls: 21, hedged: 1, won_by_hedge: 1 });
}

#[tokio::test(start_paused = true)]
async fn the_first_may_still_win() {
    let (hedge, fake) = warm([answer("first", 2), answer("second", 60)], HedgePolicy::new()).await;
    assert_eq!(hedge.chat(request()).await.unwrap().text, "first");
    assert_eq!(fake.in_flight(), 0);
    assert_eq!(hedge.stats(), HedgeStats { calls: 21, hedged: 1, won_by_hedge: 0 });
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_before_the_percentile() {
    let (hedge, fake) = warm([answer("ok", 1)], HedgePolicy::new()).await;
    hedge.chat(request()).await.unwrap();
    assert_eq!((hedge.stats().hedged, fake.calls()), (0, 21));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_before_enough_answers_were_timed() {
    let fake = Fake::new("a", std::iter::repeat_n(answer("ok", 1), 19).chain([answer("slow", 60)]));
    let policy = HedgePolicy::new().with_max_rate(1.0);
    let hedge = Hedge::new(Arc::new(fake.clone()), policy).with_env(Env::seeded(1));
    for _ in 0..20 {
        hedge.chat(request()).await.unwrap();
    }
    assert_eq!(hedge.stats().hedged, 0);
}

#[tokio::test(start_paused = true)]
async fn the_wait_stays_within_its_bounds() {
    let waits = |min, max| async move {
        let policy = HedgePolicy::new().with_min_delay(min).with_max_delay(max);
        let (hedge, _) = warm([Play::Silence, answer("ok", 0)], policy).await;
        timed(hedge.chat(request())).await.1
    };
    assert_eq!(waits(SECOND * 5, SECOND * 30).await, SECOND * 5);
    assert_eq!(waits(SECOND / 10, SECOND / 2).await, SECOND / 2);
    assert_eq!(waits(SECOND / 10, SECOND * 30).await, SECOND);
}

#[tokio::test(start_paused = true)]
async fn at_most_the_allowed_share_is_hedged() {
    let slow = std::iter::repeat_n(answer("ok", 1), 20).chain(std::iter::repeat_n(answer("slow", 9), 2_000));
    let fake = Fake::new("a", slow);
    let policy = HedgePolicy::new().with_max_delay(SECOND * 2);
    let hedge = Hedge::new(Arc::new(fake.clone()), policy).with_env(Env::seeded(1));
    for _ in 0..1_000 {
        hedge.chat(request()).await.unwrap();
    }
    let HedgeStats { calls, hedged, .. } = hedge.stats();
    assert_eq!((calls, hedged), (1_000, 50));
    assert_eq!(fake.calls() as u64, calls + hedged);
}

#[test]
fn ten_tenths_are_a_whole_try() {
    let policy = HedgePolicy::new().with_max_rate(0.1);
    let hedge = Hedge::new(Arc::new(Fake::new("a", [])), policy);
    (0..9).for_each(|_| hedge.save_up());
    assert!(!hedge.take_token());
    hedge.save_up();
    assert!(hedge.take_token() && !hedge.take_token());
}

#[tokio::test(start_paused = true)]
async fn quiet_times_save_up_ten_second_tries_at_most() {
    let many = std::iter::repeat_n(answer("ok", 1), 1_000).chain(std::iter::repeat_n(answer("slow", 9), 40));
    let hedge = Hedge::new(Arc::new(Fake::new("a", many)), HedgePolicy::new()).with_env(Env::seeded(1));
    for _ in 0..1_000 {
        hedge.chat(request()).await.unwrap();
    }
    let slow = std::iter::repeat_with(|| hedge.chat(request())).take(15);
    let mut all: Vec<_> = slow.collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|call| call.as_mut().poll(context).is_pending());
        if all.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    assert_eq!(hedge.stats().hedged, 10);
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_second_has_started_is_final() {
    let (hedge, fake) = warm([fail(ErrorKind::Server, 0)], HedgePolicy::new()).await;
    let (error, took) = timed(hedge.chat(request())).await;
    assert_eq!((error.unwrap_err().kind(), took), (ErrorKind::Server, Duration::ZERO));
    assert_eq!((hedge.stats().hedged, fake.calls()), (0, 21));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_of_two_waits_for_the_other() {
    for script in
        [[fail(ErrorKind::Server, 2), answer("good", 9)], [answer("good", 9), fail(ErrorKind::Server, 2)]]
    {
        let (hedge, fake) = warm(script, HedgePolicy::new()).await;
        let answer = hedge.chat(request()).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.attempts.len()), ("good", 1));
        assert_eq!((answer.attempts[0].took, answer.attempts[0].kind), (SECOND * 2, ErrorKind::Server));
        assert_eq!((fake.in_flight(), hedge.stats().hedged), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn when_both_fail_the_later_failure_lists_the_earlier() {
    let script = [fail(ErrorKind::Server, 2), fail(ErrorKind::Overloaded, 9)];
    let (hedge, _) = warm(script, HedgePolicy::new()).await;
    let error = hedge.chat(request()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()[0].kind), (ErrorKind::Overloaded, ErrorKind::Server));
    assert_eq!(hedge.stats().won_by_hedge, 0);
}

#[tokio::test(start_paused = true)]
async fn streams_race_to_their_first_event() {
    let streamed = |text, seconds| Play::Pieces(vec![text, "."], SECOND * seconds, None);
    let usual = std::iter::repeat_with(|| streamed("ok", 1)).take(20);
    let fake = Fake::new("a", usual.chain([streamed("slow", 60), streamed("quick", 2)]));
    let hedge = Hedge::new(Arc::new(fake.clone()), HedgePolicy::new()).with_env(Env::seeded(1));
    for _ in 0..20 {
        hedge.stream(request()).await.unwrap().collect_response().await.unwrap();
    }
    let (stream, took) = timed(hedge.stream(request())).await;
    assert_eq!((took, fake.in_flight()), (SECOND * 3, 1), "the loser is dropped at once");
    let mut stream = stream.unwrap();
    assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == "quick"));
    assert_eq!(stream.collect_response().await.unwrap().text, ".");
    assert_eq!((fake.in_flight(), hedge.stats().won_by_hedge), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn plain_calls_and_streams_are_measured_apart() {
    let (hedge, _) = warm([Play::Pieces(vec!["late"], SECOND * 60, None)], HedgePolicy::new()).await;
    hedge.stream(request()).await.unwrap().collect_response().await.unwrap();
    assert_eq!(hedge.stats().hedged, 0, "no stream was timed yet");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_drops_both_tries() {
    let (hedge, fake) = warm([Play::Silence, Play::Silence], HedgePolicy::new()).await;
    assert!(tokio::time::timeout(SECOND * 60, hedge.chat(request())).await.is_err());
    assert_eq!((fake.in_flight(), fake.most_in_flight(), hedge.stats().hedged), (0, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_provider_is_asked_unless_it_does_not_know_the_model() {
    let other = Fake::new("b", []);
    let (hedge, _) = warm([Play::Silence, answer("late", 9)], HedgePolicy::new()).await;
    let hedge = hedge.with_second(Arc::new(other.clone()));
    assert_eq!(hedge.chat(request()).await.unwrap().provider, "b");
    *hedge.tokens() = 1.0;
    assert_eq!(hedge.chat(request().with_model("next")).await.unwrap().text, "late");
    assert_eq!(other.calls(), 1);
}

#[test]
fn the_percentile_is_that_of_the_last_hundred() {
    let mut times = Times::default();
    (1..=200).for_each(|seconds| times.add(SECOND * seconds));
    assert_eq!(times.percentile(0.95, 20), Some(SECOND * 195));
    assert_eq!(times.percentile(0.5, 100), Some(SECOND * 150));
    assert_eq!(times.percentile(0.5, 101), None);
}

#[test]
fn names_the_field_that_is_wrong() {
    let policy = HedgePolicy::new;
    for (policy, field) in [
        (policy().with_percentile(1.0), "percentile` is 1.0,"),
        (policy().with_percentile(f64::NAN), "percentile` is NaN,"),
        (policy().with_min_samples(0), "min_samples` is 0,"),
        (policy().with_min_samples(101), "min_samples` is 101,"),
        (policy().with_max_delay(Duration::ZERO), "max_delay` is 0ns,"),
        (policy().with_max_rate(0.0), "max_rate` is 0.0,"),
    ] {
        let error = policy.check().unwrap_err();
        assert!(error.message().starts_with(&format!("`{field}")), "{error}");
    }
    assert!(policy().check().is_ok());
}

#[test]
fn a_config_names_only_what_differs() {
    let read = |text: &str| serde_json::from_str::<HedgePolicy>(text);
    let expected = HedgePolicy::new().with_max_rate(0.02).with_min_delay(SECOND);
    assert_eq!(read(r#"{"max_rate": 0.02, "min_delay": 1}"#).unwrap(), expected);
    assert!(read(r#"{"rate": 0.02}"#).unwrap_err().to_string().contains("`max_rate`"));
}
