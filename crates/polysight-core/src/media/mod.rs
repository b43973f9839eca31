//! Pictures and videos: where their bytes are, and what their headers say.
//!
//! Nothing here holds a picture twice. Bytes are shared, a file stays on disk until it is sent, base64 text is kept as
//! it came. What is known without decoding (format, pixel size, byte length, duration) is read once, from the header.

mod base64;
mod format;
mod image;
mod probe;
mod source;
mod stored;
mod video;

use std::path::Path;

pub use base64::Base64Text;
pub use format::{ImageFormat, ImageInfo, VideoFormat, VideoInfo};
pub(crate) use image::Hint;
pub use image::{Detail, Image};
pub(crate) use source::SourceMap;
pub use source::{MediaFile, MediaSource};
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
    /// Opens what a person typed: a file path, an `http(s)` URL, or a data URI.
    ///
    /// A file is a video when its content says so; a URL when its path ends like one (`.mp4`, `.mov`, `.mkv`,
    /// `.webm`, `.avi`, `.flv`, `.wmv`), since nothing is fetched; a data URI when its type says so.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] as for [`Image::from_file`], [`Image::from_url`] and [`Image::from_data_uri`].
    pub fn open(location: &str) -> Result<Self> {
        if is_data_uri(location) {
            let declared = location.get(DATA.len()..).unwrap_or_default();
            return if starts_with(declared, "video/") {
                Video::from_data_uri(location).map(Self::Video)
            } else {
                Image::from_data_uri(location).map(Self::Image)
            };
        }
        if location.contains("://") {
            let video =
                url::Url::parse(location).is_ok_and(|url| VideoFormat::from_path(url.path()).is_some());
            return if video {
                Video::from_url(location).map(Self::Video)
            } else {
                Image::from_url(location).map(Self::Image)
            };
        }
        let file = MediaFile::open(location)?;
        let mut reader = file.reader()?;
        let named_video = VideoFormat::from_path(location).is_some();
        // The name only decides which error an unreadable file gets.
        if probe::looks_like_video(&mut reader) || (named_video && !probe::looks_like_picture(&mut reader)) {
            Video::from_media_file(file).map(Self::Video)
        } else {
            Image::from_media_file(file).map(Self::Image)
        }
    }
}

/// The scheme of data URIs; upper and lower case are alike.
const DATA: &str = "data:";

fn is_data_uri(text: &str) -> bool {
    starts_with(text, DATA)
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Parses an absolute URL that a vendor can be given.
fn parse_url(text: &str) -> Result<url::Url> {
    let refused = |hint: &str| {
        let shown = crate::redact(text);
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

fn name_of(path: &Path) -> String {
    path.display().to_string()
}
