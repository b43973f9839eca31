//! What every store must do, as one test that runs on each of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::RateLimitScope;

use super::store::{Grant, Lease, QuotaKey, QuotaLimits, QuotaStore};

/// A store with its time in hand; its window is a minute.
#[async_trait]
pub(super) trait Bench: Sync {
    fn store(&self) -> Arc<dyn QuotaStore>;
    async fn advance(&self, by: Duration);
    /// Waits until everything that the store does in the background is done.
    async fn settled(&self);
}

pub(super) async fn holds(bench: &dyn Bench, arrivals: usize) {
    counts_requests_in_a_sliding_window(bench).await;
    counts_tokens_and_reconciles_them(bench).await;
    clamps_a_demand_that_could_never_go(bench).await;
    counts_calls_at_once(bench).await;
    spreads_bursts(bench).await;
    takes_nothing_when_it_says_wait(bench).await;
    takes_a_lease_once(bench).await;
    keeps_keys_apart(bench).await;
    pauses_and_learns(bench).await;
    learns_limits_that_nobody_knew(bench).await;
    never_exceeds_a_limit_in_any_minute(bench, arrivals).await;
}

fn key(name: &str) -> QuotaKey {
    QuotaKey::new("somewhere {x}", name, "account 1")
}

async fn ask(bench: &dyn Bench, key: &QuotaKey, limits: &QuotaLimits, id: &str, tokens: u64) -> Grant {
    bench.store().take(key, limits, &Lease::new(id, tokens)).await.unwrap()
}

async fn settle(bench: &dyn Bench, key: &QuotaKey, id: &str, tokens: u64, used: Option<u64>) {
    bench.store().settle(key, &Lease::new(id, tokens), used);
    bench.settled().await;
}

fn wait(grant: Grant) -> (Duration, RateLimitScope) {
    match grant {
        Grant::Granted => panic!("granted"),
        Grant::Wait { after, limit } => (after, limit),
    }
}

const SECOND: Duration = Duration::from_secs(1);

async fn counts_requests_in_a_sliding_window(bench: &dyn Bench) {
    let (key, limits) = (key("requests"), QuotaLimits::default().with_requests(3));
    for id in ["a", "b", "c"] {
        assert_eq!(ask(bench, &key, &limits, id, 1).await, Grant::Granted);
        settle(bench, &key, id, 1, Some(1)).await;
        bench.advance(20 * SECOND).await;
    }
    bench.advance(Duration::from_millis(500)).await;
    let (after, limit) = wait(ask(bench, &key, &limits, "d", 1).await);
    assert_eq!(limit, RateLimitScope::Requests);
    assert!(
        after <= 2 * SECOND,
        "{after:?}: the first is a minute old, its second and the one behind it nearly are"
    );
    bench.advance(after).await;
    assert_eq!(ask(bench, &key, &limits, "d", 1).await, Grant::Granted);
    let (after, _) = wait(ask(bench, &key, &limits, "e", 1).await);
    assert!(after > 18 * SECOND && after <= 21 * SECOND, "{after:?}");
}

async fn counts_tokens_and_reconciles_them(bench: &dyn Bench) {
    let (key, limits) = (key("tokens"), QuotaLimits::default().with_tokens(100));
    assert_eq!(ask(bench, &key, &limits, "a", 80).await, Grant::Granted);
    assert_eq!(wait(ask(bench, &key, &limits, "b", 30).await).1, RateLimitScope::Tokens);
    settle(bench, &key, "a", 80, Some(60)).await;
    assert_eq!(ask(bench, &key, &limits, "b", 40).await, Grant::Granted);
    settle(bench, &key, "b", 40, Some(0)).await;
    assert_eq!(ask(bench, &key, &limits, "c", 10).await, Grant::Granted);
    settle(bench, &key, "c", 10, Some(35)).await;
    assert_eq!(wait(ask(bench, &key, &limits, "d", 6).await).1, RateLimitScope::Tokens, "60 and 35 are used");
    assert_eq!(ask(bench, &key, &limits, "d", 5).await, Grant::Granted);
    settle(bench, &key, "d", 5, None).await;
    settle(bench, &key, "never taken", 100, Some(0)).await;
    assert_eq!(
        wait(ask(bench, &key, &limits, "e", 1).await).1,
        RateLimitScope::Tokens,
        "what was set aside stays"
    );
}

async fn clamps_a_demand_that_could_never_go(bench: &dyn Bench) {
    let (key, limits) = (key("clamp"), QuotaLimits::default().with_tokens(100));
    assert_eq!(ask(bench, &key, &limits, "a", 5_000).await, Grant::Granted);
    assert_eq!(wait(ask(bench, &key, &limits, "b", 1).await).1, RateLimitScope::Tokens);
    settle(bench, &key, "a", 5_000, Some(90)).await;
    assert_eq!(ask(bench, &key, &limits, "b", 10).await, Grant::Granted);
}

async fn counts_calls_at_once(bench: &dyn Bench) {
    let (key, limits) = (key("at once"), QuotaLimits::default().with_concurrency(2));
    for id in ["a", "b"] {
        assert_eq!(ask(bench, &key, &limits, id, 1).await, Grant::Granted);
    }
    let (after, limit) = wait(ask(bench, &key, &limits, "c", 1).await);
    assert!(limit == RateLimitScope::Concurrency && after <= SECOND, "{limit} {after:?}");
    settle(bench, &key, "a", 1, None).await;
    assert_eq!(ask(bench, &key, &limits, "c", 1).await, Grant::Granted);
    assert_eq!(wait(ask(bench, &key, &limits, "d", 1).await).1, RateLimitScope::Concurrency);
}

async fn spreads_bursts(bench: &dyn Bench) {
    let (key, limits) = (key("burst"), QuotaLimits::default().with_requests(60).with_burst(2));
    for id in ["a", "b"] {
        assert_eq!(ask(bench, &key, &limits, id, 1).await, Grant::Granted);
    }
    let (after, limit) = wait(ask(bench, &key, &limits, "c", 1).await);
    assert!(limit == RateLimitScope::Burst && after <= SECOND * 12 / 10, "{limit} {after:?}");
    bench.advance(after).await;
    assert_eq!(ask(bench, &key, &limits, "c", 1).await, Grant::Granted);
}

async fn takes_nothing_when_it_says_wait(bench: &dyn Bench) {
    let key = key("nothing");
    let open = QuotaLimits::default().with_requests(2).with_tokens(100).with_concurrency(2);
    let shut = open.with_tokens(1);
    assert_eq!(ask(bench, &key, &open, "a", 50).await, Grant::Granted);
    for id in ["b", "c", "d"] {
        assert_eq!(wait(ask(bench, &key, &shut, id, 50).await).1, RateLimitScope::Tokens);
    }
    assert_eq!(ask(bench, &key, &open, "b", 50).await, Grant::Granted);
}

async fn takes_a_lease_once(bench: &dyn Bench) {
    let (key, limits) = (key("once"), QuotaLimits::default().with_requests(2).with_concurrency(2));
    assert_eq!(ask(bench, &key, &limits, "a", 1).await, Grant::Granted);
    assert_eq!(ask(bench, &key, &limits, "a", 1).await, Grant::Granted);
    assert_eq!(ask(bench, &key, &limits, "b", 1).await, Grant::Granted);
    wait(ask(bench, &key, &limits, "c", 1).await);
}

async fn keeps_keys_apart(bench: &dyn Bench) {
    let limits = QuotaLimits::default().with_requests(1);
    for (deployment, model, account) in [("a", "b", "c"), ("a", "b", "d"), ("a/b", "c", ""), ("a", "b/c", "")]
    {
        let key = QuotaKey::new(deployment, model, account);
        assert_eq!(ask(bench, &key, &limits, "a", 1).await, Grant::Granted, "{key}");
    }
}

async fn pauses_and_learns(bench: &dyn Bench) {
    let (key, limits) = (key("learns"), QuotaLimits::default().with_concurrency(10));
    let store = bench.store();
    store.throttled(&key, &limits, Some(RateLimitScope::Concurrency), Some(7 * SECOND));
    store.throttled(&key, &limits, Some(RateLimitScope::Concurrency), None);
    bench.settled().await;
    let (after, limit) = wait(ask(bench, &key, &limits, "a", 1).await);
    assert!(after > 5 * SECOND && after <= 7 * SECOND, "{after:?}");
    assert_eq!(limit, RateLimitScope::Concurrency);
    bench.advance(8 * SECOND).await;
    for id in 0..7 {
        assert_eq!(ask(bench, &key, &limits, &format!("a{id}"), 1).await, Grant::Granted, "{id} of 7");
    }
    assert_eq!(wait(ask(bench, &key, &limits, "b", 1).await).1, RateLimitScope::Concurrency);
    // Places that nobody keeps alive may have come back with time, so the climb is looked at with new ones.
    for id in 0..7 {
        settle(bench, &key, &format!("a{id}"), 1, None).await;
    }
    bench.advance(53 * SECOND).await;
    for id in 0..8 {
        assert_eq!(ask(bench, &key, &limits, &format!("b{id}"), 1).await, Grant::Granted, "{id} of 8");
    }
    assert_eq!(wait(ask(bench, &key, &limits, "c", 1).await).1, RateLimitScope::Concurrency);
    for id in 0..8 {
        settle(bench, &key, &format!("b{id}"), 1, None).await;
    }
    bench.advance(120 * SECOND).await;
    for id in 0..10 {
        assert_eq!(ask(bench, &key, &limits, &format!("c{id}"), 1).await, Grant::Granted, "{id} of 10");
    }
    assert_eq!(wait(ask(bench, &key, &limits, "d", 1).await).1, RateLimitScope::Concurrency);
}

async fn learns_limits_that_nobody_knew(bench: &dyn Bench) {
    let (key, limits) = (key("unknown"), QuotaLimits::default());
    for id in 0..20 {
        assert_eq!(ask(bench, &key, &limits, &id.to_string(), 1).await, Grant::Granted);
        settle(bench, &key, &id.to_string(), 1, None).await;
    }
    bench.store().throttled(&key, &limits, None, Some(Duration::ZERO));
    bench.settled().await;
    let (after, limit) = wait(ask(bench, &key, &limits, "a", 1).await);
    assert!(
        limit == RateLimitScope::Requests && after > 50 * SECOND,
        "14 of the 20 seen hold: {limit} {after:?}"
    );
    bench.advance(after).await;
    for id in 0..16 {
        assert_eq!(ask(bench, &key, &limits, &format!("a{id}"), 1).await, Grant::Granted, "{id} of 16");
    }
    assert_eq!(wait(ask(bench, &key, &limits, "b", 1).await).1, RateLimitScope::Requests);
    bench.advance(1_200 * SECOND).await;
    for id in 0..60 {
        assert_eq!(ask(bench, &key, &limits, &format!("b{id}"), 1).await, Grant::Granted, "forgotten");
    }
}

/// Random arrivals and settlings, judged by an oracle that keeps every moment.
async fn never_exceeds_a_limit_in_any_minute(bench: &dyn Bench, arrivals: usize) {
    const MINUTE: u64 = 60_000_000;
    let limits = QuotaLimits::default().with_requests(12).with_tokens(500).with_concurrency(3).with_burst(2);
    for seed in 0..3 {
        let key = key(&format!("oracle {seed}"));
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut now, mut granted) = (0, VecDeque::<(u64, u64)>::new());
        let mut open: Vec<(String, u64)> = Vec::new();
        let mut grants = 0;
        for arrival in 0..arrivals / 3 {
            let step = random.u64(0..3_000_000);
            now += step;
            bench.advance(Duration::from_micros(step)).await;
            if !open.is_empty() && random.bool() {
                let (id, tokens) = open.swap_remove(random.usize(..open.len()));
                settle(bench, &key, &id, tokens, None).await;
            }
            let (id, tokens) = (arrival.to_string(), random.u64(1..120));
            if ask(bench, &key, &limits, &id, tokens).await != Grant::Granted {
                continue;
            }
            grants += 1;
            granted.push_back((now, tokens));
            open.push((id, tokens));
            granted.retain(|(at, _)| at + MINUTE >= now);
            let tokens: u64 = granted.iter().map(|(_, tokens)| tokens).sum();
            let second = granted.iter().filter(|(at, _)| at + MINUTE / 60 >= now).count();
            let counts = (granted.len(), tokens, open.len(), second);
            assert!(
                counts.0 <= 12 && counts.1 <= 500 && counts.2 <= 3 && counts.3 <= 2,
                "{seed}: {counts:?}"
            );
        }
        let minutes = now as f64 / MINUTE as f64;
        // 500 tokens a minute in pieces of 60 are eight calls.
        assert!(f64::from(grants) > 4.0 * minutes, "{seed}: only {grants} in {minutes:.1} minutes");
    }
}
