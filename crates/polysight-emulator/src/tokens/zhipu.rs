//! Tokens of a request to Zhipu, by the stand-ins of this crate.

use crate::chat::message::{Message, Part, Source};
use crate::tokens;

/// Tokens of the whole conversation.
pub(crate) fn prompt(messages: &[Message<'_>]) -> u64 {
    let parts = |message: &Message<'_>| message.parts.iter().map(part_tokens).sum::<u64>();
    messages.iter().map(|message| tokens::PER_MESSAGE + parts(message)).sum()
}

fn part_tokens(part: &Part<'_>) -> u64 {
    match part {
        Part::Text(text) => tokens::count(text),
        Part::Picture(Source::Inline(medium)) | Part::Video(Source::Inline(medium)) => {
            tokens::count_medium(medium)
        }
        Part::Picture(Source::Link(_)) => tokens::LINKED_PICTURE,
        Part::Video(Source::Link(_)) => tokens::LINKED_VIDEO,
        Part::Frames(frames) => tokens::LINKED_PICTURE * frames.len() as u64,
        Part::Document(_) => tokens::LINKED_PICTURE,
        Part::Unknown(_) => 0,
    }
}
