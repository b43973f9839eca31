//! What a failed reply says, in whichever of its many shapes.

use std::borrow::Cow;

use polysight_core::{Error, ErrorKind};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::SafetyFields;
use super::error_words::Words;
use super::schema::is_success;
use crate::ReplyHead;
use crate::json::{self, Documents, LoneHalves};
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

/// Where vendors put what their content audit said.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filters<'a> {
    #[serde(borrow, rename = "contentFilter")]
    of_error: Option<&'a RawValue>,
    #[serde(borrow, rename = "content_filter")]
    of_reply: Option<&'a RawValue>,
}

impl<'a> Failure<'a> {
    /// Reads a failure out of a body: `{error: {..}}`, `{error: ".."}`, `{code, message}`, `{error_code, error_msg}`,
    /// `{status, msg}`, `{base_resp: {..}}`, `{detail: ".."}`, `{detail: [..]}`, each of them inside another or wrapped as `data`,
    /// HTML, plain text, or nothing. [`decode_failure`] finds such an object in lists, events and JSON that is not quite right.
    #[must_use]
    pub fn read(source: FailureSource, head: &ReplyHead, body: &'a [u8]) -> Self {
        let mut failure = match serde_json::from_slice::<Value>(body) {
            Ok(value @ Value::Object(_)) => Self::from_json(source, head.status, &value, body),
            _ => Self::from_text(source, head.status, body),
        };
        if failure.request_id.is_none() {
            failure.request_id = head.request_id().map(str::to_owned);
        }
        failure
    }

    fn from_json(source: FailureSource, status: u16, value: &Value, body: &'a [u8]) -> Self {
        let Words { code, class, message, request_id } = Words::of(value);
        let filters: Filters<'a> = serde_json::from_slice(body).unwrap_or_default();
        let content_filter = filters.of_error.or(filters.of_reply);
        let safety = SafetyFields { content_filter, ..SafetyFields::default() };
        Self { source, status, code, class, message: message.unwrap_or_default(), request_id, safety }
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
    let documents = json::documents(body, LoneHalves::Replace);
    error_of(profile, &Failure::read(source, head, failed_document(&documents).unwrap_or(body)))
}

/// The error of a reply that holds no answer: what it says, in whichever shape.
pub fn no_answer<P: ChatProfile + ?Sized>(profile: &P, head: &ReplyHead, body: &[u8]) -> Error {
    let documents = json::documents(body, LoneHalves::Replace);
    let failure = Failure::read(FailureSource::Body, head, failed_document(&documents).unwrap_or(body));
    let is_refusal = match &failure.code {
        Some(code) => !is_success(code),
        None => !failure.message.is_empty(),
    };
    if is_refusal {
        return error_of(profile, &failure);
    }
    failure.describe(Error::new(ErrorKind::Protocol, "the reply holds no answer"))
}

/// Whether an object that holds nothing of an answer names the code of a failure.
#[must_use]
pub fn tells_failure(json: &[u8]) -> bool {
    let documents = json::documents(json, LoneHalves::Replace);
    let mut values = documents.texts.iter().filter_map(|text| serde_json::from_str(text).ok());
    values.any(|value| Words::of(&value).code.is_some_and(|code| !is_success(&code)))
}

/// The first document that says something as errors do.
fn failed_document(documents: &Documents) -> Option<&[u8]> {
    let says = |text: &&String| {
        let words = serde_json::from_str(text).map(|value| Words::of(&value)).unwrap_or_default();
        words.message.is_some() || words.code.is_some()
    };
    let mut texts = documents.texts.iter().chain(&documents.cut);
    texts.find(says).or(documents.texts.first()).map(String::as_bytes)
}

fn error_of<P: ChatProfile + ?Sized>(profile: &P, failure: &Failure<'_>) -> Error {
    let safety = profile.safety(&failure.safety);
    let error = profile.error(failure);
    if safety.is_empty() { error } else { error.with_safety(safety) }
}

/// What is said in text that holds no answer: the words of an error, or text that is no JSON. Other JSON may repeat a request.
pub(crate) fn words_of(text: &[u8]) -> Option<String> {
    let documents = json::documents(text, LoneHalves::Replace);
    let mut values = documents.texts.iter().filter_map(|text| serde_json::from_str(text).ok());
    let said = values.find_map(|value| Words::of(&value).message);
    said.or_else(|| (!text.contains(&b'{')).then(|| not_json(text).into_owned()))
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
