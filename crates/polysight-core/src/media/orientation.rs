//! How a picture is to be turned before it is shown.

use serde::{Deserialize, Serialize};

/// How a stored picture is to be turned for showing, by the names of the EXIF tag of that name (EXIF 2.32, 4.6.5).
///
/// Cameras store pictures as the sensor lies and say in the header how they were held. One rule holds for all formats: EXIF
/// in JPEG, PNG, WebP and TIFF, the properties `irot` and `imir` of HEIC and AVIF, and the matrix of a track of MP4 and
/// MOV all come out as this, and sizes are those of the stored picture; see [`oriented`](Self::oriented).
///
/// ```
/// use polysight_core::media::Orientation;
///
/// let orientation = Orientation::from_exif(6).unwrap();
/// assert_eq!(orientation, Orientation::Rotated90);
/// assert_eq!(orientation.oriented(4_032, 3_024), (3_024, 4_032));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[allow(clippy::exhaustive_enums, reason = "there are eight ways to lay a rectangle")]
pub enum Orientation {
    /// As it is (EXIF 1).
    #[default]
    Upright = 1,
    /// Left and right change places (EXIF 2).
    Mirrored = 2,
    /// Half a turn (EXIF 3).
    Rotated180 = 3,
    /// Top and bottom change places (EXIF 4).
    Flipped = 4,
    /// Rows become columns: mirrored along the diagonal from the top left (EXIF 5).
    Transposed = 5,
    /// A quarter turn clockwise (EXIF 6).
    Rotated90 = 6,
    /// Mirrored along the diagonal from the top right (EXIF 7).
    Transversed = 7,
    /// A quarter turn counter-clockwise (EXIF 8).
    Rotated270 = 8,
}

impl Orientation {
    /// The orientation of an EXIF value, 1 to 8; `None` for other values.
    #[must_use]
    pub fn from_exif(value: u32) -> Option<Self> {
        Some(match value {
            1 => Self::Upright,
            2 => Self::Mirrored,
            3 => Self::Rotated180,
            4 => Self::Flipped,
            5 => Self::Transposed,
            6 => Self::Rotated90,
            7 => Self::Transversed,
            8 => Self::Rotated270,
            _ => return None,
        })
    }

    /// The EXIF value, 1 to 8.
    #[must_use]
    pub fn exif(self) -> u8 {
        self as u8
    }

    /// True when width and height change places.
    #[must_use]
    pub fn swaps_sides(self) -> bool {
        self.exif() >= 5
    }

    /// Width and height as shown, of width and height as stored, or the other way round.
    #[must_use]
    pub fn oriented(self, width: u32, height: u32) -> (u32, u32) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// This orientation, then so many quarter turns clockwise.
    pub(crate) fn then_turned(self, turns: u8) -> Self {
        let (mirrored, already) = self.parts();
        Self::of(mirrored, already + turns)
    }

    /// This orientation, then left and right change places.
    pub(crate) fn then_mirrored(self) -> Self {
        let (mirrored, turns) = self.parts();
        Self::of(!mirrored, 4 - turns)
    }

    /// Whether left and right change places first, and how many quarter turns clockwise follow.
    fn parts(self) -> (bool, u8) {
        match self {
            Self::Upright => (false, 0),
            Self::Rotated90 => (false, 1),
            Self::Rotated180 => (false, 2),
            Self::Rotated270 => (false, 3),
            Self::Mirrored => (true, 0),
            Self::Transversed => (true, 1),
            Self::Flipped => (true, 2),
            Self::Transposed => (true, 3),
        }
    }

    fn of(mirrored: bool, turns: u8) -> Self {
        match (mirrored, turns % 4) {
            (false, 0) => Self::Upright,
            (false, 1) => Self::Rotated90,
            (false, 2) => Self::Rotated180,
            (false, _) => Self::Rotated270,
            (true, 0) => Self::Mirrored,
            (true, 1) => Self::Transversed,
            (true, 2) => Self::Flipped,
            (true, _) => Self::Transposed,
        }
    }
}

impl From<Orientation> for u8 {
    fn from(orientation: Orientation) -> Self {
        orientation.exif()
    }
}

impl TryFrom<u8> for Orientation {
    type Error = String;

    fn try_from(exif: u8) -> Result<Self, String> {
        Self::from_exif(exif.into()).ok_or_else(|| format!("{exif} is no EXIF orientation: 1 to 8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a corner of a square goes.
    fn moved(orientation: Orientation, (x, y): (i8, i8)) -> (i8, i8) {
        match orientation {
            Orientation::Upright => (x, y),
            Orientation::Mirrored => (-x, y),
            Orientation::Rotated180 => (-x, -y),
            Orientation::Flipped => (x, -y),
            Orientation::Transposed => (y, x),
            Orientation::Rotated90 => (-y, x),
            Orientation::Transversed => (-y, -x),
            Orientation::Rotated270 => (y, -x),
        }
    }

    #[test]
    fn turns_and_mirrors_add_up_as_geometry_does() {
        let corner = (1, 2);
        for value in 1..=8 {
            let first = Orientation::from_exif(value).unwrap();
            assert_eq!(u32::from(first.exif()), value);
            let once = moved(first, corner);
            let mirrored = first.then_mirrored();
            assert_eq!(moved(mirrored, corner), moved(Orientation::Mirrored, once), "{first:?}");
            let quarter = first.then_turned(1);
            assert_eq!(moved(quarter, corner), moved(Orientation::Rotated90, once), "{first:?}");
            assert_ne!(quarter.swaps_sides(), first.swaps_sides());
            assert_eq!(first.then_turned(4), first);
        }
        assert_eq!(Orientation::from_exif(0), None);
        assert_eq!(Orientation::from_exif(9), None);
    }
}
