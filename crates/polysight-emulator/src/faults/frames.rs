//! Faults of event streams: which events there are, and how they are written.

use super::content::huge_line;
use super::{ErrorForm, Fault};
use crate::json::Json;
use crate::server::{Piece, PieceKind};

/// An event of a stream before it is written down.
#[derive(Clone, Debug)]
struct Event {
    kind: PieceKind,
    /// The name after `event:`.
    name: Option<&'static str>,
    data: String,
    /// Written without `data:`.
    bare: bool,
}

/// What a stream says of an error; made by the vendor.
#[derive(Clone, Debug)]
pub(crate) struct StreamEnds {
    /// The body of an error.
    pub(crate) error: Json,
}

/// Chunks as pieces of an event stream, ended by `[DONE]`.
pub(crate) fn write(chunks: Vec<(PieceKind, Json)>, ends: &StreamEnds, faults: &[Fault]) -> Vec<Piece> {
    if faults.contains(&Fault::EmptyStream) {
        return Vec::new();
    }
    let usage = chunks.iter().rev().find_map(|(_, chunk)| chunk.get("usage")).cloned();
    let mut events: Vec<Event> = chunks
        .into_iter()
        .map(|(kind, mut chunk)| {
            super::content::of_json(&mut chunk, "delta", faults);
            Event { kind, name: None, data: chunk.to_text(), bare: false }
        })
        .collect();
    events.push(Event { kind: PieceKind::Done, name: None, data: "[DONE]".to_owned(), bare: false });
    for fault in faults {
        change(&mut events, fault, ends, usage.as_ref());
    }
    if let Some(length) = huge_line(faults) {
        lengthen(&mut events, length);
    }
    Framing::of(faults).write(&events)
}

fn change(events: &mut Vec<Event>, fault: &Fault, ends: &StreamEnds, usage: Option<&Json>) {
    match fault {
        Fault::NoDone => events.retain(|event| event.kind != PieceKind::Done),
        Fault::NoFinish => events.retain(|event| event.kind != PieceKind::Finish),
        Fault::ErrorFrame { form, after } => {
            events.truncate(position_after_deltas(events, *after));
            events.push(error_event(*form, &ends.error));
        }
        Fault::DuplicateChunk => repeat_delta(events),
        Fault::AfterDone => events.extend(events.first().cloned()),
        Fault::NullChoices => insert_like_first(events, "choices", Json::Null),
        Fault::UsageFrame => usage_frame(events, usage),
        Fault::GluedFrame => glue(events),
        Fault::InvalidJson => {
            if let Some(event) = events.get_mut(1) {
                cut_in_half(&mut event.data);
            }
        }
        _ => {}
    }
}

/// Where the events stand that follow the first `count` deltas.
fn position_after_deltas(events: &[Event], count: usize) -> usize {
    let mut deltas = 0;
    events
        .iter()
        .position(|event| {
            deltas += usize::from(event.kind == PieceKind::Delta);
            deltas > count || event.kind != PieceKind::Delta
        })
        .unwrap_or(events.len())
}

fn error_event(form: ErrorForm, error: &Json) -> Event {
    Event {
        kind: PieceKind::Other,
        name: (form == ErrorForm::Event).then_some("error"),
        data: error.to_text(),
        bare: form == ErrorForm::BareLine,
    }
}

fn repeat_delta(events: &mut Vec<Event>) {
    let middle = events.iter().filter(|event| event.kind == PieceKind::Delta).count() / 2;
    if let Some(event) = events.get(middle).cloned() {
        events.insert(middle, event);
    }
}

/// A copy of the first chunk with one field changed, put before the second.
fn insert_like_first(events: &mut Vec<Event>, key: &str, value: Json) {
    let first = events.first().map(|event| crate::intake::take_in(event.data.as_bytes()));
    if let Some(mut chunk) = first.and_then(|intake| intake.json) {
        chunk.set(key, value);
        let at = events.len().min(1);
        events.insert(at, Event { kind: PieceKind::Other, name: None, data: chunk.to_text(), bare: false });
    }
}

fn usage_frame(events: &mut Vec<Event>, usage: Option<&Json>) {
    insert_like_first(events, "choices", Json::List(Vec::new()));
    if events.len() < 3 {
        return;
    }
    let mut frame = events.remove(1);
    if let (Some(mut chunk), Some(usage)) = (crate::intake::take_in(frame.data.as_bytes()).json, usage) {
        chunk.set("usage", usage.clone());
        frame.data = chunk.to_text();
    }
    let end = events.iter().position(|event| event.kind == PieceKind::Done).unwrap_or(events.len());
    events.insert(end, frame);
}

/// Half of the second frame, and right behind it a whole frame under another id.
fn glue(events: &mut Vec<Event>) {
    let Some(next) = events.get(2).cloned() else { return };
    if let Some(event) = events.get_mut(1) {
        cut_in_half(&mut event.data);
        let stranger = match crate::intake::take_in(next.data.as_bytes()).json {
            Some(mut chunk) => {
                chunk.set("id", "20240101000000ffffffffffffffff".into());
                chunk.to_text()
            }
            None => next.data,
        };
        event.data.push_str("data: ");
        event.data.push_str(&stranger);
        events.remove(2);
    }
}

fn cut_in_half(text: &mut String) {
    let half = text.len() / 2;
    let at = (0..=half).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(at);
}

/// Makes the first delta so long that its line has this many bytes.
fn lengthen(events: &mut [Event], length: usize) {
    let Some(event) = events.first_mut() else { return };
    let padding = length.saturating_sub(event.data.len() + "data: ".len());
    for key in [r#""content":""#, r#""reasoning_content":""#] {
        if let Some(at) = event.data.find(key).map(|at| at + key.len()) {
            event.data.insert_str(at, &"x".repeat(padding));
            return;
        }
    }
}

/// How events become lines.
struct Framing {
    end: &'static str,
    colon: &'static str,
    bom: bool,
    comments: bool,
    fields: bool,
    two_lines: bool,
    final_blank: bool,
    invalid_utf8: bool,
}

impl Framing {
    fn of(faults: &[Fault]) -> Self {
        let has = |fault: Fault| faults.contains(&fault);
        Self {
            end: match (has(Fault::CrLf), has(Fault::Cr)) {
                (true, _) => "\r\n",
                (_, true) => "\r",
                _ => "\n",
            },
            colon: if has(Fault::NoSpaceAfterColon) { ":" } else { ": " },
            bom: has(Fault::Bom),
            comments: has(Fault::KeepAliveComments),
            fields: has(Fault::EventFields),
            two_lines: has(Fault::MultiLineData),
            final_blank: !has(Fault::NoFinalBlankLine),
            invalid_utf8: has(Fault::InvalidUtf8),
        }
    }

    fn write(&self, events: &[Event]) -> Vec<Piece> {
        let last = events.len().saturating_sub(1);
        let mut pieces: Vec<Piece> = events
            .iter()
            .enumerate()
            .map(|(index, event)| {
                let blank = index < last || self.final_blank;
                let bytes = self.event(index, event, blank).into_bytes();
                Piece { kind: event.kind, bytes }
            })
            .collect();
        if let Some(first) = pieces.first_mut().filter(|_| self.bom) {
            first.bytes.splice(0..0, "\u{FEFF}".bytes());
        }
        if self.invalid_utf8 {
            pieces.iter_mut().for_each(|piece| spoil_utf8(&mut piece.bytes));
        }
        pieces
    }

    fn event(&self, index: usize, event: &Event, blank: bool) -> String {
        let (end, colon) = (self.end, self.colon);
        let mut text = String::new();
        if self.comments {
            text.extend([": keep-alive", end, end]);
        }
        if self.fields {
            text.extend(["id", colon, &index.to_string(), end]);
        }
        match event.name {
            Some(name) => text.extend(["event", colon, name, end]),
            None if self.fields => text.extend(["event", colon, "message", end]),
            None => {}
        }
        for line in self.data_lines(event) {
            if !event.bare {
                text.extend(["data", colon]);
            }
            text.extend([line, end]);
        }
        if blank {
            text.push_str(end);
        }
        text
    }

    /// White space may follow the opening brace of an object, so a line may end there.
    fn data_lines<'e>(&self, event: &'e Event) -> Vec<&'e str> {
        match event.data.split_at_checked(1) {
            Some((open @ "{", rest)) if self.two_lines => vec![open, rest],
            _ => vec![&event.data],
        }
    }
}

/// Puts two bytes that are never part of UTF-8 at the start of the text.
pub(super) fn spoil_utf8(bytes: &mut Vec<u8>) {
    const KEY: &[u8] = br#""content":""#;
    if let Some(at) = bytes.windows(KEY.len()).position(|window| window == KEY) {
        let at = at + KEY.len();
        bytes.splice(at..at, [0xFF, 0xFE]);
    }
}
