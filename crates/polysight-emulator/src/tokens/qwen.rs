//! Tokens as DashScope counts them: pictures and videos by its published formula, words by the stand-in of this crate.

use crate::chat::message::{Frames, Message, Part, Source};
use crate::chat::prompt::Prompt;
use crate::json::Json;
use crate::media::Content;
use crate::models::QwenLimits;
use crate::tokens;
use crate::tokens::image_tokens::{Size, cells, resize};

/// Marks before and after a picture or a video.
const MARKS: u64 = 2;
/// Tokens of a picture in high resolution, at most.
const HIGH_RESOLUTION: u64 = 16_384;
const PER_MESSAGE: u64 = 5;
const OPENING: u64 = 3;
const FRAMES_A_SECOND: f64 = 2.0;

/// A part of a message with the hints beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'r> {
    pub(crate) part: Part<'r>,
    /// The part as it stands in the request; `None` for one without hints.
    json: Option<&'r Json>,
}

impl<'r> Item<'r> {
    pub(crate) fn new(part: Part<'r>, json: &'r Json) -> Self {
        Self { part, json: Some(json) }
    }

    /// A part without hints.
    pub(crate) fn bare(part: Part<'r>) -> Self {
        Self { part, json: None }
    }

    /// Whether the prompt up to here is to be kept.
    pub(crate) fn has_cache_mark(&self) -> bool {
        self.json.is_some_and(|json| json.get("cache_control").is_some_and(|mark| *mark != Json::Null))
    }

    /// A number beside the medium, or inside it, where some clients put it.
    pub(crate) fn hint(&self, name: &str) -> Option<f64> {
        let inside = || ["image_url", "video_url"].iter().find_map(|key| self.json?.get(key)?.get(name));
        self.json?.get(name).or_else(inside)?.number()?.as_f64()
    }

    /// The same as whole pixels or frames.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.hint(name).filter(|value| *value >= 1.0).map(|value| value as u64)
    }
}

/// Tokens of a conversation of this many messages, pictures in high resolution or not.
pub(crate) fn prompt(items: &[Item<'_>], messages: usize, model: &QwenLimits, high: bool) -> Prompt {
    let template = PER_MESSAGE * messages as u64 + OPENING;
    let mut prompt = Prompt { text: template, ..Prompt::default() };
    for item in items {
        let (sum, tokens) = match item.part {
            Part::Text(text) => {
                prompt.text += tokens::count(text);
                continue;
            }
            Part::Picture(source) => (&mut prompt.image, picture(item, source, model, high)),
            Part::Video(source) => (&mut prompt.video, video(item, source, model)),
            Part::Frames(frames) => (&mut prompt.video, frame_list(item, frames, model)),
            Part::Document(_) | Part::Unknown(_) => continue,
        };
        *sum = Some(sum.unwrap_or(0) + tokens);
    }
    prompt
}

/// Tokens of a conversation without hints.
pub(crate) fn plain_prompt(messages: &[Message<'_>], model: &QwenLimits) -> Prompt {
    let parts = messages.iter().flat_map(|message| message.parts.iter().copied());
    prompt(&parts.map(Item::bare).collect::<Vec<_>>(), messages.len(), model, false)
}

/// The size to which a picture is brought; `None` for one that is only linked.
pub(crate) fn resized(item: &Item<'_>, source: Source<'_>, model: &QwenLimits, high: bool) -> Option<Size> {
    let class = model.pixels;
    let cell = u64::from(class.cell);
    let most = match item.count("max_pixels") {
        _ if high => HIGH_RESOLUTION * cell * cell,
        Some(wanted) => wanted.min(class.ceiling),
        None => class.most,
    };
    Some(resize(size_of(source)?, class.cell, item.count("min_pixels").unwrap_or(class.least), most))
}

fn picture(item: &Item<'_>, source: Source<'_>, model: &QwenLimits, high: bool) -> u64 {
    resized(item, source, model, high)
        .map_or(tokens::LINKED_PICTURE, |size| cells(size, model.pixels.cell) + MARKS)
}

/// Height and width.
fn size_of(source: Source<'_>) -> Option<Size> {
    let Source::Inline(medium) = source else { return None };
    let (width, height) = match &medium.content {
        Content::Picture(picture) => (picture.width, picture.height),
        Content::Video(video) => video.size?,
        Content::Unknown => return None,
    };
    Some((u64::from(height), u64::from(width)))
}

/// A file is sampled at its rate; a length or size that is not known counts as a stand-in.
fn video(item: &Item<'_>, source: Source<'_>, model: &QwenLimits) -> u64 {
    let seconds = match source {
        Source::Inline(medium) => medium.video().and_then(|video| video.seconds),
        Source::Link(_) => None,
    };
    let (Some(seconds), Some(size)) = (seconds, size_of(source)) else { return tokens::LINKED_VIDEO };
    let most = item.count("max_frames").unwrap_or(model.frames).min(model.frames).max(4);
    let wanted = (seconds * item.hint("fps").unwrap_or(FRAMES_A_SECOND)) as u64;
    frames(item, wanted.clamp(4, most).next_multiple_of(2), size, model)
}

/// The first frame that was measured stands for all.
fn frame_list(item: &Item<'_>, list: Frames<'_>, model: &QwenLimits) -> u64 {
    let count = list.len() as u64;
    match list.sources().flatten().find_map(size_of) {
        Some(size) => frames(item, count, size, model),
        None => tokens::LINKED_PICTURE * count,
    }
}

fn frames(item: &Item<'_>, count: u64, size: Size, model: &QwenLimits) -> u64 {
    let class = model.pixels;
    let least = item.count("min_pixels").unwrap_or(class.frame_least);
    let (default, ceiling) = class.frame_most;
    let most = item.count("max_pixels").map_or(default, |wanted| wanted.min(ceiling));
    let total = item.count("total_pixels").unwrap_or(class.video_total);
    // Two frames after each other become one.
    let share = total as f64 / count as f64 * 2.0;
    let budget = (most as f64).min(share).max((least as f64 * 1.05).floor());
    count.div_ceil(2) * cells(resize(size, class.cell, least, budget as u64), class.cell) + MARKS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Medium, Origin, Picture};
    use crate::models::qwen_model;

    fn medium(width: u32, height: u32) -> Medium {
        let content =
            Content::Picture(Picture { format: "PNG", width, height, mean: None, rectangles: Vec::new() });
        Medium { bytes: 1, sha256: String::new(), content, origin: Origin::Upload }
    }

    fn tokens_of(model: &str, width: u32, height: u32, high: bool) -> u64 {
        let medium = medium(width, height);
        let source = Source::Inline(&medium);
        picture(&Item::bare(Part::Picture(source)), source, qwen_model(model).unwrap(), high)
    }

    #[test]
    fn agrees_with_the_vendors_formula_for_pictures() {
        for (width, height, vl3, vl25, vl3_high, vl25_high, ocr) in [
            (11, 11, 66, 6, 66, 6, 6),
            (224, 224, 66, 66, 66, 66, 51),
            (256, 256, 66, 83, 66, 83, 66),
            (512, 512, 258, 326, 258, 326, 258),
            (640, 480, 302, 393, 302, 393, 302),
            (1024, 768, 770, 1001, 770, 1001, 770),
            (1024, 1024, 1026, 1227, 1026, 1371, 1026),
            (1280, 720, 882, 1198, 882, 1198, 882),
            (1920, 1080, 2042, 1224, 2042, 2693, 2042),
            // Recorded from the live service in 2026: 2503.
            (2048, 1365, 2503, 1249, 2754, 3579, 2754),
            (3840, 2160, 2481, 1224, 8162, 10_551, 8162),
            (4032, 3024, 2496, 1232, 11_846, 15_554, 8114),
            (7680, 4320, 2481, 1224, 16_322, 16_322, 8042),
            (100, 2000, 188, 286, 188, 286, 188),
            (2200, 11, 71, 81, 71, 81, 71),
        ] {
            let name = format!("{width}x{height}");
            assert_eq!(tokens_of("qwen3-vl-plus", width, height, false), vl3, "{name}");
            assert_eq!(tokens_of("qwen2.5-vl-7b-instruct", width, height, false), vl25, "{name}");
            assert_eq!(tokens_of("qwen3-vl-plus", width, height, true), vl3_high, "{name}");
            assert_eq!(tokens_of("qwen2.5-vl-7b-instruct", width, height, true), vl25_high, "{name}");
            assert_eq!(tokens_of("qwen-vl-ocr-latest", width, height, false), ocr, "{name}");
        }
    }

    #[test]
    fn agrees_with_the_vendors_formula_for_videos() {
        let item = Item::bare(Part::Text(""));
        for (width, height, count, vl3, vl25) in [
            (1280, 720, 4, 1190, 1190),
            (1280, 720, 20, 5942, 5942),
            (640, 360, 30, 3302, 4487),
            (1920, 1080, 120, 35_642, 35_642),
            (1920, 1080, 1200, 125_402, 54_602),
            (1920, 1080, 2000, 120_002, 60_002),
        ] {
            let name = format!("{width}x{height}, {count}");
            for (model, expected) in [("qwen3-vl-plus", vl3), ("qwen2.5-vl-7b-instruct", vl25)] {
                assert_eq!(
                    frames(&item, count, (height, width), qwen_model(model).unwrap()),
                    expected,
                    "{name}"
                );
            }
        }
    }
}
