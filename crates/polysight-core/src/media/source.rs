//! Where the bytes of a medium are.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use url::Url;

use super::{Base64Text, name_of, probe, unusable};
use crate::{Result, redact};

/// Where the bytes of a picture or video are. Cloning shares, never copies.
#[derive(Clone)]
#[non_exhaustive]
pub enum MediaSource {
    /// Somewhere the vendor can fetch it from.
    Url(Url),
    /// In memory.
    Bytes(Bytes),
    /// On disk, read while it is being sent.
    File(MediaFile),
    /// In memory, as base64 text.
    Base64(Base64Text),
}

impl MediaSource {
    /// Length of the medium itself (not of its base64), in bytes; `None` for a URL.
    #[must_use]
    pub fn byte_len(&self) -> Option<u64> {
        match self {
            Self::Url(_) => None,
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(file) => Some(file.byte_len()),
            Self::Base64(text) => Some(text.byte_len()),
        }
    }

    /// Length of the medium as base64, in bytes; `None` for a URL.
    #[must_use]
    pub fn base64_len(&self) -> Option<u64> {
        self.byte_len().map(|len| len.div_ceil(3) * 4)
    }

    /// The URL, when the vendor is to fetch the medium.
    #[must_use]
    pub fn url(&self) -> Option<&Url> {
        match self {
            Self::Url(url) => Some(url),
            Self::Bytes(_) | Self::File(_) | Self::Base64(_) => None,
        }
    }

    /// Reads a file into memory; every other source is given back as it is. For a dialogue that is to be stored with its
    /// pictures instead of their paths:
    ///
    /// ```no_run
    /// # fn store(talk: polysight_core::Conversation) -> Result<String, Box<dyn std::error::Error>> {
    /// let whole = talk.map_media(polysight_core::MediaSource::in_memory)?;
    /// Ok(serde_json::to_string(&whole)?)
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the file is gone, changed or cannot be read.
    pub fn in_memory(&self) -> Result<Self> {
        let Self::File(file) = self else { return Ok(self.clone()) };
        let mut bytes = Vec::new();
        let read = file.reopen()?.read_to_end(&mut bytes);
        read.map_err(|error| unusable(name_of(file.path()), format!("cannot be read: {error}")))?;
        Ok(Self::Bytes(bytes.into()))
    }

    /// Opens the medium for reading; `None` for a URL.
    pub(crate) fn reader(&self) -> Option<Result<Box<dyn Readable>>> {
        match self {
            Self::Url(_) => None,
            Self::Bytes(bytes) => Some(Ok(Box::new(Cursor::new(bytes.clone())))),
            Self::File(file) => Some(file.reader().map(|reader| Box::new(reader) as Box<dyn Readable>)),
            Self::Base64(text) => Some(Ok(Box::new(probe::buffered(text.reader())))),
        }
    }

    /// What the medium is called in errors: its path, or how it was given.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Url(url) => redact(url.as_str()),
            Self::Bytes(bytes) => format!("buffer of {} bytes", bytes.len()),
            Self::File(file) => name_of(file.path()),
            Self::Base64(text) if text.is_data_uri() => "data URI".to_owned(),
            Self::Base64(_) => "base64 text".to_owned(),
        }
    }
}

/// Replaces the source of a medium.
pub(crate) type SourceMap<'a> = dyn FnMut(&MediaSource) -> Result<MediaSource> + 'a;

impl fmt::Debug for MediaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        match (self, self.byte_len()) {
            (Self::File(_) | Self::Base64(_), Some(len)) => write!(f, " ({len} bytes)"),
            _ => Ok(()),
        }
    }
}

/// What a probe reads from.
pub(crate) trait Readable: io::BufRead + Seek {}
impl<T: io::BufRead + Seek> Readable for T {}

/// A file that was looked at once and is read when it is sent.
#[derive(Clone, Debug)]
pub struct MediaFile {
    path: Arc<Path>,
    len: u64,
    modified: Option<SystemTime>,
}

impl MediaFile {
    /// Looks at a file without reading it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when it does not exist, cannot be read, is a directory, is not a
    /// regular file, or is empty.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let name = name_of(&path);
        let fail = |error: io::Error| {
            let problem = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
                _ => format!("cannot be opened: {error}"),
            };
            unusable(&name, problem).with_source(error)
        };
        // Told from the path before opening, since opening a named pipe would wait for its writer.
        let metadata = std::fs::metadata(&path).map_err(fail)?;
        if metadata.is_dir() {
            return Err(unusable(&name, "it is a directory"));
        }
        if !metadata.is_file() {
            return Err(unusable(&name, "it is not a regular file"));
        }
        if metadata.len() == 0 {
            return Err(unusable(&name, "it is empty"));
        }
        File::open(&path).map_err(fail)?;
        Ok(Self { path: path.into(), len: metadata.len(), modified: metadata.modified().ok() })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length when it was looked at, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.len
    }

    /// When the file had last been written to when it was looked at, where the file system tells.
    #[must_use]
    pub fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// Opens the file for reading, and checks that it is still the one that was looked at.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when it is gone, or its length or modification time changed.
    pub fn reopen(&self) -> Result<File> {
        let name = name_of(&self.path);
        let gone =
            |error: io::Error| unusable(&name, format!("can no longer be read: {error}")).with_source(error);
        let changed = || unusable(&name, "the file changed since it was opened: open it again");
        // As in `open`: what has become a named pipe would wait for its writer.
        if !std::fs::metadata(&self.path).map_err(gone)?.is_file() {
            return Err(changed());
        }
        let file = File::open(&self.path).map_err(gone)?;
        let metadata = file.metadata().map_err(gone)?;
        if metadata.len() != self.len || metadata.modified().ok() != self.modified {
            return Err(changed());
        }
        Ok(file)
    }

    pub(crate) fn reader(&self) -> Result<BufReader<impl Read + Seek + use<>>> {
        self.reopen().map(probe::buffered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_length_is_known_without_encoding() {
        for len in [1usize, 2, 3, 4, 5, 6, 1_000] {
            let source = MediaSource::Bytes(Bytes::from(vec![7; len]));
            assert_eq!(source.base64_len().unwrap(), base64_simd::STANDARD.encoded_length(len) as u64);
        }
    }

    #[test]
    fn debug_shows_no_query_and_no_bytes() {
        let url = MediaSource::Url(Url::parse("https://cdn.example/a.jpg?sign=secret").unwrap());
        assert_eq!(format!("{url:?}"), "https://cdn.example/a.jpg?..");
        let bytes = MediaSource::Bytes(Bytes::from_static(b"canary"));
        assert_eq!(format!("{bytes:?}"), "buffer of 6 bytes");
    }
}
