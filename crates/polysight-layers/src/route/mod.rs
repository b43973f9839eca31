//! Several targets behind one provider: who is asked first, who next, and who is left alone for a while.
//!
//! What is promised:
//! - A target whose plan refuses the request (a model that cannot see what is in it, too many pictures) is not asked;
//!   nor is one that [failed again and again](BreakerPolicy) of late. If all are left alone, the one whose time is up
//!   first is asked all the same, rather than failing for sure.
//! - A model's name is sent only to targets whose catalogue knows it; if none does, only to the first.
//! - The next target is asked after the failures that [`MoveOn`] lists, and in a stream only before its first event.
//! - The answer names who gave it; its [`attempts`](polysight_core::ChatResponse::attempts) tell who did not, in the
//!   order in which they were come to. If nobody answers, the error is that of the last target that was really asked;
//!   if none was, the refusal of the target that is listed first.

mod breaker;
mod breaker_policy;
mod keys;
mod log;
mod move_on;
mod order;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Plan, ProviderId, Result,
    VisionProvider,
};
use serde::Deserialize;

pub use breaker::BreakerState;
pub use breaker_policy::{BreakerPolicy, SKIPPED};
pub use keys::{KeyPool, KeyPoolPolicy};
pub use move_on::MoveOn;
pub use order::Order;

use crate::Env;
use crate::setting::require;
use breaker_policy::Verdict;
use log::Log;
use pool::{Manner, Member, Pool, Rule};

/// How a route chooses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RoutePolicy {
    /// Whom to ask first. Default [`Order::Given`].
    pub order: Order,
    /// After which failures the next target is asked.
    pub move_on: MoveOn,
    /// When a target is left alone; `None`: never. Default [`BreakerPolicy::default`]. A config gives the policy's
    /// table, or `false`.
    #[serde(deserialize_with = "crate::switch::deserialize")]
    pub breaker: Option<BreakerPolicy>,
    /// For [`Order::Fastest`]: after this long a known time counts half. Above zero, default 60 s.
    #[serde(with = "crate::seconds")]
    pub half_life: Duration,
    /// For [`Order::Fastest`]: a failure counts as an answer that took at least this long. Default 30 s.
    #[serde(with = "crate::seconds")]
    pub failure_pace: Duration,
}

impl Default for RoutePolicy {
    fn default() -> Self {
        Self {
            order: Order::Given,
            move_on: MoveOn::default(),
            breaker: Some(BreakerPolicy::default()),
            half_life: Duration::from_secs(60),
            failure_pace: Duration::from_secs(30),
        }
    }
}

impl RoutePolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whom to ask first.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets after which failures the next target is asked.
    #[must_use]
    pub fn with_move_on(mut self, move_on: MoveOn) -> Self {
        self.move_on = move_on;
        self
    }

    /// Sets when a target is left alone; `None`: never.
    #[must_use]
    pub fn with_breaker(mut self, breaker: impl Into<Option<BreakerPolicy>>) -> Self {
        self.breaker = breaker.into();
        self
    }

    /// Sets after how long a known time counts half.
    #[must_use]
    pub fn with_half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life;
        self
    }

    /// Sets how slow a failure counts.
    #[must_use]
    pub fn with_failure_pace(mut self, pace: Duration) -> Self {
        self.failure_pace = pace;
        self
    }

    /// Checks the policy.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        require(!self.half_life.is_zero(), "half_life", self.half_life, "more than nothing")?;
        self.move_on.check()?;
        self.breaker.as_ref().map_or(Ok(()), BreakerPolicy::check)
    }

    fn manner(&self) -> Manner {
        Manner {
            order: self.order,
            breaker: self.breaker.clone(),
            half_life: self.half_life,
            failure_pace: self.failure_pace,
        }
    }
}

impl Rule for RoutePolicy {
    fn moves_on(&self, error: &Error) -> bool {
        self.move_on.moves_on(error)
    }

    fn judge(&self, error: &Error) -> Verdict {
        match &self.breaker {
            Some(breaker) => breaker.judge(error),
            None => BreakerPolicy::default().judge(error),
        }
    }

    fn plans(&self) -> bool {
        true
    }
}

/// Somebody whom a route may ask.
#[derive(Debug, Clone)]
pub struct Target {
    provider: Arc<dyn VisionProvider>,
    name: String,
    weight: f64,
}

impl Target {
    /// A target with the provider's own name and weight 1.
    #[must_use]
    pub fn new(provider: Arc<dyn VisionProvider>) -> Self {
        let name = provider.id().name.clone();
        Self { provider, name, weight: 1.0 }
    }

    /// Names it, for [`TargetState`] and for the note that it was skipped.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets its share under [`Order::Weighted`], in proportion to the others' weights. A target of weight 0 is asked
    /// only when others fail.
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
}

/// What is known of a target, for operators.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TargetState {
    /// Its name.
    pub name: String,
    /// Whether calls go to it.
    pub breaker: BreakerState,
    /// Calls and streams that are open.
    pub in_flight: usize,
    /// Moving average of the time to the answer or to a stream's first event; `None`: never asked. Failures count as slow.
    pub typical: Option<Duration>,
}

/// Asks several targets, one after the other, until one answers.
///
/// ```
/// use std::sync::Arc;
/// use polysight_core::{Result, VisionProvider};
/// use polysight_layers::route::{Order, Route, RoutePolicy, Target};
///
/// /// Nine of ten questions go to the first; each stands in for the other.
/// fn both(first: Arc<dyn VisionProvider>, second: Arc<dyn VisionProvider>) -> Result<Route> {
///     let targets = [Target::new(first).with_weight(9.0), Target::new(second)];
///     Route::new("both", targets, RoutePolicy::new().with_order(Order::Weighted))
/// }
/// ```
#[derive(Debug)]
pub struct Route {
    id: ProviderId,
    first: Arc<dyn VisionProvider>,
    pool: Pool,
}

impl Route {
    /// A route of this name over these targets. Its vendor is that of all its targets, or `route` when they differ;
    /// its catalogue is that of the first.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without targets, for a weight that is negative or no number, and as [`RoutePolicy::check`].
    pub fn new(
        name: impl Into<String>,
        targets: impl IntoIterator<Item = Target>,
        policy: RoutePolicy,
    ) -> Result<Self> {
        let (name, targets) = (name.into(), Vec::from_iter(targets));
        policy.check().and_then(|()| check_targets(&targets)).map_err(|error| error.with_provider(&name))?;
        let first = targets.first().map(|target| Arc::clone(&target.provider));
        let first = first.ok_or_else(|| nobody().with_provider(&name))?;
        let vendor = &first.id().vendor;
        let common = targets.iter().all(|target| target.provider.id().vendor == *vendor);
        Ok(Self {
            id: ProviderId::new(name, if common { vendor } else { "route" }),
            first,
            pool: Pool::new(targets, policy.manner(), Arc::new(policy)),
        })
    }

    /// Takes time and chance from here; what was learnt is forgotten.
    #[must_use]
    pub fn with_env(self, env: Env) -> Self {
        Self { pool: self.pool.with_env(env), ..self }
    }

    /// What is known of the targets, as listed.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetState> {
        self.pool.states()
    }

    /// Those whom the request may go to: a model's name is never sent to a vendor that does not know it.
    fn serving(&self, request: &ChatRequest) -> Vec<Arc<Member>> {
        let members = self.pool.members();
        let Some(model) = &request.model else { return members.to_vec() };
        let known: Vec<_> =
            members.iter().filter(|member| knows(member.provider(), model)).map(Arc::clone).collect();
        if known.is_empty() { members.iter().take(1).map(Arc::clone).collect() } else { known }
    }
}

/// True when the provider's catalogue has the model.
pub(crate) fn knows(provider: &dyn VisionProvider, model: &str) -> bool {
    provider.catalog().card(model).known
}

fn check_targets(targets: &[Target]) -> Result<()> {
    targets.iter().try_for_each(|Target { name, weight, .. }| {
        let fits = weight.is_finite() && *weight >= 0.0;
        require(fits, &format!("{name}.weight"), weight, "0 or more")
    })
}

fn nobody() -> Error {
    Error::new(ErrorKind::Config, "no targets are given (allowed: at least one)")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Route {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        self.first.catalog()
    }

    /// The plan of the first target that takes the request, in the order in which they would be asked; under
    /// [`Order::Weighted`], where that is left to chance, by falling weight.
    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        let mut log = Log::default();
        for member in self.pool.ordered(self.serving(&request), &request, false) {
            match member.provider().plan(request.clone()) {
                Ok(plan) => return Ok(plan),
                Err(refusal) => log.refused(member.place(), refusal),
            }
        }
        Err(log.into_error().unwrap_or_else(nobody))
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        let members = self.serving(&request);
        self.pool.ask(request, members).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let members = self.serving(&request);
        self.pool.ask(request, members).await
    }
}

#[cfg(test)]
mod tests;
