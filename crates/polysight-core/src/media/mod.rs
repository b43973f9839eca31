//! Pictures and videos: where their bytes are, and what their headers say.
//!
//! Nothing here holds a picture twice. Bytes are shared, a file stays on disk until it is sent, base64 text is kept as
//! it came. What is known without decoding (format, pixel size, byte length, duration) is read once, from the header.

mod base64;
mod image;
mod source;
mod video;

use std::path::Path;

pub use base64::Base64Text;
pub use image::{Detail, Image, ImageFormat, ImageInfo};
pub use source::{MediaFile, MediaSource};
pub use video::{Video, VideoFormat, VideoInfo, VideoSource};

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
    /// [`ErrorKind::Media`] as for [`Image::from_file`], [`Image::from_url`] and [`Image::from_data_uri`].
    pub fn open(location: &str) -> Result<Self> {
        if let Some(rest) = location.strip_prefix("data:") {
            return if rest.starts_with("video/") {
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
        if crate::probe::looks_like_video(&mut file.reader()?)
            || (file.byte_len() > 0 && VideoFormat::from_path(location).is_some())
        {
            Video::from_media_file(file).map(Self::Video)
        } else {
            Image::from_media_file(file).map(Self::Image)
        }
    }
}

/// Parses an absolute URL that a vendor can be given.
fn parse_url(text: &str) -> Result<url::Url> {
    let shown = crate::redact(text);
    let url = url::Url::parse(text).map_err(|error| {
        let hint = if text.contains("://") { "" } else { "; it has no scheme: write https:// in front" };
        Error::new(ErrorKind::Media, format!("`{shown}` is not a URL that a vendor could fetch{hint}"))
            .with_source(error)
    })?;
    if url.scheme() == "file" || url.cannot_be_a_base() {
        return Err(Error::new(
            ErrorKind::Media,
            format!("`{shown}` is not a URL that a vendor could fetch: give files by their path"),
        ));
    }
    Ok(url)
}

/// Makes the error of a medium that cannot be used; `name` is its path, or what it was given as.
fn unusable(name: impl AsRef<str>, problem: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Media, format!("{}: {}", name.as_ref(), problem.as_ref()))
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}
