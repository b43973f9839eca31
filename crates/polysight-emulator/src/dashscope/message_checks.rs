//! What DashScope checks of the conversation.

use super::checks::refuse_if;
use super::inquiry::Inquiry;
use super::refusal::{Dialect, Refusal};
use crate::chat::message::{Message, Part, Role};
use crate::json::Json;

/// There are messages, and one of them is a user's.
pub(super) fn present(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    match inquiry.raw_messages {
        None if inquiry.dialect == Dialect::Native => Err(Refusal::plain("BadRequest.EmptyInput")),
        None => Err(Refusal::told("invalid_request_error", "'messages' is a required property")),
        Some(Json::List(messages)) => {
            refuse_if(messages.is_empty(), || Refusal::parameter("[] is too short - 'messages'"))
        }
        Some(_) => Err(Refusal::parameter("'messages' should be an array")),
    }
}

const ROLE_OR_CONTENT: &str = "Role must be user or assistant and Content length must be greater than 0";

/// Roles are known and nobody says nothing.
pub(super) fn readable(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let sound = inquiry.messages.is_some() && inquiry.messages().iter().all(says_something);
    refuse_if(!sound, || Refusal::parameter(ROLE_OR_CONTENT))?;
    refuse_if(!inquiry.has_user(), || {
        Refusal::engine("The input messages do not contain elements with the role of user")
    })
}

fn says_something(message: &Message<'_>) -> bool {
    match message.role {
        Role::User | Role::System => !message.is_empty(),
        Role::Assistant => !message.is_empty() || !message.calls.is_empty(),
        Role::Tool => true,
    }
}

/// Every part is of a kind that this interface knows.
pub(super) fn parts(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let unknown = inquiry.items().iter().find_map(|item| match item.part {
        Part::Unknown(kind) => Some(kind),
        Part::Document(_) => Some("file"),
        _ => None,
    });
    let Some(kind) = unknown else { return Ok(()) };
    Err(match inquiry.dialect {
        Dialect::Native => Refusal::engine("The item of content should be a message of a certain modal"),
        Dialect::Compatible => Refusal::engine(format!(
            "Invalid value: {kind}. Supported values are: 'text', 'image_url', 'video_url' and 'video'."
        )),
    })
}

/// The last word is a user's or a tool's, or the beginning of an answer to be continued. The engine does not word this well.
pub(super) fn last(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let raw = inquiry.raw_messages.and_then(|messages| messages.list()?.last());
    let partial = raw.and_then(|message| message.get("partial")?.bool()).unwrap_or(false);
    let role = inquiry.messages().last().map(|message| message.role);
    let sound = matches!(role, Some(Role::User | Role::Tool)) || (role == Some(Role::Assistant) && partial);
    refuse_if(!sound, || Refusal::told("InternalError.Algo", "list index out of range"))
}

/// Whoever wants an object must say so in words too.
pub(super) fn json_is_named(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let wanted = inquiry.field("response_format").and_then(|format| format.get("type")?.text());
    let mut texts = inquiry.messages().iter().flat_map(Message::texts);
    let named = texts.any(|text| text.to_ascii_lowercase().contains("json"));
    refuse_if(wanted == Some("json_object") && !named, || {
        Refusal::engine(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        )
    })
}
