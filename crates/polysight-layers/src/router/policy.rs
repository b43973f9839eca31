//! How a router chooses its targets, and after which failures it tries the next.

use std::collections::HashMap;

use polysight_core::catalog::Money;
use polysight_core::{Billed, Error, ErrorKind, Plan, Result, TimeoutPhase};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use strum::IntoEnumIterator as _;

use super::breaker::{BreakerPolicy, Signal};
use super::failover::FailurePolicy;
use crate::config::{require, toggle};

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

/// How a [`Router`](super::Router) chooses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouterPolicy {
    /// Which target is tried first. Default [`Strategy::Priority`].
    pub strategy: Strategy,
    /// Up to which [risk of a second bill](Error::billed) the next target is tried: `no`, `perhaps` or `likely`. Default
    /// [`Billed::Perhaps`]: after a broken connection yes, after a read timeout or an answer that broke off no, since that
    /// would be paid twice.
    pub max_billed: Billed,
    /// Kinds of failure after which the next target is tried (`true`) or not (`false`), whatever
    /// [the reaction](Error::reaction) and the bill say. A config file names them in `snake_case`; `timeout` stands for all
    /// its phases there. `config` must stay final: a wrong configuration must be seen. `content_refused = true` sends a
    /// prompt that one vendor refused to others. Default: none.
    #[serde(deserialize_with = "by_name")]
    pub failover: HashMap<ErrorKind, bool>,
    /// When a target is skipped; `None`: never. A config file gives `true`, `false` or a table. Default
    /// [`BreakerPolicy::default`].
    #[serde(deserialize_with = "toggle")]
    pub breaker: Option<BreakerPolicy>,
}

impl Default for RouterPolicy {
    fn default() -> Self {
        Self {
            strategy: Strategy::Priority,
            max_billed: Billed::Perhaps,
            failover: HashMap::new(),
            breaker: Some(BreakerPolicy::default()),
        }
    }
}

impl RouterPolicy {
    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let config = self.failover.get(&ErrorKind::Config).copied().unwrap_or(false);
        require(!config, "failover.config", config, "false: a wrong configuration must be seen")?;
        self.breaker.as_ref().map_or(Ok(()), BreakerPolicy::check)
    }
}

impl FailurePolicy for RouterPolicy {
    fn should_failover(&self, error: &Error) -> bool {
        // What was found before sending cost nothing, and is of this target's model alone.
        if !error.violations().is_empty() {
            return error.reaction().try_elsewhere;
        }
        match self.failover.get(&error.kind()) {
            Some(decided) => *decided,
            None => error.reaction().try_elsewhere && error.billed() <= self.max_billed,
        }
    }

    fn signal(&self, error: &Error) -> Signal {
        Signal::of(error)
    }
}

/// Reads kinds by their names; `timeout` stands for every time limit.
fn by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<ErrorKind, bool>, D::Error> {
    let mut decided = HashMap::new();
    for (name, failover) in HashMap::<String, bool>::deserialize(deserializer)? {
        let Some(kind) = ErrorKind::iter().find(|kind| kind.name() == name) else {
            let names: Vec<_> = ErrorKind::iter().map(ErrorKind::name).collect();
            return Err(D::Error::custom(format!(
                "no kind of failure is called `{name}` (allowed: {})",
                names.join(", ")
            )));
        };
        let phases = TimeoutPhase::iter().map(ErrorKind::Timeout);
        let kinds = phases.filter(|phase| phase.name() == kind.name()).chain([kind]);
        decided.extend(kinds.map(|kind| (kind, failover)));
    }
    Ok(decided)
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
    let priced = plans.into_iter().map(|(place, plan)| (plan.comparable_cost(), place, plan));
    let mut priced: Vec<_> = priced.collect();
    let currency = priced.iter().find_map(|(cost, ..)| Some(cost.as_ref()?.currency.clone()));
    let amount = |cost: &Option<Money>| match cost {
        Some(cost) if Some(&cost.currency) == currency.as_ref() => cost.amount,
        _ => f64::INFINITY,
    };
    priced.sort_by(|(left, ..), (right, ..)| amount(left).total_cmp(&amount(right)));
    priced.into_iter().map(|(_, place, plan)| (place, plan)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use polysight_core::{ChatRequest, VisionProvider as _};

    use super::*;
    use crate::testing::mock;

    fn with_kinds(kinds: impl IntoIterator<Item = (ErrorKind, bool)>) -> RouterPolicy {
        RouterPolicy { failover: kinds.into_iter().collect(), ..RouterPolicy::default() }
    }

    #[test]
    fn every_failure_is_decided_by_the_reaction_and_the_bill() {
        let policy = RouterPolicy::default();
        let phases = TimeoutPhase::iter().map(ErrorKind::Timeout);
        let last: Vec<_> = ErrorKind::iter()
            .filter(|kind| kind.name() != "timeout")
            .chain(phases)
            .filter(|kind| !policy.should_failover(&Error::new(*kind, "")))
            .map(|kind| kind.to_string())
            .collect();
        assert_eq!(
            last,
            [
                "unusable media",
                "content refused",
                "answer interrupted",
                "configuration",
                "timeout before the first byte",
                "timeout between two pieces of the reply",
                "timeout of the whole call",
            ]
        );
    }

    #[test]
    fn what_may_be_billed_fails_over_only_within_the_threshold() {
        let protocol = Error::new(ErrorKind::Protocol, "").with_billed(Billed::Likely);
        let network = Error::new(ErrorKind::Network, "");
        let decided = |max_billed| {
            let policy = RouterPolicy { max_billed, ..RouterPolicy::default() };
            (policy.should_failover(&network), policy.should_failover(&protocol))
        };
        assert_eq!(decided(Billed::No), (false, false));
        assert_eq!(decided(Billed::Perhaps), (true, false));
        assert_eq!(decided(Billed::Likely), (true, true));
    }

    #[test]
    fn a_refused_prompt_goes_to_others_only_when_allowed() {
        let refused = Error::new(ErrorKind::ContentRefused, "");
        let likely = RouterPolicy { max_billed: Billed::Likely, ..RouterPolicy::default() };
        assert!(!likely.should_failover(&refused));
        assert!(with_kinds([(ErrorKind::ContentRefused, true)]).should_failover(&refused));
    }

    #[test]
    fn single_kinds_can_be_decided_otherwise_whatever_the_bill() {
        let idle = ErrorKind::Timeout(TimeoutPhase::Idle);
        let policy = with_kinds([(ErrorKind::Server, false), (idle, true)]);
        assert!(!policy.should_failover(&Error::new(ErrorKind::Server, "")));
        assert!(policy.should_failover(&Error::new(idle, "")));
        assert!(!policy.should_failover(&Error::new(ErrorKind::Timeout(TimeoutPhase::Total), "")));
    }

    #[test]
    fn a_request_refused_before_sending_always_fails_over() {
        let empty = mock("a").plan(&ChatRequest::default()).unwrap_err();
        assert!(!empty.violations().is_empty());
        let policy = with_kinds([(ErrorKind::InvalidRequest, false)]);
        assert!(policy.should_failover(&empty));
        assert!(!policy.should_failover(&Error::new(ErrorKind::InvalidRequest, "")));
        let config = Error::new(ErrorKind::Config, "").with_violations(empty.violations().to_vec());
        assert!(!policy.should_failover(&config), "a wrong configuration must be seen");
    }

    #[test]
    fn every_kind_has_its_name_in_a_config() {
        let read = |text: &str| serde_json::from_str::<RouterPolicy>(text);
        let policy =
            read(r#"{"max_billed": "likely", "failover": {"timeout": false, "server": true}}"#).unwrap();
        let timeouts = TimeoutPhase::iter().map(|phase| (ErrorKind::Timeout(phase), false));
        let expected = with_kinds(timeouts.chain([(ErrorKind::Server, true)]));
        assert_eq!(policy, RouterPolicy { max_billed: Billed::Likely, ..expected });
        let unknown = read(r#"{"failover": {"timeouts": true}}"#).unwrap_err().to_string();
        assert!(unknown.contains("`timeouts` (allowed: invalid_request, invalid_media,"), "{unknown}");
    }

    #[test]
    fn a_wrong_configuration_must_stay_final() {
        let error = with_kinds([(ErrorKind::Config, true)]).check().unwrap_err();
        assert!(error.message().contains("`failover.config` is true"), "{error}");
        assert!(RouterPolicy::default().check().is_ok());
    }

    #[test]
    fn a_config_names_only_what_differs() {
        let read = |text: &str| serde_json::from_str::<RouterPolicy>(text);
        let breaker =
            BreakerPolicy { open_duration: Duration::from_millis(2_500), ..BreakerPolicy::default() };
        let default = RouterPolicy::default;
        let expected =
            RouterPolicy { strategy: Strategy::LeastConnections, breaker: Some(breaker), ..default() };
        let text = r#"{"strategy": "least_connections", "breaker": {"open_duration": 2.5}}"#;
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("{}").unwrap(), default());
        assert_eq!(read(r#"{"breaker": false}"#).unwrap(), RouterPolicy { breaker: None, ..default() });
        assert_eq!(read(r#"{"breaker": true}"#).unwrap(), default());
        for (text, words) in [
            (r#"{"strategy": "random"}"#, "`least_connections`"),
            (r#"{"breaker": {"rate": 1}}"#, "`consecutive_failures`"),
            (r#"{"breaker": 1}"#, "true, false or a table of settings"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
