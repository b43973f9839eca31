//! Which target is tried first.

use polysight_core::Plan;
use polysight_core::catalog::Money;
use serde::Deserialize;

/// In which order targets are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// As listed: the first, and the others when it fails.
    #[default]
    Priority,
    /// The first by chance, in proportion to the weights; the others by falling weight.
    Weighted,
    /// Each in its turn.
    RoundRobin,
    /// The fewest calls and streams in flight first; in turn where that is equal.
    LeastConnections,
    /// The lowest estimate first: what prompt and answer cost at most, else what the prompt costs, else what it costs
    /// at least. Amounts of different currencies are not compared: those in the currency of the first target with a
    /// known estimate go first, all others follow as listed. Every target plans the request.
    Cheapest,
}

/// Places with their weights, the heaviest first; `point` within `[0, 1)` draws the very first by weight.
pub(super) fn by_weight(mut places: Vec<(f64, usize)>, point: f64) -> Vec<usize> {
    places.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let total: f64 = places.iter().map(|(weight, _)| weight).sum();
    let mut left = point * total;
    let drawn = places.iter().position(|(weight, _)| {
        left -= weight;
        left < 0.0
    });
    if let Some(drawn) = places.get_mut(..=drawn.unwrap_or(0)) {
        drawn.rotate_right(1);
    }
    places.into_iter().map(|(_, place)| place).collect()
}

/// Plans, the lowest estimate first.
pub(super) fn by_cost(plans: Vec<(usize, Plan)>) -> Vec<(usize, Plan)> {
    let currency = plans.iter().find_map(|(_, plan)| Some(cost(plan)?.currency.clone()));
    let is_known = |plan: &Plan| cost(plan).is_some_and(|cost| Some(&cost.currency) == currency.as_ref());
    let (mut known, others): (Vec<_>, Vec<_>) = plans.into_iter().partition(|(_, plan)| is_known(plan));
    known.sort_by(|(_, left), (_, right)| amount(left).total_cmp(&amount(right)));
    known.into_iter().chain(others).collect()
}

fn cost(plan: &Plan) -> Option<&Money> {
    let estimate = &plan.estimate;
    estimate.max_cost.as_ref().or(estimate.input_cost.as_ref()).or(estimate.min_input_cost.as_ref())
}

fn amount(plan: &Plan) -> f64 {
    cost(plan).map_or(f64::INFINITY, |cost| cost.amount)
}
