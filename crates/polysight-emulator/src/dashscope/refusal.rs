//! A refusal in DashScope's words, in both spellings and in all framings.

use super::codes;
use crate::faults::frames::{Manner, only_error};
use crate::faults::replies::Wording;
use crate::json::Json;
use crate::server::Reply;

/// Which of its two interfaces is spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Dialect {
    Compatible,
    Native,
}

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    native: &'static str,
    compatible: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// A refusal with the table's own text. The code may be in either spelling.
    pub(crate) fn plain(code: &'static str) -> Self {
        match codes::find(code) {
            Some(row) => Self {
                status: row.status,
                native: row.native,
                compatible: row.compatible,
                message: row.text.to_owned(),
            },
            None => Self { status: 400, native: code, compatible: code, message: String::new() },
        }
    }

    /// A refusal with a text of its own.
    pub(crate) fn told(code: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::plain(code) }
    }

    /// A parameter that the interface finds wrong.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::told("InvalidParameter", message)
    }

    /// A parameter that the engine behind the interface finds wrong; its words come wrapped.
    pub(crate) fn engine(message: impl AsRef<str>) -> Self {
        Self::parameter(format!("<400> InternalError.Algo.InvalidParameter: {}", message.as_ref()))
    }
}

/// How errors of one request are told.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) dialect: Dialect,
    /// The id of the request.
    pub(crate) id: String,
    pub(crate) stream: bool,
}

impl Words {
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Reply {
        let code = match self.dialect {
            Dialect::Native => refusal.native,
            Dialect::Compatible => refusal.compatible,
        };
        self.framed(refusal.status, self.body(code, &refusal.message))
    }

    pub(crate) fn body_of(&self, refusal: &Refusal) -> Json {
        match self.dialect {
            Dialect::Native => self.body(refusal.native, &refusal.message),
            Dialect::Compatible => self.body(refusal.compatible, &refusal.message),
        }
    }

    /// A bad key is told before the stream; all else is told in the framing that was asked for: in an event under status 200
    /// on the native path, in a `data:` line under the error's own status in compatible mode.
    fn framed(&self, status: u16, body: Json) -> Reply {
        if !self.stream || status == 401 {
            return Reply::json(status, &body);
        }
        match self.dialect {
            Dialect::Native => Reply::stream(only_error(&Manner { error: body, native: Some(status) })),
            Dialect::Compatible => Reply::whole(
                status,
                "text/event-stream;charset=UTF-8",
                format!("data: {}\n\n", body.to_text()),
            ),
        }
    }

    fn body(&self, code: &str, message: &str) -> Json {
        let id = self.id.as_str();
        if self.dialect == Dialect::Native {
            return Json::object([
                ("code", code.into()),
                ("message", message.into()),
                ("request_id", id.into()),
            ]);
        }
        let message = match code {
            "invalid_api_key" => "Incorrect API key provided. ",
            _ => message,
        };
        let error = Json::object([
            ("message", message.into()),
            ("type", error_type(code).into()),
            ("param", Json::Null),
            ("code", code.into()),
        ]);
        let body = Json::object([("error", error)]);
        let chat = (code != "invalid_api_key").then(|| format!("chatcmpl-{id}"));
        body.with("id", chat).with("request_id", Some(id))
    }
}

/// Compatible mode has one type for what the caller did wrong, and repeats other codes as their own type.
fn error_type(code: &str) -> &str {
    let wrong = matches!(code, "model_not_found" | "model_not_supported")
        || ["invalid_", "Invalid", "BadRequest"].iter().any(|start| code.starts_with(start));
    if wrong { "invalid_request_error" } else { code }
}

impl Wording for Words {
    fn error(&self, code: &str, message: Option<&str>) -> Json {
        let row = codes::find(code);
        let spelled = match (row, self.dialect) {
            (Some(row), Dialect::Native) => row.native,
            // A code in the spelling of compatible mode is kept: several may share a native one.
            (Some(row), Dialect::Compatible) if row.native == code => row.compatible,
            _ => code,
        };
        let known = row.map(|row| row.text.to_owned());
        let text = message.map(str::to_owned).or(known).unwrap_or_else(|| format!("error {code}"));
        self.body(spelled, &text)
    }

    fn refusal(&self, code: &str) -> Reply {
        let status = crate::faults::replies::status_of(code).unwrap_or(400);
        self.framed(status, self.error(code, None))
    }
}
