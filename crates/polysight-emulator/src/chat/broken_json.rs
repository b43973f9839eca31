//! What models do to the JSON that they were asked for.

use strum::IntoStaticStr;

use crate::chat::tools::ToolCall;

/// White space of an answer that does not end.
const BLANKS: usize = 250_000;
/// Digits of an answer that does not end.
const DIGITS: usize = 20_000;

/// One way in which models break an answer of JSON. Where the answer is a tool call, what stands around JSON comes as text in
/// place of the call, and the rest is done to its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum JsonBreak {
    /// A code fence around it.
    Fence,
    /// A code fence that is not closed.
    OpenFence,
    /// Sentences before and after it, with brackets in them.
    Prose,
    /// `<|begin_of_box|>` and `<|end_of_box|>` around it.
    Box,
    /// A think block before it that holds a draft of it, with other digits.
    Thinking,
    /// The call of a function, as text.
    CallAsText,
    /// An object that is closed before its last field, goes on, and ends with a quotation mark too much.
    ClosedTwice,
    /// The last bracket is missing.
    MissingBrace,
    /// A comma before the last bracket.
    TrailingComma,
    /// 250,000 blanks after it.
    Blanks,
    /// Its last field is a number of 20,000 digits, and nothing follows.
    Digits,
    /// Its last field is a list of lists.
    WrongType,
    /// A sentence in its place.
    NoJson,
}

impl JsonBreak {
    pub(crate) const ALL: [Self; 13] = [
        Self::Fence,
        Self::OpenFence,
        Self::Prose,
        Self::Box,
        Self::Thinking,
        Self::CallAsText,
        Self::ClosedTwice,
        Self::MissingBrace,
        Self::TrailingComma,
        Self::Blanks,
        Self::Digits,
        Self::WrongType,
        Self::NoJson,
    ];

    /// All of their names, for messages.
    pub(crate) const NAMES: &'static str = "fence|open-fence|prose|box|thinking|call-as-text|closed-twice|missing-brace|\
                                            trailing-comma|blanks|digits|wrong-type|no-json";

    /// Breaks a text or the arguments of calls.
    pub(crate) fn apply(self, text: &mut String, calls: &mut Vec<ToolCall>) {
        if calls.is_empty() {
            *text = self.broken_inside(text);
            return;
        }
        if self.replaces_calls() {
            *text = calls.first().map(|call| self.broken(&call.arguments, &call.name)).unwrap_or_default();
            calls.clear();
            return;
        }
        calls.iter_mut().for_each(|call| call.arguments = self.broken(&call.arguments, &call.name));
    }

    fn replaces_calls(self) -> bool {
        use JsonBreak::{Box, CallAsText, Fence, NoJson, OpenFence, Prose, Thinking};
        matches!(self, Fence | OpenFence | Prose | Box | Thinking | CallAsText | NoJson)
    }

    /// Breaks the JSON in a text that may stand in a fence already.
    fn broken_inside(self, text: &str) -> String {
        let span = text.find('{').zip(text.rfind('}'));
        match span
            .and_then(|(from, last)| Some((text.get(..from)?, text.get(from..=last)?, text.get(last + 1..)?)))
        {
            Some((before, json, after)) if self != Self::NoJson => {
                format!("{before}{}{after}", self.broken(json, "answer"))
            }
            _ => self.broken(text, "answer"),
        }
    }

    fn broken(self, json: &str, name: &str) -> String {
        match self {
            Self::Fence => format!("```json\n{json}\n```"),
            Self::OpenFence => format!("```json\n{json}"),
            Self::Prose => format!("As {{asked}} in [1], here it is: {json}\nDo you need {{more}}?"),
            Self::Box => format!("<|begin_of_box|>{json}<|end_of_box|>"),
            Self::Thinking => format!("<think>Perhaps {}? No.</think>\n{json}", draft(json)),
            Self::CallAsText => format!("{{\"name\": \"{name}\", \"arguments\": {json}}}"),
            Self::ClosedTwice => closed_twice(json),
            Self::MissingBrace => json.strip_suffix('}').unwrap_or(json).to_owned(),
            Self::TrailingComma => {
                json.strip_suffix('}').map_or_else(|| json.to_owned(), |fields| format!("{fields},}}"))
            }
            Self::Blanks => format!("{json}{}", " \n".repeat(BLANKS / 2)),
            Self::Digits => format!("{}{}", before_last_value(json), "7".repeat(DIGITS)),
            Self::WrongType => format!("{}[[]]}}", before_last_value(json)),
            Self::NoJson => "I have looked at what you sent.".to_owned(),
        }
    }
}

/// The same JSON with other digits.
fn draft(json: &str) -> String {
    json.chars().map(|character| if character.is_ascii_digit() { '1' } else { character }).collect()
}

fn closed_twice(json: &str) -> String {
    match last_at_top(json, b',').and_then(|at| json.split_at_checked(at)) {
        Some((before, after)) => format!("{before}}}{after} \""),
        None => format!("{json}}} \""),
    }
}

/// An object up to the colon of its last field.
fn before_last_value(json: &str) -> &str {
    last_at_top(json, b':').and_then(|at| json.get(..=at)).unwrap_or("{\"value\":")
}

/// Where a mark stands for the last time between the fields of an object.
fn last_at_top(json: &str, mark: u8) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut found = None;
    for (at, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if byte == mark && depth == 1 => found = Some(at),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"a":"x,:}","b":[{"c":1,"d":2}],"e":40}"#;

    fn broken(kind: JsonBreak) -> String {
        let mut text = JSON.to_owned();
        kind.apply(&mut text, &mut Vec::new());
        text
    }

    #[test]
    fn an_object_is_broken_between_its_fields() {
        assert_eq!(broken(JsonBreak::ClosedTwice), r#"{"a":"x,:}","b":[{"c":1,"d":2}]},"e":40} ""#);
        assert_eq!(broken(JsonBreak::WrongType), r#"{"a":"x,:}","b":[{"c":1,"d":2}],"e":[[]]}"#);
        assert_eq!(broken(JsonBreak::MissingBrace), r#"{"a":"x,:}","b":[{"c":1,"d":2}],"e":40"#);
        assert_eq!(broken(JsonBreak::TrailingComma), r#"{"a":"x,:}","b":[{"c":1,"d":2}],"e":40,}"#);
        assert!(broken(JsonBreak::Thinking).contains(r#""e":11}"#));
        assert_eq!(broken(JsonBreak::Blanks).len(), JSON.len() + BLANKS);
        let digits = broken(JsonBreak::Digits);
        assert!(digits.starts_with(r#"{"a":"x,:}","b":[{"c":1,"d":2}],"e":777"#) && digits.len() > DIGITS);
    }

    #[test]
    fn a_fence_around_it_stays() {
        let mut text = "```json\n{\"a\":1}\n```".to_owned();
        JsonBreak::TrailingComma.apply(&mut text, &mut Vec::new());
        assert_eq!(text, "```json\n{\"a\":1,}\n```");
    }

    #[test]
    fn a_call_becomes_text_or_has_its_arguments_broken() {
        let call = || {
            vec![ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: r#"{"a":1}"#.to_owned() }]
        };
        let (mut text, mut calls) = (String::new(), call());
        JsonBreak::CallAsText.apply(&mut text, &mut calls);
        assert_eq!((text.as_str(), calls.len()), (r#"{"name": "f", "arguments": {"a":1}}"#, 0));
        let (mut text, mut calls) = (String::new(), call());
        JsonBreak::MissingBrace.apply(&mut text, &mut calls);
        assert_eq!((text.as_str(), calls[0].arguments.as_str()), ("", r#"{"a":1"#));
    }

    #[test]
    fn every_name_is_listed() {
        let names: Vec<&str> = JsonBreak::ALL.iter().map(<&str>::from).collect();
        assert_eq!(names.join("|"), JsonBreak::NAMES);
    }
}
