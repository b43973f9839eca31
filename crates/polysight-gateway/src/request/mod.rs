//! The body of a chat-completions request, as a request of ours.

mod fields;
mod format;
mod media;
mod messages;
mod options;
mod thinking;
mod tools;

use std::collections::BTreeSet;

use bytes::Bytes;
use http::StatusCode;
use polysight::{ChatRequest, JsonValue, Part, Tolerance};
use serde_json::Map;

use crate::json::Json;
use crate::refusal::Refusal;
use crate::settings::UnknownFields;
use fields::{Fields, Reader};

/// A request as the client meant it.
#[derive(Debug)]
pub(crate) struct ParsedRequest {
    /// The role that was asked for, or `provider/model`.
    pub(crate) model: String,
    /// What to ask; its model is not set.
    pub(crate) chat: ChatRequest,
    pub(crate) stream: bool,
    /// Whether a streamed answer gets an event with the usage alone.
    pub(crate) include_usage: bool,
    /// What was understood otherwise than it stands there, or not at all.
    pub(crate) notes: Vec<String>,
}

/// Reads a body. `vendors` are the vendors that it may go to: each gets the fields that are not known here.
pub(crate) fn parse(
    body: &Bytes,
    unknown: UnknownFields,
    vendors: &[String],
) -> Result<ParsedRequest, Refusal> {
    let json = Json::parse(body).map_err(|error| no_json(&error))?;
    let mut reader = Reader::new(body);
    let Json::Object(entries) = json else {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "invalid_json",
            format!("the body is {}, not an object", json.kind()),
        ));
    };
    let mut root = Fields::new("", entries);
    let model = root.text("model", &mut reader);
    let stream = root.boolean("stream", &mut reader);
    let include_usage = include_usage(&mut root, &mut reader);
    options::refuse_unsupported(&mut root, &mut reader);
    let mut chat = ChatRequest::new(messages::read(&mut root, &mut reader));
    options::read(&mut root, &mut chat, &mut reader);
    chat.thinking = thinking::read(&mut root, &mut reader);
    chat.response_format = format::read(&mut root, &mut reader);
    tools::read(&mut root, &mut chat, &mut reader);
    let extras = extras(root, unknown, &mut reader);
    add_extras(&mut chat, &extras, vendors);
    let model = model.map(|model| model.trim().to_owned()).filter(|model| !model.is_empty());
    if model.is_none() {
        reader.reject("model", "it is missing", "the name of a role", "see /v1/models for the names");
    }
    let Reader { notes, violations, .. } = reader;
    match model.filter(|_| violations.is_empty()) {
        Some(model) => {
            Ok(ParsedRequest { model, chat, stream: stream.unwrap_or_default(), include_usage, notes })
        }
        None => Err(Refusal::invalid(violations)),
    }
}

fn no_json(error: &serde_json::Error) -> Refusal {
    // The parser's words hold no text of the body, but its place.
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "invalid_json",
        format!("the body is no JSON that can be read: {error}"),
    )
}

fn include_usage(root: &mut Fields<'_>, reader: &mut Reader<'_>) -> bool {
    let Some(mut options) = root.object("stream_options", reader) else { return false };
    options.boolean("include_usage", reader).unwrap_or_default()
}

/// The fields that nothing has taken, those within `extra_body` too, which some clients send as it is.
fn extras(mut root: Fields<'_>, unknown: UnknownFields, reader: &mut Reader<'_>) -> Map<String, JsonValue> {
    let inner = root.object("extra_body", reader).map(Fields::rest).unwrap_or_default();
    let rest = root.rest().into_iter().chain(inner).filter(|(_, value)| *value != Json::Null);
    let extras: Map<String, JsonValue> =
        rest.map(|(name, value)| (name.into_owned(), value.into_value())).collect();
    if extras.is_empty() {
        return extras;
    }
    let names = || extras.keys().map(|name| polysight::redact_name(name));
    match unknown {
        UnknownFields::Pass => {
            let names: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            reader.note(format!("passed to the vendor as it stands: {}", names.join(", ")));
        }
        UnknownFields::Refuse => {
            for name in names() {
                reader.reject(
                    name,
                    "this field is unknown",
                    "",
                    "leave it out, or let the gateway pass unknown fields",
                );
            }
        }
    }
    extras
}

fn add_extras(chat: &mut ChatRequest, extras: &Map<String, JsonValue>, vendors: &[String]) {
    let replays = replays_reasoning(chat);
    for vendor in vendors.iter().collect::<BTreeSet<_>>() {
        let mut fields = extras.clone();
        if let Some(name) = replays.then(|| replay_switch(vendor)).flatten() {
            fields.entry(name.0).or_insert_with(|| name.1.into());
        }
        if !fields.is_empty() {
            chat.extras.insert(vendor.clone(), fields);
        }
    }
}

/// Whether reasoning of the present turn is sent back: between a question and the results of the tools that it led to.
fn replays_reasoning(chat: &ChatRequest) -> bool {
    let turn = chat.messages.iter().rev().take_while(|message| message.role != polysight::MessageRole::User);
    turn.flat_map(|message| &message.parts).any(|part| matches!(part, Part::Reasoning(_)))
}

/// The option by which a vendor is made to read the reasoning of earlier messages.
fn replay_switch(vendor: &str) -> Option<(&'static str, bool)> {
    match vendor {
        "zhipu" => Some(("clear_thinking", false)),
        "qwen-vl" => Some(("preserve_thinking", true)),
        _ => None,
    }
}

/// Tolerance by its name.
fn tolerance(word: &str) -> Option<Tolerance> {
    word.parse().ok()
}

#[cfg(test)]
mod tests;
