//! Who is asked first.

use polysight_core::catalog::Money;

use super::*;

#[tokio::test(start_paused = true)]
async fn weights_share_the_first_place_and_order_the_rest() {
    let fakes = ["a", "b", "c", "d"].map(well);
    let targets =
        fakes.iter().zip([6.0, 3.0, 1.0, 0.0]).map(|(fake, weight)| target(fake).with_weight(weight));
    let policy = RoutePolicy::new().with_order(Order::Weighted);
    let route = Route::new("r", targets, policy).unwrap().with_env(Env::seeded(7));
    let mut firsts = [0_u32; 4];
    for _ in 0..10_000 {
        let places: Vec<_> = ordered(&route, true);
        firsts[places[0]] += 1;
        assert!(places[1..].is_sorted(), "the rest by weight: {places:?}");
    }
    // Six standard deviations of a binomial count.
    for (count, expected) in firsts.into_iter().zip([6_000, 3_000, 1_000, 0]) {
        assert!(count.abs_diff(expected) < 300, "{firsts:?}");
    }
    assert_eq!(firsts[3], 0, "without weight it is never first");
    assert_eq!(ordered(&route, false), [0, 1, 2, 3], "a plan draws nothing");
}

#[tokio::test(start_paused = true)]
async fn the_cheapest_goes_first_and_unknown_costs_last() {
    let money = |currency: &str, amount| Some(Money::new(currency, amount));
    let mut estimates = std::array::from_fn::<_, 6, _>(|_| Estimate::default());
    estimates[1].max_cost = money("CNY", 0.3);
    estimates[2].max_cost = money("USD", 0.1);
    estimates[3].input_cost = money("CNY", 0.2);
    (estimates[4].max_cost, estimates[4].input_cost) = (money("CNY", 0.4), money("CNY", 0.01));
    estimates[5].min_input_cost = money("CNY", 0.1);
    let fake = well("a");
    let route =
        dressed(estimates.map(|estimate| Dressed::new(&fake).with_estimate(estimate)), Order::Cheapest);
    assert_eq!(ordered(&route, true), [5, 3, 1, 4, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_cheaper_model_answers() {
    let [dear, eye] = [well("dear"), well("eye")];
    let route = dressed([Dressed::new(&dear).with_model("dear"), Dressed::new(&eye)], Order::Cheapest);
    assert_eq!(route.chat(request().with_max_tokens(10)).await.unwrap().provider, "eye");
    assert_eq!(route.plan(request().with_max_tokens(10)).unwrap().model(), "eye");
}

#[tokio::test(start_paused = true)]
async fn the_fastest_is_preferred_and_a_slow_one_is_looked_at_again() {
    let a = Fake::new("a", std::iter::once(slow(4_000)).chain(std::iter::repeat_n(slow(10), 1_000)));
    let b = Fake::new("b", std::iter::repeat_n(slow(1_000), 1_000));
    let route = route([&a, &b], RoutePolicy::new().with_order(Order::Fastest));
    for _ in 0..20 {
        route.chat(request()).await.unwrap();
    }
    assert_eq!([a.calls(), b.calls()], [1, 19], "each is seen once, then the faster is asked");
    for _ in 0..130 {
        route.chat(request()).await.unwrap();
    }
    assert!(a.calls() > 1, "what is known of the slow one has faded");
    let before = b.calls();
    for _ in 0..200 {
        route.chat(request()).await.unwrap();
    }
    assert!(b.calls() - before < 20, "the one that has become fast is asked now: {}", b.calls() - before);
}

#[tokio::test(start_paused = true)]
async fn a_failure_counts_as_slow() {
    let a = Fake::new("a", [failing(ErrorKind::Server)]);
    let b = Fake::new("b", std::iter::repeat_n(slow(1_000), 100));
    let route = route([&a, &b], RoutePolicy::new().with_order(Order::Fastest));
    for _ in 0..10 {
        assert_eq!(route.chat(request()).await.unwrap().provider, "b");
    }
    assert_eq!(a.calls(), 1);
    assert_eq!(route.targets()[0].typical, Some(Duration::from_secs(30)));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_takes_nothing_is_not_the_fastest() {
    let a = Fake::new("a", std::iter::repeat_n(failing(ErrorKind::InvalidRequest), 100));
    let b = Fake::new("b", std::iter::repeat_n(slow(1_000), 100));
    let route = route([&a, &b], RoutePolicy::new().with_order(Order::Fastest));
    for _ in 0..10 {
        assert_eq!(route.chat(request()).await.unwrap().provider, "b");
    }
    assert_eq!((a.calls(), route.targets()[0].breaker), (1, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn calls_at_once_do_not_all_look_at_the_same_unseen_target() {
    let fakes = ["a", "b", "c"].map(|name| Fake::new(name, std::iter::repeat_n(slow(100), 10)));
    let route = route([&fakes[0], &fakes[1], &fakes[2]], RoutePolicy::new().with_order(Order::Fastest));
    let all = (route.chat(request()), route.chat(request()), route.chat(request()));
    let (a, b, c) = tokio::join!(all.0, all.1, all.2);
    let said = [a, b, c].map(|answer| answer.unwrap().provider);
    assert_eq!(said, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn one_call_alone_looks_again_at_a_slow_target() {
    let a = Fake::new("a", [slow(2_000), slow(2_000)]);
    let b = Fake::new("b", std::iter::repeat_n(slow(1_000), 200));
    let route = route([&a, &b], RoutePolicy::new().with_order(Order::Fastest));
    while a.calls() < 2 {
        let (left, right) = tokio::join!(route.chat(request()), route.chat(request()));
        let both = left.unwrap().provider + &right.unwrap().provider;
        assert_ne!(both, "aa");
    }
    assert_eq!(a.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_has_its_turn() {
    let [a, b, c] = [well("a"), well("b"), well("c")];
    let route = route([&a, &b, &c], RoutePolicy::new().with_order(Order::RoundRobin));
    let mut said = String::new();
    for _ in 0..6 {
        assert!(route.plan(request()).is_ok(), "a plan takes no turn");
        said += &route.chat(request()).await.unwrap().provider;
    }
    assert_eq!(said, "abcabc");
}

#[tokio::test(start_paused = true)]
async fn the_least_busy_is_asked_until_its_stream_has_ended() {
    let [a, b] = [well("a"), well("b")];
    let route = route([&a, &b], RoutePolicy::new().with_order(Order::LeastBusy));
    let mut first = route.stream(request()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(route.chat(request()).await.unwrap().provider, "b");
    }
    while first.next_event().await.is_some() {}
    let open = route.stream(request()).await.unwrap();
    assert_eq!(route.targets().iter().map(|target| target.in_flight).sum::<usize>(), 1, "{open:?}");
}

#[test]
fn a_config_names_only_what_differs() {
    let read = |text: &str| serde_json::from_str::<RoutePolicy>(text);
    let text = r#"{"order": "least_busy", "breaker": {"open_for": 2.5}, "half_life": 10}"#;
    let breaker = BreakerPolicy::new().with_open_for(Duration::from_millis(2_500));
    let expected = RoutePolicy::new().with_order(Order::LeastBusy).with_breaker(breaker);
    assert_eq!(read(text).unwrap(), expected.with_half_life(Duration::from_secs(10)));
    assert_eq!(read("{}").unwrap(), RoutePolicy::new());
    assert_eq!(read(r#"{"breaker": false}"#).unwrap(), RoutePolicy::new().with_breaker(None));
    assert_eq!(read(r#"{"breaker": true}"#).unwrap(), RoutePolicy::new());
    for (text, told) in [
        (r#"{"order": "random"}"#, "`least_busy`"),
        (r#"{"breaker": {"rate": 1}}"#, "`failure_rate`"),
        (r#"{"breaker": 1}"#, "true, false or a table of settings"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

fn ordered(route: &Route, real: bool) -> Vec<usize> {
    let members = route.pool.ordered(route.serving(&request()), &request(), real);
    members.iter().map(|member| member.place()).collect()
}
