//! Characters that a server cut in two: half a surrogate pair at the end of one piece of a text, half at the beginning of the next.

use crate::chat::CallPiece;

/// Kept halves stand for themselves in this range of private use, of which replies make none: text that has it and has to be
/// repaired loses it.
const KEPT: u32 = 0x10_F000;
const HIGH: u16 = 0xD800;
const LOW: u16 = 0xDC00;
const END: u16 = 0xDFFF;

/// Joins the halves that [`LoneHalves::Keep`](super::LoneHalves) left in the pieces of an answer's text and reasoning. A half
/// without its other half becomes U+FFFD.
#[derive(Default)]
pub struct Halves {
    /// Whether what comes now was repaired, so that it may hold kept halves.
    pub is_repairing: bool,
    text: Option<u16>,
    reasoning: Option<u16>,
}

impl Halves {
    /// For the pieces of one whole reply.
    #[must_use]
    pub fn of_reply(is_repairing: bool) -> Self {
        Self { is_repairing, ..Self::default() }
    }

    /// Whether the next piece may begin with the other half, so that it must be repaired.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.text.is_some() || self.reasoning.is_some()
    }

    /// The next piece of the text.
    #[must_use]
    pub fn text(&mut self, piece: String) -> String {
        if self.is_repairing { join(&mut self.text, &piece) } else { piece }
    }

    /// The next piece of the reasoning.
    #[must_use]
    pub fn reasoning(&mut self, piece: String) -> String {
        if self.is_repairing { join(&mut self.reasoning, &piece) } else { piece }
    }

    /// A piece of a tool call, which joins its halves itself.
    #[must_use]
    pub fn piece(&self, mut piece: CallPiece) -> CallPiece {
        if self.is_repairing {
            piece.arguments = piece.arguments.with_kept_halves();
        }
        piece
    }

    /// What stands for the halves that still wait, in the text and in the reasoning.
    pub fn finish(&mut self) -> [Option<String>; 2] {
        [self.text.take(), self.reasoning.take()]
            .map(|waiting| waiting.map(|_| char::REPLACEMENT_CHARACTER.to_string()))
    }
}

fn join(waiting: &mut Option<u16>, piece: &str) -> String {
    let mut whole = String::with_capacity(piece.len());
    for c in piece.chars() {
        let half = half_of(c);
        if let (Some(high), Some(low)) = (*waiting, half)
            && let Some(c) = joined(high, low)
        {
            whole.push(c);
            *waiting = None;
            continue;
        }
        whole.extend(waiting.take().map(|_| char::REPLACEMENT_CHARACTER));
        match half {
            None => whole.push(c),
            Some(high) if high < LOW => *waiting = Some(high),
            Some(_) => whole.push(char::REPLACEMENT_CHARACTER),
        }
    }
    whole
}

/// Shows no text: halves are parts of a conversation.
impl std::fmt::Debug for Halves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Halves").field("is_waiting", &self.is_waiting()).finish()
    }
}

/// The character of two halves; `None` unless they are a high and a low one.
pub(super) fn joined(high: u16, low: u16) -> Option<char> {
    let pair = (HIGH..LOW).contains(&high) && (LOW..=END).contains(&low);
    let (high, low) = (high.wrapping_sub(HIGH), low.wrapping_sub(LOW));
    pair.then(|| char::from_u32(0x1_0000 + (u32::from(high) << 10) + u32::from(low))).flatten()
}

/// The character that stands for a half until it is joined.
pub(super) fn kept(half: u16) -> char {
    let place = u32::from(half.saturating_sub(HIGH));
    char::from_u32(KEPT + place).unwrap_or(char::REPLACEMENT_CHARACTER)
}

pub(super) fn is_kept(c: char) -> bool {
    half_of(c).is_some()
}

pub(crate) fn half_of(c: char) -> Option<u16> {
    let place = u32::from(c).checked_sub(KEPT)?;
    let half = u16::try_from(place).ok()?.checked_add(HIGH)?;
    (half <= END).then_some(half)
}
