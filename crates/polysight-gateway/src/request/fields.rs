//! Fields of a JSON object, taken one by one; every fault is collected with its path.

use std::borrow::Cow;

use bytes::Bytes;
use polysight::Violation;
use serde_json::Number;

use crate::json::{Field, Json};

/// Most faults that are listed.
const MAX_VIOLATIONS: usize = 50;

/// What is found while a body is read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    body: &'a Bytes,
    pub(crate) violations: Vec<Violation>,
    pub(crate) notes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(body: &'a Bytes) -> Self {
        Self { body, violations: Vec::new(), notes: Vec::new() }
    }

    /// Records that something is wrong.
    pub(crate) fn reject(
        &mut self,
        path: impl Into<String>,
        problem: impl Into<String>,
        allowed: &str,
        fix: &str,
    ) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation::new(path, problem, allowed, fix));
        }
    }

    /// Records what the client should know though nothing is wrong.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < MAX_VIOLATIONS && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The bytes of a text: a slice of the body where it stands there without escapes.
    pub(crate) fn shared(&self, text: Cow<'a, str>) -> Bytes {
        match text {
            Cow::Borrowed(text) => self.body.slice_ref(text.as_bytes()),
            Cow::Owned(text) => text.into(),
        }
    }

    fn unexpected(&mut self, path: String, found: &Json<'_>, allowed: &str) {
        self.reject(path, format!("this is {}", found.kind()), allowed, "");
    }
}

/// Fields of an object that nothing has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    path: String,
    entries: Vec<Field<'a>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(path: impl Into<String>, entries: Vec<Field<'a>>) -> Self {
        Self { path: path.into(), entries }
    }

    /// The path of a field.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The path of the object itself.
    pub(crate) fn own_path(&self) -> &str {
        &self.path
    }

    /// What is left.
    pub(crate) fn rest(self) -> Vec<Field<'a>> {
        self.entries
    }

    /// Takes a field; `null` is none. Of a name that stands twice the last one holds.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let mut found = None;
        while let Some(place) = self.entries.iter().rposition(|(key, _)| key == name) {
            let (_, value) = self.entries.remove(place);
            found.get_or_insert(value);
        }
        found.filter(|value| *value != Json::Null)
    }

    pub(crate) fn text(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<Cow<'a, str>> {
        match self.take(name)? {
            Json::Text(text) => Some(text),
            other => {
                reader.unexpected(self.path(name), &other, "a text");
                None
            }
        }
    }

    pub(crate) fn boolean(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<bool> {
        match self.take(name)? {
            Json::Bool(truth) => Some(truth),
            other => {
                reader.unexpected(self.path(name), &other, "true or false");
                None
            }
        }
    }

    pub(crate) fn number(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<f64> {
        self.numeric(name, "a number", reader)?.as_f64()
    }

    /// A whole number of the wanted type; `2.0` is one too.
    pub(crate) fn integer<T: TryFrom<i128>>(
        &mut self,
        name: &str,
        allowed: &str,
        reader: &mut Reader<'_>,
    ) -> Option<T> {
        let number = self.numeric(name, allowed, reader)?;
        let whole = match (number.as_i128(), number.as_f64()) {
            (Some(whole), _) => Some(whole),
            (None, Some(float)) if float.fract() == 0.0 && float.abs() < 1e15 => Some(float as i128),
            _ => None,
        };
        let fitting = whole.and_then(|whole| T::try_from(whole).ok());
        if fitting.is_none() {
            reader.reject(self.path(name), format!("it is {number}"), allowed, "");
        }
        fitting
    }

    fn numeric(&mut self, name: &str, allowed: &str, reader: &mut Reader<'_>) -> Option<Number> {
        match self.take(name)? {
            Json::Number(number) => Some(number),
            other => {
                reader.unexpected(self.path(name), &other, allowed);
                None
            }
        }
    }

    pub(crate) fn list(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<Vec<Json<'a>>> {
        match self.take(name)? {
            Json::List(items) => Some(items),
            other => {
                reader.unexpected(self.path(name), &other, "a list");
                None
            }
        }
    }

    pub(crate) fn object(&mut self, name: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let value = self.take(name)?;
        Self::of(value, self.path(name), reader)
    }

    /// The fields of a value that must be an object.
    pub(crate) fn of(value: Json<'a>, path: String, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Json::Object(entries) => Some(Self { path, entries }),
            other => {
                reader.unexpected(path, &other, "an object");
                None
            }
        }
    }
}

impl<'a> Fields<'a> {
    /// Puts a field back.
    pub(crate) fn put(&mut self, name: &'static str, value: Json<'a>) {
        self.entries.push((Cow::Borrowed(name), value));
    }
}
