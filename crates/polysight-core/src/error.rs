//! One error for everything that can go wrong between a question and its answer.

mod scrub;

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use crate::redact::OneLine;
use crate::{Attempt, RateLimits, SafetyLabel, Violation, redact};

/// The result of everything in Polysight that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong: the one list that holds for every vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request breaks a rule of the vendor; see [`Error::violations`] when it was found before sending.
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
    /// A daily, weekly or plan quota is used up; see [`Error::quota_reset`].
    QuotaExhausted,
    /// The account sends too fast or too much at once.
    RateLimited,
    /// The model or the platform is too busy for anybody.
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

    fn phrase(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid request",
            Self::InvalidMedia => "unusable media",
            Self::MediaFetchFailed => "media unreachable for the vendor",
            Self::Authentication => "authentication failed",
            Self::Permission => "not permitted",
            Self::Billing => "no balance",
            Self::QuotaExhausted => "quota exhausted",
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, EnumIter)]
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
    fn phrase(self) -> &'static str {
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
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Display, EnumString, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Billed {
    /// Nothing was sent, or the vendor refused it.
    #[default]
    No,
    /// It was sent, and the connection broke before a reply: nobody on this side can tell.
    Perhaps,
    /// The vendor was at work or had begun to answer: a time limit passed, or the answer broke off.
    Likely,
}

/// What a throttled call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display)]
#[strum(serialize_all = "snake_case")]
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
    /// The account as a whole, by a limit that is not told; such a window lasts minutes.
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

/// Everything known about a failure.
///
/// `Display` is one line without the [source](StdError::source). Neither it nor `Debug` holds a key, the query of a
/// URL or media: vendor texts pass through [`redact`](crate::redact) on their way in. Cloning shares the source.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    provider: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    vendor_message: Option<String>,
    request_id: Option<String>,
    retry: RetryAdvice,
    billed: Billed,
    rate_limit_scope: Option<RateLimitScope>,
    quota_reset: Option<String>,
    rate_limits: Option<RateLimits>,
    partial: Option<Partial>,
    safety: Vec<SafetyLabel>,
    violations: Vec<Violation>,
    attempts: Vec<Attempt>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of a kind; `message` says what happened, in lower case, on one line.
    ///
    /// The retry advice starts as what is usual for the kind: "later" for [`RateLimited`](ErrorKind::RateLimited),
    /// [`Overloaded`](ErrorKind::Overloaded), [`Server`](ErrorKind::Server), [`Network`](ErrorKind::Network),
    /// [`Interrupted`](ErrorKind::Interrupted) and a timeout while connecting; "never" for all others, other
    /// timeouts included, since the vendor may be billing that call already. [`billed`](Self::billed) starts as what is
    /// usual for the kind too.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::RateLimited
            | ErrorKind::Overloaded
            | ErrorKind::Server
            | ErrorKind::Network
            | ErrorKind::Interrupted
            | ErrorKind::Timeout(TimeoutPhase::Connect) => RetryAdvice::After(None),
            _ => RetryAdvice::Never,
        };
        let billed = match kind {
            ErrorKind::Network => Billed::Perhaps,
            ErrorKind::Timeout(TimeoutPhase::Connect) => Billed::No,
            ErrorKind::Interrupted | ErrorKind::Timeout(_) => Billed::Likely,
            _ => Billed::No,
        };
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            provider: None,
            status: None,
            code: None,
            vendor_message: None,
            request_id: None,
            retry,
            billed,
            rate_limit_scope: None,
            quota_reset: None,
            rate_limits: None,
            partial: None,
            safety: Vec::new(),
            violations: Vec::new(),
            attempts: Vec::new(),
            source: None,
        }))
    }

    /// Makes the error of a request that was refused before sending.
    #[must_use]
    pub fn from_violations(violations: Vec<Violation>) -> Self {
        let mut error = Self::new(ErrorKind::InvalidRequest, String::new());
        error.0.violations = violations;
        error
    }

    /// Names the provider.
    #[must_use]
    pub fn with_provider(mut self, provider: impl Into<String>) -> Self {
        self.0.provider = Some(provider.into());
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the vendor's own code.
    #[must_use]
    pub fn with_code(mut self, code: impl AsRef<str>) -> Self {
        self.0.code = shown(code.as_ref());
        self
    }

    /// Adds the vendor's own words, redacted.
    #[must_use]
    pub fn with_vendor_message(mut self, message: impl AsRef<str>) -> Self {
        self.0.vendor_message = shown(message.as_ref());
        self
    }

    /// Adds the vendor's id of the request.
    #[must_use]
    pub fn with_request_id(mut self, id: impl AsRef<str>) -> Self {
        self.0.request_id = shown(id.as_ref());
        self
    }

    /// Replaces the retry advice.
    #[must_use]
    pub fn with_retry(mut self, advice: RetryAdvice) -> Self {
        self.0.retry = advice;
        self
    }

    /// Replaces what is known about the bill.
    #[must_use]
    pub fn with_billed(mut self, billed: Billed) -> Self {
        self.0.billed = billed;
        self
    }

    /// Says which limit throttled the call.
    #[must_use]
    pub fn with_rate_limit_scope(mut self, scope: RateLimitScope) -> Self {
        self.0.rate_limit_scope = Some(scope);
        self
    }

    /// Adds what the vendor's headers say about the account's limits.
    #[must_use]
    pub fn with_rate_limits(mut self, limits: Option<RateLimits>) -> Self {
        self.0.rate_limits = limits;
        self
    }

    /// Puts tries that failed earlier before those that are listed already.
    #[must_use]
    pub fn with_earlier_attempts(mut self, mut earlier: Vec<Attempt>) -> Self {
        earlier.append(&mut self.0.attempts);
        self.0.attempts = earlier;
        self
    }

    /// Adds the time at which an exhausted quota comes back, in the vendor's words.
    #[must_use]
    pub fn with_quota_reset(mut self, when: impl AsRef<str>) -> Self {
        self.0.quota_reset = shown(when.as_ref());
        self
    }

    /// Adds what had arrived of the answer.
    #[must_use]
    pub fn with_partial(mut self, partial: Option<Partial>) -> Self {
        self.0.partial = partial;
        self
    }

    /// Adds the safety labels that came with a refusal.
    #[must_use]
    pub fn with_safety(mut self, safety: Vec<SafetyLabel>) -> Self {
        self.0.safety = safety;
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened, in the library's words; empty when [`violations`](Self::violations) say it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The provider's name.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// The HTTP status, when there was a reply.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The vendor's own code, as text.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The vendor's own words.
    #[must_use]
    pub fn vendor_message(&self) -> Option<&str> {
        self.0.vendor_message.as_deref()
    }

    /// The id to name in a support case: the vendor's, or the one that the request went out with where the vendor told none.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// What to do now.
    #[must_use]
    pub fn retry(&self) -> RetryAdvice {
        self.0.retry
    }

    /// True when the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.retry, RetryAdvice::After(_))
    }

    /// Whether the vendor may charge for the failed call.
    #[must_use]
    pub fn billed(&self) -> Billed {
        self.0.billed
    }

    /// Which limit throttled the call, where the vendor's code tells.
    #[must_use]
    pub fn rate_limit_scope(&self) -> Option<RateLimitScope> {
        self.0.rate_limit_scope
    }

    /// What the vendor's headers say about the account's limits, where they say anything.
    #[must_use]
    pub fn rate_limits(&self) -> Option<&RateLimits> {
        self.0.rate_limits.as_ref()
    }

    /// The tries that failed before this one, oldest first: empty when nothing was tried again.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// Every failed try, this error as the last of them; `took` is how long it took.
    #[must_use]
    pub fn into_attempts(mut self, took: Duration) -> Vec<Attempt> {
        let mut attempts = std::mem::take(&mut self.0.attempts);
        attempts.push(Attempt::of(&self, took));
        attempts
    }

    /// When an exhausted quota comes back, in the vendor's words.
    #[must_use]
    pub fn quota_reset(&self) -> Option<&str> {
        self.0.quota_reset.as_deref()
    }

    /// What had arrived of the answer.
    ///
    /// A [`ChatStream`](crate::ChatStream) that is read event by event has handed its text out already, so there it
    /// is `None`; a collected stream and a plain call carry it.
    #[must_use]
    pub fn partial(&self) -> Option<&Partial> {
        self.0.partial.as_ref()
    }

    /// The safety labels that came with a refusal.
    #[must_use]
    pub fn safety(&self) -> &[SafetyLabel] {
        &self.0.safety
    }

    /// Every rule that the request breaks, when that was found before sending.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }
}

impl Error {
    /// The failure alone, in one line: what [`Display`](fmt::Display) shows, without the tries before it.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        // A `String` takes everything.
        let _ = self.0.write_line(&mut OneLine(&mut line));
        line
    }
}

impl Inner {
    fn write_line(&self, f: &mut impl fmt::Write) -> fmt::Result {
        if let Some(provider) = &self.provider {
            write!(f, "{provider}: ")?;
        }
        write!(f, "{}", self.kind)?;
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, " (HTTP {status}, code {code})")?,
            (Some(status), None) => write!(f, " (HTTP {status})")?,
            (None, Some(code)) => write!(f, " (code {code})")?,
            (None, None) => {}
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(message) = &self.vendor_message {
            write!(f, ": {message}")?;
        }
        for (index, violation) in self.violations.iter().enumerate() {
            write!(f, "{}{violation}", if index == 0 { ": " } else { "; " })?;
        }
        if let Some(reset) = &self.quota_reset {
            write!(f, " [resets {reset}]")?;
        }
        match &self.request_id {
            Some(id) => write!(f, " [request {id}]"),
            None => Ok(()),
        }
    }
}

/// A vendor's words as they may be shown; `None` when they are empty.
fn shown(text: &str) -> Option<String> {
    Some(redact(text)).filter(|text| !text.is_empty())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut OneLine(f);
        self.0.write_line(f)?;
        match self.0.attempts.len() {
            0 => Ok(()),
            1 => f.write_str(" [a try before it failed too]"),
            more => write!(f, " [{more} tries before it failed too]"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", &inner.kind).field("display", &self.to_string()).field("retry", &inner.retry);
        if inner.billed != Billed::No {
            out.field("billed", &inner.billed);
        }
        if !inner.attempts.is_empty() {
            out.field("attempts", &inner.attempts);
        }
        if let Some(partial) = &inner.partial {
            out.field("partial_text_bytes", &partial.text.len());
        }
        if !inner.safety.is_empty() {
            out.field("safety", &inner.safety);
        }
        if let Some(source) = &inner.source {
            out.field("source", &redact(&source.to_string()));
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_on_one_line_without_the_source() {
        let error = Error::new(ErrorKind::RateLimited, "")
            .with_provider("zhipu")
            .with_status(429)
            .with_code("1302")
            .with_vendor_message("您的账户已达到速率限制\n请您控制请求频率")
            .with_request_id("2026")
            .with_source(std::io::Error::other("deep"));
        assert_eq!(
            error.to_string(),
            "zhipu: rate limited (HTTP 429, code 1302): 您的账户已达到速率限制 请您控制请求频率 [request 2026]"
        );
        assert_eq!(error.source().unwrap().to_string(), "deep");
    }

    #[test]
    fn is_small_and_can_cross_threads() {
        fn sendable<T: Send + Sync + 'static>() {}
        sendable::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_read_timeout_is_not_retried_by_itself() {
        assert!(!Error::new(ErrorKind::Timeout(TimeoutPhase::Idle), "").is_retryable());
        assert!(Error::new(ErrorKind::Timeout(TimeoutPhase::Connect), "").is_retryable());
    }

    #[test]
    fn tells_what_may_be_on_the_bill() {
        let billed = |kind| Error::new(kind, "").billed();
        assert_eq!(billed(ErrorKind::RateLimited), Billed::No);
        assert_eq!(billed(ErrorKind::Timeout(TimeoutPhase::Connect)), Billed::No);
        assert_eq!(billed(ErrorKind::Network), Billed::Perhaps);
        assert_eq!(billed(ErrorKind::Timeout(TimeoutPhase::FirstByte)), Billed::Likely);
        assert_eq!(billed(ErrorKind::Interrupted), Billed::Likely);
        assert!(Billed::No < Billed::Perhaps && Billed::Perhaps < Billed::Likely);
    }

    #[test]
    fn lists_earlier_tries_in_the_order_in_which_they_failed() {
        let failed = |code: &str| Error::new(ErrorKind::Server, "").with_code(code);
        let first = failed("1").into_attempts(Duration::ZERO);
        let second = failed("2").with_earlier_attempts(first);
        assert_eq!(second.to_string(), "server failure (code 2) [a try before it failed too]");
        let third = failed("3").with_earlier_attempts(second.into_attempts(Duration::ZERO));
        let codes: Vec<_> = third.attempts().iter().filter_map(|attempt| attempt.code.as_deref()).collect();
        assert_eq!(codes, ["1", "2"]);
        assert_eq!(third.attempts()[1].message, "server failure (code 2)");
    }

    #[test]
    fn stays_on_one_line_whatever_it_holds() {
        for code in (0..=0x9f).chain([0x2028, 0x2029]) {
            let Some(c) = char::from_u32(code).filter(|c| c.is_control() || *c > '\u{a0}') else { continue };
            let nasty = format!("a{c}b");
            let error = Error::new(ErrorKind::Server, nasty.clone())
                .with_provider(nasty.clone())
                .with_code(&nasty)
                .with_vendor_message(&nasty)
                .with_request_id(&nasty)
                .with_quota_reset(&nasty)
                .with_source(std::io::Error::other(nasty));
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains(c), "{code:x}: {shown:?}");
            }
        }
    }

    #[test]
    fn shows_no_empty_brackets() {
        let error = Error::new(ErrorKind::Server, "")
            .with_code("")
            .with_vendor_message(" \n")
            .with_request_id("")
            .with_quota_reset("");
        assert_eq!(error.to_string(), "server failure");
        assert_eq!(error.code(), None);
    }

    #[test]
    fn shows_neither_keys_nor_media_of_vendor_texts() {
        let media = "iVBORw0KGgo".repeat(40);
        let text = format!("cannot read https://me:canary@host/a?sign=canary or {media}");
        let error = Error::new(ErrorKind::MediaFetchFailed, "")
            .with_vendor_message(&text)
            .with_source(std::io::Error::other(text));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary") && !shown.contains("iVBOR"), "{shown}");
    }
}
