//! How policies are read from a config file and checked.

use std::fmt::{self, Debug};
use std::marker::PhantomData;
use std::time::Duration;

use polysight_core::{Error, ErrorKind, Result};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Unexpected, Visitor};

/// Rejects a setting unless `ok`, with an error that names it, its value and the allowed range.
pub(crate) fn require(ok: bool, name: &str, value: impl Debug, allowed: &str) -> Result<()> {
    if ok {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, format!("`{name}` is {value:?}, but must be {allowed}")))
}

/// Reads a duration: a number of seconds, fractions included. For `#[serde(deserialize_with = "..")]`.
///
/// # Errors
/// Anything but a number, a negative one, and one beyond [`Duration::MAX`].
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Seconds)
}

const SECONDS: &str = "a number of seconds, 0 or more";

struct Seconds;

impl Visitor<'_> for Seconds {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SECONDS)
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Duration, E> {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| E::invalid_value(Unexpected::Float(seconds), &SECONDS))
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Duration, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Duration, E> {
        self.visit_f64(seconds as f64)
    }
}

/// Reads an optional layer: `true` for its default policy, `false` for none, or a table of settings. For
/// `#[serde(deserialize_with = "..")]`.
///
/// # Errors
/// Anything else, and what the policy's own settings refuse.
pub fn toggle<'de, D, P>(deserializer: D) -> Result<Option<P>, D::Error>
where
    D: Deserializer<'de>,
    P: Deserialize<'de> + Default,
{
    deserializer.deserialize_any(Toggle(PhantomData))
}

struct Toggle<P>(PhantomData<P>);

impl<'de, P: Deserialize<'de> + Default> Visitor<'de> for Toggle<P> {
    type Value = Option<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or a table of settings")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(on.then(P::default))
    }

    fn visit_map<A: MapAccess<'de>>(self, settings: A) -> Result<Self::Value, A::Error> {
        P::deserialize(MapAccessDeserializer::new(settings)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Times {
        #[serde(deserialize_with = "seconds")]
        delay: Duration,
    }

    #[test]
    fn seconds_may_be_whole_or_have_fractions() {
        let read = |text: &str| serde_json::from_str::<Times>(text);
        assert_eq!(read(r#"{"delay": 0.25}"#).unwrap().delay, Duration::from_millis(250));
        assert_eq!(read(r#"{"delay": 2}"#).unwrap().delay, Duration::from_secs(2));
        for bad in ["-1", "1e300", "\"1\"", "null", "false"] {
            let error = read(&format!(r#"{{"delay": {bad}}}"#)).unwrap_err().to_string();
            assert!(error.contains("expected a number of seconds, 0 or more"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named_with_its_value_and_the_range() {
        assert!(require(true, "x", 1, "1").is_ok());
        let error = require(false, "x", 0, "at least 1").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.message(), "`x` is 0, but must be at least 1");
    }
}
