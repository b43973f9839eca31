//! Numbers in brackets.

/// Most numbers of a group that are kept; no place has more.
const MAX_NUMBERS: usize = 9;
/// Longest number, in bytes.
const MAX_DIGITS: usize = 64;

/// Numbers in one pair of brackets, or what stands there in their place.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    pub(super) numbers: Vec<f64>,
    /// False where something stands among them that is no number.
    pub(super) are_numbers: bool,
    /// Whether the brackets are those of a list.
    pub(super) is_list: bool,
    start: usize,
    /// Behind the closing bracket, or at the semicolon before the next group, which has no bracket of its own.
    pub(super) end: usize,
}

impl Group {
    /// The group as it stands in the text.
    pub(super) fn text<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or("")
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

/// Reads the group whose bracket stands at `at`, or the semicolon behind another group; `None` where no number follows it.
pub(super) fn group_at(text: &str, at: usize) -> Option<Group> {
    let bytes = text.as_bytes();
    let closing = match bytes.get(at)? {
        b'[' | b';' => b']',
        b'(' => b')',
        b'<' => b'>',
        _ => return None,
    };
    let mut group =
        Group { numbers: Vec::new(), are_numbers: true, is_list: closing == b']', start: at, end: at + 1 };
    let mut count = 0_usize;
    loop {
        while bytes.get(group.end).is_some_and(|byte| is_blank(*byte) || *byte == b',') {
            group.end += 1;
        }
        let byte = *bytes.get(group.end)?;
        if byte == closing {
            group.end += 1;
            break;
        }
        if byte == b';' && count > 0 {
            break;
        }
        let word = word_at(bytes, group.end, closing);
        if word == 0 {
            return None;
        }
        let element = text.get(group.end..group.end + word).unwrap_or("");
        let number = number_of(element);
        if count == 0 && number.is_none() {
            return None;
        }
        match number {
            Some(number) if count < MAX_NUMBERS => group.numbers.push(number),
            Some(_) => {}
            None => group.are_numbers = false,
        }
        count += 1;
        group.end += word;
    }
    (count > 0).then_some(group)
}

/// Length of the word at a place, up to what separates words.
fn word_at(bytes: &[u8], at: usize, closing: u8) -> usize {
    let ends = |byte: &u8| is_blank(*byte) || *byte == closing || b",;[](){}<>\"".contains(byte);
    bytes.get(at..).unwrap_or_default().iter().take(MAX_DIGITS + 1).position(ends).unwrap_or(0)
}

/// The number that a word is; also one that is not finite, as models write it.
pub(super) fn number_of(word: &str) -> Option<f64> {
    match word {
        "null" | "None" => Some(f64::NAN),
        _ => word.parse().ok(),
    }
}
