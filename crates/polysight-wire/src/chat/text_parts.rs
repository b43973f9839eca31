//! What an answer's text is made of: reasoning, text, and markers that are left out.

use polysight_core::catalog::ThinkingMode;
use polysight_core::{Plan, StreamEvent};

use super::markers::Markers;
use super::think_tags::{Piece, ThinkTags};
use crate::Events;
use crate::vendor::ChatProfile;

/// Parts an answer's text into events, whole or piece by piece.
#[derive(Debug)]
pub(super) struct TextParts {
    think_tags: Option<ThinkTags>,
    markers: Markers,
}

impl TextParts {
    /// Parts the text of the answer to a plan as its model's card and the profile say.
    pub(super) fn new<P: ChatProfile + ?Sized>(profile: &P, plan: &Plan) -> Self {
        let thinking = &plan.card.thinking;
        let is_forced = thinking.mode == Some(ThinkingMode::Forced);
        Self {
            think_tags: thinking.in_text.then(|| ThinkTags::new(is_forced)),
            markers: Markers::new(profile.stripped_markers()),
        }
    }

    /// Adds reasoning that came in a field of its own.
    pub(super) fn push_reasoning(&mut self, reasoning: String, events: &mut Events) {
        let held = self.think_tags.as_mut().and_then(ThinkTags::open_in_text_only);
        self.add(held.map(Piece::Text), events);
        events.push_back(StreamEvent::Reasoning(reasoning));
    }

    /// Adds text, in which reasoning may stand.
    pub(super) fn push_text(&mut self, text: String, events: &mut Events) {
        let mut pieces = Vec::new();
        match &mut self.think_tags {
            None => pieces.push(Piece::Text(text)),
            Some(think_tags) => think_tags.push(&text, &mut pieces),
        }
        self.add(pieces, events);
    }

    /// Gives what was held back. `is_cut` says that the answer did not come to its own end.
    pub(super) fn finish(&mut self, is_cut: bool, events: &mut Events) {
        let mut pieces = Vec::new();
        if let Some(think_tags) = &mut self.think_tags {
            think_tags.finish(is_cut, &mut pieces);
        }
        self.add(pieces, events);
        push_filled(StreamEvent::Text, self.markers.finish(), events);
    }

    fn add(&mut self, pieces: impl IntoIterator<Item = Piece>, events: &mut Events) {
        for piece in pieces {
            match piece {
                Piece::Reasoning(text) => push_filled(StreamEvent::Reasoning, text, events),
                Piece::Text(text) => push_filled(StreamEvent::Text, self.markers.strip(text), events),
            }
        }
    }
}

fn push_filled(event: fn(String) -> StreamEvent, text: String, events: &mut Events) {
    if !text.is_empty() {
        events.push_back(event(text));
    }
}
