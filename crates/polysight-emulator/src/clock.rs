//! Wall-clock time in the spellings that replies need.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    let moment = Moment::of(unix_seconds + 8 * 3600);
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second
    )
}

/// `yyyy-mm-ddThh:mm:ssZ`.
pub(crate) fn utc(unix_seconds: u64) -> String {
    let moment = Moment::of(unix_seconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second
    )
}

/// Seconds since the Unix epoch of a time in the form that [`utc`] writes.
pub(crate) fn from_utc(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    // Years from March, as in the other direction.
    let shifted_year = if month > 2 { year } else { year.checked_sub(1)? };
    let shifted_month = (month + 9) % 12;
    let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100 + shifted_year / 400;
    let days = (days + (153 * shifted_month + 2) / 5 + day).checked_sub(719_469)?;
    let seconds = days * 86_400 + number(8, 10)? * 3600 + number(10, 12)? * 60 + number(12, 14)?;
    (utc(seconds) == text).then_some(seconds)
}

/// The form of the `Date` header.
pub(crate) fn http_date(unix_seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let moment = Moment::of(unix_seconds);
    let weekday = usize::try_from((unix_seconds / 86_400) % 7).unwrap_or_default();
    let month = usize::try_from(moment.month).unwrap_or(1).saturating_sub(1);
    format!(
        "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
        DAYS.get(weekday).unwrap_or(&"Thu"),
        moment.day,
        MONTHS.get(month).unwrap_or(&"Jan"),
        moment.year,
        moment.hour,
        moment.minute,
        moment.second
    )
}

struct Moment {
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Moment {
    /// Gregorian date by counting years from March, so that the leap day is the last day of the year.
    fn of(unix_seconds: u64) -> Self {
        let (days, rest) = (unix_seconds / 86_400 + 719_468, unix_seconds % 86_400);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest % 3600 / 60,
            second: rest % 60,
        }
    }
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
