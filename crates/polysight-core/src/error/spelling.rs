//! Texts by their letters and digits alone, however they are spelled.

use std::ops::Range;

/// The ASCII letters and digits of a text, in lower case, escapes decoded, and where each stands. White space, signs and
/// everything else do not count: line breaks, the two alphabets of base64 and escaped slashes make no difference then.
pub(super) struct Spelled {
    pub(super) signs: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Spelled {
    pub(super) fn read(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (signs, places) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
        let mut spelled = Self { signs, places };
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (length, sign) = next(rest);
            if let Some(sign) = sign.filter(u8::is_ascii_alphanumeric) {
                spelled.signs.push(sign.to_ascii_lowercase());
                spelled.places.push(at..at + length);
            }
            at += length;
        }
        spelled
    }

    /// Puts `..` in the places from the first to the last of these signs.
    pub(super) fn replace(&self, text: &mut String, ranges: &[(usize, usize)]) {
        for (first, last) in ranges.iter().rev() {
            if let (Some(first), Some(last)) = (self.places.get(*first), self.places.get(*last)) {
                text.replace_range(first.start..last.end, "..");
            }
        }
    }
}

/// The length of what stands at the beginning, and its sign.
fn next(text: &[u8]) -> (usize, Option<u8>) {
    match text {
        [b'%', rest @ ..] => percent(rest),
        [b'\\', ..] => backslash(text),
        [b'&', rest @ ..] => entity(rest),
        [first, ..] => (1, Some(*first)),
        [] => (1, None),
    }
}

/// `%2F`, and `%252F` where it was encoded twice.
fn percent(rest: &[u8]) -> (usize, Option<u8>) {
    let mut skipped = 0;
    while rest.get(skipped..).is_some_and(|rest| rest.starts_with(b"25") && hex(rest.get(2..4)).is_some()) {
        skipped += 2;
    }
    match hex(rest.get(skipped..skipped + 2)) {
        Some(code) => (skipped + 3, u8::try_from(code).ok()),
        None => (1, None),
    }
}

/// `\/`, `\n`, `\u002f` and `\x2f`, behind any number of backslashes.
fn backslash(text: &[u8]) -> (usize, Option<u8>) {
    let slashes = text.iter().take_while(|byte| **byte == b'\\').count();
    let coded = |digits: usize| {
        let code = hex(text.get(slashes + 1..slashes + 1 + digits))?;
        Some((slashes + 1 + digits, u8::try_from(code).ok()))
    };
    let found = match text.get(slashes) {
        Some(b'u') => coded(4),
        Some(b'x') => coded(2),
        Some(b'n' | b'r' | b't') => Some((slashes + 1, None)),
        _ => None,
    };
    found.unwrap_or((slashes, None))
}

/// `&amp;`, `&#47;` and `&#x2f;`.
fn entity(rest: &[u8]) -> (usize, Option<u8>) {
    /// Longest name or number.
    const LONGEST: usize = 7;
    let Some(end) = rest.iter().take(LONGEST + 1).position(|byte| *byte == b';') else { return (1, None) };
    let name = rest.get(..end).and_then(|name| str::from_utf8(name).ok()).unwrap_or_default();
    let code = match (name.strip_prefix("#x"), name.strip_prefix('#')) {
        (Some(hex), _) => u8::from_str_radix(hex, 16).ok(),
        (None, Some(number)) => number.parse().ok(),
        (None, None) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()) => None,
        (None, None) => return (1, None),
    };
    (end + 2, code)
}

fn hex(digits: Option<&[u8]>) -> Option<u32> {
    let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(text: &str) -> String {
        String::from_utf8(Spelled::read(text).signs).unwrap()
    }

    #[test]
    fn one_text_has_the_same_signs_in_every_spelling() {
        for text in [
            "a/b=Cd",
            "a%2Fb%3Dcd",
            "a%252fb%253dcd",
            r"a\/b=cd",
            r"a\\\/b=cd",
            r"a\u002fb\u003d\u0063d",
            r"a\x2fb=cd",
            "a&#47;b&#x3d;cd",
            "a&amp;b cd",
            "a\nb\r\n c d",
            r"a\nb\r\tcd",
            "图a…b“c”d",
        ] {
            assert_eq!(signs(text), "abcd", "{text}");
        }
        assert_eq!(signs(r"100% &B; & \"), "100b");
        assert_eq!(signs("&toolong12; %zz %4"), "toolong12zz4");
    }

    #[test]
    fn places_of_escapes_are_replaced_whole() {
        let mut text = r"x %61\u0062c y".to_owned();
        let spelled = Spelled::read(&text);
        assert_eq!(spelled.signs, b"xabcy");
        spelled.replace(&mut text, &[(1, 3)]);
        assert_eq!(text, "x .. y");
    }
}
