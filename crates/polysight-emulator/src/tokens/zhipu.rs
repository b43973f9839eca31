//! Tokens of a request to Zhipu: pictures of GLM-4.1V to GLM-4.6V as their open weights count them, the rest by the stand-ins of
//! this crate.

use crate::chat::message::{Message, Part, Source};
use crate::chat::prompt::Prompt;
use crate::media::{Content, Medium};
use crate::models::ModelLimits;
use crate::tokens;
use crate::tokens::image_tokens::{cells, resize};

const CELL: u32 = 28;
const SQUARE: u64 = 28 * 28;
/// A picture counts as two frames, for which the budgets of pixels hold together.
const LEAST: u64 = 112 * 112 / 2;
const MOST: u64 = SQUARE * 15_000 / 2;
/// Marks before and after a picture.
const MARKS: u64 = 2;

/// Tokens of the whole conversation, by kind. Without a model pictures are counted by the stand-in.
pub(crate) fn counted(messages: &[Message<'_>], model: Option<&ModelLimits>) -> Prompt {
    let is_counted_by_weights =
        |id: &str| ["glm-4.1v", "glm-4.5v", "glm-4.6v"].iter().any(|family| id.starts_with(family));
    let by_weights = model.is_some_and(|model| is_counted_by_weights(model.id));
    let mut prompt = Prompt { image: Some(0), video: Some(0), ..Prompt::default() };
    prompt.text = tokens::PER_MESSAGE * messages.len() as u64;
    for part in messages.iter().flat_map(|message| &message.parts) {
        let (sum, tokens) = match part {
            Part::Text(text) => {
                prompt.text += tokens::count(text);
                continue;
            }
            Part::Picture(Source::Inline(medium)) if by_weights => (&mut prompt.image, by_cells(medium)),
            Part::Picture(Source::Inline(medium)) => (&mut prompt.image, tokens::count_medium(medium)),
            Part::Picture(Source::Link(_)) => (&mut prompt.image, tokens::LINKED_PICTURE),
            Part::Video(Source::Inline(medium)) => (&mut prompt.video, tokens::count_medium(medium)),
            Part::Video(Source::Link(_)) => (&mut prompt.video, tokens::LINKED_VIDEO),
            Part::Frames(frames) => (&mut prompt.video, tokens::LINKED_PICTURE * frames.len() as u64),
            Part::Document(_) => (&mut prompt.image, tokens::LINKED_PICTURE),
            Part::Unknown(_) => continue,
        };
        *sum = Some(sum.unwrap_or(0) + tokens);
    }
    prompt
}

/// Tokens of the whole conversation.
pub(crate) fn prompt(messages: &[Message<'_>], model: Option<&ModelLimits>) -> u64 {
    counted(messages, model).total()
}

/// Sides shorter than a cell are first brought to one.
fn by_cells(medium: &Medium) -> u64 {
    let Content::Picture(picture) = &medium.content else { return tokens::count_medium(medium) };
    let (mut height, mut width) = (u64::from(picture.height), u64::from(picture.width));
    let (short, cell) = (height.min(width).max(1), u64::from(CELL));
    if short < cell {
        (height, width) = (height * cell / short, width * cell / short);
    }
    cells(resize((height, width), CELL, LEAST, MOST), CELL) + MARKS
}
