//! Where quotas are counted: in this process, or in a place that many processes share.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::catalog::Quotas;
use polysight_core::{Result, Throttle};

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

/// A call that holds a place in the quota: its name in the store, and the tokens that were set aside for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The call's name, unlike any other's in any process.
    pub id: String,
    /// Tokens that are set aside.
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
        limit: Throttle,
    },
}

/// Counts requests, tokens and calls at once. All or nothing: a call that is told to wait has taken nothing.
#[async_trait]
pub trait QuotaStore: Send + Sync + fmt::Debug {
    /// Takes a place for a call within `limits`, of which those that are `None` are not known; what was learnt from
    /// the vendor's refusals holds besides.
    ///
    /// # Errors
    /// When the store cannot be asked; the quota layer's policy says what happens then.
    async fn take(&self, key: &QuotaKey, limits: &Quotas, lease: &Lease) -> Result<Grant>;

    /// Says that a long call is still alive, so that its place is not given to others.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn renew(&self, key: &QuotaKey, lease: &Lease) -> Result<()>;

    /// Gives a place back. `used` are the tokens that the call really took; `None`: what was set aside stays counted.
    /// It must not block: a store that is far away does it in the background.
    fn settle(&self, key: &QuotaKey, lease: &Lease, used: Option<u64>);

    /// Learns from a refusal by the vendor: which limit was met if it is told, and how long to stay away if that is told.
    fn throttled(&self, key: &QuotaKey, limits: &Quotas, limit: Option<Throttle>, pause: Option<Duration>);
}
