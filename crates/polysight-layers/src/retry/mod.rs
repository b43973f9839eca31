//! Tries a failed call again, when the error says that this may help.
//!
//! Promises: a call whose error is final is asked once; no stream is asked for again after its first event was handed
//! out; what may be billed twice is repeated only if the policy allows it; every try is listed on what comes out.

mod budget;
mod policy;
#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use polysight_core::{
    Attempt, Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Plan, ProviderId, Result,
    StreamEnd, TimeoutPhase, VisionProvider,
};

use self::budget::Payment;
pub use self::budget::RetryBudget;
use self::policy::Failures;
pub use self::policy::{Jitter, RetryPolicy};
use crate::Env;
use crate::reply::listed;
use crate::time::{done_by, ended_by, moment_in};
use crate::watch::{Watch, watched};

/// Tries failed calls of a provider again, as the error's own [advice](polysight_core::Error::retry) and a
/// [`RetryPolicy`] say.
///
/// The tries that failed are listed on the response, on a stream's end, and on the error of the last try, with how long
/// each took and how long was waited after it. A stream is handed out when its first event is there; up to then a failure
/// is tried again, from then on never. Each try gets a clone of the request, which shares its media, and the provider
/// reads a media file again.
///
/// ```
/// use std::sync::Arc;
/// use polysight_core::VisionProvider;
/// use polysight_layers::{Retry, RetryBudget, RetryPolicy};
///
/// fn patient(provider: Arc<dyn VisionProvider>, shared: &RetryBudget) -> Arc<dyn VisionProvider> {
///     Arc::new(Retry::new(provider, RetryPolicy::default().with_attempts(4)).with_budget(shared.clone()))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Retry {
    inner: Arc<dyn VisionProvider>,
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
    env: Env,
}

impl Retry {
    /// Retries the calls of a provider, from a [`RetryBudget`] of its own.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: RetryPolicy) -> Self {
        Self { inner, policy, budget: Some(RetryBudget::default()), env: Env::default() }
    }

    /// Pays for retries from this budget, which other layers may share; `None`: retries cost nothing.
    #[must_use]
    pub fn with_budget(mut self, budget: impl Into<Option<RetryBudget>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// Takes time and jitter from elsewhere.
    #[must_use]
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Asks until there is an answer or a final error; the tries that failed come with the answer.
    async fn tried<T, F>(&self, end: Option<Instant>, ask: impl Fn() -> F + Send) -> Result<(T, Vec<Attempt>)>
    where
        T: Send,
        F: Future<Output = Result<T>> + Send,
    {
        let mut tries = Tries::new(self, end);
        loop {
            let start = self.env.now();
            let outcome = match end {
                None => Some(ask().await),
                Some(end) => done_by(&self.env, end, ask()).await,
            };
            match outcome {
                Some(Ok(answer)) => return Ok((answer, tries.succeeded())),
                Some(Err(error)) => tries.failed(error, start).await?,
                None => return Err(self.late().with_earlier_attempts(tries.log)),
            }
        }
    }

    fn end(&self) -> Option<Instant> {
        moment_in(&self.env, self.policy.deadline?)
    }

    fn late(&self) -> Error {
        let limit = self.policy.deadline.unwrap_or_default();
        let message =
            format!("no complete answer within {limit:?}, the longest that all tries may take together");
        Error::new(ErrorKind::Timeout(TimeoutPhase::Total), message).with_provider(&self.inner.id().name)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Retry {
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
        let (mut response, log) = self.tried(self.end(), || self.inner.chat(request.clone())).await?;
        response.attempts.splice(..0, log);
        Ok(response)
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let (inner, request, end) = (&self.inner, &request, self.end());
        let ask = || async move { inner.stream(request.clone()).await?.with_first_event().await };
        let (mut stream, log) = self.tried(end, ask).await?;
        if let Some(end) = end {
            stream = ended_by(stream, &self.env, end, self.late());
        }
        Ok(if log.is_empty() { stream } else { watched(stream, Log(log)) })
    }
}

/// Lists the tries that failed before a stream on whatever it ends with.
struct Log(Vec<Attempt>);

impl Watch for Log {
    fn end(&mut self, end: &mut StreamEnd) {
        end.attempts.splice(..0, mem::take(&mut self.0));
    }

    fn failed(&mut self, error: Error) -> Error {
        error.with_earlier_attempts(mem::take(&mut self.0))
    }
}

/// One call's tries so far.
struct Tries<'a> {
    retry: &'a Retry,
    end: Option<Instant>,
    failures: Failures,
    log: Vec<Attempt>,
    payment: Option<Payment>,
}

impl<'a> Tries<'a> {
    fn new(retry: &'a Retry, end: Option<Instant>) -> Self {
        Self { retry, end, failures: Failures::default(), log: Vec::new(), payment: None }
    }

    fn succeeded(self) -> Vec<Attempt> {
        match (self.payment, &self.retry.budget) {
            (Some(payment), _) => payment.refund(),
            (None, Some(budget)) if self.log.is_empty() => budget.earn(),
            (None, _) => {}
        }
        self.log
    }

    /// Waits until the next try is due, or hands the error back if there must be none.
    async fn failed(&mut self, error: Error, start: Instant) -> Result<()> {
        let env = &self.retry.env;
        let failed = env.now();
        self.failures.count(&error);
        let Some(pause) = self.pause(&error, failed).filter(|_| self.pay(&error)) else {
            return Err(error.with_earlier_attempts(mem::take(&mut self.log)));
        };
        env.sleep(pause).await;
        if let Some(payment) = &mut self.payment {
            payment.sent();
        }
        self.note(error, failed - start, env.now() - failed);
        Ok(())
    }

    /// How long to wait, unless the policy is against it or the deadline comes first.
    fn pause(&self, error: &Error, now: Instant) -> Option<Duration> {
        let pause = self.retry.policy.pause(error, self.failures, self.retry.env.random.unit())?;
        let next = now.checked_add(pause)?;
        self.end.is_none_or(|end| next < end).then_some(pause)
    }

    /// Pays for the next try; false when the budget is used up.
    fn pay(&mut self, error: &Error) -> bool {
        let Some(budget) = &self.retry.budget else { return true };
        self.payment = budget.pay(error);
        self.payment.is_some()
    }

    fn note(&mut self, error: Error, took: Duration, pause: Duration) {
        self.log.extend(listed(error, took));
        if let Some(last) = self.log.last_mut() {
            last.pause = pause;
        }
    }
}
