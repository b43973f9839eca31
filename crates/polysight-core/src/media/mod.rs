//! Pictures and videos: where their bytes are, and what their headers say.
//!
//! Nothing here holds a picture twice. Bytes are shared, a file stays on disk until it is sent, base64 text is kept as
//! it came. What is known without decoding (format, pixel size, byte length, duration) is read once, from the header.

mod base64;
mod file;
mod format;
mod image;
mod name;
mod orientation;
mod probe;
mod source;
mod stored;
mod video;

use std::io::{Read, Seek};

pub use base64::Base64Text;
pub use file::{FileIdentity, MediaFile};
pub use format::{ImageFormat, ImageInfo, VideoFormat, VideoInfo};
pub(crate) use image::Hint;
pub use image::{Detail, Image};
pub use name::redact_name;
pub use orientation::Orientation;
pub(crate) use source::SourceMap;
pub use source::{MediaSource, PlannedMedia, Readable};
pub use video::{Video, VideoSource};

use crate::{Error, ErrorKind, Result};

/// A picture or a video, whichever it turned out to be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Media {
    /// A picture.
    Image(Image),
    /// A video.
    Video(Video),
}

impl Media {
    /// Opens what a person typed: a file path, an `http(s)` URL, a data URI, or bare base64 text. White space around it
    /// does not count.
    ///
    /// A URL is a video when its path ends like one (`.mp4`, `.mov`, `.mkv`, `.webm`, `.avi`, `.flv`, `.wmv`), since nothing
    /// is fetched; everything else when its content says so.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] as for [`Image::from_file`], [`Image::from_url`] and [`Image::from_data_uri`], and
    /// [`ErrorKind::Overloaded`] as for [`MediaFile::open`].
    pub fn open(location: &str) -> Result<Self> {
        let trimmed = trim(location);
        if is_data_uri(trimmed) {
            let text = Base64Text::from_data_uri(trimmed)?;
            let declared_video = text.media_type().is_some_and(|declared| declared.starts_with("video/"));
            return Self::of_text(text, declared_video);
        }
        if trimmed.contains("://") {
            let video =
                url::Url::parse(trimmed).is_ok_and(|url| VideoFormat::from_path(url.path()).is_some());
            return if video {
                Video::from_url(trimmed).map(Self::Video)
            } else {
                Image::from_url(trimmed).map(Self::Image)
            };
        }
        match MediaFile::open_with_handle(location.into()) {
            Ok((file, mut handle)) => {
                let named_video = VideoFormat::from_path(location).is_some();
                Self::read(MediaSource::File(file), &mut handle, named_video)
            }
            Err(_) if name::is_base64_medium(trimmed) => Self::of_text(Base64Text::new(trimmed)?, false),
            Err(_) if trimmed.len() < location.len() => Self::open(trimmed),
            Err(error) => Err(error),
        }
    }

    /// Takes a medium from where its bytes are; its content says whether it is a picture or a video. A URL counts as by
    /// [`open`](Self::open).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] when it is empty, cannot be read, or is neither.
    pub fn from_source(source: MediaSource) -> Result<Self> {
        match source.reader() {
            None => match source.url() {
                Some(url) => Self::open(url.as_str()),
                None => Err(unusable(source.name(), "it is planned and not made yet")),
            },
            Some(reader) => Self::read(source, &mut *reader?, false),
        }
    }

    fn of_text(text: Base64Text, declared_video: bool) -> Result<Self> {
        let mut reader = text.reader();
        Self::read(MediaSource::Base64(text), &mut reader, declared_video)
    }

    /// Decides by content. What the source is called only decides which error unreadable content gets.
    fn read<R: Read + Seek + ?Sized>(
        source: MediaSource,
        reader: &mut R,
        called_video: bool,
    ) -> Result<Self> {
        if probe::looks_like_video(reader) || (called_video && !probe::looks_like_picture(reader)) {
            Video::read(source, reader).map(Self::Video)
        } else {
            Image::read(source, reader).map(Self::Image)
        }
    }
}

/// The scheme of data URIs; upper and lower case are alike.
const DATA: &str = "data:";

fn is_data_uri(text: &str) -> bool {
    let text = trim(text);
    text.get(..DATA.len()).is_some_and(|head| head.eq_ignore_ascii_case(DATA))
}

/// Takes off white space, and the byte order mark that some editors put first.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// Parses an absolute URL that a vendor can be given.
fn parse_url(text: &str) -> Result<url::Url> {
    let refused = |hint: &str| {
        let shown = name::shown(text);
        Error::new(ErrorKind::InvalidMedia, format!("`{shown}` is not a URL that a vendor could fetch{hint}"))
    };
    // `localhost:8080/a.jpg` and `C:\a.jpg` parse, with `localhost` and `c` as their schemes.
    let no_scheme = "; it has no scheme: write https:// in front, or give a file by its path";
    let hint = if text.contains("://") { "" } else { no_scheme };
    let url = url::Url::parse(text).map_err(|error| refused(hint).with_source(error))?;
    if url.scheme() == "file" {
        return Err(refused(": give files by their path"));
    }
    if url.cannot_be_a_base() {
        return Err(refused(hint));
    }
    Ok(url)
}

/// Makes the error of a medium that cannot be used; `name` is its path, or what it was given as.
fn unusable(name: impl AsRef<str>, problem: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::InvalidMedia, format!("{}: {}", name.as_ref(), problem.as_ref()))
}
