//! Which tool call of a streamed answer a piece belongs to.

use std::collections::HashMap;

use polysight_core::{Error, ErrorKind, ToolCallDelta};

/// Puts the pieces of an answer's tool calls in order, for servers that send no index: a new id begins a new call, and what
/// has no id goes on with the last one.
#[derive(Debug, Default)]
pub struct ToolCallIndex {
    by_id: HashMap<String, usize>,
    last: Option<usize>,
    next: usize,
    is_named: bool,
}

/// A piece of a tool call as a server sent it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CallPiece {
    /// Which of the calls it belongs to, where the server sends it.
    pub index: Option<usize>,
    /// The call's id, where the server sends it.
    pub id: Option<String>,
    /// The function's name, where the server sends it.
    pub name: Option<String>,
    /// A piece of the arguments' JSON text.
    pub arguments: String,
}

impl ToolCallIndex {
    /// Gives a piece its index. `place` and `count` say which of how many pieces it is in its chunk.
    pub fn delta(&mut self, place: usize, count: usize, piece: CallPiece) -> ToolCallDelta {
        let index = match (piece.index, &piece.id) {
            (Some(index), _) => index,
            (None, Some(id)) => self.by_id.get(id).copied().unwrap_or(self.next),
            (None, None) if count == 1 => self.last.unwrap_or(place),
            (None, None) => place,
        };
        self.last = Some(index);
        self.next = self.next.max(index.saturating_add(1));
        self.is_named |= piece.name.is_some();
        if let Some(id) = &piece.id {
            self.by_id.insert(id.clone(), index);
        }
        ToolCallDelta::new(index, piece.id, piece.name, piece.arguments)
    }

    /// Whether any call has come that names its function.
    #[must_use]
    pub fn has_call(&self) -> bool {
        self.is_named
    }
}

/// The error of an answer that ends for tool calls and holds none.
#[must_use]
pub fn no_calls() -> Error {
    Error::new(ErrorKind::Protocol, "the model asks for tool calls and names none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(index: Option<usize>, id: &str, name: &str) -> CallPiece {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        CallPiece { index, id: text(id), name: text(name), arguments: String::new() }
    }

    fn indexes(chunks: &[&[CallPiece]]) -> Vec<usize> {
        let mut order = ToolCallIndex::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            let pieces = chunk.iter().cloned().enumerate();
            seen.extend(pieces.map(|(place, piece)| order.delta(place, chunk.len(), piece).index));
        }
        seen
    }

    #[test]
    fn a_told_index_holds() {
        assert_eq!(
            indexes(&[&[piece(Some(2), "a", "f"), piece(Some(0), "b", "f")], &[piece(Some(2), "", "")]]),
            [2, 0, 2]
        );
    }

    #[test]
    fn a_new_id_begins_a_call_and_a_known_one_goes_on() {
        let (a, b) = (|| piece(None, "a", "f"), || piece(None, "b", "f"));
        assert_eq!(indexes(&[&[a()], &[b()], &[a()], &[piece(None, "", "")]]), [0, 1, 0, 0]);
        assert_eq!(indexes(&[&[a(), b()], &[piece(None, "", "")]]), [0, 1, 1]);
        assert_eq!(indexes(&[&[piece(Some(0), "a", "f")], &[b()]]), [0, 1]);
    }

    #[test]
    fn without_index_and_id_the_place_in_the_chunk_holds() {
        let part = || piece(None, "", "");
        assert_eq!(indexes(&[&[part(), part()], &[part(), part()]]), [0, 1, 0, 1]);
        assert_eq!(indexes(&[&[part()], &[part()]]), [0, 0]);
    }
}
