//! Faults of event streams: which events there are, and how they are written.

use super::completion::huge_line;
use super::{ErrorForm, Fault};
use crate::http::{Piece, PieceKind};
use crate::json::Json;

/// An event of a stream before it is written down.
#[derive(Clone, Debug)]
struct Event {
    kind: PieceKind,
    /// Sent by DashScope alone.
    status: u16,
    /// The name after `event:`.
    name: Option<&'static str>,
    data: String,
    /// Written without `data:`.
    bare: bool,
}

/// How a vendor writes a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamFormat {
    /// The body of an error in mid-stream.
    pub(crate) error: Json,
    /// DashScope's own framing, with the status of that error: numbered events with a name and a status in a comment, no
    /// space after the colon, no `[DONE]`.
    pub(crate) native: Option<u16>,
}

/// The faults of a request whose answer, already cut, must end in an error.
pub(crate) fn breaking_off(chunks: &[(PieceKind, Json)], faults: &[Fault]) -> Vec<Fault> {
    let after = chunks.iter().filter(|(kind, _)| *kind == PieceKind::Delta).count();
    let error = Fault::ErrorFrame { form: ErrorForm::Data, after };
    faults.iter().cloned().chain([error]).collect()
}

/// One event with an error.
pub(crate) fn only_error(format: &StreamFormat) -> Vec<Piece> {
    Framing::of(format, &[]).write(&[error_event(ErrorForm::Data, format)])
}

/// Chunks as pieces of an event stream, ended by `[DONE]` where the vendor has it.
pub(crate) fn write(chunks: Vec<(PieceKind, Json)>, format: &StreamFormat, faults: &[Fault]) -> Vec<Piece> {
    if faults.contains(&Fault::EmptyStream) {
        return Vec::new();
    }
    let native = format.native.is_some();
    let usage = chunks.iter().rev().find_map(|(_, chunk)| chunk.get("usage")).cloned();
    let mut events: Vec<Event> = chunks
        .into_iter()
        .map(|(kind, mut chunk)| {
            super::completion::of_json(&mut chunk, if native { "message" } else { "delta" }, faults);
            Event { kind, status: 200, name: None, data: chunk.to_text(), bare: false }
        })
        .collect();
    if !native {
        let data = "[DONE]".to_owned();
        events.push(Event { kind: PieceKind::Done, status: 200, name: None, data, bare: false });
    }
    for fault in faults {
        change(&mut events, fault, format, usage.as_ref());
    }
    if let Some(length) = huge_line(faults) {
        lengthen(&mut events, length);
    }
    Framing::of(format, faults).write(&events)
}

fn change(events: &mut Vec<Event>, fault: &Fault, format: &StreamFormat, usage: Option<&Json>) {
    match fault {
        Fault::NoDone => events.retain(|event| event.kind != PieceKind::Done),
        Fault::NoFinish => events.retain(|event| event.kind != PieceKind::Finish),
        Fault::ErrorFrame { form, after } => {
            events.truncate(position_after_deltas(events, *after));
            events.push(error_event(*form, format));
        }
        Fault::DuplicateChunk => repeat_delta(events),
        Fault::AfterDone => events.extend(events.first().cloned()),
        Fault::NullChoices => insert_like_first(events, Json::Null),
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
            deltas > count || matches!(event.kind, PieceKind::Finish | PieceKind::Done)
        })
        .unwrap_or(events.len())
}

fn error_event(form: ErrorForm, format: &StreamFormat) -> Event {
    Event {
        kind: PieceKind::Other,
        status: format.native.unwrap_or(200),
        name: (form == ErrorForm::Event || format.native.is_some()).then_some("error"),
        data: format.error.to_text(),
        bare: form == ErrorForm::BareLine,
    }
}

/// The delta in the middle; a chunk that opens the stream with the role alone is none.
fn repeat_delta(events: &mut Vec<Event>) {
    let deltas: Vec<usize> = events
        .iter()
        .enumerate()
        .filter_map(|(at, event)| (event.kind == PieceKind::Delta).then_some(at))
        .collect();
    let Some(middle) = deltas.get(deltas.len() / 2).copied() else { return };
    if let Some(event) = events.get(middle).cloned() {
        events.insert(middle, event);
    }
}

/// A copy of the first chunk with other choices, put before the second.
fn insert_like_first(events: &mut Vec<Event>, choices: Json) {
    let first = events.first().map(|event| crate::request_body::parse_json(event.data.as_bytes()));
    if let Some(mut chunk) = first.and_then(|body| body.json) {
        super::completion::set_choices(&mut chunk, choices);
        let (at, data) = (events.len().min(1), chunk.to_text());
        events.insert(at, Event { kind: PieceKind::Other, status: 200, name: None, data, bare: false });
    }
}

fn usage_frame(events: &mut Vec<Event>, usage: Option<&Json>) {
    insert_like_first(events, Json::List(Vec::new()));
    if events.len() < 3 {
        return;
    }
    let mut frame = events.remove(1);
    if let (Some(mut chunk), Some(usage)) =
        (crate::request_body::parse_json(frame.data.as_bytes()).json, usage)
    {
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
        let other = match crate::request_body::parse_json(next.data.as_bytes()).json {
            Some(mut chunk) => {
                chunk.set("id", "20240101000000ffffffffffffffff".into());
                chunk.to_text()
            }
            None => next.data,
        };
        event.data.push_str("data: ");
        event.data.push_str(&other);
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
    let most = usize::try_from(super::fault_names::MAX_LINE).unwrap_or(usize::MAX);
    let padding = length.min(most).saturating_sub(event.data.len() + "data: ".len());
    for key in TEXT_KEYS {
        if let Some(at) = event.data.find(key).map(|at| at + key.len()) {
            event.data.insert_str(at, &"x".repeat(padding));
            return;
        }
    }
}

/// What stands before the text of an answer.
const TEXT_KEYS: [&str; 3] = [r#""content":""#, r#""text":""#, r#""reasoning_content":""#];

/// How events become lines.
struct Framing {
    end: &'static str,
    colon: &'static str,
    bom: bool,
    comments: bool,
    native: bool,
    fields: bool,
    two_lines: bool,
    final_blank: bool,
    invalid_utf8: bool,
}

impl Framing {
    fn of(format: &StreamFormat, faults: &[Fault]) -> Self {
        let has = |fault: Fault| faults.contains(&fault);
        let native = format.native.is_some();
        Self {
            end: match (has(Fault::CrLf), has(Fault::Cr)) {
                (true, _) => "\r\n",
                (_, true) => "\r",
                _ => "\n",
            },
            colon: if native || has(Fault::NoSpaceAfterColon) { ":" } else { ": " },
            bom: has(Fault::Bom),
            comments: has(Fault::KeepAliveComments),
            native,
            fields: native || has(Fault::EventFields),
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
            text.extend(["id", colon, &(index + usize::from(self.native)).to_string(), end]);
        }
        match event.name {
            Some(name) => text.extend(["event", colon, name, end]),
            None if self.native => text.extend(["event", colon, "result", end]),
            None if self.fields => text.extend(["event", colon, "message", end]),
            None => {}
        }
        if self.native {
            text.extend([":HTTP_STATUS/", &event.status.to_string(), end]);
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
    let place = |key: &str| {
        let at = bytes.windows(key.len()).position(|window| window == key.as_bytes());
        at.map(|at| at + key.len())
    };
    if let Some(at) = TEXT_KEYS.into_iter().find_map(place) {
        bytes.splice(at..at, [0xFF, 0xFE]);
    }
}
