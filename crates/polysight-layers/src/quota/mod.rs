//! Quotas: no more requests, tokens and calls at once than the vendor allows.
//!
//! - **Who is counted together**: the calls to one model with one account where it is served, see [`QuotaKey`]. Every
//!   attempt counts that reaches the vendor, so this layer belongs below retry, hedge and fallback.
//! - **How much**: the policy's numbers, else the catalogue's, each by itself; what the vendor's headers say is a ceiling.
//!   A limit that nobody knows does not limit until a refusal teaches one.
//! - **Tokens** are set aside before the call: the plan's estimate of the prompt (where it is unknown, one token for two
//!   bytes of text and a constant for each picture and video) and the request's `max_tokens`. After the call they are put right
//!   by the vendor's own count. A demand above a whole minute's limit counts as that limit, or it could never go.
//! - **Waiting** is in line, first come first served, for a bounded time in a bounded line. Who cannot go gets an error of
//!   kind [`RateLimited`](polysight_core::ErrorKind::RateLimited) with the code [`LOCAL_QUOTA`] and no HTTP status, at once
//!   when it is sure that the wait would be too long. Each layer has lines of its own, one for each model; the
//!   first ones of all lines ask the store, those for calls at once ten times a second.
//! - **Learning**: a vendor's refusal pauses everybody of the key, cuts the limit that was met by 30 %, and the limit climbs
//!   back by 5 % each half minute.
//! - **The store** counts: [`LocalStore`] for one process, `RedisStore` (feature `redis`) for many. When that is away the
//!   policy's [`on_store_failure`](QuotaPolicy::on_store_failure) decides.
//!
//! What is counted is the moment of the grant. A vendor counts arrivals, so each count is kept for a second longer than its
//! minute: a request that is on its way for up to a second longer than a later one does no harm.

#[cfg(test)]
mod contract;
mod demand;
mod learn;
mod line;
mod local;
mod meter;
mod policy;
#[cfg(feature = "redis")]
mod redis;
mod store;
#[cfg(test)]
mod tests;
mod window;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use polysight_core::{
    Billed, Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Plan, ProviderId,
    RateLimitScope, Result, RetryAdvice, StreamEnd, VisionProvider,
};

#[cfg(feature = "redis")]
pub use self::redis::{RedisSettings, RedisStore};
pub use local::LocalStore;
pub use policy::{QuotaPolicy, StoreFailure};
pub use store::{Grant, Lease, QuotaKey, QuotaLimits, QuotaStore};

use crate::Env;
use crate::sync::{First, first, lock};
use crate::time::moment_in;
use crate::watch::{Watch, watched};
use line::{Line, Lines, Permit};

/// The code of errors that this layer makes, to tell them from a vendor's: its refusals, and a shared store that cannot
/// be asked under [`StoreFailure::Closed`].
pub const LOCAL_QUOTA: &str = "local_quota";

/// True for an error that a quota of this side made: it says nothing of the vendor.
pub(crate) fn is_local(error: &Error) -> bool {
    error.status().is_none() && error.code() == Some(LOCAL_QUOTA)
}

/// How long a store that could not be asked is left alone.
const STORE_REST: Duration = Duration::from_secs(5);

/// Keeps the calls to a provider within its quotas. A call holds its place until its answer is there, a stream until its
/// end, its error or its drop.
///
/// ```
/// use std::sync::Arc;
/// use polysight_core::VisionProvider;
/// use polysight_layers::quota::{Quota, QuotaPolicy};
///
/// fn limited(provider: Arc<dyn VisionProvider>) -> Quota {
///     let policy = QuotaPolicy::new().with_requests_per_minute(300).with_concurrency(8);
///     Quota::new(provider, policy).with_account("open.bigmodel.cn", "key 1")
/// }
/// ```
#[derive(Debug)]
pub struct Quota {
    inner: Arc<dyn VisionProvider>,
    policy: QuotaPolicy,
    env: Env,
    deployment: String,
    account: String,
    shared: Option<Arc<dyn QuotaStore>>,
    local: Arc<dyn QuotaStore>,
    away_until: Mutex<Option<Instant>>,
    lines: Lines,
    calls: Calls,
}

impl Quota {
    /// Counts a provider's calls in this process, under the provider's name.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: QuotaPolicy) -> Self {
        let env = Env::default();
        Self {
            policy,
            deployment: inner.id().name.clone(),
            account: String::new(),
            shared: None,
            local: Arc::new(LocalStore::with_env(env.clone())),
            env,
            away_until: Mutex::default(),
            lines: Lines::default(),
            calls: Calls::default(),
            inner,
        }
    }

    /// Tells the time by another clock. The process' own counts start anew.
    #[must_use]
    pub fn with_env(mut self, env: Env) -> Self {
        self.local = Arc::new(LocalStore::with_env(env.clone()));
        self.env = env;
        self
    }

    /// Names what is counted together: where the models are served, and a fingerprint of the account's key, never the
    /// key.
    #[must_use]
    pub fn with_account(mut self, deployment: impl Into<String>, account: impl Into<String>) -> Self {
        self.deployment = deployment.into();
        self.account = account.into();
        self
    }

    /// Counts in a store that is shared with other providers or other processes.
    ///
    /// While it cannot be asked, a policy of [`StoreFailure::Open`] counts in this process alone, from zero.
    #[must_use]
    pub fn with_store(mut self, store: Arc<dyn QuotaStore>) -> Self {
        self.shared = Some(store);
        self
    }

    /// Waits in line for a place.
    async fn permit(&self, request: &ChatRequest) -> Result<Permit> {
        let plan = self.inner.plan(request.clone())?;
        // A model may be asked for by several names.
        let model = if plan.card.known { plan.card.id.as_str() } else { plan.model() };
        let line = self.lines.of(model);
        let mut limits = line.below_ceilings(self.policy.limits(&plan.card));
        limits.burst = self.policy.burst(limits.requests);
        let key = QuotaKey::new(&self.deployment, model, &self.account);
        let lease = Lease::new(self.calls.next(), demand::tokens(&plan, self.policy.assumed_output));
        let permit = Permit::new(key, limits, Arc::clone(&line), lease);
        let Some(_in_line) = line.join(self.policy.max_waiting) else {
            let why =
                format!("{} calls wait already, the `max_waiting` of this side", self.policy.max_waiting);
            return Err(self.refusal(&line, model, &limits, &why));
        };
        match first(self.turn(permit), self.env.sleep(self.policy.max_wait)).await {
            First::One(outcome) => outcome,
            First::Other(()) => Err(self.too_long(&line, model, &limits)),
        }
    }

    /// Waits to be the first in line, then asks until there is a place.
    async fn turn(&self, mut permit: Permit) -> Result<Permit> {
        let until = moment_in(&self.env, self.policy.max_wait);
        let line = Arc::clone(&permit.line);
        let _head = line.head.lock().await;
        loop {
            let Grant::Wait { after, limit } = self.ask(&mut permit).await? else { return Ok(permit) };
            line.note_wait(limit, after);
            // Tokens and calls at once may come back early; all else is sure.
            let may_come_early = matches!(limit, RateLimitScope::Tokens | RateLimitScope::Concurrency);
            let rest = until.map(|until| until.saturating_duration_since(self.env.now()));
            if !may_come_early && rest.is_some_and(|rest| after > rest) {
                return Err(self.too_long(&line, &permit.key.model, &permit.limits));
            }
            first(line.freed.notified(), self.env.sleep(after)).await;
        }
    }

    /// Asks the shared store, or the process' own where there is none or it is away.
    async fn ask(&self, permit: &mut Permit) -> Result<Grant> {
        let Some(shared) = &self.shared else { return permit.ask(&self.local).await };
        if self.rest().is_none() {
            match permit.ask(shared).await {
                Err(error) => self.lost(error)?,
                grant => return grant,
            }
        }
        match (self.policy.on_store_failure, self.rest()) {
            (StoreFailure::Closed, Some(rest)) => {
                Err(self.store_is_away("it did not answer a moment ago", rest))
            }
            _ => permit.ask(&self.local).await,
        }
    }

    /// How long the shared store is still left alone.
    fn rest(&self) -> Option<Duration> {
        let until = (*lock(&self.away_until))?;
        Some(until.saturating_duration_since(self.env.now())).filter(|rest| !rest.is_zero())
    }

    fn lost(&self, error: Error) -> Result<()> {
        *lock(&self.away_until) = Some(self.env.now() + STORE_REST);
        match self.policy.on_store_failure {
            StoreFailure::Open => Ok(()),
            StoreFailure::Closed => Err(self.store_is_away(error.message(), STORE_REST)),
        }
    }

    fn store_is_away(&self, why: &str, rest: Duration) -> Error {
        let message = format!(
            "the quota store cannot be asked ({why}): nothing was sent, since `on_store_failure` is closed"
        );
        Error::new(ErrorKind::Network, message)
            .with_provider(&self.inner.id().name)
            .with_code(LOCAL_QUOTA)
            .with_billed(Billed::No)
            .with_retry(RetryAdvice::After(Some(rest)))
    }

    fn too_long(&self, line: &Line, model: &str, limits: &QuotaLimits) -> Error {
        let why = format!("no place within the `max_wait` of {:?}", self.policy.max_wait);
        self.refusal(line, model, limits, &why)
    }

    fn refusal(&self, line: &Line, model: &str, limits: &QuotaLimits, why: &str) -> Error {
        let (limit, after) = line.last_wait().unwrap_or((RateLimitScope::Requests, Duration::from_secs(1)));
        let message = format!(
            "this side's quota for {model} is used up ({}): {why}; send less or raise it",
            describe(limit, limits)
        );
        Error::new(ErrorKind::RateLimited, message)
            .with_provider(&self.inner.id().name)
            .with_code(LOCAL_QUOTA)
            .with_rate_limit_scope(limit)
            .with_retry(RetryAdvice::After(Some(after)))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Quota {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }

    fn catalog(&self) -> &Catalog {
        self.inner.catalog()
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        self.inner.plan(request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        let permit = self.permit(&request).await?;
        let outcome = self.inner.chat(request).await;
        match &outcome {
            Ok(response) => permit.answered(response.usage.as_ref(), response.rate_limits.as_ref()),
            Err(error) => permit.failed(error),
        }
        outcome
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let permit = self.permit(&request).await?;
        match self.inner.stream(request).await {
            Ok(stream) => Ok(watched(stream, Streaming(Some(permit)))),
            Err(error) => {
                permit.failed(&error);
                Err(error)
            }
        }
    }
}

/// A stream's place; dropped with it.
struct Streaming(Option<Permit>);

impl Watch for Streaming {
    fn end(&mut self, end: &mut StreamEnd) {
        if let Some(permit) = self.0.take() {
            permit.answered(end.usage.as_ref(), end.rate_limits.as_ref());
        }
    }

    fn failed(&mut self, error: Error) -> Error {
        if let Some(permit) = self.0.take() {
            permit.failed(&error);
        }
        error
    }
}

fn describe(limit: RateLimitScope, limits: &QuotaLimits) -> String {
    let number = |number: Option<u64>, unit: &str| match number {
        Some(number) => format!("{number} {unit}"),
        None => format!("{unit}, as the vendor's refusals taught"),
    };
    match limit {
        RateLimitScope::Requests => number(limits.requests, "requests a minute"),
        RateLimitScope::Tokens => number(limits.tokens, "tokens a minute"),
        RateLimitScope::Concurrency => number(limits.concurrency, "calls at once"),
        RateLimitScope::Burst => number(limits.burst, "requests a second"),
        other => format!("a pause after the vendor's refusal by {other}"),
    }
}

/// Names for calls, unlike any other's in any process.
#[derive(Debug)]
struct Calls {
    process: u64,
    count: AtomicU64,
}

impl Default for Calls {
    fn default() -> Self {
        // The standard library seeds its hashers from the system's randomness.
        Self { process: RandomState::new().hash_one(std::process::id()), count: AtomicU64::new(0) }
    }
}

impl Calls {
    fn next(&self) -> String {
        format!("{:016x}-{:x}", self.process, self.count.fetch_add(1, Ordering::Relaxed))
    }
}
