//! The code and the words of an error, wherever in its JSON they stand.

use serde_json::{Map, Value};

use super::schema::is_success;

/// What an error says.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) code: Option<String>,
    pub(super) class: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
}

/// Fields that hold an error: it says more than what stands around it.
const INNER: [&str; 7] = ["error", "errors", "err", "base_resp", "fault", "exception", "failure"];
/// Fields of an error, the one that is said most often first.
const CODES: [&str; 7] = ["code", "error_code", "status_code", "err_code", "errcode", "errorCode", "errCode"];
const MESSAGES: [&str; 11] = [
    "message",
    "msg",
    "error_msg",
    "status_msg",
    "err_msg",
    "errmsg",
    "error_message",
    "errorMessage",
    "errMsg",
    "error_description",
    "detail",
];
/// Fields in which gateways wrap whatever their vendor said.
const WRAPPERS: [&str; 6] = ["data", "result", "response", "body", "output", "detail"];

/// How deep an error is looked for, and how many of a list are shown.
const MAX_DEPTH: usize = 6;
const MAX_LISTED: usize = 8;

impl Words {
    /// Looks for them in the fields that servers are known to use, so that a request that is echoed is not shown.
    pub(super) fn of(value: &Value) -> Self {
        Self::within(value, MAX_DEPTH)
    }

    fn within(value: &Value, depth: usize) -> Self {
        match value {
            _ if depth == 0 => Self::default(),
            Value::String(text) => Self::of_text(text, depth),
            Value::Array(items) => Self::of_list(items, depth),
            Value::Object(fields) => Self::of_object(fields, depth),
            _ => Self::default(),
        }
    }

    /// Words, or an error that was written as text once more.
    fn of_text(text: &str, depth: usize) -> Self {
        if text.starts_with(['{', '['])
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            let inner = Self::within(&value, depth - 1);
            if inner.message.is_some() {
                return inner;
            }
        }
        Self { message: Some(text.to_owned()).filter(|text| !text.is_empty()), ..Self::default() }
    }

    fn of_list(items: &[Value], depth: usize) -> Self {
        let mut all = items.iter().take(MAX_LISTED).map(|item| Self::within(item, depth - 1));
        let first = all.next().unwrap_or_default();
        let messages = first.message.into_iter().chain(all.filter_map(|words| words.message));
        let message = messages.collect::<Vec<_>>().join("; ");
        Self { message: Some(message).filter(|message| !message.is_empty()), ..first }
    }

    fn of_object(fields: &Map<String, Value>, depth: usize) -> Self {
        let mut words = Self::default();
        let inside = |keys: &[&str], words: &mut Self| {
            for value in keys.iter().filter_map(|key| fields.get(*key)) {
                words.complete(Self::within(value, depth - 1));
            }
        };
        inside(&INNER, &mut words);
        words.complete(Self {
            code: first(fields, &CODES).or_else(|| status(fields)),
            class: first(fields, &["type"]),
            message: first(fields, &MESSAGES).filter(|words| !is_success(words)),
            request_id: None,
        });
        inside(&WRAPPERS, &mut words);
        inside(&MESSAGES, &mut words);
        // An id of its own goes before one inside, which may be that of the error.
        words.request_id = first(fields, &["request_id", "requestId", "id"]).or(words.request_id);
        words
    }

    /// Adds what is still missing.
    fn complete(&mut self, other: Self) {
        let has_code = self.code.as_deref().is_some_and(|code| !is_success(code));
        if !has_code {
            self.code = other.code.or(self.code.take());
        }
        self.class = self.class.take().or(other.class);
        self.message = self.message.take().or(other.message);
        self.request_id = self.request_id.take().or(other.request_id);
    }
}

/// The first of these fields that holds text or a number.
fn first(fields: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| match fields.get(*key)? {
        Value::String(text) if !text.starts_with('{') => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// A status that is one of a failure, where an error has no code.
fn status(fields: &Map<String, Value>) -> Option<String> {
    first(fields, &["status"]).filter(|text| text.parse::<u64>().is_ok_and(|status| status >= 400))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(json: &str) -> (String, String) {
        let Words { code, message, .. } = Words::of(&serde_json::from_str(json).unwrap());
        (code.unwrap_or_default(), message.unwrap_or_default())
    }

    #[test]
    fn they_are_found_in_every_shape() {
        for (json, code, message) in [
            (r#"{"error":"no model of this name"}"#, "", "no model of this name"),
            (r#"{"status":"402","msg":"pay first","body":null}"#, "402", "pay first"),
            (r#"{"status":"failed","msg":"pay first"}"#, "", "pay first"),
            (
                r#"{"base_resp":{"status_code":2013,"status_msg":"bad params"},"choices":null}"#,
                "2013",
                "bad params",
            ),
            (r#"{"code":40001,"message":"expired"}"#, "40001", "expired"),
            (r#"{"errcode":7,"errmsg":"busy"}"#, "7", "busy"),
            (r#"{"errors":[{"code":"E1","message":"one"},{"message":"two"}]}"#, "E1", "one; two"),
            (r#"{"error":{"error":{"code":"E2","message":"deep"}}}"#, "E2", "deep"),
            (r#"{"error":{"message":{"code":"E3","message":"in the message"}}}"#, "E3", "in the message"),
            (r#"{"error":"{\"code\":\"E4\",\"message\":\"as text\"}"}"#, "E4", "as text"),
            (
                r#"{"code":200,"msg":"success","data":{"error":{"code":"E5","message":"wrapped"}}}"#,
                "E5",
                "wrapped",
            ),
            (r#"{"success":false,"data":{"code":"E6","message":"wrapped"}}"#, "E6", "wrapped"),
            (r#"{"detail":{"error":{"message":"inside"}}}"#, "", "inside"),
            (r#"[{"error":{"code":"E7","message":"in a list"}}]"#, "E7", "in a list"),
            (r#"{"messages":[{"content":"a secret","message":"a secret"}],"model":"m"}"#, "", ""),
            (r#"{"message":7,"code":true}"#, "", "7"),
        ] {
            assert_eq!(words(json), (code.to_owned(), message.to_owned()), "{json}");
        }
    }

    #[test]
    fn the_search_ends() {
        let nested = |depth: usize| format!("{}\"deep\"{}", "{\"error\":".repeat(depth), "}".repeat(depth));
        assert_eq!(words(&nested(5)).1, "deep");
        assert_eq!(words(&nested(100)).1, "");
        let list = format!("[{}]", vec![r#"{"message":"a"}"#; 1_000].join(","));
        assert_eq!(words(&list).1.len(), "a".len() * 8 + "; ".len() * 7);
    }
}
