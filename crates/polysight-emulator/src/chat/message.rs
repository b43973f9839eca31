//! The conversation of a request, read leniently: the vendor's checks say what is wrong with it.

use crate::json::Json;
use crate::media::Medium;

#[derive(Clone, Copy, Debug, Hash, PartialEq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
    Tool,
}

#[derive(Debug)]
pub(crate) struct Message<'r> {
    pub(crate) role: Role,
    pub(crate) parts: Vec<Part<'r>>,
    /// Ids of the tool calls that an assistant made.
    pub(crate) calls: Vec<&'r str>,
    /// The call that a tool message answers.
    pub(crate) call_id: Option<&'r str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part<'r> {
    Text(&'r str),
    Picture(Source<'r>),
    Video(Source<'r>),
    /// A video as a list of pictures.
    Frames(Frames<'r>),
    Document(Source<'r>),
    /// A type that is not understood, or a known type without its content.
    Unknown(&'r str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Source<'r> {
    Inline(&'r Medium),
    /// Whatever was not base64: a link, or garbage.
    Link(&'r str),
}

/// The pictures of a video, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frames<'r> {
    list: &'r [Json],
    media: &'r [Medium],
}

impl<'r> Frames<'r> {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The frames; `None` for what is no string.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Option<Source<'r>>> + use<'r> {
        let media = self.media;
        self.list.iter().map(move |frame| to_source(frame, media))
    }
}

impl<'r> Message<'r> {
    /// All text parts, one a line.
    pub(crate) fn text(&self) -> String {
        self.texts().collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &'r str> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(*text),
            _ => None,
        })
    }

    /// Whether it has what its role needs: content, or calls of an assistant. A tool may well return nothing.
    pub(crate) fn says_something(&self) -> bool {
        match self.role {
            Role::User | Role::System => !self.is_empty(),
            Role::Assistant => !self.is_empty() || !self.calls.is_empty(),
            Role::Tool => true,
        }
    }

    /// Whether there is anything to read or look at.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(text) if text.is_empty()))
    }
}

impl<'r> Part<'r> {
    /// A video as one file, or as a list of frames.
    pub(crate) fn video(value: &'r Json, media: &'r [Medium]) -> Option<Self> {
        match value {
            Json::List(list) => Some(Self::Frames(Frames { list, media })),
            other => to_source(other, media).map(Self::Video),
        }
    }
}

/// Reads `messages`; `None` where it is not a list of messages with known roles.
pub(crate) fn parse<'r>(messages: &'r Json, media: &'r [Medium]) -> Option<Vec<Message<'r>>> {
    parse_with(messages, media, parse_part)
}

/// The same, with the vendor's own way of reading a part.
pub(crate) fn parse_with<'r>(
    messages: &'r Json,
    media: &'r [Medium],
    part: fn(&'r Json, &'r [Medium]) -> Part<'r>,
) -> Option<Vec<Message<'r>>> {
    messages.list()?.iter().map(|message| parse_message(message, media, part)).collect()
}

fn parse_message<'r>(
    message: &'r Json,
    media: &'r [Medium],
    part: fn(&'r Json, &'r [Medium]) -> Part<'r>,
) -> Option<Message<'r>> {
    let role = match message.get("role")?.text()? {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return None,
    };
    let parts = match message.get("content") {
        None => Vec::new(),
        Some(Json::Text(text)) => vec![Part::Text(text)],
        Some(Json::List(parts)) => parts.iter().map(|json| part(json, media)).collect(),
        Some(_) => return None,
    };
    let calls = message.get("tool_calls").and_then(Json::list).unwrap_or_default();
    let calls = calls.iter().filter_map(|call| call.get("id")?.text()).collect();
    Some(Message { role, parts, calls, call_id: message.get("tool_call_id").and_then(Json::text) })
}

/// A part of the OpenAI kind.
pub(crate) fn parse_part<'r>(part: &'r Json, media: &'r [Medium]) -> Part<'r> {
    let kind = part.get("type").and_then(Json::text).unwrap_or_default();
    let source = |keys: &[&str]| {
        let value = part.get(kind)?;
        // A bare string in place of the object is what some clients send and some servers take.
        let inner = keys.iter().find_map(|key| value.get(key)).unwrap_or(value);
        to_source(inner, media)
    };
    let known = match kind {
        "text" => part.get("text").and_then(Json::text).map(Part::Text),
        "image_url" => source(&["url"]).map(Part::Picture),
        "video_url" => source(&["url"]).map(Part::Video),
        "file_url" => source(&["url"]).map(Part::Document),
        "file" => source(&["file_data", "file_url", "file_id"]).map(Part::Document),
        _ => None,
    };
    known.unwrap_or(Part::Unknown(kind))
}

/// Bytes, or a text in place of them.
pub(crate) fn to_source<'r>(value: &'r Json, media: &'r [Medium]) -> Option<Source<'r>> {
    match value {
        Json::Media(index) => media.get(*index).map(Source::Inline),
        Json::Text(text) => Some(Source::Link(text)),
        _ => None,
    }
}
