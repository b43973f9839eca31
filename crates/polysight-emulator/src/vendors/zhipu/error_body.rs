//! The body of an error of Zhipu's.

use crate::codes::zhipu::Code;
use crate::http::Headers;
use crate::json::Json;
use crate::refusal::{ErrorFormat, Refusal};

/// A parameter that is wrong, in Chinese and in English.
pub(super) fn parameter(chinese: impl Into<String>, english: impl Into<String>) -> Refusal {
    Refusal::bilingual("1210", chinese, english)
}

/// Errors in the language that the client asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorBody {
    english: bool,
}

impl ErrorBody {
    pub(super) fn new(headers: &Headers) -> Self {
        let language = headers.get("accept-language").unwrap_or_default();
        Self { english: language.trim().to_ascii_lowercase().starts_with("en") }
    }
}

impl ErrorFormat for ErrorBody {
    /// The content audit's findings stand before the error itself.
    fn body(&self, refusal: &Refusal) -> Json {
        let known = Code::find(&refusal.code).map(|row| row.text(self.english));
        let own = refusal.english.clone().filter(|_| self.english);
        let message = own.unwrap_or_else(|| refusal.text(known));
        let findings = || vec![Json::object([("level", 1_u64.into()), ("role", "user".into())])];
        let error = Json::object([("code", refusal.code.as_str().into()), ("message", message.into())]);
        Json::object([])
            .with("contentFilter", (refusal.code == "1301").then(findings))
            .with("error", Some(error))
    }
}
