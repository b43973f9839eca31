//! Several targets behind one provider: which is tried first, which next, and which is skipped for a while.
//!
//! - The target is chosen when a request is planned: the first in the order of the [`Strategy`] whose
//!   [breaker](BreakerPolicy) is closed and whose plan takes the request. The plan that comes out is that target's.
//! - After a failure the next target plans the request as the router got it, and is tried; in a stream only before its
//!   first event. Which failures that are is the error's [reaction](polysight_core::Error::reaction) and the
//!   [`RouterPolicy`]. Each target that is tried plans once.
//! - If all targets are skipped, the one whose time is up first is tried all the same, rather than failing for sure.
//! - A model's name goes only to targets whose catalogue knows it; if none does, only to the first.
//! - The answer names the provider that gave it; its [`attempts`](polysight_core::ResponseMeta::attempts) list the targets
//!   that gave none. If none answers, the error is that of the last target that was tried; if none was, the refusal of the
//!   target that is listed first.

mod breaker;
mod failover;
mod key_pool;
mod policy;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::plan::Route;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Plan, ProviderId, Result,
    VisionProvider,
};

pub use breaker::{BREAKER_OPEN, BreakerPolicy, BreakerState};
pub use key_pool::{KeyPool, KeyPoolPolicy};
pub use policy::{RouterPolicy, Strategy};

use crate::call::{Reply, named};
use crate::config::require;
use failover::{Notes, Targets};

/// A provider that a router may try.
#[derive(Debug, Clone)]
pub struct Target {
    provider: Arc<dyn VisionProvider>,
    name: Arc<str>,
    weight: f64,
}

impl Target {
    /// A target with the provider's own name and weight 1.
    #[must_use]
    pub fn new(provider: Arc<dyn VisionProvider>) -> Self {
        let name = Arc::clone(&provider.id().name);
        Self { provider, name, weight: 1.0 }
    }

    /// Names it, for [`TargetState`] and for the note that it was skipped.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets its share under [`Strategy::Weighted`], in proportion to the others' weights: 0 or more. A target of weight 0 is
    /// tried only when others fail.
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
    pub name: Arc<str>,
    /// Whether calls go to it.
    pub breaker: BreakerState,
    /// Calls and streams in flight.
    pub in_flight: usize,
}

/// Tries several targets, one after the other, until one answers.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::{Result, VisionProvider};
/// use polysight::layers::{Router, RouterPolicy, Strategy, Target};
///
/// /// Nine of ten requests go to the first; each stands in for the other.
/// fn both(first: Arc<dyn VisionProvider>, second: Arc<dyn VisionProvider>) -> Result<Router> {
///     let targets = [Target::new(first).with_weight(9.0), Target::new(second)];
///     Router::new("both", targets, RouterPolicy { strategy: Strategy::Weighted, ..RouterPolicy::default() })
/// }
/// ```
pub struct Router {
    id: ProviderId,
    strategy: Strategy,
    first: Arc<dyn VisionProvider>,
    targets: Targets,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({}, {:?})", self.id, self.targets)
    }
}

impl Router {
    /// A router of this name over these targets. Its vendor is that of all its targets, or `router` when they differ;
    /// its catalogue is that of the first.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without targets, for a weight that is negative or no number, and as [`RouterPolicy::check`].
    pub fn new(
        name: impl Into<Arc<str>>,
        targets: impl IntoIterator<Item = Target>,
        policy: RouterPolicy,
    ) -> Result<Self> {
        let (name, targets) = (name.into(), Vec::from_iter(targets));
        policy.check().and_then(|()| check_weights(&targets)).map_err(|error| error.with_provider(&*name))?;
        let first = targets.first().map(|target| Arc::clone(&target.provider));
        let first = first.ok_or_else(|| no_targets().with_provider(&*name))?;
        let vendor = &first.id().vendor;
        let common = targets.iter().all(|target| target.provider.id().vendor == *vendor);
        let vendor = if common { Arc::clone(vendor) } else { "router".into() };
        let (strategy, breaker) = (policy.strategy, policy.breaker.clone());
        let targets = Targets::new(targets, breaker.as_ref(), Arc::new(policy));
        Ok(Self { id: ProviderId::new(name, vendor), strategy, first, targets })
    }

    /// Draws the same targets in each run, for tests.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.targets.seed(seed);
        self
    }

    /// What is known of the targets, as listed.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetState> {
        self.targets.states()
    }

    /// The places of the targets that the request may go to: a model's name is never sent to a vendor that does not know it.
    fn serving(&self, request: &ChatRequest) -> Vec<usize> {
        let places = 0..self.targets.members().len();
        let Some(model) = &request.model else { return places.collect() };
        let knows = |place: &usize| {
            self.targets.members().get(*place).is_some_and(|member| knows(member.provider(), model))
        };
        let known: Vec<_> = places.filter(knows).collect();
        if known.is_empty() { vec![0] } else { known }
    }

    /// Sends the plan to the target that made it, and the request to the others when that fails.
    async fn call<R: Reply>(&self, mut plan: Plan) -> Result<R> {
        let route = plan.pop_route(&self.id)?;
        let log = plan.attempt_log().cloned();
        let Route { request, target, remaining, attempts, mut alternatives, .. } = route;
        alternatives.push((target, plan));
        let plan_for = |place, provider: &dyn VisionProvider| match alternatives
            .iter()
            .position(|(planned, _)| *planned == place)
        {
            Some(index) => Ok(alternatives.swap_remove(index).1),
            None => provider.plan(&request),
        };
        self.targets.call(std::iter::once(target).chain(remaining), attempts, log, plan_for).await
    }
}

/// A request on its way to a plan.
struct Choice<'a> {
    router: &'a Router,
    request: &'a ChatRequest,
    notes: Notes,
    /// Targets whose breaker is open.
    skipped: Vec<(std::time::Duration, usize)>,
}

impl Choice<'_> {
    /// The plan of the first target that takes the request.
    fn first(mut self, order: Vec<usize>) -> Result<Plan> {
        let mut order = order.into_iter();
        while let Some(place) = order.next() {
            if let Some(plan) = self.plan(place) {
                return Ok(self.route(plan, place, order.collect(), Vec::new()));
            }
        }
        self.last_resort()
    }

    /// The plan of the cheapest target.
    fn cheapest(mut self, places: Vec<usize>) -> Result<Plan> {
        let plans = places.into_iter().filter_map(|place| Some((place, self.plan(place)?))).collect();
        let mut plans = policy::by_cost(plans).into_iter();
        let Some((place, plan)) = plans.next() else { return self.last_resort() };
        let alternatives = Vec::from_iter(plans);
        let remaining = alternatives.iter().map(|(place, _)| *place).collect();
        Ok(self.route(plan, place, remaining, alternatives))
    }

    /// Where the breakers of all that would take the request are open: the one whose time is up first.
    fn last_resort(mut self) -> Result<Plan> {
        let mut skipped = std::mem::take(&mut self.skipped);
        skipped.sort_unstable();
        for (_, place) in skipped {
            self.notes.unskip(place);
            if let Some(plan) = self.plan_unchecked(place) {
                return Ok(self.route(plan, place, Vec::new(), Vec::new()));
            }
        }
        Err(self.notes.into_error())
    }

    fn plan(&mut self, place: usize) -> Option<Plan> {
        let member = self.router.targets.members().get(place)?;
        if let Err(rejected) = member.would_admit() {
            self.skipped.push((rejected.left, place));
            self.notes.skipped(place, member.skipped(rejected));
            return None;
        }
        self.plan_unchecked(place)
    }

    fn plan_unchecked(&mut self, place: usize) -> Option<Plan> {
        let provider = self.router.targets.members().get(place)?.provider();
        provider
            .plan(self.request)
            .map_err(|refusal| self.notes.refused(place, named(refusal, provider)))
            .ok()
    }

    fn route(
        self,
        mut plan: Plan,
        place: usize,
        remaining: Vec<usize>,
        alternatives: Vec<(usize, Plan)>,
    ) -> Plan {
        let mut route = Route::new(self.router.id.clone(), self.request.clone(), place);
        route.remaining = remaining;
        route.alternatives = alternatives;
        route.attempts = self.notes.into_attempts();
        plan.push_route(route);
        plan
    }
}

/// True when the provider's catalogue has the model.
fn knows(provider: &dyn VisionProvider, model: &str) -> bool {
    provider.catalog().find(model).is_some()
}

fn check_weights(targets: &[Target]) -> Result<()> {
    targets.iter().try_for_each(|Target { name, weight, .. }| {
        let fits = weight.is_finite() && *weight >= 0.0;
        require(fits, &format!("{name}.weight"), weight, "0 or more")
    })
}

fn no_targets() -> Error {
    Error::new(ErrorKind::Config, "no targets are given (allowed: at least one)")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Router {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        self.first.catalog()
    }

    /// Chooses the target. The plan is that target's, and keeps the request for the others; only this router sends it.
    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        let choice = Choice { router: self, request, notes: Notes::default(), skipped: Vec::new() };
        let serving = self.serving(request);
        match self.strategy {
            Strategy::Cheapest => choice.cheapest(serving),
            strategy => choice.first(self.targets.order(strategy, serving)),
        }
    }

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        self.call(plan).await
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        self.call(plan).await
    }
}
