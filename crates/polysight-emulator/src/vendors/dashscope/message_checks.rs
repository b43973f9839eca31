//! What DashScope checks of the conversation.

use super::error_body::{engine, parameter};
use super::parsed_request::{Dialect, Request, items};
use crate::chat::message::{Message, Part, Role};
use crate::json::Json;
use crate::refusal::{Refusal, refuse_if};

/// There are messages, and one of them is a user's.
pub(super) fn present(request: &Request<'_>) -> Result<(), Refusal> {
    match request.raw_messages {
        None if request.extra.dialect == Dialect::Native => Err(Refusal::plain("BadRequest.EmptyInput")),
        None => Err(Refusal::with_message("invalid_request_error", "'messages' is a required property")),
        Some(Json::List(messages)) => {
            refuse_if(messages.is_empty(), || parameter("[] is too short - 'messages'"))
        }
        Some(_) => Err(parameter("'messages' should be an array")),
    }
}

const ROLE_OR_CONTENT: &str = "Role must be user or assistant and Content length must be greater than 0";

/// Roles are known and no message is empty.
pub(super) fn readable(request: &Request<'_>) -> Result<(), Refusal> {
    let sound = request.messages.is_some() && request.messages().iter().all(Message::says_something);
    refuse_if(!sound, || parameter(ROLE_OR_CONTENT))?;
    let user = request.messages().iter().any(|message| message.role == Role::User);
    refuse_if(!user, || engine("The input messages do not contain elements with the role of user"))
}

/// Every part is of a kind that this interface knows.
pub(super) fn parts(request: &Request<'_>) -> Result<(), Refusal> {
    let unknown = items(request).iter().find_map(|item| match item.part {
        Part::Unknown(kind) => Some(kind),
        Part::Document(_) => Some("file"),
        _ => None,
    });
    let Some(kind) = unknown else { return Ok(()) };
    Err(match request.extra.dialect {
        Dialect::Native => engine("The item of content should be a message of a certain modal"),
        Dialect::Compatible => engine(format!(
            "Invalid value: {kind}. Supported values are: 'text', 'image_url', 'video_url' and 'video'."
        )),
    })
}

/// The last word is a user's or a tool's, or the beginning of an answer to be continued. The engine does not word this well.
pub(super) fn last(request: &Request<'_>) -> Result<(), Refusal> {
    let raw = request.raw_messages.and_then(|messages| messages.list()?.last());
    let partial = raw.and_then(|message| message.get("partial")?.bool()).unwrap_or(false);
    let role = request.messages().last().map(|message| message.role);
    let sound = matches!(role, Some(Role::User | Role::Tool)) || (role == Some(Role::Assistant) && partial);
    refuse_if(!sound, || Refusal::with_message("InternalError.Algo", "list index out of range"))
}

/// A request for an object must say so in its text too.
pub(super) fn json_is_named(request: &Request<'_>) -> Result<(), Refusal> {
    let wanted = request.type_of("response_format");
    let mut texts = request.messages().iter().flat_map(Message::texts);
    let named = texts.any(|text| text.to_ascii_lowercase().contains("json"));
    refuse_if(wanted == Some("json_object") && !named, || {
        engine(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        )
    })
}
