//! Several keys of one vendor behind one provider: a router whose targets differ only by key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use polysight_core::{AtFault, Error, Plan, Result, VisionProvider};
use serde::Deserialize;

use super::breaker::{BreakerPolicy, Signal};
use super::failover::{FailurePolicy, Targets};
use super::policy::Strategy;
use super::{Target, TargetState, no_targets};
use crate::call::Reply;
use crate::config::{require, seconds};

/// How keys are chosen, and how long one is skipped after a failure.
///
/// After a failure at which the key or its account [is at fault](polysight_core::Reaction::at_fault) that key is skipped for
/// as long as the cause lasts, and the next key is tried at once. Every other failure is final here: whether to repeat the call
/// is for a retry outside to decide. A rejection by a rate limit of this side goes on to the next key, and the
/// key is not skipped later.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyPoolPolicy {
    /// Which key is tried first: [`Strategy::LeastConnections`] (default), [`Strategy::RoundRobin`] or
    /// [`Strategy::Priority`].
    pub strategy: Strategy,
    /// How long a key is skipped where neither the vendor says how long nor a usual time is known, in seconds in a config file.
    /// Default 5 s.
    #[serde(deserialize_with = "seconds")]
    pub cooldown: Duration,
}

impl Default for KeyPoolPolicy {
    fn default() -> Self {
        Self { strategy: Strategy::LeastConnections, cooldown: Duration::from_secs(5) }
    }
}

impl KeyPoolPolicy {
    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) for a strategy that makes no sense among keys.
    pub fn check(&self) -> Result<()> {
        let fits =
            matches!(self.strategy, Strategy::LeastConnections | Strategy::RoundRobin | Strategy::Priority);
        require(fits, "strategy", self.strategy, "least_connections, round_robin or priority: keys are alike")
    }
}

impl FailurePolicy for KeyPoolPolicy {
    fn should_failover(&self, error: &Error) -> bool {
        error.is_local() || matches!(error.reaction().at_fault, AtFault::Key | AtFault::Account)
    }

    fn signal(&self, error: &Error) -> Signal {
        let reaction = error.reaction();
        match reaction.at_fault {
            AtFault::Key | AtFault::Account => Signal::OpenFor(reaction.wait.unwrap_or(self.cooldown)),
            _ => Signal::Ignore,
        }
    }
}

/// Spreads calls over the keys of one vendor, and goes on to the next when one is limited, wrong or used up.
///
/// The providers differ only in their keys, so all of them send the plan that the first one makes. A key that failed is
/// skipped for a while; then one call tests it, and the others follow when that succeeded. If all are skipped, the one whose
/// time is up first is tried all the same.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::{Result, VisionProvider};
/// use polysight::layers::{KeyPool, KeyPoolPolicy};
///
/// fn pooled(keys: Vec<Arc<dyn VisionProvider>>) -> Result<KeyPool> {
///     KeyPool::new(keys, KeyPoolPolicy::default())
/// }
/// ```
pub struct KeyPool {
    first: Arc<dyn VisionProvider>,
    strategy: Strategy,
    targets: Targets,
}

impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPool({:?})", self.targets)
    }
}

impl KeyPool {
    /// A pool of these providers, each with its own key.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) without providers, for providers that are not the same but for
    /// their keys (name, vendor and endpoint), and as [`KeyPoolPolicy::check`].
    pub fn new(
        providers: impl IntoIterator<Item = Arc<dyn VisionProvider>>,
        policy: KeyPoolPolicy,
    ) -> Result<Self> {
        let providers = Vec::from_iter(providers);
        let first = Arc::clone(providers.first().ok_or_else(no_targets)?);
        policy
            .check()
            .and_then(|()| check_alike(&providers))
            .map_err(|error| error.with_provider(&*first.id().name))?;
        let targets = providers.into_iter().enumerate().map(|(place, provider)| {
            let name = format!("{} key {}", provider.id().name, place + 1);
            Target::new(provider).with_name(name)
        });
        let strategy = policy.strategy;
        let targets = Targets::new(targets, Some(&BreakerPolicy::default()), Arc::new(policy));
        Ok(Self { first, strategy, targets })
    }

    /// What is known of the keys, as listed, under names such as `zhipu key 2`.
    #[must_use]
    pub fn keys(&self) -> Vec<TargetState> {
        self.targets.states()
    }

    async fn call<R: Reply>(&self, plan: Plan) -> Result<R> {
        let keys = (0..self.targets.members().len()).collect();
        let order = self.targets.order(self.strategy, keys);
        let log = plan.attempt_log().cloned();
        self.targets.call(order, Vec::new(), log, |_, _| Ok(plan.clone())).await
    }
}

fn check_alike(providers: &[Arc<dyn VisionProvider>]) -> Result<()> {
    let ids: Vec<_> = providers.iter().map(|provider| provider.id()).collect();
    let alike = ids.iter().all(|id| Some(id) == ids.first());
    let shown: Vec<_> =
        ids.iter().map(|id| format!("{} ({}, {})", id.name, id.vendor, id.endpoint)).collect();
    require(alike, "keys", shown, "keys of one provider: for several use a router")
}

impl_layer!(KeyPool, first, call);

#[cfg(test)]
mod tests {
    use polysight_core::{ChatRequest, ErrorKind, RateLimitScope, RetryAdvice, VisionProviderExt as _};
    use strum::IntoEnumIterator;
    use tokio::time::advance;

    use super::super::BreakerState;
    use super::*;
    use crate::testing::{MockProvider, mock, request};

    fn pool<const N: usize>(keys: [&MockProvider; N], policy: KeyPoolPolicy) -> KeyPool {
        let keys = keys.map(|key| Arc::new(key.clone()) as Arc<dyn VisionProvider>);
        KeyPool::new(keys, policy).unwrap()
    }

    fn with_strategy(strategy: Strategy) -> KeyPoolPolicy {
        KeyPoolPolicy { strategy, ..KeyPoolPolicy::default() }
    }

    fn in_order<const N: usize>(keys: [&MockProvider; N]) -> KeyPool {
        pool(keys, with_strategy(Strategy::Priority))
    }

    fn key() -> MockProvider {
        mock("zhipu")
    }

    fn limited() -> Error {
        Error::new(ErrorKind::RateLimited, "")
    }

    #[tokio::test(start_paused = true)]
    async fn a_limited_key_is_skipped_for_as_long_as_the_vendor_says() {
        let asks = limited().with_retry(RetryAdvice::After(Some(Duration::from_secs(20))));
        let [a, b] = [key().error(asks), key()];
        let pool = in_order([&a, &b]);
        let answer = pool.chat(request()).await.unwrap();
        assert_eq!((answer.attempts.len(), answer.attempts[0].kind), (1, ErrorKind::RateLimited));
        assert_eq!(pool.keys()[0].breaker, BreakerState::Open(Duration::from_secs(20)));
        advance(Duration::from_secs(19)).await;
        let answer = pool.chat(request()).await.unwrap();
        assert_eq!(
            answer.attempts[0].message,
            "zhipu key 1: rate limited (code breaker_open): skipped after earlier failures for another 1.0s"
        );
        assert_eq!([a.call_count(), b.call_count()], [1, 2]);
        advance(Duration::from_secs(1)).await;
        assert!(pool.chat(request()).await.unwrap().attempts.is_empty());
        assert_eq!([a.call_count(), b.call_count()], [2, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_skipped_as_long_as_the_cause_of_its_failure_lasts() {
        for kind in ErrorKind::iter() {
            let [a, b] = [key().error(Error::new(kind, "")), key()];
            let pool = in_order([&a, &b]);
            let answered = pool.chat(request()).await.is_ok();
            let open = |seconds| (true, BreakerState::Open(Duration::from_secs(seconds)));
            let expected = match kind {
                ErrorKind::RateLimited => open(5),
                ErrorKind::Authentication
                | ErrorKind::Permission
                | ErrorKind::Billing
                | ErrorKind::QuotaExhausted => open(60),
                _ => (false, BreakerState::Closed),
            };
            assert_eq!((answered, pool.keys()[0].breaker), expected, "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_is_limited_for_all_accounts_is_no_fault_of_the_key() {
        let [a, b] = [key().error(limited().with_rate_limit_scope(RateLimitScope::Model)), key()];
        let pool = in_order([&a, &b]);
        assert_eq!(pool.chat(request()).await.unwrap_err().kind(), ErrorKind::RateLimited);
        assert_eq!((pool.keys()[0].breaker, b.call_count()), (BreakerState::Closed, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_limit_of_this_side_goes_on_without_skipping_the_key_later() {
        let [a, b] = [key().error(limited().with_local()), key()];
        let pool = in_order([&a, &b]);
        assert!(pool.chat(request()).await.is_ok());
        assert_eq!((pool.keys()[0].breaker, b.call_count()), (BreakerState::Closed, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_the_vendor_do_not_skip_a_key_however_many() {
        let a = key().error(Error::new(ErrorKind::Server, "")).forever();
        let pool = in_order([&a]);
        for _ in 0..20 {
            assert!(pool.chat(request()).await.is_err());
        }
        assert_eq!(pool.keys()[0].breaker, BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_keys_are_skipped_the_one_whose_time_is_up_first_is_tried() {
        let soon = limited().with_retry(RetryAdvice::After(Some(Duration::from_secs(2))));
        let [a, b] = [key().error(limited()), key().error(soon)];
        let pool = in_order([&a, &b]);
        assert_eq!(pool.chat(request()).await.unwrap_err().attempts().len(), 1);
        assert!(pool.chat(request()).await.is_ok());
        assert_eq!([a.call_count(), b.call_count()], [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_load_is_spread_by_what_is_in_flight_and_else_in_turn() {
        let [a, b] = [key(), key()];
        let pool = pool([&a, &b], KeyPoolPolicy::default());
        let open = pool.chat_stream(request()).await.unwrap();
        for _ in 0..3 {
            pool.chat(request()).await.unwrap();
        }
        assert_eq!([a.call_count(), b.call_count()], [1, 3]);
        drop(open);
        for _ in 0..4 {
            pool.chat(request()).await.unwrap();
        }
        assert_eq!([a.call_count(), b.call_count()], [3, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_out_of_the_catalogue_goes_to_every_key() {
        let [a, b] = [key().error(limited()), key()];
        assert!(in_order([&a, &b]).chat(request().with_model("next")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn all_keys_send_the_plan_of_the_first() {
        let [a, b] = [key().error(limited()), key()];
        in_order([&a, &b]).chat(request()).await.unwrap();
        assert_eq!([a.plan_count(), b.plan_count()], [1, 0]);
        assert_eq!([a.call_count(), b.call_count()], [1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_cannot_be_taken_is_refused_once() {
        let [a, b] = [key(), key()];
        let error = in_order([&a, &b]).chat(ChatRequest::default()).await.unwrap_err();
        assert!(!error.violations().is_empty() && error.attempts().is_empty());
        assert_eq!([a.plan_count(), b.plan_count()], [1, 0]);
    }

    #[test]
    fn has_the_name_of_its_provider_and_takes_keys_of_one_only() {
        let mock = key();
        assert_eq!(in_order([&mock]).id(), mock.id());
        let none = KeyPool::new([], KeyPoolPolicy::default()).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Config);
        let cheapest = with_strategy(Strategy::Cheapest);
        assert!(cheapest.check().unwrap_err().message().starts_with("`strategy` is Cheapest,"));
        let keys = ["x", "y"].map(|vendor| Arc::new(key().with_vendor(vendor)) as Arc<dyn VisionProvider>);
        let error = KeyPool::new(keys, KeyPoolPolicy::default()).unwrap_err().to_string();
        assert!(
            error.contains(r#"["zhipu (x, zhipu)", "zhipu (y, zhipu)"], but must be keys of one"#),
            "{error}"
        );
    }
}
