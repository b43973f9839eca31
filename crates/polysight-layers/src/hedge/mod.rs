//! A second try that runs beside a slow first one.
//!
//! What is promised: most calls that are slow are slow by bad luck, and the same question asked again is often answered
//! at once. So when the first try takes longer than nearly all calls of late, a second is started beside it; the first
//! good answer wins, and the other try is dropped, which closes its connection. It costs money, since a dropped try may
//! be billed: the share of such calls is bounded, and a stack has no hedge unless it is asked for.
//!
//! A stream's race is to the first event. A first try that fails before the second has started is final here; if both
//! run, a failure waits for the other, and is listed as an [`Attempt`] when that answers. A
//! loser that was dropped is no attempt.

mod policy;

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use polysight_core::{
    Attempt, Catalog, ChatRequest, ChatResponse, ChatStream, Error, Plan, ProviderId, Result, VisionProvider,
};

pub use policy::HedgePolicy;

use crate::Env;
use crate::reply::{Reply, Visit, listed};
use crate::route::knows;
use crate::sync::{First, first as race, lock};

/// Latest answers whose times are kept.
const RING: usize = 100;

/// Most second tries that quiet times may save up.
const BURST: f64 = 10.0;

/// How often a second try was started, and how often it was worth it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HedgeStats {
    /// Calls and streams.
    pub calls: u64,
    /// Those that got a second try.
    pub hedged: u64,
    /// Those whose answer came from the second try.
    pub won_by_hedge: u64,
}

/// Starts a second try beside a slow first one.
///
/// ```
/// use std::sync::Arc;
/// use polysight_core::VisionProvider;
/// use polysight_layers::hedge::{Hedge, HedgePolicy};
///
/// /// At most two of a hundred calls are asked twice.
/// fn hedged(provider: Arc<dyn VisionProvider>) -> Hedge {
///     Hedge::new(provider, HedgePolicy::new().with_max_rate(0.02))
/// }
/// ```
#[derive(Debug)]
pub struct Hedge {
    inner: Arc<dyn VisionProvider>,
    second: Arc<dyn VisionProvider>,
    policy: HedgePolicy,
    env: Env,
    times: [Mutex<Times>; 2],
    tokens: Mutex<f64>,
    calls: AtomicU64,
    hedged: AtomicU64,
    won: AtomicU64,
}

impl Hedge {
    /// A hedge whose second try goes to the same provider.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: HedgePolicy) -> Self {
        Self {
            second: Arc::clone(&inner),
            inner,
            policy,
            env: Env::default(),
            times: Default::default(),
            tokens: Mutex::default(),
            calls: AtomicU64::new(0),
            hedged: AtomicU64::new(0),
            won: AtomicU64::new(0),
        }
    }

    /// Sends the second try to another provider. A request that names a model which that one does not know gets no
    /// second try.
    #[must_use]
    pub fn with_second(mut self, second: Arc<dyn VisionProvider>) -> Self {
        self.second = second;
        self
    }

    /// Takes the time from here.
    #[must_use]
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// What has come of it so far.
    #[must_use]
    pub fn stats(&self) -> HedgeStats {
        HedgeStats {
            calls: self.calls.load(Ordering::Relaxed),
            hedged: self.hedged.load(Ordering::Relaxed),
            won_by_hedge: self.won.load(Ordering::Relaxed),
        }
    }

    async fn ask<R: Reply>(&self, request: ChatRequest) -> Result<R> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.save_up();
        let (started, spare) = (self.env.now(), request.clone());
        let mut first = pin!(R::ask(&*self.inner, request));
        let answer = match self.patience::<R>(first.as_mut()).await {
            Some(answer) => answer,
            None if self.may_hedge(&spare) => self.race(first, spare, started).await,
            None => first.await,
        };
        if answer.is_ok() {
            self.times::<R>().add(self.since(started));
        }
        answer
    }

    /// What the first try gives before it is time for a second. Without a measure of what is slow that is all.
    async fn patience<R: Reply>(
        &self,
        mut first: Pin<&mut impl Future<Output = Result<R>>>,
    ) -> Option<Result<R>> {
        let Some(delay) = self.delay::<R>() else { return Some(first.await) };
        match race(first.as_mut(), self.env.sleep(delay)).await {
            First::One(answer) => Some(answer),
            First::Other(()) => None,
        }
    }

    /// Both tries at once: the first good answer, or the later failure.
    async fn race<R: Reply>(
        &self,
        mut first: Pin<&mut (impl Future<Output = Result<R>> + Send)>,
        request: ChatRequest,
        started: Instant,
    ) -> Result<R> {
        self.hedged.fetch_add(1, Ordering::Relaxed);
        let began = self.env.now();
        let mut second = pin!(R::ask(&*self.second, request));
        match race(first.as_mut(), second.as_mut()).await {
            First::One(Err(error)) => {
                let earlier = listed(error, self.since(started));
                self.counted(after(second.await, earlier))
            }
            First::Other(Err(error)) => {
                let earlier = listed(error, self.since(began));
                after(first.await, earlier)
            }
            First::One(answer) => answer,
            First::Other(answer) => self.counted(answer),
        }
    }

    fn counted<R>(&self, answer: Result<R>) -> Result<R> {
        self.won.fetch_add(u64::from(answer.is_ok()), Ordering::Relaxed);
        answer
    }

    /// How long the first try may take; `None` while it is not known what is slow.
    fn delay<R: Reply>(&self) -> Option<Duration> {
        let HedgePolicy { percentile, min_samples, min_delay, max_delay, .. } = self.policy;
        let usual = self.times::<R>().percentile(percentile, min_samples)?;
        Some(usual.max(min_delay).min(max_delay))
    }

    fn may_hedge(&self, request: &ChatRequest) -> bool {
        let same = Arc::ptr_eq(&self.inner, &self.second);
        let known = same || request.model.as_ref().is_none_or(|model| knows(&*self.second, model));
        known && self.take_token()
    }

    fn save_up(&self) {
        let mut tokens = self.tokens();
        *tokens = (*tokens + self.policy.max_rate).min(BURST);
    }

    fn take_token(&self) -> bool {
        let mut tokens = self.tokens();
        // Twenty times a twentieth is a hair less than one.
        let enough = *tokens >= 1.0 - 1e-9;
        if enough {
            *tokens -= 1.0;
        }
        enough
    }

    fn tokens(&self) -> MutexGuard<'_, f64> {
        lock(&self.tokens)
    }

    fn times<R: Reply>(&self) -> MutexGuard<'_, Times> {
        let [plain, streamed] = &self.times;
        lock(if R::STREAMED { streamed } else { plain })
    }

    fn since(&self, start: Instant) -> Duration {
        self.env.now().saturating_duration_since(start)
    }
}

/// How long the latest answers took. A hedged call counts with the time until its answer, which its first try would
/// have taken at least: without it, each second try would make the next one start sooner.
#[derive(Debug, Default)]
struct Times(VecDeque<Duration>);

impl Times {
    fn add(&mut self, took: Duration) {
        if self.0.len() == RING {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    fn percentile(&self, share: f64, min_samples: usize) -> Option<Duration> {
        if self.0.len() < min_samples {
            return None;
        }
        let mut sorted = Vec::from_iter(self.0.iter().copied());
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

fn after<R: Reply>(answer: Result<R>, earlier: Vec<Attempt>) -> Result<R> {
    match answer {
        Ok(reply) => Ok(reply.kept(Unseen, earlier)),
        Err(error) => Err(error.with_earlier_attempts(earlier)),
    }
}

/// Nobody needs to be told of the reply.
struct Unseen;

impl Visit for Unseen {
    fn began(&mut self) {}

    fn ended(&mut self) {}

    fn failed(&mut self, _error: &Error) {}
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Hedge {
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
        self.ask(request).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        self.ask(request).await
    }
}

#[cfg(test)]
mod tests;
