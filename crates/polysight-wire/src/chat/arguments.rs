//! The arguments of a tool call, whose JSON text servers cut anywhere.

use std::fmt;

use polysight_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::Visitor;
use serde_json::value::RawValue;

use crate::json::half_of;

/// A piece of the JSON text of a call's arguments, which may begin or end with half of a surrogate pair.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// UTF-8, in which a lone surrogate stands as three bytes.
    bytes: Vec<u8>,
}

impl Arguments {
    /// Reads a field that holds the text as a JSON string, as the vendors send it, or the JSON itself, as one schema says;
    /// empty for null and for nothing.
    #[must_use]
    pub fn of(raw: Option<&RawValue>) -> Self {
        let raw = raw.map(RawValue::get).filter(|raw| *raw != "null").unwrap_or_default();
        let bytes = match serde_json::from_str::<StringBytes>(raw) {
            Ok(text) => text.0,
            Err(_) => raw.into(),
        };
        Self { bytes }
    }

    /// The text with the halves that [`LoneHalves::Keep`](crate::json::LoneHalves) left in it as what they are.
    #[must_use]
    pub fn with_kept_halves(self) -> Self {
        let Ok(text) = std::str::from_utf8(&self.bytes) else { return self };
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for c in text.chars() {
            match half_of(c) {
                Some(half) => {
                    bytes.extend([0xED, 0x80 | (half >> 6 & 0x3F) as u8, 0x80 | (half & 0x3F) as u8])
                }
                None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Self { bytes }
    }

    /// The bytes of the text, a lone surrogate as three.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text of a call that came whole.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] for half of a surrogate pair.
    pub fn into_text(self) -> Result<String> {
        let mut joiner = SurrogateJoiner::default();
        let text = joiner.push(&self)?;
        joiner.end()?;
        Ok(text)
    }
}

impl From<String> for Arguments {
    fn from(text: String) -> Self {
        Self { bytes: text.into_bytes() }
    }
}

/// The bytes of a JSON string, lone surrogates included.
struct StringBytes(Vec<u8>);

impl<'de> Deserialize<'de> for StringBytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = StringBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(StringBytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Joins the halves of surrogate pairs that were cut between two pieces of one call.
#[derive(Debug, Default)]
pub(super) struct SurrogateJoiner {
    first_half: Option<u16>,
}

impl SurrogateJoiner {
    /// The text of the next piece, and of the half before it.
    pub(super) fn push(&mut self, piece: &Arguments) -> Result<String> {
        let mut text = String::with_capacity(piece.bytes.len());
        let mut rest = piece.bytes.as_slice();
        while !rest.is_empty() {
            let end = std::str::from_utf8(rest).map_or_else(|error| error.valid_up_to(), str::len);
            let (valid, after) = rest.split_at(end);
            if !valid.is_empty() {
                self.end()?;
                text.push_str(std::str::from_utf8(valid).unwrap_or_default());
            }
            rest = match after {
                [] => after,
                [0xED, second @ 0xA0..=0xBF, third, after @ ..] => {
                    self.push_half(
                        0xD000 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F),
                        &mut text,
                    )?;
                    after
                }
                _ => return Err(half_a_character()),
            };
        }
        Ok(text)
    }

    fn push_half(&mut self, half: u16, text: &mut String) -> Result<()> {
        match (self.first_half.take(), half) {
            (None, 0xD800..=0xDBFF) => self.first_half = Some(half),
            (None, _) => return Err(half_a_character()),
            (Some(first), _) => {
                let pair = char::decode_utf16([first, half]).next();
                text.push(pair.and_then(|pair| pair.ok()).ok_or_else(half_a_character)?);
            }
        }
        Ok(())
    }

    /// Refuses a half that nothing joins.
    pub(super) fn end(&self) -> Result<()> {
        if self.first_half.is_some() { Err(half_a_character()) } else { Ok(()) }
    }
}

fn half_a_character() -> Error {
    Error::new(ErrorKind::Protocol, "the arguments of a tool call hold half of a surrogate pair")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[&str]) -> Result<String> {
        let mut joiner = SurrogateJoiner::default();
        let mut text = String::new();
        for piece in pieces {
            let raw: Box<RawValue> = serde_json::from_str(piece).unwrap();
            text += &joiner.push(&Arguments::of(Some(&raw)))?;
        }
        joiner.end().map(|()| text)
    }

    #[test]
    fn halves_of_a_pair_are_joined_over_pieces() {
        for (pieces, text) in [
            (&[r#""a\ud83d\ude3ab""#][..], "a😺b"),
            (&[r#""a\ud83d""#, r#""\ude3ab""#], "a😺b"),
            (&[r#""\uD83D""#, r#""""#, "null", r#""\uDE3A""#], "😺"),
            (&[r#""\ud83d\ude3a\ud83d""#, r#""\ude3b""#], "😺😻"),
            (&[r#""\udbff""#, r#""\udfff""#], "\u{10ffff}"),
            (&[r#""{\"t\":\"\\ud83d""#, r#""\\ude3a\"}""#], r#"{"t":"\ud83d\ude3a"}"#),
            (&[r#"{"t": "\ud83d"}"#], r#"{"t": "\ud83d"}"#),
            (&["[1]"], "[1]"),
        ] {
            assert_eq!(joined(pieces).unwrap(), text, "{pieces:?}");
        }
    }

    #[test]
    fn a_half_that_nothing_joins_is_an_error() {
        for pieces in [
            &[r#""a\ud83d""#][..],
            &[r#""\ud83d""#, r#""b""#],
            &[r#""\ude3a""#],
            &[r#""\ude3a\ud83d""#],
            &[r#""\ud83d\ud83d\ude3a""#],
            &[r#""\ud83d""#, r#""\ud83d\ude3a""#],
        ] {
            assert_eq!(joined(pieces).unwrap_err().kind(), ErrorKind::Protocol, "{pieces:?}");
        }
    }
}
