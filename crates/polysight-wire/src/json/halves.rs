//! Half a surrogate pair, kept in a text until its other half is there.

/// Kept halves stand for themselves in this range of private use, of which replies make none: text that has it and has to be
/// repaired loses it.
const KEPT: u32 = 0x10_F000;
const HIGH: u16 = 0xD800;
const LOW: u16 = 0xDC00;
const END: u16 = 0xDFFF;

/// The character of two halves; `None` unless they are a high and a low one.
pub(crate) fn joined(high: u16, low: u16) -> Option<char> {
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

/// Whether a half is the first one of a pair.
pub(crate) fn is_first(half: u16) -> bool {
    half < LOW
}
