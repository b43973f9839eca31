//! In which unit a model says where something is in a picture.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// In which unit a model says where something is in a picture: the unit it was trained on. The order is x, y from the top left
/// in all of them.
///
/// A card has it by the model's snapshot, since the next one of the same family may count otherwise.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Display,
    EnumString,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Grounding {
    /// Not known: numbers of an answer are given as they stand.
    #[default]
    Unknown,
    /// Pixels of the picture after the vendor has scaled it.
    ResizedPixels,
    /// Pixels of the picture as it was sent.
    SentPixels,
    /// 0 to 1000 of width and height.
    #[serde(rename = "relative_1000")]
    #[strum(serialize = "relative_1000")]
    Relative1000,
    /// 0 to 999 of width and height.
    #[serde(rename = "relative_999")]
    #[strum(serialize = "relative_999")]
    Relative999,
    /// The model cannot say where something is.
    None,
}

impl Grounding {
    /// Whether the model can say where something is, and in which unit.
    #[must_use]
    pub fn is_known(self) -> bool {
        !matches!(self, Self::Unknown | Self::None)
    }

    /// The number that stands for the whole width or height; `None` where that is not a constant.
    #[must_use]
    pub fn full_scale(self) -> Option<f64> {
        match self {
            Self::Relative1000 => Some(1_000.0),
            Self::Relative999 => Some(999.0),
            Self::Unknown | Self::ResizedPixels | Self::SentPixels | Self::None => None,
        }
    }
}
