//! Tokens of a request to Qianfan. How its cloud counts pictures is not published; here they are counted as the open
//! weights of the same family see them, and words by the stand-in of this crate.

use crate::chat::message::{Message, Part, Source};
use crate::chat::prompt::Prompt;
use crate::media::{Content, Medium};
use crate::tokens;
use crate::tokens::image_tokens::{cells, resize};

const CELL: u32 = 28;
const SQUARE: u64 = 28 * 28;
/// Marks before and after a picture.
const MARKS: u64 = 2;
const FRAMES_A_SECOND: f64 = 2.0;

/// Tokens of a conversation.
pub(crate) fn prompt(messages: &[Message<'_>]) -> Prompt {
    let parts = |message: &Message<'_>| message.parts.iter().map(part).sum::<u64>();
    let text = messages.iter().map(|message| tokens::PER_MESSAGE + parts(message)).sum();
    Prompt { text, ..Prompt::default() }
}

fn part(part: &Part<'_>) -> u64 {
    match part {
        Part::Text(text) => tokens::count(text),
        Part::Picture(Source::Inline(medium)) | Part::Video(Source::Inline(medium)) => inline(medium),
        Part::Picture(Source::Link(_)) => tokens::LINKED_PICTURE,
        Part::Video(Source::Link(_)) => tokens::LINKED_VIDEO,
        Part::Frames(_) | Part::Document(_) | Part::Unknown(_) => 0,
    }
}

fn inline(medium: &Medium) -> u64 {
    match &medium.content {
        Content::Picture(picture) => {
            let size = (u64::from(picture.height), u64::from(picture.width));
            cells(resize(size, CELL, 4 * SQUARE, 6177 * SQUARE), CELL) + MARKS
        }
        Content::Video(video) => match (video.seconds, video.size) {
            (Some(seconds), Some((width, height))) => {
                let frames = ((seconds * FRAMES_A_SECOND) as u64).clamp(16, 180).next_multiple_of(2);
                let size = resize((u64::from(height), u64::from(width)), CELL, 299 * SQUARE, 1196 * SQUARE);
                frames / 2 * cells(size, CELL)
            }
            _ => tokens::LINKED_VIDEO,
        },
        Content::Unknown => 0,
    }
}
