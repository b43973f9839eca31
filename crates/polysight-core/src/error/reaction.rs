//! What a failure means is decided here and nowhere else.

use std::fmt::Write as _;
use std::time::Duration;

use strum::IntoEnumIterator as _;

use super::{Billed, Error, ErrorKind, RateLimitScope, RetryAdvice, TimeoutPhase};

/// How long a limit of the account or the model usually lasts where the vendor does not say: 30 s.
const LONG_LIMIT: Duration = Duration::from_secs(30);
/// How long a key without rights or an account without money is not worth asking again: 60 s.
const NO_ACCESS: Duration = Duration::from_secs(60);

/// Who is to blame for a failure: what a circuit breaker or a key pool should avoid for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum AtFault {
    /// Neither the vendor nor the account: the request, or this side.
    Nobody,
    /// The key: another key of the same account may do.
    Key,
    /// The account behind the key: its money, its quota, its rate.
    Account,
    /// The model, for every account.
    Model,
    /// The vendor's server or the way to it.
    Target,
}

/// What to do after a failure.
///
/// Retry, rate limit, router, key pool and circuit breaker read it and have no opinion of their own. Their policies say
/// how much a failed call may have [cost](Error::billed) and how long waits are; nothing else.
///
/// | failure | same target again | another target | at fault | wait | slow down | usually billed |
/// | --- | --- | --- | --- | --- | --- | --- |
/// | `invalid_request` | no | yes | nobody | - | no | no |
/// | `invalid_media` | no | no | nobody | - | no | no |
/// | `media_fetch_failed` | no | yes | nobody | - | no | no |
/// | `authentication` | no | yes | key | 60 s | no | no |
/// | `permission` | no | yes | key | 60 s | no | no |
/// | `billing` | no | yes | account | 60 s | no | no |
/// | `quota_exhausted` | no | yes | account | 60 s | no | no |
/// | `budget_exceeded` | no | yes | nobody | - | no | no |
/// | `rate_limited` | yes | yes | account | - | yes | no |
/// | `rate_limited` (account) | yes | yes | account | 30 s | yes | no |
/// | `rate_limited` (model) | yes | yes | model | 30 s | yes | no |
/// | `rate_limited` (local) | yes | yes | nobody | - | no | no |
/// | `overloaded` | yes | yes | model | - | no | no |
/// | `overloaded` (model) | yes | yes | model | 30 s | yes | no |
/// | `overloaded` (local) | yes | yes | nobody | - | no | no |
/// | `model_not_found` | no | yes | nobody | - | no | no |
/// | `context_too_long` | no | yes | nobody | - | no | no |
/// | `content_refused` | no | no | nobody | - | no | no |
/// | `interrupted` | yes | yes | target | - | no | likely |
/// | `interrupted` (final) | no | yes | nobody | - | no | likely |
/// | `timeout` (connect) | yes | yes | target | - | no | no |
/// | `timeout` (first_byte) | yes | yes | target | - | no | likely |
/// | `timeout` (idle) | yes | yes | target | - | no | likely |
/// | `timeout` (total) | yes | yes | target | - | no | likely |
/// | `network` | yes | yes | target | - | no | perhaps |
/// | `server` | yes | yes | target | - | no | no |
/// | `protocol` | no | yes | target | - | no | no |
/// | `config` | no | no | nobody | - | no | no |
/// | `unsupported` | no | yes | nobody | - | no | no |
///
/// - *same target again* is the usual answer; the error's own [advice](Error::retry), which comes from the vendor's code
///   or headers, goes first where there is one. Credentials that had expired have been renewed once already when an error
///   gets this far.
/// - *slow down* is for a rate limiter: a limit on how much is sent was met, as everywhere that the vendor names one.
/// - *usually billed*: a `server` error whose status came from what stands before the vendor is perhaps billed (408, 502,
///   520) or likely (504, 524), since the vendor may have been at work.
/// - *wait* is the vendor's own where it names one ([`RetryAdvice::After`]).
/// - *local* is an error of this side ([`Error::is_local`]); *final* one that the same request would meet again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaction {
    /// The same request to the same target may succeed later. What may be billed twice is for the policy to allow.
    pub retry_here: bool,
    /// Another vendor, model or account may succeed.
    pub try_elsewhere: bool,
    /// What to avoid for a while.
    pub at_fault: AtFault,
    /// How long the cause lasts, at least: the vendor's word, else what is usual; `None` where neither is known.
    pub wait: Option<Duration>,
    /// The vendor rejected the call by a limit on how much is sent: all calls of this account to this model should pause.
    pub slow_down: bool,
}

impl Reaction {
    pub(super) fn of(error: &Error) -> Self {
        let usual = usual(error.kind());
        let (retry_here, vendor_wait) = match error.retry() {
            RetryAdvice::After(wait) => (true, wait),
            RetryAdvice::Never => (usual.outlives_advice, None),
            RetryAdvice::RefreshCredentials => (false, None),
        };
        let scope = error.rate_limit_scope();
        let at_fault = match usual.at_fault {
            _ if error.is_local() => AtFault::Nobody,
            AtFault::Account if scope == Some(RateLimitScope::Model) => AtFault::Model,
            AtFault::Target if usual.only_if_retryable && !retry_here => AtFault::Nobody,
            usual => usual,
        };
        let long = scope.is_some_and(RateLimitScope::lasts_minutes).then_some(LONG_LIMIT);
        let wait = vendor_wait.or(usual.wait).or(long);
        let slow_down = !error.is_local() && (usual.slow_down || scope.is_some());
        Self { retry_here, try_elsewhere: usual.try_elsewhere, at_fault, wait, slow_down }
    }

    /// The table above, made from what the code decides: Markdown, one row for each kind of failure.
    #[must_use]
    pub fn table() -> String {
        let mut table = String::from(
            "| failure | same target again | another target | at fault | wait | slow down | usually billed |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for (name, error) in every_failure() {
            let Self { retry_here, try_elsewhere, at_fault, wait, slow_down } = error.reaction();
            let yes = |is: bool| if is { "yes" } else { "no" };
            let wait = wait.map_or("-".to_owned(), |wait| format!("{} s", wait.as_secs()));
            let (here, elsewhere) = (yes(retry_here), yes(try_elsewhere));
            // A `String` takes everything.
            let _ = writeln!(
                table,
                "| {name} | {here} | {elsewhere} | {at_fault} | {wait} | {} | {} |",
                yes(slow_down),
                error.billed()
            );
        }
        table
    }
}

/// One error for each row of the table.
fn every_failure() -> Vec<(String, Error)> {
    let mut rows = Vec::new();
    for kind in ErrorKind::iter() {
        let name = format!("`{}`", kind.name());
        let error = Error::new(kind, "");
        let scoped =
            |scope: RateLimitScope| (format!("{name} ({scope})"), error.clone().with_rate_limit_scope(scope));
        if let ErrorKind::Timeout(_) = kind {
            rows.extend(
                TimeoutPhase::iter()
                    .map(|phase| (format!("{name} ({phase})"), Error::new(ErrorKind::Timeout(phase), ""))),
            );
            continue;
        }
        rows.push((name.clone(), error.clone()));
        if kind == ErrorKind::RateLimited {
            rows.push(scoped(RateLimitScope::Account));
            rows.push(scoped(RateLimitScope::Model));
            rows.push((format!("{name} (local)"), error.clone().with_local()));
        }
        if kind == ErrorKind::Overloaded {
            rows.push(scoped(RateLimitScope::Model));
            rows.push((format!("{name} (local)"), error.clone().with_local()));
        }
        if kind == ErrorKind::Interrupted {
            rows.push((format!("{name} (final)"), error.clone().with_retry(RetryAdvice::Never)));
        }
    }
    rows
}

/// What is usual for a kind of failure.
pub(super) struct Usual {
    /// The advice of an error whose vendor gave none.
    pub(super) retry: RetryAdvice,
    /// The risk of a bill.
    pub(super) billed: Billed,
    try_elsewhere: bool,
    at_fault: AtFault,
    wait: Option<Duration>,
    /// A time limit is no refusal by the vendor: it may be repeated where a second bill is accepted.
    outlives_advice: bool,
    /// Blames the target only where the same request may succeed later.
    only_if_retryable: bool,
    /// A limit on how much is sent rejected the call.
    slow_down: bool,
}

/// The base row: not here, elsewhere, not billed, nobody at fault.
const ELSEWHERE: Usual = Usual {
    retry: RetryAdvice::Never,
    billed: Billed::No,
    try_elsewhere: true,
    at_fault: AtFault::Nobody,
    wait: None,
    outlives_advice: false,
    only_if_retryable: false,
    slow_down: false,
};

/// A failure that may pass by itself.
const LATER: Usual = Usual { retry: RetryAdvice::After(None), ..ELSEWHERE };

/// The one match on the kind of a failure. It has no `_` arm: a new kind does not compile until it is decided.
pub(super) fn usual(kind: ErrorKind) -> Usual {
    match kind {
        // A budget holds for each target by itself: a cheaper one may fit, and none is asked that does not.
        ErrorKind::InvalidRequest
        | ErrorKind::BudgetExceeded
        | ErrorKind::MediaFetchFailed
        | ErrorKind::ModelNotFound
        | ErrorKind::ContextTooLong
        | ErrorKind::Unsupported => ELSEWHERE,
        // A local file is as unreadable for every vendor, a wrong configuration must be seen, and a prompt that one
        // vendor refused for its content is not sent to others.
        ErrorKind::InvalidMedia | ErrorKind::Config | ErrorKind::ContentRefused => {
            Usual { try_elsewhere: false, ..ELSEWHERE }
        }
        ErrorKind::Authentication | ErrorKind::Permission => {
            Usual { at_fault: AtFault::Key, wait: Some(NO_ACCESS), ..ELSEWHERE }
        }
        ErrorKind::Billing | ErrorKind::QuotaExhausted => {
            Usual { at_fault: AtFault::Account, wait: Some(NO_ACCESS), ..ELSEWHERE }
        }
        ErrorKind::RateLimited => Usual { at_fault: AtFault::Account, slow_down: true, ..LATER },
        ErrorKind::Overloaded => Usual { at_fault: AtFault::Model, ..LATER },
        ErrorKind::Interrupted => {
            Usual { billed: Billed::Likely, at_fault: AtFault::Target, only_if_retryable: true, ..LATER }
        }
        ErrorKind::Timeout(TimeoutPhase::Connect) => Usual { at_fault: AtFault::Target, ..LATER },
        ErrorKind::Timeout(TimeoutPhase::FirstByte | TimeoutPhase::Idle | TimeoutPhase::Total) => {
            Usual { billed: Billed::Likely, at_fault: AtFault::Target, outlives_advice: true, ..ELSEWHERE }
        }
        ErrorKind::Network => Usual { billed: Billed::Perhaps, at_fault: AtFault::Target, ..LATER },
        ErrorKind::Server => Usual { at_fault: AtFault::Target, ..LATER },
        ErrorKind::Protocol => Usual { at_fault: AtFault::Target, ..ELSEWHERE },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_is_what_the_code_decides() {
        let table = Reaction::table();
        println!("{table}");
        let documented: String = include_str!("reaction.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("/// |"))
            .map(|row| format!("|{row}\n"))
            .collect();
        assert_eq!(documented, table);
    }

    #[test]
    fn the_vendors_own_wait_goes_first() {
        let wait = Some(Duration::from_secs(7));
        let error = Error::new(ErrorKind::RateLimited, "")
            .with_rate_limit_scope(RateLimitScope::Account)
            .with_retry(RetryAdvice::After(wait));
        assert_eq!(error.reaction().wait, wait);
    }

    #[test]
    fn a_vendors_advice_goes_before_what_is_usual() {
        let cut = Error::new(ErrorKind::Protocol, "").with_retry(RetryAdvice::After(None));
        assert!(cut.reaction().retry_here);
        let busy = Error::new(ErrorKind::Server, "").with_retry(RetryAdvice::Never);
        assert!(!busy.reaction().retry_here);
        let stale = Error::new(ErrorKind::Authentication, "").with_retry(RetryAdvice::RefreshCredentials);
        assert!(!stale.reaction().retry_here);
    }

    #[test]
    fn violations_may_suit_another_model_but_faults_of_a_configuration_must_be_seen() {
        let violation =
            || vec![crate::Violation::new("model", "no model is named", "a model id", "name one")];
        let request = Error::from_violations(violation()).reaction();
        assert!(request.try_elsewhere && !request.retry_here);
        let config = Error::new(ErrorKind::Config, "").with_violations(violation()).reaction();
        assert!(!config.try_elsewhere && !config.retry_here);
        assert_eq!((request.at_fault, config.at_fault), (AtFault::Nobody, AtFault::Nobody));
    }
}
