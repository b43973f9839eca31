//! Why a request is not served, and how a vendor formats that.

use crate::codes::status_of;
use crate::http::Reply;
use crate::json::Json;

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    /// The text; `None` for the one that the vendor has for the code.
    pub(crate) message: Option<String>,
    /// The text in English, where the vendor has two languages.
    pub(crate) english: Option<String>,
    /// The parameter at fault, where the vendor names it.
    pub(crate) param: Option<&'static str>,
}

impl Refusal {
    /// A refusal with the status and the text of a vendor's table.
    pub(crate) fn plain(code: impl Into<String>) -> Self {
        let code = code.into();
        Self { status: status_of(&code).unwrap_or(400), code, message: None, english: None, param: None }
    }

    /// A refusal with a text of its own.
    pub(crate) fn with_message(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::plain(code) }
    }

    /// A refusal with a text of its own in Chinese and in English.
    pub(crate) fn bilingual(
        code: &'static str,
        chinese: impl Into<String>,
        english: impl Into<String>,
    ) -> Self {
        Self { english: Some(english.into()), ..Self::with_message(code, chinese) }
    }

    /// The refusal under another status.
    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Its own text, or the known one.
    pub(crate) fn text(&self, known: Option<String>) -> String {
        self.message.clone().or(known).unwrap_or_else(|| format!("error {}", self.code))
    }
}

/// How a vendor formats errors.
pub(crate) trait ErrorFormat {
    /// The body of an error.
    fn body(&self, refusal: &Refusal) -> Json;

    /// The whole reply; a vendor may have its own framing for streams.
    fn reply(&self, refusal: &Refusal) -> Reply {
        Reply::json(refusal.status, &self.body(refusal))
    }
}

/// Refuses where something is wrong.
pub(crate) fn refuse_if(wrong: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal()) } else { Ok(()) }
}
