//! Where quotas are counted: in this process, or in a place that many processes share.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::catalog::Quotas;
use polysight_core::{RateLimitScope, Result};

/// What is counted together: the calls of one key to one model where it is served.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct QuotaKey {
    /// Where the model is served, such as `zhipu open.bigmodel.cn`.
    pub deployment: String,
    /// The model's id.
    pub model: String,
    /// A fingerprint of the account's key, never the key.
    pub account: String,
}

impl QuotaKey {
    /// Names a meter.
    #[must_use]
    pub fn new(deployment: impl Into<String>, model: impl Into<String>, account: impl Into<String>) -> Self {
        Self { deployment: deployment.into(), model: model.into(), account: account.into() }
    }
}

impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.deployment, self.model, self.account)
    }
}

/// What a call must keep within; `None` is not known, and limits nothing until the vendor refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QuotaLimits {
    /// Requests in any window, which is a minute unless the store is told otherwise.
    pub requests: Option<u64>,
    /// Tokens in any window.
    pub tokens: Option<u64>,
    /// Calls at once.
    pub concurrency: Option<u64>,
    /// Requests in any sixtieth of a window: a second of a minute.
    pub burst: Option<u64>,
}

impl From<Quotas> for QuotaLimits {
    fn from(quotas: Quotas) -> Self {
        Self {
            requests: quotas.requests_per_minute,
            tokens: quotas.tokens_per_minute,
            concurrency: quotas.concurrency,
            burst: None,
        }
    }
}

impl QuotaLimits {
    /// Sets the requests in any window.
    #[must_use]
    pub fn with_requests(mut self, requests: u64) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Sets the tokens in any window.
    #[must_use]
    pub fn with_tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Sets the calls at once.
    #[must_use]
    pub fn with_concurrency(mut self, calls: u64) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// Sets the requests in any sixtieth of a window.
    #[must_use]
    pub fn with_burst(mut self, requests: u64) -> Self {
        self.burst = Some(requests);
        self
    }
}

/// A call that holds a place in the quota: its name in the store, and the tokens that are to be set aside for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The call's name, unlike any other's in any process.
    pub id: String,
    /// Tokens to set aside. A call that asks for more than a whole window's limit could never go: it counts as the
    /// whole limit.
    pub tokens: u64,
}

impl Lease {
    /// A place for a call that is expected to take so many tokens.
    #[must_use]
    pub fn new(id: impl Into<String>, tokens: u64) -> Self {
        Self { id: id.into(), tokens }
    }
}

/// What a store says to a call that wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// Go: the place is taken.
    Granted,
    /// Not now: ask again after this long, or when a place is given back.
    Wait {
        /// When it is worth asking again.
        after: Duration,
        /// What is used up.
        limit: RateLimitScope,
    },
}

/// Counts requests, tokens and calls at once. All or nothing: a call that is told to wait has taken nothing.
///
/// A store from which a dead process' places come back by expiry keeps the places of a living process alive itself,
/// from `take` to `settle`, however long the call.
#[async_trait]
pub trait QuotaStore: Send + Sync + fmt::Debug {
    /// Takes a place for a call within `limits`; what was learnt from the vendor's refusals holds besides. Asked again
    /// for a lease that holds its place, it grants it without counting it twice.
    ///
    /// # Errors
    /// When the store cannot be asked; the quota layer's policy says what happens then.
    async fn take(&self, key: &QuotaKey, limits: &QuotaLimits, lease: &Lease) -> Result<Grant>;

    /// Gives a place back. `used` are the tokens that the call really took, counted even where they are more than were
    /// set aside; `None`: what was set aside stays counted.
    /// Does nothing for a lease that holds no place. It must not block: a store that is far away does it in the background.
    fn settle(&self, key: &QuotaKey, lease: &Lease, used: Option<u64>);

    /// Learns from a refusal by the vendor: which limit was met if it is told, and how long to stay away if that is
    /// told. It must not block either.
    fn throttled(
        &self,
        key: &QuotaKey,
        limits: &QuotaLimits,
        met: Option<RateLimitScope>,
        pause: Option<Duration>,
    );
}

// Layers hold stores behind `dyn`.
const _: fn(&dyn QuotaStore) = |_| {};
