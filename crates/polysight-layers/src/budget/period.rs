//! Which minute, hour, day or month a moment belongs to, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// For how long a budget holds before it begins anew. All are calendar units in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum BudgetPeriod {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day, from midnight UTC.
    Day,
    /// A month, from midnight UTC of its first day.
    Month,
    /// For good: it never begins anew.
    Total,
}

/// One minute, hour, day or month of a budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BudgetWindow {
    /// Its name: `2026-11`, `2026-11-27`, `2026-11-27T09`, `2026-11-27T09:30`, or `total`.
    pub name: String,
    /// Its end, in seconds since 1970; `None` for one that does not end.
    pub ends: Option<u64>,
}

impl BudgetPeriod {
    /// The window that a moment, in seconds since 1970, belongs to.
    pub(super) fn window(self, now: u64) -> BudgetWindow {
        let (name, ends) = match self {
            Self::Minute => (text(now, 16), Some(next(now, MINUTE))),
            Self::Hour => (text(now, 13), Some(next(now, HOUR))),
            Self::Day => (text(now, 10), Some(next(now, DAY))),
            Self::Month => (text(now, 7), Some(month_end(now))),
            Self::Total => ("total".to_owned(), None),
        };
        BudgetWindow { name, ends }
    }
}

fn next(now: u64, unit: u64) -> u64 {
    (now / unit + 1) * unit
}

/// Seconds since 1970 of a moment; a clock before that is at 0.
pub(super) fn seconds_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// The day that a moment belongs to, as `2026-11-27`.
pub(super) fn day_of(now: u64) -> String {
    text(now, 10)
}

/// A moment as `2026-11-27T09:30:00Z`.
pub(super) fn moment(now: u64) -> String {
    text(now, 19) + "Z"
}

/// The first letters of a moment in ISO 8601.
fn text(now: u64, letters: usize) -> String {
    let (year, month, day) = date(now);
    let (hour, minute, second) = (now % DAY / HOUR, now % HOUR / MINUTE, now % MINUTE);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    text.truncate(letters);
    text
}

fn month_end(now: u64) -> u64 {
    let mut end = next(now, DAY);
    // A month has at most 31 days.
    while date(end).1 == date(now).1 {
        end += DAY;
    }
    end
}

/// Year, month and day in the Gregorian calendar, counted in eras of 400 years that begin in March, so that the leap day is
/// a year's last.
fn date(now: u64) -> (u64, u64, u64) {
    const DAYS_OF_ERA: u64 = 146_097;
    const DAYS_BEFORE_1970: u64 = 719_468;
    let days = now / DAY + DAYS_BEFORE_1970;
    let (era, day) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_their_dates_and_windows_their_ends() {
        // Seconds as GNU date gives them.
        for (now, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_772_700, "2026-11-27T09:45:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(moment(now), expected);
        }
        let now = 1_795_772_700;
        let window = |period: BudgetPeriod| period.window(now);
        let ends = |period| window(period).ends.map(moment).unwrap_or_default();
        assert_eq!(window(BudgetPeriod::Minute).name, "2026-11-27T09:45");
        assert_eq!(ends(BudgetPeriod::Minute), "2026-11-27T09:46:00Z");
        assert_eq!(window(BudgetPeriod::Hour).name, "2026-11-27T09");
        assert_eq!(ends(BudgetPeriod::Hour), "2026-11-27T10:00:00Z");
        assert_eq!(window(BudgetPeriod::Day).name, "2026-11-27");
        assert_eq!(ends(BudgetPeriod::Day), "2026-11-28T00:00:00Z");
        assert_eq!(window(BudgetPeriod::Month).name, "2026-11");
        assert_eq!(ends(BudgetPeriod::Month), "2026-12-01T00:00:00Z");
        assert_eq!(window(BudgetPeriod::Total), BudgetWindow { name: "total".to_owned(), ends: None });
    }

    #[test]
    fn a_month_ends_with_its_last_day_whatever_its_length() {
        for (now, end) in [(951_782_399, "2000-03-01T00:00:00Z"), (1_798_675_200, "2027-01-01T00:00:00Z")] {
            assert_eq!(BudgetPeriod::Month.window(now).ends.map(moment).as_deref(), Some(end));
        }
    }
}
