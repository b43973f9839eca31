//! What the retry layer promises, against a provider that plays a script, in paused time.

use polysight_core::{
    ErrorKind, Partial, RateLimitScope, RetryAdvice, StreamEvent, TimeoutPhase, VisionProviderExt as _,
};

use super::*;
use crate::testing::{MockProvider, SECOND, call, codes, mock, request};

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "as the script says")
}

fn busy(code: &str) -> Error {
    error(ErrorKind::Server).with_code(code).with_status(500)
}

fn wait(seconds: u64) -> RetryAdvice {
    RetryAdvice::After(Some(SECOND * seconds as u32))
}

fn failing(error: &Error) -> MockProvider {
    mock("a").error(error.clone()).after(SECOND).forever()
}

fn attempts(max_attempts: u32) -> RetryPolicy {
    RetryPolicy { max_attempts, ..RetryPolicy::default() }
}

fn billed(max_billed: Billed) -> RetryPolicy {
    RetryPolicy { max_billed, ..RetryPolicy::default() }
}

fn retry(mock: &MockProvider, policy: RetryPolicy) -> Retry {
    policy.check().unwrap();
    Retry::new(Arc::new(mock.clone()), policy).with_seed(1)
}

/// What the attempts took together with the delays after them.
fn spent(attempts: &[Attempt]) -> Duration {
    attempts.iter().map(|attempt| attempt.duration + attempt.delay).sum()
}

/// The delays between the attempts of a plain call to a provider that always fails like this; a stream must agree.
async fn delays(error: &Error, policy: RetryPolicy) -> Vec<Duration> {
    let (plain, streamed) = (failing(error), failing(error));
    let failed = retry(&plain, policy.clone()).chat(request()).await.unwrap_err();
    assert_eq!(failed.attempts().len() + 1, plain.call_count());
    let last = (failed.kind(), failed.retry());
    assert_eq!(last, (error.kind(), error.retry()), "the last error comes out as it is");
    retry(&streamed, policy).chat_stream(request()).await.unwrap_err();
    assert_eq!(plain.call_count(), streamed.call_count());
    assert_eq!((plain.plan_count(), streamed.plan_count()), (1, 1));
    failed.attempts().iter().map(|attempt| attempt.delay).collect()
}

/// How often such a provider is called.
async fn calls(error: &Error, policy: RetryPolicy) -> usize {
    delays(error, policy).await.len() + 1
}

const ALL_KINDS: [ErrorKind; 23] = [
    ErrorKind::InvalidRequest,
    ErrorKind::InvalidMedia,
    ErrorKind::MediaFetchFailed,
    ErrorKind::Authentication,
    ErrorKind::Permission,
    ErrorKind::Billing,
    ErrorKind::QuotaExhausted,
    ErrorKind::BudgetExceeded,
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
async fn each_kind_is_repeated_as_often_as_its_reaction_and_the_bill_allow() {
    use ErrorKind::*;
    for kind in ALL_KINDS {
        let (free, perhaps, likely) = match kind {
            RateLimited | Overloaded | Server | Timeout(TimeoutPhase::Connect) => (3, 3, 3),
            Network => (1, 3, 3),
            Interrupted | Timeout(_) => (1, 1, 3),
            _ => (1, 1, 1),
        };
        for (max_billed, expected) in
            [(Billed::No, free), (Billed::Perhaps, perhaps), (Billed::Likely, likely)]
        {
            let seen = calls(&error(kind), billed(max_billed)).await;
            assert_eq!(seen, expected, "{kind:?} with {max_billed:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn advice_overrules_the_kind() {
    // Bounds of each delay, in milliseconds; the runtime's timers are one coarse.
    let back_off = vec![0..=501, 0..=1_001];
    for kind in ALL_KINDS {
        // A time limit is no vendor's advice, and has a wait of its own no more than a wrong key has.
        let outlives = matches!(kind, ErrorKind::Timeout(phase) if phase != TimeoutPhase::Connect);
        let usual_wait = error(kind).with_retry(RetryAdvice::After(None)).reaction().wait.is_some();
        let error = error(kind).with_billed(Billed::No);
        for (advice, expected) in [
            (RetryAdvice::Never, if outlives { back_off.clone() } else { vec![] }),
            (RetryAdvice::RefreshCredentials, vec![]),
            (RetryAdvice::After(None), if usual_wait { vec![60_000..=60_000; 2] } else { back_off.clone() }),
            (wait(0), back_off.clone()),
            (wait(2), vec![2_000..=2_000; 2]),
            (wait(60), vec![60_000..=60_000; 2]),
            (wait(61), vec![]),
        ] {
            let seen = delays(&error.clone().with_retry(advice), RetryPolicy::default()).await;
            assert_eq!(seen.len(), expected.len(), "{kind:?} {advice:?}");
            for (delay, bounds) in seen.iter().zip(expected) {
                assert!(bounds.contains(&delay.as_millis()), "{kind:?} {advice:?}: {seen:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_patient_policy_outlasts_limits_of_minutes() {
    for scope in [RateLimitScope::Account, RateLimitScope::Model] {
        let limited = error(ErrorKind::RateLimited).with_rate_limit_scope(scope);
        let seen = delays(&limited, RetryPolicy::patient()).await;
        assert_eq!(seen.len(), 7);
        assert!(seen.iter().all(|delay| (SECOND * 30..=SECOND * 121).contains(delay)), "{seen:?}");
        assert!(seen.iter().sum::<Duration>() > SECOND * 240, "{seen:?}");
        assert_eq!(delays(&limited, RetryPolicy::default()).await, [SECOND * 30; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interactive_policy_gives_up_within_ten_seconds_of_waiting() {
    for kind in ALL_KINDS {
        for advice in [RetryAdvice::After(None), wait(4), wait(5), wait(6), wait(30)] {
            for scope in [None, Some(RateLimitScope::Account), Some(RateLimitScope::Requests)] {
                let mut error = error(kind).with_retry(advice);
                if let Some(scope) = scope {
                    error = error.with_rate_limit_scope(scope);
                }
                let waited: Duration = delays(&error, RetryPolicy::interactive()).await.iter().sum();
                assert!(waited <= SECOND * 10, "{error:?}: {waited:?}");
            }
        }
    }
}

#[test]
fn nothing_that_is_likely_billed_is_repeated_unless_asked_for() {
    for policy in [RetryPolicy::default(), RetryPolicy::patient(), RetryPolicy::interactive()] {
        policy.check().unwrap();
        assert!(policy.max_billed < Billed::Likely);
    }
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_the_vendor_asks() {
    let mock = mock("a").error(busy("1").with_retry(wait(7)));
    let start = Instant::now();
    let response = retry(&mock, RetryPolicy::default()).chat(request()).await.unwrap();
    assert_eq!((start.elapsed(), response.attempts[0].delay), (SECOND * 7, SECOND * 7));
}

#[tokio::test(start_paused = true)]
async fn delays_grow_and_keep_their_bounds_whatever_the_seed() {
    for seed in 0..1_000 {
        let mock = mock("a").error(busy("x")).times(4);
        let layer = retry(&mock, attempts(5)).with_seed(seed);
        let attempts = layer.chat(request()).await.unwrap().meta.attempts;
        for (attempt, most) in attempts.iter().zip([500, 1_000, 2_000, 4_000]) {
            // The runtime's timers are a millisecond coarse.
            assert!(attempt.delay <= Duration::from_millis(most + 1), "seed {seed}: {attempts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lists_the_attempts_in_order_with_their_duration_and_the_delay_after() {
    let script = || {
        mock("a")
            .error(busy("1").with_retry(wait(4)))
            .after(SECOND)
            .error(busy("2").with_retry(wait(5)))
            .after(SECOND * 2)
    };
    let listed = |attempts: &[Attempt]| -> Vec<_> {
        let line = |a: &Attempt| (a.code.clone().unwrap(), a.duration.as_secs(), a.delay.as_secs());
        attempts.iter().map(line).collect()
    };
    let expected = [("1".to_owned(), 1, 4), ("2".to_owned(), 2, 5)];

    for streamed in [false, true] {
        let answer = call(&retry(&script(), RetryPolicy::default()), request(), streamed).await.unwrap();
        assert_eq!(listed(&answer.attempts), expected);
        assert_eq!(answer.attempts[0].provider.as_deref(), Some("a"));
        let failing = script().error(busy("3"));
        let failed = call(&retry(&failing, RetryPolicy::default()), request(), streamed).await.unwrap_err();
        assert_eq!((listed(failed.attempts()), failed.code()), (expected.to_vec(), Some("3")));
        let at_once = call(&retry(&mock("a"), RetryPolicy::default()), request(), streamed).await.unwrap();
        assert!(at_once.attempts.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_a_retry_keeps_the_list_whole() {
    for (failures, answers) in [(3, true), (4, false)] {
        for streamed in [false, true] {
            let script = ["1", "2", "3", "4"].iter().take(failures);
            let mock = script.fold(mock("a"), |mock, code| mock.error(busy(code)).after(SECOND));
            let outer = Retry::new(Arc::new(retry(&mock, attempts(2))), attempts(2)).with_seed(2);
            let start = Instant::now();
            let outcome = call(&outer, request(), streamed).await;
            assert_eq!((outcome.is_ok(), mock.plan_count()), (answers, 1));
            let attempts = match &outcome {
                Ok(response) => &response.attempts,
                Err(error) => error.attempts(),
            };
            assert_eq!(codes(attempts), ["1", "2", "3"]);
            let once = attempts.iter().all(|attempt| attempt.duration == SECOND);
            assert!(once, "no time is listed twice: {attempts:?}");
            let last = if answers { Duration::ZERO } else { SECOND };
            assert_eq!(spent(attempts) + last, start.elapsed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_before_its_first_event_is_asked_for_again() {
    let broken = error(ErrorKind::Network).with_code("1");
    let mock = mock("a").interrupted(Vec::<&str>::new(), broken).after(SECOND).answer("whole");
    let stream = retry(&mock, RetryPolicy::default()).chat_stream(request()).await.unwrap();
    let response = stream.collect_response().await.unwrap();
    assert_eq!((response.text.as_str(), codes(&response.attempts)), ("whole", vec!["1"]));
    assert_eq!((mock.call_count(), mock.in_flight(), mock.max_in_flight()), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_once_a_piece_was_handed_out() {
    for earlier in [0, 1] {
        let mut mock = mock("a");
        if earlier == 1 {
            mock = mock.error(busy("1"));
        }
        let mock = mock.interrupted(["ha", "lf"], busy("2").with_billed(Billed::No)).after(SECOND);
        let mut stream = retry(&mock, billed(Billed::Likely)).chat_stream(request()).await.unwrap();
        for piece in ["ha", "lf"] {
            assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == piece));
        }
        let failed = stream.next_event().await.unwrap().unwrap_err();
        assert_eq!((failed.code(), failed.attempts().len()), (Some("2"), earlier));
        assert!(stream.next_event().await.is_none());
        assert_eq!((mock.call_count(), mock.in_flight()), (earlier + 1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn half_an_answer_is_repeated_only_when_a_second_bill_is_accepted() {
    let partial = || Partial::new("ha".to_owned(), String::new());
    let half = error(ErrorKind::Interrupted).with_partial(partial());
    assert_eq!(calls(&half, RetryPolicy::default()).await, 1);
    assert_eq!(calls(&half, billed(Billed::Likely)).await, 3);
    let withdrawn = error(ErrorKind::ContentRefused).with_partial(partial());
    assert_eq!(calls(&withdrawn, billed(Billed::Likely)).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_shared_budget_is_used_up_for_all_and_fills_again() {
    let budget = RetryBudget::new(12);
    let layer = |mock: &MockProvider| retry(mock, RetryPolicy::default()).with_budget(budget.clone());
    let (a, b) = (mock("a").error(busy("x")).times(3), mock("b").error(busy("x")));

    assert!(layer(&a).chat(request()).await.is_err());
    assert_eq!((a.call_count(), budget.available()), (3, 2));
    let failed = layer(&b).chat(request()).await.unwrap_err();
    assert_eq!((b.call_count(), failed.code(), failed.attempts().len()), (1, Some("x"), 0));

    for _ in 0..3 {
        layer(&b).chat(request()).await.unwrap();
        layer(&b).chat_stream(request()).await.unwrap();
    }
    assert_eq!(budget.available(), 8);
    let recovering = mock("a").error(busy("x"));
    layer(&recovering).chat(request()).await.unwrap();
    assert_eq!((recovering.call_count(), budget.available()), (2, 8), "a retry that succeeds costs nothing");
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_retries_cost_nothing() {
    let mock = failing(&busy("x"));
    let layer = retry(&mock, RetryPolicy::default()).with_budget(RetryBudget::new(0));
    assert!(layer.chat(request()).await.is_err());
    assert_eq!(mock.call_count(), 1);
    assert!(layer.with_budget(None).chat(request()).await.is_err());
    assert_eq!(mock.call_count(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_was_not_sent_is_not_paid_for() {
    for (dropped_after, left) in [(5, 500), (12, 495), (14, 500)] {
        let slow = mock("a").error(busy("x").with_retry(wait(10))).answer("slow").after(SECOND * 3);
        let budget = RetryBudget::default();
        let layer = retry(&slow, RetryPolicy::default()).with_budget(budget.clone());
        let _ = tokio::time::timeout(SECOND * dropped_after, layer.chat(request())).await;
        assert_eq!(budget.available(), left, "after {dropped_after} s");
    }
}

/// A retry is paid for and `lost`, `dropped` before it was sent, or `refunded`; a call `earns`.
#[test]
fn a_budget_is_paid_and_refilled_as_the_table_says() {
    let (busy, limited, network) = (busy("x"), error(ErrorKind::RateLimited), error(ErrorKind::Network));
    let connect = error(ErrorKind::Timeout(TimeoutPhase::Connect));
    for (capacity, steps) in [
        // Without a reply a retry costs double; what the bucket does not hold is not paid.
        (
            30,
            [
                ("lost", &busy, 25),
                ("lost", &network, 15),
                ("lost", &connect, 5),
                ("lost", &network, 5),
                ("lost", &limited, 0),
            ]
            .as_slice(),
        ),
        // What was not sent or went well comes back.
        (
            10,
            &[("dropped", &busy, 10), ("refunded", &busy, 10), ("lost", &busy, 5), ("dropped", &network, 5)],
        ),
        // It never holds more than its capacity.
        (7, &[("earns", &busy, 7), ("lost", &busy, 2), ("earns", &busy, 3)]),
    ] {
        let budget = RetryBudget::new(capacity);
        for (step, error, left) in steps {
            match *step {
                "earns" => budget.clone().earn(),
                "dropped" => drop(budget.pay(error)),
                step => {
                    if let Some(mut payment) = budget.pay(error) {
                        payment.sent();
                        assert!(budget.available() + 5 <= capacity, "it is paid by now");
                        if step == "refunded" {
                            payment.refund();
                        }
                    }
                }
            }
            assert_eq!(budget.available(), *left, "{capacity}: {step} {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn leaves_nothing_behind_wherever_it_is_dropped() {
    let script = || {
        mock("a")
            .error(busy("1").with_retry(wait(1)))
            .after(SECOND)
            .interrupted(Vec::<&str>::new(), busy("2").with_retry(wait(1)))
            .after(SECOND)
            .deltas(["a", "b"])
            .after(SECOND)
    };
    for cut in 0..80 {
        let (plain, streamed) = (script(), script());
        let (a, b) = (retry(&plain, RetryPolicy::default()), retry(&streamed, RetryPolicy::default()));
        let both = async {
            let reading = async { b.chat_stream(request()).await?.collect_response().await };
            tokio::join!(a.chat(request()), reading)
        };
        let done = tokio::time::timeout(SECOND * cut / 10, both).await;
        assert_eq!(done.is_ok(), cut >= 70, "a whole call takes 7 s");
        assert_eq!((plain.in_flight(), streamed.in_flight()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_sends_the_same_request() {
    let mock = mock("a").error(busy("x")).times(2);
    let request = request().with_model("eye");
    retry(&mock, RetryPolicy::default()).chat(request.clone()).await.unwrap();
    let requests = mock.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|seen| format!("{seen:?}") == format!("{request:?}")));
}

#[tokio::test(start_paused = true)]
async fn identity_catalogue_and_plans_are_the_providers() {
    let mock = mock("a");
    let layer = retry(&mock, RetryPolicy::default());
    assert_eq!(layer.id(), mock.id());
    assert_eq!(layer.catalog().card("eye").id, "eye");
    assert_eq!(layer.plan(&request()).unwrap().model(), "eye");
    assert_eq!(mock.call_count(), 0);
}

#[test]
fn delays_stay_within_their_bounds_for_a_thousand_seeds() {
    let full = attempts(100);
    let equal = RetryPolicy { jitter: Jitter::Equal, ..full.clone() };
    let busy = error(ErrorKind::Server);
    let seconds =
        |policy: &RetryPolicy, failures, unit| policy.delay(&busy, failures, unit).unwrap().as_secs_f64();
    for seed in 0..1_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        for failures in 1..20 {
            let step = (0.5 * 2_f64.powi(failures as i32 - 1)).min(20.0);
            let unit = random.f64();
            assert!((0.0..=step).contains(&seconds(&full, failures, unit)));
            assert!((step / 2.0..=step).contains(&seconds(&equal, failures, unit)));
        }
    }
}

#[test]
fn a_delay_can_be_the_whole_step_and_almost_nothing() {
    let policy = RetryPolicy::default();
    let busy = error(ErrorKind::Overloaded);
    assert_eq!(policy.delay(&busy, 1, 0.0), Some(Duration::ZERO));
    assert!(policy.delay(&busy, 2, 0.999).unwrap() > Duration::from_millis(990));
    assert_eq!(policy.delay(&busy, 3, 0.0), None);
}

#[test]
fn a_wait_that_is_asked_for_is_kept_or_the_own_delay_if_longer() {
    let asks = |ms| {
        let wait = Some(Duration::from_millis(ms));
        let error = error(ErrorKind::RateLimited).with_retry(RetryAdvice::After(wait));
        RetryPolicy::default().delay(&error, 1, 0.5).map(|delay| delay.as_millis())
    };
    assert_eq!(asks(0), Some(250));
    assert_eq!(asks(7_000), Some(7_000));
    assert_eq!(asks(60_000), Some(60_000));
    assert_eq!(asks(60_001), None);
}

#[test]
fn odd_settings_give_delays_within_bounds_and_no_panic() {
    let max_delay = Duration::from_secs(1);
    for multiplier in [f64::NAN, f64::INFINITY, -3.0, 1e300] {
        let policy = RetryPolicy { max_delay, multiplier, ..attempts(100) };
        let delay = policy.delay(&error(ErrorKind::Server), 9, 0.9).unwrap();
        assert!(delay <= max_delay, "{multiplier}: {delay:?}");
    }
    let policy =
        RetryPolicy { base_delay: Duration::MAX, max_delay: Duration::MAX, ..RetryPolicy::default() };
    assert!(policy.delay(&error(ErrorKind::Server), 2, 0.999_999).is_some());
}

#[test]
fn a_setting_out_of_range_is_named_with_its_value() {
    let policy = RetryPolicy::default;
    for (policy, words) in [
        (attempts(0), "`max_attempts` is 0, but must be 1 to 100"),
        (attempts(101), "`max_attempts` is 101"),
        (RetryPolicy { multiplier: f64::NAN, ..policy() }, "`multiplier` is NaN"),
        (RetryPolicy { base_delay: Duration::from_secs(21), ..policy() }, "`base_delay` is 21s"),
    ] {
        let error = policy.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains(words), "{error}");
    }
    assert!(policy().check().is_ok());
}

#[test]
fn a_config_turns_it_off_names_a_policy_or_sets_single_values() {
    let read = |text: &str| serde_json::from_str::<RetrySetting>(text).map(|setting| setting.0);
    assert_eq!(read("true").unwrap(), Some(RetryPolicy::default()));
    assert_eq!(read("false").unwrap(), None);
    assert_eq!(read("\"patient\"").unwrap(), Some(RetryPolicy::patient()));
    assert_eq!(read("\"interactive\"").unwrap(), Some(RetryPolicy::interactive()));
    let table = read(r#"{"max_attempts": 5, "base_delay": 0.25, "max_billed": "likely", "jitter": "equal"}"#);
    let expected = RetryPolicy {
        base_delay: Duration::from_millis(250),
        max_billed: Billed::Likely,
        jitter: Jitter::Equal,
        ..attempts(5)
    };
    assert_eq!(table.unwrap(), Some(expected));
    for bad in ["\"sometimes\"", "3", "null"] {
        let error = read(bad).unwrap_err().to_string();
        assert!(
            error.contains("true, false, \"patient\", \"interactive\" or a table of settings"),
            "{error}"
        );
    }
    let unknown = read(r#"{"attempts": 5}"#).unwrap_err().to_string();
    assert!(unknown.contains("unknown field `attempts`") && unknown.contains("`max_attempts`"), "{unknown}");
}
