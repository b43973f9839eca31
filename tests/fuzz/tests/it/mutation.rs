//! Inputs made of seeds: whole ones, changed in a few places where formats break.

use proptest::prelude::*;

/// Longest input, in bytes.
const LONGEST: usize = 16_384;

/// Words that mean something to one format or another.
const WORDS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\xEF\xBB\xBF",
    b":",
    b"data:",
    b"data: ",
    b"event: error\n",
    b"id:\0\n",
    b"retry: 1\n",
    b"data: [DONE]\n\n",
    b": keep-alive\n\n",
    b":HTTP_STATUS/500\n",
    b"null",
    b"\"\"",
    b"{}",
    b"[]",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"9223372036854775807",
    b"18446744073709551616",
    b"-0.0",
    b"\"null\"",
    b"\"stop\"",
    b"\"length\"",
    b"\"tool_calls\"",
    b"\"content_filter\"",
    b"\"sensitive\"",
    b"\"error\":",
    b"\"code\":",
    b"\"choices\":",
    b"\"delta\":",
    b"\\u0000",
    b"\\ud800",
    b"\\u2028",
    b"\xff\xfe",
    b"\xc3",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
    b"\x00",
    b"\x1b[31m",
    b"<think>",
    b"</think>",
    b"<html>",
    b"://",
    b"https://",
    b"?",
    b"@",
    b"#",
    b"%",
    b"=",
    b"==",
    b",",
    b"data:image/png;base64,",
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    b"@KEY@",
    b"HTTP/1.1 429\n",
    b"retry-after: 1\n",
    b"[",
    b"]",
    b"(",
    b")",
    b"\"",
    b"'",
    b"\"\"\"",
    b"${",
    b"}",
    b"[roles.default]\n",
    b"[[providers]]\n",
    b" = ",
    b"nan",
    b"inf",
    b"1e-400",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x01",
    b"moov",
    b"trak",
    b"tkhd",
    b"ispe",
    b"\xff\xd8",
    b"\xff\xc0",
];

/// An input, as what was done to a seed: a failure shrinks to the fewest changes.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    seed: Option<usize>,
    changes: Vec<Change>,
}

/// Places are shares of the length, so that they stay good as the input grows and shrinks.
#[derive(Debug, Clone)]
enum Change {
    /// Flips a bit.
    Flip(u16, u8),
    /// Writes a byte over another.
    Set(u16, u8),
    Insert(u16, Vec<u8>),
    /// Inserts a word that means something, or writes it over what is there.
    Word(u16, usize, bool),
    Remove(u16, u8),
    Truncate(u16),
    Duplicate(u16, u8, u8),
    /// Goes on with another seed from here.
    Splice(u16, usize, u16),
    /// Changes the next digit or, where there is none, the number of 32 bits here.
    Digit(u16, u8),
    /// Writes the next number as another of its size or far beyond it.
    Number(u16, u64),
    /// Wraps what follows in brackets, so deep.
    Nest(u16, u8, bool),
    /// Swaps two neighbouring stretches.
    Swap(u16, u8),
}

pub(crate) fn inputs(seeds: usize) -> impl Strategy<Value = Input> {
    let seed = prop_oneof![9 => (0..seeds).prop_map(Some), 1 => Just(None)];
    (seed, prop::collection::vec(changes(seeds), 0..6), prop::collection::vec(any::<u8>(), 0..300)).prop_map(
        |(seed, mut changes, noise)| {
            if seed.is_none() {
                changes.insert(0, Change::Insert(0, noise));
            }
            Input { seed, changes }
        },
    )
}

fn changes(seeds: usize) -> impl Strategy<Value = Change> {
    let at = any::<u16>;
    prop_oneof![
        2 => (at(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        4 => (at(), 0..WORDS.len(), any::<bool>()).prop_map(|(at, word, over)| Change::Word(at, word, over)),
        2 => (at(), any::<u8>()).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => at().prop_map(Change::Truncate),
        2 => (at(), any::<u8>(), 1..6u8).prop_map(|(at, count, times)| Change::Duplicate(at, count, times)),
        2 => (at(), 0..seeds, at()).prop_map(|(at, seed, from)| Change::Splice(at, seed, from)),
        2 => (at(), any::<u8>()).prop_map(|(at, digit)| Change::Digit(at, digit)),
        2 => (at(), any::<u64>()).prop_map(|(at, number)| Change::Number(at, number)),
        1 => (at(), any::<u8>(), any::<bool>()).prop_map(|(at, depth, list)| Change::Nest(at, depth, list)),
        1 => (at(), any::<u8>()).prop_map(|(at, count)| Change::Swap(at, count)),
    ]
}

impl Input {
    pub(crate) fn apply(&self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut data = self.seed.map(|seed| seeds[seed].clone()).unwrap_or_default();
        for change in &self.changes {
            change.apply(&mut data, seeds);
            data.truncate(LONGEST);
        }
        data
    }
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let length = data.len();
        let place = |share: u16| (usize::from(share) * length) >> 16;
        match *self {
            Self::Flip(at, bit) => data.iter_mut().skip(place(at)).take(1).for_each(|byte| *byte ^= 1 << bit),
            Self::Set(at, new) => data.iter_mut().skip(place(at)).take(1).for_each(|byte| *byte = new),
            Self::Insert(at, ref bytes) => insert(data, place(at), bytes),
            Self::Word(at, word, over) => {
                let end = (place(at) + if over { WORDS[word].len() } else { 0 }).min(length);
                data.splice(place(at)..end, WORDS[word].iter().copied());
            }
            Self::Remove(at, count) => {
                data.drain(place(at)..(place(at) + usize::from(count)).min(length));
            }
            Self::Truncate(at) => data.truncate(place(at)),
            Self::Duplicate(at, count, times) => {
                let end = (place(at) + usize::from(count)).min(length);
                let copies = data[place(at)..end].repeat(times.into());
                insert(data, end, &copies);
            }
            Self::Splice(at, seed, from) => {
                let other = &seeds[seed];
                data.truncate(place(at));
                data.extend_from_slice(&other[(usize::from(from) * other.len()) >> 16..]);
            }
            Self::Digit(at, new) => match digit(data, place(at)) {
                Some(digit) => data[digit] = b'0' + new % 10,
                None => data.iter_mut().skip(place(at)).take(4).for_each(|byte| *byte = new),
            },
            Self::Number(at, number) => {
                let Some(start) = digit(data, place(at)) else { return };
                let count = data[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                data.splice(start..start + count, number.to_string().into_bytes());
            }
            Self::Nest(at, depth, list) => {
                let (open, close): (&[u8], &[u8]) = if list { (b"[", b"]") } else { (b"{\"a\":", b"}") };
                data.extend_from_slice(&close.repeat(depth.into()));
                insert(data, place(at), &open.repeat(depth.into()));
            }
            Self::Swap(at, count) => {
                let count = usize::from(count).min((length - place(at)) / 2);
                data[place(at)..place(at) + 2 * count].rotate_left(count);
            }
        }
    }
}

/// Where the next digit is.
fn digit(data: &[u8], from: usize) -> Option<usize> {
    (from..data.len()).find(|at| data[*at].is_ascii_digit())
}

fn insert(data: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    data.splice(at..at, bytes.iter().copied());
}
