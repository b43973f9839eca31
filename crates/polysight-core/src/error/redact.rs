//! Keeps media, link secrets and control characters out of texts that are shown.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Longest text that a vendor's message may have in an error, in characters.
const MAX_SHOWN: usize = 600;
/// A run of base64 characters at least this long is taken for media.
const MEDIA_RUN: usize = 120;

/// Makes a text from outside fit for one line of an error or a log.
///
/// Runs of 120 and more base64 characters become their length, queries of URLs are cut off (they may be signed) and
/// users and passwords in them left out, white space and control characters become single spaces, and the whole is at most 600 characters long.
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
        // The cut may lie within dots that stand for a query already.
        shown.truncate(shown.trim_end_matches('.').len());
        shown.push_str("..");
    }
    shown
}

fn push_word(shown: &mut String, word: &str) {
    let is_url = word.contains("://");
    let word = if is_url { without_user(word) } else { Cow::Borrowed(word) };
    let mut rest = &*word;
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
        if next == Some('?') && is_url && !rest.is_empty() {
            shown.push_str("..");
            return;
        }
    }
}

/// Takes user and password out of a URL.
fn without_user(word: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = word.split_once("://") else { return Cow::Borrowed(word) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        None => Cow::Borrowed(word),
        Some((user, _)) => Cow::Owned(format!("{scheme}://..{}", rest.get(user.len()..).unwrap_or_default())),
    }
}

/// Writes line breaks and control characters as spaces, so that what is shown stays on one line.
pub(crate) struct OneLine<'a, W: ?Sized>(pub(crate) &'a mut W);

impl<W: Write + ?Sized> Write for OneLine<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        for (index, piece) in text.split(breaks).enumerate() {
            if index > 0 {
                self.0.write_char(' ')?;
            }
            self.0.write_str(piece)?;
        }
        Ok(())
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

    #[test]
    fn a_cut_behind_a_query_that_was_left_out_stays_as_it_is() {
        for before in 590..600 {
            let shown =
                redact(&format!("{}://h?query and more", "x ".repeat(before / 2) + &"y".repeat(before % 2)));
            assert_eq!(redact(&shown), shown);
        }
    }

    #[test]
    fn users_and_passwords_of_urls_are_left_out() {
        assert_eq!(redact("GET https://me:pw@host/a@b?x=1 failed"), "GET https://..@host/a@b?.. failed");
        assert_eq!(redact("socks5://p@ss:w@host"), "socks5://..@host");
        assert_eq!(redact("write to me@example.com"), "write to me@example.com");
        assert_eq!(redact("https://example.com/@me"), "https://example.com/@me");
    }

    #[test]
    fn odd_text_stays_on_one_line_and_short() {
        for odd in [
            "a\u{85}b\u{2028}c\u{2029}d\u{0}e\u{7f}f\u{9b}g\r\n\th".to_owned(),
            "👩‍👩‍👧‍👦".repeat(400),
            "é\u{301}?".repeat(900) + "://",
            "://?://?@@@".repeat(500),
            format!("图{}图", "A".repeat(120)),
            "\u{202e}\u{feff}".repeat(700),
            "A".repeat(100_000),
        ] {
            let shown = redact(&odd);
            assert!(
                !shown.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')),
                "{shown:?}"
            );
            assert!(shown.chars().count() <= MAX_SHOWN + 2);
            assert_eq!(redact(&shown), shown, "what was redacted stays");
        }
        assert_eq!(redact(&format!("图{}图", "A".repeat(120))), "图[120 characters]图");
        assert_eq!(redact(&"A".repeat(119)), "A".repeat(119));
    }

    #[test]
    fn a_long_hostile_text_costs_linear_time() {
        let started = std::time::Instant::now();
        for text in ["?".repeat(200_000), "? ".repeat(1_000_000), "a/?".repeat(700_000)] {
            assert!(redact(&text).chars().count() <= MAX_SHOWN + 2);
        }
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
