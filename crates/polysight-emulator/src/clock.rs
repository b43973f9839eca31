//! Wall-clock time in the spellings that replies need.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Last second of the year 9999, the last that RFC 3339 can name.
const LAST_SECOND: u64 = 253_402_300_799;

/// Time since the Unix epoch; zero on a clock set before it.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Milliseconds since the Unix epoch.
pub(crate) fn unix_millis() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// `yyyymmddHHMMSS` in Beijing time (UTC+8, no summer time), as response ids begin.
pub(crate) fn beijing_stamp(unix_seconds: u64) -> String {
    utc(unix_seconds.saturating_add(8 * 3600)).chars().filter(char::is_ascii_digit).collect()
}

/// `yyyy-mm-ddThh:mm:ssZ`.
pub(crate) fn utc(unix_seconds: u64) -> String {
    humantime::format_rfc3339_seconds(moment(unix_seconds)).to_string()
}

/// Seconds since the Unix epoch of a time in the form that [`utc`] writes.
pub(crate) fn from_utc(text: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339(text).ok()?;
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    (utc(seconds) == text).then_some(seconds)
}

/// The form of the `Date` header.
pub(crate) fn http_date(unix_seconds: u64) -> String {
    httpdate::fmt_http_date(moment(unix_seconds))
}

fn moment(unix_seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(unix_seconds.min(LAST_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_beijing_time_across_a_date_line() {
        assert_eq!(beijing_stamp(1_791_482_096), "20261009015456");
        assert_eq!(beijing_stamp(1_709_164_800 + 16 * 3600), "20240301000000");
    }

    #[test]
    fn reads_the_times_that_it_writes() {
        for seconds in [0, 951_782_400, 1_709_164_800, 1_760_000_000, 1_791_482_096, 4_102_444_799] {
            assert_eq!(from_utc(&utc(seconds)), Some(seconds));
        }
        assert_eq!(from_utc("2025-10-09T08:53:20Z"), Some(1_760_000_000));
        for text in ["", "2025-10-09 08:53:20Z", "2025-02-30T00:00:00Z", "2025-13-01T00:00:00Z"] {
            assert_eq!(from_utc(text), None, "{text}");
        }
    }

    #[test]
    fn spells_the_date_header() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 GMT");
    }
}
