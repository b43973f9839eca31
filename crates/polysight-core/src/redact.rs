//! Keeps media, link secrets and control characters out of texts that are shown.

use std::fmt::Write as _;

/// Longest text that a vendor's message may have in an error, in characters.
const MAX_SHOWN: usize = 600;
/// A run of base64 characters at least this long is taken for media.
const MEDIA_RUN: usize = 120;

/// Makes a text from outside fit for one line of an error or a log.
///
/// Runs of 120 and more base64 characters become their length, queries of URLs are cut off (they may be signed),
/// white space and control characters become single spaces, and the whole is at most 600 characters long.
///
/// ```
/// let text = polysight_core::redact("cannot fetch\nhttps://cdn.example/a.jpg?sign=abc: 404");
/// assert_eq!(text, "cannot fetch https://cdn.example/a.jpg?.. 404");
/// ```
#[must_use]
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_SHOWN * 4));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        push_word(&mut shown, word);
        if shown.len() > MAX_SHOWN * 4 {
            break;
        }
    }
    if let Some((cut, _)) = shown.char_indices().nth(MAX_SHOWN) {
        shown.truncate(cut);
        shown.push_str("..");
    }
    shown
}

fn push_word(shown: &mut String, word: &str) {
    let mut rest = word;
    while !rest.is_empty() {
        let run = rest.bytes().take_while(|byte| is_base64(*byte)).count();
        if run >= MEDIA_RUN {
            let _ = write!(shown, "[{run} characters]");
            rest = rest.get(run..).unwrap_or_default();
            continue;
        }
        let next = rest.get(run..).and_then(|tail| tail.chars().next());
        let taken = run + next.map_or(0, char::len_utf8);
        let piece = rest.get(..taken).unwrap_or(rest);
        shown.push_str(piece);
        rest = rest.get(taken..).unwrap_or_default();
        if next == Some('?') && word.contains("://") && !rest.is_empty() {
            shown.push_str("..");
            return;
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_becomes_its_length() {
        let text = redact(&format!("bad image data:image/png;base64,{} here", "iVBOR".repeat(40)));
        assert_eq!(text, "bad image data:image/png;base64,[200 characters] here");
    }

    #[test]
    fn ordinary_text_stays() {
        assert_eq!(redact("模型不存在，请检查模型代码。"), "模型不存在，请检查模型代码。");
        assert_eq!(redact("why? because"), "why? because");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let text = redact(&"图 ".repeat(2_000));
        assert_eq!(text.chars().count(), MAX_SHOWN + 2);
    }
}
