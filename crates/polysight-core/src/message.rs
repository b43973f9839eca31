//! Messages of a conversation and the parts they are made of.

use serde::{Deserialize, Serialize};

use crate::media::SourceMap;
use crate::{Image, Media, Result, ToolCall, ToolResult, Video};

/// Who speaks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display, strum::IntoStaticStr, Serialize, Deserialize,
)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageRole {
    /// Instructions to the model.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

impl MessageRole {
    /// The role's name on the wire of every vendor: `system`, `user`, `assistant`, `tool`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One piece of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// Text. Never taken for a path or a URL.
    Text(String),
    /// A picture.
    Image(Image),
    /// A video.
    Video(Video),
    /// A call that the model asked for, in an assistant message.
    ToolCall(ToolCall),
    /// A tool's result, in a tool message.
    ToolResult(ToolResult),
    /// The model's reasoning of an earlier turn, in an assistant message. Sent back only when the request's
    /// vendor extras ask for it; otherwise left out, as the vendors advise.
    Reasoning(String),
    /// A mark behind a text, picture or video: everything up to it comes again in later requests, so that the vendor should
    /// keep it in its prompt cache. It has no content. Models that take no marks get the request without it, recorded as a
    /// lossless change.
    CacheMark,
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Image> for Part {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl From<Video> for Part {
    fn from(video: Video) -> Self {
        Self::Video(video)
    }
}

impl From<Media> for Part {
    fn from(media: Media) -> Self {
        match media {
            Media::Image(image) => Self::Image(image),
            Media::Video(video) => Self::Video(video),
        }
    }
}

impl From<ToolCall> for Part {
    fn from(call: ToolCall) -> Self {
        Self::ToolCall(call)
    }
}

impl From<ToolResult> for Part {
    fn from(result: ToolResult) -> Self {
        Self::ToolResult(result)
    }
}

/// One message: who speaks, and what, in order.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::{Image, Message};
///
/// let question = Message::user("What differs?")
///     .with(Image::from_url("https://example.com/a.jpg").unwrap())
///     .with(Image::from_url("https://example.com/b.jpg").unwrap());
/// assert_eq!(question.parts.len(), 3);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: MessageRole,
    /// What is said, in the order in which the model reads it.
    pub parts: Vec<Part>,
}

impl Message {
    /// A message without parts yet.
    #[must_use]
    pub fn new(role: MessageRole) -> Self {
        Self { role, parts: Vec::new() }
    }

    /// Instructions to the model.
    #[must_use]
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(MessageRole::System).with(text.into())
    }

    /// A question; add pictures and videos by [`with`](Self::with).
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(MessageRole::User).with(text.into())
    }

    /// A question made of parts in the caller's own order.
    #[must_use]
    pub fn user_parts(parts: impl IntoIterator<Item = Part>) -> Self {
        Self { role: MessageRole::User, parts: parts.into_iter().collect() }
    }

    /// An earlier answer of the model.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(MessageRole::Assistant).with(text.into())
    }

    /// The result of the tool call with this id.
    #[must_use]
    pub fn tool_result(call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::new(MessageRole::Tool).with(ToolResult::new(call_id, content))
    }

    /// Adds a part at the end.
    #[must_use]
    pub fn with(mut self, part: impl Into<Part>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// Marks everything up to here, earlier messages included, as what comes again in later requests: see
    /// [`Part::CacheMark`].
    ///
    /// ```
    /// # use polysight_core as polysight;
    /// use polysight::{ChatRequest, Image, Message};
    ///
    /// let manual = Image::from_url("https://example.com/manual.jpg").unwrap();
    /// let question = Message::user_parts([manual.into()]).with_cache_mark().with("Which screw holds the lid?");
    /// assert_eq!(question.parts.len(), 3);
    /// ```
    #[must_use]
    pub fn with_cache_mark(self) -> Self {
        self.with(Part::CacheMark)
    }

    /// True when the message holds a picture or a video.
    #[must_use]
    pub fn has_media(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Image(_) | Part::Video(_)))
    }

    pub(crate) fn map_media(&mut self, map: &mut SourceMap<'_>) -> Result<()> {
        self.parts.iter_mut().try_for_each(|part| match part {
            Part::Image(image) => image.map_source(map),
            Part::Video(video) => video.map_source(map),
            Part::Text(_)
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Reasoning(_)
            | Part::CacheMark => Ok(()),
        })
    }

    /// The message's text parts, joined.
    #[must_use]
    pub fn text(&self) -> String {
        self.parts.iter().fold(String::new(), |mut all, part| {
            if let Part::Text(text) = part {
                all.push_str(text);
            }
            all
        })
    }
}
