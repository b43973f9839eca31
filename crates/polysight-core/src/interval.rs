//! Intervals with open and closed ends, as vendors write them: `[0, 1]`, `(0, 1]`, `[0, 2)`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One end of an [`Interval`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    /// The value itself belongs to the interval.
    Closed(f64),
    /// The value itself does not belong to the interval.
    Open(f64),
}

impl End {
    /// The value at this end, whether or not it belongs to the interval.
    #[must_use]
    pub fn value(self) -> f64 {
        match self {
            Self::Closed(value) | Self::Open(value) => value,
        }
    }
}

/// A range of numbers with open or closed ends; an end left out is unbounded (`[1,]`).
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::Interval;
///
/// let temperature: Interval = "[0, 2)".parse().unwrap();
/// assert!(temperature.contains(0.0) && !temperature.contains(2.0));
/// assert_eq!(temperature.clamp(7.0, 0.01), 1.99);
/// assert_eq!(temperature.to_string(), "[0, 2)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    low: Option<End>,
    high: Option<End>,
}

impl Interval {
    /// The interval from `low` to `high`, both of which belong to it.
    #[must_use]
    pub const fn closed(low: f64, high: f64) -> Self {
        Self { low: Some(End::Closed(low)), high: Some(End::Closed(high)) }
    }

    /// The interval from `low`, which belongs to it, to infinity.
    #[must_use]
    pub const fn at_least(low: f64) -> Self {
        Self { low: Some(End::Closed(low)), high: None }
    }

    /// The lower end, if there is one.
    #[must_use]
    pub fn low(&self) -> Option<End> {
        self.low
    }

    /// The upper end, if there is one.
    #[must_use]
    pub fn high(&self) -> Option<End> {
        self.high
    }

    /// Says whether `value` lies in the interval. NaN and infinities never do.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        let above = match self.low {
            None => true,
            Some(End::Closed(low)) => value >= low,
            Some(End::Open(low)) => value > low,
        };
        let below = match self.high {
            None => true,
            Some(End::Closed(high)) => value <= high,
            Some(End::Open(high)) => value < high,
        };
        value.is_finite() && above && below
    }

    /// The nearest value inside; an open end is approached to within `step`, or to the middle of an interval that is
    /// narrower.
    ///
    /// What is no number becomes the lower end, or the upper one of an interval that has no other.
    #[must_use]
    pub fn clamp(&self, value: f64, step: f64) -> f64 {
        if self.contains(value) {
            return value;
        }
        let lowest = self.low.map(|end| match end {
            End::Closed(low) => low,
            End::Open(low) => low + step,
        });
        let highest = self.high.map(|end| match end {
            End::Closed(high) => high,
            End::Open(high) => high - step,
        });
        let nearest = match (lowest, highest) {
            (Some(_), Some(high)) if self.high.is_some_and(|end| value >= end.value()) => high,
            (Some(low), _) => low,
            (None, Some(high)) => high,
            (None, None) => 0.0,
        };
        match (self.low, self.high) {
            (Some(low), Some(high)) if !self.contains(nearest) => f64::midpoint(low.value(), high.value()),
            _ => nearest,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.low {
            Some(End::Closed(low)) => write!(f, "[{low}, ")?,
            Some(End::Open(low)) => write!(f, "({low}, ")?,
            None => f.write_str("(, ")?,
        }
        match self.high {
            Some(End::Closed(high)) => write!(f, "{high}]"),
            Some(End::Open(high)) => write!(f, "{high})"),
            None => f.write_str(")"),
        }
    }
}

/// Says why a text is no interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIntervalError {
    text: String,
    problem: &'static str,
}

impl fmt::Display for ParseIntervalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no interval such as `[0, 1]` or `(0, 2)`: {}", self.text, self.problem)
    }
}

impl std::error::Error for ParseIntervalError {}

impl FromStr for Interval {
    type Err = ParseIntervalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |problem| ParseIntervalError { text: text.chars().take(40).collect(), problem };
        let trimmed = text.trim();
        let (low_open, rest) = match (trimmed.strip_prefix('['), trimmed.strip_prefix('(')) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(fail("it starts with neither [ nor (")),
        };
        let (high_open, inner) = match (rest.strip_suffix(']'), rest.strip_suffix(')')) {
            (Some(inner), _) => (false, inner),
            (_, Some(inner)) => (true, inner),
            _ => return Err(fail("it ends with neither ] nor )")),
        };
        let (low, high) = inner.split_once(',').ok_or_else(|| fail("there is no comma"))?;
        let end = |text: &str, open: bool| -> Result<Option<End>, ParseIntervalError> {
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            let value: f64 = text.parse().map_err(|_| fail("an end is not a number"))?;
            if !value.is_finite() {
                return Err(fail("an end is not a finite number"));
            }
            Ok(Some(if open { End::Open(value) } else { End::Closed(value) }))
        };
        let (low, high) = (end(low, low_open)?, end(high, high_open)?);
        if let (Some(low), Some(high)) = (low, high) {
            let point =
                low.value() == high.value() && matches!((low, high), (End::Closed(_), End::Closed(_)));
            if low.value() >= high.value() && !point {
                return Err(fail("it holds no number"));
            }
        }
        Ok(Self { low, high })
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(text: &str) -> Interval {
        text.parse().unwrap()
    }

    #[test]
    fn open_ends_do_not_belong_to_the_interval() {
        assert!(!interval("(0, 1]").contains(0.0));
        assert!(interval("(0, 1]").contains(1.0));
        assert!(!interval("[0, 2)").contains(2.0));
        assert!(interval("[1,]").contains(1e9));
        assert!(!interval("[0, 1]").contains(f64::NAN));
        assert!(!interval("[0,]").contains(f64::INFINITY));
    }

    #[test]
    fn clamps_to_the_nearest_value_inside() {
        assert_eq!(interval("(0, 1]").clamp(0.0, 0.01), 0.01);
        assert_eq!(interval("(0, 1]").clamp(-3.0, 0.01), 0.01);
        assert_eq!(interval("[0, 1]").clamp(1.5, 0.01), 1.0);
        assert_eq!(interval("[0, 2)").clamp(2.0, 0.5), 1.5);
        assert_eq!(interval("[0, 1]").clamp(0.3, 0.01), 0.3);
        assert_eq!(interval("[0, 1]").clamp(f64::NAN, 0.01), 0.0);
        assert_eq!(interval("(,5]").clamp(f64::NAN, 0.01), 5.0);
    }

    #[test]
    fn reads_what_it_writes() {
        for text in ["[0, 1]", "(0, 1]", "[0, 2)", "(0.01, 0.99)", "[1, )", "(, 5]"] {
            assert_eq!(interval(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_interval() {
        for text in ["", "0,1", "[0;1]", "[a,1]", "[1,0]", "(1,1]", "[0,inf]", "[0,1", "[nan,1]"] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
        assert!("[1,1]".parse::<Interval>().is_ok());
    }

    #[test]
    fn clamps_into_every_interval_whatever_the_step() {
        for text in [
            "[0, 1]",
            "(0, 1)",
            "(0, 0.001)",
            "[0, 0.001)",
            "(0, 0.001]",
            "[5, 5]",
            "(1,)",
            "(,1)",
            "(,)",
            "[-2, 2]",
        ] {
            let range = interval(text);
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, -0.0, 0.5, 1.0, 5.0]
            {
                for step in [1.0, 0.01, 1e-9] {
                    let nearest = range.clamp(value, step);
                    assert!(range.contains(nearest), "{value} in {text} by {step} is {nearest}");
                }
            }
        }
        assert_eq!(interval("(0, 0.005)").clamp(1.0, 0.01), 0.0025);
    }
}
