//! A request to DashScope in either spelling, read leniently: the checks say what is wrong with it.

use serde_json::Number;

use super::refusal::Dialect;
use crate::chat::message::{self, Message, Part, Role};
use crate::desk::Order;
use crate::intake::Intake;
use crate::json::Json;
use crate::keys::Verdict;
use crate::media::Medium;
use crate::models::{QwenLimits, QwenThinking, qwen_model};
use crate::route::Action;

static NOTHING: Json = Json::Object(Vec::new());

/// All that a check may look at.
#[derive(Debug)]
pub(crate) struct Inquiry<'r> {
    pub(crate) dialect: Dialect,
    pub(crate) credential: Verdict,
    pub(crate) json: Option<&'r Json>,
    /// Where parameters stand: at the top of the body, or in `parameters`.
    pub(crate) parameters: &'r Json,
    pub(crate) model: Option<&'static QwenLimits>,
    pub(crate) raw_messages: Option<&'r Json>,
    /// `None` where they cannot be read as such.
    pub(crate) messages: Option<Vec<Message<'r>>>,
    pub(crate) stream: bool,
    /// Posted to the path of text models.
    pub(crate) text_path: bool,
    /// Asked for as a task.
    pub(crate) asynchronous: bool,
    pub(crate) forbidden: &'r [String],
    pub(crate) crowded: bool,
}

/// A part of a message with the hints beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'r> {
    pub(crate) part: Part<'r>,
    json: &'r Json,
}

/// Whether a request is to be answered bit by bit.
pub(crate) fn wants_stream(order: &Order, intake: &Intake, dialect: Dialect) -> bool {
    let headers = &order.head.headers;
    match dialect {
        Dialect::Compatible => {
            intake.json.as_ref().and_then(|json| json.get("stream")?.bool()).unwrap_or(false)
        }
        // Clients that only accept an event stream have been seen to get one.
        Dialect::Native => {
            headers.get("x-dashscope-sse").is_some_and(|value| value.eq_ignore_ascii_case("enable"))
                || headers.get("accept").is_some_and(|value| value.trim() == "text/event-stream")
        }
    }
}

impl<'r> Inquiry<'r> {
    pub(crate) fn new(order: &'r Order, intake: &'r Intake, dialect: Dialect, stream: bool) -> Self {
        let json = intake.json.as_ref();
        let (parameters, raw_messages) = match dialect {
            Dialect::Compatible => (json, json.and_then(|json| json.get("messages"))),
            Dialect::Native => (
                json.and_then(|json| json.get("parameters")),
                json.and_then(|json| json.get("input")?.get("messages")),
            ),
        };
        let part = match dialect {
            Dialect::Compatible => compatible_part,
            Dialect::Native => native_part,
        };
        let headers = &order.head.headers;
        Self {
            dialect,
            credential: super::verdict(order),
            json,
            parameters: parameters.unwrap_or(&NOTHING),
            model: json.and_then(|json| qwen_model(json.get("model")?.text()?)),
            raw_messages,
            messages: raw_messages.and_then(|raw| message::parse_with(raw, &intake.media, part)),
            stream,
            text_path: order.route.action == Action::TextChat,
            asynchronous: headers.get("x-dashscope-async") == Some("enable"),
            forbidden: &order.state.settings.forbidden,
            crowded: order.is_crowded(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&'r Json> {
        self.parameters.get(name)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.field(name)?.bool()
    }

    pub(crate) fn number(&self, name: &str) -> Option<&'r Number> {
        self.field(name)?.number()
    }

    pub(crate) fn messages(&self) -> &[Message<'r>] {
        self.messages.as_deref().unwrap_or_default()
    }

    /// All parts of all messages.
    pub(crate) fn items(&self) -> Vec<Item<'r>> {
        let raw = self.raw_messages.and_then(Json::list).unwrap_or_default();
        self.messages().iter().zip(raw).flat_map(|(message, raw)| items(message, raw)).collect()
    }

    pub(crate) fn thinking(&self) -> QwenThinking {
        self.model.map_or(QwenThinking::None, |model| model.thinking)
    }

    /// Whether the model will think, as far as the request has a say in it.
    pub(crate) fn thinks(&self) -> bool {
        let effort = self.field("reasoning_effort").and_then(Json::text);
        let unwanted = self.model.is_some_and(|model| model.effort) && effort == Some("none");
        match self.thinking() {
            QwenThinking::None => false,
            QwenThinking::Always => true,
            QwenThinking::Off => self.flag("enable_thinking").unwrap_or(false),
            QwenThinking::On => self.flag("enable_thinking").unwrap_or(!unwanted),
        }
    }

    pub(crate) fn has_user(&self) -> bool {
        self.messages().iter().any(|message| message.role == Role::User)
    }
}

fn items<'r>(message: &Message<'r>, raw: &'r Json) -> Vec<Item<'r>> {
    let parts = message.parts.iter().copied();
    match raw.get("content").and_then(Json::list) {
        Some(list) => parts.zip(list).map(|(part, json)| Item { part, json }).collect(),
        None => parts.map(|part| Item { part, json: &NOTHING }).collect(),
    }
}

impl<'r> Item<'r> {
    /// A part without hints.
    pub(crate) fn bare(part: Part<'r>) -> Self {
        Self { part, json: &NOTHING }
    }

    /// A number beside the medium, or inside it, where some clients put it.
    pub(crate) fn hint(&self, name: &str) -> Option<f64> {
        let inside = || ["image_url", "video_url"].iter().find_map(|key| self.json.get(key)?.get(name));
        self.json.get(name).or_else(inside)?.number()?.as_f64()
    }

    /// The same as whole pixels or frames.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.hint(name).filter(|value| *value >= 1.0).map(|value| value as u64)
    }
}

/// A part of compatible mode: OpenAI's, and lists of frames.
fn compatible_part<'r>(json: &'r Json, media: &'r [Medium]) -> Part<'r> {
    match json.get("type").and_then(Json::text) {
        Some("video") => {
            json.get("video").and_then(|video| Part::film(video, media)).unwrap_or(Part::Unknown("video"))
        }
        Some(other @ ("file" | "file_url")) => Part::Unknown(other),
        _ => message::parse_part(json, media),
    }
}

/// A part of the native path: an object whose key is its kind.
fn native_part<'r>(json: &'r Json, media: &'r [Medium]) -> Part<'r> {
    let text = || json.get("text").and_then(Json::text).map(Part::Text);
    let picture = || json.get("image").and_then(|image| message::to_source(image, media)).map(Part::Picture);
    let film = || json.get("video").and_then(|video| Part::film(video, media));
    picture().or_else(film).or_else(text).unwrap_or(Part::Unknown(""))
}
