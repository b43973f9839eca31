//! JSON of servers that write it almost right.
//!
//! A reply is read strictly first. Only where that fails it is read again by a reader that passes over what costs nothing: a
//! byte order mark, a key twice (the last one holds), half a surrogate pair, bytes that are no UTF-8, raw control characters,
//! `NaN`, numbers out of range, commas too many, several documents, a list around them, a `data:` before them. It gives
//! documents that strict parsers read, and says when the last one lacks its end. Its work and memory are bounded by the text's
//! length.

mod halves;
mod reader;

use std::fmt;

pub(crate) use halves::{half_of, is_first, joined};
pub use reader::LoneHalves;
use reader::Reader;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

/// Reads one JSON object strictly.
///
/// Text is checked to be UTF-8 once as a whole, since the parser would check each of its many short strings.
///
/// # Errors
/// Whatever a strict parser refuses, lists included: they would be read as an object's fields in their order.
pub fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    if json.trim_ascii_start().first() == Some(&b'[') {
        return Err(serde_json::Error::custom("a list where an object is expected"));
    }
    match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(json),
    }
}

/// Reads one JSON object that is kept, strictly first and then as [`documents`] does.
///
/// # Errors
/// That of the strict parser, where it can be read in neither way.
pub fn read_owned<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    parse(json).or_else(|error| {
        let documents = documents(json, LoneHalves::Replace);
        documents.single().and_then(|text| serde_json::from_str(text).ok()).ok_or(error)
    })
}

/// The objects that could be read of a text, each as strict JSON on one line.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Documents {
    /// The whole ones, in their order. Those of a list stand for themselves.
    pub texts: Vec<String>,
    /// The last one, if it could not be read to its end: what stood before.
    pub cut: Option<String>,
}

impl Documents {
    /// The document, if there is exactly one and it is whole.
    #[must_use]
    pub fn single(&self) -> Option<&str> {
        match (self.texts.as_slice(), &self.cut) {
            ([text], None) => Some(text),
            _ => None,
        }
    }

    /// The document, if there is nothing but the beginning of one.
    #[must_use]
    pub fn beginning(&self) -> Option<&str> {
        self.cut.as_deref().filter(|_| self.texts.is_empty())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.texts.len() + usize::from(self.cut.is_some())
    }

    /// Adds what a reader has read; it broke off at this depth.
    fn add(&mut self, value: Value, cut_at: Option<usize>) {
        let (mut items, depth) = match value {
            Value::Array(items) => (items, 1),
            one => (vec![one], 0),
        };
        if let Some(cut_at) = cut_at {
            // Between two objects of a list none of them is cut.
            let cut = items.pop_if(|_| cut_at > depth || depth == 0);
            let cut = cut.filter(Value::is_object).unwrap_or_else(|| Value::Object(Map::new()));
            self.cut = Some(cut.to_string());
        }
        self.texts.extend(items.iter().filter(|item| item.is_object()).map(Value::to_string));
    }
}

/// Shows counts only: the text is a conversation.
impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (texts, is_cut) = (self.texts.len(), self.cut.is_some());
        f.debug_struct("Documents").field("texts", &texts).field("is_cut", &is_cut).finish()
    }
}

/// Reads every document of a text that may be almost JSON: one, several in a row or in lines, in a list, or behind the
/// `data:` of events. A page has none.
#[must_use]
pub fn documents(text: &[u8], halves: LoneHalves) -> Documents {
    let text = String::from_utf8_lossy(without_cut_character(text));
    let mut reader = Reader::new(&text, halves);
    let mut found = Documents::default();
    while found.cut.is_none() && reader.seek() {
        let value = reader.document();
        found.add(value, reader.cut_at());
    }
    found
}

/// A text without the first bytes of a character at its end, whose others did not come.
fn without_cut_character(text: &[u8]) -> &[u8] {
    let is_cut = |tail: &[u8]| {
        std::str::from_utf8(tail).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    let mut splits = (1..=3).filter_map(|length| text.split_at_checked(text.len().checked_sub(length)?));
    splits.find(|(_, tail)| is_cut(tail)).map_or(text, |(whole, _)| whole)
}

/// Whether a text begins as a document does, a byte order mark and white space apart.
#[must_use]
pub fn is_document(text: &[u8]) -> bool {
    matches!(begin(text).first(), Some(b'{' | b'['))
}

/// A text without byte order mark and white space before it.
pub(crate) fn begin(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    text.strip_prefix(BYTE_ORDER_MARK).map_or(text, begin)
}

pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

#[cfg(test)]
mod tests;
