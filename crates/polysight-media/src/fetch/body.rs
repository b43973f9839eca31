//! The body of a reply: bounded, in memory or in a temporary file, and checked for what it is.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use polysight_core::media::MediaFile;
use polysight_core::{Error, ErrorKind, Media, MediaSource, Result};
use reqwest::{Response, header};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::target::refused;
use super::{FetchPolicy, unreachable};

/// A picture or video that was fetched. A temporary file lives as long as this does.
#[derive(Clone)]
pub struct Fetched {
    media: Media,
    media_type: &'static str,
    source: MediaSource,
    file: Option<Arc<TempPath>>,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("media_type", &self.media_type)
            .field("byte_len", &self.byte_len())
            .field("in_file", &self.file.is_some())
            .finish()
    }
}

impl Fetched {
    /// The picture or video, whichever its content says it is.
    #[must_use]
    pub fn media(&self) -> &Media {
        &self.media
    }

    /// Where its bytes are: in memory, or in a temporary file.
    #[must_use]
    pub fn source(&self) -> &MediaSource {
        &self.source
    }

    /// The media type by content, such as `image/jpeg`; what the host declares does not count.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// Length, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        self.source.byte_len().unwrap_or_default()
    }

    fn new(source: MediaSource, file: Option<TempPath>) -> Result<Self> {
        // The source's own name in errors is a temporary file's.
        let unusable = |error: Error| match error.message().split_once(": ") {
            Some((_, problem)) => refused(problem),
            None => error,
        };
        let media = Media::from_source(source.clone()).map_err(unusable)?;
        let media_type = match &media {
            Media::Image(image) => image.info().map(|info| info.format.media_type()),
            Media::Video(video) => video.info().map(|info| info.format.media_type()),
            _ => None,
        };
        let media_type = media_type.ok_or_else(|| refused("it is neither a picture nor a video"))?;
        Ok(Self { media, media_type, source, file: file.map(Arc::new) })
    }
}

/// Reads a reply's body.
pub(super) async fn read(mut response: Response, policy: &FetchPolicy) -> Result<Fetched> {
    check_head(&response, policy)?;
    let mut body = Body { memory: BytesMut::new(), file: None, length: 0, policy };
    loop {
        let piece = timeout(policy.idle, response.chunk()).await;
        let piece =
            piece.map_err(|_| unreachable(format!("nothing more arrived within {:?}", policy.idle)))?;
        // What the client says of a broken connection may name an address.
        let piece = piece.map_err(|_| unreachable("the body broke off before its end"))?;
        match piece {
            Some(piece) => body.push(&piece).await?,
            None => return body.finish().await,
        }
    }
}

fn check_head(response: &Response, policy: &FetchPolicy) -> Result<()> {
    if let Some(length) = response.content_length().filter(|length| *length > policy.max_bytes) {
        return Err(too_large(&format!("{length} bytes"), policy));
    }
    let coded = response.headers().get(header::CONTENT_ENCODING);
    if coded.is_some_and(|coding| coding != "identity") {
        return Err(refused("the body is compressed though that was not asked for"));
    }
    Ok(())
}

fn too_large(length: &str, policy: &FetchPolicy) -> Error {
    refused(format!("it is {length}, and at most {} are fetched (`max_bytes`)", policy.max_bytes))
}

struct Body<'a> {
    memory: BytesMut,
    file: Option<(File, TempPath)>,
    length: u64,
    policy: &'a FetchPolicy,
}

impl Body<'_> {
    async fn push(&mut self, piece: &Bytes) -> Result<()> {
        let starts = self.length < FIRST;
        self.length += piece.len() as u64;
        if self.length > self.policy.max_bytes {
            return Err(too_large("larger than that", self.policy));
        }
        if self.file.is_none() && self.length > self.policy.max_memory_bytes {
            self.file = Some(new_file(self.policy)?);
            let memory = std::mem::take(&mut self.memory);
            self.write(&memory).await?;
        }
        if self.file.is_some() {
            return self.write(piece).await;
        }
        self.memory.extend_from_slice(piece);
        if starts { refuse_documents(&self.memory) } else { Ok(()) }
    }

    async fn write(&mut self, piece: &[u8]) -> Result<()> {
        match &mut self.file {
            Some((file, _)) => file.write_all(piece).await.map_err(no_room),
            None => Ok(()),
        }
    }

    async fn finish(self) -> Result<Fetched> {
        if self.length == 0 {
            return Err(refused("it is empty"));
        }
        let Some((mut file, path)) = self.file else {
            return Fetched::new(MediaSource::Bytes(self.memory.freeze()), None);
        };
        file.flush().await.map_err(no_room)?;
        drop(file);
        let source = MediaSource::File(MediaFile::open(&*path)?);
        Fetched::new(source, Some(path))
    }
}

/// So much is looked at for a document that is no picture, in bytes.
const FIRST: u64 = 512;

/// Refuses a page at its beginning, rather than at the end of what may be an endless body.
fn refuse_documents(start: &[u8]) -> Result<()> {
    match start.trim_ascii_start().first() {
        Some(b'<') => Err(refused("it is not a picture or video: its content looks like HTML or XML")),
        Some(b'{') => Err(refused("it is not a picture or video: its content looks like JSON")),
        _ => Ok(()),
    }
}

/// A file that other users cannot read.
fn new_file(policy: &FetchPolicy) -> Result<(File, TempPath)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("polysight-");
    let made = match &policy.folder {
        Some(folder) => builder.tempfile_in(folder),
        None => builder.tempfile(),
    };
    let (file, path) = made.map_err(no_room)?.into_parts();
    Ok((File::from_std(file), path))
}

fn no_room(error: std::io::Error) -> Error {
    let message = format!("the temporary file of a fetched medium cannot be written: {}", error.kind());
    Error::new(ErrorKind::Overloaded, message).with_local().with_source(error)
}
