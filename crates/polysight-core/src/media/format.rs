//! Formats of pictures and videos, and what their headers say.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use super::Orientation;

/// A picture format, recognised by content, never by a file's name.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "UPPERCASE")]
#[non_exhaustive]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    #[strum(serialize = "WebP")]
    WebP,
    /// GIF.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF.
    Tiff,
    /// HEIC (HEVC in HEIF).
    Heic,
    /// AVIF.
    Avif,
}

impl ImageFormat {
    /// The media type, such as `image/jpeg`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Heic => "image/heic",
            Self::Avif => "image/avif",
        }
    }
}

/// What a picture's header says.
///
/// Width and height are those of the stored picture, which is what is sent and what limits of vendors are checked on; how
/// it is shown is a matter of [`orientation`](Self::orientation) and [`shown`](Self::shown). This holds for all formats:
/// `irot` and `imir` of HEIC and AVIF count as EXIF does. What HEIC and AVIF crop away (`clap`) is no part of the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ImageInfo {
    /// Format by content.
    pub format: ImageFormat,
    /// Width as stored, in pixels.
    pub width: u32,
    /// Height as stored, in pixels.
    pub height: u32,
    /// How the stored picture is to be turned for showing; upright where the header does not say.
    pub orientation: Orientation,
}

impl ImageInfo {
    /// Describes a picture that is stored upright.
    #[must_use]
    pub fn new(format: ImageFormat, width: u32, height: u32) -> Self {
        Self { format, width, height, orientation: Orientation::Upright }
    }

    /// Says how the stored picture is to be turned.
    #[must_use]
    pub fn with_orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// Width and height as shown, in pixels.
    #[must_use]
    pub fn shown(self) -> (u32, u32) {
        self.orientation.oriented(self.width, self.height)
    }

    /// Width times height.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// A video container, recognised by content.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumIter, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "UPPERCASE")]
#[non_exhaustive]
pub enum VideoFormat {
    /// MPEG-4 part 14.
    Mp4,
    /// QuickTime.
    Mov,
    /// Matroska.
    Mkv,
    /// WebM.
    #[strum(serialize = "WebM")]
    WebM,
    /// AVI.
    Avi,
    /// Flash video.
    Flv,
    /// Windows media.
    Wmv,
}

impl VideoFormat {
    /// The media type, such as `video/mp4`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Mov => "video/quicktime",
            Self::Mkv => "video/x-matroska",
            Self::WebM => "video/webm",
            Self::Avi => "video/x-msvideo",
            Self::Flv => "video/x-flv",
            Self::Wmv => "video/x-ms-wmv",
        }
    }

    /// The format that the ending of a path stands for.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "mp4" | "m4v" => Some(Self::Mp4),
            "mov" => Some(Self::Mov),
            "mkv" => Some(Self::Mkv),
            "webm" => Some(Self::WebM),
            "avi" => Some(Self::Avi),
            "flv" => Some(Self::Flv),
            "wmv" => Some(Self::Wmv),
            _ => None,
        }
    }
}

/// What a video's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct VideoInfo {
    /// Container by content.
    pub format: VideoFormat,
    /// Playing time; read from MP4 and MOV only. Unknown too where a file of fragments does not say it at its start.
    pub duration: Option<Duration>,
    /// Width of the picture's track before it is turned, in pixels; read from MP4 and MOV only.
    pub width: Option<u32>,
    /// Height of the picture's track before it is turned, in pixels; read from MP4 and MOV only.
    pub height: Option<u32>,
    /// How frames are to be turned for showing; upright where the header does not say. Read from MP4 and MOV only.
    pub orientation: Orientation,
}

impl VideoInfo {
    /// Describes a video of which only the container is known.
    #[must_use]
    pub fn new(format: VideoFormat) -> Self {
        Self { format, duration: None, width: None, height: None, orientation: Orientation::Upright }
    }

    /// Width and height as shown, in pixels, where they are known.
    #[must_use]
    pub fn shown(self) -> Option<(u32, u32)> {
        Some(self.orientation.oriented(self.width?, self.height?))
    }
}
