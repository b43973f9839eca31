//! The last complete JSON values of a text, read with bounded work.

use std::ops::Range;

use memchr::memchr2;
use serde_json::{Map, Value};
use strum::{Display, IntoStaticStr};

/// Longest text that is read, in bytes: 1 MiB.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// Deepest nesting that is read.
const MAX_DEPTH: usize = 64;
/// Longest number that is read, in characters; a model in a loop writes digits until its token limit.
const MAX_NUMBER: usize = 64;
/// How many values are kept: the last ones.
const MAX_VALUES: usize = 8;
/// How many closing brackets may be missing at the end of the text.
const MAX_MISSING: usize = 2;
/// Bytes looked at for each byte of the text; a tangle of brackets needs more and is given up.
const WORK: usize = 8;
/// What ends the reasoning in a text that holds it.
const THINKING_ENDS: &str = "</think>";
/// What may follow the last value.
const CLOSING_MARKS: [&str; 2] = ["```", "<|end_of_box|>"];

/// A JSON object or array that was found in a text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FoundJson {
    /// The value; of a key that stands twice in an object, the last one.
    pub value: Value,
    /// Where it stands in the text, in bytes.
    pub span: Range<usize>,
    /// What had to be repaired to read it, each kind once.
    pub repairs: Vec<JsonRepair>,
}

/// What was repaired in a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum JsonRepair {
    /// A comma before a closing bracket was left out.
    TrailingComma,
    /// Line breaks or other control characters in a string were escaped.
    ControlCharacter,
    /// At most two closing brackets at the end of the text were added.
    MissingBracket,
    /// The object was closed too early: the fields behind its bracket belong to it.
    ClosedTwice,
    /// Texts were read as the numbers or truth values that the schema wants, or as nothing where they are empty: OCR tasks
    /// give texts alone.
    TypedText,
}

/// Why a text holds no JSON value that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// No object and no array stands in the text.
    NoJson,
    /// A value begins, and the text ends before it is complete.
    Incomplete,
    /// The text is longer than 1 MiB.
    TooLong,
    /// A value is nested deeper than 64 levels.
    TooDeep,
    /// So many brackets open that reading on would cost more than a fixed multiple of the text's length.
    TooMuchWork,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoJson => "no JSON object or array stands in the answer",
            Self::Incomplete => "the JSON of the answer is cut off",
            Self::TooLong => "the answer is longer than 1 MiB",
            Self::TooDeep => "the JSON of the answer is nested deeper than 64 levels",
            Self::TooMuchWork => "the answer is a tangle of brackets",
        })
    }
}

/// The last complete objects and arrays of a text, at most eight, in their order.
///
/// Prose, code fences, box markers and reasoning up to a `</think>` are passed over. A value that is complete but for its
/// last two brackets counts when nothing follows it.
///
/// # Errors
/// [`Unreadable`] when there is none. The work is bounded by a multiple of the text's length.
pub fn find_json(text: &str) -> Result<Vec<FoundJson>, Unreadable> {
    if text.len() > MAX_BYTES {
        return Err(Unreadable::TooLong);
    }
    // Text of a value may hold the mark too, so what stands before it is read, and passed over unless it reaches behind it.
    let answer = text.rfind(THINKING_ENDS).map_or(0, |at| at + THINKING_ENDS.len());
    let budget = (text.len() + 64) * WORK;
    let mut work = budget;
    let mut found = Vec::new();
    let mut failure = Unreadable::NoJson;
    let mut from = 0;
    let end = end_of_content(text);
    while let Some(at) = next_bracket(text, from) {
        let mut reader = Reader { text, end, pos: at, work, depth: 0, repairs: Vec::new(), missing: 0 };
        let outcome = reader.top_level();
        work = reader.work;
        match outcome {
            Ok(_) if reader.pos < answer => from = reader.pos,
            Ok(value) => {
                from = reader.pos;
                keep(&mut found, FoundJson { value, span: at..reader.pos, repairs: reader.repairs });
            }
            Err(Stop::Invalid) => from = at + 1,
            Err(Stop::Because(_)) if at < answer => (from, work) = (answer, budget),
            Err(Stop::Because(reason)) => {
                failure = reason;
                break;
            }
        }
    }
    if found.is_empty() { Err(failure) } else { Ok(found) }
}

/// Where the text ends but for blanks and the end of a code fence or of a box.
fn end_of_content(text: &str) -> usize {
    let mut content = text.trim_end();
    while let Some(before) = CLOSING_MARKS.iter().find_map(|mark| content.strip_suffix(mark)) {
        content = before.trim_end();
    }
    content.len()
}

fn next_bracket(text: &str, from: usize) -> Option<usize> {
    let rest = text.as_bytes().get(from..)?;
    memchr2(b'{', b'[', rest).map(|at| from + at)
}

fn keep(found: &mut Vec<FoundJson>, value: FoundJson) {
    if found.len() == MAX_VALUES {
        found.remove(0);
    }
    found.push(value);
}

enum Stop {
    /// What stands here is no JSON.
    Invalid,
    /// There is no sense in reading on.
    Because(Unreadable),
}

struct Reader<'t> {
    text: &'t str,
    /// Where nothing follows but blanks and closing marks.
    end: usize,
    pos: usize,
    work: usize,
    depth: usize,
    repairs: Vec<JsonRepair>,
    missing: usize,
}

impl Reader<'_> {
    fn top_level(&mut self) -> Result<Value, Stop> {
        let mut value = self.value()?;
        if let Value::Object(fields) = &mut value {
            while self.more_fields_follow() {
                self.repaired(JsonRepair::ClosedTwice);
                self.depth += 1;
                self.fields(fields)?;
            }
        }
        Ok(value)
    }

    /// Whether `, "key":` stands behind a closed object.
    fn more_fields_follow(&mut self) -> bool {
        let before = (self.pos, self.repairs.len());
        self.blanks();
        let follows = self.missing == 0
            && self.take(b',')
            && self.key().is_ok_and(|_| {
                self.blanks();
                self.peek() == Some(b':')
            });
        self.pos = before.0;
        self.repairs.truncate(before.1);
        if follows {
            self.blanks();
            self.take(b',');
        }
        follows
    }

    fn value(&mut self) -> Result<Value, Stop> {
        self.blanks();
        match self.peek() {
            None => Err(Stop::Because(Unreadable::Incomplete)),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
        }
    }

    fn object(&mut self) -> Result<Value, Stop> {
        self.open()?;
        let mut fields = Map::new();
        self.fields(&mut fields)?;
        Ok(Value::Object(fields))
    }

    /// Fields up to the closing bracket, which is read too.
    fn fields(&mut self, fields: &mut Map<String, Value>) -> Result<(), Stop> {
        loop {
            if self.close(b'}', !fields.is_empty())? {
                return Ok(());
            }
            let key = self.key()?;
            self.blanks();
            if !self.take(b':') {
                return Err(self.unexpected());
            }
            let value = self.value()?;
            fields.insert(key, value);
            if self.end_of_item(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self) -> Result<Value, Stop> {
        self.open()?;
        let mut items = Vec::new();
        loop {
            if self.close(b']', !items.is_empty())? {
                return Ok(Value::Array(items));
            }
            items.push(self.value()?);
            if self.end_of_item(b']')? {
                return Ok(Value::Array(items));
            }
        }
    }

    fn open(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Stop::Because(Unreadable::TooDeep));
        }
        self.advance(1)
    }

    /// A closing bracket where an item could begin: of an empty object or array, or behind a comma.
    fn close(&mut self, bracket: u8, after_comma: bool) -> Result<bool, Stop> {
        self.blanks();
        if !self.take(bracket) {
            return Ok(false);
        }
        if after_comma {
            self.repaired(JsonRepair::TrailingComma);
        }
        self.depth -= 1;
        self.spend(1)?;
        Ok(true)
    }

    /// What stands behind an item: a comma, the closing bracket (true), or the end of the text in place of one.
    fn end_of_item(&mut self, bracket: u8) -> Result<bool, Stop> {
        self.blanks();
        if self.take(b',') {
            return self.spend(1).map(|()| false);
        }
        if self.take(bracket) {
            self.depth -= 1;
            return self.spend(1).map(|()| true);
        }
        if self.pos >= self.end && self.missing < MAX_MISSING {
            self.missing += 1;
            self.depth -= 1;
            self.repaired(JsonRepair::MissingBracket);
            return Ok(true);
        }
        Err(self.unexpected())
    }

    fn unexpected(&self) -> Stop {
        match self.peek() {
            None => Stop::Because(Unreadable::Incomplete),
            Some(_) => Stop::Invalid,
        }
    }

    fn key(&mut self) -> Result<String, Stop> {
        self.blanks();
        match self.peek() {
            Some(b'"') => self.string(),
            _ => Err(self.unexpected()),
        }
    }

    fn string(&mut self) -> Result<String, Stop> {
        let start = self.pos;
        let rest = self.text.as_bytes().get(start + 1..).unwrap_or_default();
        let mut at = 0;
        let length = loop {
            match rest.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
                None => return Err(Stop::Because(Unreadable::Incomplete)),
                Some(found) if rest.get(at + found) == Some(&b'"') => break at + found,
                Some(found) => at += found + 2,
            }
        };
        self.advance(length + 2)?;
        let quoted = self.text.get(start..self.pos).ok_or(Stop::Invalid)?;
        if let Ok(text) = serde_json::from_str(quoted) {
            return Ok(text);
        }
        let text = serde_json::from_str(&escape_controls(quoted)).map_err(|_| Stop::Invalid)?;
        self.repaired(JsonRepair::ControlCharacter);
        Ok(text)
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let rest = self.text.as_bytes().get(self.pos..).unwrap_or_default();
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().take(MAX_NUMBER + 1).take_while(is_part).count();
        if length > MAX_NUMBER {
            return Err(Stop::Invalid);
        }
        self.scalar(length)
    }

    fn word(&mut self) -> Result<Value, Stop> {
        let rest = self.text.as_bytes().get(self.pos..).unwrap_or_default();
        let length = rest.iter().take(6).take_while(|byte| byte.is_ascii_lowercase()).count();
        self.scalar(length)
    }

    fn scalar(&mut self, length: usize) -> Result<Value, Stop> {
        let text = self.text.get(self.pos..self.pos + length).ok_or(Stop::Invalid)?;
        let value = serde_json::from_str(text).map_err(|_| self.cut_scalar(length))?;
        self.advance(length)?;
        Ok(value)
    }

    /// A scalar that cannot be read: cut off where the text ends, else no JSON.
    fn cut_scalar(&self, length: usize) -> Stop {
        let ended = self.pos + length == self.text.len();
        if ended { Stop::Because(Unreadable::Incomplete) } else { Stop::Invalid }
    }

    fn blanks(&mut self) {
        let rest = self.text.as_bytes().get(self.pos..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.pos += count;
        self.work = self.work.saturating_sub(count);
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.pos += usize::from(there);
        there
    }

    fn advance(&mut self, count: usize) -> Result<(), Stop> {
        self.pos += count;
        self.spend(count)
    }

    fn spend(&mut self, count: usize) -> Result<(), Stop> {
        self.work = self.work.checked_sub(count).ok_or(Stop::Because(Unreadable::TooMuchWork))?;
        Ok(())
    }

    fn repaired(&mut self, repair: JsonRepair) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
    }
}

/// Control characters as JSON escapes: models break lines in the middle of strings.
fn escape_controls(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            control if control.is_ascii_control() => escaped.push('\u{FFFD}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn last(text: &str) -> Value {
        find_json(text).unwrap().pop().unwrap().value
    }

    fn repairs(text: &str) -> Vec<JsonRepair> {
        find_json(text).unwrap().pop().unwrap().repairs
    }

    #[test]
    fn the_last_value_is_found_whatever_stands_around_it() {
        let rows = [
            "{\"a\":1}",
            "```json\n{\"a\": 1}\n```",
            "```\n{\"a\":1}```\nI hope that helps.",
            "Here it is: {\"a\":1}. Anything else?",
            "<|begin_of_box|>{\"a\":1}<|end_of_box|>",
            "<think>perhaps {\"a\":2}? No.</think>{\"a\":1}",
            "it may be {\"a\":2} </think>\n\n{\"a\":1}",
            "First {\"a\":2}, but corrected: {\"a\":1}",
            "in {braces} and [1, see there] stands {\"a\":1}",
            "{\"a\":1,}",
            "{\"a\":0,\"a\":1}",
            "{\"a\":1",
            "```json\n{\"a\":1\n```",
            "<|begin_of_box|>{\"a\":1<|end_of_box|>",
            "{\"a\":1}}}\"",
            "\u{feff}{\"a\":1}",
        ];
        for text in rows {
            assert_eq!(last(text), json!({ "a": 1 }), "{text}");
        }
        let blanks = format!("{{\"a\":1}}{}", " \n".repeat(125_000));
        assert_eq!(last(&blanks), json!({ "a": 1 }));
        let thinking = "the form is [\"a\", {\"a\": \"x </think>{\"a\":1}";
        assert_eq!(last(thinking), json!({ "a": 1 }));
        let text = json!({ "a": "</think>", "b": {} });
        assert_eq!(last(&text.to_string()), text);
    }

    #[test]
    fn an_object_that_is_closed_twice_goes_on() {
        let text = r#"{"a":1},"b":{"c":[2]}} ""#;
        assert_eq!(last(text), json!({ "a": 1, "b": { "c": [2] } }));
        assert_eq!(repairs(text), [JsonRepair::ClosedTwice]);
        assert_eq!(last(r#"{"a":1}, "b" is missing"#), json!({ "a": 1 }));
        assert_eq!(find_json(r#"{"a":1}, {"b":2}"#).unwrap().len(), 2);
    }

    #[test]
    fn repairs_are_recorded_once_each() {
        assert_eq!(repairs("{\"a\":[1,],\"b\":[2,],}"), [JsonRepair::TrailingComma]);
        assert_eq!(repairs("{\"a\":\"x\ny\"}"), [JsonRepair::ControlCharacter]);
        assert_eq!(last("{\"a\":\"x\ny\u{1}\"}"), json!({ "a": "x\ny\u{FFFD}" }));
        assert_eq!(repairs("{\"a\":[1,2"), [JsonRepair::MissingBracket]);
        assert_eq!(last("{\"a\":[1,2"), json!({ "a": [1, 2] }));
        assert!(repairs("{\"a\":1}").is_empty());
    }

    #[test]
    fn what_is_cut_off_is_no_value() {
        for text in ["{\"a\":\"b", "{\"a\":", "{\"a\"", "{", "{\"a\":tru", "{\"a\":[[[1", "[1,"] {
            assert_eq!(find_json(text).unwrap_err(), Unreadable::Incomplete, "{text}");
        }
        for text in ["", "a cat", "{a cat}", "{'a': 1}", "[yes]"] {
            assert_eq!(find_json(text).unwrap_err(), Unreadable::NoJson, "{text}");
        }
    }

    #[test]
    fn hostile_text_costs_bounded_work() {
        let digits = format!("{{\"a\":{}", "7".repeat(500_000));
        assert_eq!(find_json(&digits).unwrap_err(), Unreadable::NoJson);
        assert_eq!(find_json(&"[".repeat(100_000)).unwrap_err(), Unreadable::TooDeep);
        assert_eq!(find_json(&" ".repeat(MAX_BYTES + 1)).unwrap_err(), Unreadable::TooLong);
        let many = format!("{}{}x", "[1 ".repeat(100_000), " ".repeat(500_000));
        assert_eq!(find_json(&many).unwrap_err(), Unreadable::NoJson);
        let tangle = "[1,".repeat(30) + "x";
        let tangle = tangle.repeat(1_000);
        assert_eq!(find_json(&tangle).unwrap_err(), Unreadable::TooMuchWork);
        assert_eq!(find_json(&"{}".repeat(1000)).unwrap().len(), MAX_VALUES);
    }

    #[test]
    fn plain_json_is_read_as_serde_json_reads_it() {
        let texts = [
            r#"{"a":[1,-2.5e3,true,false,null,"ä\"\\\u00e9😺"],"b":{},"c":[]}"#,
            r#"[{"x":0},[[]],"",18446744073709551615]"#,
        ];
        for text in texts {
            assert_eq!(last(text), serde_json::from_str::<Value>(text).unwrap());
        }
    }
}
