//! Pictures.

use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use super::{Base64Text, MediaFile, MediaSource, is_data_uri, parse_url, unusable};
use crate::canonical::Feed;
use crate::{Result, probe};

/// A picture format, told by content and never by a file's name.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ImageInfo {
    /// Format by content.
    pub format: ImageFormat,
    /// Width as stored (before any EXIF rotation), in pixels.
    pub width: u32,
    /// Height as stored (before any EXIF rotation), in pixels.
    pub height: u32,
}

impl ImageInfo {
    /// Describes a picture.
    #[must_use]
    pub fn new(format: ImageFormat, width: u32, height: u32) -> Self {
        Self { format, width, height }
    }

    /// Width times height.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// How closely the model should look, where a vendor offers the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Detail {
    /// The vendor decides.
    Auto,
    /// Fewer tokens.
    Low,
    /// More tokens.
    High,
}

/// What a caller may say about how closely to look at a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Hint {
    Detail,
    Fps,
    MaxFrames,
    MinPixels,
    MaxPixels,
    TotalPixels,
}

/// A picture: where its bytes are, what its header says, and how closely to look.
///
/// Cloning is cheap and never copies the picture.
///
/// ```
/// use polysight_core::{Image, ImageFormat};
///
/// // The header of a PNG of 2 x 3 pixels is enough.
/// let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";
/// let image = Image::from_bytes(&png[..]).unwrap();
/// let info = image.info().unwrap();
/// assert_eq!((info.format, info.width, info.height), (ImageFormat::Png, 2, 3));
/// ```
#[derive(Debug, Clone)]
pub struct Image {
    source: MediaSource,
    info: Option<ImageInfo>,
    detail: Option<Detail>,
    min_pixels: Option<u64>,
    max_pixels: Option<u64>,
}

impl Image {
    /// A picture that the vendor fetches itself. Nothing is fetched here, so its size stays unknown.
    ///
    /// A data URI is taken too, as by [`from_data_uri`](Self::from_data_uri).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the text is no absolute URL, for example without `https://`.
    pub fn from_url(url: &str) -> Result<Self> {
        if is_data_uri(url) {
            return Self::from_data_uri(url);
        }
        Ok(Self::unprobed(MediaSource::Url(parse_url(url)?)))
    }

    /// A picture in memory. The buffer is shared, not copied.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the buffer is empty, is no picture, or its header is cut off.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self> {
        Self::probed(MediaSource::Bytes(bytes.into()))
    }

    /// A picture on disk. Only its header is read now; the rest when it is sent.
    ///
    /// This reads a few kilobytes and may block for as long as the disk takes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when there is no such file, it is a directory, is empty, cannot be
    /// read, is no picture whatever its name says, or its header is cut off.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self> {
        Self::from_media_file(MediaFile::open(path)?)
    }

    pub(crate) fn from_media_file(file: MediaFile) -> Result<Self> {
        Self::probed(MediaSource::File(file))
    }

    /// A picture as bare base64 text, kept as it is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the text is not base64 or does not hold a picture.
    pub fn from_base64(text: impl Into<String>) -> Result<Self> {
        Self::probed(MediaSource::Base64(Base64Text::new(text)?))
    }

    /// A picture as a data URI (`data:image/png;base64,..`), kept as it is. What its content says wins over what the
    /// URI declares.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the URI is malformed or does not hold a picture.
    pub fn from_data_uri(uri: impl Into<String>) -> Result<Self> {
        Self::probed(MediaSource::Base64(Base64Text::from_data_uri(uri)?))
    }

    fn probed(source: MediaSource) -> Result<Self> {
        if source.byte_len() == Some(0) {
            return Err(unusable(source.name(), "it is empty"));
        }
        let info = match source.reader() {
            None => None,
            Some(reader) => Some(
                probe::image(&mut *reader?)
                    .map_err(|problem| unusable(source.name(), problem.to_string()))?,
            ),
        };
        Ok(Self { info, ..Self::unprobed(source) })
    }

    fn unprobed(source: MediaSource) -> Self {
        Self { source, info: None, detail: None, min_pixels: None, max_pixels: None }
    }

    /// Asks for a closer or a cheaper look.
    #[must_use]
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Sets the fewest pixels that the vendor scales the picture up to.
    #[must_use]
    pub fn with_min_pixels(mut self, pixels: u64) -> Self {
        self.min_pixels = Some(pixels);
        self
    }

    /// Sets the most pixels that the vendor scales the picture down to.
    #[must_use]
    pub fn with_max_pixels(mut self, pixels: u64) -> Self {
        self.max_pixels = Some(pixels);
        self
    }

    /// Where the bytes are.
    #[must_use]
    pub fn source(&self) -> &MediaSource {
        &self.source
    }

    /// What the header says; `None` for a URL.
    #[must_use]
    pub fn info(&self) -> Option<ImageInfo> {
        self.info
    }

    /// How closely to look, if the caller said so.
    #[must_use]
    pub fn detail(&self) -> Option<Detail> {
        self.detail
    }

    /// The caller's lower pixel budget.
    #[must_use]
    pub fn min_pixels(&self) -> Option<u64> {
        self.min_pixels
    }

    /// The caller's upper pixel budget.
    #[must_use]
    pub fn max_pixels(&self) -> Option<u64> {
        self.max_pixels
    }

    /// What the header says follows from the content.
    pub(crate) fn canonical(&self, feed: &mut Feed<'_>) {
        let Self { source, info: _, detail, min_pixels, max_pixels } = self;
        feed.media(source);
        feed.option(*detail, |feed, detail| feed.text(detail.into()));
        feed.option(*min_pixels, Feed::number);
        feed.option(*max_pixels, Feed::number);
    }

    /// Replaces one hint, or forgets it where a vendor has none of the kind.
    pub(crate) fn set_hint(&mut self, hint: Hint, value: Option<f64>) {
        match hint {
            Hint::Detail => self.detail = self.detail.filter(|_| value.is_some()),
            Hint::MinPixels => self.min_pixels = value.map(|value| value as u64),
            Hint::MaxPixels => self.max_pixels = value.map(|value| value as u64),
            Hint::Fps | Hint::MaxFrames | Hint::TotalPixels => {}
        }
    }
}
