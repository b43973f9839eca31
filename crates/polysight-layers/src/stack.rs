//! Layers in the order that works.

use std::sync::Arc;

use polysight_core::{Result, VisionProvider};

use crate::quota::{Quota, QuotaPolicy, QuotaStore};
#[cfg(feature = "cache")]
use crate::{Cache, CachePolicy};
use crate::{
    Deadline, DeadlinePolicy, Env, Hedge, HedgePolicy, Pace, PacePolicy, Retry, RetryBudget, RetryPolicy,
};
#[cfg(feature = "trace")]
use crate::{Trace, TracePolicy};

/// Puts layers around a provider, in the one order that works, whatever the order in which they are named here.
///
/// From the outside: trace of the operation, cache, deadline, hedge, retry, trace of the attempt, quota, pace, provider.
/// The crate's guide gives the reason for each place. A [`Route`](crate::route::Route) or a
/// [`KeyPool`](crate::route::KeyPool) is a provider to the stack around it, and its targets may be stacks themselves.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use polysight_core::{Result, VisionProvider};
/// use polysight_layers::quota::QuotaPolicy;
/// use polysight_layers::{DeadlinePolicy, RetryPolicy, Stack};
///
/// fn steady(provider: Arc<dyn VisionProvider>) -> Result<Arc<dyn VisionProvider>> {
///     Stack::new(provider)
///         .with_retry(RetryPolicy::default())
///         .with_quota(QuotaPolicy::new().with_concurrency(8))
///         .with_deadline(DeadlinePolicy::new(Duration::from_secs(120)))
///         .build()
/// }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a stack is no provider before `build`"]
pub struct Stack {
    provider: Arc<dyn VisionProvider>,
    env: Env,
    pace: Option<PacePolicy>,
    quota: Option<QuotaPolicy>,
    account: Option<(String, String)>,
    store: Option<Arc<dyn QuotaStore>>,
    retry: Option<RetryPolicy>,
    budget: Option<RetryBudget>,
    hedge: Option<HedgePolicy>,
    deadline: Option<DeadlinePolicy>,
    #[cfg(feature = "cache")]
    cache: Option<CachePolicy>,
    #[cfg(feature = "trace")]
    operation: Option<(TracePolicy, Option<String>)>,
    #[cfg(feature = "trace")]
    attempts: Option<TracePolicy>,
}

impl Stack {
    /// A provider without layers.
    pub fn new(provider: Arc<dyn VisionProvider>) -> Self {
        Self {
            provider,
            env: Env::default(),
            pace: None,
            quota: None,
            account: None,
            store: None,
            retry: None,
            budget: None,
            hedge: None,
            deadline: None,
            #[cfg(feature = "cache")]
            cache: None,
            #[cfg(feature = "trace")]
            operation: None,
            #[cfg(feature = "trace")]
            attempts: None,
        }
    }

    /// Takes time and chance of all layers from here.
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Guards streams against silence.
    pub fn with_pace(mut self, policy: impl Into<Option<PacePolicy>>) -> Self {
        self.pace = policy.into();
        self
    }

    /// Keeps to quotas.
    pub fn with_quota(mut self, policy: impl Into<Option<QuotaPolicy>>) -> Self {
        self.quota = policy.into();
        self
    }

    /// Names what the quota counts together: where the models are served, and a fingerprint of the account's key, never
    /// the key. Without it the provider's name stands for both.
    pub fn with_account(mut self, deployment: impl Into<String>, account: impl Into<String>) -> Self {
        self.account = Some((deployment.into(), account.into()));
        self
    }

    /// Counts the quota in a store that is shared with other stacks or other processes.
    pub fn with_quota_store(mut self, store: Arc<dyn QuotaStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Tries again.
    pub fn with_retry(mut self, policy: impl Into<Option<RetryPolicy>>) -> Self {
        self.retry = policy.into();
        self
    }

    /// Pays for retries out of a budget that is shared with other stacks.
    pub fn with_retry_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sends a second request when the first is slower than usual: this costs money.
    pub fn with_hedge(mut self, policy: impl Into<Option<HedgePolicy>>) -> Self {
        self.hedge = policy.into();
        self
    }

    /// Limits the time of a whole call.
    pub fn with_deadline(mut self, policy: impl Into<Option<DeadlinePolicy>>) -> Self {
        self.deadline = policy.into();
        self
    }

    /// Remembers answers.
    #[cfg(feature = "cache")]
    pub fn with_cache(mut self, policy: impl Into<Option<CachePolicy>>) -> Self {
        self.cache = policy.into();
        self
    }

    /// Records each operation, under the name of the role that was asked for if there is one.
    #[cfg(feature = "trace")]
    pub fn with_trace(mut self, policy: TracePolicy, role: Option<String>) -> Self {
        self.operation = Some((policy, role));
        self
    }

    /// Records each attempt, below the retries.
    #[cfg(feature = "trace")]
    pub fn with_attempt_trace(mut self, policy: impl Into<Option<TracePolicy>>) -> Self {
        self.attempts = policy.into();
        self
    }

    /// Checks the policies and stacks the layers.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) for a setting that cannot be.
    pub fn build(self) -> Result<Arc<dyn VisionProvider>> {
        let Self { mut provider, env, .. } = self;
        // A retry alone keeps the whole time itself and tells what it had tried; two limits of one length would race.
        let by_retry = self.retry.is_some() && self.hedge.is_none();
        if let Some(policy) = self.pace {
            policy.check()?;
            provider = Arc::new(Pace::new(provider, policy).with_env(env.clone()));
        }
        if let Some(policy) = self.quota {
            policy.check()?;
            let mut quota = Quota::new(provider, policy).with_env(env.clone());
            if let Some((deployment, account)) = self.account {
                quota = quota.with_account(deployment, account);
            }
            if let Some(store) = self.store {
                quota = quota.with_store(store);
            }
            provider = Arc::new(quota);
        }
        #[cfg(feature = "trace")]
        if let Some(policy) = self.attempts {
            provider = Arc::new(Trace::attempt(provider, policy).with_env(env.clone()));
        }
        if let Some(policy) = self.retry {
            policy.check()?;
            let total = self.deadline.as_ref().map(|deadline| deadline.total);
            let deadline = policy.deadline.into_iter().chain(total).min();
            let retry = Retry::new(provider, policy.with_deadline(deadline)).with_env(env.clone());
            provider = Arc::new(match self.budget {
                Some(budget) => retry.with_budget(budget),
                None => retry,
            });
        }
        if let Some(policy) = self.hedge {
            policy.check()?;
            provider = Arc::new(Hedge::new(provider, policy).with_env(env.clone()));
        }
        if let Some(policy) = self.deadline {
            policy.check()?;
            if !by_retry {
                provider = Arc::new(Deadline::new(provider, policy).with_env(env.clone()));
            }
        }
        #[cfg(feature = "cache")]
        if let Some(policy) = self.cache {
            policy.check()?;
            provider = Arc::new(Cache::new(provider, policy).with_env(env.clone()));
        }
        #[cfg(feature = "trace")]
        if let Some((policy, role)) = self.operation {
            let trace = Trace::operation(provider, policy).with_env(env);
            provider = Arc::new(match role {
                Some(role) => trace.with_role(role),
                None => trace,
            });
        }
        Ok(provider)
    }
}
