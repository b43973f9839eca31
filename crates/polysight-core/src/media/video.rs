//! Videos: files, links, and lists of frames.

use std::io::{Read, Seek};
use std::path::PathBuf;

use bytes::Bytes;

use super::probe;
use super::{
    Base64Text, Hint, Image, ImageInfo, MediaFile, MediaSource, PlannedMedia, SourceMap, VideoInfo,
    is_data_uri, parse_url, unusable,
};
use crate::Result;

/// What a video is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum VideoSource {
    /// One file, buffer or link.
    Whole(MediaSource),
    /// Pictures in the order in which they were taken.
    Frames(Vec<Image>),
}

/// A video: a file, a buffer, a link or a list of frames, and how finely to sample it.
///
/// Cloning is cheap and never copies the video.
#[derive(Debug, Clone)]
pub struct Video {
    pub(super) source: VideoSource,
    pub(super) info: Option<VideoInfo>,
    pub(super) fps: Option<f64>,
    pub(super) max_frames: Option<u32>,
    pub(super) min_pixels: Option<u64>,
    pub(super) max_pixels: Option<u64>,
    pub(super) total_pixels: Option<u64>,
}

impl Video {
    /// A video that the vendor fetches itself. Nothing is fetched here, so its size and duration stay unknown.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the text is no absolute URL.
    pub fn from_url(url: &str) -> Result<Self> {
        if is_data_uri(url) {
            return Self::from_data_uri(url);
        }
        Ok(Self::unprobed(VideoSource::Whole(MediaSource::Url(parse_url(url)?))))
    }

    /// A video in memory. The buffer is shared, not copied.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the buffer is empty or is no video.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self> {
        Self::probed(MediaSource::Bytes(bytes.into()))
    }

    /// A video on disk. Only its headers are read now; the rest when it is sent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when there is no such file, it is a directory, is empty, cannot be
    /// read, or is no video whatever its name says.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self> {
        let (file, mut handle) = MediaFile::open_with_handle(path.into())?;
        Self::read(MediaSource::File(file), &mut handle)
    }

    /// A video as bare base64 text, kept as it is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the text is not base64 or does not hold a video.
    pub fn from_base64(text: impl Into<String>) -> Result<Self> {
        Self::probed(MediaSource::Base64(Base64Text::new(text)?))
    }

    /// A video as a data URI, kept as it is.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the URI is malformed or does not hold a video.
    pub fn from_data_uri(uri: impl Into<String>) -> Result<Self> {
        Self::probed(MediaSource::Base64(Base64Text::from_data_uri(uri)?))
    }

    /// A video as pictures in the order in which they were taken; say by [`with_fps`](Self::with_fps) how many of
    /// them were taken a second.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when there is no frame.
    pub fn from_frames(frames: impl IntoIterator<Item = Image>) -> Result<Self> {
        let frames: Vec<Image> = frames.into_iter().collect();
        if frames.is_empty() {
            return Err(unusable("list of frames", "it is empty"));
        }
        Ok(Self::unprobed(VideoSource::Frames(frames)))
    }

    pub(super) fn probed(source: MediaSource) -> Result<Self> {
        match source.reader() {
            None => Ok(Self::unprobed(VideoSource::Whole(source))),
            Some(reader) => Self::read(source, &mut *reader?),
        }
    }

    /// Reads the header of a source that is open already.
    pub(super) fn read<R: Read + Seek + ?Sized>(source: MediaSource, reader: &mut R) -> Result<Self> {
        if source.byte_len() == Some(0) {
            return Err(unusable(source.name(), "it is empty"));
        }
        let info = probe::video(reader).map_err(|problem| unusable(source.name(), problem.to_string()))?;
        Ok(Self { info: Some(info), ..Self::unprobed(VideoSource::Whole(source)) })
    }

    fn unprobed(source: VideoSource) -> Self {
        Self {
            source,
            info: None,
            fps: None,
            max_frames: None,
            min_pixels: None,
            max_pixels: None,
            total_pixels: None,
        }
    }

    /// Sets how many frames a second the vendor looks at, or, for a list of frames, at which they were taken.
    #[must_use]
    pub fn with_fps(mut self, fps: f64) -> Self {
        self.fps = Some(fps);
        self
    }

    /// Sets the most frames that the vendor looks at.
    #[must_use]
    pub fn with_max_frames(mut self, frames: u32) -> Self {
        self.max_frames = Some(frames);
        self
    }

    /// Sets the fewest pixels that the vendor scales a frame up to.
    #[must_use]
    pub fn with_min_pixels(mut self, pixels: u64) -> Self {
        self.min_pixels = Some(pixels);
        self
    }

    /// Sets the most pixels that the vendor scales a frame down to.
    #[must_use]
    pub fn with_max_pixels(mut self, pixels: u64) -> Self {
        self.max_pixels = Some(pixels);
        self
    }

    /// Sets the most pixels that the vendor looks at in all frames together.
    #[must_use]
    pub fn with_total_pixels(mut self, pixels: u64) -> Self {
        self.total_pixels = Some(pixels);
        self
    }

    /// What the video is made of.
    #[must_use]
    pub fn source(&self) -> &VideoSource {
        &self.source
    }

    /// What the header says; `None` for a URL and for frames.
    #[must_use]
    pub fn info(&self) -> Option<VideoInfo> {
        self.info
    }

    /// The same video from elsewhere: from where its bytes are now, with what their header says. What the caller said of how
    /// finely to sample it is kept; of a URL, and of what is planned, nothing is known.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes) and [`from_file`](Self::from_file).
    pub fn with_source(&self, source: MediaSource) -> Result<Self> {
        let Self { source, info, .. } = Self::probed(source)?;
        Ok(Self { source, info, ..self.clone() })
    }

    /// The same video as frames that are not made yet: so many of the size that `frame` declares.
    #[must_use]
    pub fn planned_frames(&self, media: &PlannedMedia, frame: ImageInfo, count: usize) -> Self {
        let frame = Image::unmade(media.clone(), frame);
        Self { source: VideoSource::Frames(vec![frame; count]), info: None, max_frames: None, ..self.clone() }
    }

    /// The same video as frames.
    ///
    /// # Errors
    /// As [`from_frames`](Self::from_frames).
    pub fn with_frames(&self, frames: impl IntoIterator<Item = Image>) -> Result<Self> {
        let source = Self::from_frames(frames)?.source;
        Ok(Self { source, info: None, max_frames: None, ..self.clone() })
    }

    /// Replaces what is known of the header: for a reader that knows more containers than this crate does.
    #[must_use]
    pub fn with_info(mut self, info: VideoInfo) -> Self {
        self.info = Some(info);
        self
    }

    /// Frames a second, if the caller said so.
    #[must_use]
    pub fn fps(&self) -> Option<f64> {
        self.fps
    }

    /// The caller's limit of frames.
    #[must_use]
    pub fn max_frames(&self) -> Option<u32> {
        self.max_frames
    }

    /// The caller's lower pixel budget for a frame.
    #[must_use]
    pub fn min_pixels(&self) -> Option<u64> {
        self.min_pixels
    }

    /// The caller's upper pixel budget for a frame.
    #[must_use]
    pub fn max_pixels(&self) -> Option<u64> {
        self.max_pixels
    }

    /// The caller's pixel budget for all frames together.
    #[must_use]
    pub fn total_pixels(&self) -> Option<u64> {
        self.total_pixels
    }

    /// Replaces where the bytes are, and keeps what is known of the video.
    pub(crate) fn map_source(&mut self, map: &mut SourceMap<'_>) -> Result<()> {
        match &mut self.source {
            VideoSource::Whole(source) => *source = map(source)?,
            VideoSource::Frames(frames) => frames.iter_mut().try_for_each(|frame| frame.map_source(map))?,
        }
        Ok(())
    }

    /// The frames; none for a video in one piece.
    pub(crate) fn frames(&self) -> &[Image] {
        match &self.source {
            VideoSource::Frames(frames) => frames,
            VideoSource::Whole(_) => &[],
        }
    }

    /// The frames; none for a video in one piece.
    pub(crate) fn frames_mut(&mut self) -> &mut [Image] {
        match &mut self.source {
            VideoSource::Frames(frames) => frames,
            VideoSource::Whole(_) => &mut [],
        }
    }

    /// Replaces one hint, or forgets it where a vendor has none of the kind.
    pub(crate) fn set_hint(&mut self, hint: Hint, value: Option<f64>) {
        let whole = value.map(|value| value as u64);
        match hint {
            Hint::Detail => {}
            Hint::Fps => self.fps = value,
            Hint::MaxFrames => self.max_frames = value.map(|value| value as u32),
            Hint::MinPixels => self.min_pixels = whole,
            Hint::MaxPixels => self.max_pixels = whole,
            Hint::TotalPixels => self.total_pixels = whole,
        }
    }
}
