//! The key of a request: a digest of all that shapes its answer.

use std::io::{self, Read, Write};
use std::time::Duration;

use moka::sync::Cache as Bounded;
use polysight_core::media::{FileIdentity, MediaFile, PlannedMedia};
use polysight_core::{ChatRequest, MediaSource, Plan, ProviderId};
use sha2::{Digest as _, Sha256};

use crate::runtime::require_runtime;

use super::CachePolicy;

/// A SHA-256.
pub(super) type Key = [u8; 32];

/// Files whose digests are remembered; each takes some hundred bytes.
const REMEMBERED_FILES: u64 = 4_096;
/// What is digested at once where it stands; what is longer goes to a thread that may block.
const AT_ONCE: u64 = 64 << 10;
/// Read at once from a file.
const BLOCK: usize = 64 << 10;
/// File systems may give two changes within this time the same change time.
const CHANGE_TIME_GRAIN: Duration = Duration::from_secs(2);

/// Makes keys, and remembers the digests of files that do not change, by their identity.
#[derive(Debug)]
pub(super) struct Keys {
    files: Bounded<FileIdentity, Key>,
    pub(super) grain: Duration,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self { files: Bounded::new(REMEMBERED_FILES), grain: CHANGE_TIME_GRAIN }
    }

    /// The key of a plan; `None` when it must not be answered from a cache, or a file of it cannot be read: the provider
    /// reports that itself.
    pub(super) async fn of(&self, plan: &Plan, provider: &ProviderId, policy: &CachePolicy) -> Option<Key> {
        if !policy.takes(&plan.request) {
            return None;
        }
        let mut sources = Vec::new();
        let collect = |source: &MediaSource| {
            sources.push(source.clone());
            Ok(source.clone())
        };
        let request = plan.request.clone().map_media(collect).ok()?;
        if !policy.urls && sources.iter().any(|source| original(source).url().is_some()) {
            return None;
        }
        let mut digests = Vec::with_capacity(sources.len());
        for source in sources {
            digests.push(self.digest(source).await?);
        }
        key(request, digests, plan, provider, policy)
    }

    /// The source of a medium as it stands in the key: a link as it is, everything else by its content.
    async fn digest(&self, source: MediaSource) -> Option<MediaSource> {
        if let MediaSource::Planned(planned) = &source {
            return self.planned(planned).await;
        }
        let digest = match &source {
            MediaSource::Url(_) => return Some(source),
            MediaSource::File(file) => self.file(file.clone()).await,
            _ if source.byte_len().is_none_or(|len| len <= AT_ONCE) => content(&source).ok(),
            _ => blocking(move || content(&source)).await,
        };
        Some(MediaSource::Bytes(digest?.to_vec().into()))
    }

    /// What is made before it is sent stands in the key by what it is made from, and how.
    async fn planned(&self, planned: &PlannedMedia) -> Option<MediaSource> {
        let MediaSource::Bytes(original) = Box::pin(self.digest(planned.original().clone())).await? else {
            return None;
        };
        let bytes = [&original[..], &planned.max_bytes().to_be_bytes(), planned.recipe().as_bytes()].concat();
        Some(MediaSource::Bytes(Sha256::digest(bytes).to_vec().into()))
    }

    async fn file(&self, file: MediaFile) -> Option<Key> {
        let (files, grain) = (self.files.clone(), self.grain);
        let digest = move || {
            let mut opened = file.reopen().map_err(io::Error::other)?;
            // A file so fresh that it may still change unseen is read each time.
            let is_certain = file.identity().is_certain_after(grain);
            if let Some(digest) = files.get(file.identity()).filter(|_| is_certain) {
                return Ok(digest);
            }
            let digest = read(&mut opened)?;
            // A file that changed while it was read is not remembered.
            if is_certain && file.identity_of(&opened)? == *file.identity() {
                files.insert(file.identity().clone(), digest);
            }
            Ok(digest)
        };
        blocking(digest).await
    }

    #[cfg(test)]
    pub(super) fn remembered_files(&self) -> u64 {
        self.files.run_pending_tasks();
        self.files.entry_count()
    }
}

fn original(source: &MediaSource) -> &MediaSource {
    match source {
        MediaSource::Planned(planned) => planned.original(),
        source => source,
    }
}

async fn blocking(digest: impl FnOnce() -> io::Result<Key> + Send + 'static) -> Option<Key> {
    // Outside of a runtime the provider's own error says so.
    require_runtime().ok()?;
    tokio::task::spawn_blocking(digest).await.ok()?.ok()
}

/// Digests the bytes of a medium in memory.
fn content(source: &MediaSource) -> io::Result<Key> {
    match source {
        MediaSource::Bytes(bytes) => Ok(Sha256::digest(bytes).into()),
        MediaSource::Base64(text) => read(&mut text.reader()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn read(from: &mut impl Read) -> io::Result<Key> {
    let mut digest = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(digest.finalize().into()),
            count => digest.update(block.get(..count).unwrap_or_default()),
        }
    }
}

/// `request` is the planned one, whose media stand as `digests`.
fn key(
    request: ChatRequest,
    digests: Vec<MediaSource>,
    plan: &Plan,
    provider: &ProviderId,
    policy: &CachePolicy,
) -> Option<Key> {
    let user = plan.original().end_user_id.as_deref().filter(|_| policy.per_end_user);
    let mut digest = DigestWriter(Sha256::new());
    let context = (&*provider.name, &*provider.vendor, user);
    serde_json::to_writer(&mut digest, &context).ok()?;
    // What was changed or left out for this provider may still reach another one behind it as it was.
    if !plan.adjustments.is_empty() {
        write(&mut digest, plan.original().clone(), &digests)?;
    }
    write(&mut digest, request, &digests)?;
    Some(digest.0.finalize().into())
}

fn write(to: &mut DigestWriter, request: ChatRequest, digests: &[MediaSource]) -> Option<()> {
    let mut digests = digests.iter();
    let by_content = |source: &MediaSource| Ok(digests.next().unwrap_or(source).clone());
    let mut request = request.map_media(by_content).ok()?;
    // Who asks, and under which id, does not shape the answer.
    (request.request_id, request.end_user_id, request.keep_raw) = (None, None, false);
    serde_json::to_writer(to, &request).ok()
}

struct DigestWriter(Sha256);

impl Write for DigestWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
