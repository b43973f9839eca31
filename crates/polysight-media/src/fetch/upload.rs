//! The layer that uploads media which a model takes by URL alone.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::media::{FileIdentity, PlannedMedia};
use polysight_core::{Image, MediaSource, ModelCard, Part, Result, Video, VisionProvider};
use tokio::time::Instant;
use url::Url;

use crate::prepare::{Made, Planned, Prepare, Problem, Step, forward_layer, source_of};

/// Files that are remembered with their URLs.
const MAX_REMEMBERED: usize = 256;
/// How long a store's URL is used again. The shortest-lived known store keeps files for 48 hours.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Puts media into a store from which a vendor takes them.
#[async_trait]
pub trait Uploader: fmt::Debug + Send + Sync {
    /// Uploads a medium that is on disk or in memory, for requests to this model, and gives its URL.
    ///
    /// # Errors
    /// As the store's own calls.
    async fn upload(&self, model: &str, source: &MediaSource) -> Result<Url>;
}

/// Uploads media that are too large to stand inside a request, or that the model takes by URL alone.
///
/// Planning is pure: the plan says what will be uploaded, sending does it. A file that was uploaded is not uploaded again for
/// a day. Nothing is uploaded under [`Tolerance::Strict`](polysight_core::Tolerance::Strict). A store belongs to an account:
/// the layer stands around the provider of one key.
#[derive(Debug)]
pub struct Upload(Prepare<UploadStep>);

impl Upload {
    /// Uploads media for a provider.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, uploader: Arc<dyn Uploader>) -> Self {
        Self(Prepare::new(inner, UploadStep { uploader, remembered: Mutex::default() }))
    }
}

forward_layer!(Upload);

struct Remembered {
    file: FileIdentity,
    model: String,
    url: Url,
    since: Instant,
}

struct UploadStep {
    uploader: Arc<dyn Uploader>,
    remembered: Mutex<VecDeque<Remembered>>,
}

impl fmt::Debug for UploadStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UploadStep({:?})", self.uploader)
    }
}

impl UploadStep {
    fn known(&self, file: &FileIdentity, model: &str) -> Option<Url> {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.since.elapsed() < MAX_AGE);
        all.iter().find(|one| one.file == *file && one.model == model).map(|one| one.url.clone())
    }

    fn remember(&self, file: &FileIdentity, model: &str, url: &Url) {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == MAX_REMEMBERED {
            all.pop_front();
        }
        let (file, model) = (file.clone(), model.to_owned());
        all.push_back(Remembered { file, model, url: url.clone(), since: Instant::now() });
    }

    async fn url_of(&self, model: &str, source: &MediaSource) -> Result<Url> {
        let MediaSource::File(file) = source else { return self.uploader.upload(model, source).await };
        if let Some(url) = self.known(file.identity(), model) {
            return Ok(url);
        }
        let url = self.uploader.upload(model, source).await?;
        self.remember(file.identity(), model, &url);
        Ok(url)
    }
}

/// Whether a medium cannot stand inside a request, and a URL can stand in its place.
fn must_be_uploaded(part: &Part, source: &MediaSource, card: &ModelCard) -> bool {
    let limits = match part {
        Part::Image(_) => card.image.limits().map(|card| (card.base64, card.url, card.max_base64_bytes)),
        _ => card.video.limits().map(|card| (card.base64, card.url, card.max_base64_bytes)),
    };
    let Some((base64, url, max_text)) = limits else { return false };
    // A data URI's own prefix takes up to this.
    const PREFIX: u64 = 64;
    let text = source.base64_len().unwrap_or_default().saturating_add(PREFIX);
    url != Some(false) && (base64 == Some(false) || max_text.is_some_and(|most| text > most))
}

#[async_trait]
impl Step for UploadStep {
    const NAME: &'static str = "upload";

    fn plan(&self, part: &Part, card: &ModelCard) -> std::result::Result<Option<Planned>, Problem> {
        let Some(source) = source_of(part) else { return Ok(None) };
        let is_one = !matches!(part, Part::Video(video) if video.info().is_none());
        let is_here = matches!(source, MediaSource::Bytes(_) | MediaSource::File(_) | MediaSource::Base64(_));
        if !(is_one && is_here && must_be_uploaded(part, source, card)) {
            return Ok(None);
        }
        let length = source.byte_len().unwrap_or_default();
        let media = PlannedMedia::new(source.clone(), length, Self::NAME).uploaded();
        let part = match part {
            Part::Image(image) => image.info().map(|info| Part::Image(image.planned(media, info))),
            Part::Video(video) => {
                let planned = video.with_source(MediaSource::Planned(media)).ok();
                planned.zip(video.info()).map(|(planned, info)| Part::Video(planned.with_info(info)))
            }
            _ => None,
        };
        let change = format!("{} will be uploaded, {length} bytes", source.name());
        Ok(part.map(|part| Planned { part, change, lossless: true }))
    }

    async fn make(&self, part: &Part, _recipe: &str, original: &MediaSource, model: &str) -> Result<Made> {
        let url = self.url_of(model, original).await?;
        let source = MediaSource::Url(url);
        let part = match part {
            Part::Image(image) => Part::Image(Image::with_source(image, source)?),
            Part::Video(video) => Part::Video(Video::with_source(video, source)?),
            other => other.clone(),
        };
        let change = format!("{} uploaded", original.name());
        Ok(Made { part, change, lossless: true, guard: None })
    }
}
