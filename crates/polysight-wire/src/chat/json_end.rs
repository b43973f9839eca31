//! Where a JSON object or list ends that comes piece by piece.

use super::arguments::Arguments;

/// Follows the text of an object or a list up to its end, without keeping it.
#[derive(Debug, Default, Clone)]
pub(super) struct JsonEnd {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Bytes up to the end, white space before the beginning left out, and what they come to.
    seen: (usize, u64),
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but white space has come.
    #[default]
    Start,
    Inside,
    Complete,
    /// Neither an object nor a list, or more behind its end: where it ends cannot be seen.
    Unknown,
}

impl JsonEnd {
    /// Reads the next piece.
    pub(super) fn push(&mut self, text: &[u8]) {
        text.iter().for_each(|byte| self.push_byte(*byte));
    }

    /// Whether the object or list has ended, so that nothing more can belong to it.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Whether a piece is the same text once more.
    pub(super) fn is_repeated_by(&self, piece: &Arguments) -> bool {
        let other = Self::of(piece);
        other.is_complete() && other.seen == self.seen
    }

    /// Whether a piece says something else.
    pub(super) fn is_contradicted_by(&self, piece: &Arguments) -> bool {
        let other = Self::of(piece);
        other.state != State::Start && !(other.is_complete() && other.seen == self.seen)
    }

    fn of(piece: &Arguments) -> Self {
        let mut end = Self::default();
        end.push(piece.as_bytes());
        end
    }

    fn push_byte(&mut self, byte: u8) {
        let is_blank = byte.is_ascii_whitespace();
        match self.state {
            State::Start | State::Complete if is_blank => {}
            State::Start if matches!(byte, b'{' | b'[') => {
                self.state = State::Inside;
                self.push_inside(byte);
            }
            State::Inside => self.push_inside(byte),
            _ => self.state = State::Unknown,
        }
    }

    fn push_inside(&mut self, byte: u8) {
        let (length, sum) = self.seen;
        // FNV-1a: the server itself wrote both texts, so that it deceives itself alone by a collision made on purpose.
        self.seen = (length.saturating_add(1), (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        match (self.in_string, byte) {
            (true, _) if self.is_escaped => self.is_escaped = false,
            (true, b'\\') => self.is_escaped = true,
            (_, b'"') => self.in_string = !self.in_string,
            (false, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
            (false, b'}' | b']') => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.state = State::Complete;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_text_is_cut() {
        let whole = r#" {"a": ["}", "\"]", {"b": "\\"}]}"#;
        for cut in 0..whole.len() {
            let mut end = JsonEnd::default();
            end.push(&whole.as_bytes()[..cut]);
            assert!(!end.is_complete(), "{cut}");
            end.push(&whole.as_bytes()[cut..]);
            assert!(end.is_complete() && end.is_repeated_by(&whole.to_owned().into()));
        }
    }

    #[test]
    fn only_the_same_text_is_a_repetition() {
        let mut end = JsonEnd::default();
        end.push(br#"{"a":1}"#);
        let repeats = |text: &str| end.is_repeated_by(&text.to_owned().into());
        assert!(repeats(r#"{"a":1}"#) && repeats(" {\"a\":1}\n"));
        for other in [r#"{"a":2}"#, r#"{"a": 1}"#, r#"{"a":1"#, "", "}", r#"{"a":1}{"a":1}"#] {
            assert!(!repeats(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_object_and_no_list_has_no_end() {
        for text in ["", "  ", "12", "\"a\"", "null", "{}{}", "{\"a\""] {
            let mut end = JsonEnd::default();
            end.push(text.as_bytes());
            assert!(!end.is_complete(), "{text}");
        }
    }
}
