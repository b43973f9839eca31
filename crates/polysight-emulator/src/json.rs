//! A JSON tree that keeps the order of keys and knows inline media.
//!
//! Replies are built with it because vendors' key order is part of what clients see; requests are read into it because a
//! picture must not be copied around as a base64 string.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Number, Value};

use crate::media::Medium;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// Bytes that came as base64; the index into the request's list of media.
    Media(usize),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    pub(crate) fn object<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The same object with one more key, if there is a value for it.
    pub(crate) fn with(mut self, key: &str, value: Option<impl Into<Self>>) -> Self {
        if let (Self::Object(entries), Some(value)) = (&mut self, value) {
            entries.push((key.to_owned(), value.into()));
        }
        self
    }

    /// The value of a key. Of a key given twice the last counts, and `null` counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(entries) = self else { return None };
        let (_, value) = entries.iter().rev().find(|(name, _)| name == key)?;
        (*value != Self::Null).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Self::Object(entries) = self else { return None };
        entries.iter_mut().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Takes a key out of an object.
    pub(crate) fn remove(&mut self, key: &str) {
        if let Self::Object(entries) = self {
            entries.retain(|(name, _)| name != key);
        }
    }

    /// Sets a key, in place where it exists and at the end where it does not.
    pub(crate) fn set(&mut self, key: &str, value: Self) {
        match self.get_mut(key) {
            Some(slot) => *slot = value,
            None => {
                if let Self::Object(entries) = self {
                    entries.push((key.to_owned(), value));
                }
            }
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The text on the wire.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// An ordinary JSON value in which media are named by digest and length.
    pub(crate) fn to_value(&self, media: &[Medium]) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Media(index) => Value::String(media.get(*index).map(Medium::summary).unwrap_or_default()),
            Self::List(items) => items.iter().map(|item| item.to_value(media)).collect(),
            Self::Object(entries) => Value::Object(
                entries.iter().map(|(key, value)| (key.clone(), value.to_value(media))).collect(),
            ),
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Media(index) => serializer.collect_str(&format_args!("media {index}")),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Values that become JSON without loss; a number that JSON does not have becomes null.
macro_rules! from {
    ($($type:ty: $value:ident => $json:expr;)*) => {$(
        impl From<$type> for Json {
            fn from($value: $type) -> Self {
                $json
            }
        }
    )*};
}

from! {
    &str: text => Self::Text(text.to_owned());
    String: text => Self::Text(text);
    bool: value => Self::Bool(value);
    u64: value => Self::Number(value.into());
    u32: value => Self::Number(value.into());
    usize: value => Self::Number(value.into());
    f64: value => Number::from_f64(value).map_or(Self::Null, Self::Number);
    Vec<Self>: items => Self::List(items);
}

impl<T: Into<Self>> From<Option<T>> for Json {
    /// An absent value as null.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Decimals of a number as its shortest form has them: 0.8 has one, 0.800000011920929 fifteen, 1.0 none.
pub(crate) fn decimals(number: &Number) -> usize {
    let text = number.to_string();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
    let shift = exponent.parse::<i64>().unwrap_or(0);
    usize::try_from(i64::try_from(places).unwrap_or(i64::MAX).saturating_sub(shift)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn counts_decimals_of_the_shortest_form() {
        for (text, expected) in [
            ("0.8", 1),
            ("0.80", 1),
            ("1", 0),
            ("1.0", 0),
            ("0.95", 2),
            ("0.955", 3),
            ("0.800000011920929", 15),
            ("1e-7", 7),
            ("8e-1", 1),
            ("1.5e3", 0),
        ] {
            assert_eq!(decimals(&number(text)), expected, "{text}");
        }
    }

    #[test]
    fn keeps_the_order_of_keys() {
        let json = Json::object([("z", 1_u64.into()), ("a", true.into())]).with("m", Some("x"));
        assert_eq!(json.to_text(), r#"{"z":1,"a":true,"m":"x"}"#);
    }

    #[test]
    fn a_null_counts_as_absent() {
        let json = Json::object([("thinking", Json::Null)]);
        assert_eq!(json.get("thinking"), None);
    }
}
