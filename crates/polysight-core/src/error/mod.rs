//! One error for everything that can go wrong between a question and its answer.

mod kind;
mod reaction;
mod redact;
mod redact_secrets;
mod spelling;

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

pub use kind::{Billed, ErrorKind, Partial, RateLimitScope, RetryAdvice, TimeoutPhase};
pub use reaction::{AtFault, Reaction};
pub(crate) use redact::OneLine;
pub use redact::redact;
pub use redact_secrets::{SecretFilter, is_ordinary, is_secret_name};

use crate::catalog::Money;
use crate::{Attempt, FinishKind, RateLimits, SafetyLabel, Usage, Violation};

/// The result of everything in Polysight that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    local: bool,
    rate_limit_scope: Option<RateLimitScope>,
    quota_reset: Option<String>,
    rate_limits: Option<RateLimits>,
    partial: Option<Partial>,
    usage: Option<Usage>,
    cost: Option<Money>,
    finish: Option<FinishKind>,
    safety: Vec<SafetyLabel>,
    violations: Vec<Violation>,
    attempts: Vec<Attempt>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of a kind; `message` says what happened, in lower case, on one line.
    ///
    /// Retry advice and [`billed`](Self::billed) start as what is usual for the kind: see [`Reaction`].
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let usual = reaction::usual(kind);
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            provider: None,
            status: None,
            code: None,
            vendor_message: None,
            request_id: None,
            retry: usual.retry,
            billed: usual.billed,
            local: false,
            rate_limit_scope: None,
            quota_reset: None,
            rate_limits: None,
            partial: None,
            usage: None,
            cost: None,
            finish: None,
            safety: Vec::new(),
            violations: Vec::new(),
            attempts: Vec::new(),
            source: None,
        }))
    }

    /// Makes the error of a request that was refused before sending.
    #[must_use]
    pub fn from_violations(violations: Vec<Violation>) -> Self {
        Self::new(ErrorKind::InvalidRequest, String::new()).with_violations(violations)
    }

    /// Adds what is wrong, item by item.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.0.violations = violations;
        self
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

    /// Says that this side made the error without asking the vendor: its own rate limit, an open circuit breaker. Such an
    /// error says nothing about the vendor.
    #[must_use]
    pub fn with_local(mut self) -> Self {
        self.0.local = true;
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

    /// Puts attempts that failed earlier before those that are listed already.
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

    /// Adds the tokens that the failed call used, where the vendor said them.
    #[must_use]
    pub fn with_usage(mut self, usage: Option<Usage>) -> Self {
        self.0.usage = usage;
        self
    }

    /// Adds what the failed call cost.
    #[must_use]
    pub fn with_cost(mut self, cost: Option<Money>) -> Self {
        self.0.cost = cost;
        self
    }

    /// Says how the answer ended that is none.
    #[must_use]
    pub fn with_finish(mut self, finish: FinishKind) -> Self {
        self.0.finish = Some(finish);
        self
    }

    /// Adds the safety labels that came with a refusal.
    #[must_use]
    pub fn with_safety(mut self, safety: Vec<SafetyLabel>) -> Self {
        self.0.safety = safety;
        self
    }

    /// Adds the underlying error. One whose words, or those of its own sources, have more than 300 bytes or one line is
    /// replaced by what may be shown of them.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(redact_secrets::short_source(source.into()));
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

    /// The id to name in a support case: the vendor's, else the one that the request was sent with.
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

    /// True when this side made the error without asking the vendor.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0.local
    }

    /// What to do after this error: the one place where that is decided.
    #[must_use]
    pub fn reaction(&self) -> Reaction {
        Reaction::of(self)
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

    /// The attempts that failed before this one, oldest first: empty when nothing was tried again.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// Every failed attempt, this error as the last of them; `duration` is how long it took.
    #[must_use]
    pub fn into_attempts(mut self, duration: Duration) -> Vec<Attempt> {
        let mut attempts = std::mem::take(&mut self.0.attempts);
        attempts.push(Attempt::of(&self, duration));
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

    /// Tokens that the failed call used, where the vendor said them before it failed.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.0.usage
    }

    /// What the failed call cost, from its [`usage`](Self::usage) and the model's prices; `None` where either is unknown.
    /// Failed [`attempts`](Self::attempts) before it are not in it.
    #[must_use]
    pub fn cost(&self) -> Option<&Money> {
        self.0.cost.as_ref()
    }

    /// How the answer ended, where the vendor said so: an answer that met the vendor's own token limit is
    /// [`FinishKind::Length`].
    #[must_use]
    pub fn finish(&self) -> Option<FinishKind> {
        self.0.finish
    }

    /// The safety labels that came with a refusal.
    #[must_use]
    pub fn safety(&self) -> &[SafetyLabel] {
        &self.0.safety
    }

    /// Every rule that the request breaks, when that was found before sending; every fault of a config file.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }
}

impl Error {
    /// The failure alone, in one line: what [`Display`](fmt::Display) shows, without the attempts before it.
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
            1 => f.write_str(" [an attempt before it failed too]"),
            more => write!(f, " [{more} attempts before it failed too]"),
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
        if let Some(cost) = &inner.cost {
            out.field("cost", &cost.to_string());
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
        assert_eq!(second.to_string(), "server failure (code 2) [an attempt before it failed too]");
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
