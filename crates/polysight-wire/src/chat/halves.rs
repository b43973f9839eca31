//! Characters that a server cut in two: half a surrogate pair at the end of one piece of a text, half at the beginning of the next.

use super::CallPiece;
use crate::json::{half_of, is_first, joined};

/// Joins the halves that [`LoneHalves::Keep`](crate::json::LoneHalves) left in the pieces of an answer's text and reasoning. A half
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
            Some(high) if is_first(high) => *waiting = Some(high),
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

#[cfg(test)]
mod tests {
    use polysight_core::StreamEvent;
    use serde_json::Value;

    use super::*;
    use crate::json::{LoneHalves, documents};

    /// The text and the reasoning of pieces that come one by one.
    fn joined(pieces: &[StreamEvent]) -> String {
        let mut halves = Halves::of_reply(true);
        let kept = |text: &str| {
            let text = documents(format!("{{\"text\":\"{text}\"}}").as_bytes(), LoneHalves::Keep);
            let value: Value = serde_json::from_str(text.single().unwrap()).unwrap();
            value["text"].as_str().unwrap().to_owned()
        };
        let (mut text, mut reasoning) = (String::new(), String::new());
        for piece in pieces {
            match piece {
                StreamEvent::Text(piece) => text += &halves.text(kept(piece)),
                StreamEvent::Reasoning(piece) => reasoning += &halves.reasoning(kept(piece)),
                _ => {}
            }
        }
        let [text_end, reasoning_end] = halves.finish().map(Option::unwrap_or_default);
        assert!(!halves.is_waiting());
        format!("{text}{text_end}|{reasoning}{reasoning_end}")
    }

    #[test]
    fn halves_of_a_character_are_joined_within_their_text() {
        let text = |text: &str| StreamEvent::Text(text.to_owned());
        let reasoning = |text: &str| StreamEvent::Reasoning(text.to_owned());
        for (pieces, wanted) in [
            (vec![text(r"a \ud83d"), text(r"\ude3a b")], "a 😺 b|"),
            (vec![text(r"\ud83d"), text(""), text(r"\ude3a")], "😺|"),
            (vec![text(r"\ud83d"), text("x")], "\u{fffd}x|"),
            (vec![text(r"\ud83d"), text(r"\ud83d"), text(r"\ude3a")], "\u{fffd}😺|"),
            (vec![text(r"x\ud83d")], "x\u{fffd}|"),
            (vec![text(r"\ude3a")], "\u{fffd}|"),
            (vec![text(r"\ud83d"), reasoning(r"\ud83d"), text(r"\ude3a"), reasoning(r"\ude3b")], "😺|😻"),
            (vec![text("\u{10f03d}"), text(r"\ude3a")], "\u{fffd}\u{fffd}|"),
        ] {
            assert_eq!(joined(&pieces), wanted, "{pieces:?}");
        }
    }

    #[test]
    fn halves_are_kept_in_text_of_pieces_alone() {
        let text = documents(br#"{"id":"\ud83d","code":"\ude3a","content":["\ud83d"]}"#, LoneHalves::Keep);
        assert_eq!(
            text.single(),
            Some("{\"code\":\"\u{fffd}\",\"content\":[\"\u{10f03d}\"],\"id\":\"\u{fffd}\"}")
        );
    }
}
