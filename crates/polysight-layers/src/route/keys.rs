//! Several keys of one vendor behind one provider.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Plan, ProviderId, RateLimitScope,
    Result, RetryAdvice, VisionProvider,
};
use serde::Deserialize;

use super::breaker_policy::{BreakerPolicy, Verdict};
use super::order::Order;
use super::pool::{Manner, Pool, Rule};
use super::{Target, TargetState, nobody};
use crate::Env;
use crate::quota::is_local;
use crate::setting::require;

/// How keys are chosen and rested.
///
/// A failure that concerns the key (`authentication`, `permission`, `billing`, `quota_exhausted`, and `rate_limited`
/// unless the model is throttled for everybody) rests that key, and the next key is asked at once. Every other failure
/// is final here: whether to try again is for a retry above to say. A refusal by a quota of this side moves on
/// without resting the key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyPoolPolicy {
    /// Which key to ask first: [`Order::LeastBusy`] (default), [`Order::RoundRobin`] or [`Order::Given`].
    pub order: Order,
    /// How long a rate-limited key rests when the vendor does not say. Default 5 s.
    #[serde(with = "crate::seconds")]
    pub rest_for: Duration,
    /// How long a key rests that is wrong, or has no money, no right or no quota left. Default 60 s.
    #[serde(with = "crate::seconds")]
    pub fatal_for: Duration,
}

impl Default for KeyPoolPolicy {
    fn default() -> Self {
        Self { order: Order::LeastBusy, rest_for: Duration::from_secs(5), fatal_for: Duration::from_secs(60) }
    }
}

impl KeyPoolPolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets which key to ask first.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets how long a rate-limited key rests when the vendor does not say.
    #[must_use]
    pub fn with_rest_for(mut self, duration: Duration) -> Self {
        self.rest_for = duration;
        self
    }

    /// Sets how long a key rests that is of no use.
    #[must_use]
    pub fn with_fatal_for(mut self, duration: Duration) -> Self {
        self.fatal_for = duration;
        self
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an order that makes no sense among keys.
    pub fn check(&self) -> Result<()> {
        let alike = matches!(self.order, Order::LeastBusy | Order::RoundRobin | Order::Given);
        require(alike, "order", self.order, "least_busy, round_robin or given: keys are alike")
    }

    fn manner(&self) -> Manner {
        Manner {
            order: self.order,
            breaker: Some(BreakerPolicy::default()),
            half_life: Duration::from_secs(60),
            failure_pace: Duration::ZERO,
        }
    }
}

impl Rule for KeyPoolPolicy {
    fn moves_on(&self, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Authentication
            | ErrorKind::Permission
            | ErrorKind::Billing
            | ErrorKind::QuotaExhausted => true,
            ErrorKind::RateLimited => error.rate_limit_scope() != Some(RateLimitScope::Model),
            _ => false,
        }
    }

    fn judge(&self, error: &Error) -> Verdict {
        match (error.kind(), error.retry()) {
            _ if is_local(error) || !self.moves_on(error) => Verdict::Blameless,
            (ErrorKind::RateLimited, RetryAdvice::After(Some(told))) => Verdict::Rest(told),
            (ErrorKind::RateLimited, _) => Verdict::Rest(self.rest_for),
            _ => Verdict::Rest(self.fatal_for),
        }
    }

    fn plans(&self) -> bool {
        false
    }
}

/// Spreads calls over the keys of one vendor, and moves on from one that is limited, wrong or empty.
///
/// The providers differ only in their keys. A key that rests is skipped; after its time one call tries it, and the
/// others follow when that went well. If all rest, the one whose time is up first is tried all the same.
///
/// ```
/// use std::sync::Arc;
/// use polysight_core::{Result, VisionProvider};
/// use polysight_layers::route::{KeyPool, KeyPoolPolicy};
///
/// fn pooled(keys: Vec<Arc<dyn VisionProvider>>) -> Result<KeyPool> {
///     KeyPool::new(keys, KeyPoolPolicy::new())
/// }
/// ```
#[derive(Debug)]
pub struct KeyPool {
    first: Arc<dyn VisionProvider>,
    pool: Pool,
}

impl KeyPool {
    /// A pool of these providers, each with its own key.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without providers, for providers of different vendors, and as [`KeyPoolPolicy::check`].
    pub fn new(
        providers: impl IntoIterator<Item = Arc<dyn VisionProvider>>,
        policy: KeyPoolPolicy,
    ) -> Result<Self> {
        let providers = Vec::from_iter(providers);
        let first = Arc::clone(providers.first().ok_or_else(nobody)?);
        policy
            .check()
            .and_then(|()| one_vendor(&providers))
            .map_err(|error| error.with_provider(&first.id().name))?;
        let targets = providers.into_iter().enumerate().map(|(place, provider)| {
            let name = format!("{} key {}", provider.id().name, place + 1);
            Target::new(provider).with_name(name)
        });
        Ok(Self { first, pool: Pool::new(targets, policy.manner(), Arc::new(policy)) })
    }

    /// Takes time and chance from here; what was learnt is forgotten.
    #[must_use]
    pub fn with_env(self, env: Env) -> Self {
        Self { pool: self.pool.with_env(env), ..self }
    }

    /// What is known of the keys, as listed, under names such as `zhipu key 2`.
    #[must_use]
    pub fn keys(&self) -> Vec<TargetState> {
        self.pool.states()
    }
}

fn one_vendor(providers: &[Arc<dyn VisionProvider>]) -> Result<()> {
    let vendors: Vec<_> = providers.iter().map(|provider| provider.id().vendor.as_str()).collect();
    let alike = vendors.iter().all(|vendor| Some(vendor) == vendors.first());
    require(alike, "keys", vendors, "keys of one vendor: a route takes several")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for KeyPool {
    fn id(&self) -> &ProviderId {
        self.first.id()
    }

    fn catalog(&self) -> &Catalog {
        self.first.catalog()
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        self.first.plan(request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        self.pool.ask(request, self.pool.members().to_vec()).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        self.pool.ask(request, self.pool.members().to_vec()).await
    }
}

#[cfg(test)]
mod tests {
    use crate::quota::LOCAL_QUOTA;
    use polysight_core::Image;
    use strum::IntoEnumIterator;
    use tokio::time::advance;

    use super::super::BreakerState;
    use super::*;
    use crate::fake::{Fake, Play};

    fn request() -> ChatRequest {
        ChatRequest::ask("What is it?", Vec::<Image>::new())
    }

    fn pool<const N: usize>(keys: [&Fake; N], policy: KeyPoolPolicy) -> KeyPool {
        let keys = keys.map(|key| Arc::new(key.clone()) as Arc<dyn VisionProvider>);
        KeyPool::new(keys, policy).unwrap().with_env(Env::seeded(1))
    }

    fn in_order<const N: usize>(keys: [&Fake; N]) -> KeyPool {
        pool(keys, KeyPoolPolicy::new().with_order(Order::Given))
    }

    fn key(script: impl IntoIterator<Item = Error>) -> Fake {
        Fake::new("zhipu", script.into_iter().map(Play::fail))
    }

    fn limited() -> Error {
        Error::new(ErrorKind::RateLimited, "")
    }

    #[tokio::test(start_paused = true)]
    async fn a_limited_key_rests_for_as_long_as_the_vendor_says() {
        let told = limited().with_retry(RetryAdvice::After(Some(Duration::from_secs(20))));
        let [a, b] = [key([told]), key([])];
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
        assert_eq!([a.calls(), b.calls()], [1, 2]);
        advance(Duration::from_secs(1)).await;
        assert!(pool.chat(request()).await.unwrap().attempts.is_empty());
        assert_eq!([a.calls(), b.calls()], [2, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_rests_as_long_as_its_failure_deserves() {
        let rests = |kind| async move {
            let [a, b] = [key([Error::new(kind, "")]), key([])];
            let pool = in_order([&a, &b]);
            let moved = pool.chat(request()).await.is_ok();
            (moved, pool.keys()[0].breaker)
        };
        for kind in ErrorKind::iter() {
            let open = |seconds| (true, BreakerState::Open(Duration::from_secs(seconds)));
            let expected = match kind {
                ErrorKind::RateLimited => open(5),
                ErrorKind::Authentication
                | ErrorKind::Permission
                | ErrorKind::Billing
                | ErrorKind::QuotaExhausted => open(60),
                _ => (false, BreakerState::Closed),
            };
            assert_eq!(rests(kind).await, expected, "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_is_throttled_for_all_is_no_fault_of_the_key() {
        let [a, b] = [key([limited().with_rate_limit_scope(RateLimitScope::Model)]), key([])];
        let pool = in_order([&a, &b]);
        assert_eq!(pool.chat(request()).await.unwrap_err().kind(), ErrorKind::RateLimited);
        assert_eq!((pool.keys()[0].breaker, b.calls()), (BreakerState::Closed, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_of_this_side_moves_on_without_a_rest() {
        let [a, b] = [key([limited().with_code(LOCAL_QUOTA)]), key([])];
        let pool = in_order([&a, &b]);
        assert!(pool.chat(request()).await.is_ok());
        assert_eq!((pool.keys()[0].breaker, b.calls()), (BreakerState::Closed, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_the_vendor_do_not_rest_a_key_however_many() {
        let a = key(std::iter::repeat_n(Error::new(ErrorKind::Server, ""), 20));
        let pool = in_order([&a]);
        for _ in 0..20 {
            assert!(pool.chat(request()).await.is_err());
        }
        assert_eq!(pool.keys()[0].breaker, BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_keys_rest_the_one_that_is_rested_first_is_tried() {
        let soon = limited().with_retry(RetryAdvice::After(Some(Duration::from_secs(2))));
        let [a, b] = [key([limited()]), key([soon])];
        let pool = in_order([&a, &b]);
        assert_eq!(pool.chat(request()).await.unwrap_err().attempts().len(), 1);
        assert!(pool.chat(request()).await.is_ok());
        assert_eq!([a.calls(), b.calls()], [1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_load_is_spread_by_what_is_in_flight_and_else_in_turn() {
        let [a, b] = [key([]), key([])];
        let pool = pool([&a, &b], KeyPoolPolicy::new());
        let open = pool.stream(request()).await.unwrap();
        for _ in 0..3 {
            pool.chat(request()).await.unwrap();
        }
        assert_eq!([a.calls(), b.calls()], [1, 3]);
        drop(open);
        for _ in 0..4 {
            pool.chat(request()).await.unwrap();
        }
        assert_eq!([a.calls(), b.calls()], [3, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_out_of_the_catalogue_goes_to_every_key() {
        let [a, b] = [key([limited()]), key([])];
        assert!(in_order([&a, &b]).chat(request().with_model("next")).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_cannot_be_taken_is_refused_once() {
        let [a, b] = [key([]), key([])];
        let error = in_order([&a, &b]).chat(ChatRequest::default()).await.unwrap_err();
        assert!(!error.violations().is_empty() && error.attempts().is_empty());
    }

    #[test]
    fn is_called_as_its_provider_and_takes_one_vendor_only() {
        let fake = key([]);
        assert_eq!(in_order([&fake]).id(), fake.id());
        let none = KeyPool::new([], KeyPoolPolicy::new()).unwrap_err();
        assert_eq!(none.kind(), ErrorKind::Config);
        let policy = KeyPoolPolicy::new().with_order(Order::Cheapest);
        assert!(policy.check().unwrap_err().message().starts_with("`order` is Cheapest,"));
    }
}
