//! Errors as clients of chat completions read them.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use polysight::{Attempt, Billed, Error, ErrorKind, JsonValue, Violation};
use serde::Serialize;

use crate::server::Body;

/// Read by the SDKs of OpenAI before they try again by themselves.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What an SDK should do with a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// The same request will fail again, or would be paid for twice.
    Never,
    /// It may succeed after this long, where that is known.
    After(Option<Duration>),
}

/// A failed request: HTTP status, and what the error object says.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    body: Box<ErrorObject>,
    retry: Retry,
}

/// The error object of the chat-completions shape.
#[derive(Debug, Clone, Serialize)]
struct ErrorObject {
    message: String,
    r#type: &'static str,
    param: Option<String>,
    code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    polysight: Option<Details>,
}

/// What is known beyond that shape.
#[derive(Debug, Clone, Serialize)]
struct Details {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// The vendor's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// The vendor's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The id to name in a support case.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    billed: Billed,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<Violation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
    /// What had arrived of a plain answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<JsonValue>,
}

/// The error types of the chat-completions shape.
const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const UPSTREAM: &str = "upstream_error";

impl Refusal {
    /// A refusal by the gateway itself.
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let r#type = match status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => SERVER,
            _ => INVALID,
        };
        let body = ErrorObject {
            message: message.into(),
            r#type,
            param: None,
            code: code.to_owned(),
            polysight: None,
        };
        Self { status, body: Box::new(body), retry: Retry::Never }
    }

    /// Names the field that is at fault.
    pub(crate) fn with_param(mut self, param: impl Into<String>) -> Self {
        self.body.param = Some(param.into());
        self
    }

    /// Says when the same request may succeed.
    pub(crate) fn with_retry(mut self, after: Duration) -> Self {
        self.retry = Retry::After(Some(after));
        self
    }

    /// Everything that is wrong with a request, in one error.
    pub(crate) fn invalid(violations: Vec<Violation>) -> Self {
        Error::from_violations(violations).into()
    }

    /// The gateway ends before the answer does.
    pub(crate) fn shutting_down() -> Self {
        let message = "the gateway is shutting down: send the request again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
            .with_retry(Duration::from_secs(1))
    }

    /// The refusal as the last event of a stream that has begun.
    pub(crate) fn frame(&self) -> Bytes {
        let mut frame = b"data: ".to_vec();
        frame.extend_from_slice(&self.json());
        frame.extend_from_slice(b"\n\n");
        frame.into()
    }

    pub(crate) fn message(&self) -> &str {
        &self.body.message
    }

    pub(crate) fn code(&self) -> &str {
        &self.body.code
    }

    /// The provider that failed last, if the request was sent to any.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.body.polysight.as_ref()?.provider.as_deref()
    }

    /// How often the request was sent, as far as is known.
    pub(crate) fn attempts(&self) -> usize {
        let details = self.body.polysight.as_ref().filter(|details| details.provider.is_some());
        details.map_or(0, |details| details.attempts.len() + 1)
    }

    fn json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Whole<'a> {
            error: &'a ErrorObject,
        }
        // Texts and numbers alone: this cannot fail.
        serde_json::to_vec(&Whole { error: &self.body }).unwrap_or_default()
    }
}

/// HTTP status, type and code of a kind of failure.
///
/// A status of 400 to 499 is for what the client can mend: its request, its choice of a model, its pace. What is wrong with
/// the gateway's own keys and config is a server's fault.
fn shape(kind: ErrorKind) -> (StatusCode, &'static str, &'static str) {
    match kind {
        ErrorKind::InvalidRequest => (StatusCode::BAD_REQUEST, INVALID, "invalid_request"),
        ErrorKind::InvalidMedia => (StatusCode::BAD_REQUEST, INVALID, "invalid_media"),
        ErrorKind::MediaFetchFailed => (StatusCode::BAD_REQUEST, INVALID, "media_fetch_failed"),
        ErrorKind::Unsupported => (StatusCode::BAD_REQUEST, INVALID, "unsupported"),
        ErrorKind::ContextTooLong => (StatusCode::BAD_REQUEST, INVALID, "context_length_exceeded"),
        ErrorKind::ContentRefused => (StatusCode::BAD_REQUEST, INVALID, "content_filter"),
        ErrorKind::Billing => (StatusCode::PAYMENT_REQUIRED, "billing_error", "no_balance"),
        ErrorKind::BudgetExceeded => (StatusCode::PAYMENT_REQUIRED, "billing_error", "budget_exceeded"),
        ErrorKind::Permission => (StatusCode::FORBIDDEN, "permission_error", "not_permitted"),
        ErrorKind::ModelNotFound => (StatusCode::NOT_FOUND, INVALID, "model_not_found"),
        ErrorKind::QuotaExhausted => {
            (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota")
        }
        ErrorKind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", "rate_limit_exceeded"),
        ErrorKind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, UPSTREAM, "overloaded"),
        ErrorKind::Authentication => (StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_authentication"),
        ErrorKind::Interrupted => (StatusCode::BAD_GATEWAY, UPSTREAM, "answer_interrupted"),
        ErrorKind::Network => (StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_unreachable"),
        ErrorKind::Server => (StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_failure"),
        ErrorKind::Protocol => (StatusCode::BAD_GATEWAY, UPSTREAM, "upstream_not_understood"),
        ErrorKind::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, UPSTREAM, "upstream_timeout"),
        ErrorKind::Config => (StatusCode::INTERNAL_SERVER_ERROR, SERVER, "configuration"),
        // Kinds of a newer core; a test holds this list against all of them.
        _ => (StatusCode::INTERNAL_SERVER_ERROR, SERVER, UNLISTED),
    }
}

/// The code of kinds that the list lacks.
const UNLISTED: &str = "unlisted";

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (status, r#type, code) = shape(error.kind());
        let violations: Vec<Violation> = error.violations().iter().cloned().map(as_sent).collect();
        let is_picture = violations.iter().any(|violation| violation.problem.ends_with(NO_PICTURES));
        let message = match (is_picture, violations.is_empty()) {
            // Clients look for the first words: they then offer to choose another model.
            (true, _) => format!("image_url is only supported by certain models: {}", listed(&violations)),
            (false, false) => format!("invalid request: {}", listed(&violations)),
            (false, true) => error.to_string(),
        };
        let body = ErrorObject {
            message,
            r#type,
            param: violations.first().map(|violation| violation.path.clone()),
            code: if is_picture { "image_not_supported" } else { code }.to_owned(),
            polysight: Some(details(&error, violations)),
        };
        Self { status, body: Box::new(body), retry: retry(&error) }
    }
}

/// How the core says that a model has no vision.
const NO_PICTURES: &str = " takes no pictures";

fn details(error: &Error, violations: Vec<Violation>) -> Details {
    Details {
        kind: error.kind().name(),
        provider: error.provider().map(str::to_owned),
        status: error.status(),
        code: error.code().map(str::to_owned),
        request_id: error.request_id().map(str::to_owned),
        billed: error.billed(),
        violations,
        attempts: error.attempts().to_vec(),
        partial: error.partial().map(
            |partial| serde_json::json!({ "content": partial.text, "reasoning_content": partial.reasoning }),
        ),
    }
}

/// What may have been paid for already is not asked for again by an SDK on its own account.
fn retry(error: &Error) -> Retry {
    let reaction = error.reaction();
    if reaction.retry_here && error.billed() < Billed::Likely {
        Retry::After(reaction.wait)
    } else {
        Retry::Never
    }
}

fn as_sent(mut violation: Violation) -> Violation {
    violation.path = client_path(&violation.path);
    violation
}

/// A path as the client wrote it: parts of a message are its `content`.
pub(crate) fn client_path(path: &str) -> String {
    path.replace(".parts[", ".content[").replace(".frames[", ".video[")
}

fn listed(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        let mut response = Self::new(Body::from(refusal.json()));
        *response.status_mut() = refusal.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match refusal.retry {
            Retry::Never => {
                headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
            }
            Retry::After(Some(wait)) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64));
            }
            Retry::After(None) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Retry::After(None) => {}
        }
        response
    }
}

#[cfg(test)]
mod tests;
