//! The messages of a request.

use polysight::{Message, MessageRole, Part, ToolCall};

use super::fields::{Fields, Reader};
use super::media;
use crate::json::Json;

/// Reads `messages`.
pub(super) fn read<'a>(root: &mut Fields<'a>, reader: &mut Reader<'a>) -> Vec<Message> {
    let Some(items) = root.list("messages", reader) else {
        reader.reject("messages", "there are none", "a list of one message or more", "");
        return Vec::new();
    };
    if items.is_empty() {
        reader.reject("messages", "the list is empty", "one message or more", "");
    }
    let messages = items.into_iter().enumerate();
    messages.filter_map(|(index, item)| message(format!("messages[{index}]"), item, reader)).collect()
}

fn message<'a>(path: String, item: Json<'a>, reader: &mut Reader<'a>) -> Option<Message> {
    let mut fields = Fields::of(item, path, reader)?;
    let role = match fields.text("role", reader).as_deref() {
        Some("system" | "developer") => MessageRole::System,
        Some("user") => MessageRole::User,
        Some("assistant") => MessageRole::Assistant,
        Some("tool") => MessageRole::Tool,
        _ => {
            let allowed = "`system`, `developer`, `user`, `assistant`, `tool`";
            reader.reject(fields.path("role"), "it is missing or unknown", allowed, "");
            return None;
        }
    };
    let mut message = Message::new(role);
    match role {
        MessageRole::Tool => message.parts.push(tool_result(&mut fields, reader)?),
        MessageRole::Assistant => message.parts = answer(&mut fields, reader),
        _ => message.parts = content(&mut fields, reader),
    }
    if fields.take("name").is_some() {
        reader.note("names of speakers are not passed on");
    }
    Some(message)
}

/// The parts of a message, in their order: each part of the client's is one of ours, so that paths in errors agree.
fn content<'a>(fields: &mut Fields<'a>, reader: &mut Reader<'a>) -> Vec<Part> {
    let path = fields.path("content");
    match fields.take("content") {
        None => Vec::new(),
        Some(Json::Text(text)) => vec![Part::Text(text.into_owned())],
        Some(Json::List(items)) => {
            let parts = items.into_iter().enumerate();
            parts.filter_map(|(index, item)| media::part(format!("{path}[{index}]"), item, reader)).collect()
        }
        Some(other) => {
            reader.reject(path, format!("this is {}", other.kind()), "a text or a list of parts", "");
            Vec::new()
        }
    }
}

/// An earlier answer: its reasoning, its text and its calls.
fn answer<'a>(fields: &mut Fields<'a>, reader: &mut Reader<'a>) -> Vec<Part> {
    let reasoning = ["reasoning_content", "reasoning", "thinking"].map(|name| fields.text(name, reader));
    let reasoning = reasoning.into_iter().flatten().find(|text| !text.is_empty());
    let mut parts = content(fields, reader);
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    // Behind what the client counts.
    parts.extend(reasoning.map(|text| Part::Reasoning(text.into_owned())));
    let calls = fields.list("tool_calls", reader).unwrap_or_default();
    let path = fields.path("tool_calls");
    let calls = calls.into_iter().enumerate();
    parts.extend(calls.filter_map(|(index, call)| tool_call(format!("{path}[{index}]"), call, reader)));
    parts
}

fn tool_call(path: String, call: Json<'_>, reader: &mut Reader<'_>) -> Option<Part> {
    let mut call = Fields::of(call, path, reader)?;
    let id = call.text("id", reader).unwrap_or_default();
    let mut function = call.object("function", reader).unwrap_or_default();
    let Some(name) = function.text("name", reader) else {
        reader.reject(call.path("function.name"), "it is missing", "a text", "");
        return None;
    };
    // Some clients keep them as they parsed them.
    let arguments = match function.take("arguments") {
        None => "{}".to_owned(),
        Some(Json::Text(text)) => text.into_owned(),
        Some(other) => other.into_value().to_string(),
    };
    Some(Part::ToolCall(ToolCall::new(id, name, arguments)))
}

fn tool_result<'a>(fields: &mut Fields<'a>, reader: &mut Reader<'a>) -> Option<Part> {
    let path = fields.path("content");
    let parts = content(fields, reader);
    let mut text = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        match part {
            Part::Text(piece) => text.push_str(&piece),
            _ => {
                let fix = "put the picture into a user message behind the result";
                reader.reject(
                    format!("{path}[{index}]"),
                    "the result of a tool is a text",
                    "text parts",
                    fix,
                );
            }
        }
    }
    let Some(id) = fields.text("tool_call_id", reader) else {
        reader.reject(fields.path("tool_call_id"), "it is missing", "the id of a call", "");
        return None;
    };
    Some(Part::ToolResult(polysight::ToolResult::new(id, text)))
}
