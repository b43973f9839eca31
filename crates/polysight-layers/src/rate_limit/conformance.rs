//! What every store must do, as one test that runs on each of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::RateLimitScope;

use crate::rate_limit::{Grant, Lease, Limits, RateLimitKey, RateLimitStore};

/// A store whose time the test sets; its window is a minute.
#[async_trait]
pub(super) trait Bench: Sync {
    fn store(&self) -> Arc<dyn RateLimitStore>;
    async fn advance(&self, by: Duration);
    /// Waits until everything that the store does in the background is done.
    async fn settled(&self);
}

pub(super) async fn check(bench: &dyn Bench, arrivals: usize) {
    counts_requests_in_a_sliding_window(bench).await;
    counts_tokens_and_reconciles_them(bench).await;
    clamps_a_call_that_could_never_go(bench).await;
    counts_concurrent_requests(bench).await;
    takes_nothing_when_it_says_wait(bench).await;
    takes_a_lease_once(bench).await;
    keeps_keys_apart(bench).await;
    pauses_and_learns(bench).await;
    learns_unknown_limits(bench).await;
    never_exceeds_a_limit_in_any_minute(bench, arrivals).await;
}

fn key(name: &str) -> RateLimitKey {
    RateLimitKey::new("somewhere {x}", name, "account 1")
}

async fn ask(bench: &dyn Bench, key: &RateLimitKey, limits: &Limits, id: &str, tokens: u64) -> Grant {
    bench.store().acquire(key, limits, &Lease::new(id, tokens)).await.unwrap()
}

async fn release(bench: &dyn Bench, key: &RateLimitKey, id: &str, tokens: u64, used: Option<u64>) {
    bench.store().release(key, &Lease::new(id, tokens), used);
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
    let (key, limits) = (key("requests"), Limits { requests: Some(3), ..Limits::default() });
    for id in ["a", "b", "c"] {
        assert_eq!(ask(bench, &key, &limits, id, 1).await, Grant::Granted);
        release(bench, &key, id, 1, Some(1)).await;
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
    let (key, limits) = (key("tokens"), Limits { tokens: Some(100), ..Limits::default() });
    assert_eq!(ask(bench, &key, &limits, "a", 80).await, Grant::Granted);
    assert_eq!(wait(ask(bench, &key, &limits, "b", 30).await).1, RateLimitScope::Tokens);
    release(bench, &key, "a", 80, Some(60)).await;
    assert_eq!(ask(bench, &key, &limits, "b", 40).await, Grant::Granted);
    release(bench, &key, "b", 40, Some(0)).await;
    assert_eq!(ask(bench, &key, &limits, "c", 10).await, Grant::Granted);
    release(bench, &key, "c", 10, Some(35)).await;
    assert_eq!(wait(ask(bench, &key, &limits, "d", 6).await).1, RateLimitScope::Tokens, "60 and 35 are used");
    assert_eq!(ask(bench, &key, &limits, "d", 5).await, Grant::Granted);
    release(bench, &key, "d", 5, None).await;
    release(bench, &key, "never taken", 100, Some(0)).await;
    assert_eq!(
        wait(ask(bench, &key, &limits, "e", 1).await).1,
        RateLimitScope::Tokens,
        "what was reserved stays counted"
    );
}

async fn clamps_a_call_that_could_never_go(bench: &dyn Bench) {
    let (key, limits) = (key("clamp"), Limits { tokens: Some(100), ..Limits::default() });
    assert_eq!(ask(bench, &key, &limits, "a", 5_000).await, Grant::Granted);
    assert_eq!(wait(ask(bench, &key, &limits, "b", 1).await).1, RateLimitScope::Tokens);
    release(bench, &key, "a", 5_000, Some(90)).await;
    assert_eq!(ask(bench, &key, &limits, "b", 10).await, Grant::Granted);
}

async fn counts_concurrent_requests(bench: &dyn Bench) {
    let (key, limits) = (key("at once"), Limits { concurrency: Some(2), ..Limits::default() });
    for id in ["a", "b"] {
        assert_eq!(ask(bench, &key, &limits, id, 1).await, Grant::Granted);
    }
    let (after, limit) = wait(ask(bench, &key, &limits, "c", 1).await);
    assert!(limit == RateLimitScope::Concurrency && after <= SECOND, "{limit} {after:?}");
    release(bench, &key, "a", 1, None).await;
    assert_eq!(ask(bench, &key, &limits, "c", 1).await, Grant::Granted);
    assert_eq!(wait(ask(bench, &key, &limits, "d", 1).await).1, RateLimitScope::Concurrency);
}

async fn takes_nothing_when_it_says_wait(bench: &dyn Bench) {
    let key = key("nothing");
    let open = Limits { requests: Some(2), tokens: Some(100), concurrency: Some(2) };
    let shut = Limits { tokens: Some(1), ..open };
    assert_eq!(ask(bench, &key, &open, "a", 50).await, Grant::Granted);
    for id in ["b", "c", "d"] {
        assert_eq!(wait(ask(bench, &key, &shut, id, 50).await).1, RateLimitScope::Tokens);
    }
    assert_eq!(ask(bench, &key, &open, "b", 50).await, Grant::Granted);
}

async fn takes_a_lease_once(bench: &dyn Bench) {
    let (key, limits) =
        (key("once"), Limits { requests: Some(2), concurrency: Some(2), ..Limits::default() });
    assert_eq!(ask(bench, &key, &limits, "a", 1).await, Grant::Granted);
    assert_eq!(ask(bench, &key, &limits, "a", 1).await, Grant::Granted);
    assert_eq!(ask(bench, &key, &limits, "b", 1).await, Grant::Granted);
    wait(ask(bench, &key, &limits, "c", 1).await);
}

async fn keeps_keys_apart(bench: &dyn Bench) {
    let limits = Limits { requests: Some(1), ..Limits::default() };
    for (endpoint, model, account) in [("a", "b", "c"), ("a", "b", "d"), ("a/b", "c", ""), ("a", "b/c", "")] {
        let key = RateLimitKey::new(endpoint, model, account);
        assert_eq!(ask(bench, &key, &limits, "a", 1).await, Grant::Granted, "{key}");
    }
}

async fn pauses_and_learns(bench: &dyn Bench) {
    let (key, limits) = (key("learns"), Limits { concurrency: Some(10), ..Limits::default() });
    let store = bench.store();
    store.record_rejection(&key, &limits, Some(RateLimitScope::Concurrency), Some(7 * SECOND));
    store.record_rejection(&key, &limits, Some(RateLimitScope::Concurrency), None);
    bench.settled().await;
    let (after, limit) = wait(ask(bench, &key, &limits, "a", 1).await);
    assert!(after > 5 * SECOND && after <= 7 * SECOND, "{after:?}");
    assert_eq!(limit, RateLimitScope::Concurrency);
    bench.advance(8 * SECOND).await;
    for id in 0..7 {
        assert_eq!(ask(bench, &key, &limits, &format!("a{id}"), 1).await, Grant::Granted, "{id} of 7");
    }
    assert_eq!(wait(ask(bench, &key, &limits, "b", 1).await).1, RateLimitScope::Concurrency);
    // Leases that are not renewed may have expired, so the climb is looked at with new ones.
    for id in 0..7 {
        release(bench, &key, &format!("a{id}"), 1, None).await;
    }
    bench.advance(53 * SECOND).await;
    for id in 0..8 {
        assert_eq!(ask(bench, &key, &limits, &format!("b{id}"), 1).await, Grant::Granted, "{id} of 8");
    }
    assert_eq!(wait(ask(bench, &key, &limits, "c", 1).await).1, RateLimitScope::Concurrency);
    for id in 0..8 {
        release(bench, &key, &format!("b{id}"), 1, None).await;
    }
    bench.advance(120 * SECOND).await;
    for id in 0..10 {
        assert_eq!(ask(bench, &key, &limits, &format!("c{id}"), 1).await, Grant::Granted, "{id} of 10");
    }
    assert_eq!(wait(ask(bench, &key, &limits, "d", 1).await).1, RateLimitScope::Concurrency);
}

async fn learns_unknown_limits(bench: &dyn Bench) {
    let (key, limits) = (key("unknown"), Limits::default());
    for id in 0..20 {
        assert_eq!(ask(bench, &key, &limits, &id.to_string(), 1).await, Grant::Granted);
        release(bench, &key, &id.to_string(), 1, None).await;
    }
    bench.store().record_rejection(&key, &limits, None, Some(Duration::ZERO));
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

/// Random arrivals and releases, judged by an oracle that keeps every moment.
async fn never_exceeds_a_limit_in_any_minute(bench: &dyn Bench, arrivals: usize) {
    const MINUTE: u64 = 60_000_000;
    let limits = Limits { requests: Some(12), tokens: Some(500), concurrency: Some(3) };
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
                release(bench, &key, &id, tokens, None).await;
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
            let counts = (granted.len(), tokens, open.len());
            assert!(counts.0 <= 12 && counts.1 <= 500 && counts.2 <= 3, "{seed}: {counts:?}");
        }
        let minutes = now as f64 / MINUTE as f64;
        // 500 tokens a minute in pieces of 60 are eight calls.
        assert!(f64::from(grants) > 4.0 * minutes, "{seed}: only {grants} in {minutes:.1} minutes");
    }
}
