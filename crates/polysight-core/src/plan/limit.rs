//! The limit that a request breaks, as numbers.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use crate::Interval;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr, Serialize, Deserialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantity {
    /// Bytes of a picture or video itself.
    Bytes,
    /// Bytes of a picture or video as base64, its data-URI prefix included.
    Base64Bytes,
    /// Bytes of a URL.
    UrlBytes,
    /// The longer side of a picture, in pixels.
    LongSide,
    /// The shorter side of a picture, in pixels.
    ShortSide,
    /// Width times height, in pixels.
    Pixels,
    /// The longer side of a picture divided by the shorter one.
    Aspect,
    /// Pictures in a request.
    Images,
    /// Pictures in a request that stand inside it.
    InlineImages,
    /// Videos in a request.
    Videos,
    /// Frames of a video.
    Frames,
    /// Playing time of a video, in seconds.
    Seconds,
    /// Tokens of the answer.
    Tokens,
    /// Another number, which the path of the violation names: a temperature, a count.
    Number,
}

/// A limit that a request breaks, as numbers: what a program needs to mend the request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limit {
    /// What is counted.
    pub of: Quantity,
    /// The smallest value that would be taken; `None`: no lower limit. Where the limit itself is not taken, as in `(0, 1]`,
    /// it still stands here: the text of the violation has the brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The largest value that would be taken, in the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// What the request has.
    pub actual: f64,
}

impl Limit {
    /// A limit that is exceeded.
    #[must_use]
    pub fn at_most(of: Quantity, limit: f64, actual: f64) -> Self {
        Self { of, at_least: None, at_most: Some(limit), actual }
    }

    /// A limit that is not reached.
    #[must_use]
    pub fn at_least(of: Quantity, limit: f64, actual: f64) -> Self {
        Self { of, at_least: Some(limit), at_most: None, actual }
    }

    /// A range that is missed.
    #[must_use]
    pub fn within(of: Quantity, range: Interval, actual: f64) -> Self {
        let value = |end: Option<crate::interval::End>| end.map(crate::interval::End::value);
        Self { of, at_least: value(range.low()), at_most: value(range.high()), actual }
    }
}
