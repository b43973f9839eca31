//! What arrived as bytes: decoded from base64, measured, digested.

mod picture;
mod rectangles;
mod video;

use sha2::{Digest, Sha256};

pub(crate) use picture::{DecodeBudget, Picture};
pub(crate) use rectangles::{Rectangle, colours};
pub(crate) use video::Video;

/// One piece of inline media.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Medium {
    /// Decoded length.
    pub(crate) bytes: usize,
    /// SHA-256 of the decoded bytes, lower-case hex.
    pub(crate) sha256: String,
    pub(crate) content: Content,
    pub(crate) origin: Origin,
}

/// How bytes came to the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// In a data URI of this length, with this media type in lower case.
    DataUri { mime: String, length: usize },
    /// As base64 without a prefix.
    Base64,
    /// As a file of a form.
    Upload,
}

/// What the bytes turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Picture(Picture),
    Video(Video),
    Unknown,
}

impl Medium {
    /// Measures bytes; pictures are decoded as far as the budget goes.
    pub(crate) fn measure(bytes: &[u8], origin: Origin, budget: &mut DecodeBudget) -> Self {
        let content = match picture::measure(bytes, budget) {
            Some(picture) => Content::Picture(picture),
            None => video::measure(bytes).map_or(Content::Unknown, Content::Video),
        };
        Self { bytes: bytes.len(), sha256: hex_digest(bytes), content, origin }
    }

    pub(crate) fn picture(&self) -> Option<&Picture> {
        match &self.content {
            Content::Picture(picture) => Some(picture),
            _ => None,
        }
    }

    pub(crate) fn video(&self) -> Option<&Video> {
        match &self.content {
            Content::Video(video) => Some(video),
            _ => None,
        }
    }

    /// What stands in a recorded body in place of the base64 text.
    pub(crate) fn summary(&self) -> String {
        format!("sha256:{} {} bytes", self.sha256, self.bytes)
    }
}

/// SHA-256 in lower-case hex.
pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}
