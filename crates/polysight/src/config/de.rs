//! Reads settings out of the file's tables, and says of each wrong value where it stands, what it is and what is allowed.
//!
//! A deserializer of our own, since those of TOML and JSON tell a failure in prose alone: with the value in it, which may be a
//! key, and without the lists of names.

use std::cell::Cell;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::expand::{self, Variables, has_variable};
use super::faults::{Fault, Faults, nearest, unknown};
use super::file::{Node, Table, Value};

/// How texts are read.
#[derive(Clone, Copy)]
pub(crate) enum Texts<'a> {
    /// As they are.
    Literal,
    /// Variables stay names, and what they hold is not judged.
    Placeholders,
    /// Variables are looked up.
    LookedUp(&'a Variables<'a>),
}

/// A table whose keys are taken by several settings types, one after the other.
pub(crate) struct Reader<'a> {
    table: Table,
    path: &'a str,
    texts: Texts<'a>,
    known: Vec<&'a str>,
    /// What was taken and is right.
    good: Table,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(table: Table, path: &'a str, texts: Texts<'a>) -> Self {
        Self { table, path, texts, known: Vec::new(), good: Table::new() }
    }

    /// Takes the fields of a type. Each value that is wrong is a fault, and left out; `None` when a field is missing that
    /// must be there.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, faults: &mut Faults) -> Option<T> {
        let mut refused: Vec<String> = Vec::new();
        loop {
            let root = Root { table: &self.table, texts: self.texts, fields: Cell::new(None) };
            let read = T::deserialize(&root);
            let fields = root.fields.get();
            match read {
                Ok(value) => {
                    self.mark_taken(fields);
                    return Some(value);
                }
                Err(error) => {
                    let wrong = error.path.clone();
                    // A field that was wrong has been taken out, and is not missing as well.
                    let is_known = matches!(&*error.problem, Problem::Missing(field) if refused.iter().any(|key| key == field));
                    if let Some(Step::Key(key)) = wrong.first() {
                        refused.push(key.to_string());
                    }
                    if !error.waits_for_variable && !is_known {
                        faults.push(error.into_fault(self.path));
                    }
                    if !remove(&mut self.table, &wrong) {
                        self.mark_taken(fields);
                        return None;
                    }
                }
            }
        }
    }

    /// Moves what a type has taken: its fields, or everything where it names none.
    fn mark_taken(&mut self, fields: Option<&'static [&'static str]>) {
        let table = std::mem::take(&mut self.table);
        let is_taken = |key: &str| fields.is_none_or(|fields| fields.contains(&key));
        let (taken, left): (Table, Table) = table.into_iter().partition(|(key, _)| is_taken(key));
        self.good.extend(taken);
        self.table = left;
        self.known.extend(fields.unwrap_or_default());
    }

    /// Takes the tables under these keys, with their lines.
    pub(crate) fn take_tables(
        &mut self,
        keys: impl IntoIterator<Item = &'a str>,
        faults: &mut Faults,
    ) -> Vec<(&'a str, (usize, Table))> {
        let mut taken = Vec::new();
        for key in keys {
            self.known.push(key);
            let Some(node) = self.table.remove(key) else { continue };
            if let Value::Table(table) = &node.value {
                taken.push((key, (node.line, table.clone())));
                self.good.insert(key.to_owned(), node);
            } else {
                let fault = Fault::new(join(self.path, key), "not a table").at(Some(node.line));
                faults.push(fault.allowed("a table"));
            }
        }
        taken
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &Table {
        &self.table
    }

    /// Names a key that may be there, and takes it out.
    pub(crate) fn take_node(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// The keys known so far.
    pub(crate) fn known(&self) -> &[&'a str] {
        &self.known
    }

    /// Every key that no type has taken is a fault. Gives what was taken and is right.
    pub(crate) fn finish(self, faults: &mut Faults) -> Table {
        for (key, node) in &self.table {
            let problem = unknown("key", key, self.known.iter().copied());
            faults.push(Fault::new(join(self.path, key), problem).at(Some(node.line)));
        }
        self.good
    }
}

/// Reads a type out of a table that was checked before; fields of other types are passed over.
pub(crate) fn read<T: DeserializeOwned>(table: &Table, path: &str, texts: Texts<'_>) -> Result<T, Fault> {
    let root = Root { table, texts, fields: Cell::new(None) };
    T::deserialize(&root).map_err(|error| error.into_fault(path))
}

/// A path and a key in it.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Takes a wrong value out, so that the rest can be read; of a list the whole list. False when nothing can be taken out.
fn remove(table: &mut Table, path: &[Step]) -> bool {
    match path {
        [Step::Key(key), Step::Key(next), rest @ ..] => match table.get_mut(key) {
            Some(Node { value: Value::Table(inner), .. }) if inner.contains_key(next) => {
                let path: Vec<Step> =
                    std::iter::once(Step::Key(next.clone())).chain(rest.iter().cloned()).collect();
                remove(inner, &path)
            }
            _ => table.remove(key).is_some(),
        },
        [Step::Key(key), ..] => table.remove(key).is_some(),
        _ => false,
    }
}

/// A step of the way to a value.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// Why a value was not read.
#[derive(Debug, Clone)]
struct ReadError {
    path: Vec<Step>,
    line: Option<usize>,
    problem: Box<Problem>,
    /// The names of the variables in the value, if there are some: then nothing of it is shown.
    from_variable: Option<String>,
    /// Whether the value will only be known when the variable is looked up.
    waits_for_variable: bool,
}

#[derive(Debug, Clone)]
enum Problem {
    /// Another value is wanted: what kind of value it is, how it reads, what is allowed, which allowed name is nearest.
    Unexpected {
        kind: &'static str,
        shown: Option<String>,
        allowed: String,
        nearest: Option<&'static str>,
    },
    UnknownField {
        field: String,
        known: &'static [&'static str],
    },
    Missing(&'static str),
    Other(String),
}

impl ReadError {
    fn new(problem: Problem) -> Self {
        Self {
            path: Vec::new(),
            line: None,
            problem: Box::new(problem),
            from_variable: None,
            waits_for_variable: false,
        }
    }

    /// Says where the value is, from the inside out: the innermost place is known first.
    fn within(mut self, step: Step, line: usize) -> Self {
        self.path.insert(0, step);
        self.line.get_or_insert(line);
        self
    }

    /// Says that the value came from variables.
    fn of_text(mut self, text: &str, texts: Texts<'_>) -> Self {
        if has_variable(text) && self.from_variable.is_none() && self.path.is_empty() {
            match texts {
                Texts::Literal => {}
                Texts::Placeholders => self.waits_for_variable = true,
                Texts::LookedUp(_) => self.from_variable = Some(text.to_owned()),
            }
        }
        self
    }

    fn into_fault(self, path: &str) -> Fault {
        let mut place = path.to_owned();
        for step in &self.path {
            place = match step {
                Step::Key(key) => join(&place, key),
                Step::Index(index) => format!("{place}[{index}]"),
            };
        }
        let is_secret = self.path.iter().any(|step| matches!(step, Step::Key(key) if holds_secret(key)));
        let (problem, allowed) = match (*self.problem, self.from_variable) {
            (Problem::Unexpected { allowed, .. }, Some(text)) => {
                (format!("the value of {} is refused", names(&text)), allowed)
            }
            (Problem::Other(_), Some(text)) => {
                (format!("the value of {} is refused", names(&text)), String::new())
            }
            (Problem::Unexpected { kind, shown, allowed, nearest }, None) => {
                let shown = shown.filter(|shown| !is_secret && may_be_shown(shown));
                let is = match (shown, nearest) {
                    (Some(shown), Some(nearest)) => {
                        format!("`{shown}` is unknown, did you mean `{nearest}`?")
                    }
                    (Some(shown), None) => format!("`{shown}` is {kind}"),
                    (None, _) => format!("this is {kind}"),
                };
                (is, allowed)
            }
            (Problem::UnknownField { field, known }, _) => {
                (unknown("key", &field, known.iter().copied()), String::new())
            }
            (Problem::Missing(field), _) => (format!("`{field}` is missing"), String::new()),
            (Problem::Other(problem), None) => (problem, String::new()),
        };
        Fault::new(place, problem).at(self.line).allowed(allowed)
    }
}

/// The variables of a text as it stands in the file, without what is around them.
fn names(text: &str) -> String {
    let names = text
        .split("${")
        .skip(1)
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| format!("${{{name}}}"));
    names.collect::<Vec<_>>().join(" and ")
}

/// Whether values of a key are kept out of errors.
fn holds_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["_key", "_keys", "headers", "proxy", "secret", "password", "_token", "url"]
        .iter()
        .any(|end| key.ends_with(end))
        || ["key", "keys", "token", "authorization"].contains(&key.as_str())
}

/// Whether a value is too plain for a key that stands in the wrong place.
fn may_be_shown(shown: &str) -> bool {
    shown.chars().count() <= 24
        && shown.chars().filter(char::is_ascii_digit).count() <= 6
        && !shown.chars().any(char::is_control)
        && !(shown.chars().any(|c| c.is_ascii_alphabetic())
            && shown.chars().filter(char::is_ascii_digit).count() > 3)
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting is wrong")
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new(Problem::Other(problem.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (kind, shown) = described(found);
        let allowed = plain(&expected.to_string());
        Self::new(Problem::Unexpected { kind, shown, allowed, nearest: None })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (_, shown) = described(found);
        let allowed = plain(&expected.to_string());
        Self::new(Problem::Unexpected { kind: "not allowed", shown, allowed, nearest: None })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Problem::Unexpected {
            kind: "unknown",
            shown: Some(variant.to_owned()),
            allowed: quoted(expected),
            nearest: nearest(variant, expected),
        })
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownField { field: field.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What kind of value it is, and how it reads where that is short.
fn described(found: Unexpected<'_>) -> (&'static str, Option<String>) {
    match found {
        Unexpected::Bool(truth) => ("a truth value", Some(truth.to_string())),
        Unexpected::Unsigned(number) => ("a whole number", Some(number.to_string())),
        Unexpected::Signed(number) => ("a whole number", Some(number.to_string())),
        Unexpected::Float(number) => ("a number", Some(number.to_string())),
        Unexpected::Str(text) => ("a text", Some(text.to_owned())),
        Unexpected::Seq => ("a list", None),
        Unexpected::Map => ("a table", None),
        _ => ("something else", None),
    }
}

/// What a type expects, without Rust's names of types.
fn plain(expected: &str) -> String {
    let whole = |most: u64| format!("a whole number from 0 to {most}");
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "string" | "path string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        table if table.starts_with("struct ") => "a table of settings".to_owned(),
        other => other.to_owned(),
    }
}

/// The table that a type is read from: of a struct, its own fields alone.
struct Root<'a> {
    table: &'a Table,
    texts: Texts<'a>,
    fields: Cell<Option<&'static [&'static str]>>,
}

impl<'de> Deserializer<'de> for &Root<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_map(Entries::new(self.table, self.texts, None))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.fields.set(Some(fields));
        visitor.visit_map(Entries::new(self.table, self.texts, Some(fields)))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.fields.set(Some(&[]));
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple tuple_struct map enum
        identifier ignored_any
    }
}

/// The values of a table, one after the other.
struct Entries<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Node>,
    texts: Texts<'a>,
    only: Option<&'static [&'static str]>,
    next: Option<(&'a String, &'a Node)>,
}

impl<'a> Entries<'a> {
    fn new(table: &'a Table, texts: Texts<'a>, only: Option<&'static [&'static str]>) -> Self {
        Self { entries: table.iter(), texts, only, next: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let only = self.only;
        let wanted = |(key, _): &(&String, &Node)| only.is_none_or(|only| only.contains(&key.as_str()));
        let Some((key, node)) = self.entries.find(wanted) else { return Ok(None) };
        self.next = Some((key, node));
        let read: Result<K::Value, ReadError> = seed.deserialize(StrDeserializer::new(key));
        read.map(Some).map_err(|error| error.within(Step::Key(key.clone()), node.line))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some((key, node)) = self.next.take() else {
            return Err(serde::de::Error::custom("a value was asked for before its key"));
        };
        let read = seed.deserialize(Item { node, texts: self.texts });
        read.map_err(|error| error.within(Step::Key(key.clone()), node.line))
    }
}

/// The values of a list, one after the other.
struct Items<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    texts: Texts<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let read = seed.deserialize(Item { node, texts: self.texts });
        read.map(Some).map_err(|error| error.within(Step::Index(index), node.line))
    }
}

/// One value.
struct Item<'a> {
    node: &'a Node,
    texts: Texts<'a>,
}

impl<'a> Item<'a> {
    /// Reads the value; a text by `text`.
    fn read<'de, V, F>(self, visitor: V, text: F) -> Result<V::Value, ReadError>
    where
        V: Visitor<'de>,
        F: FnOnce(V, String) -> Result<V::Value, ReadError>,
    {
        let texts = self.texts;
        match &self.node.value {
            Value::Text(raw) => {
                let expanded = match texts {
                    Texts::Literal => Ok(raw.clone()),
                    Texts::Placeholders => expand::check(raw),
                    Texts::LookedUp(variables) => variables.expand(raw),
                };
                let expanded = expanded.map_err(|problem| ReadError::new(Problem::Other(problem)))?;
                text(visitor, expanded).map_err(|error| error.of_text(raw, texts))
            }
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(truth) => visitor.visit_bool(*truth),
            Value::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate(), texts }),
            Value::Table(table) => visitor.visit_map(Entries::new(table, texts, None)),
        }
    }

    /// Reads a number or truth value, which a variable gives as a text.
    fn parsed<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let from_variable = match (&self.node.value, self.texts) {
            (Value::Text(raw), Texts::LookedUp(_)) => has_variable(raw),
            _ => false,
        };
        self.read(visitor, |visitor, text| match text.trim() {
            text if !from_variable => visitor.visit_str(text),
            text => {
                if let Ok(number) = text.parse() {
                    visitor.visit_i64(number)
                } else if let Ok(number) = text.parse() {
                    visitor.visit_f64(number)
                } else if let Ok(truth) = text.parse() {
                    visitor.visit_bool(truth)
                } else {
                    visitor.visit_str(text)
                }
            }
        })
    }
}

macro_rules! parsed {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.parsed(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Item<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read(visitor, |visitor, text| visitor.visit_string(text))
    }

    parsed! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let found = match &self.node.value {
            Value::Text(_) => {
                return self
                    .read(visitor, |visitor, text| visitor.visit_enum(text.as_str().into_deserializer()));
            }
            Value::Table(table) => {
                let entries = Entries::new(table, self.texts, None);
                return visitor.visit_enum(MapAccessDeserializer::new(entries));
            }
            Value::Integer(number) => Unexpected::Signed(*number),
            Value::Float(number) => Unexpected::Float(*number),
            Value::Boolean(truth) => Unexpected::Bool(*truth),
            Value::List(_) => Unexpected::Seq,
        };
        let (kind, shown) = described(found);
        let problem = Problem::Unexpected { kind, shown, allowed: quoted(variants), nearest: None };
        Err(ReadError::new(problem))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}
