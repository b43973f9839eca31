//! The keys that a settings type knows, asked of the type itself, so that no list beside it can go stale.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Names of the fields of a struct that derives `Deserialize`; empty for anything else.
pub(crate) fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // Fails always: the type is asked for its fields and given none.
    let _ = T::deserialize(FieldCollector(&mut fields));
    fields
}

struct FieldCollector<'a>(&'a mut &'static [&'static str]);

#[derive(Debug)]
struct Collected;

impl fmt::Display for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields collected")
    }
}

impl std::error::Error for Collected {}

impl serde::de::Error for Collected {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for FieldCollector<'_> {
    type Error = Collected;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Collected> {
        Err(Collected)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Collected> {
        *self.0 = fields;
        Err(Collected)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_fields_of_a_struct_and_nothing_of_others() {
        #[derive(serde::Deserialize)]
        #[allow(dead_code, reason = "only the names matter")]
        struct Settings {
            first: u8,
            #[serde(rename = "2nd")]
            second: u8,
        }
        assert_eq!(fields_of::<Settings>(), ["first", "2nd"]);
        assert!(fields_of::<String>().is_empty());
    }
}
