//! A request to DashScope in either dialect.

use crate::auth::{Authentication, authenticate_bearer, is_dashscope_key};
use crate::chat::message::{self, Message, Part};
use crate::json::Json;
use crate::media::Medium;
use crate::models::{QwenLimits, QwenThinking, qwen_model};
use crate::request_body::RequestBody;
use crate::route::Action;
use crate::served_request::ServedRequest;
use crate::tokens::qwen::Item;
use crate::vendors::parsed_request::ParsedRequest;

/// Which of its two interfaces is spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dialect {
    Compatible,
    Native,
}

pub(super) type Request<'r> = ParsedRequest<'r, QwenLimits, Extra>;

/// What DashScope alone looks at.
#[derive(Debug)]
pub(super) struct Extra {
    pub(super) dialect: Dialect,
    pub(super) stream: bool,
    /// Posted to the path of text models.
    pub(super) text_path: bool,
    /// Asked for as a task.
    pub(super) asynchronous: bool,
}

/// Whether the answer is to be streamed.
pub(super) fn wants_stream(served: &ServedRequest, body: &RequestBody, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Compatible => {
            body.json.as_ref().and_then(|json| json.get("stream")?.bool()).unwrap_or(false)
        }
        // Clients that only accept an event stream have been seen to get one.
        Dialect::Native => {
            served.header("x-dashscope-sse").is_some_and(|value| value.eq_ignore_ascii_case("enable"))
                || served.header("accept").is_some_and(|value| value.trim() == "text/event-stream")
        }
    }
}

/// Reads a request; parameters stand at the top of the body, or in `parameters`.
pub(super) fn parse<'r>(
    served: &'r ServedRequest,
    body: &'r RequestBody,
    dialect: Dialect,
    stream: bool,
) -> Request<'r> {
    let json = body.json.as_ref();
    let extra = Extra {
        dialect,
        stream,
        text_path: served.route.action == Action::TextChat,
        asynchronous: served.header("x-dashscope-async") == Some("enable"),
    };
    let request = ParsedRequest::new(served, json, authentication(served), qwen_model, extra);
    match dialect {
        Dialect::Compatible => {
            request.with_messages(|raw| message::parse_with(raw, &body.media, compatible_part))
        }
        Dialect::Native => request
            .with_places(
                json.and_then(|json| json.get("parameters")),
                json.and_then(|json| json.get("input")?.get("messages")),
            )
            .with_messages(|raw| message::parse_with(raw, &body.media, native_part)),
    }
}

pub(super) fn authentication(served: &ServedRequest) -> Authentication {
    authenticate_bearer(served.header("authorization"), &served.state.settings.keys, is_dashscope_key)
}

/// All parts of all messages, with the hints beside them.
pub(super) fn items<'r>(request: &Request<'r>) -> Vec<Item<'r>> {
    let raw = request.raw_messages.and_then(Json::list).unwrap_or_default();
    request.messages().iter().zip(raw).flat_map(|(message, raw)| items_of(message, raw)).collect()
}

/// The parts of one message.
pub(super) fn items_of<'r>(message: &Message<'r>, raw: &'r Json) -> Vec<Item<'r>> {
    let parts = message.parts.iter().copied();
    match raw.get("content").and_then(Json::list) {
        Some(list) => parts.zip(list).map(|(part, json)| Item::new(part, json)).collect(),
        None => parts.map(Item::bare).collect(),
    }
}

pub(super) fn thinking_of(request: &Request<'_>) -> QwenThinking {
    request.model.map_or(QwenThinking::None, |model| model.thinking)
}

/// Whether the model will think, as far as the request has a say in it.
pub(super) fn thinks(request: &Request<'_>) -> bool {
    let effort = request.field("reasoning_effort").and_then(Json::text);
    let unwanted = request.model.is_some_and(|model| model.effort) && effort == Some("none");
    match thinking_of(request) {
        QwenThinking::None => false,
        QwenThinking::Always => true,
        QwenThinking::Off => request.flag("enable_thinking").unwrap_or(false),
        QwenThinking::On => request.flag("enable_thinking").unwrap_or(!unwanted),
    }
}

/// A part of compatible mode: OpenAI's, and lists of frames.
fn compatible_part<'r>(json: &'r Json, media: &'r [Medium]) -> Part<'r> {
    match json.get("type").and_then(Json::text) {
        Some("video") => {
            json.get("video").and_then(|video| Part::video(video, media)).unwrap_or(Part::Unknown("video"))
        }
        Some(other @ ("file" | "file_url")) => Part::Unknown(other),
        _ => message::parse_part(json, media),
    }
}

/// A part of the native path: an object whose key is its kind.
fn native_part<'r>(json: &'r Json, media: &'r [Medium]) -> Part<'r> {
    let text = || json.get("text").and_then(Json::text).map(Part::Text);
    let picture = || json.get("image").and_then(|image| message::to_source(image, media)).map(Part::Picture);
    let video = || json.get("video").and_then(|video| Part::video(video, media));
    picture().or_else(video).or_else(text).unwrap_or(Part::Unknown(""))
}
