//! Each vendor's event streams.

use polysight_core::{ChatResponse, Error, ResponseMeta, Result, StreamCollector, StreamEvent};
use polysight_testkit::Wire;
use polysight_wire::{Events, ReplyHead};

use crate::display::{check_finish, check_line, check_response};
use crate::input;
use crate::wires::{plan, read_stream, reply};

pub(crate) fn zhipu(data: &[u8]) {
    check(Wire::Zhipu, data);
}

pub(crate) fn qwen(data: &[u8]) {
    check(Wire::QwenVl, data);
}

pub(crate) fn qwen_native(data: &[u8]) {
    check(Wire::QwenVlNative, data);
}

pub(crate) fn ernie(data: &[u8]) {
    check(Wire::Ernie, data);
}

/// Any cut of any stream gives the same events and the same end; the end is good or an error that may be shown; no more
/// is held than came.
fn check(wire: Wire, data: &[u8]) {
    let seed = input::hash(data);
    let (limited, raw) = (seed & 1 == 1, seed & 2 == 2);
    let plan = plan(wire, limited, raw);
    let (head, body) = reply(data);
    for limit in [polysight_wire::sse::DEFAULT_MAX_LINE, 300] {
        let read = |pieces: &[&[u8]]| read_stream(wire, plan, &head, pieces, limit);
        let (events, end) = read(&[&body]);
        check_size(&events, &body);
        let whole = described(&events, &end);
        let bytewise: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(described_of(read(&bytewise)), whole, "byte by byte");
        for seed in [seed, seed + 1] {
            let pieces = input::pieces(&body, seed);
            assert_eq!(described_of(read(&pieces)), whole, "in {} pieces", pieces.len());
        }
        check_end(&head, events, end, limited);
    }
}

fn described_of((events, end): (Events, Result<ResponseMeta>)) -> String {
    described(&events, &end)
}

fn described(events: &Events, end: &Result<ResponseMeta>) -> String {
    match end {
        Ok(end) => format!("{events:?}\n{end:?}"),
        Err(error) => format!("{events:?}\n{error:?}"),
    }
}

/// An escape in JSON is longer than what it stands for; what is no UTF-8 grows threefold, a number by its exponent.
fn check_size(events: &Events, body: &[u8]) {
    let size: usize = events.iter().map(size).sum();
    assert!(size <= 3 * body.len() + 400, "{size} bytes of events from {} bytes", body.len());
}

fn size(event: &StreamEvent) -> usize {
    match event {
        StreamEvent::Text(text) | StreamEvent::Reasoning(text) => {
            assert!(!text.is_empty(), "a piece of nothing");
            text.len()
        }
        StreamEvent::ToolCall(delta) => {
            delta.arguments.len()
                + delta.id.as_ref().map_or(0, String::len)
                + delta.name.as_ref().map_or(0, String::len)
        }
        other => panic!("{other:?} is not for a decoder to say"),
    }
}

fn check_end(head: &ReplyHead, events: Events, end: Result<ResponseMeta>, limited: bool) {
    let mut collected = StreamCollector::new();
    events.into_iter().for_each(|event| collected.add(event));
    match end {
        Ok(end) => {
            check_finish(&end.finish, limited);
            let response: ChatResponse = collected.complete(end);
            check_response(&response, limited);
        }
        Err(error) => {
            let error: Error = head.advise(collected.interrupted(error));
            check_line(&error);
        }
    }
}
