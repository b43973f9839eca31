//! A dialogue that grows turn by turn.

use serde::{Deserialize, Serialize};

use crate::{ChatRequest, ChatResponse, MediaSource, Message, Result, Shared};

/// The messages of a dialogue so far.
///
/// Cloning is cheap: pictures are shared, never copied. Vendors count pictures over the whole dialogue, so a long one
/// may have to [forget](Self::forget_media) old pictures.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::{Conversation, Message};
///
/// let mut talk = Conversation::new().with_system("Answer briefly.");
/// talk.push(Message::user("What is in the picture?"));
/// assert_eq!(talk.request().messages.len(), 2);
/// ```
///
/// It can be stored and gone on with later, by any serde format. A picture is stored as its link, the path of its file, or
/// base64 where it is in memory; [`map_media`](Self::map_media) chooses otherwise. Stored links and texts are not redacted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conversation {
    messages: Shared<Vec<Message>>,
}

impl Conversation {
    /// An empty dialogue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with instructions to the model.
    #[must_use]
    pub fn with_system(mut self, text: impl Into<String>) -> Self {
        self.messages.insert(0, Message::system(text));
        self
    }

    /// Adds a message at the end.
    pub fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// Adds the model's answer, its tool calls included, as the next assistant message. An answer without text and
    /// calls is not added: vendors refuse empty messages.
    pub fn push_response(&mut self, response: &ChatResponse) {
        if !(response.text.is_empty() && response.tool_calls.is_empty()) {
            self.messages.push(response.to_message());
        }
    }

    /// The messages so far.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// A request that asks for the next answer.
    #[must_use]
    pub fn request(&self) -> ChatRequest {
        ChatRequest { messages: self.messages.clone(), ..ChatRequest::default() }
    }

    /// Replaces where the bytes of each picture and video are, for example by [`MediaSource::in_memory`] before a dialogue is
    /// stored.
    ///
    /// # Errors
    /// The first error of `map`.
    pub fn map_media(mut self, mut map: impl FnMut(&MediaSource) -> Result<MediaSource>) -> Result<Self> {
        self.messages.iter_mut().try_for_each(|message| message.map_media(&mut map))?;
        Ok(self)
    }

    /// Drops the pictures and videos of all but the newest `keep` messages that hold any, and says how many parts
    /// were dropped. Text stays; a message of media alone becomes `[media left out]`, since vendors refuse empty ones.
    pub fn forget_media(&mut self, keep: usize) -> usize {
        let is_media = |part: &crate::Part| matches!(part, crate::Part::Image(_) | crate::Part::Video(_));
        let mut dropped = 0;
        let with_media = self.messages.iter_mut().rev().filter(|message| message.has_media());
        for message in with_media.skip(keep) {
            let before = message.parts.len();
            message.parts.retain(|part| !is_media(part));
            dropped += before - message.parts.len();
            if message.parts.is_empty() {
                message.parts.push("[media left out]".into());
            }
        }
        dropped
    }
}
