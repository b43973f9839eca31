//! Which target is tried first.

use polysight_core::Estimate;
use polysight_core::catalog::Money;

use super::*;
use crate::router::strategy::{by_cost, by_weight};

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
    let route = Router::new("r", targets, with_strategy(Strategy::Weighted)).unwrap();
    for _ in 0..20 {
        route.chat(request()).await.unwrap();
    }
    assert_eq!([a.plan_count(), b.plan_count()], [0, 20]);
}

#[test]
fn the_cheapest_goes_first_and_unknown_costs_last() {
    let money = |currency: &str, amount| Some(Money::new(currency, amount));
    let mut estimates = std::array::from_fn::<_, 6, _>(|_| Estimate::default());
    estimates[1].max_cost = money("CNY", 0.3);
    estimates[2].max_cost = money("USD", 0.1);
    estimates[3].input_cost = money("CNY", 0.2);
    (estimates[4].max_cost, estimates[4].input_cost) = (money("CNY", 0.4), money("CNY", 0.01));
    estimates[5].min_input_cost = money("CNY", 0.1);
    let plan = |estimate| {
        let mut plan = mock("a").plan(&request()).unwrap();
        plan.estimate = estimate;
        plan
    };
    let ordered = by_cost(estimates.into_iter().map(plan).enumerate().collect());
    let places: Vec<_> = ordered.into_iter().map(|(place, _)| place).collect();
    assert_eq!(places, [5, 3, 1, 4, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_cheaper_model_answers_and_each_plans_once() {
    let [dear, eye] = [mock("dear").with_model("dear"), mock("eye").error(error(ErrorKind::Server))];
    let route = router([&dear, &eye], with_strategy(Strategy::Cheapest));
    assert_eq!(route.plan(&request().with_max_tokens(10)).unwrap().model(), "eye");
    let answer = route.chat(request().with_max_tokens(10)).await.unwrap();
    assert_eq!((answer.provider.as_str(), listed(&answer.attempts)), ("dear", vec!["eye server".to_owned()]));
    assert_eq!(
        [dear.plan_count(), eye.plan_count()],
        [2, 2],
        "for one request that was planned and one that was sent"
    );
}

#[tokio::test(start_paused = true)]
async fn each_has_its_turn() {
    let [a, b, c] = [mock("a"), mock("b"), mock("c")];
    let route = router([&a, &b, &c], with_strategy(Strategy::RoundRobin));
    let mut answered = String::new();
    for _ in 0..6 {
        answered += &route.chat(request()).await.unwrap().provider;
    }
    assert_eq!(answered, "abcabc");
}

#[tokio::test(start_paused = true)]
async fn the_target_with_the_fewest_calls_is_tried_until_its_stream_has_ended() {
    let [a, b] = [mock("a"), mock("b")];
    let route = router([&a, &b], with_strategy(Strategy::LeastConnections));
    let mut first = route.chat_stream(request()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(route.chat(request()).await.unwrap().provider, "b");
    }
    while first.next_event().await.is_some() {}
    drop(first);
    let open = route.chat_stream(request()).await.unwrap();
    assert_eq!(route.targets().iter().map(|target| target.in_flight).sum::<usize>(), 1, "{open:?}");
}
