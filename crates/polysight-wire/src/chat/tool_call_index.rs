//! Which tool call of a streamed answer a piece belongs to.

use polysight_core::{Error, ErrorKind, FinishKind, Result, ToolCall, ToolCallDelta};

use super::arguments::{Arguments, SurrogateJoiner};
use super::json_end::JsonEnd;

/// The most tool calls of one answer.
pub(super) const MAX_CALLS: usize = 1_024;
/// The most bytes of the ids and names of one answer's tool calls together. Some gateways put a signature into an id.
const MAX_ID_BYTES: usize = 1 << 20;

/// Puts the pieces of an answer's tool calls in order, for servers that send no index, and for those that send the same one
/// for every call.
///
/// - A new id begins a call, whatever its index; a known one goes on with its call.
/// - A piece without an id goes on with the last call of its index; without an index, with the last call of all, or with the
///   call at its place where the chunk holds several.
/// - A piece with a name begins a call where the present one has another name, or complete arguments.
/// - Arguments that repeat a complete call are left out, as are its id and name: a call repeated whole is one call.
///
/// At most 1,024 calls are taken, and 1 MiB of ids and names; arguments are not kept.
#[derive(Debug, Default)]
pub struct ToolCallIndex {
    calls: Vec<Call>,
    last: Option<usize>,
    id_bytes: usize,
}

#[derive(Debug, Default)]
struct Call {
    /// The index that its pieces are given.
    index: usize,
    /// The index that the server gave, or the place in the chunk.
    given: Option<usize>,
    id: Option<String>,
    name: Option<String>,
    joiner: SurrogateJoiner,
    arguments: JsonEnd,
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
    pub arguments: Arguments,
}

impl ToolCallIndex {
    /// Gives a piece its index. `place` and `count` say which of how many pieces it is in its chunk. `None` for a piece that
    /// says nothing new.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] for too many calls, and for half of a surrogate pair that nothing joins.
    pub fn delta(&mut self, place: usize, count: usize, piece: CallPiece) -> Result<Option<ToolCallDelta>> {
        let given = piece.index.or((count > 1).then_some(place));
        let place = match self.find(given, &piece) {
            Some(place) => place,
            None => self.begin(given, piece.index)?,
        };
        self.last = Some(place);
        let Some(call) = self.calls.get_mut(place) else { return Ok(None) };
        let delta = call.add(piece)?;
        self.id_bytes += [&delta.id, &delta.name].into_iter().flatten().map(String::len).sum::<usize>();
        if self.id_bytes > MAX_ID_BYTES {
            let message =
                format!("the ids and names of the answer's tool calls are larger than {MAX_ID_BYTES} bytes");
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        let is_new = delta.id.is_some() || delta.name.is_some() || !delta.arguments.is_empty();
        Ok(is_new.then_some(delta))
    }

    /// Whether any call has come that names its function.
    #[must_use]
    pub fn has_call(&self) -> bool {
        self.calls.iter().any(|call| call.name.is_some())
    }

    /// Whether every call is one: it names its function, and its arguments end with a whole character.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`] for one that is not.
    pub fn check(&self) -> Result<()> {
        for call in &self.calls {
            call.joiner.end()?;
            if call.name.is_none() {
                return Err(nameless());
            }
        }
        Ok(())
    }

    /// The call that a piece goes on with.
    fn find(&self, given: Option<usize>, piece: &CallPiece) -> Option<usize> {
        let at_given = || self.calls.iter().rposition(|call| call.given == given);
        let place = match &piece.id {
            Some(id) => {
                let same = self.calls.iter().rposition(|call| call.id.as_ref() == Some(id));
                same.or_else(|| given.and_then(|_| at_given()).filter(|place| self.has_no_id(*place)))?
            }
            None if given.is_some() => at_given()?,
            None => self.last?,
        };
        self.calls.get(place).is_some_and(|call| !call.is_over(piece)).then_some(place)
    }

    fn has_no_id(&self, place: usize) -> bool {
        self.calls.get(place).is_some_and(|call| call.id.is_none())
    }

    /// Begins a call, at the index that the server gave where that is free.
    fn begin(&mut self, given: Option<usize>, index: Option<usize>) -> Result<usize> {
        if self.calls.len() >= MAX_CALLS {
            return Err(too_many_calls());
        }
        let is_free = |index: &usize| self.calls.iter().all(|call| call.index != *index);
        let next = self.calls.iter().map(|call| call.index.saturating_add(1)).max().unwrap_or_default();
        let index = index.filter(is_free).or_else(|| (next..=usize::MAX).chain(0..next).find(is_free));
        self.calls.push(Call { index: index.unwrap_or(next), given, ..Call::default() });
        Ok(self.calls.len() - 1)
    }
}

impl Call {
    /// Whether a piece that could go on with this call begins another one.
    fn is_over(&self, piece: &CallPiece) -> bool {
        let Some(name) = &piece.name else { return false };
        let is_other = self.name.as_ref().is_some_and(|own| own != name);
        is_other || (self.arguments.is_complete() && self.arguments.is_contradicted_by(&piece.arguments))
    }

    /// What a piece adds.
    fn add(&mut self, piece: CallPiece) -> Result<ToolCallDelta> {
        let id = piece.id.filter(|_| self.id.is_none());
        let name = piece.name.filter(|_| self.name.is_none());
        self.id = self.id.take().or_else(|| id.clone());
        self.name = self.name.take().or_else(|| name.clone());
        if self.arguments.is_complete() && self.arguments.is_repeated_by(&piece.arguments) {
            return Ok(ToolCallDelta::new(self.index, id, name, String::new()));
        }
        let arguments = self.joiner.push(&piece.arguments)?;
        self.arguments.push(arguments.as_bytes());
        Ok(ToolCallDelta::new(self.index, id, name, arguments))
    }
}

/// The tool calls of a plain reply that ended so. A call repeated whole, its id included, is one call.
///
/// # Errors
/// [`ErrorKind::Protocol`] for an answer that ends for tool calls and holds none, for more than 1,024 calls, for one that
/// names no function, and for arguments with half of a surrogate pair.
pub fn whole_calls(finish: FinishKind, pieces: Vec<CallPiece>) -> Result<Vec<ToolCall>> {
    let mut calls: Vec<ToolCall> = Vec::new();
    if finish == FinishKind::ToolCalls && pieces.is_empty() {
        return Err(no_calls());
    }
    if pieces.len() > MAX_CALLS {
        return Err(too_many_calls());
    }
    for piece in pieces {
        let name = piece.name.ok_or_else(nameless)?;
        let call = ToolCall::new(piece.id.unwrap_or_default(), name, piece.arguments.into_text()?);
        if call.id.is_empty() || !calls.contains(&call) {
            calls.push(call);
        }
    }
    Ok(calls)
}

/// The error of an answer that ends for tool calls and holds none.
pub(super) fn no_calls() -> Error {
    Error::new(ErrorKind::Protocol, "the model asks for tool calls and names none")
}

fn nameless() -> Error {
    Error::new(ErrorKind::Protocol, "a tool call of the answer names no function")
}

fn too_many_calls() -> Error {
    Error::new(ErrorKind::Protocol, format!("the answer holds more than {MAX_CALLS} tool calls"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(index: Option<usize>, id: &str, name: &str) -> CallPiece {
        with(index, id, name, "")
    }

    fn with(index: Option<usize>, id: &str, name: &str, arguments: &str) -> CallPiece {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        CallPiece { index, id: text(id), name: text(name), arguments: arguments.to_owned().into() }
    }

    /// The index of each piece; `None` for one that says nothing new.
    fn indexes(chunks: &[&[CallPiece]]) -> Vec<Option<usize>> {
        let mut order = ToolCallIndex::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            for (place, piece) in chunk.iter().cloned().enumerate() {
                let delta = order.delta(place, chunk.len(), piece).unwrap();
                seen.push(delta.map(|delta| delta.index));
            }
        }
        seen
    }

    /// The calls that come of these pieces, one a chunk.
    fn calls(pieces: &[CallPiece]) -> Vec<String> {
        let mut order = ToolCallIndex::default();
        let mut calls: Vec<(usize, String)> = Vec::new();
        for piece in pieces.iter().cloned() {
            let Some(delta) = order.delta(0, 1, piece).unwrap() else { continue };
            let place = calls.iter().position(|(index, _)| *index == delta.index).unwrap_or_else(|| {
                calls.push((delta.index, String::new()));
                calls.len() - 1
            });
            let text = [delta.id.unwrap_or_default(), delta.name.unwrap_or_default(), delta.arguments];
            calls[place].1 += &text.concat();
        }
        order.check().unwrap();
        calls.into_iter().map(|(_, call)| call).collect()
    }

    #[test]
    fn a_told_index_holds() {
        let chunks: &[&[_]] =
            &[&[piece(Some(2), "a", "f"), piece(Some(0), "b", "f")], &[with(Some(2), "", "", "1")]];
        assert_eq!(indexes(chunks), [Some(2), Some(0), Some(2)]);
    }

    #[test]
    fn a_new_id_begins_a_call_and_a_known_one_goes_on() {
        let (a, b) = (|| with(None, "a", "f", "1"), || with(None, "b", "f", "1"));
        let more = || with(None, "", "", "1");
        assert_eq!(indexes(&[&[a()], &[b()], &[a()], &[more()]]), [Some(0), Some(1), Some(0), Some(0)]);
        assert_eq!(indexes(&[&[a(), b()], &[more()]]), [Some(0), Some(1), Some(1)]);
        assert_eq!(indexes(&[&[with(Some(0), "a", "f", "1")], &[b()]]), [Some(0), Some(1)]);
    }

    #[test]
    fn without_index_and_id_the_place_in_the_chunk_holds() {
        let part = || with(None, "", "", "1");
        assert_eq!(indexes(&[&[part(), part()], &[part(), part()]]), [0, 1, 0, 1].map(Some));
        assert_eq!(indexes(&[&[part()], &[part()]]), [0, 0].map(Some));
    }

    #[test]
    fn calls_with_ids_of_their_own_are_kept_apart_under_one_index() {
        let zero = Some(0);
        for pieces in [
            vec![with(zero, "a", "f", r#"{"x":1}"#), with(zero, "b", "f", r#"{"x":2}"#)],
            vec![
                with(zero, "a", "f", ""),
                with(zero, "", "", r#"{"x":1}"#),
                with(zero, "b", "f", ""),
                with(zero, "", "", r#"{"x""#),
                with(zero, "", "", ":2}"),
            ],
            vec![
                with(zero, "a", "f", r#"{"x""#),
                with(zero, "b", "f", r#"{"x""#),
                with(zero, "a", "", ":1}"),
                with(zero, "b", "", ":2}"),
            ],
            vec![
                with(zero, "a", "f", r#"{"x":1}"#),
                with(zero, "b", "f", r#"{"x":2}"#),
                with(zero, "a", "f", r#"{"x":1}"#),
                with(zero, "b", "f", r#"{"x":2}"#),
            ],
            vec![
                with(Some(7), "a", "f", r#"{"x":1}"#),
                with(Some(7), "b", "f", r#"{"#),
                with(Some(7), "", "", r#""x":2}"#),
            ],
        ] {
            assert_eq!(calls(&pieces), [r#"af{"x":1}"#, r#"bf{"x":2}"#], "{pieces:?}");
        }
        let equal = [with(zero, "a", "f", "{}"), with(zero, "b", "f", "{}")];
        assert_eq!(calls(&equal), ["af{}", "bf{}"]);
        let after = [with(zero, "a", "f", "{}"), with(zero, "b", "f", "{}"), with(Some(1), "c", "f", "{}")];
        assert_eq!(indexes(&[&after[..1], &after[1..2], &after[2..]]), [0, 1, 2].map(Some));
    }

    #[test]
    fn an_id_and_a_name_in_every_piece_belong_to_one_call() {
        for index in [None, Some(0), Some(3)] {
            let pieces = ["", "{\"x\"", ":1", "}", ""].map(|text| with(index, "a", "f", text));
            assert_eq!(calls(&pieces), [r#"af{"x":1}"#]);
        }
        let moving = [0, 1, 2].map(|index| with(Some(index), "a", "f", ["{", "}", ""][index]));
        assert_eq!(calls(&moving), ["af{}"]);
    }

    #[test]
    fn a_call_repeated_whole_is_one_call() {
        let whole = |id: &str, index| with(index, id, "f", r#"{"x":"}"}"#);
        for (id, index) in [("a", Some(0)), ("a", None), ("", Some(0)), ("", None)] {
            assert_eq!(calls(&[whole(id, index), whole(id, index)]), [format!(r#"{id}f{{"x":"}}"}}"#)]);
        }
        let cut = [with(None, "a", "f", r#"{"x":"#), with(None, "", "", r#""}"}"#), whole("a", None)];
        assert_eq!(calls(&cut), [r#"af{"x":"}"}"#]);
        let unnamed = [whole("a", Some(0)), with(Some(0), "", "", r#"{"x":"}"}"#)];
        assert_eq!(calls(&unnamed), [r#"af{"x":"}"}"#]);
    }

    #[test]
    fn without_ids_another_name_and_other_arguments_begin_a_call() {
        let at = |name: &str, text: &str| with(Some(0), "", name, text);
        assert_eq!(calls(&[at("f", r#"{"x":1}"#), at("f", r#"{"x":2}"#)]), [r#"f{"x":1}"#, r#"f{"x":2}"#]);
        assert_eq!(calls(&[at("f", ""), at("g", "{}")]), ["f", "g{}"]);
        assert_eq!(calls(&[at("f", "{"), at("", "}"), at("g", "{}")]), ["f{}", "g{}"]);
        assert_eq!(calls(&[at("f", ""), at("f", "{}")]), ["f{}"]);
    }

    #[test]
    fn an_id_that_comes_late_belongs_to_the_call_of_its_index() {
        assert_eq!(calls(&[with(Some(0), "", "f", "{"), with(Some(0), "a", "", "}")]), ["f{a}"]);
    }

    #[test]
    fn pieces_that_say_nothing_new_are_none() {
        let nothing = [piece(Some(0), "a", "f"), piece(Some(0), "a", "f"), piece(Some(0), "", "")];
        assert_eq!(indexes(&[&nothing[..1], &nothing[1..2], &nothing[2..]]), [Some(0), None, None]);
    }

    #[test]
    fn the_largest_index_leaves_room_for_others() {
        let last =
            [with(Some(usize::MAX), "a", "f", ""), with(None, "b", "f", ""), with(Some(0), "c", "f", "")];
        let seen = indexes(&[&last[..1], &last[1..2], &last[2..]]);
        assert_eq!(seen, [usize::MAX, 0, 1].map(Some));
    }

    #[test]
    fn calls_ids_and_names_are_bounded() {
        let mut order = ToolCallIndex::default();
        let mut refused = None;
        for id in 0..=MAX_CALLS {
            refused = order.delta(0, 1, piece(Some(0), &format!("{id}"), "f")).err();
        }
        assert!(refused.unwrap().message().contains("more than 1024 tool calls"));
        let mut order = ToolCallIndex::default();
        let long = "x".repeat(MAX_ID_BYTES / 4);
        let refused = (0..5).find_map(|id| order.delta(0, 1, piece(None, &format!("{id}{long}"), "f")).err());
        assert!(refused.unwrap().message().contains("1048576 bytes"));
        let same = (0..100).map(|_| order.delta(0, 1, piece(None, &format!("0{long}"), "f")));
        assert_eq!(same.filter(Result::is_err).count(), 100, "it stays refused");
    }

    #[test]
    fn a_call_without_a_name_or_with_half_a_character_is_no_good_end() {
        let mut order = ToolCallIndex::default();
        order.delta(0, 1, piece(Some(0), "a", "")).unwrap();
        assert!(order.check().unwrap_err().message().contains("no function"));
        let half: Box<serde_json::value::RawValue> = serde_json::from_str(r#""\ud83d""#).unwrap();
        let mut order = ToolCallIndex::default();
        let piece = CallPiece { arguments: Arguments::of(Some(&half)), ..piece(None, "a", "f") };
        order.delta(0, 1, piece).unwrap();
        assert!(order.check().unwrap_err().message().contains("surrogate"));
    }

    #[test]
    fn calls_of_a_plain_reply_are_whole_bounded_and_come_once() {
        let named = |id: &str, text: &str| with(None, id, "f", text);
        let ids = |pieces: Vec<CallPiece>| {
            whole_calls(FinishKind::Stop, pieces)
                .map(|calls| calls.into_iter().map(|call| call.id).collect::<Vec<_>>())
        };
        assert_eq!(ids(vec![named("a", "{}"), named("b", "{}"), named("a", "{}")]).unwrap(), ["a", "b"]);
        assert_eq!(ids(vec![named("", "{}"), named("", "{}")]).unwrap(), ["", ""]);
        assert_eq!(ids(vec![named("a", "{}"), named("a", "[1]")]).unwrap(), ["a", "a"]);
        assert!(ids(vec![named("a", "{}"), piece(None, "b", "")]).is_err());
        assert!(ids(vec![named("a", "{}"); MAX_CALLS + 1]).is_err());
        assert!(whole_calls(FinishKind::ToolCalls, Vec::new()).is_err());
    }
}
