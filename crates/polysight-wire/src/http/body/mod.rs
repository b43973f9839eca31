//! Request bodies made of JSON text, or the fields of a form, and media sources.
//!
//! A body knows its exact length before its first byte is sent, and holds no media: each source is read and
//! base64-encoded block by block while the socket takes it. Making a body again costs nothing, so a retry keeps none.

mod buffer_pool;
mod form;
mod json;
mod stream;

pub(crate) use buffer_pool::BufferPool;
use bytes::Bytes;
pub use form::FormBody;
pub use json::{Array, JsonBody, Object};
use polysight_core::MediaSource;
pub(crate) use stream::{SendProgress, StreamedBody};

/// A piece of a request body.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// Bytes that go out as they are.
    Text(Bytes),
    /// Media that go out as base64.
    Base64(MediaSource),
    /// Media that go out as they are.
    Raw(MediaSource),
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Base64(source) => source.base64_len().unwrap_or_default(),
            Self::Raw(source) => source.byte_len().unwrap_or_default(),
        }
    }
}

/// A request body: segments, and their exact length together.
#[derive(Debug, Clone, Default)]
pub struct WireBody {
    segments: Vec<Segment>,
    len: u64,
}

impl WireBody {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        let len = segments.iter().map(Segment::len).sum();
        Self { segments, len }
    }

    /// A body that is held in memory as a whole.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(vec![Segment::Text(bytes.into())])
    }

    /// Exact length, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for a body of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Reads every medium and gives the whole body: for tests and for looking at what would be sent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](polysight_core::ErrorKind::InvalidMedia) when a file cannot be read any more.
    pub fn to_vec(&self) -> polysight_core::Result<Vec<u8>> {
        stream::read_all(self.clone())
    }
}
