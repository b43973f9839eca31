//! A config file as a tree of values, each with its line.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use polysight_core::{ApiKey, Error, ErrorKind, Result, redact_name};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::expand::has_variable;
use super::faults::{Fault, Faults};

/// The largest file of certificates, in bytes: a system's own bundle has some 250 KB.
const MAX_PEM: u64 = 4 << 20;

/// A table: its values by key.
pub(crate) type Table = BTreeMap<String, Node>;

/// A value and where it stands. It may hold a key, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Node {
    /// Its line, from 1.
    pub(crate) line: usize,
    pub(crate) value: Value,
}

impl Node {
    /// Whether any text in it names a variable.
    pub(crate) fn has_variable(&self) -> bool {
        match &self.value {
            Value::Text(text) => has_variable(text),
            Value::List(items) => items.iter().any(Self::has_variable),
            Value::Table(fields) => fields.values().any(Self::has_variable),
            _ => false,
        }
    }
}

/// What a value can be.
#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
}

/// Where a config came from, for messages and relative paths.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

impl Source {
    /// A file.
    pub(crate) fn file(path: &Path) -> Self {
        Self {
            name: redact_name(&path.display().to_string()),
            folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
        }
    }

    /// A text; relative paths in it start at the current folder.
    pub(crate) fn text() -> Self {
        Self { name: "config".to_owned(), folder: PathBuf::new() }
    }

    /// The error of a file that cannot be read.
    pub(crate) fn unreadable(&self, error: std::io::Error) -> Error {
        Error::new(ErrorKind::Config, format!("{}: it cannot be read: {error}", self.name)).with_source(error)
    }

    /// The key in a file, whose path is relative to the config file, or to the user's folder where it begins with `~/`.
    pub(crate) fn key_in(&self, file: &Path, home: Option<&str>) -> Result<ApiKey> {
        let wrong = |problem: String| {
            let shown = redact_name(&file.display().to_string());
            Error::new(ErrorKind::Config, format!("api_key_file {shown} {problem}"))
        };
        let path = match (file.strip_prefix("~"), home) {
            (Ok(inside), Some(home)) => Path::new(home).join(inside),
            (Ok(_), None) => {
                return Err(wrong("cannot be found: HOME is not set, write the whole path".to_owned()));
            }
            (Err(_), _) => self.folder.join(file),
        };
        if file.to_string_lossy().starts_with('~') && file.strip_prefix("~").is_err() && !path.exists() {
            return Err(wrong(
                "cannot be found: write the whole path, `~` stands only for your own folder".to_owned(),
            ));
        }
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| wrong(format!("cannot be read: {error}")))?;
        ApiKey::from_file_text(&text).map_err(|error| wrong(format!("is not used: {}", error.message())))
    }

    /// A PEM file, whose path is relative to the config file.
    pub(crate) fn pem_in(&self, key: &str, file: &Path) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        let unusable = |problem: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Config, format!("{key} {}: {problem}", path.display()))
        };
        let cannot = |error: std::io::Error| unusable(&format_args!("it cannot be read: {error}"));
        let mut pem = Vec::new();
        let file = std::fs::File::open(&path).map_err(cannot)?;
        if !file.metadata().map_err(cannot)?.is_file() {
            return Err(unusable(&"it is not a file"));
        }
        file.take(MAX_PEM + 1).read_to_end(&mut pem).map_err(cannot)?;
        if pem.len() as u64 > MAX_PEM {
            return Err(unusable(&"it is larger than 4 MiB"));
        }
        Ok(pem)
    }
}

/// Reads TOML; every syntax error is a fault.
pub(crate) fn parse(text: &str, faults: &mut Faults) -> Table {
    let lines = Lines::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map(|span| lines.at(span.start));
        faults.push(Fault::new("", format!("no valid TOML: {}", error.message().trim())).at(line));
    }
    table(root.into_inner(), &lines, "", faults)
}

/// Lays a table over another, setting by setting.
pub(crate) fn merge(base: &Table, over: Table) -> Table {
    let mut merged = base.clone();
    for (key, mut node) in over {
        if let (Some(Node { value: Value::Table(below), .. }), Value::Table(above)) =
            (merged.get(&key), &mut node.value)
        {
            *above = merge(below, std::mem::take(above));
        }
        merged.insert(key, node);
    }
    merged
}

/// The offsets at which lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at + 1).collect())
    }

    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|begin| *begin <= offset) + 1
    }
}

fn table(entries: DeTable<'_>, lines: &Lines, path: &str, faults: &mut Faults) -> Table {
    entries
        .into_iter()
        .filter_map(|(key, value)| {
            let key = key.into_inner().into_owned();
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            Some((key, node(value, lines, &path, faults)?))
        })
        .collect()
}

fn node(value: Spanned<DeValue<'_>>, lines: &Lines, path: &str, faults: &mut Faults) -> Option<Node> {
    let line = lines.at(value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(truth) => Value::Boolean(truth),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                faults.push(Fault::new(path, "a whole number of more than 64 bits").at(Some(line)));
                return None;
            }
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Value::Float(number),
            Err(_) => {
                faults.push(Fault::new(path, "not a number").at(Some(line)));
                return None;
            }
        },
        DeValue::Array(items) => {
            let items = items.into_iter().enumerate();
            Value::List(
                items
                    .filter_map(|(index, item)| node(item, lines, &format!("{path}[{index}]"), faults))
                    .collect(),
            )
        }
        DeValue::Table(entries) => Value::Table(table(entries, lines, path, faults)),
    };
    Some(Node { line, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines() {
        let mut faults = Faults::default();
        let root = parse("a = 1\n\n[b]\nc = [1,\n 2]\r\nd = -inf\ne = 0x1F\n", &mut faults);
        assert!(faults.is_empty());
        let Value::Table(b) = &root["b"].value else { panic!("a table") };
        assert_eq!((root["a"].line, b["c"].line, b["d"].line), (1, 4, 6));
        let Value::List(items) = &b["c"].value else { panic!("a list") };
        assert_eq!(items[1].line, 5);
        assert!(matches!(b["d"].value, Value::Float(number) if number == f64::NEG_INFINITY));
        assert!(matches!(b["e"].value, Value::Integer(31)));
    }

    #[test]
    fn every_syntax_error_is_named_with_its_line() {
        let mut faults = Faults::default();
        parse("a = \nb = 1\n[c\nd = 1979-13-45T99:00:00Z\ne = 99999999999999999999", &mut faults);
        let error = faults.into_result(&Source::text(), ()).unwrap_err();
        let paths: Vec<_> = error.violations().iter().map(|fault| fault.path.as_str()).collect();
        assert!(paths.starts_with(&["config:1"]) && paths.contains(&"config:3"), "{error}");
    }

    #[test]
    fn tables_are_merged_setting_by_setting() {
        let read = |text| parse(text, &mut Faults::default());
        let merged = merge(&read("a = { x = 1, y = 2 }\nb = true"), read("a = { y = 3 }\nb = { z = 1 }"));
        let Value::Table(a) = &merged["a"].value else { panic!("a table") };
        assert!(matches!((&a["x"].value, &a["y"].value), (Value::Integer(1), Value::Integer(3))));
        assert!(matches!(merged["b"].value, Value::Table(_)));
    }
}
