//! Layers in the order that works.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use polysight_core::{Result, VisionProvider};

use crate::rate_limit::{RateLimit, RateLimitPolicy, RateLimitStore};
#[cfg(feature = "cache")]
use crate::{Cache, CachePolicy};
use crate::{Deadline, DeadlinePolicy, Retry, RetryBudget, RetryPolicy};
#[cfg(feature = "trace")]
use crate::{Trace, TracePolicy};

/// The layers around a provider. They are put in the one order that works, whatever the order in which they are named.
///
/// From the outside: trace of the call, cache, deadline, retry, trace of each attempt, rate limit, provider. The crate's
/// guide gives the reason for each place. A [`Router`](crate::Router) or a [`KeyPool`](crate::KeyPool) is a provider to the
/// stack around it, and its targets may be stacks themselves.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::{Result, VisionProvider};
/// use polysight::layers::{DeadlinePolicy, RateLimitPolicy, RetryPolicy, Stack};
///
/// fn steady(provider: Arc<dyn VisionProvider>) -> Result<Arc<dyn VisionProvider>> {
///     let stack = Stack {
///         retry: Some(RetryPolicy::default()),
///         rate_limit: Some(RateLimitPolicy { concurrency: Some(8), ..RateLimitPolicy::default() }),
///         deadline: Some(DeadlinePolicy::default()),
///         ..Stack::default()
///     };
///     stack.build(provider)
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Keeps calls within the vendor's limits. Default: none.
    pub rate_limit: Option<RateLimitPolicy>,
    /// A fingerprint of the account's key, never the key: calls of one account to one
    /// [endpoint](polysight_core::ProviderId::endpoint) share one rate limit. Default: empty.
    pub account: String,
    /// Counts the rate limit in a store that other stacks or processes share. Default: this stack alone.
    pub rate_limit_store: Option<Arc<dyn RateLimitStore>>,
    /// Repeats failed calls. Default: none.
    pub retry: Option<RetryPolicy>,
    /// Pays for retries from a budget that other stacks share. Default: a budget of this stack.
    pub retry_budget: Option<RetryBudget>,
    /// Limits the time of a whole call. Default: none.
    pub deadline: Option<DeadlinePolicy>,
    /// Remembers answers. Default: none.
    #[cfg(feature = "cache")]
    pub cache: Option<CachePolicy>,
    /// Records each call. Default: none.
    #[cfg(feature = "trace")]
    pub trace: Option<TracePolicy>,
    /// Names the role in the trace of the call. Default: none.
    #[cfg(feature = "trace")]
    pub role: Option<String>,
    /// Records each attempt, inside the retry. Default: none.
    #[cfg(feature = "trace")]
    pub attempt_trace: Option<TracePolicy>,
}

impl Stack {
    /// Checks the policies and puts the layers around a provider.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) for a setting out of range.
    pub fn build(self, mut provider: Arc<dyn VisionProvider>) -> Result<Arc<dyn VisionProvider>> {
        if let Some(policy) = self.rate_limit {
            policy.check()?;
            let limited = RateLimit::new(provider, policy).with_account(self.account);
            provider = Arc::new(match self.rate_limit_store {
                Some(store) => limited.with_store(store),
                None => limited,
            });
        }
        #[cfg(feature = "trace")]
        if let Some(policy) = self.attempt_trace {
            provider = Arc::new(Trace::attempt(provider, policy));
        }
        if let Some(policy) = self.retry {
            policy.check()?;
            let retry = Retry::new(provider, policy);
            provider = Arc::new(match self.retry_budget {
                Some(budget) => retry.with_budget(budget),
                None => retry,
            });
        }
        if let Some(policy) = self.deadline {
            policy.check()?;
            provider = Arc::new(Deadline::new(provider, policy));
        }
        #[cfg(feature = "cache")]
        if let Some(policy) = self.cache {
            policy.check()?;
            provider = Arc::new(Cache::new(provider, policy));
        }
        #[cfg(feature = "trace")]
        if let Some(policy) = self.trace {
            let trace = Trace::call(provider, policy);
            provider = Arc::new(match self.role {
                Some(role) => trace.with_role(role),
                None => trace,
            });
        }
        Ok(provider)
    }
}
