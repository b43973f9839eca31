//! A refusal in Qianfan's words.

use super::codes;
use crate::faults::replies::{Wording, status_of};
use crate::json::Json;
use crate::server::Reply;

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal with the table's own text.
    pub(crate) fn plain(code: &'static str) -> Self {
        let row = codes::find(code);
        Self {
            status: row.map_or(400, |row| row.status),
            code,
            message: row.map(|row| row.text.to_owned()).unwrap_or_default(),
        }
    }

    /// A refusal with a text of its own.
    pub(crate) fn told(code: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::plain(code) }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::told("invalid_argument", message)
    }

    pub(crate) fn messages(message: impl Into<String>) -> Self {
        Self::told("invalid_messages", message)
    }
}

/// How errors of one request are told.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// The id of the request.
    pub(crate) id: String,
}

impl Words {
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Reply {
        Reply::json(refusal.status, &self.error(refusal.code, Some(&refusal.message)))
    }
}

impl Wording for Words {
    fn error(&self, code: &str, message: Option<&str>) -> Json {
        let row = codes::find(code);
        let known = row.map(|row| row.text.to_owned());
        let text = message.map(str::to_owned).or(known).unwrap_or_else(|| format!("error {code}"));
        let error = Json::object([
            ("code", code.into()),
            ("message", text.into()),
            ("type", row.map_or("invalid_request_error", |row| row.kind).into()),
        ]);
        Json::object([("error", error), ("id", self.id.as_str().into())])
    }

    fn refusal(&self, code: &str) -> Reply {
        Reply::json(status_of(code).unwrap_or(400), &self.error(code, None))
    }
}
