//! What the retry layer promises, against a provider that plays a script, in time that stands still.

use polysight_core::{Billed, Message, Partial, RateLimitScope, RetryAdvice, StreamEvent};
use tokio::time::Instant as Now;

use super::*;
use crate::fake::{Fake, Play};

const SECOND: Duration = Duration::from_secs(1);
const ALWAYS: usize = 30;

fn asked() -> ChatRequest {
    ChatRequest::new([Message::user("what is it?")]).with_model("eye")
}

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "as the script says")
}

fn busy(code: &str) -> Error {
    error(ErrorKind::Server).with_code(code)
}

fn wait(seconds: u64) -> RetryAdvice {
    RetryAdvice::After(Some(SECOND * seconds as u32))
}

fn failing(error: &Error) -> Fake {
    Fake::new("a", vec![Play::Fail(error.clone(), SECOND); ALWAYS])
}

fn retry(fake: &Fake, policy: RetryPolicy) -> Retry {
    policy.check().unwrap();
    Retry::new(Arc::new(fake.clone()), policy).with_env(Env::seeded(1))
}

fn codes(attempts: &[Attempt]) -> Vec<&str> {
    attempts.iter().filter_map(|attempt| attempt.code.as_deref()).collect()
}

/// What the attempts say that they took together with the pauses after them.
fn spent(attempts: &[Attempt]) -> Duration {
    attempts.iter().map(|attempt| attempt.took + attempt.pause).sum()
}

/// The pauses between the tries of a plain call to a provider that always fails like this; a stream must agree.
async fn pauses(error: &Error, policy: RetryPolicy) -> Vec<Duration> {
    let (plain, streamed) = (failing(error), failing(error));
    let failed = retry(&plain, policy.clone()).chat(asked()).await.unwrap_err();
    assert_eq!(failed.attempts().len() + 1, plain.calls());
    assert_eq!(
        (failed.kind(), failed.retry()),
        (error.kind(), error.retry()),
        "the last error comes out as it is"
    );
    retry(&streamed, policy).stream(asked()).await.unwrap_err();
    assert_eq!(plain.calls(), streamed.calls());
    failed.attempts().iter().map(|attempt| attempt.pause).collect()
}

/// How often such a provider is asked.
async fn tries(error: &Error, policy: RetryPolicy) -> usize {
    pauses(error, policy).await.len() + 1
}

const ALL_KINDS: [ErrorKind; 22] = [
    ErrorKind::InvalidRequest,
    ErrorKind::InvalidMedia,
    ErrorKind::MediaFetchFailed,
    ErrorKind::Authentication,
    ErrorKind::Permission,
    ErrorKind::Billing,
    ErrorKind::QuotaExhausted,
    ErrorKind::RateLimited,
    ErrorKind::Overloaded,
    ErrorKind::ModelNotFound,
    ErrorKind::ContextTooLong,
    ErrorKind::ContentRefused,
    ErrorKind::Interrupted,
    ErrorKind::Timeout(TimeoutPhase::Connect),
    ErrorKind::Timeout(TimeoutPhase::FirstByte),
    ErrorKind::Timeout(TimeoutPhase::Idle),
    ErrorKind::Timeout(TimeoutPhase::Total),
    ErrorKind::Network,
    ErrorKind::Server,
    ErrorKind::Protocol,
    ErrorKind::Config,
    ErrorKind::Unsupported,
];

#[tokio::test(start_paused = true)]
async fn each_kind_is_tried_as_often_as_its_usual_advice_and_the_bill_allow() {
    use ErrorKind::*;
    for kind in ALL_KINDS {
        let (free, perhaps, likely) = match kind {
            RateLimited | Overloaded | Server | Timeout(TimeoutPhase::Connect) => (3, 3, 3),
            Network => (1, 3, 3),
            Interrupted | Timeout(_) => (1, 1, 3),
            _ => (1, 1, 1),
        };
        for (repeat, expected) in [(Billed::No, free), (Billed::Perhaps, perhaps), (Billed::Likely, likely)] {
            let seen = tries(&error(kind), RetryPolicy::default().with_repeat(repeat)).await;
            assert_eq!(seen, expected, "{kind:?} with {repeat:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn advice_overrules_the_kind() {
    // Bounds of each pause, in milliseconds; the runtime's timers are one coarse.
    let back_off = vec![0..=501, 0..=1_001];
    for kind in ALL_KINDS {
        let error = error(kind).with_billed(Billed::No);
        for (advice, expected) in [
            (RetryAdvice::Never, vec![]),
            (RetryAdvice::RefreshCredentials, vec![]),
            (RetryAdvice::After(None), back_off.clone()),
            (wait(0), back_off.clone()),
            (wait(2), vec![2_000..=2_000; 2]),
            (wait(60), vec![60_000..=60_000; 2]),
            (wait(61), vec![]),
        ] {
            let seen = pauses(&error.clone().with_retry(advice), RetryPolicy::default()).await;
            assert_eq!(seen.len(), expected.len(), "{kind:?} {advice:?}");
            for (pause, bounds) in seen.iter().zip(expected) {
                assert!(bounds.contains(&pause.as_millis()), "{kind:?} {advice:?}: {seen:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_lasts_minutes_is_tried_more_often_with_long_pauses() {
    for throttle in [RateLimitScope::Account, RateLimitScope::Model] {
        let fake = failing(&error(ErrorKind::RateLimited).with_rate_limit_scope(throttle));
        let failed = retry(&fake, RetryPolicy::default()).chat(asked()).await.unwrap_err();
        assert_eq!(fake.calls(), 8);
        let pauses = failed.attempts().iter().map(|attempt| attempt.pause);
        assert!(pauses.clone().all(|pause| pause >= SECOND * 30 && pause <= SECOND * 121));
        assert!(pauses.sum::<Duration>() > SECOND * 240, "a window of minutes is sat out");
    }
    for throttle in
        [RateLimitScope::Requests, RateLimitScope::Tokens, RateLimitScope::Concurrency, RateLimitScope::Burst]
    {
        let error = error(ErrorKind::RateLimited).with_rate_limit_scope(throttle);
        assert_eq!(tries(&error, RetryPolicy::default()).await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_last_and_ordinary_ones_are_counted_apart() {
    let long = || Play::fail(error(ErrorKind::Overloaded).with_rate_limit_scope(RateLimitScope::Model));
    let short = || Play::fail(busy("x"));
    let fake = Fake::new("a", [long(), short(), long(), long(), short(), long()]);
    let response = retry(&fake, RetryPolicy::default()).chat(asked()).await.unwrap();
    assert_eq!((fake.calls(), response.attempts.len()), (7, 6));

    let fake = Fake::new("a", [long(), short(), long(), long(), short(), long(), short()]);
    assert!(retry(&fake, RetryPolicy::default()).chat(asked()).await.is_err());
    assert_eq!(fake.calls(), 7, "the third ordinary failure is the last");

    let mixed = [long(), long(), long(), long(), long(), long(), short(), short(), long()];
    let fake = Fake::new("a", mixed);
    assert!(retry(&fake, RetryPolicy::default()).chat(asked()).await.is_err());
    assert_eq!(fake.calls(), 8, "all together are never more than the larger number");
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_vendor_asks() {
    let fake = Fake::new("a", [Play::fail(busy("1").with_retry(wait(7)))]);
    let start = Now::now();
    let response = retry(&fake, RetryPolicy::default()).chat(asked()).await.unwrap();
    assert_eq!((start.elapsed(), response.attempts[0].pause), (SECOND * 7, SECOND * 7));
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_keep_their_bounds_whatever_the_seed() {
    for seed in 0..1_000 {
        let fake = Fake::new("a", vec![Play::fail(busy("x")); 4]);
        let layer = retry(&fake, RetryPolicy::default().with_attempts(5)).with_env(Env::seeded(seed));
        let attempts = layer.chat(asked()).await.unwrap().attempts;
        for (attempt, most) in attempts.iter().zip([500, 1_000, 2_000, 4_000]) {
            // The runtime's timers are a millisecond coarse.
            assert!(attempt.pause <= Duration::from_millis(most + 1), "seed {seed}: {attempts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lists_the_tries_in_order_with_what_they_took_and_the_pause_after() {
    let script = || {
        let after = |error: Error, seconds| Play::Fail(error, SECOND * seconds);
        [after(busy("1").with_retry(wait(4)), 1), after(busy("2").with_retry(wait(5)), 2)]
    };
    let listed = |attempts: &[Attempt]| -> Vec<_> {
        attempts.iter().map(|a| (a.code.clone().unwrap(), a.took.as_secs(), a.pause.as_secs())).collect()
    };
    let expected = [("1".to_owned(), 1, 4), ("2".to_owned(), 2, 5)];

    let response = retry(&Fake::new("a", script()), RetryPolicy::default()).chat(asked()).await.unwrap();
    assert_eq!(listed(&response.attempts), expected);
    assert_eq!(response.attempts[0].provider.as_deref(), Some("a"));

    let stream = retry(&Fake::new("a", script()), RetryPolicy::default()).stream(asked()).await.unwrap();
    assert_eq!(listed(&stream.collect_response().await.unwrap().attempts), expected);

    let failing = Fake::new("a", script().into_iter().chain([Play::fail(busy("3"))]));
    let failed = retry(&failing, RetryPolicy::default()).chat(asked()).await.unwrap_err();
    assert_eq!((listed(failed.attempts()), failed.code()), (expected.to_vec(), Some("3")));
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_once_lists_nothing() {
    let layer = retry(&Fake::new("a", []), RetryPolicy::default());
    assert!(layer.chat(asked()).await.unwrap().attempts.is_empty());
    let stream = layer.stream(asked()).await.unwrap();
    assert!(stream.collect_response().await.unwrap().attempts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_a_retry_keeps_the_log_whole() {
    for (failures, answers) in [(3, true), (4, false)] {
        for streamed in [false, true] {
            let names = ["1", "2", "3", "4"];
            let script = names.iter().take(failures).map(|code| Play::Fail(busy(code), SECOND));
            let fake = Fake::new("a", script);
            let policy = || RetryPolicy::default().with_attempts(2);
            let outer = Retry::new(Arc::new(retry(&fake, policy())), policy()).with_env(Env::seeded(2));
            let start = Now::now();
            let outcome = match streamed {
                false => outer.chat(asked()).await,
                true => match outer.stream(asked()).await {
                    Ok(stream) => stream.collect_response().await,
                    Err(error) => Err(error),
                },
            };
            assert_eq!(outcome.is_ok(), answers);
            let attempts = match &outcome {
                Ok(response) => &response.attempts,
                Err(error) => error.attempts(),
            };
            assert_eq!(codes(attempts), ["1", "2", "3"]);
            assert!(
                attempts.iter().all(|attempt| attempt.took == SECOND),
                "no time is told twice: {attempts:?}"
            );
            let last = if answers { Duration::ZERO } else { SECOND };
            assert_eq!(spent(attempts) + last, start.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_before_its_first_event_is_asked_for_again() {
    let broken = error(ErrorKind::Network).with_code("1");
    let fake = Fake::new("a", [Play::Pieces(Vec::new(), SECOND, Some(broken)), Play::answer("whole")]);
    let stream = retry(&fake, RetryPolicy::default()).stream(asked()).await.unwrap();
    let response = stream.collect_response().await.unwrap();
    assert_eq!((response.text.as_str(), codes(&response.attempts)), ("whole", vec!["1"]));
    assert_eq!((fake.calls(), fake.in_flight(), fake.most_in_flight()), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_again_once_a_piece_was_handed_out() {
    let half = || Play::Pieces(vec!["ha", "lf"], SECOND, Some(busy("2").with_billed(Billed::No)));
    for script in [vec![half()], vec![Play::fail(busy("1")), half()]] {
        let earlier = script.len() - 1;
        let fake = Fake::new("a", script);
        let policy = RetryPolicy::default().with_repeat(Billed::Likely);
        let mut stream = retry(&fake, policy).stream(asked()).await.unwrap();
        for piece in ["ha", "lf"] {
            assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == piece));
        }
        let failed = stream.next_event().await.unwrap().unwrap_err();
        assert_eq!((failed.code(), failed.attempts().len()), (Some("2"), earlier));
        assert!(stream.next_event().await.is_none());
        assert_eq!((fake.calls(), fake.in_flight()), (earlier + 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn half_an_answer_is_repeated_only_when_a_second_bill_is_accepted() {
    let half = error(ErrorKind::Interrupted).with_partial(Partial::new("ha".to_owned(), String::new()));
    assert_eq!(tries(&half, RetryPolicy::default()).await, 1);
    assert_eq!(tries(&half, RetryPolicy::default().with_repeat(Billed::Likely)).await, 3);
    let withdrawn =
        error(ErrorKind::ContentRefused).with_partial(Partial::new("ha".to_owned(), String::new()));
    assert_eq!(tries(&withdrawn, RetryPolicy::default().with_repeat(Billed::Likely)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_shared_budget_runs_dry_for_all_and_fills_again() {
    let budget = RetryBudget::new(12);
    let layer = |fake: &Fake| retry(fake, RetryPolicy::default()).with_budget(budget.clone());
    let fail = || Play::fail(busy("x"));
    let (a, b) = (Fake::new("a", [fail(), fail(), fail()]), Fake::new("b", [fail()]));

    assert!(layer(&a).chat(asked()).await.is_err());
    assert_eq!((a.calls(), budget.available()), (3, 2));
    let failed = layer(&b).chat(asked()).await.unwrap_err();
    assert_eq!((b.calls(), failed.code(), failed.attempts().len()), (1, Some("x"), 0));

    for _ in 0..3 {
        layer(&b).chat(asked()).await.unwrap();
        layer(&b).stream(asked()).await.unwrap();
    }
    assert_eq!(budget.available(), 8);
    let recovering = Fake::new("a", [fail()]);
    layer(&recovering).chat(asked()).await.unwrap();
    assert_eq!((recovering.calls(), budget.available()), (2, 8), "a retry that succeeds costs nothing");
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_retries_cost_nothing() {
    let fake = failing(&busy("x"));
    let layer = retry(&fake, RetryPolicy::default()).with_budget(RetryBudget::new(0));
    assert!(layer.chat(asked()).await.is_err());
    assert_eq!(fake.calls(), 1);
    assert!(layer.with_budget(None).chat(asked()).await.is_err());
    assert_eq!(fake.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_not_sent_is_not_paid_for() {
    for (dropped_after, left) in [(5, 500), (12, 495), (14, 500)] {
        let slow = [Play::fail(busy("x").with_retry(wait(10))), Play::Answer("slow", SECOND * 3)];
        let budget = RetryBudget::default();
        let layer = retry(&Fake::new("a", slow), RetryPolicy::default()).with_budget(budget.clone());
        let _ = tokio::time::timeout(SECOND * dropped_after, layer.chat(asked())).await;
        assert_eq!(budget.available(), left, "after {dropped_after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn no_pause_begins_that_the_deadline_would_cut() {
    let policy = RetryPolicy::default().with_deadline(Some(SECOND * 5));
    for (pause, expected) in [(3, 2), (4, 1), (10, 1)] {
        let fake = Fake::new("a", [Play::Fail(busy("1").with_retry(wait(pause)), SECOND)]);
        let start = Now::now();
        let outcome = retry(&fake, policy.clone()).chat(asked()).await;
        assert_eq!(fake.calls(), expected, "{pause}");
        if let Err(error) = outcome {
            assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Server, SECOND));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_try_is_cut_at_the_deadline_and_the_error_lists_those_before() {
    for repeat in [Billed::Perhaps, Billed::Likely] {
        let script = [Play::Fail(busy("1").with_retry(wait(1)), SECOND), Play::Silence];
        let (plain, streamed) = (Fake::new("a", script.clone()), Fake::new("a", script));
        let policy = RetryPolicy::default().with_deadline(Some(SECOND * 5)).with_repeat(repeat);
        let start = Now::now();
        let failed = [
            retry(&plain, policy.clone()).chat(asked()).await.unwrap_err(),
            retry(&streamed, policy).stream(asked()).await.unwrap_err(),
        ];
        assert_eq!(start.elapsed(), SECOND * 10);
        for error in failed {
            assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
            assert_eq!((error.provider(), codes(error.attempts())), (Some("a"), vec!["1"]));
        }
        assert_eq!((plain.calls(), plain.in_flight(), streamed.in_flight()), (2, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_until_a_streams_end() {
    let fake = Fake::new("a", [Play::fail(busy("1")), Play::Pieces(vec!["x"; 60], SECOND, None)]);
    let policy = RetryPolicy::default().with_deadline(Some(SECOND * 5));
    let stream = retry(&fake, policy).stream(asked()).await.unwrap();
    let failed = stream.collect_response().await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
    assert_eq!((codes(failed.attempts()), fake.in_flight()), (vec!["1"], 0));
    assert_eq!(failed.partial().unwrap().text, "xxxx");
}

#[tokio::test(start_paused = true)]
async fn leaves_nothing_behind_wherever_it_is_dropped() {
    let script = || {
        let half = Play::Pieces(Vec::new(), SECOND, Some(busy("2").with_retry(wait(1))));
        [Play::Fail(busy("1").with_retry(wait(1)), SECOND), half, Play::Pieces(vec!["a", "b"], SECOND, None)]
    };
    for deadline in [None, Some(SECOND * 100)] {
        for cut in 0..80 {
            let (plain, streamed) = (Fake::new("a", script()), Fake::new("a", script()));
            let policy = RetryPolicy::default().with_deadline(deadline);
            let (a, b) = (retry(&plain, policy.clone()), retry(&streamed, policy));
            let both = async {
                let reading = async { b.stream(asked()).await?.collect_response().await };
                tokio::join!(a.chat(asked()), reading)
            };
            let done = tokio::time::timeout(SECOND * cut / 10, both).await;
            assert_eq!(done.is_ok(), cut >= 70, "a whole call takes 7 s");
            assert_eq!((plain.in_flight(), streamed.in_flight()), (0, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_try_asks_the_same() {
    let fake = Fake::new("a", [Play::fail(busy("1")), Play::fail(busy("2"))]);
    let request = asked().with_temperature(0.2).with_request_id("r-1");
    retry(&fake, RetryPolicy::default()).chat(request.clone()).await.unwrap();
    assert_eq!(fake.calls(), 3);
    assert!(fake.requests().iter().all(|seen| format!("{seen:?}") == format!("{request:?}")));
}

#[tokio::test(start_paused = true)]
async fn who_it_is_what_it_knows_and_plans_are_the_providers() {
    let fake = Fake::new("a", []);
    let layer = retry(&fake, RetryPolicy::default());
    assert_eq!(layer.id(), fake.id());
    assert_eq!(layer.catalog().card("eye").id, "eye");
    assert_eq!(layer.plan(asked()).unwrap().model(), "eye");
    assert_eq!(fake.calls(), 0);
}
