//! Pictures.

use std::io::{Read, Seek};
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use super::probe;
use super::{
    Base64Text, ImageInfo, MediaFile, MediaSource, PlannedMedia, SourceMap, is_data_uri, parse_url, unusable,
};
use crate::Result;

/// How closely the model should look, where a vendor offers the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Display, IntoStaticStr, Serialize, Deserialize)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
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
/// # use polysight_core as polysight;
/// use polysight::{Image, ImageFormat};
///
/// // The header of a PNG of 2 x 3 pixels is enough.
/// let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";
/// let image = Image::from_bytes(&png[..]).unwrap();
/// let info = image.info().unwrap();
/// assert_eq!((info.format, info.width, info.height), (ImageFormat::Png, 2, 3));
/// ```
#[derive(Debug, Clone)]
pub struct Image {
    pub(super) source: MediaSource,
    pub(super) info: Option<ImageInfo>,
    pub(super) detail: Option<Detail>,
    pub(super) min_pixels: Option<u64>,
    pub(super) max_pixels: Option<u64>,
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
        let (file, mut handle) = MediaFile::open_with_handle(path.into())?;
        Self::read(MediaSource::File(file), &mut handle)
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

    /// A picture that will be made from this one before it is sent; limits are checked on what `info` declares of it. What
    /// the caller said of how to look at the picture is kept.
    #[must_use]
    pub fn planned(&self, media: PlannedMedia, info: ImageInfo) -> Self {
        Self { source: MediaSource::Planned(media), info: Some(info), ..self.clone() }
    }

    /// The same picture from elsewhere: from where its bytes are now, with what their header says. What the caller said of how
    /// to look at the picture is kept; of a URL, and of what is planned, nothing is known.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes) and [`from_file`](Self::from_file).
    pub fn with_source(&self, source: MediaSource) -> Result<Self> {
        let Self { source, info, .. } = Self::probed(source)?;
        Ok(Self { source, info, ..self.clone() })
    }

    /// The picture that was made for a planned one, in its place: its bytes and what their header says.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn made(&self, bytes: impl Into<Bytes>) -> Result<Self> {
        let made = Self::from_bytes(bytes)?;
        Ok(Self { source: made.source, info: made.info, ..self.clone() })
    }

    pub(super) fn probed(source: MediaSource) -> Result<Self> {
        match source.reader() {
            None => Ok(Self::unprobed(source)),
            Some(reader) => Self::read(source, &mut *reader?),
        }
    }

    /// Reads the header of a source that is open already.
    pub(super) fn read<R: Read + Seek + ?Sized>(source: MediaSource, reader: &mut R) -> Result<Self> {
        if source.byte_len() == Some(0) {
            return Err(unusable(source.name(), "it is empty"));
        }
        let info = probe::image(reader).map_err(|problem| unusable(source.name(), problem.to_string()))?;
        Ok(Self { info: Some(info), ..Self::unprobed(source) })
    }

    pub(super) fn unmade(media: PlannedMedia, info: ImageInfo) -> Self {
        Self { info: Some(info), ..Self::unprobed(MediaSource::Planned(media)) }
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

    /// Replaces where the bytes are, and keeps what is known of the picture.
    pub(crate) fn map_source(&mut self, map: &mut SourceMap<'_>) -> Result<()> {
        self.source = map(&self.source)?;
        Ok(())
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
