//! What stands for a question in the cache: a digest of all that shapes its answer.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use moka::future::Cache as Bounded;
use polysight_core::media::MediaFile;
use polysight_core::{Canonical, ChatRequest, MediaSource, Plan, ProviderId};
use sha2::{Digest as _, Sha256};

use super::CachePolicy;

/// A SHA-256.
pub(super) type Key = [u8; 32];

/// Files whose digests are remembered; each takes some hundred bytes.
const REMEMBERED_FILES: u64 = 4_096;
/// What is digested at once where it stands; what is longer goes to a thread that may block.
const AT_ONCE: u64 = 64 << 10;
/// Read at once from a file.
const BLOCK: usize = 64 << 10;
/// File systems may give two writes within this time the same modification time.
const MTIME_GRAIN: Duration = Duration::from_secs(2);

/// Makes keys, and remembers the digests of files that do not change.
#[derive(Debug)]
pub(super) struct Keys {
    files: Bounded<(PathBuf, u64, SystemTime), Key>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { files: Bounded::new(REMEMBERED_FILES) }
    }

    /// The key of a request, and of how it will go out; `None` when it must not be answered from a cache, or a file of it
    /// cannot be read: the provider says so itself.
    pub(super) async fn of(
        &self,
        asked: &ChatRequest,
        plan: &Plan,
        provider: &ProviderId,
        policy: &CachePolicy,
    ) -> Option<Key> {
        if !policy.takes(&plan.request) {
            return None;
        }
        let mut sources = Vec::new();
        plan.request.canonical(&mut |piece| {
            if let Canonical::Media(source) = piece {
                sources.push(source.clone());
            }
        });
        if !policy.urls && sources.iter().any(|source| source.url().is_some()) {
            return None;
        }
        let mut media = Vec::with_capacity(sources.len());
        for source in sources {
            media.push(self.digest(source).await?);
        }
        Some(key(asked, plan, provider, policy, &media))
    }

    async fn digest(&self, source: MediaSource) -> Option<Key> {
        match &source {
            MediaSource::File(file) => match remembered_as(file) {
                None => blocking(source).await,
                Some(name) => self.remembered(name, source).await,
            },
            _ if source.byte_len().is_none_or(|len| len <= AT_ONCE) => content(&source).ok(),
            _ => blocking(source).await,
        }
    }

    async fn remembered(&self, name: (PathBuf, u64, SystemTime), source: MediaSource) -> Option<Key> {
        if let Some(digest) = self.files.get(&name).await {
            return Some(digest);
        }
        let digest = blocking(source).await?;
        self.files.insert(name, digest).await;
        Some(digest)
    }

    #[cfg(test)]
    pub(super) async fn remembered_files(&self) -> u64 {
        self.files.run_pending_tasks().await;
        self.files.entry_count()
    }
}

/// What a file's digest is remembered by; `None` for a file so fresh that it may still change unseen.
fn remembered_as(file: &MediaFile) -> Option<(PathBuf, u64, SystemTime)> {
    let modified = file.modified()?;
    let age = SystemTime::now().duration_since(modified).ok()?;
    (age > MTIME_GRAIN).then(|| (file.path().to_owned(), file.byte_len(), modified))
}

async fn blocking(source: MediaSource) -> Option<Key> {
    tokio::task::spawn_blocking(move || content(&source).ok()).await.ok().flatten()
}

/// Digests a medium's bytes, or a link's text.
fn content(source: &MediaSource) -> io::Result<Key> {
    match source {
        MediaSource::Url(url) => Ok(Sha256::digest(url.as_str()).into()),
        MediaSource::Bytes(bytes) => Ok(Sha256::digest(bytes).into()),
        MediaSource::File(file) => read(file.reopen().map_err(io::Error::other)?),
        MediaSource::Base64(text) => read(text.reader()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn read(mut from: impl Read) -> io::Result<Key> {
    let mut digest = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(digest.finalize().into()),
            count => digest.update(block.get(..count).unwrap_or_default()),
        }
    }
}

fn key(asked: &ChatRequest, plan: &Plan, provider: &ProviderId, policy: &CachePolicy, media: &[Key]) -> Key {
    let mut digest = Sha256::new();
    text(&mut digest, &provider.name);
    text(&mut digest, &provider.vendor);
    // What was left out of the request for this provider may still reach another one behind it.
    if plan.adjustments.iter().any(|adjustment| !adjustment.lossless) {
        asked.canonical(&mut |piece| {
            if let Canonical::Bytes(bytes) = piece {
                digest.update(bytes);
            }
        });
    }
    let user = asked.end_user_id.as_deref().filter(|_| policy.per_end_user);
    digest.update([u8::from(user.is_some())]);
    text(&mut digest, user.unwrap_or_default());
    let mut media = media.iter();
    plan.request.canonical(&mut |piece| match piece {
        Canonical::Bytes(bytes) => digest.update(bytes),
        Canonical::Media(_) => digest.update(media.next().unwrap_or(&[0; 32])),
        _ => {}
    });
    digest.finalize().into()
}

fn text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_le_bytes());
    digest.update(text);
}
