use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use polysight_core::{ChatRequest, ErrorKind, VisionProviderExt as _};

use super::*;
use crate::testing::{MockProvider, SECOND, call, mock, request};
use crate::{Retry, RetryPolicy, Router, RouterPolicy, Target};

/// A call of the mock costs 100 prompt tokens at 1 CNY a million and 10 answer tokens at 2: 0.00012 CNY. With a limit of 50
/// answer tokens it may cost 0.0002 CNY.
fn asked() -> ChatRequest {
    request().with_max_tokens(50)
}

fn policy(amount: f64) -> BudgetPolicy {
    BudgetPolicy::new(amount, "CNY", BudgetPeriod::Day)
}

fn ledger(amount: f64) -> Ledger {
    Ledger::new("pictures", policy(amount)).unwrap()
}

fn budget(mock: &MockProvider, ledger: &Ledger) -> Budget {
    Budget::new(Arc::new(mock.clone()), ledger.clone()).with_role("r")
}

async fn counts(ledger: &Ledger) -> (String, String) {
    let balance = ledger.balance().await.unwrap().unwrap();
    (balance.spent.to_string(), balance.reserved.to_string())
}

fn money(amount: f64) -> String {
    Money::new("CNY", amount).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_call_costs_what_its_answer_says_plain_and_streamed() {
    for streamed in [false, true] {
        let ledger = ledger(1.0);
        let answer = call(&budget(&mock("a"), &ledger), asked(), streamed).await.unwrap();
        assert_eq!(answer.cost.as_ref().unwrap().to_string(), money(0.000_12));
        assert_eq!(counts(&ledger).await, (money(0.000_12), money(0.0)));
        assert_eq!(ledger.by_role()["r"], ledger.by_model()["eye"]);
        assert_eq!(ledger.total(), [answer.cost.clone().unwrap()]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_upper_bound_is_reserved_while_the_call_runs_and_refuses_what_does_not_fit() {
    let ledger = ledger(0.000_5);
    let mock = mock("a").answer("late").after(SECOND).times(3);
    let layer = budget(&mock, &ledger);
    let watch = async {
        tokio::time::sleep(SECOND / 2).await;
        counts(&ledger).await
    };
    let (first, second, third, seen) =
        tokio::join!(layer.chat(asked()), layer.chat(asked()), layer.chat(asked()), watch);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(seen, (money(0.0), money(0.000_4)));
    let error = third.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_local(), error.billed()),
        (ErrorKind::BudgetExceeded, true, Billed::No)
    );
    let shown = error.to_string();
    for part in
        ["`pictures` of 0.000500 CNY (per day, UTC)", "0.000000 CNY are spent", "0.000400 CNY are reserved"]
    {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(shown.contains("up to 0.000200 CNY") && shown.contains("[resets 20"), "{shown}");
    assert_eq!(mock.call_count(), 2);
    assert_eq!(counts(&ledger).await, (money(0.000_24), money(0.0)));
    assert!(layer.chat(asked()).await.is_ok(), "what the answers did not use is free again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_costs_what_it_may_have_been_billed() {
    let failed = |kind| Error::new(kind, "");
    let priced = failed(ErrorKind::Interrupted).with_cost(Some(Money::new("CNY", 0.000_03)));
    for (error, spent) in [
        (failed(ErrorKind::Server), 0.0),
        (failed(ErrorKind::Network), 0.000_2),
        (failed(ErrorKind::Interrupted), 0.000_2),
        (priced, 0.000_03),
    ] {
        for streamed in [false, true] {
            let ledger = ledger(1.0);
            let mock = mock("a").error(error.clone());
            call(&budget(&mock, &ledger), asked(), streamed).await.unwrap_err();
            assert_eq!(counts(&ledger).await, (money(spent), money(0.0)), "{error}");
            let assumed: f64 = ledger.snapshot().rows.iter().map(|row| row.assumed.amount).sum();
            assert_eq!(assumed > 0.0, spent == 0.000_2, "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_on_its_way_stays_counted() {
    let ledger = ledger(1.0);
    let silent = mock("a").silence();
    let waiting = tokio::time::timeout(SECOND, budget(&silent, &ledger).chat(asked())).await;
    assert!(waiting.is_err());
    assert_eq!(counts(&ledger).await, (money(0.000_2), money(0.0)));
    let mut stream = budget(&mock("a").deltas(["a", "b"]), &ledger).chat_stream(asked()).await.unwrap();
    assert!(stream.next_event().await.is_some());
    drop(stream);
    assert_eq!(counts(&ledger).await, (money(0.000_4), money(0.0)));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_pays_inside_retry_and_attempts_are_counted_outside_of_it() {
    let broken = || Error::new(ErrorKind::Network, "");
    for outside in [false, true] {
        let ledger = ledger(1.0);
        let mock = mock("a").error(broken()).error(Error::new(ErrorKind::Overloaded, ""));
        let retry = |inner| Retry::new(inner, RetryPolicy::default());
        let answer = if outside {
            let retrying = retry(Arc::new(mock.clone()));
            Budget::new(Arc::new(retrying), ledger.clone()).chat(asked()).await
        } else {
            retry(Arc::new(budget(&mock, &ledger))).chat(asked()).await
        };
        assert_eq!(answer.unwrap().attempts.len(), 2);
        assert_eq!(counts(&ledger).await, (money(0.000_32), money(0.0)), "outside: {outside}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_repeated_and_a_cheaper_target_is_tried() {
    let ledger = ledger(0.001);
    let (dear, cheap) = (mock("dear").with_model("dear"), mock("cheap"));
    let retried = |mock: &MockProvider| {
        Target::new(Arc::new(Retry::new(Arc::new(budget(mock, &ledger)), RetryPolicy::default())))
    };
    let router = Router::new("r", [retried(&dear), retried(&cheap)], RouterPolicy::default()).unwrap();
    let answer = router.chat(asked()).await.unwrap();
    assert_eq!((answer.provider.as_str(), answer.attempts.len()), ("cheap", 1));
    assert_eq!(answer.attempts[0].kind, ErrorKind::BudgetExceeded);
    assert_eq!((dear.call_count(), cheap.call_count()), (0, 1));
    assert_eq!(counts(&ledger).await, (money(0.000_12), money(0.0)));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_upper_bound_is_refused_with_the_way_out_or_let_go() {
    let unpriced = mock("a").with_model("blind");
    for (mock, request, hint) in
        [(mock("a"), request(), "set `max_tokens`"), (unpriced, asked(), "give its card `prices`")]
    {
        let ledger = ledger(1.0);
        let error = budget(&mock, &ledger).chat(request.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
        assert!(error.message().contains(hint), "{error}");
        let allowing = Ledger::new("all", policy(1.0).with_unknown(UnknownCost::Allow)).unwrap();
        budget(&mock, &allowing).chat(request).await.unwrap();
        let known = mock.call_count() as f64 * if hint.contains("prices") { 0.0 } else { 0.000_12 };
        assert_eq!(counts(&allowing).await, (money(known), money(0.0)));
    }
}

#[tokio::test(start_paused = true)]
async fn another_currency_needs_a_rate() {
    let dollars = |policy: BudgetPolicy| Ledger::new("d", policy).unwrap();
    let policy = BudgetPolicy::new(1.0, "USD", BudgetPeriod::Total);
    let error = budget(&mock("a"), &dollars(policy.clone())).chat(asked()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("rates = { CNY = .. }"), "{error}");
    let ledger = dollars(policy.with_rate("CNY", 0.14));
    budget(&mock("a"), &ledger).chat(asked()).await.unwrap();
    let balance = ledger.balance().await.unwrap().unwrap();
    assert_eq!((balance.spent.nanos(), balance.resets), (Some(16_800), None));
    assert_eq!(ledger.total(), [Money::new("CNY", 0.000_12)], "rows keep the price's currency");
}

#[tokio::test(start_paused = true)]
async fn a_period_begins_anew_and_a_call_belongs_to_the_one_in_which_it_began() {
    let now = Arc::new(AtomicU64::new(86_399));
    let clock = Arc::clone(&now);
    let ledger =
        ledger(0.000_3).with_clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::SeqCst)));
    let layer = budget(&mock("a").answer("late").after(SECOND), &ledger);
    let midnight = async {
        tokio::time::sleep(SECOND / 2).await;
        now.store(86_400, Ordering::SeqCst);
    };
    let (answer, ()) = tokio::join!(layer.chat(asked()), midnight);
    assert!(answer.is_ok());
    assert_eq!(counts(&ledger).await, (money(0.0), money(0.0)), "a new day");
    for _ in 0..2 {
        layer.chat(asked()).await.ok();
    }
    assert_eq!(counts(&ledger).await, (money(0.000_12), money(0.0)), "the second does not fit");
    now.store(86_399, Ordering::SeqCst);
    assert_eq!(counts(&ledger).await, (money(0.000_12), money(0.0)), "the first day has the first call");
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_a_cache_inside_and_a_ledger_without_a_budget_refuse_nothing() {
    let mut kept = mock("a").chat(asked()).await.unwrap();
    kept.cached = true;
    let ledger = Ledger::counting("all");
    let unpriced = budget(&mock("a").with_model("blind"), &ledger);
    unpriced.chat(request()).await.unwrap();
    assert_eq!((ledger.total(), ledger.snapshot().rows[0].unknown), (Vec::new(), 1));
    assert!(ledger.balance().await.unwrap().is_none());
    let mut charge = Charge {
        ledger: ledger.clone(),
        role: "r".into(),
        model: "eye".to_owned(),
        most_tokens: u64::MAX,
        bound: None,
        reservation: None,
        is_open: true,
    };
    charge.on_end(&mut kept.meta);
    drop(charge);
    assert_eq!(ledger.snapshot().rows.len(), 1, "it costs nothing");
}

#[tokio::test(start_paused = true)]
async fn a_count_of_tokens_that_no_model_has_does_not_close_the_budget() {
    let ledger = ledger(1.0);
    let bound = Some(Money::new("CNY", 0.000_2));
    let plan = mock("a").plan(&asked()).unwrap();
    let reservation = ledger.reserve(&plan, bound.as_ref()).await.unwrap();
    let mut charge = Charge {
        ledger: ledger.clone(),
        role: "r".into(),
        model: "eye".to_owned(),
        most_tokens: 1_000,
        bound,
        reservation,
        is_open: true,
    };
    let mut answer = mock("a").chat(asked()).await.unwrap();
    answer.usage = Some(Usage::new(1 << 60, 0, 1 << 60));
    answer.cost = Some(Money::new("CNY", 1e12));
    charge.on_end(&mut answer.meta);
    assert_eq!(counts(&ledger).await, (money(0.000_2), money(0.0)));
}

#[tokio::test]
async fn a_hundred_calls_at_the_same_time_never_pass_the_budget() {
    let ledger = ledger(0.01);
    let layer = Arc::new(budget(&mock("a"), &ledger));
    let calls = (0..200).map(|_| {
        let layer = Arc::clone(&layer);
        tokio::spawn(async move { layer.chat(asked()).await.is_ok() })
    });
    let mut answered = 0;
    for call in calls.collect::<Vec<_>>() {
        answered += u32::from(call.await.unwrap());
    }
    let balance = ledger.balance().await.unwrap().unwrap();
    assert_eq!(balance.spent.nanos(), Some(i64::from(answered) * 120_000));
    assert!(balance.spent.amount <= 0.01 && answered > 40, "{answered}");
}
