//! Stops a streamed answer that only costs money.

/// Longest run of blanks that an answer may hold, in characters.
const MAX_BLANKS: usize = 2048;
/// Longest run of digits that an answer may hold, in characters.
const MAX_DIGITS: usize = 256;

/// What a [`StreamGuard`] says of an answer so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Read on.
    Continue,
    /// The model writes nothing but blanks: 2,048 in a row.
    Blanks,
    /// The model writes nothing but digits: 256 in a row.
    Digits,
    /// The answer is longer than 1 MiB.
    TooLong,
}

/// Watches a streamed answer for endless blanks, endless digits and endless text: models in a JSON mode fall into such
/// loops, and every token of them is paid.
#[derive(Debug, Default)]
pub struct StreamGuard {
    bytes: usize,
    blanks: usize,
    digits: usize,
}

impl StreamGuard {
    /// A guard at the beginning of an answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the next piece of the answer, up to the byte that decides.
    pub fn push(&mut self, piece: &str) -> Verdict {
        for byte in piece.bytes() {
            self.bytes = self.bytes.saturating_add(1);
            if self.bytes > super::reader::MAX_BYTES {
                return Verdict::TooLong;
            }
            self.blanks = if byte.is_ascii_whitespace() { self.blanks + 1 } else { 0 };
            self.digits = if byte.is_ascii_digit() { self.digits + 1 } else { 0 };
            if self.blanks >= MAX_BLANKS {
                return Verdict::Blanks;
            }
            if self.digits >= MAX_DIGITS {
                return Verdict::Digits;
            }
        }
        Verdict::Continue
    }

    /// The part of an answer that is worth reading, and what was said of the rest: the same however the answer arrived.
    pub(crate) fn cut(text: &str) -> (&str, Verdict) {
        let mut guard = Self::new();
        match guard.push(text) {
            Verdict::Continue => (text, Verdict::Continue),
            verdict => {
                let end = (0..=guard.bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
                (text.get(..end.unwrap_or(0)).unwrap_or_default(), verdict)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str, size: usize) -> Verdict {
        let mut guard = StreamGuard::new();
        let pieces = text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap());
        pieces
            .map(|piece| guard.push(piece))
            .find(|verdict| *verdict != Verdict::Continue)
            .unwrap_or(Verdict::Continue)
    }

    #[test]
    fn what_is_worth_reading_ends_where_the_loop_is_noticed() {
        let blanks = format!("{{}}{}", " ".repeat(5000));
        let (text, verdict) = StreamGuard::cut(&blanks);
        assert_eq!((text.len(), verdict), (2 + MAX_BLANKS, Verdict::Blanks));
        let wide = "é ".repeat(400_000);
        let (text, verdict) = StreamGuard::cut(&wide);
        assert_eq!(verdict, Verdict::TooLong);
        assert!(wide.starts_with(text) && text.len() + 2 > 1024 * 1024);
    }

    #[test]
    fn loops_are_noticed_however_they_are_cut() {
        for size in [1, 7, 100_000] {
            assert_eq!(verdict(&format!("{{}}{}", " \n".repeat(1100)), size), Verdict::Blanks);
            assert_eq!(verdict(&format!("{{\"a\":{}", "3".repeat(300)), size), Verdict::Digits);
            assert_eq!(verdict(&"ab ".repeat(400_000), size), Verdict::TooLong);
            assert_eq!(verdict(&"12345 6789\n".repeat(1000), size), Verdict::Continue);
        }
    }
}
