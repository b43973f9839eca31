//! Characters that a server cut in two: half a surrogate pair at the end of one piece of a text, half at the beginning of the next.

use polysight_core::StreamEvent;

use crate::Events;

/// Kept halves stand for themselves in this range of private use, of which replies make none: text that has it and has to be
/// repaired loses it.
const KEPT: u32 = 0x10_F000;
const HIGH: u16 = 0xD800;
const LOW: u16 = 0xDC00;
const END: u16 = 0xDFFF;

/// Of so many texts at once a half is waited for.
const MAX_WAITING: usize = 16;

/// Joins the halves that [`LoneHalves::Keep`](super::LoneHalves) left in the events of a stream. A half without its other
/// half becomes U+FFFD.
#[derive(Default)]
pub struct Halves {
    waiting: Vec<(Channel, u16)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Channel {
    Text,
    Reasoning,
    Arguments(usize),
}

impl Halves {
    /// Whether the next piece may begin with the other half, so that it must come through [`join`](Self::join).
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Joins the halves in the events behind the first `read`.
    pub fn join(&mut self, events: &mut Events, read: usize) {
        for mut event in events.split_off(read.min(events.len())) {
            if let Some((channel, text)) = text_of(&mut event) {
                let joined = self.joined(channel, text);
                *text = joined;
            }
            if !matches!(&event, StreamEvent::Text(text) | StreamEvent::Reasoning(text) if text.is_empty()) {
                events.push_back(event);
            }
        }
    }

    /// Ends every text: what still waits has no other half. That of arguments is left out, since they are cut anyway.
    pub fn finish(&mut self, events: &mut Events) {
        for (channel, _) in self.waiting.drain(..) {
            let replaced = char::REPLACEMENT_CHARACTER.to_string();
            match channel {
                Channel::Text => events.push_back(StreamEvent::Text(replaced)),
                Channel::Reasoning => events.push_back(StreamEvent::Reasoning(replaced)),
                Channel::Arguments(_) => {}
            }
        }
    }

    fn joined(&mut self, channel: Channel, text: &str) -> String {
        let mut waiting = self.take(channel);
        let mut whole = String::with_capacity(text.len());
        for c in text.chars() {
            let half = half_of(c);
            if let (Some(high), Some(low)) = (waiting, half)
                && let Some(c) = joined(high, low)
            {
                whole.push(c);
                waiting = None;
                continue;
            }
            whole.extend(waiting.take().map(|_| char::REPLACEMENT_CHARACTER));
            match half {
                None => whole.push(c),
                Some(high) if high < LOW => waiting = Some(high),
                Some(_) => whole.push(char::REPLACEMENT_CHARACTER),
            }
        }
        if let Some(high) = waiting {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push((channel, high));
            } else {
                whole.push(char::REPLACEMENT_CHARACTER);
            }
        }
        whole
    }

    fn take(&mut self, channel: Channel) -> Option<u16> {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == channel)?;
        Some(self.waiting.swap_remove(place).1)
    }
}

/// Shows a count only: halves are parts of a conversation.
impl std::fmt::Debug for Halves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Halves").field("waiting", &self.waiting.len()).finish()
    }
}

fn text_of(event: &mut StreamEvent) -> Option<(Channel, &mut String)> {
    match event {
        StreamEvent::Text(text) => Some((Channel::Text, text)),
        StreamEvent::Reasoning(text) => Some((Channel::Reasoning, text)),
        StreamEvent::ToolCall(call) => Some((Channel::Arguments(call.index), &mut call.arguments)),
        _ => None,
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

fn half_of(c: char) -> Option<u16> {
    let place = u32::from(c).checked_sub(KEPT)?;
    let half = u16::try_from(place).ok()?.checked_add(HIGH)?;
    (half <= END).then_some(half)
}
