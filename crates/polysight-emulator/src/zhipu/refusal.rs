//! A refusal in Zhipu's words.

use super::codes::Code;
use crate::json::Json;
use crate::server::{Headers, Reply};

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) chinese: String,
    pub(crate) english: String,
    /// Found by the content audit, which is told in the body.
    pub(crate) audited: bool,
}

impl Refusal {
    /// A refusal with the table's own text.
    pub(crate) fn plain(code: &'static str) -> Self {
        let row = Code::find(code);
        Self {
            status: row.map_or(400, |row| row.status),
            code,
            chinese: row.map(|row| row.text(false)).unwrap_or_default(),
            english: row.map(|row| row.text(true)).unwrap_or_default(),
            audited: code == "1301",
        }
    }

    /// A refusal with a text of its own.
    pub(crate) fn told(code: &'static str, chinese: impl Into<String>, english: impl Into<String>) -> Self {
        Self { chinese: chinese.into(), english: english.into(), ..Self::plain(code) }
    }

    pub(crate) fn reply(&self, headers: &Headers) -> Reply {
        let text = if speaks_english(headers) { &self.english } else { &self.chinese };
        Reply::json(self.status, &body(self.code, text, self.audited))
    }
}

/// Whether messages are to be in English.
pub(crate) fn speaks_english(headers: &Headers) -> bool {
    headers.get("accept-language").is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("en"))
}

/// The body of an error; the content audit's findings stand before the error itself.
pub(crate) fn body(code: &str, message: &str, audited: bool) -> Json {
    let findings = || vec![Json::object([("level", 1_u64.into()), ("role", "user".into())])];
    let error = Json::object([("code", code.into()), ("message", message.into())]);
    Json::object([]).with("contentFilter", audited.then(findings)).with("error", Some(error))
}
