//! Durations as a config file gives them: a number of seconds, fractions included.

use std::time::Duration;

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(Always)
}

/// The same for a time that may be unlimited: `false` says so.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        deserializer.deserialize_any(Sometimes)
    }
}

const WANTED: &str = "a number of seconds, 0 or more";

fn of<E: Error>(seconds: f64) -> Result<Duration, E> {
    Duration::try_from_secs_f64(seconds).map_err(|_| E::invalid_value(Unexpected::Float(seconds), &WANTED))
}

struct Always;

impl Visitor<'_> for Always {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WANTED)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Duration, E> {
        of(seconds)
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Duration, E> {
        of(seconds as f64)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Duration, E> {
        of(seconds as f64)
    }
}

struct Sometimes;

impl Visitor<'_> for Sometimes {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WANTED}, or false for no limit")
    }

    fn visit_bool<E: Error>(self, limited: bool) -> Result<Self::Value, E> {
        if limited { Err(E::invalid_type(Unexpected::Bool(true), &self)) } else { Ok(None) }
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Self::Value, E> {
        of(seconds).map(Some)
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Self::Value, E> {
        of(seconds as f64).map(Some)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Self::Value, E> {
        of(seconds as f64).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    #[serde(default)]
    struct Times {
        #[serde(with = "crate::seconds")]
        pause: Duration,
        #[serde(with = "crate::seconds::optional")]
        total: Option<Duration>,
    }

    impl Default for Times {
        fn default() -> Self {
            Self { pause: Duration::from_secs(1), total: None }
        }
    }

    #[test]
    fn seconds_may_be_whole_or_have_fractions() {
        let read = |text: &str| serde_json::from_str::<Times>(text);
        let times = |pause, total| Times { pause: Duration::from_millis(pause), total };
        assert_eq!(read("{}").unwrap(), times(1_000, None));
        assert_eq!(read(r#"{"pause": 0.25}"#).unwrap(), times(250, None));
        assert_eq!(read(r#"{"total": 2}"#).unwrap(), times(1_000, Some(Duration::from_secs(2))));
        for bad in ["-1", "1e300", "\"1\"", "null", "false"] {
            let told = read(&format!(r#"{{"pause": {bad}}}"#)).unwrap_err().to_string();
            assert!(told.contains("expected a number of seconds, 0 or more"), "{bad}: {told}");
        }
    }

    #[test]
    fn a_time_that_is_limited_by_default_can_be_unlimited() {
        let read = |text: &str| serde_json::from_str::<crate::PacePolicy>(text);
        assert!(crate::PacePolicy::default().idle.is_some());
        assert_eq!(read(r#"{"idle": false}"#).unwrap().idle, None);
        let told = read(r#"{"idle": true}"#).unwrap_err().to_string();
        assert!(told.contains("or false for no limit"), "{told}");
    }
}
