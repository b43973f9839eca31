//! A chat request, the same for every vendor.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{Display, EnumString, IntoStaticStr};

use crate::media::VideoSource;
use crate::plan::Tolerance;
use crate::{
    Image, MediaSource, Message, Observer, Observers, Part, Result, Shared, ToolChoice, ToolDefinition,
};

/// How the next token is picked.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sampling {
    /// The vendor's own default: nothing is sent.
    #[default]
    Default,
    /// Always the likeliest token.
    Greedy,
    /// At random, within these settings.
    Random(RandomSampling),
}

/// Settings of random sampling; what is `None` is left to the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RandomSampling {
    /// Flatness of the distribution; the range is the vendor's, often `[0, 1]` or `[0, 2)`.
    pub temperature: Option<f64>,
    /// Share of probability mass that is considered, within `[0, 1]`.
    pub top_p: Option<f64>,
    /// Number of likeliest tokens that are considered.
    pub top_k: Option<u32>,
    /// Penalty for tokens that occurred at all, often `[-2, 2]`.
    pub presence_penalty: Option<f64>,
    /// Penalty growing with how often a token occurred, often `[-2, 2]`.
    pub frequency_penalty: Option<f64>,
    /// Factor against repetition; 1 is none.
    pub repetition_penalty: Option<f64>,
}

impl RandomSampling {
    /// Everything left to the vendor.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flatness of the distribution.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the share of probability mass that is considered.
    #[must_use]
    pub fn with_top_p(mut self, top_p: f64) -> Self {
        self.top_p = Some(top_p);
        self
    }

    /// Sets the number of likeliest tokens that are considered.
    #[must_use]
    pub fn with_top_k(mut self, top_k: u32) -> Self {
        self.top_k = Some(top_k);
        self
    }

    /// Sets the penalty for tokens that occurred at all.
    #[must_use]
    pub fn with_presence_penalty(mut self, penalty: f64) -> Self {
        self.presence_penalty = Some(penalty);
        self
    }

    /// Sets the penalty that grows with how often a token occurred.
    #[must_use]
    pub fn with_frequency_penalty(mut self, penalty: f64) -> Self {
        self.frequency_penalty = Some(penalty);
        self
    }

    /// Sets the factor against repetition.
    #[must_use]
    pub fn with_repetition_penalty(mut self, factor: f64) -> Self {
        self.repetition_penalty = Some(factor);
        self
    }

    /// Fills in what is left open here from other settings.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            temperature: self.temperature.or(other.temperature),
            top_p: self.top_p.or(other.top_p),
            top_k: self.top_k.or(other.top_k),
            presence_penalty: self.presence_penalty.or(other.presence_penalty),
            frequency_penalty: self.frequency_penalty.or(other.frequency_penalty),
            repetition_penalty: self.repetition_penalty.or(other.repetition_penalty),
        }
    }
}

/// How much the model should reason before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Thinking {
    /// The model's own default: nothing is sent.
    #[default]
    Default,
    /// No reasoning.
    Off,
    /// Reasoning, as much as the model likes.
    On,
    /// Reasoning of at most this many tokens.
    Budget(u32),
    /// Reasoning of this intensity.
    Effort(Effort),
}

/// How hard the model should think.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    EnumString,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Effort {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// As much as there is.
    Max,
}

/// What form the answer must have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Free text: nothing is sent.
    #[default]
    Text,
    /// Some JSON object; vendors want the word JSON in the prompt.
    JsonObject,
    /// A JSON value of this schema.
    JsonSchema {
        /// Name of the schema, at most 64 characters.
        name: String,
        /// The JSON Schema.
        schema: Value,
        /// Whether the vendor must enforce it.
        strict: bool,
    },
    /// A JSON value of this schema, by the best means that the model is known to have: a schema that the vendor enforces, a
    /// JSON object, the vendor's OCR task, a function that must be called, or the prompt. The plan says which
    /// ([`Plan::rung`](crate::Plan::rung)); nothing but the first is enforced, so the caller checks the answer, also whether
    /// it was cut: one that met the vendor's own token limit is given with the finish
    /// [`Length`](crate::FinishKind::Length).
    Extract {
        /// Name of the schema: letters, digits, `_` and `-`, at most 64.
        name: String,
        /// The JSON Schema, an object's.
        schema: Value,
    },
    /// Places in the pictures, asked for in the unit that the model is known to have. What they refer to stands on plan and answer
    /// ([`Plan::grounding`](crate::Plan::grounding)).
    Locate {
        /// What is looked for; empty where the messages say it.
        what: String,
        /// Whether points are wanted instead of boxes.
        points: bool,
    },
}

/// Options that only one vendor has, typed by that vendor's crate.
pub trait VendorExtras {
    /// The vendor's id, such as `zhipu`.
    const VENDOR: &'static str;

    /// The options as fields of the request body.
    fn into_fields(self) -> Map<String, Value>;
}

/// A question to a model, with everything that shapes its answer.
///
/// Cloning is cheap: messages and tools are shared until one of the clones changes them.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::{ChatRequest, Image};
///
/// let request = ChatRequest::ask("What is in the picture?", [Image::from_url("https://example.com/a.jpg").unwrap()])
///     .with_model("glm-4.6v-flash")
///     .with_temperature(0.2)
///     .with_max_tokens(512);
/// assert_eq!(request.messages.len(), 1);
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ChatRequest {
    /// The model's id, sent exactly as written. `None`: the provider's or role's own.
    pub model: Option<String>,
    /// The dialogue, oldest message first.
    pub messages: Shared<Vec<Message>>,
    /// How tokens are picked.
    pub sampling: Sampling,
    /// Most tokens of the answer. An answer that meets this limit is a success; one that meets the vendor's own is not.
    pub max_tokens: Option<u32>,
    /// Texts at which the answer ends; they are not part of it.
    pub stop: Vec<String>,
    /// Seed of random sampling, for answers that can be had again.
    pub seed: Option<i64>,
    /// The caller's id of this request, to find it in the vendor's logs. Where the vendor takes one and none is given,
    /// one is made.
    pub request_id: Option<String>,
    /// Id of the end user, so that the vendor can act against that user instead of the account.
    pub end_user_id: Option<String>,
    /// How much to reason.
    pub thinking: Thinking,
    /// Form of the answer.
    pub response_format: ResponseFormat,
    /// Functions that the model may call.
    pub tools: Shared<Vec<ToolDefinition>>,
    /// Whether it may, must or must not call one.
    pub tool_choice: ToolChoice,
    /// Whether it may call several at once; `None`: the vendor's default.
    pub parallel_tool_calls: Option<bool>,
    /// What may be changed on the way out. `None`: the role's, else [`Tolerance::Lossless`].
    pub tolerance: Option<Tolerance>,
    /// Whether the response keeps the vendor's raw JSON.
    pub keep_raw: bool,
    /// Options of single vendors, by vendor id and field name. Those of other vendors are ignored, so that one request
    /// can carry them for every vendor it may go to.
    pub extras: BTreeMap<String, Map<String, Value>>,
    /// Who sees what happens to the call. Not serialized.
    #[serde(skip)]
    pub observers: Observers,
}

/// The path of a picture, or of a frame of a video.
pub(crate) fn image_path(message: usize, part: usize, frame: Option<usize>) -> String {
    let path = format!("messages[{message}].parts[{part}]");
    match frame {
        Some(frame) => format!("{path}.frames[{frame}]"),
        None => path,
    }
}

impl ChatRequest {
    /// A request with these messages.
    #[must_use]
    pub fn new(messages: impl IntoIterator<Item = Message>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    /// A request with one user message: pictures first, then the question, the order that vendors advise.
    #[must_use]
    pub fn ask(question: impl Into<String>, media: impl IntoIterator<Item = impl Into<Part>>) -> Self {
        let parts = media.into_iter().map(Into::into).chain([Part::Text(question.into())]);
        Self::new([Message::user_parts(parts)])
    }

    /// Replaces where the bytes of each picture and video are; what is known of them is kept.
    ///
    /// # Errors
    /// The first error of `map`.
    pub fn map_media(mut self, mut map: impl FnMut(&MediaSource) -> Result<MediaSource>) -> Result<Self> {
        if self.messages.iter().any(Message::has_media) {
            self.messages.iter_mut().try_for_each(|message| message.map_media(&mut map))?;
        }
        Ok(self)
    }

    /// Replaces pictures, frames of videos among them; each is given with its path, such as `messages[0].parts[1]`, and `None`
    /// leaves it as it is. Messages in which nothing changes stay shared.
    ///
    /// # Errors
    /// The first error of `map`.
    pub fn map_images(mut self, mut map: impl FnMut(&str, &Image) -> Result<Option<Image>>) -> Result<Self> {
        let mut changes = Vec::new();
        for (message, part, frame, image) in self.images() {
            let path = image_path(message, part, frame);
            changes.extend(map(&path, image)?.map(|made| (message, part, frame, made)));
        }
        for (message, part, frame, made) in changes {
            let parts = self.messages.get_mut(message).map(|message| &mut message.parts);
            match (parts.and_then(|parts| parts.get_mut(part)), frame) {
                (Some(Part::Image(image)), _) => *image = made,
                (Some(Part::Video(video)), Some(frame)) => {
                    if let Some(image) = video.frames_mut().get_mut(frame) {
                        *image = made;
                    }
                }
                _ => {}
            }
        }
        Ok(self)
    }

    /// Its pictures, frames of videos among them, with their places: message, part and frame.
    pub(crate) fn images(&self) -> impl Iterator<Item = (usize, usize, Option<usize>, &Image)> {
        self.messages.iter().enumerate().flat_map(|(message, content)| {
            content.parts.iter().enumerate().flat_map(move |(part, content)| {
                let (image, frames) = match content {
                    Part::Image(image) => (Some(image), &[][..]),
                    Part::Video(video) => (None, video.frames()),
                    _ => (None, &[][..]),
                };
                let frames =
                    frames.iter().enumerate().map(move |(at, frame)| (message, part, Some(at), frame));
                image.map(|image| (message, part, None, image)).into_iter().chain(frames)
            })
        })
    }

    /// Where the bytes of its videos are that are no lists of frames, with their places: message and part.
    pub(crate) fn whole_videos(&self) -> impl Iterator<Item = (usize, usize, &MediaSource)> {
        self.messages.iter().enumerate().flat_map(|(message, content)| {
            content.parts.iter().enumerate().filter_map(move |(part, content)| match content {
                Part::Video(video) => match video.source() {
                    VideoSource::Whole(source) => Some((message, part, source)),
                    VideoSource::Frames(_) => None,
                },
                _ => None,
            })
        })
    }

    /// Names the model.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Adds a message at the end.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Sets how tokens are picked.
    #[must_use]
    pub fn with_sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Sets the temperature, keeping other settings of random sampling.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.sampling = Sampling::Random(RandomSampling { temperature: Some(temperature), ..self.random() });
        self
    }

    /// Sets `top_p`, keeping other settings of random sampling.
    #[must_use]
    pub fn with_top_p(mut self, top_p: f64) -> Self {
        self.sampling = Sampling::Random(RandomSampling { top_p: Some(top_p), ..self.random() });
        self
    }

    /// Always picks the likeliest token.
    #[must_use]
    pub fn with_greedy(self) -> Self {
        self.with_sampling(Sampling::Greedy)
    }

    fn random(&self) -> RandomSampling {
        match self.sampling {
            Sampling::Random(random) => random,
            Sampling::Default | Sampling::Greedy => RandomSampling::default(),
        }
    }

    /// Limits the answer to this many tokens.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// Ends the answer before any of these texts.
    #[must_use]
    pub fn with_stop(mut self, stop: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.stop = stop.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: i64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the request's id.
    #[must_use]
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Sets the end user's id.
    #[must_use]
    pub fn with_end_user_id(mut self, id: impl Into<String>) -> Self {
        self.end_user_id = Some(id.into());
        self
    }

    /// Sets how much to reason.
    #[must_use]
    pub fn with_thinking(mut self, thinking: Thinking) -> Self {
        self.thinking = thinking;
        self
    }

    /// Sets the form of the answer.
    #[must_use]
    pub fn with_response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = format;
        self
    }

    /// Lets the model call these functions.
    #[must_use]
    pub fn with_tools(mut self, tools: impl IntoIterator<Item = ToolDefinition>) -> Self {
        self.tools = tools.into_iter().collect();
        self
    }

    /// Says whether the model may, must or must not call a function.
    #[must_use]
    pub fn with_tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = choice;
        self
    }

    /// Says whether the model may call several functions at once.
    #[must_use]
    pub fn with_parallel_tool_calls(mut self, parallel: bool) -> Self {
        self.parallel_tool_calls = Some(parallel);
        self
    }

    /// Says what may be changed on the way out.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// Keeps the vendor's raw JSON with the response.
    #[must_use]
    pub fn with_raw(mut self) -> Self {
        self.keep_raw = true;
        self
    }

    /// Shows what happens to the call to an [`Observer`], such as a closure.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers = self.observers.with(Arc::new(observer));
        self
    }

    /// Adds one vendor's options, typed.
    #[must_use]
    pub fn with_extras<E: VendorExtras>(mut self, extras: E) -> Self {
        self.extras.entry(E::VENDOR.to_owned()).or_default().extend(extras.into_fields());
        self
    }

    /// Adds one field of one vendor's request body, untyped: the escape hatch for what the typed options lack.
    #[must_use]
    pub fn with_extra(
        mut self,
        vendor: impl Into<String>,
        field: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        self.extras.entry(vendor.into()).or_default().insert(field.into(), value.into());
        self
    }
}
