//! How policies are read from a config file.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Reads a number of seconds, fractions included.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| D::Error::custom("expected a number of seconds above 0"))
}
