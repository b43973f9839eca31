//! Keeps media, link secrets and control characters out of texts that are shown.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::iter::Peekable;

/// Longest text that a vendor's message may have in an error, in characters.
const MAX_SHOWN: usize = 600;
/// A run of base64 characters at least this long is taken for media.
const MEDIA_RUN: usize = 120;
/// Shortest line of base64 that is taken for a part of wrapped media; lines of mail and PEM have 76 and 64 characters.
const MEDIA_LINE: usize = 40;

/// Makes a text from outside fit for one line of an error or a log.
///
/// Runs of 120 and more base64 characters become their length, also where they are wrapped over lines or their slashes are
/// escaped. Queries of URLs are cut off (they may be signed), with or without a scheme, and users and passwords in them left
/// out. White space and control characters become single spaces, and the whole is at most 600 characters long.
///
/// ```
/// let text = polysight_core::redact("cannot fetch\nhttps://cdn.example/a.jpg?sign=abc: 404");
/// assert_eq!(text, "cannot fetch https://cdn.example/a.jpg?.. 404");
/// ```
#[must_use]
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_SHOWN * 4));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut words = words.map(unescaped).peekable();
    while let Some(word) = words.next() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        match wrapped(&word, &mut words) {
            Some((front, length, rest)) => {
                push_word(&mut shown, front);
                let _ = write!(shown, "[{length} characters]");
                push_word(&mut shown, &rest);
            }
            None => push_word(&mut shown, &word),
        }
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

/// Slashes as they are without the backslashes by which JSON may escape them.
fn unescaped(word: &str) -> Cow<'_, str> {
    if !word.contains("\\/") {
        return Cow::Borrowed(word);
    }
    let mut plain = String::with_capacity(word.len());
    for c in word.chars() {
        if c == '/' {
            plain.truncate(plain.trim_end_matches('\\').len());
        }
        plain.push(c);
    }
    Cow::Owned(plain)
}

/// Takes base64 that is wrapped over several words: what stands before it, its length, and what stands right behind it.
fn wrapped<'w, 't>(
    word: &'w str,
    following: &mut Peekable<impl Iterator<Item = Cow<'t, str>>>,
) -> Option<(&'w str, usize, String)> {
    let mut length = word.bytes().rev().take_while(|byte| is_base64(*byte)).count();
    if length >= MEDIA_RUN || !begins_media(word, length) {
        return None;
    }
    let front = word.get(..word.len() - length)?;
    // A single word that follows may be anything; a second line is needed to know.
    let second = following.peek().map_or(0, |next| base64_start(next));
    if second < MEDIA_LINE {
        return None;
    }
    let mut rest = String::new();
    while let Some(next) = following.next_if(|next| continues(next)) {
        let run = base64_start(&next);
        length += run;
        rest = next.get(run..).unwrap_or_default().to_owned();
        if run < MEDIA_LINE || !rest.is_empty() {
            break;
        }
    }
    Some((front, length, rest))
}

/// Whether so many characters at the end of a word may be the first line of wrapped media, which other words make shorter.
fn begins_media(word: &str, length: usize) -> bool {
    let end = word.get(word.len() - length..).unwrap_or_default();
    length >= MEDIA_LINE || word.contains(";base64,") || end.bytes().any(|byte| byte.is_ascii_digit())
}

fn base64_start(word: &str) -> usize {
    word.bytes().take_while(|byte| is_base64(*byte)).count()
}

/// Whether a word is the next line of wrapped base64: a whole line, or a last short one that is no word of a language.
fn continues(word: &str) -> bool {
    let run = base64_start(word);
    let is_odd = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'/' | b'=');
    run >= MEDIA_LINE || word.bytes().take(run).any(is_odd)
}

fn push_word(shown: &mut String, word: &str) {
    let is_url = word.contains("://");
    let word = if is_url { without_user(word) } else { Cow::Borrowed(word) };
    let (word, query) = without_query(&word, is_url);
    let mut rest = word;
    while !rest.is_empty() {
        let run = base64_start(rest);
        if run >= MEDIA_RUN {
            let _ = write!(shown, "[{run} characters]");
            rest = rest.get(run..).unwrap_or_default();
            continue;
        }
        let next = rest.get(run..).and_then(|tail| tail.chars().next());
        let taken = run + next.map_or(0, char::len_utf8);
        shown.push_str(rest.get(..taken).unwrap_or(rest));
        rest = rest.get(taken..).unwrap_or_default();
    }
    shown.push_str(query);
}

/// Cuts off a query, which may be signed: behind the `?` of a URL, and elsewhere behind one that has a `=` after it, either of
/// them in percent-encoding too.
fn without_query(word: &str, is_url: bool) -> (&str, &'static str) {
    let encoded = |text: &str, last: char| {
        let at = |sign: &str| text.find(sign).map(|at| (at, at + sign.len()));
        [at(&format!("%3{last}")), at(&format!("%3{}", last.to_ascii_lowercase()))]
            .into_iter()
            .flatten()
            .min()
    };
    let mark = word.find('?').map(|at| (at, at + 1));
    let Some((_, end)) = mark.or_else(|| encoded(word, 'F')) else { return (word, "") };
    let (front, query) = word.split_at_checked(end).unwrap_or((word, ""));
    let is_query = query.contains('=') || encoded(query, 'D').is_some();
    if (is_url && mark.is_some() && !query.is_empty()) || is_query { (front, "..") } else { (word, "") }
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
    fn media_in_lines_and_with_escaped_slashes_becomes_its_length() {
        let base64 = "iVBORw0KGgoAAAANSUhEUg/AA+AAB4".repeat(20);
        let (length, end) = (base64.len(), "x==\"}");
        for lines in [40, 64, 76, 100] {
            let pieces: Vec<&str> =
                base64.as_bytes().chunks(lines).map(|line| str::from_utf8(line).unwrap()).collect();
            for between in ["\n", "\r\n", " "] {
                let text = redact(&format!("bad \"data:image/png;base64,{}{end}", pieces.join(between)));
                assert_eq!(
                    text,
                    format!("bad \"data:image/png;base64,[{} characters]\"}}", length + 3),
                    "{lines}"
                );
            }
        }
        let short = redact(&format!("bad \"data:image/png;base64,iVBOR\n{}", base64.get(..76).unwrap()));
        assert_eq!(short, "bad \"data:image/png;base64,[81 characters]");
        let bare = redact(&format!("bad \"iVBORw0KGg\n{}\"", base64.get(..76).unwrap()));
        assert_eq!(bare, "bad \"[86 characters]\"");
        for slash in ["\\/", "\\\\/"] {
            let text = redact(&format!("no image: {}", base64.replace('/', slash)));
            assert_eq!(text, format!("no image: [{length} characters]"));
        }
        let ids = "0123456789abcdef0123456789abcdef ".repeat(9);
        assert_eq!(redact(&ids), ids.trim_end(), "ids are no picture");
    }

    #[test]
    fn a_query_is_cut_off_in_every_spelling() {
        for (text, shown) in [
            ("h.example/a.jpg?Expires=1&Signature=topsecret: 404", "h.example/a.jpg?.. 404"),
            (r"https:\/\/h.example\/a.jpg?sig=topsecret", "https://h.example/a.jpg?.."),
            (r"https:\\/\\/me:pw@h.example\\/a?sig=topsecret", "https://..@h.example/a?.."),
            ("https%3A%2F%2Fh.example%2Fa.jpg%3Fsig%3Dtopsecret", "https%3A%2F%2Fh.example%2Fa.jpg%3F.."),
            ("a%3fsig=topsecret", "a%3f.."),
            ("why?because", "why?because"),
            ("a%3Fb", "a%3Fb"),
        ] {
            assert_eq!(redact(text), shown);
            assert_eq!(redact(shown), shown, "what was redacted stays");
        }
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
