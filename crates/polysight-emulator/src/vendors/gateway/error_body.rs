//! The body of an error in OpenAI's shape.

use crate::codes::{status_of, text_of};
use crate::json::Json;
use crate::refusal::{ErrorFormat, Refusal};

/// Errors as OpenAI writes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorBody;

impl ErrorFormat for ErrorBody {
    /// Of a code without a text of its own it repeats what the vendor behind it says.
    fn body(&self, refusal: &Refusal) -> Json {
        let error = Json::object([
            ("message", refusal.text(text_of(&refusal.code)).into()),
            ("type", error_type(status_of(&refusal.code).unwrap_or(refusal.status)).into()),
            ("param", refusal.param.into()),
            ("code", refusal.code.as_str().into()),
        ]);
        Json::object([("error", error)])
    }
}

/// A value that is not taken.
pub(super) fn invalid(param: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { param: Some(param), ..Refusal::with_message("invalid_value", message) }
}

fn error_type(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}
