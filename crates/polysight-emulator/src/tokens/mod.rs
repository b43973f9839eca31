//! How tokens are counted here: a plain rule of our own, the same on every machine.
//!
//! No vendor publishes the tokeniser of its hosted models, so these numbers are stand-ins: steady, roughly of the right
//! size, and never a price. A CJK character, kana or Hangul syllable is one token. Every other word is cut into
//! pieces of at most four bytes of UTF-8, at character borders, and each piece is one token. White space costs
//! nothing: it belongs to the piece after it.

pub(crate) mod ernie;
pub(crate) mod image_tokens;
pub(crate) mod qwen;
pub(crate) mod zhipu;

use crate::media::{Content, Medium};

/// What each message costs besides its parts.
pub(crate) const PER_MESSAGE: u64 = 3;
/// What a picture costs that is only named by URL and therefore not measured.
pub(crate) const LINKED_PICTURE: u64 = 1000;
/// What a video costs that is only named by URL, or whose duration is unknown.
pub(crate) const LINKED_VIDEO: u64 = 4000;
const PER_VIDEO_SECOND: f64 = 200.0;

/// Tokens of a text.
pub(crate) fn count(text: &str) -> u64 {
    pieces(text).count() as u64
}

/// Tokens of an inline picture or video: 20 and one per started square of 28 x 28 px, or 200 per started second.
pub(crate) fn count_medium(medium: &Medium) -> u64 {
    match &medium.content {
        Content::Picture(picture) => {
            20 + u64::from(picture.width.div_ceil(28)) * u64::from(picture.height.div_ceil(28))
        }
        Content::Video(video) => match video.seconds {
            Some(seconds) => (seconds.ceil() * PER_VIDEO_SECOND).clamp(PER_VIDEO_SECOND, 1e9) as u64,
            None => LINKED_VIDEO,
        },
        Content::Unknown => 0,
    }
}

/// The text as tokens. Concatenated they give the text again.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(piece_length(rest));
        rest = after;
        Some(piece)
    })
}

/// The longest beginning of a text that has at most `limit` tokens.
pub(crate) fn truncate(text: &str, limit: u64) -> &str {
    let length = pieces(text).take(usize::try_from(limit).unwrap_or(usize::MAX)).map(str::len).sum();
    text.get(..length).unwrap_or(text)
}

fn piece_length(text: &str) -> usize {
    let blank = text.len() - text.trim_start().len();
    let word = text.trim_start();
    let mut taken = 0;
    for (at, character) in word.char_indices() {
        if character.is_whitespace() || (at > 0 && is_wide(character)) {
            break;
        }
        if is_wide(character) {
            taken = character.len_utf8();
            break;
        }
        if at + character.len_utf8() > 4 && at > 0 {
            break;
        }
        taken = at + character.len_utf8();
    }
    let length = blank + taken;
    // White space at the very end belongs to the last piece.
    if text.get(length..).is_some_and(|after| after.trim().is_empty()) { text.len() } else { length }
}

fn is_wide(character: char) -> bool {
    matches!(character,
        '\u{2E80}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}'
        | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words_by_four_bytes_and_wide_characters_one_by_one() {
        for (text, expected) in [
            ("", 0),
            ("a", 1),
            ("cats", 1),
            ("tiger", 2),
            ("two words", 1 + 2),
            ("图里有什么", 5),
            ("GLM看图", 3),
            ("안녕", 2),
            ("  spaced  ", 2),
            ("   ", 1),
            ("äöüß", 2),
        ] {
            assert_eq!(count(text), expected, "{text:?}");
        }
    }

    #[test]
    fn pieces_make_the_text_again() {
        let text = "Picture 1: 图片 😀😀, tail\n\n";
        assert_eq!(pieces(text).collect::<String>(), text);
        assert_eq!(truncate(text, 2), "Picture");
        assert_eq!(truncate(text, 10_000), text);
    }
}
