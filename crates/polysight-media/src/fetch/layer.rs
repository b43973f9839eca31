//! The layer that fetches media which a vendor does not.

use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::media::PlannedMedia;
use polysight_core::{Error, ErrorKind, Media, MediaSource, ModelCard, Part, Result, VisionProvider};

use super::{FetchMode, Fetcher};
use crate::prepare::{Made, Planned, Prepare, Problem, Step, forward_layer, source_of};

/// Fetches media behind URLs and sends them along, where the vendor does not fetch them.
///
/// Planning is pure: the plan says what will be fetched, sending does it. What has been fetched is planned once more, since
/// its size and format are known only then. Nothing is fetched under [`Tolerance::Strict`](polysight_core::Tolerance::Strict).
/// The place of the layer is outside of retry and inside of a router: a medium is fetched once for all attempts.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_media as media; }
/// use std::sync::Arc;
/// use polysight::VisionProvider;
/// use polysight::media::fetch::{Fetch, FetchPolicy, Fetcher};
///
/// fn fetching(provider: Arc<dyn VisionProvider>) -> polysight::Result<Fetch> {
///     Ok(Fetch::new(provider, Fetcher::new(FetchPolicy::new())?))
/// }
/// ```
#[derive(Debug)]
pub struct Fetch(Prepare<FetchStep>);

impl Fetch {
    /// Fetches media for a provider, as the mode of the fetcher's policy says.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, fetcher: Fetcher) -> Self {
        Self(Prepare::new(inner, FetchStep { fetcher }))
    }
}

forward_layer!(Fetch);

#[derive(Debug)]
struct FetchStep {
    fetcher: Fetcher,
}

impl FetchStep {
    /// What the vendor takes inside a request bounds what is fetched; what is larger is refused when it has arrived.
    fn max_bytes(&self, part: &Part, card: &ModelCard) -> u64 {
        let (bytes, base64) = match part {
            Part::Image(_) => card.image.limits().map(|card| (card.max_bytes, card.max_base64_bytes)),
            _ => card.video.limits().map(|card| (card.max_bytes, card.max_base64_bytes)),
        }
        .unwrap_or_default();
        let of_text = base64.map(|text| text.saturating_sub(64) / 4 * 3);
        [bytes, of_text].into_iter().flatten().fold(self.fetcher.policy.max_bytes, u64::min)
    }

    fn planned(&self, source: &MediaSource, max_bytes: u64) -> PlannedMedia {
        PlannedMedia::new(source.clone(), max_bytes, Self::NAME)
    }
}

/// Whether a model fetches this medium itself; `None` where that is not known.
fn takes_url(part: &Part, card: &ModelCard) -> Option<bool> {
    match part {
        Part::Image(_) => card.image.limits().and_then(|card| card.url),
        _ => card.video.limits().and_then(|card| card.url),
    }
}

/// The source of a medium behind an `http` or `https` URL.
fn behind_url(part: &Part) -> Option<&MediaSource> {
    let source = source_of(part)?;
    let url = source.url()?;
    // Frames are pictures of their own, and not fetched one by one.
    let is_one = !matches!(part, Part::Video(video) if matches!(video.source(), polysight_core::media::VideoSource::Frames(_)));
    (is_one && matches!(url.scheme(), "http" | "https")).then_some(source)
}

fn with_source(part: &Part, source: MediaSource) -> Result<Part> {
    match part {
        Part::Image(image) => image.with_source(source).map(Part::Image),
        Part::Video(video) => video.with_source(source).map(Part::Video),
        other => Ok(other.clone()),
    }
}

#[async_trait]
impl Step for FetchStep {
    const NAME: &'static str = "fetch";

    fn plan(&self, part: &Part, card: &ModelCard) -> std::result::Result<Option<Planned>, Problem> {
        let Some(source) = behind_url(part) else { return Ok(None) };
        let fetches = match self.fetcher.policy.mode {
            FetchMode::Vendor => false,
            FetchMode::Us => true,
            FetchMode::Auto => takes_url(part, card) == Some(false),
        };
        if !fetches {
            return Ok(None);
        }
        let refused = |error: Error| Problem {
            problem: format!("the URL is not fetched: {}", error.message()),
            limit: "a public http(s) URL".to_owned(),
            fix: "give another URL, or the medium itself".to_owned(),
        };
        if let Some(url) = source.url() {
            self.fetcher.check(url).map_err(refused)?;
        }
        let planned = MediaSource::Planned(self.planned(source, self.max_bytes(part, card)));
        let part = with_source(part, planned).map_err(refused)?;
        let change = format!("{} will be fetched and sent along", source.name());
        Ok(Some(Planned { part, change, lossless: true }))
    }

    async fn make(&self, part: &Part, _recipe: &str, original: &MediaSource, _model: &str) -> Result<Made> {
        let Some(url) = original.url() else {
            return Err(Error::new(ErrorKind::InvalidMedia, "there is no URL to fetch").with_local());
        };
        let fetched = self.fetcher.fetch(url).await?;
        let source = fetched.source().clone();
        let part = match (part, fetched.media()) {
            (Part::Image(image), Media::Image(_)) => Part::Image(image.with_source(source)?),
            (Part::Video(video), Media::Video(_)) => Part::Video(video.with_source(source)?),
            // A URL does not say which of the two it is.
            (_, media) => media.clone().into(),
        };
        let host = url.host_str().unwrap_or_default();
        let change = format!("{} bytes of {} fetched from {host}", fetched.byte_len(), fetched.media_type());
        Ok(Made { part, change, lossless: true, guard: Some(Arc::new(fetched)) })
    }

    fn after(&self, error: &Error, part: &Part) -> Option<PlannedMedia> {
        let unreached =
            self.fetcher.policy.mode == FetchMode::Auto && error.kind() == ErrorKind::MediaFetchFailed;
        let source = behind_url(part).filter(|_| unreached && !error.is_local())?;
        Some(self.planned(source, 0))
    }
}
