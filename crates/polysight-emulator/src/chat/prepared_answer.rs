//! An answer that a test has prepared, and how it is written in headers and control calls.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::{Headers, query};

/// Longest answer, in bytes: its text, and names and arguments of its calls.
pub(crate) const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Headers that give the answer of their own request.
const TEXT_HEADER: &str = "x-polysight-answer";
const JSON_HEADER: &str = "x-polysight-answer-json";
const CALL_HEADER: &str = "x-polysight-answer-call";

/// What a chat request is answered with in place of the facts of what arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PreparedAnswer {
    pub(crate) text: String,
    pub(crate) calls: Vec<PreparedCall>,
}

/// A tool call of a prepared answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PreparedCall {
    pub(crate) name: String,
    /// A JSON object.
    pub(crate) arguments: String,
}

/// An answer that cannot be taken; its text says why, and what the limit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAnswer(String);

impl InvalidAnswer {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for InvalidAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for InvalidAnswer {}

impl From<InvalidAnswer> for std::io::Error {
    fn from(error: InvalidAnswer) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

impl PreparedCall {
    /// A call with these arguments, which must be a JSON object.
    pub(crate) fn new(name: &str, arguments: &str) -> Result<Self, InvalidAnswer> {
        if name.is_empty() {
            return Err(InvalidAnswer::new("a tool call needs the name of a tool"));
        }
        match serde_json::from_str(arguments) {
            Ok(Value::Object(_)) => Ok(Self { name: name.to_owned(), arguments: arguments.to_owned() }),
            Ok(_) => Err(InvalidAnswer::new(format!(
                "the arguments of tool {name:?} must be a JSON object, such as {{\"city\":\"Paris\"}}"
            ))),
            Err(error) => {
                Err(InvalidAnswer::new(format!("the arguments of tool {name:?} are not JSON: {error}")))
            }
        }
    }
}

impl PreparedAnswer {
    /// The answer, if it is not too long.
    pub(crate) fn checked(self) -> Result<Self, InvalidAnswer> {
        let bytes = self.bytes();
        if bytes > MAX_ANSWER_BYTES {
            return Err(InvalidAnswer::new(format!(
                "the answer has {bytes} bytes; at most {MAX_ANSWER_BYTES} are taken"
            )));
        }
        Ok(self)
    }

    /// Bytes of text, names and arguments.
    pub(crate) fn bytes(&self) -> usize {
        let calls = self.calls.iter().map(|call| call.name.len() + call.arguments.len());
        self.text.len() + calls.sum::<usize>()
    }

    /// The answer that the headers of a request give; `None` where there are none.
    pub(crate) fn of_headers(headers: &Headers) -> Result<Option<Self>, InvalidAnswer> {
        let text = single(headers, TEXT_HEADER)?.map(|text| decoded(TEXT_HEADER, text)).transpose()?;
        let json = single(headers, JSON_HEADER)?.map(|json| valid_json(JSON_HEADER, json)).transpose()?;
        let calls = headers.all(CALL_HEADER).map(call_of_header).collect::<Result<Vec<_>, _>>()?;
        if text.is_some() && json.is_some() {
            return Err(InvalidAnswer::new(format!("give {TEXT_HEADER} or {JSON_HEADER}, not both")));
        }
        let Some(text) = text.or(json).or_else(|| (!calls.is_empty()).then(String::new)) else {
            return Ok(None);
        };
        Self { text, calls }.checked().map(Some)
    }

    /// One answer or a list of them, as the body of a control call holds them.
    pub(crate) fn of_json(body: &[u8]) -> Result<Vec<Self>, InvalidAnswer> {
        let body = std::str::from_utf8(body).map_err(|error| {
            InvalidAnswer::new(format!("the body is not valid UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        let list: Result<Vec<AnswerJson>, _> = match body.trim_start().starts_with('[') {
            true => serde_json::from_str(body),
            false => serde_json::from_str(body).map(|answer| vec![answer]),
        };
        let list = list.map_err(|error| {
            InvalidAnswer::new(format!(
                "an answer is {{\"text\":\"..\"}}, {{\"json\":..}} or {{\"calls\":[{{\"name\":\"..\",\"arguments\":{{..}}}}]}}, \
                 or a list of them: {error}"
            ))
        })?;
        list.into_iter().map(AnswerJson::checked).collect()
    }
}

/// An answer as a control call spells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerJson {
    text: Option<String>,
    json: Option<Box<RawValue>>,
    #[serde(default)]
    calls: Vec<CallJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallJson {
    name: String,
    arguments: Box<RawValue>,
}

impl AnswerJson {
    fn checked(self) -> Result<PreparedAnswer, InvalidAnswer> {
        let text = match (self.text, self.json) {
            (Some(_), Some(_)) => return Err(InvalidAnswer::new("give `text` or `json`, not both")),
            (None, None) if self.calls.is_empty() => {
                return Err(InvalidAnswer::new("an answer needs `text`, `json` or `calls`"));
            }
            (text, json) => text.or_else(|| json.map(|json| json.get().to_owned())).unwrap_or_default(),
        };
        let calls = self.calls.iter().map(|call| PreparedCall::new(&call.name, call.arguments.get()));
        PreparedAnswer { text, calls: calls.collect::<Result<_, _>>()? }.checked()
    }
}

fn single<'h>(headers: &'h Headers, name: &'h str) -> Result<Option<&'h str>, InvalidAnswer> {
    let mut all = headers.all(name);
    match (all.next(), all.next()) {
        (_, Some(_)) => Err(InvalidAnswer::new(format!("{name} is given more than once"))),
        (value, None) => value.map(|value| utf8(name, value)).transpose(),
    }
}

/// Headers are read with bytes that are not UTF-8 replaced; an answer must not be changed so.
fn utf8<'h>(name: &str, value: &'h str) -> Result<&'h str, InvalidAnswer> {
    if value.contains(char::REPLACEMENT_CHARACTER) {
        return Err(InvalidAnswer::new(format!("{name} is not valid UTF-8")));
    }
    Ok(value)
}

/// Text in a header may be percent-encoded: many clients send ASCII alone.
fn decoded(name: &str, value: &str) -> Result<String, InvalidAnswer> {
    String::from_utf8(query::decode(value))
        .map_err(|_| InvalidAnswer::new(format!("{name} is not valid UTF-8 after percent-decoding")))
}

fn valid_json(name: &str, value: &str) -> Result<String, InvalidAnswer> {
    let valid: Result<Value, _> = serde_json::from_str(value);
    valid
        .map(|_| value.to_owned())
        .map_err(|error| InvalidAnswer::new(format!("{name} is not JSON: {error}")))
}

fn call_of_header(value: &str) -> Result<PreparedCall, InvalidAnswer> {
    let (name, arguments) = utf8(CALL_HEADER, value)?.split_once('=').ok_or_else(|| {
        InvalidAnswer::new(format!(
            "{CALL_HEADER} must be TOOL=ARGUMENTS, such as weather={{\"city\":\"Paris\"}}"
        ))
    })?;
    PreparedCall::new(name.trim(), arguments.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_headers(headers: &[(&str, &str)]) -> Result<Option<PreparedAnswer>, InvalidAnswer> {
        let pairs = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        PreparedAnswer::of_headers(&Headers(pairs.collect()))
    }

    fn text(text: &str) -> PreparedAnswer {
        PreparedAnswer { text: text.to_owned(), calls: Vec::new() }
    }

    #[test]
    fn reads_headers() {
        assert_eq!(of_headers(&[("accept", "*/*")]), Ok(None));
        assert_eq!(of_headers(&[(TEXT_HEADER, "100% 猫")]), Ok(Some(text("100% 猫"))));
        assert_eq!(of_headers(&[(TEXT_HEADER, "%E7%8C%AB%0Atwo")]), Ok(Some(text("猫\ntwo"))));
        assert_eq!(of_headers(&[(JSON_HEADER, r#"{"b":1,"a":2}"#)]), Ok(Some(text(r#"{"b":1,"a":2}"#))));
        let calls = of_headers(&[(CALL_HEADER, "f={}"), (CALL_HEADER, r#"g={"x":"a=b"}"#)]).unwrap().unwrap();
        assert_eq!(calls.calls[1], PreparedCall { name: "g".into(), arguments: r#"{"x":"a=b"}"#.into() });
    }

    #[test]
    fn names_what_is_wrong_with_a_header() {
        for (name, value, why) in [
            (TEXT_HEADER, "a\u{FFFD}b", "not valid UTF-8"),
            (TEXT_HEADER, "%FF%FE", "not valid UTF-8"),
            (JSON_HEADER, "{", "not JSON"),
            (CALL_HEADER, "weather", "TOOL=ARGUMENTS"),
            (CALL_HEADER, "weather=[1]", "must be a JSON object"),
            (CALL_HEADER, "weather={", "not JSON"),
            (CALL_HEADER, "={}", "name of a tool"),
        ] {
            let error = of_headers(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {value}: {error}");
        }
        assert!(of_headers(&[(TEXT_HEADER, "a"), (JSON_HEADER, "1")]).is_err());
        assert!(of_headers(&[(TEXT_HEADER, "a"), (TEXT_HEADER, "b")]).is_err());
    }

    #[test]
    fn reads_control_bodies() {
        let body = br#" [{"text":"a"}, {"json":{"b":1, "a":2}}, {"calls":[{"name":"f","arguments":{}}]}]"#;
        let answers = PreparedAnswer::of_json(body).unwrap();
        assert_eq!(answers[..2], [text("a"), text(r#"{"b":1, "a":2}"#)]);
        assert_eq!(answers[2].calls[0].name, "f");
        for (body, why) in [
            (b"\"\xFF\"".as_slice(), "not valid UTF-8 from byte 1"),
            (b"", "an answer is"),
            (b"{}", "needs `text`, `json` or `calls`"),
            (br#"{"text":"a","json":1}"#, "not both"),
            (br#"{"txet":"a"}"#, "unknown field `txet`"),
            (br#"{"calls":[{"name":"f","arguments":"{}"}]}"#, "must be a JSON object"),
        ] {
            let error = PreparedAnswer::of_json(body).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn bounds_the_length() {
        assert!(text(&"x".repeat(MAX_ANSWER_BYTES)).checked().is_ok());
        let error = text(&"x".repeat(MAX_ANSWER_BYTES + 1)).checked().unwrap_err().to_string();
        assert!(error.contains("1048577 bytes; at most 1048576"), "{error}");
    }
}
