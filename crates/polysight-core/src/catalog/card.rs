//! What is known about one model.

use serde::Deserialize;
use strum::Display;

use super::{CacheMarkRates, Grounding, Price, Quotas};
use crate::media::{ImageFormat, VideoFormat};
use crate::{Capability, Effort, Interval};

/// What is known about one model where it is served: limits, abilities, prices, and the source of each.
///
/// A field that is `None` or [`Capability::Unknown`] is not known and stops nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelCard {
    /// The model's id as the vendor spells it.
    pub id: String,
    /// Other names that the same model answers to.
    pub aliases: Vec<String>,
    /// False for the card that stands in for an id that is not in the catalogue.
    #[serde(skip)]
    pub known: bool,
    /// Whether it is still served.
    pub status: Status,
    /// Model to move to, for a retired one.
    pub replacement: Option<String>,
    /// Context window, in tokens.
    pub context: Option<u64>,
    /// Most tokens that an answer can be limited to.
    pub max_output: Option<u64>,
    /// Fewest tokens that an answer can be limited to. `None`: 1.
    pub min_output: Option<u64>,
    /// Whether and how it reasons.
    pub thinking: ThinkingCard,
    /// Function tools.
    pub tools: Capability<ToolsCard>,
    /// Response formats besides text: `json_object`, `json_schema`, and `ocr_task` for a task of the vendor's that fills in a
    /// form. `None`: not known.
    pub response_formats: Option<Vec<String>>,
    /// Ranges of the sampling settings.
    pub sampling: SamplingCard,
    /// Stop texts.
    pub stop: StopCard,
    /// Length of the caller's request id; `None` when the vendor takes none.
    pub request_id: Option<IdLength>,
    /// Length of the end user's id; `None` when the vendor takes none.
    pub end_user_id: Option<IdLength>,
    /// Pictures.
    pub image: Capability<ImageCard>,
    /// Videos.
    pub video: Capability<VideoCard>,
    /// Whether pictures and videos may stand in one request.
    pub image_with_video: Option<bool>,
    /// Most [marks](crate::Part::CacheMark) for a prompt cache in a request; `None` when it takes none.
    pub cache_marks: Option<u64>,
    /// What tokens cost that such marks put into the cache; their prices are filled in by it where they are not set.
    pub cache_mark_rates: Option<CacheMarkRates>,
    /// In which unit it says where something is in a picture.
    pub grounding: Grounding,
    /// Name of the formula by which the vendor counts tokens of media, known to the vendor's crate.
    pub token_formula: Option<String>,
    /// Name of the vocabulary and chat template by which text is counted, known to the vendor's crate.
    pub tokenizer: Option<String>,
    /// Prices, cheapest tier first.
    pub prices: Vec<Price>,
    /// Published quotas.
    pub quotas: Option<Quotas>,
    /// Document from which the row was read.
    pub source: String,
    /// Day on which it was read, as `YYYY-MM-DD`.
    pub as_of: String,
    /// What else a user should know, in a sentence.
    pub remark: Option<String>,
}

impl Default for ModelCard {
    fn default() -> Self {
        Self {
            id: String::new(),
            aliases: Vec::new(),
            known: false,
            status: Status::Live,
            replacement: None,
            context: None,
            max_output: None,
            min_output: None,
            thinking: ThinkingCard::default(),
            tools: Capability::Unknown,
            response_formats: None,
            sampling: SamplingCard::default(),
            stop: StopCard::default(),
            request_id: None,
            end_user_id: None,
            image: Capability::Unknown,
            video: Capability::Unknown,
            image_with_video: None,
            cache_marks: None,
            cache_mark_rates: None,
            grounding: Grounding::Unknown,
            token_formula: None,
            tokenizer: None,
            prices: Vec::new(),
            quotas: None,
            source: String::new(),
            as_of: String::new(),
            remark: None,
        }
    }
}

impl ModelCard {
    pub(super) fn read(table: toml::Table) -> Result<Self, toml::de::Error> {
        let mut card: Self = table.try_into()?;
        if let Some(rates) = card.cache_mark_rates {
            card.prices = card.prices.into_iter().map(|price| price.with_cache_mark_rates(rates)).collect();
        }
        Ok(card)
    }

    /// Where the card's facts are from, as one phrase for messages.
    #[must_use]
    pub fn citation(&self) -> Option<String> {
        match (self.source.as_str(), self.as_of.as_str()) {
            ("", _) => None,
            (source, "") => Some(source.to_owned()),
            (source, as_of) => Some(format!("{source}, {as_of}")),
        }
    }
}

/// Whether a model is still served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Served.
    #[default]
    Live,
    /// Still answers, but is gone from the vendor's lists.
    Fading,
    /// No longer served to new accounts, or at all.
    Retired,
}

/// Whether and how a model reasons before it answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ThinkingCard {
    /// Whether it can, and can be switched. `None`: not known.
    pub mode: Option<ThinkingMode>,
    /// Whether it reasons when nothing is said.
    pub default_on: bool,
    /// Reasoning budgets that it takes, in tokens; `None` when it takes none.
    pub budget: Option<Interval>,
    /// Efforts that it takes; empty when it takes none.
    pub efforts: Vec<Effort>,
    /// Whether it reasons only when the answer is streamed.
    pub stream_only: bool,
    /// Whether the reasoning may stand inside the text, between `<think>` and `</think>`. Of a model that always reasons
    /// the closing tag alone is enough, since chat templates open the block in the prompt: what a stream says before it is
    /// held back until the tag comes or the answer ends.
    pub in_text: bool,
}

/// Whether reasoning can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum ThinkingMode {
    /// It never reasons.
    None,
    /// It can be switched on and off.
    Switchable,
    /// It always reasons.
    Forced,
}

/// Limits of function tools.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolsCard {
    /// Most tools in a request.
    pub count: Option<u64>,
    /// Choices that it takes besides `auto`: `none`, `required`, `function`. `None`: not known.
    pub choices: Option<Vec<String>>,
    /// Whether the number of parallel calls can be chosen. `None`: not known.
    pub parallel: Option<bool>,
}

/// Ranges of the sampling settings; a range of `None` means that the range is not known.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SamplingCard {
    /// Range of the temperature.
    pub temperature: Option<Interval>,
    /// Range of `top_p`.
    pub top_p: Option<Interval>,
    /// Range of `top_k`.
    pub top_k: Capability<NumberRange>,
    /// Range of the presence penalty.
    pub presence_penalty: Capability<NumberRange>,
    /// Range of the frequency penalty.
    pub frequency_penalty: Capability<NumberRange>,
    /// Range of the repetition penalty.
    pub repetition_penalty: Capability<NumberRange>,
    /// Range of the seed.
    pub seed: Capability<NumberRange>,
    /// Most decimals that a number may have on the wire.
    pub decimals: Option<u8>,
    /// How greedy sampling is said.
    pub greedy: GreedyForm,
}

/// The range of a setting that a model may not have at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NumberRange(pub Option<Interval>);

impl<'de> Deserialize<'de> for NumberRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Interval::deserialize(deserializer).map(|interval| Self(Some(interval)))
    }
}

/// How greedy sampling is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GreedyForm {
    /// `do_sample: false`, which makes the vendor ignore temperature and `top_p`.
    DoSample,
    /// `temperature: 0`.
    #[default]
    Temperature,
    /// `top_k: 1`.
    TopK,
}

/// Limits of stop texts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StopCard {
    /// Most stop texts in a request.
    pub count: Option<u64>,
    /// Longest stop text, in characters.
    pub max_chars: Option<u64>,
}

/// Length of an id, in characters, both ends included.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IdLength {
    /// Fewest characters.
    pub min: u64,
    /// Most characters.
    pub max: u64,
}

impl IdLength {
    /// From this many to that many characters.
    #[must_use]
    pub fn new(min: u64, max: u64) -> Self {
        Self { min, max }
    }
}

/// Limits of pictures.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageCard {
    /// Most pictures in a request, earlier turns included.
    pub count: Option<u64>,
    /// Most pictures that may come inside a request, where that is fewer than [`count`](Self::count).
    pub inline_count: Option<u64>,
    /// Largest picture, in bytes.
    pub max_bytes: Option<u64>,
    /// Largest picture as base64, in bytes of text, its data-URI prefix included.
    pub max_base64_bytes: Option<u64>,
    /// Shortest side, in pixels.
    pub min_side: Option<u64>,
    /// Longest side, in pixels.
    pub max_side: Option<u64>,
    /// Most pixels, width times height.
    pub max_pixels: Option<u64>,
    /// Largest ratio of the longer side to the shorter.
    pub max_aspect: Option<f64>,
    /// Formats taken. `None`: not known.
    pub formats: Option<Vec<ImageFormat>>,
    /// Whether pictures may come inside the request. `None`: not known.
    pub base64: Option<bool>,
    /// Whether the vendor fetches pictures. `None`: not known.
    pub url: Option<bool>,
    /// URL schemes that it fetches besides `http` and `https`.
    pub schemes: Vec<String>,
    /// Longest URL, in bytes.
    pub max_url_bytes: Option<u64>,
    /// Whether base64 goes out as a data URI (true) or bare (false). `None`: data URI, and not recorded as a change.
    pub data_uri: Option<bool>,
    /// Whether `detail` can be chosen.
    pub detail: bool,
    /// Range of the pixel budgets; `None` when there are none.
    pub pixel_budget: Option<Interval>,
}

/// Limits of videos.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct VideoCard {
    /// Most videos in a request, earlier turns included.
    pub count: Option<u64>,
    /// Largest video, in bytes.
    pub max_bytes: Option<u64>,
    /// Largest video as base64, in bytes of text, its data-URI prefix included.
    pub max_base64_bytes: Option<u64>,
    /// Playing time, in seconds.
    pub seconds: Option<Interval>,
    /// Containers taken. `None`: not known.
    pub formats: Option<Vec<VideoFormat>>,
    /// Whether videos may come inside the request. `None`: not known.
    pub base64: Option<bool>,
    /// Whether base64 goes out as a data URI (true) or bare (false). `None`: data URI, and not recorded as a change.
    pub data_uri: Option<bool>,
    /// Whether the vendor fetches videos. `None`: not known.
    pub url: Option<bool>,
    /// URL schemes that it fetches besides `http` and `https`.
    pub schemes: Vec<String>,
    /// Longest URL, in bytes.
    pub max_url_bytes: Option<u64>,
    /// Number of frames in a list of frames; no when lists are not taken.
    pub frames: Capability<NumberRange>,
    /// Whether the video must be the first part of its message.
    pub must_be_first: bool,
    /// Range of the sampling rate, in frames a second; no when it cannot be chosen.
    pub fps: Capability<NumberRange>,
    /// Range of the frame limit; no when it cannot be chosen.
    pub max_frames: Capability<NumberRange>,
    /// Range of the pixel budgets; `None` when there are none.
    pub pixel_budget: Option<Interval>,
}
