//! The body of an error of Qianfan's.

use crate::codes::qianfan as codes;
use crate::json::Json;
use crate::refusal::{ErrorFormat, Refusal};

pub(super) fn argument(message: impl Into<String>) -> Refusal {
    Refusal::with_message("invalid_argument", message)
}

pub(super) fn messages(message: impl Into<String>) -> Refusal {
    Refusal::with_message("invalid_messages", message)
}

/// How errors of one request are written.
#[derive(Clone, Debug)]
pub(super) struct ErrorBody {
    /// The id of the request.
    pub(super) id: String,
}

impl ErrorFormat for ErrorBody {
    fn body(&self, refusal: &Refusal) -> Json {
        let row = codes::find(&refusal.code);
        let error = Json::object([
            ("code", refusal.code.as_str().into()),
            ("message", refusal.text(row.map(|row| row.text.to_owned())).into()),
            ("type", row.map_or("invalid_request_error", |row| row.kind).into()),
        ]);
        Json::object([("error", error), ("id", self.id.as_str().into())])
    }
}
