//! Where the bytes of a medium are.

use std::fmt;
use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

use bytes::Bytes;
use url::Url;

use super::{Base64Text, MediaFile, name, unusable};
use crate::Result;

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
    /// Not there yet: made from another one before it is sent.
    Planned(PlannedMedia),
}

/// A medium that a plan names and that is made when the plan is sent, by the layer that put it there: a picture made
/// smaller, for example. Until then only its upper bound of bytes is known, and what the picture itself declares.
#[derive(Clone)]
pub struct PlannedMedia {
    original: Arc<MediaSource>,
    max_bytes: u64,
    recipe: Arc<str>,
    is_uploaded: bool,
}

impl PlannedMedia {
    /// Plans a medium of at most `max_bytes` bytes. The recipe is for the layer that makes it: whatever shapes the result
    /// stands in it, since answers are kept by original and recipe.
    #[must_use]
    pub fn new(original: MediaSource, max_bytes: u64, recipe: impl Into<Arc<str>>) -> Self {
        Self { original: Arc::new(original), max_bytes, recipe: recipe.into(), is_uploaded: false }
    }

    /// Says that the medium goes to a store, and that the vendor gets its URL.
    #[must_use]
    pub fn uploaded(mut self) -> Self {
        self.is_uploaded = true;
        self
    }

    /// True when the medium goes to a store, and the vendor gets its URL.
    #[must_use]
    pub fn is_uploaded(&self) -> bool {
        self.is_uploaded
    }

    /// What it is made from.
    #[must_use]
    pub fn original(&self) -> &MediaSource {
        &self.original
    }

    /// Most bytes that it will have.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// How it is made, in the words of the layer that makes it.
    #[must_use]
    pub fn recipe(&self) -> &str {
        &self.recipe
    }
}

impl MediaSource {
    /// Length of the medium itself (not of its base64), in bytes; `None` for a URL, and the upper bound for what is planned.
    #[must_use]
    pub fn byte_len(&self) -> Option<u64> {
        match self {
            Self::Url(_) => None,
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(file) => Some(file.byte_len()),
            Self::Base64(text) => Some(text.byte_len()),
            Self::Planned(planned) => Some(planned.max_bytes),
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
            Self::Bytes(_) | Self::File(_) | Self::Base64(_) | Self::Planned(_) => None,
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
        read.map_err(|error| unusable(name::of_path(file.path()), format!("cannot be read: {error}")))?;
        Ok(Self::Bytes(bytes.into()))
    }

    /// Opens the medium for reading; `None` for a URL, and for what is planned.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the file is gone, changed or cannot be read, and
    /// [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) as for [`MediaFile::open`].
    pub fn reader(&self) -> Option<Result<Box<dyn Readable>>> {
        match self {
            Self::Url(_) | Self::Planned(_) => None,
            Self::Bytes(bytes) => Some(Ok(Box::new(Cursor::new(bytes.clone())))),
            Self::File(file) => Some(file.reopen().map(|file| Box::new(file) as Box<dyn Readable>)),
            Self::Base64(text) => Some(Ok(Box::new(text.reader()))),
        }
    }

    /// What the medium is called in errors: its path, or how it was given, without anything secret.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Url(url) => name::shown(url.as_str()),
            Self::Bytes(bytes) => format!("buffer of {} bytes", bytes.len()),
            Self::File(file) => name::of_path(file.path()),
            Self::Base64(text) if text.is_data_uri() => "data URI".to_owned(),
            Self::Base64(_) => "base64 text".to_owned(),
            Self::Planned(planned) => planned.original.name(),
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
            (Self::Planned(_), Some(len)) => write!(f, " (planned, at most {len} bytes)"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for PlannedMedia {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlannedMedia({:?}, at most {} bytes)", self.original, self.max_bytes)
    }
}

/// What a medium is read from.
pub trait Readable: Read + Seek + Send {}
impl<T: Read + Seek + Send> Readable for T {}

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
