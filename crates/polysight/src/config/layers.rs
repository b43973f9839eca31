//! The layers of providers and roles.

use std::fmt;
#[cfg(feature = "media")]
use std::sync::Arc;
use std::time::Duration;

use polysight_core::Result;
#[cfg(feature = "media")]
use polysight_core::VisionProvider;
#[cfg(feature = "cache")]
use polysight_layers::CachePolicy;
#[cfg(feature = "trace")]
use polysight_layers::TracePolicy;
use polysight_layers::config::toggle;
use polysight_layers::{
    BudgetPolicy, DeadlinePolicy, KeyPoolPolicy, RateLimitPolicy, RetryPolicy, RetrySetting, RouterPolicy,
};
#[cfg(feature = "media")]
use polysight_media::fetch::{Fetch, FetchMode, FetchPolicy, Fetcher};
#[cfg(feature = "media")]
use polysight_media::fit::{Fit, FitPool, FitSettings, Oversize};
#[cfg(feature = "media")]
use polysight_media::frames::{FitVideo, VideoMode, VideoPolicy};
use serde::Deserialize;
use serde::de::{Deserializer, Unexpected, Visitor};

use super::de::{Reader, join};
use super::faults::{Fault, Faults};
use super::file::Value;

/// Keys of layers that a role with `fallback` may have: those of the whole call. The others belong to its targets.
pub(crate) const CALL_KEYS: [&str; 5] = ["budget", "cache", "deadline", "router", "trace"];

/// The layers of a provider, which all its roles share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProviderLayers {
    #[serde(deserialize_with = "toggle")]
    pub(crate) rate_limit: Option<RateLimitPolicy>,
    pub(crate) key_pool: Option<KeyPoolPolicy>,
}

/// The layers of a role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RoleLayers {
    retry: Option<RetrySetting>,
    #[serde(deserialize_with = "deadline")]
    pub(crate) deadline: Option<DeadlinePolicy>,
    pub(crate) router: Option<RouterPolicy>,
    pub(crate) budget: Option<BudgetPolicy>,
    #[cfg(feature = "cache")]
    #[serde(deserialize_with = "toggle")]
    pub(crate) cache: Option<CachePolicy>,
    #[cfg(feature = "trace")]
    #[serde(deserialize_with = "toggle")]
    pub(crate) trace: Option<TracePolicy>,
    #[cfg(feature = "media")]
    oversize: OversizeSetting,
    #[cfg(feature = "media")]
    #[serde(deserialize_with = "word_or_table")]
    fetch: Option<FetchPolicy>,
    #[cfg(feature = "media")]
    #[serde(deserialize_with = "word_or_table")]
    video: Option<VideoPolicy>,
}

/// What happens to pictures over a model's limits: `"fit"`, `"lossy"`, `"refuse"`, or settings, by which they are fitted.
#[cfg(feature = "media")]
#[derive(Debug, Clone, Default)]
struct OversizeSetting {
    when: Oversize,
    settings: FitSettings,
}

#[cfg(feature = "media")]
impl<'de> Deserialize<'de> for OversizeSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OversizeVisitor)
    }
}

#[cfg(feature = "media")]
struct OversizeVisitor;

#[cfg(feature = "media")]
impl<'de> Visitor<'de> for OversizeVisitor {
    type Value = OversizeSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"fit\", \"lossy\", \"refuse\" or a table of settings")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Self::Value, E> {
        let when = match word {
            "fit" => Oversize::Fit,
            "lossy" => Oversize::Lossy,
            "refuse" => Oversize::Refuse,
            _ => return Err(E::invalid_value(Unexpected::Str(word), &self)),
        };
        Ok(OversizeSetting { when, settings: FitSettings::default() })
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, settings: A) -> Result<Self::Value, A::Error> {
        let settings = FitSettings::deserialize(serde::de::value::MapAccessDeserializer::new(settings))?;
        Ok(OversizeSetting { when: Oversize::Fit, settings })
    }
}

/// A policy that is given by its mode alone, or as a table of settings.
#[cfg(feature = "media")]
trait ByWord: Default + for<'de> Deserialize<'de> {
    const WORDS: &'static str;

    fn by_word(word: &str) -> Option<Self>;
}

#[cfg(feature = "media")]
impl ByWord for FetchPolicy {
    const WORDS: &'static str = "\"vendor\", \"us\", \"auto\" or a table of settings";

    fn by_word(word: &str) -> Option<Self> {
        let mode = match word {
            "vendor" => FetchMode::Vendor,
            "us" => FetchMode::Us,
            "auto" => FetchMode::Auto,
            _ => return None,
        };
        Some(Self::new().with_mode(mode))
    }
}

#[cfg(feature = "media")]
impl ByWord for VideoPolicy {
    const WORDS: &'static str = "\"frames\", \"trim\", \"refuse\" or a table of settings";

    fn by_word(word: &str) -> Option<Self> {
        let mode = match word {
            "frames" => VideoMode::Frames,
            "trim" => VideoMode::Trim,
            "refuse" => VideoMode::Refuse,
            _ => return None,
        };
        Some(Self::new(mode))
    }
}

#[cfg(feature = "media")]
fn word_or_table<'de, D: Deserializer<'de>, P: ByWord>(deserializer: D) -> Result<Option<P>, D::Error> {
    deserializer.deserialize_any(WordVisitor(std::marker::PhantomData)).map(Some)
}

#[cfg(feature = "media")]
struct WordVisitor<P>(std::marker::PhantomData<P>);

#[cfg(feature = "media")]
impl<'de, P: ByWord> Visitor<'de> for WordVisitor<P> {
    type Value = P;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(P::WORDS)
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<P, E> {
        P::by_word(word).ok_or_else(|| E::invalid_value(Unexpected::Str(word), &self))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, settings: A) -> Result<P, A::Error> {
        P::deserialize(serde::de::value::MapAccessDeserializer::new(settings))
    }
}

impl RoleLayers {
    /// Puts the layer that fits pictures around a target.
    #[cfg(feature = "media")]
    pub(crate) fn fitting(
        &self,
        target: Arc<dyn VisionProvider>,
        pool: &FitPool,
    ) -> Result<Arc<dyn VisionProvider>> {
        let OversizeSetting { when, settings } = &self.oversize;
        if *when == Oversize::Refuse {
            return Ok(target);
        }
        Ok(Arc::new(Fit::new(target, *when, settings.clone())?.with_pool(pool.clone())))
    }

    /// Puts the layers around a target that fetch media and give videos a form that the model takes.
    #[cfg(feature = "media")]
    pub(crate) fn preparing(&self, mut target: Arc<dyn VisionProvider>) -> Result<Arc<dyn VisionProvider>> {
        if let Some(policy) = &self.video {
            target = Arc::new(FitVideo::new(target, policy.clone())?);
        }
        if let Some(policy) = self.fetch.as_ref().filter(|policy| policy.mode != FetchMode::Vendor) {
            target = Arc::new(Fetch::new(target, Fetcher::new(policy.clone())?));
        }
        Ok(target)
    }

    /// When failed calls are repeated: by default, unless the file says otherwise.
    pub(crate) fn retry(&self) -> Option<RetryPolicy> {
        self.retry.as_ref().map_or_else(|| Some(RetryPolicy::default()), |setting| setting.0.clone())
    }

    fn checks(&self) -> Vec<(&'static str, Result<()>)> {
        let retry = self.retry.as_ref().and_then(|setting| setting.0.as_ref());
        vec![
            ("retry", retry.map_or(Ok(()), RetryPolicy::check)),
            ("deadline", self.deadline.as_ref().map_or(Ok(()), DeadlinePolicy::check)),
            ("budget", self.budget.as_ref().map_or(Ok(()), BudgetPolicy::check)),
            ("router", self.router.as_ref().map_or(Ok(()), RouterPolicy::check)),
            #[cfg(feature = "cache")]
            ("cache", self.cache.as_ref().map_or(Ok(()), CachePolicy::check)),
            #[cfg(feature = "media")]
            ("oversize", self.oversize.settings.check()),
            #[cfg(feature = "media")]
            ("fetch", self.fetch.as_ref().map_or(Ok(()), FetchPolicy::check)),
            #[cfg(feature = "media")]
            ("video", self.video.as_ref().map_or(Ok(()), VideoPolicy::check)),
        ]
    }
}

/// Takes a provider's layers.
pub(crate) fn take_provider_layers(
    reader: &mut Reader<'_>,
    path: &str,
    has_keys: bool,
    faults: &mut Faults,
) -> ProviderLayers {
    let lines = Lines::of(reader);
    let layers = reader.take::<ProviderLayers>(faults).unwrap_or_default();
    let key_pool = match &layers.key_pool {
        Some(_) if !has_keys => Some("it chooses among several keys: name them in `api_keys`".to_owned()),
        Some(policy) => policy.check().err().map(|error| error.message().to_owned()),
        None => None,
    };
    let rate_limit = layers.rate_limit.as_ref().and_then(|policy| policy.check().err());
    let rate_limit = rate_limit.map(|error| error.message().to_owned());
    for (key, problem) in [("key_pool", key_pool), ("rate_limit", rate_limit)] {
        faults.extend(problem.map(|problem| lines.fault(path, key, problem)));
    }
    layers
}

/// Takes a role's layers, and gives the keys whose settings are out of range.
pub(crate) fn take_role_layers(
    reader: &mut Reader<'_>,
    path: &str,
    faults: &mut Faults,
) -> (RoleLayers, Vec<&'static str>) {
    let lines = Lines::of(reader);
    let layers = [
        ("cache", "cache", cfg!(feature = "cache")),
        ("trace", "trace", cfg!(feature = "trace")),
        ("oversize", "media", cfg!(feature = "media")),
        ("fetch", "media", cfg!(feature = "media")),
        ("video", "media", cfg!(feature = "media")),
    ];
    for (key, feature, is_compiled) in layers {
        let node = if is_compiled { None } else { reader.take_node(key) };
        if node.is_some_and(|node| !matches!(node.value, Value::Boolean(false))) {
            let problem =
                format!("this layer is not compiled in: enable the cargo feature `{feature}` of polysight");
            faults.push(lines.fault(path, key, problem));
        }
    }
    let layers = reader.take::<RoleLayers>(faults).unwrap_or_default();
    let mut wrong = Vec::new();
    for (key, checked) in layers.checks() {
        if let Err(error) = checked {
            faults.push(lines.fault(path, key, error.message()));
            wrong.push(key);
        }
    }
    (layers, wrong)
}

/// The lines of a table's keys, before they are taken.
struct Lines(Vec<(String, usize)>);

impl Lines {
    fn of(reader: &Reader<'_>) -> Self {
        Self(reader.rest().iter().map(|(key, node)| (key.clone(), node.line)).collect())
    }

    fn fault(&self, path: &str, key: &str, problem: impl Into<String>) -> Fault {
        let line = self.0.iter().find(|(name, _)| name == key).map(|(_, line)| *line);
        Fault::new(join(path, key), problem).at(line)
    }
}

fn deadline<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeadlinePolicy>, D::Error> {
    deserializer.deserialize_any(DeadlineVisitor)
}

struct DeadlineVisitor;

impl Visitor<'_> for DeadlineVisitor {
    type Value = Option<DeadlinePolicy>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds above 0, or false")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Self::Value, E> {
        if on { Err(E::invalid_type(Unexpected::Bool(true), &self)) } else { Ok(None) }
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Self::Value, E> {
        match Duration::try_from_secs_f64(seconds) {
            Ok(total) if !total.is_zero() => Ok(Some(DeadlinePolicy { total })),
            _ => Err(E::invalid_value(Unexpected::Float(seconds), &self)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
        self.visit_f64(seconds as f64)
    }
}
