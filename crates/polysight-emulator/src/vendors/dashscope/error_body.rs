//! The body of an error of DashScope's, in both dialects and in all framings.

use super::parsed_request::Dialect;
use crate::codes::dashscope as codes;
use crate::faults::sse::{StreamFormat, only_error};
use crate::http::Reply;
use crate::json::Json;
use crate::refusal::{ErrorFormat, Refusal};

/// A parameter that the interface finds wrong.
pub(super) fn parameter(message: impl Into<String>) -> Refusal {
    Refusal::with_message("InvalidParameter", message)
}

/// A parameter that the engine behind the interface finds wrong; its words come wrapped.
pub(super) fn engine(message: impl AsRef<str>) -> Refusal {
    parameter(format!("<400> InternalError.Algo.InvalidParameter: {}", message.as_ref()))
}

/// How errors of one request are written.
#[derive(Clone, Debug)]
pub(super) struct ErrorBody {
    pub(super) dialect: Dialect,
    /// The id of the request.
    pub(super) id: String,
    pub(super) stream: bool,
}

impl ErrorFormat for ErrorBody {
    fn body(&self, refusal: &Refusal) -> Json {
        let row = codes::find(&refusal.code);
        let message = refusal.text(row.map(|row| row.text.to_owned()));
        match (row, self.dialect) {
            (Some(row), Dialect::Native) => self.native(row.native, &message),
            (None, Dialect::Native) => self.native(&refusal.code, &message),
            // A code in the spelling of compatible mode is kept: several may share a native one.
            (Some(row), Dialect::Compatible) if row.native == refusal.code => {
                self.compatible(row.compatible, &message)
            }
            (_, Dialect::Compatible) => self.compatible(&refusal.code, &message),
        }
    }

    /// A bad key is refused before the stream; all else comes in the framing that was asked for: in an event under status 200
    /// on the native path, in a `data:` line under the error's own status in compatible mode.
    fn reply(&self, refusal: &Refusal) -> Reply {
        let (status, body) = (refusal.status, self.body(refusal));
        if !self.stream || status == 401 {
            return Reply::json(status, &body);
        }
        match self.dialect {
            Dialect::Native => Reply::stream(only_error(&StreamFormat { error: body, native: Some(status) })),
            Dialect::Compatible => Reply::whole(
                status,
                "text/event-stream;charset=UTF-8",
                format!("data: {}\n\n", body.to_text()),
            ),
        }
    }
}

impl ErrorBody {
    fn native(&self, code: &str, message: &str) -> Json {
        Json::object([
            ("code", code.into()),
            ("message", message.into()),
            ("request_id", self.id.as_str().into()),
        ])
    }

    fn compatible(&self, code: &str, message: &str) -> Json {
        let bad_key = code == "invalid_api_key";
        let message = if bad_key { "Incorrect API key provided. " } else { message };
        let error = Json::object([
            ("message", message.into()),
            ("type", error_type(code).into()),
            ("param", Json::Null),
            ("code", code.into()),
        ]);
        Json::object([("error", error)])
            .with("id", (!bad_key).then(|| format!("chatcmpl-{}", self.id)))
            .with("request_id", Some(self.id.as_str()))
    }
}

/// Compatible mode has one type for what the caller did wrong, and repeats other codes as their own type.
fn error_type(code: &str) -> &str {
    let wrong = matches!(code, "model_not_found" | "model_not_supported")
        || ["invalid_", "Invalid", "BadRequest"].iter().any(|start| code.starts_with(start));
    if wrong { "invalid_request_error" } else { code }
}
