//! The words of a failure: its kind, which time limit passed, what throttled it, what it may have cost.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

/// What kind of thing went wrong: the one list that holds for every vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, IntoStaticStr, Serialize, Deserialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request breaks a rule of the vendor; see [`Error::violations`](crate::Error::violations) when it was found before sending.
    InvalidRequest,
    /// A local file or buffer cannot be read, or is not a picture or video.
    InvalidMedia,
    /// The vendor could not fetch a URL of the request.
    MediaFetchFailed,
    /// The key is missing, wrong, expired or of another region.
    Authentication,
    /// The key is good but may not do this.
    Permission,
    /// No balance, no package, an overdue account.
    Billing,
    /// A daily, weekly or plan quota is used up; see [`Error::quota_reset`](crate::Error::quota_reset).
    QuotaExhausted,
    /// A budget of this side does not hold what the call may cost: nothing was sent.
    BudgetExceeded,
    /// The account sends too many requests or tokens a minute, or too many concurrent requests.
    RateLimited,
    /// The model or the platform is too busy, for every account; or this side is, for a while, such as one without a file
    /// handle left ([`Error::is_local`](crate::Error::is_local)).
    Overloaded,
    /// The model does not exist, is retired, or is not served here.
    ModelNotFound,
    /// Prompt, or prompt and answer together, exceed the context window.
    ContextTooLong,
    /// The vendor's content audit refused the input or withdrew the output.
    ContentRefused,
    /// The answer broke off before the model had finished.
    Interrupted,
    /// A time limit passed.
    Timeout(TimeoutPhase),
    /// No connection, or the connection broke before an answer.
    Network,
    /// The vendor's side failed.
    Server,
    /// The reply was not understood.
    Protocol,
    /// Configuration is wrong: an unknown key, a missing environment variable, a malformed URL or key.
    Config,
    /// The provider does not offer this.
    Unsupported,
}

impl ErrorKind {
    /// The kind's name in `snake_case`, for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid request",
            Self::InvalidMedia => "unusable media",
            Self::MediaFetchFailed => "media unreachable for the vendor",
            Self::Authentication => "authentication failed",
            Self::Permission => "not permitted",
            Self::Billing => "no balance",
            Self::QuotaExhausted => "quota exhausted",
            Self::BudgetExceeded => "budget exceeded",
            Self::RateLimited => "rate limited",
            Self::Overloaded => "overloaded",
            Self::ModelNotFound => "model not found",
            Self::ContextTooLong => "context too long",
            Self::ContentRefused => "content refused",
            Self::Interrupted => "answer interrupted",
            Self::Timeout(phase) => phase.phrase(),
            Self::Network => "network failure",
            Self::Server => "server failure",
            Self::Protocol => "reply not understood",
            Self::Config => "configuration",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phrase())
    }
}

/// Which time limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Display, EnumIter, Serialize, Deserialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// Opening the connection, TLS included.
    #[default]
    Connect,
    /// From the request's last byte to the head of the reply, or to a stream's first event.
    FirstByte,
    /// Between two pieces of a reply. Keep-alive comments do not count as pieces.
    Idle,
    /// The whole call.
    Total,
}

impl TimeoutPhase {
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::Connect => "timeout while connecting",
            Self::FirstByte => "timeout before the first byte",
            Self::Idle => "timeout between two pieces of the reply",
            Self::Total => "timeout of the whole call",
        }
    }
}

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RetryAdvice {
    /// The same request will fail again.
    #[default]
    Never,
    /// Try again at once with credentials made anew (an expired token); if they were new already, never.
    RefreshCredentials,
    /// The same request may succeed later: after this long, or after the caller's own back-off when the vendor does
    /// not say.
    After(Option<Duration>),
}

/// How far a failed call had come: whether the vendor may charge for it.
///
/// In order: what is sure to be free comes first, so that a policy can be a threshold.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Display,
    EnumString,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Billed {
    /// Nothing was sent, or the vendor refused it.
    #[default]
    No,
    /// It was sent, and the connection broke before a reply: unknown on this side.
    Perhaps,
    /// The vendor was at work or had begun to answer: a time limit passed, or the answer broke off.
    Likely,
}

/// What a throttled call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, Serialize, Deserialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RateLimitScope {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Requests in flight.
    Concurrency,
    /// A rate that rises too steeply.
    Burst,
    /// The account as a whole, by an unpublished limit; such a window lasts minutes.
    Account,
    /// The model, for everybody; this lasts minutes too.
    Model,
}

impl RateLimitScope {
    /// True when seconds of waiting do not help: the window lasts minutes.
    #[must_use]
    pub fn lasts_minutes(self) -> bool {
        matches!(self, Self::Account | Self::Model)
    }
}

/// What had arrived of an answer before it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial {
    /// The answer's text so far.
    pub text: String,
    /// The reasoning so far.
    pub reasoning: String,
}

impl Partial {
    /// Wraps what had arrived; `None` when that is nothing.
    #[must_use]
    pub fn new(text: String, reasoning: String) -> Option<Self> {
        (!text.is_empty() || !reasoning.is_empty()).then_some(Self { text, reasoning })
    }
}
