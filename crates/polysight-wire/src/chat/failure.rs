//! What a failed reply says, in whichever of its many shapes.

use std::borrow::Cow;

use polysight_core::Error;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::SafetyFields;
use super::lenient::Text;
use crate::ReplyHead;
use crate::vendor::ChatProfile;

/// Where a failure was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureSource {
    /// A reply of a status other than 2xx.
    Status,
    /// A reply of status 2xx that holds an error.
    Body,
    /// An event of a stream that had begun.
    Stream,
}

/// What a failed reply says, shapes of all vendors made alike.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure<'a> {
    /// Where it was found.
    pub source: FailureSource,
    /// The reply's HTTP status; of a stream, that of its head.
    pub status: u16,
    /// The vendor's code: a number as text, or a word.
    pub code: Option<String>,
    /// The vendor's class of error, such as `invalid_request_error`.
    pub class: Option<String>,
    /// The vendor's words; the body's text when it is no JSON.
    pub message: String,
    /// The vendor's id of the request, from body or headers.
    pub request_id: Option<String>,
    /// What the content audit said.
    pub safety: SafetyFields<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    error_code: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    msg: Text<'a>,
    #[serde(borrow)]
    error_msg: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    request_id: Text<'a>,
    #[serde(borrow, rename = "type")]
    class: Text<'a>,
    #[serde(borrow, rename = "contentFilter")]
    content_filter: Option<&'a RawValue>,
    #[serde(borrow, rename = "content_filter")]
    reply_filter: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorObject<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow, rename = "type")]
    class: Text<'a>,
}

impl<'a> Failure<'a> {
    /// Reads a failure out of a body: `{error: {..}}`, `{error: ".."}`, `{code, message}`, `{error_code, error_msg}`,
    /// `{detail: ".."}`, `{detail: [..]}`, an event's `data:` line, HTML, plain text, or nothing.
    #[must_use]
    pub fn read(source: FailureSource, head: &ReplyHead, body: &'a [u8]) -> Self {
        let json = json_of(body);
        let mut failure = match serde_json::from_slice::<ErrorBody<'a>>(json) {
            // A list would be read as the fields in their order.
            Ok(parsed) if json.starts_with(b"{") => Self::from_json(source, head.status, parsed),
            _ => Self::from_text(source, head.status, body),
        };
        if failure.request_id.is_none() {
            failure.request_id = head.request_id().map(str::to_owned);
        }
        failure
    }

    fn from_json(source: FailureSource, status: u16, body: ErrorBody<'a>) -> Self {
        let inner = body.error.map(error_object).unwrap_or_default();
        let outer_message = [body.message, body.msg, body.error_msg].into_iter().find_map(Text::non_empty);
        let message = inner.message.non_empty().or(outer_message).or_else(|| body.detail.map(detail));
        let codes = [inner.code, body.code, body.error_code];
        Self {
            source,
            status,
            code: codes.into_iter().find_map(Text::non_empty),
            class: [inner.class, body.class].into_iter().find_map(Text::non_empty),
            message: message.unwrap_or_default(),
            request_id: [body.request_id, body.id].into_iter().find_map(Text::non_empty),
            safety: SafetyFields {
                content_filter: body.content_filter.or(body.reply_filter),
                ..SafetyFields::default()
            },
        }
    }

    fn from_text(source: FailureSource, status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body.get(..2_000).unwrap_or(body));
        Self {
            source,
            status,
            code: None,
            class: None,
            message: without_tags(&text),
            request_id: None,
            safety: SafetyFields::default(),
        }
    }

    /// Adds status, code, words and request id to an error made of this failure.
    #[must_use]
    pub fn describe(&self, mut error: Error) -> Error {
        if self.source != FailureSource::Stream {
            error = error.with_status(self.status);
        }
        if let Some(code) = &self.code {
            error = error.with_code(code);
        }
        if let Some(id) = &self.request_id {
            error = error.with_request_id(id);
        }
        error.with_vendor_message(&self.message)
    }
}

/// The `error` field: an object, or words.
fn error_object(raw: &RawValue) -> ErrorObject<'_> {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| ErrorObject {
        message: serde_json::from_str(raw.get()).unwrap_or_default(),
        ..ErrorObject::default()
    })
}

/// The `detail` field: words, or a list of `{loc, msg, type}`.
fn detail(raw: &RawValue) -> String {
    match serde_json::from_str(raw.get()) {
        Ok(Value::String(text)) => text,
        Ok(Value::Array(problems)) => {
            let texts = problems.iter().filter_map(|problem| problem.get("msg").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("; ")
        }
        _ => raw.get().to_owned(),
    }
}

/// The JSON of a body that may be an event (`data: {..}`), though its status is not 2xx.
fn json_of(body: &[u8]) -> &[u8] {
    let trimmed = body.trim_ascii();
    if trimmed.starts_with(b"{") {
        return trimmed;
    }
    let mut lines = trimmed.split(|byte| matches!(byte, b'\n' | b'\r'));
    let data = lines.find_map(|line| line.strip_prefix(b"data:"));
    data.map_or(trimmed, <[u8]>::trim_ascii)
}

/// The words of an HTML page.
fn without_tags(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut words = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                words.push(' ');
            }
            c if !in_tag => words.push(c),
            _ => {}
        }
    }
    words
}

/// Reads an error reply and lets the vendor make an error of it.
pub fn decode_failure<P: ChatProfile + ?Sized>(
    profile: &P,
    source: FailureSource,
    head: &ReplyHead,
    body: &[u8],
) -> Error {
    let failure = Failure::read(source, head, body);
    let safety = profile.safety(&failure.safety);
    let error = profile.error(&failure);
    if safety.is_empty() { error } else { error.with_safety(safety) }
}

/// Text for a reply that is no JSON at all.
pub(super) fn not_json(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body.get(..400).unwrap_or(body));
    if text.trim_start().starts_with('<') { Cow::Owned(without_tags(&text)) } else { text }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn read(body: &str) -> Failure<'_> {
        Failure::read(FailureSource::Status, &ReplyHead::new(400, HeaderMap::new()), body.as_bytes())
    }

    #[test]
    fn the_class_may_stand_outside() {
        let failure = read(r#"{"object":"error","message":"x","type":"rate_limit_exceeded","code":null}"#);
        assert_eq!((failure.class.as_deref(), failure.code), (Some("rate_limit_exceeded"), None));
        let failure = read(r#"{"error":{"type":"inner"},"type":"error"}"#);
        assert_eq!(failure.class.as_deref(), Some("inner"));
    }

    #[test]
    fn both_spellings_of_a_filter_may_be_there() {
        let failure = read(r#"{"code":"1301","message":"x","contentFilter":[1],"content_filter":null}"#);
        assert_eq!(failure.code.as_deref(), Some("1301"));
        assert_eq!(failure.safety.content_filter.map(RawValue::get), Some("[1]"));
    }

    #[test]
    fn a_list_is_shown_as_it_is() {
        assert_eq!(read("[1]").message, "[1]");
    }

    #[test]
    fn what_a_request_held_is_left_out_of_a_list_of_problems() {
        let failure = read(r#"{"detail":[{"loc":["body"],"msg":"bad","type":"t","input":"secret"}]}"#);
        assert_eq!(failure.message, "bad");
    }
}
