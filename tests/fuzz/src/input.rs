//! Reads values from bytes, so that an engine that mutates bytes mutates values.

/// What is left of an input. At its end every number is 0 and every choice the first.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(crate) fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    pub(crate) fn list<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    /// A number as people and machines write them, odd ones among them.
    pub(crate) fn float(&mut self) -> f64 {
        match self.below(8) {
            0 => self.pick(&[0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 0.1, 1e-9]),
            1 => self.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::EPSILON]),
            2 | 3 => f64::from_bits(self.number()),
            4 => self.number() as f64,
            _ => f64::from(u16::from(self.byte()) * 16 + u16::from(self.byte() & 15)) / 1_000.0 - 0.5,
        }
    }

    pub(crate) fn count(&mut self) -> u32 {
        match self.below(3) {
            0 => self.pick(&[0, 1, 2, u32::MAX, i32::MAX as u32, 4_096, 100_000]),
            1 => u32::from(self.byte()),
            _ => self.number() as u32,
        }
    }

    /// Raw bytes, up to so many.
    pub(crate) fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(self.below(most + 1).min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A text: a likely word, an unlikely one, or the bytes as they are.
    pub(crate) fn text(&mut self) -> String {
        const WORDS: [&str; 16] = [
            "",
            "a",
            "user",
            "画面里有什么？",
            "\u{202e}\u{feff}",
            "\0",
            "line\r\nbreak",
            "\u{2028}",
            "\"\\/",
            "<think>",
            "👩‍👩‍👧",
            "${HOME}",
            "../../x",
            "9007199254740993",
            "data:image/png;base64,",
            "https://h.example/a?b=c#d",
        ];
        match self.below(4) {
            0 | 1 => self.pick(&WORDS).to_owned(),
            2 => String::from_utf8_lossy(self.bytes(24)).into_owned(),
            _ => self.pick(&WORDS).repeat(self.below(40)),
        }
    }

    /// Visible ASCII, as keys and ids are made of, at least one character of it.
    pub(crate) fn graphic(&mut self, most: usize) -> String {
        let length = 1 + self.below(most);
        (0..length).map(|_| char::from(b'!' + self.byte() % 94)).collect()
    }
}

/// A number made of an input, for choices that need not be steered: the same for the same input.
pub(crate) fn hash(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// Cuts an input into pieces in a way that `seed` decides: bytes, few pieces, many pieces, none empty.
pub(crate) fn pieces(data: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed | 1;
    let mut next = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % bound.max(1)
    };
    let longest = [1, 2, 7, 64, 1_024][next(5)];
    let mut rest = data;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + next(longest)).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
