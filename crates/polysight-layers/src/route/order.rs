//! Whom to ask first.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use polysight_core::catalog::Money;
use polysight_core::{ChatRequest, Estimate};
use serde::Deserialize;

use super::pool::Member;

/// In which order the targets are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// As listed: the first, and the others when it fails.
    #[default]
    Given,
    /// The first by chance, in proportion to the weights; the others by falling weight.
    Weighted,
    /// The lowest estimate first: what prompt and answer cost at most, else what the prompt costs, else what it costs
    /// at least. Amounts of different currencies are not compared: those in the currency of the first target with a
    /// known estimate go first, all others follow as listed.
    Cheapest,
    /// The shortest time to the answer, or to a stream's first event, first. Targets that were never asked go before
    /// all. Failures count as slow; what is known fades with time, so that a slow target is looked at again.
    Fastest,
    /// Each in its turn.
    RoundRobin,
    /// The fewest calls and streams in flight first; in turn where that is equal.
    LeastBusy,
}

/// The heaviest first; `point` within `[0, 1)` draws the very first by weight, without one there is no chance in it.
pub(super) fn by_weight(mut members: Vec<Arc<Member>>, point: Option<f64>) -> Vec<Arc<Member>> {
    members.sort_by(|left, right| right.weight().total_cmp(&left.weight()));
    let total: f64 = members.iter().map(|member| member.weight()).sum();
    let Some(mut left) = point.map(|point| point * total) else { return members };
    let drawn = members.iter().position(|member| {
        left -= member.weight();
        left < 0.0
    });
    if let Some(drawn) = members.get_mut(..=drawn.unwrap_or(0)) {
        drawn.rotate_right(1);
    }
    members
}

/// The lowest estimate first.
pub(super) fn by_cost(members: Vec<Arc<Member>>, request: &ChatRequest) -> Vec<Arc<Member>> {
    let priced: Vec<_> = members.into_iter().map(|member| (cost(&member, request), member)).collect();
    let currency = priced.iter().find_map(|(cost, _)| Some(cost.as_ref()?.currency.clone()));
    let (mut known, others): (Vec<_>, Vec<_>) = priced
        .into_iter()
        .partition(|(cost, _)| cost.as_ref().is_some_and(|cost| Some(&cost.currency) == currency.as_ref()));
    known.sort_by(|(left, _), (right, _)| amount(left.as_ref()).total_cmp(&amount(right.as_ref())));
    known.into_iter().chain(others).map(|(_, member)| member).collect()
}

fn cost(member: &Member, request: &ChatRequest) -> Option<Money> {
    let Estimate { max_cost, input_cost, min_input_cost, .. } =
        member.provider().plan(request.clone()).ok()?.estimate;
    max_cost.or(input_cost).or(min_input_cost)
}

fn amount(cost: Option<&Money>) -> f64 {
    cost.map_or(f64::INFINITY, |cost| cost.amount)
}

/// The fastest first.
pub(super) fn by_pace(mut members: Vec<Arc<Member>>, now: Instant, half_life: Duration) -> Vec<Arc<Member>> {
    let mut ranked: Vec<_> = members.drain(..).map(|member| (member.rank(now, half_life), member)).collect();
    ranked.sort_by(|(left, _), (right, _)| left.cmp(right));
    ranked.into_iter().map(|(_, member)| member).collect()
}

/// Where a target stands among the fastest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rank {
    /// Nothing is known of it: it is looked at first.
    Unseen,
    /// Its fading time, in seconds.
    Seen(f64),
    /// Nothing is known of it yet, but this many calls are finding out.
    Awaited(usize),
}

impl Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Seen(left), Self::Seen(right)) => left.total_cmp(right),
            (Self::Awaited(left), Self::Awaited(right)) => left.cmp(right),
            _ => self.class().cmp(&other.class()),
        }
    }

    fn class(&self) -> u8 {
        match self {
            Self::Unseen => 0,
            Self::Seen(_) => 1,
            Self::Awaited(_) => 2,
        }
    }
}

/// How fast a target has been of late.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Moving average of the seconds to the answer, and when it was last told.
    typical: Option<(f64, Instant)>,
    asked: Option<Instant>,
}

/// What the average keeps of itself when it is told a new time at once.
const KEPT: f64 = 0.7;

impl Pace {
    /// The target is asked: until it has answered, its time does not fade, so that only one call looks at it again.
    pub(super) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// Learns a time; the older what was known is, the less it weighs.
    pub(super) fn heard(&mut self, took: Duration, now: Instant, half_life: Duration) {
        let took = took.as_secs_f64();
        let average = match self.typical {
            None => took,
            Some((old, at)) => {
                let kept = KEPT * faded(now.saturating_duration_since(at), half_life);
                old * kept + took * (1.0 - kept)
            }
        };
        self.typical = Some((average, now));
    }

    /// The average, in seconds.
    pub(super) fn typical(&self) -> Option<f64> {
        self.typical.map(|(seconds, _)| seconds)
    }

    /// The average as it counts now.
    pub(super) fn score(&self, now: Instant, half_life: Duration) -> Option<f64> {
        let (seconds, heard) = self.typical?;
        let fresh = self.asked.map_or(heard, |asked| asked.max(heard));
        Some(seconds * faded(now.saturating_duration_since(fresh), half_life))
    }
}

fn faded(age: Duration, half_life: Duration) -> f64 {
    (-age.as_secs_f64() / half_life.as_secs_f64().max(f64::MIN_POSITIVE)).exp2()
}
