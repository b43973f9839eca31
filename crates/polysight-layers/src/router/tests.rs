//! What a router promises, on providers that play a script.

use std::time::Duration;

use polysight_core::catalog::Price;
use polysight_core::{
    Billed, CostRange, Count, Estimate, Image, StreamEvent, TimeoutPhase, VisionProviderExt as _,
};
use strum::IntoEnumIterator as _;
use tokio::time::advance;

use super::policy::{by_cost, by_weight};
use super::*;
use crate::testing::{MockProvider, SECOND, call, codes, listed, mock, request};

fn picture() -> ChatRequest {
    ChatRequest::ask("What is it?", [Image::from_url("https://example.com/a.jpg").unwrap()])
}

fn target(mock: &MockProvider) -> Target {
    Target::new(Arc::new(mock.clone()))
}

fn router<'a>(mocks: impl IntoIterator<Item = &'a MockProvider>, policy: RouterPolicy) -> Router {
    Router::new("router", mocks.into_iter().map(target), policy).unwrap().with_seed(1)
}

fn with_strategy(strategy: Strategy) -> RouterPolicy {
    RouterPolicy { strategy, ..RouterPolicy::default() }
}

fn fallback<const N: usize>(mocks: [&MockProvider; N]) -> Router {
    router(mocks, RouterPolicy::default())
}

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "")
}

fn down(name: &str) -> MockProvider {
    mock(name).error(error(ErrorKind::Server)).forever()
}

/// A mock that plays `ok`, the name of a kind of failure, `half+kind` (a stream that breaks off after a piece), `+kind`
/// (before it) and `silent`, each with how often (`server 5`) or for ever (`server *`); `blind` takes no pictures.
fn scripted(name: &str, script: &str) -> MockProvider {
    let failure = |name: &str| match name {
        "first_byte" => error(ErrorKind::Timeout(TimeoutPhase::FirstByte)),
        name => error(ErrorKind::iter().find(|kind| kind.name() == name).unwrap()),
    };
    script.split_whitespace().fold(mock(name), |mock, word| match word.split_once('+') {
        Some(("", kind)) => mock.interrupted(Vec::<&str>::new(), failure(kind)),
        Some((piece, kind)) => mock.interrupted([piece], failure(kind)),
        None if word == "ok" => mock.answer("ok"),
        None if word == "silent" => mock.silence(),
        None if word == "blind" => mock.with_model("blind"),
        None if word == "*" => mock.forever(),
        None => match word.parse() {
            Ok(count) => mock.times(count),
            Err(_) => mock.error(failure(word)),
        },
    })
}

/// Targets `a`, `b` and `c`, divided by semicolons.
fn all_scripted(scripts: &str) -> Vec<MockProvider> {
    ["a", "b", "c"].iter().zip(scripts.split(';')).map(|(name, script)| scripted(name, script)).collect()
}

fn call_counts(mocks: &[MockProvider]) -> String {
    let counts: Vec<_> = mocks.iter().map(|mock| mock.call_count().to_string()).collect();
    counts.join(" ")
}

/// `b after a server`: who answered, and the attempts before; `server of b after ..`: who failed last.
fn shown(outcome: &Result<ChatResponse>) -> String {
    let (who, attempts) = match outcome {
        Ok(response) => (response.provider.clone(), &*response.attempts),
        Err(error) => {
            (format!("{} of {}", error.kind().name(), error.provider().unwrap_or("?")), error.attempts())
        }
    };
    if attempts.is_empty() { who } else { format!("{who} after {}", listed(attempts).join(", ")) }
}

/// The rows of a table, with its cells.
fn rows<const N: usize>(table: &str) -> impl Iterator<Item = [&str; N]> {
    table.lines().filter(|row| !row.trim().is_empty()).map(|row| {
        Vec::from_iter(row.split('|').map(str::trim)).try_into().unwrap_or_else(|_| panic!("{row}"))
    })
}

/// What is asked, whether in turn (`turn`) and up to which bill; the targets; the outcome of each call; the calls of each.
const FAILOVER: &str = "
the next is tried when one fails    | text         | rate_limited; server; ok | c after a rate_limited, b server | 1 1 1
no other when the first answers     | text         | ok; ok | a | 1 0
the last failure is the error       | text         | server; overloaded | overloaded of b after a server | 1 1
a final failure ends it             | text         | server; content_refused; ok | content_refused of b after a server | 1 1 0
a read timeout is not paid twice    | text         | first_byte; ok | timeout of a | 1 0
unless that is allowed              | text likely  | first_byte; ok | b after a timeout | 1 1
a stream before its first event too | text         | +server; ok | b after a server | 1 1
no picture goes to a blind model    | picture      | blind; ok | b after a invalid_request | 0 1
which reads well                    | text         | blind; ok | a | 1 0
first refusal, in any order | picture turn | blind; blind | invalid_request of a after b invalid_request; ditto | 0 0
a refusal does not hide a failure   | picture      | server; blind | server of a after b invalid_request | 1 0
each has its turn                   | text turn    | ok; ok; ok | a; b; c; a | 2 1 1
";

#[tokio::test(start_paused = true)]
async fn a_call_goes_from_target_to_target_as_the_table_says() {
    for [what, how, scripts, outcomes, calls] in rows(FAILOVER) {
        let mut policy = RouterPolicy::default();
        if how.contains("turn") {
            policy.strategy = Strategy::RoundRobin;
        }
        if how.contains("likely") {
            policy.max_billed = Billed::Likely;
        }
        let request = if how.starts_with("picture") { picture() } else { request() };
        for streamed in [false, true] {
            let mocks = all_scripted(scripts);
            let router = router(&mocks, policy.clone());
            let mut expected = "";
            for next in outcomes.split("; ") {
                expected = if next == "ditto" { expected } else { next };
                let outcome = call(&router, request.clone(), streamed).await;
                assert_eq!(shown(&outcome), expected, "{what}, streamed: {streamed}");
                let refused = outcome.is_err_and(|error| !error.violations().is_empty());
                assert_eq!(refused, expected.starts_with("invalid_request of"), "{what}");
            }
            assert_eq!(call_counts(&mocks), calls, "{what}, streamed: {streamed}");
        }
    }
}

/// Plays `c` (a plain call), `s` (a stream), `o` (a stream that is kept open), `d` (one that is dropped), `t` (a plain call
/// that is dropped), each so often (`c 5`), and waits (`10s`). Gives the outcome of the last call.
async fn play(router: &Router, steps: &str) -> String {
    let (mut last, mut open) = (String::new(), Vec::new());
    let mut steps = steps.split_whitespace().peekable();
    while let Some(step) = steps.next() {
        if let Some(seconds) = step.strip_suffix('s').and_then(|seconds| seconds.parse().ok()) {
            advance(SECOND * seconds).await;
            continue;
        }
        let times =
            steps.next_if(|next| next.parse::<u32>().is_ok()).map_or(1, |times| times.parse().unwrap());
        for _ in 0..times {
            match step {
                "c" | "s" => last = shown(&call(router, request(), step == "s").await),
                "o" => open.push(router.chat_stream(request()).await.unwrap()),
                "d" => drop(router.chat_stream(request()).await.unwrap()),
                _ => assert!(tokio::time::timeout(SECOND / 1_000, router.chat(request())).await.is_err()),
            }
        }
    }
    last
}

/// The targets, the steps, the outcome of the last call, the calls of each target, and the first one's breaker.
const SKIPPED: &str = "
one that keeps failing              | server *; ok         | c 9         | b after a server | 5 9  | Open(10s)
until a probe, one                  | server *; ok         | c 9 10s c   | b after a server | 6 10 | Open(20s)
until a probe that succeeds         | server 5; ok         | c 5 10s c   | a | 6 5  | Closed
a dropped probe lets the next try   | server 5 silent; ok  | c 5 10s t c | a | 7 5  | Closed
a stream's probe needs an event     | server 5; ok         | c 5 10s o c | a | 7 5  | Closed
streams that break off count        | half+network 5       | s 5         | network of a | 5    | Open(10s)
a stream's good end breaks a row    | server 4 ok server 4 | s 9         | server of a | 9    | Closed
a dropped stream counts neither way | half+network 20      | d 20        |  | 20   | Closed
a failure of the account, at once   | quota_exhausted; ok  | c 2         | b after a quota_exhausted | 1 2  | Open(60s)
all: the one that is up first tries | server 5; billing    | c 6         | a after b billing | 6 1  | Closed
";

#[tokio::test(start_paused = true)]
async fn targets_are_skipped_as_the_table_says() {
    for [what, scripts, steps, last, calls, first] in rows(SKIPPED) {
        let mocks = all_scripted(scripts);
        let router = router(&mocks, RouterPolicy::default());
        assert_eq!(play(&router, steps).await, last, "{what}");
        assert_eq!(call_counts(&mocks), calls, "{what}");
        assert_eq!(format!("{:?}", router.targets()[0].breaker), first, "{what}");
        let plans: Vec<_> = mocks.iter().map(|mock| mock.plan_count().to_string()).collect();
        assert_eq!(plans.join(" "), calls, "{what}: a target that is skipped does not plan either");
    }
    let mocks = all_scripted("server *; ok");
    let without = router(&mocks, RouterPolicy { breaker: None, ..RouterPolicy::default() });
    play(&without, "c 20").await;
    assert_eq!(call_counts(&mocks), "20 20", "without a breaker none is skipped");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_skipped_is_listed_with_a_note() {
    let [a, b] = [down("a"), mock("b")];
    let router = fallback([&a, &b]);
    play(&router, "c 8").await;
    let note = &router.chat(request()).await.unwrap().attempts[0];
    assert_eq!((note.code.as_deref(), note.duration), (Some("breaker_open"), Duration::ZERO));
    let message = "a: server failure (code breaker_open): skipped after earlier failures for another 10.0s";
    assert_eq!(note.message, message);
}

#[tokio::test(start_paused = true)]
async fn attempts_inside_a_target_keep_their_place_and_no_time_is_listed_twice() {
    let failed = |code: &str| error(ErrorKind::Server).with_code(code).with_provider("a");
    let nested = failed("2").with_earlier_attempts(failed("1").into_attempts(SECOND));
    let last = failed("4").with_earlier_attempts(failed("3").into_attempts(Duration::ZERO));
    let [a, b] = [mock("a").error(nested).after(3 * SECOND), mock("b").error(last)];
    let error = fallback([&a, &b]).chat(request()).await.unwrap_err();
    assert_eq!((codes(error.attempts()), error.code()), (vec!["1", "2", "3"], Some("4")));
    let seconds: Vec<_> = error.attempts().iter().map(|attempt| attempt.duration.as_secs()).collect();
    assert_eq!(seconds, [1, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn routers_within_routers_list_their_attempts_in_order() {
    let [a, b, c, d] = [down("a"), down("b"), down("c"), mock("d")];
    let inner = |mocks: [&MockProvider; 2]| Target::new(Arc::new(fallback(mocks)));
    let outer = Router::new("outer", [inner([&a, &b]), inner([&c, &d])], RouterPolicy::default()).unwrap();
    for streamed in [false, true] {
        let outcome = call(&outer, request(), streamed).await;
        assert_eq!(shown(&outcome), "d after a server, b server, c server");
    }
}

#[tokio::test(start_paused = true)]
async fn a_models_name_goes_only_to_targets_that_know_it_or_to_the_first() {
    let [a, b, c] = [of_vendor(down("a"), "x"), of_vendor(down("b"), "y"), of_vendor(down("c"), "y")];
    let error = fallback([&a, &b, &c]).chat(request().with_model("y-eye")).await.unwrap_err();
    assert_eq!(listed(error.attempts()), ["b server"]);
    assert_eq!(c.requests()[0].model.as_deref(), Some("y-eye"));
    assert_eq!([a.call_count(), b.call_count(), c.call_count()], [0, 1, 1]);
    let router = router([&a, &b], with_strategy(Strategy::RoundRobin));
    for _ in 0..2 {
        assert!(router.chat(request().with_model("next")).await.is_err());
    }
    assert_eq!([a.call_count(), b.call_count()], [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_does_not_fail_over_after_its_first_event() {
    let [a, b, c] = [down("a"), scripted("b", "half+server"), mock("c")];
    let mut stream = fallback([&a, &b, &c]).chat_stream(request()).await.unwrap();
    assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == "half"));
    let error = stream.next_event().await.unwrap().unwrap_err();
    assert_eq!(shown(&Err(error)), "server of b after a server");
    assert_eq!(c.call_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn leaves_nothing_behind_when_it_is_dropped() {
    let mock = mock("a").silence().times(2).deltas(["a", "b"]);
    let router = fallback([&mock]);
    assert!(tokio::time::timeout(SECOND, router.chat(request())).await.is_err());
    assert!(tokio::time::timeout(SECOND, router.chat_stream(request())).await.is_err());
    let stream = router.chat_stream(request()).await.unwrap();
    assert_eq!((mock.in_flight(), router.targets()[0].in_flight), (1, 1));
    drop(stream);
    assert_eq!((mock.in_flight(), router.targets()[0].in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_failed_attempt_is_listed() {
    let [a, b] = [scripted("a", "rate_limited").after(SECOND), mock("b")];
    let answer = fallback([&a, &b]).chat(request()).await.unwrap();
    assert_eq!(answer.attempts[0].duration, SECOND);
    let [a, b] = [scripted("a", "blind"), mock("b")];
    let answer = fallback([&a, &b]).chat(picture()).await.unwrap();
    assert_eq!(answer.attempts[0].duration, Duration::ZERO);
}

#[test]
fn has_the_given_name_and_the_common_vendor() {
    let mocks = [mock("a"), mock("b")];
    let same = router(&mocks, RouterPolicy::default());
    assert_eq!((&*same.id().name, &*same.id().vendor), ("router", "fake"));
    let [x, y] = [of_vendor(mock("a"), "x"), of_vendor(mock("b"), "y")];
    let mixed = fallback([&x, &y]);
    assert_eq!((&*mixed.id().vendor, mixed.catalog().vendor()), ("router", "x"));
}

#[test]
fn plans_with_the_first_that_takes_the_request() {
    let mock = mock("a");
    let [blind, dear] = ["blind", "dear"].map(|model| mock.clone().with_model(model));
    let router = fallback([&blind, &dear]);
    assert_eq!(router.plan(&picture()).unwrap().model(), "dear");
    assert_eq!(router.plan(&request()).unwrap().model(), "blind");
    assert!(!fallback([&blind]).plan(&picture()).unwrap_err().violations().is_empty());
    assert_eq!(mock.call_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_its_own_plans_are_sent() {
    let [a, b] = [mock("a"), mock("b")];
    let router = fallback([&a, &b]);
    let other = Router::new("other", [target(&a)], RouterPolicy::default()).unwrap();
    for plan in [a.plan(&request()).unwrap(), other.plan(&request()).unwrap()] {
        let maker = plan.provider.to_string();
        let refused = router.send(plan.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest, "{maker}");
        assert!(refused.message().contains("cannot be sent by `router`"), "{refused}");
        assert!(router.stream(plan).await.is_err());
    }
    assert_eq!((a.call_count(), b.call_count(), b.plan_count()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_next_target_plans_the_request_as_the_router_got_it() {
    let [a, b] = [down("a"), mock("b").with_model("dear")];
    fallback([&a, &b]).chat(request().with_temperature(0.5)).await.unwrap();
    assert_eq!(b.requests()[0].model.as_deref(), Some("dear"), "not the model that the first filled in");
    assert_eq!((a.plan_count(), b.plan_count()), (1, 1));
}

#[test]
fn refuses_what_cannot_be_a_router() {
    let mock = mock("a");
    let policy = RouterPolicy::default;
    let breaker = Some(BreakerPolicy { consecutive_failures: 0, ..BreakerPolicy::default() });
    for (targets, policy, words) in [
        (vec![], policy(), "r: configuration: no targets are given (allowed: at least one)"),
        (
            vec![target(&mock).with_weight(-1.0)],
            policy(),
            "r: configuration: `a.weight` is -1.0, but must be 0 or more",
        ),
        (vec![target(&mock)], RouterPolicy { breaker, ..policy() }, "`breaker.consecutive_failures` is 0"),
    ] {
        let error = Router::new("r", targets, policy).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// A mock of another vendor, with one model.
fn of_vendor(mock: MockProvider, vendor: &str) -> MockProvider {
    let toml =
        format!("vendor = '{vendor}'\n[[models]]\nid = '{vendor}-eye'\nsource = 's'\nas_of = '2026-11-22'");
    mock.with_vendor(vendor)
        .with_catalog(Catalog::from_toml(&toml).unwrap())
        .with_model(format!("{vendor}-eye"))
}

#[test]
fn weights_share_the_first_place_and_order_the_rest() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut firsts = [0_u32; 4];
    for _ in 0..10_000 {
        let places = by_weight(vec![(6.0, 0), (3.0, 1), (1.0, 2), (0.0, 3)], random.f64());
        firsts[places[0]] += 1;
        assert!(places[1..].is_sorted(), "the rest by weight: {places:?}");
    }
    // Six standard deviations of a binomial count.
    for (count, expected) in firsts.into_iter().zip([6_000, 3_000, 1_000, 0]) {
        assert!(count.abs_diff(expected) < 300, "{firsts:?}");
    }
    assert_eq!(firsts[3], 0, "without weight it is never first");
}

#[tokio::test(start_paused = true)]
async fn weights_decide_which_target_plans() {
    let [a, b] = [mock("a"), mock("b")];
    let targets = [target(&a).with_weight(0.0), target(&b).with_weight(1.0)];
    let router = Router::new("r", targets, with_strategy(Strategy::Weighted)).unwrap();
    play(&router, "c 20").await;
    assert_eq!([a.plan_count(), b.plan_count()], [0, 20]);
}

#[test]
fn the_cheapest_goes_first_and_unknown_costs_last() {
    let cost = |currency: &str, input, limit| {
        let prices = [Price::new(currency, 1.0, 1.0)];
        CostRange::of(&prices, Count::between(1, input), Count::exact(limit))
    };
    let mut estimates = std::array::from_fn::<_, 5, _>(|_| Estimate::default());
    for (estimate, currency, input, limit) in
        [(1, "CNY", 30, 0), (2, "USD", 10, 0), (3, "CNY", 20, 0), (4, "CNY", 1, 100)]
    {
        estimates[estimate].input_cost = cost(currency, input, 0);
        estimates[estimate].cost = cost(currency, input, limit);
    }
    let plan = |estimate| {
        let mut plan = mock("a").plan(&request().with_max_tokens(9)).unwrap();
        plan.estimate = estimate;
        plan
    };
    let ordered = by_cost(estimates.into_iter().map(plan).enumerate().collect());
    let places: Vec<_> = ordered.into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, [3, 1, 4, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_cheaper_model_is_tried_first_and_each_plans_once() {
    let [dear, eye] = [mock("dear").with_model("dear"), scripted("eye", "server")];
    let router = router([&dear, &eye], with_strategy(Strategy::Cheapest));
    let request = request().with_max_tokens(10);
    assert_eq!(router.plan(&request).unwrap().model(), "eye");
    assert_eq!(shown(&router.chat(request).await), "dear after eye server");
    let plans = [dear.plan_count(), eye.plan_count()];
    assert_eq!(plans, [2, 2], "for one request that was planned and one that was sent");
}

#[tokio::test(start_paused = true)]
async fn the_target_with_the_fewest_calls_is_tried_until_its_stream_has_ended() {
    let [a, b] = [mock("a"), mock("b")];
    let router = router([&a, &b], with_strategy(Strategy::LeastConnections));
    let mut first = router.chat_stream(request()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(router.chat(request()).await.unwrap().provider, "b");
    }
    while first.next_event().await.is_some() {}
    drop(first);
    let open = router.chat_stream(request()).await.unwrap();
    assert_eq!(router.targets().iter().map(|target| target.in_flight).sum::<usize>(), 1, "{open:?}");
}
