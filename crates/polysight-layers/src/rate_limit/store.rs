//! Where calls are counted: in this process, or in a place that many processes share.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::{RateLimitScope, Result};

/// What shares one limit: the calls of one account to one model where it is served.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateLimitKey {
    /// Where the model is served: the provider's [endpoint](polysight_core::ProviderId::endpoint).
    pub endpoint: String,
    /// The model's id.
    pub model: String,
    /// A fingerprint of the account's key, never the key.
    pub account: String,
}

impl RateLimitKey {
    /// Names what shares a limit.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, model: impl Into<String>, account: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), model: model.into(), account: account.into() }
    }
}

impl fmt::Display for RateLimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.endpoint, self.model, self.account)
    }
}

/// What calls must keep within; `None` is unknown, and limits nothing until the vendor rejects a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Requests in any window, which is a minute unless the store is set otherwise.
    pub requests: Option<u64>,
    /// Tokens in any window.
    pub tokens: Option<u64>,
    /// Concurrent requests.
    pub concurrency: Option<u64>,
}

/// A call's claim: its name in the store, and the tokens that are to be reserved for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The call's name, unlike any other's in any process.
    pub id: String,
    /// Tokens to reserve. A call that needs more than a whole window's limit could never go: it counts as the whole limit.
    pub tokens: u64,
}

impl Lease {
    /// The claim of a call that is expected to use so many tokens.
    #[must_use]
    pub fn new(id: impl Into<String>, tokens: u64) -> Self {
        Self { id: id.into(), tokens }
    }
}

/// A store's answer to a call that wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grant {
    /// The call may go, and is counted.
    Granted,
    /// Not now: ask again after this long, or when another call is released.
    Wait {
        /// When it is worth asking again.
        after: Duration,
        /// The limit that is used up.
        limit: RateLimitScope,
    },
}

/// Counts requests, tokens and concurrent requests. All or nothing: a call that must wait has taken nothing.
///
/// A store that frees the leases of dead processes by expiry keeps those of a living process alive itself, from `acquire` to
/// `release`, however long the call.
#[async_trait]
pub trait RateLimitStore: Send + Sync + fmt::Debug {
    /// Counts a call if it keeps within `limits` and within what was learned from rejections. Asked again for a lease that is
    /// held, it grants it without counting it twice.
    ///
    /// # Errors
    /// When the store cannot be asked; the policy's `on_store_failure` says what happens then.
    async fn acquire(&self, key: &RateLimitKey, limits: &Limits, lease: &Lease) -> Result<Grant>;

    /// Ends a call. `used` are the tokens that it really used, counted even where they are more than were reserved; `None`:
    /// unknown, what was reserved stays counted. Does nothing for a lease that is not held. It must not block: a remote store
    /// does it in the background.
    fn release(&self, key: &RateLimitKey, lease: &Lease, used: Option<u64>);

    /// Learns from a rejection by the vendor: which limit was met, and how long to pause, where these are known. It must not
    /// block either.
    fn record_rejection(
        &self,
        key: &RateLimitKey,
        limits: &Limits,
        scope: Option<RateLimitScope>,
        wait: Option<Duration>,
    );
}

// Layers hold stores behind `dyn`.
const _: fn(&dyn RateLimitStore) = |_| {};
