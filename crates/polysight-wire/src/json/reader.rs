//! The reader itself.

use serde_json::{Map, Value};

use super::halves;

/// The depth that strict parsers take; what lies deeper is passed over.
const MAX_DEPTH: usize = 127;
/// How many values a text may hold; the rest is passed over. Each takes some 30 bytes, and an answer of 8,000 tokens with the
/// probabilities of 20 candidates each has 800,000.
const MAX_VALUES: usize = 1 << 20;

/// Fields whose text is put together of pieces, so that a piece may end within a character.
const JOINED: [&str; 5] = ["content", "text", "reasoning_content", "reasoning", "arguments"];
/// Fields of which a beginning is worth something.
const PROSE: [&str; 7] = ["content", "text", "reasoning_content", "reasoning", "message", "msg", "error"];

/// What becomes of half a surrogate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoneHalves {
    /// It becomes U+FFFD.
    Replace,
    /// In text that comes in pieces it is kept for [`Halves`](crate::chat::Halves) to join; elsewhere it becomes U+FFFD.
    Keep,
}

/// Reads values from left to right, each byte once.
pub(super) struct Reader<'t> {
    rest: &'t str,
    halves: LoneHalves,
    depth: usize,
    values_left: usize,
    cut_at: Option<usize>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, halves: LoneHalves) -> Self {
        Self { rest: text, halves, depth: 0, values_left: MAX_VALUES, cut_at: None }
    }

    /// The depth at which the value that was read breaks off, if it does.
    pub(super) fn cut_at(&self) -> Option<usize> {
        self.cut_at
    }

    fn is_cut(&self) -> bool {
        self.cut_at.is_some()
    }

    /// Goes to the next document: it begins a line, or stands behind a `data:`.
    pub(super) fn seek(&mut self) -> bool {
        loop {
            let is_between = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | '\u{feff}');
            self.rest = self.rest.trim_start_matches(is_between);
            if let Some(data) = self.rest.strip_prefix("data:") {
                self.rest = data;
                continue;
            }
            match self.peek() {
                Some(b'{' | b'[') => return true,
                Some(b'<') | None => return false,
                Some(_) => self.skip(self.rest.find(['\n', '\r']).unwrap_or(self.rest.len())),
            }
        }
    }

    /// Reads the document that begins here.
    pub(super) fn document(&mut self) -> Value {
        self.value("")
    }

    fn peek(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn skip_commas(&mut self) {
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
    }

    /// Reads the value of a field; null where there is none that makes sense.
    fn value(&mut self, key: &str) -> Value {
        self.skip_space();
        let has_room = self.values_left > 0;
        self.values_left = self.values_left.saturating_sub(1);
        match self.peek() {
            Some(b'{') if has_room && self.depth < MAX_DEPTH => self.nested(Self::object),
            Some(b'[') if has_room && self.depth < MAX_DEPTH => self.nested(|reader| reader.list(key)),
            Some(b'{' | b'[') => self.pass_over(),
            Some(b'"') => self.string_value(key),
            Some(_) => self.word(),
            None => self.cut(),
        }
    }

    fn cut(&mut self) -> Value {
        self.cut_at.get_or_insert(self.depth);
        Value::Null
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Value) -> Value {
        self.skip(1);
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Value {
        let mut fields = Map::new();
        while !self.is_cut() {
            self.skip_commas();
            match self.peek() {
                Some(b'}') => {
                    self.skip(1);
                    break;
                }
                Some(b'"') => self.field(&mut fields),
                _ => drop(self.cut()),
            }
        }
        Value::Object(fields)
    }

    fn field(&mut self, fields: &mut Map<String, Value>) {
        let key = self.string(LoneHalves::Replace);
        self.skip_space();
        if self.is_cut() || self.peek() != Some(b':') {
            self.cut();
            return;
        }
        self.skip(1);
        let is_kept = self.values_left > 0;
        let value = self.value(&key);
        if is_kept && !(self.is_cut() && value.is_null()) {
            fields.insert(key, value);
        }
    }

    fn list(&mut self, key: &str) -> Value {
        let mut items = Vec::new();
        while !self.is_cut() {
            self.skip_commas();
            match self.peek() {
                Some(b']') => {
                    self.skip(1);
                    break;
                }
                Some(b'}' | b':') => drop(self.cut()),
                _ => {
                    let is_kept = self.values_left > 0;
                    let value = self.value(key);
                    if is_kept && !(self.is_cut() && value.is_null()) {
                        items.push(value);
                    }
                }
            }
        }
        Value::Array(items)
    }

    /// Passes over a list or an object without looking into it.
    fn pass_over(&mut self) -> Value {
        let mut open = 0_usize;
        while let Some(at) = self.rest.find(['{', '[', '}', ']', '"']) {
            self.skip(at);
            match self.peek() {
                Some(b'"') => drop(self.string(LoneHalves::Replace)),
                Some(byte) => {
                    self.skip(1);
                    open = if matches!(byte, b'{' | b'[') { open + 1 } else { open.saturating_sub(1) };
                }
                None => {}
            }
            if open == 0 || self.is_cut() {
                return Value::Null;
            }
        }
        self.rest = "";
        self.cut()
    }

    /// Reads a number or a name; whatever no parser knows, such as `NaN`, is null.
    fn word(&mut self) -> Value {
        let ends = |c: char| matches!(c, ',' | ']' | '}' | ':' | '"' | '{' | '[') || c.is_ascii_whitespace();
        let Some(end) = self.rest.find(ends) else {
            self.rest = "";
            return self.cut();
        };
        match self.take(end) {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            word => serde_json::from_str(word).unwrap_or_default(),
        }
    }

    fn string_value(&mut self, key: &str) -> Value {
        let halves = if JOINED.contains(&key) { self.halves } else { LoneHalves::Replace };
        let text = self.string(halves);
        if self.is_cut() && !PROSE.contains(&key) { Value::Null } else { Value::String(text) }
    }

    fn string(&mut self, halves: LoneHalves) -> String {
        self.skip(1);
        let mut text = String::new();
        loop {
            let end = self.rest.find(['"', '\\']);
            let plain = self.take(end.unwrap_or(self.rest.len()));
            push_plain(&mut text, plain, halves);
            match self.peek() {
                Some(b'"') => {
                    self.skip(1);
                    return text;
                }
                Some(_) => self.escape(&mut text, halves),
                None => drop(self.cut()),
            }
            if self.is_cut() {
                return text;
            }
        }
    }

    /// Reads what stands behind a backslash. One that escapes nothing is itself meant.
    fn escape(&mut self, text: &mut String, halves: LoneHalves) {
        self.skip(1);
        let Some(c) = self.rest.chars().next() else {
            self.cut();
            return;
        };
        self.skip(c.len_utf8());
        match c {
            '"' | '\\' | '/' | '\'' => text.push(c),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => self.code_unit(text, halves),
            other => text.extend(['\\', other]),
        }
    }

    fn code_unit(&mut self, text: &mut String, halves: LoneHalves) {
        let Some(unit) = hexadecimal(self.rest) else {
            if self.rest.len() < 4 && self.rest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                self.cut();
            } else {
                text.push_str("\\u");
            }
            return;
        };
        self.skip(4);
        let low = self.rest.strip_prefix("\\u").and_then(hexadecimal);
        if let Some(joined) = low.and_then(|low| halves::joined(unit, low)) {
            self.skip(6);
            push_plain(text, joined.encode_utf8(&mut [0; 4]), halves);
        } else if let Some(c) = char::from_u32(unit.into()) {
            text.push(c);
        } else {
            text.push(if halves == LoneHalves::Keep {
                halves::kept(unit)
            } else {
                char::REPLACEMENT_CHARACTER
            });
        }
    }
}

/// Adds text that holds no half; what would pass for a kept one is replaced.
fn push_plain(text: &mut String, plain: &str, halves: LoneHalves) {
    if halves == LoneHalves::Keep && plain.contains(halves::is_kept) {
        text.extend(plain.chars().map(|c| if halves::is_kept(c) { char::REPLACEMENT_CHARACTER } else { c }));
    } else {
        text.push_str(plain);
    }
}

fn hexadecimal(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}
