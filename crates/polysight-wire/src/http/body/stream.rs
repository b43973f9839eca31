//! Sends a body block by block.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use polysight_core::media::MediaFile;
use polysight_core::{Error, ErrorKind, MediaSource, Result};

use super::buffer_pool::{BLOCK_INPUT, BLOCK_OUTPUT, BufferPool};
use super::{Segment, WireBody};

/// What the sender of a body reports to the wait for the reply.
#[derive(Debug, Default)]
pub(crate) struct SendProgress {
    blocks: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl SendProgress {
    /// A number that grows with every block that was handed to the connection.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Why the body broke off, if it did.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A [`WireBody`] on its way out.
#[derive(Debug)]
pub(crate) struct StreamedBody {
    segments: std::vec::IntoIter<Segment>,
    current: Option<Encoding>,
    left: u64,
    pool: BufferPool,
    progress: Arc<SendProgress>,
}

impl StreamedBody {
    pub(crate) fn new(body: WireBody, pool: BufferPool, progress: Arc<SendProgress>) -> Self {
        let left = body.len();
        Self { segments: body.into_segments().into_iter(), current: None, left, pool, progress }
    }

    fn next_block(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(encoding) = &mut self.current {
                match encoding.next_block(&self.pool)? {
                    Some(block) => return Ok(Some(block)),
                    None => self.current = None,
                }
            }
            match self.segments.next() {
                None => return Ok(None),
                Some(Segment::Text(text)) if text.is_empty() => {}
                Some(Segment::Text(text)) => return Ok(Some(text)),
                Some(Segment::Base64(source)) => self.current = Some(Encoding::start(&source)?),
                Some(Segment::Raw(source)) => self.current = Some(Encoding::start_raw(&source)?),
            }
        }
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = io::Error;

    /// Reads the next block in place: 24 KiB of a file take a few microseconds from the page cache, less than handing
    /// them to another thread does.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match self.next_block() {
            Ok(Some(block)) => {
                self.left = self.left.saturating_sub(block.len() as u64);
                self.progress.blocks.fetch_add(1, Ordering::Relaxed);
                Some(Ok(Frame::data(block)))
            }
            Ok(None) => None,
            Err(error) => {
                let text = error.to_string();
                *self.progress.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(io::Error::other(text)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A medium that is being sent, as base64 unless it is raw.
enum Encoding {
    Memory(Bytes),
    Disk { file: File, left: u64, name: MediaFile },
    RawMemory(Bytes),
    Raw { reader: Box<dyn Read + Send + Sync>, left: u64, name: Option<MediaFile> },
}

impl std::fmt::Debug for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoding(..)")
    }
}

impl Encoding {
    fn start(source: &MediaSource) -> Result<Self> {
        match source {
            MediaSource::Bytes(bytes) => Ok(Self::Memory(bytes.clone())),
            MediaSource::File(file) => {
                Ok(Self::Disk { file: file.reopen()?, left: file.byte_len(), name: file.clone() })
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "this medium cannot be sent inside a request")),
        }
    }

    fn start_raw(source: &MediaSource) -> Result<Self> {
        let left = source.byte_len().unwrap_or_default();
        match source {
            MediaSource::Bytes(bytes) => Ok(Self::RawMemory(bytes.clone())),
            MediaSource::File(file) => {
                Ok(Self::Raw { reader: Box::new(file.reopen()?), left, name: Some(file.clone()) })
            }
            MediaSource::Base64(text) => Ok(Self::Raw { reader: Box::new(text.reader()), left, name: None }),
            _ => Err(Error::new(ErrorKind::Unsupported, "this medium cannot be sent as it is")),
        }
    }

    fn next_block(&mut self, pool: &BufferPool) -> Result<Option<Bytes>> {
        match self {
            Self::Memory(bytes) => {
                if bytes.is_empty() {
                    return Ok(None);
                }
                let input = bytes.split_to(bytes.len().min(BLOCK_INPUT));
                Ok(Some(encode(&input, pool)))
            }
            Self::Disk { left: 0, .. } => Ok(None),
            Self::Disk { file, left, name } => {
                let mut input = pool.take();
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(BLOCK_INPUT);
                let read = match input.get_mut(..count) {
                    Some(space) => file.read_exact(space),
                    None => Err(io::ErrorKind::InvalidInput.into()),
                };
                read.map_err(|error| unreadable(name, error))?;
                *left -= count as u64;
                let block = encode(input.get(..count).unwrap_or_default(), pool);
                pool.give_back(input);
                Ok(Some(block))
            }
            // Cut only so that the wait sees progress; nothing is copied.
            Self::RawMemory(bytes) => {
                let block = bytes.split_to(bytes.len().min(BLOCK_OUTPUT));
                Ok(Some(block).filter(|block| !block.is_empty()))
            }
            Self::Raw { left: 0, .. } => Ok(None),
            Self::Raw { reader, left, name } => {
                let mut block = pool.take();
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(block.len());
                let read = match block.get_mut(..count) {
                    Some(space) => reader.read_exact(space),
                    None => Err(io::ErrorKind::InvalidInput.into()),
                };
                read.map_err(|error| match name {
                    Some(name) => unreadable(name, error),
                    None => {
                        Error::new(ErrorKind::InvalidMedia, "the base64 text broke off").with_source(error)
                    }
                })?;
                *left -= count as u64;
                Ok(Some(pool.lend(block, count)))
            }
        }
    }
}

fn unreadable(file: &MediaFile, error: io::Error) -> Error {
    let message = format!("{}: it broke off while it was being sent: {error}", file.path().display());
    Error::new(ErrorKind::InvalidMedia, message).with_source(error)
}

fn encode(input: &[u8], pool: &BufferPool) -> Bytes {
    let mut block = pool.take();
    let written = base64_simd::STANDARD.encode(input, base64_simd::Out::from_slice(&mut block)).len();
    pool.lend(block, written)
}

/// Reads a whole body into memory.
pub(super) fn read_all(body: WireBody) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut stream = StreamedBody::new(body, BufferPool::default(), Arc::default());
    while let Some(block) = stream.next_block()? {
        all.extend_from_slice(&block);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::JsonBody;
    use super::*;

    fn png(len: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0".to_vec();
        bytes.extend((bytes.len()..len).map(|n| (n % 249) as u8));
        bytes
    }

    fn body_of(source: &MediaSource) -> WireBody {
        JsonBody::object(|root| {
            root.base64("url", "data:image/png;base64,", source);
            root.field("n", &1);
        })
        .unwrap()
    }

    #[test]
    fn every_source_gives_the_same_bytes_at_the_length_promised() {
        for len in [33, 34, 35, BLOCK_INPUT - 1, BLOCK_INPUT, BLOCK_INPUT + 1, 3 * BLOCK_INPUT + 2] {
            let bytes = png(len);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let encoded = base64_simd::STANDARD.encode_to_string(&bytes);
            let expected = format!(r#"{{"url":"data:image/png;base64,{encoded}","n":1}}"#);
            for image in [
                polysight_core::Image::from_bytes(bytes.clone()).unwrap(),
                polysight_core::Image::from_file(file.path()).unwrap(),
                polysight_core::Image::from_base64(encoded.clone()).unwrap(),
            ] {
                let body = body_of(image.source());
                assert_eq!(body.len(), expected.len() as u64);
                assert_eq!(body.to_vec().unwrap(), expected.as_bytes());
            }
        }
    }

    #[test]
    fn every_source_can_be_sent_as_it_is() {
        for len in [33, 34, 35, BLOCK_INPUT, 3 * BLOCK_INPUT + 2] {
            let bytes = png(len);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let encoded = base64_simd::STANDARD.encode_to_string(&bytes);
            for image in [
                polysight_core::Image::from_bytes(bytes.clone()).unwrap(),
                polysight_core::Image::from_file(file.path()).unwrap(),
                polysight_core::Image::from_base64(encoded.clone()).unwrap(),
            ] {
                let body = WireBody::new(vec![Segment::Raw(image.source().clone())]);
                assert_eq!(body.len(), len as u64);
                assert_eq!(body.to_vec().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn several_media_can_stand_in_one_string() {
        let image = |len| polysight_core::Image::from_bytes(png(len)).unwrap();
        let (first, second) = (image(33), image(40));
        let sources = [first.source(), second.source()];
        let body = JsonBody::object(|root| root.base64_list("url", "data:,", &sources)).unwrap();
        let encoded = [33, 40].map(|len| base64_simd::STANDARD.encode_to_string(png(len))).join(",");
        let expected = format!(r#"{{"url":"data:,{encoded}"}}"#);
        assert_eq!((body.len(), body.to_vec().unwrap()), (expected.len() as u64, expected.into_bytes()));
    }

    #[test]
    fn a_file_that_shrank_is_an_error_and_not_a_short_body() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&png(5_000)).unwrap();
        let image = polysight_core::Image::from_file(file.path()).unwrap();
        file.as_file().set_len(100).unwrap();
        let error = body_of(image.source()).to_vec().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidMedia);
        assert!(error.to_string().contains("changed"), "{error}");
    }

    #[test]
    fn a_block_is_as_large_as_its_encoded_input() {
        assert_eq!(BLOCK_INPUT % 3, 0);
        assert_eq!(base64_simd::STANDARD.encoded_length(BLOCK_INPUT), BLOCK_OUTPUT);
    }
}
