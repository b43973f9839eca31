//! Durations as a config file gives them: a number of seconds, fractions included.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| D::Error::custom(format!("{seconds} is no number of seconds")))
}

/// The same where nothing is given by leaving it out.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        super::deserialize(deserializer).map(Some)
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
        for bad in ["-1", "1e300", "\"1\"", "null"] {
            assert!(read(&format!(r#"{{"pause": {bad}}}"#)).is_err(), "{bad}");
        }
    }
}
