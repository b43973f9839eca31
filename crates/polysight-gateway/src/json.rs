//! JSON of a request's body, read without copying: texts are slices of the body.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use polysight::JsonValue;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// Most values in a body: each takes some 40 bytes beside the body, and a body of brackets alone would grow twentyfold.
const MAX_VALUES: usize = 500_000;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Vec<Field<'a>>),
}

/// A field of an object.
pub(crate) type Field<'a> = (Cow<'a, str>, Json<'a>);

impl<'a> Json<'a> {
    /// Reads a body. Depth is limited by the parser, to 128.
    pub(crate) fn parse(body: &'a [u8]) -> serde_json::Result<Self> {
        let left = Cell::new(MAX_VALUES);
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let value = Seed(&left).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(value)
    }

    /// What kind of value it is, for errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// A copy that does not need the body.
    pub(crate) fn into_value(self) -> JsonValue {
        match self {
            Self::Null => JsonValue::Null,
            Self::Bool(truth) => JsonValue::Bool(truth),
            Self::Number(number) => JsonValue::Number(number),
            Self::Text(text) => JsonValue::String(text.into_owned()),
            Self::List(items) => items.into_iter().map(Self::into_value).collect(),
            Self::Object(fields) => JsonValue::Object(
                fields.into_iter().map(|(name, value)| (name.into(), value.into_value())).collect(),
            ),
        }
    }
}

/// Reads a value, and counts it.
#[derive(Clone, Copy)]
struct Seed<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        match self.0.get().checked_sub(1) {
            Some(left) => self.0.set(left),
            None => return Err(D::Error::custom(format!("more than {MAX_VALUES} values"))),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = entries.next_key_seed(Name)? {
            fields.push((name, entries.next_value_seed(self)?));
        }
        Ok(Json::Object(fields))
    }
}

/// Reads the name of a field.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_slices_of_the_body_unless_they_hold_escapes() {
        let body = br#"{"a": "plain", "b": "one\ntwo", "c": [1, -2, 0.5, true, null]}"#;
        let Json::Object(fields) = Json::parse(body).unwrap() else { panic!("an object") };
        assert!(matches!(&fields[0], (Cow::Borrowed("a"), Json::Text(Cow::Borrowed("plain")))));
        assert!(matches!(&fields[1].1, Json::Text(Cow::Owned(text)) if text == "one\ntwo"));
        assert_eq!(fields[2].1.clone().into_value(), serde_json::json!([1, -2, 0.5, true, null]));
    }

    #[test]
    fn depth_and_count_are_limited() {
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(Json::parse(&deep).unwrap_err().to_string().contains("recursion limit"));
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert!(Json::parse(many.as_bytes()).unwrap_err().to_string().contains("more than 500000 values"));
        assert!(Json::parse(b"{} x").is_err());
    }
}
