//! Rate limits: no more requests, tokens and concurrent requests than the vendor allows.
//!
//! - **What shares a limit**: the calls to one model with one account at one endpoint, see [`RateLimitKey`]. Every attempt
//!   counts that reaches the vendor, so this layer belongs inside retry and router.
//! - **How much**: the policy's numbers, else the catalogue's, each by itself, and no more than the vendor's headers say. An
//!   unknown limit does not limit until the vendor rejects a call.
//! - **Tokens** are reserved before the call: the plan's estimate of the prompt (where it is unknown, one token for two
//!   bytes of text and a constant for each picture and video) and the request's `max_tokens`. After the call they are
//!   reconciled with the vendor's own count, unless that is more than the model's context and answer can hold. A call that needs more than a whole minute's limit counts as that limit, or it
//!   could never go.
//! - **Waiting** is in a queue, first come first served, for a bounded time in a bounded queue. A call that cannot go gets an
//!   error of kind [`RateLimited`](polysight_core::ErrorKind::RateLimited) with the code [`LOCAL_RATE_LIMIT`], which
//!   [is local](polysight_core::Error::is_local), at once when it is sure that the wait would be too long. Each layer has
//!   queues of its own, one for each model; the first calls of all queues ask the store, those that wait for a concurrent
//!   request to end ten times a second.
//! - **Learning**: when the vendor rejects a call all calls of the key pause, the limit that was met is cut by 30 %, and
//!   climbs back by 5 % each half minute.
//! - **The store** counts: [`LocalStore`] for one process, `RedisStore` (feature `redis`) for many. When that cannot be asked
//!   the policy's [`on_store_failure`](RateLimitPolicy::on_store_failure) decides.
//!
//! What is counted is the moment of the grant. A vendor counts arrivals, so each count is kept for a second longer than its
//! minute: a request that is on its way for up to a second longer than a later one does no harm.

mod adaptive;
#[cfg(test)]
mod conformance;
mod estimate;
mod local;
mod queue;
#[cfg(feature = "redis")]
mod redis;
mod store;
#[cfg(test)]
mod tests;
mod window;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight_core::{
    Billed, Error, ErrorKind, ModelCard, Plan, RateLimitScope, ResponseMeta, Result, RetryAdvice,
    VisionProvider,
};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

#[cfg(feature = "redis")]
pub use self::redis::{RedisSettings, RedisStore};
pub(crate) use estimate::most_tokens;
pub use local::LocalStore;
pub use store::{Grant, Lease, Limits, RateLimitKey, RateLimitStore};

use crate::call::{CallObserver, Reply, observe};
use crate::config::{require, seconds};
use crate::lock;
use crate::names::CallNames;
use crate::runtime::require_runtime;
use queue::{Permit, WaitQueue, WaitQueues};

/// The code of errors that this layer makes: its rejections, and a shared store that cannot be asked under
/// [`StoreFailure::Closed`].
pub const LOCAL_RATE_LIMIT: &str = "local_rate_limit";

/// How long a store that could not be asked is not asked again.
const STORE_COOLDOWN: Duration = Duration::from_secs(5);

/// What happens when a shared store cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoreFailure {
    /// Calls go on, with the same limits counted in this process alone. The default: a vendor that gets a few calls too many
    /// answers 429, which can be retried, while a program whose store is down would get no answer at all.
    #[default]
    Open,
    /// Calls fail until the store is back: for accounts on which an excess costs more than a standstill.
    Closed,
}

/// How many requests, tokens and concurrent requests may go to a model, and how calls wait for their turn.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitPolicy {
    /// Requests per minute, at least 1. Default: as the catalogue says; where that says nothing there is no limit until the
    /// vendor rejects a call.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute, prompt and answer together, at least 1. Default: as for `requests_per_minute`.
    pub tokens_per_minute: Option<u64>,
    /// Concurrent requests, at least 1. A stream counts until its end. Default: as for `requests_per_minute`.
    pub concurrency: Option<u64>,
    /// Longest wait for a call's turn, in seconds in a config file; default 60 s. Zero: a call that cannot go at once fails.
    #[serde(deserialize_with = "seconds")]
    pub max_wait: Duration,
    /// Most calls that wait for one model, the one whose turn it is included: at least 1, default 1,000.
    pub max_waiting: usize,
    /// Tokens that are reserved for an answer whose request has no `max_tokens`; default 1,024.
    pub assumed_output: u32,
    /// What happens when a shared store cannot be asked: `open` or `closed`. Default [`StoreFailure::Open`].
    pub on_store_failure: StoreFailure,
}

impl Default for RateLimitPolicy {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            tokens_per_minute: None,
            concurrency: None,
            max_wait: Duration::from_secs(60),
            max_waiting: 1_000,
            assumed_output: 1_024,
            on_store_failure: StoreFailure::Open,
        }
    }
}

impl RateLimitPolicy {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the first field out of range, its value and the range.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("concurrency", self.concurrency),
            ("max_waiting", Some(self.max_waiting as u64)),
        ];
        counts.into_iter().try_for_each(|(name, count)| require(count != Some(0), name, 0, "at least 1"))
    }

    /// The policy's own numbers, else the catalogue's.
    pub(super) fn limits(&self, card: &ModelCard) -> Limits {
        let known = card.quotas.unwrap_or_default();
        Limits {
            requests: self.requests_per_minute.or(known.requests_per_minute),
            tokens: self.tokens_per_minute.or(known.tokens_per_minute),
            concurrency: self.concurrency.or(known.concurrency),
        }
    }
}

/// Keeps the calls to a provider within its rate limits. A call counts as in flight until its answer is there, a stream
/// until its end, its error or its drop.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::VisionProvider;
/// use polysight::layers::{RateLimit, RateLimitPolicy};
///
/// fn limited(provider: Arc<dyn VisionProvider>) -> RateLimit {
///     let policy = RateLimitPolicy { requests_per_minute: Some(300), concurrency: Some(8), ..Default::default() };
///     RateLimit::new(provider, policy).with_account("key 1")
/// }
/// ```
pub struct RateLimit {
    inner: Arc<dyn VisionProvider>,
    policy: RateLimitPolicy,
    account: String,
    shared: Option<Arc<dyn RateLimitStore>>,
    local: Arc<dyn RateLimitStore>,
    store_failed_until: Mutex<Option<Instant>>,
    queues: WaitQueues,
    names: CallNames,
}

show_as_wrapper!(RateLimit);

impl RateLimit {
    /// Counts a provider's calls in this process.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: RateLimitPolicy) -> Self {
        Self {
            policy,
            account: String::new(),
            shared: None,
            local: Arc::new(LocalStore::new()),
            store_failed_until: Mutex::default(),
            queues: WaitQueues::default(),
            names: CallNames::default(),
            inner,
        }
    }

    /// Names the account by a fingerprint of its key, never the key. Calls of one account to one
    /// [endpoint](polysight_core::ProviderId::endpoint) share one limit, also from other layers where they share a store.
    #[must_use]
    pub fn with_account(mut self, account: impl Into<String>) -> Self {
        self.account = account.into();
        self
    }

    /// Counts in a store that is shared with other providers or other processes.
    ///
    /// While it cannot be asked, a policy of [`StoreFailure::Open`] counts in this process alone, from zero.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn RateLimitStore>) -> Self {
        self.shared = Some(store);
        self
    }

    async fn run<R: Reply>(&self, plan: Plan) -> Result<R> {
        let permit = self.acquire(&plan).await?;
        observe(&*self.inner, plan, InFlight(Some(permit))).await
    }

    /// Waits in the queue until the call may go.
    async fn acquire(&self, plan: &Plan) -> Result<Permit> {
        require_runtime()?;
        // A model may be asked for by several names.
        let model = if plan.card.known { plan.card.id.as_str() } else { plan.model() };
        let queue = self.queues.of(model);
        let limits = queue.clamp_to_headers(self.policy.limits(&plan.card));
        let key = RateLimitKey::new(&*self.inner.id().endpoint, model, &self.account);
        let lease = Lease::new(self.names.next(), estimate::tokens(plan, self.policy.assumed_output));
        let permit = Permit::new(key, limits, Arc::clone(&queue), lease, most_tokens(plan));
        let Some(_waiting) = queue.enter(self.policy.max_waiting) else {
            let why = format!("{} calls wait already (`max_waiting`)", self.policy.max_waiting);
            return Err(self.rejection(&queue, model, &limits, &why));
        };
        match timeout(self.policy.max_wait, self.turn(permit)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.wait_too_long(&queue, model, &limits)),
        }
    }

    /// Waits to be the first in the queue, then asks until the call may go.
    async fn turn(&self, mut permit: Permit) -> Result<Permit> {
        let until = Instant::now().checked_add(self.policy.max_wait);
        let queue = Arc::clone(&permit.queue);
        let _turn = queue.turn.lock().await;
        loop {
            let Grant::Wait { after, limit } = self.ask(&mut permit).await? else { return Ok(permit) };
            queue.note_wait(limit, after);
            // Tokens and concurrent requests may be released early; all else is sure.
            let may_come_early = matches!(limit, RateLimitScope::Tokens | RateLimitScope::Concurrency);
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if !may_come_early && left.is_some_and(|left| after > left) {
                return Err(self.wait_too_long(&queue, &permit.key.model, &permit.limits));
            }
            // Either is a reason to ask again.
            let _ = timeout(after, queue.released.notified()).await;
        }
    }

    /// Asks the shared store, or the process' own where there is none or it cannot be asked.
    async fn ask(&self, permit: &mut Permit) -> Result<Grant> {
        let Some(shared) = &self.shared else { return permit.acquire(&self.local).await };
        if self.store_cooldown().is_none() {
            match permit.acquire(shared).await {
                Err(error) => self.store_failed(&error)?,
                grant => return grant,
            }
        }
        match (self.policy.on_store_failure, self.store_cooldown()) {
            (StoreFailure::Closed, Some(cooldown)) => {
                Err(self.store_error("it did not answer a moment ago", cooldown))
            }
            _ => permit.acquire(&self.local).await,
        }
    }

    /// How long the shared store is still not asked.
    fn store_cooldown(&self) -> Option<Duration> {
        let until = (*lock(&self.store_failed_until))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    fn store_failed(&self, error: &Error) -> Result<()> {
        *lock(&self.store_failed_until) = Some(Instant::now() + STORE_COOLDOWN);
        match self.policy.on_store_failure {
            StoreFailure::Open => Ok(()),
            StoreFailure::Closed => Err(self.store_error(error.message(), STORE_COOLDOWN)),
        }
    }

    fn store_error(&self, why: &str, cooldown: Duration) -> Error {
        let message = format!(
            "the rate limit store cannot be asked ({why}): nothing was sent, since `on_store_failure` is closed"
        );
        Error::new(ErrorKind::Network, message)
            .with_provider(&*self.inner.id().name)
            .with_code(LOCAL_RATE_LIMIT)
            .with_local()
            .with_billed(Billed::No)
            .with_retry(RetryAdvice::After(Some(cooldown)))
    }

    fn wait_too_long(&self, queue: &WaitQueue, model: &str, limits: &Limits) -> Error {
        let why =
            format!("the call's turn does not come within the `max_wait` of {:?}", self.policy.max_wait);
        self.rejection(queue, model, limits, &why)
    }

    fn rejection(&self, queue: &WaitQueue, model: &str, limits: &Limits, why: &str) -> Error {
        let (limit, after) = queue.last_wait().unwrap_or((RateLimitScope::Requests, Duration::from_secs(1)));
        let message = format!(
            "the configured rate limit for {model} is used up ({}): {why}; send less or raise it",
            describe(limit, limits)
        );
        Error::new(ErrorKind::RateLimited, message)
            .with_provider(&*self.inner.id().name)
            .with_code(LOCAL_RATE_LIMIT)
            .with_local()
            .with_rate_limit_scope(limit)
            .with_retry(RetryAdvice::After(Some(after)))
    }
}

impl_layer!(RateLimit, inner, run);

/// A call's permit; released with it.
struct InFlight(Option<Permit>);

impl CallObserver for InFlight {
    fn on_end(&mut self, meta: &mut ResponseMeta) {
        if let Some(permit) = self.0.take() {
            permit.succeeded(meta.usage.as_ref(), meta.rate_limits.as_ref());
        }
    }

    fn on_error(&mut self, error: Error) -> Error {
        if let Some(permit) = self.0.take() {
            permit.failed(&error);
        }
        error
    }
}

fn describe(limit: RateLimitScope, limits: &Limits) -> String {
    let number = |number: Option<u64>, unit: &str| match number {
        Some(number) => format!("{number} {unit}"),
        None => format!("{unit}, as learned from the vendor's rejections"),
    };
    match limit {
        RateLimitScope::Requests => number(limits.requests, "requests per minute"),
        RateLimitScope::Tokens => number(limits.tokens, "tokens per minute"),
        RateLimitScope::Concurrency => number(limits.concurrency, "concurrent requests"),
        other => format!("a pause after the vendor rejected a call: {other}"),
    }
}
