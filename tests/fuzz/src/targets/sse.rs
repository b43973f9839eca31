//! The reader of event streams.

use bytes::Bytes;
use polysight_wire::sse::{SseError, SseItem, SseReader};

use crate::input;

/// Limits of the reader that are tried: that of the default, and some that streams meet.
const LIMITS: [usize; 4] = [polysight_wire::sse::DEFAULT_MAX_LINE, 200, 40, 8];

#[derive(Debug, PartialEq)]
enum Item {
    Event { name: Option<Vec<u8>>, id: Option<Vec<u8>>, data: Vec<u8> },
    Comment(Vec<u8>),
    NonField(Vec<u8>),
    Failed(SseError),
}

/// Any cut of any stream gives the items of the stream in one piece, and nothing over the limit.
pub(crate) fn check(data: &[u8]) {
    for limit in LIMITS {
        let whole = read(&[data], limit);
        check_items(&whole, data, limit);
        let bytewise: Vec<&[u8]> = data.chunks(1).collect();
        assert_eq!(read(&bytewise, limit), whole, "byte by byte, limit {limit}");
        for seed in 0..3 {
            let pieces = input::pieces(data, input::hash(data) + seed);
            assert_eq!(read(&pieces, limit), whole, "in {} pieces, limit {limit}", pieces.len());
        }
        if limit > data.len() {
            assert_eq!(whole, by_lines(data), "held against a plain reading");
        }
    }
}

fn read(pieces: &[&[u8]], limit: usize) -> Vec<Item> {
    let mut reader = SseReader::new(limit);
    let mut items = Vec::new();
    for piece in pieces {
        reader.push(Bytes::copy_from_slice(piece));
        if !drain(&mut reader, &mut items) {
            return items;
        }
        check_held(&reader, limit);
    }
    reader.finish();
    if drain(&mut reader, &mut items) {
        assert!(matches!(reader.next_item(), Ok(None)), "the end is the end");
    }
    items
}

/// False once the reader has failed.
fn drain(reader: &mut SseReader, items: &mut Vec<Item>) -> bool {
    loop {
        match reader.next_item() {
            Ok(None) => return true,
            Ok(Some(item)) => items.push(owned(item)),
            Err(error) => {
                items.push(Item::Failed(error));
                assert_eq!(reader.next_item(), Err(error), "a failure stays");
                return false;
            }
        }
    }
}

fn owned(item: SseItem<'_>) -> Item {
    let own = |bytes: &[u8]| bytes.to_vec();
    match item {
        SseItem::Event(event) => {
            Item::Event { name: event.name.map(own), id: event.id.map(own), data: own(event.data) }
        }
        SseItem::Comment(text) => Item::Comment(own(text)),
        SseItem::NonField(line) => Item::NonField(own(line)),
        other => panic!("{other:?} is new: teach the target"),
    }
}

/// What is kept between two pieces is within the limit; the reader's `Debug` tells the sizes.
fn check_held(reader: &SseReader, limit: usize) {
    let sizes = format!("{reader:?}");
    for field in ["carry: ", "data: "] {
        let (_, after) = sizes.split_once(field).expect("a size");
        let size: usize = after.split(',').next().and_then(|size| size.parse().ok()).expect("a number");
        assert!(size <= limit, "{field}{size} over {limit}");
    }
}

fn check_items(items: &[Item], data: &[u8], limit: usize) {
    let mut total = 0;
    for item in items {
        let size = match item {
            Item::Event { data, .. } => data.len(),
            Item::Comment(text) | Item::NonField(text) => text.len(),
            Item::Failed(_) => 0,
        };
        assert!(size <= limit, "an item of {size} bytes over {limit}");
        total += size;
    }
    assert!(total <= data.len(), "more out than in");
}

/// The format as its document tells it, without regard to cost.
fn by_lines(data: &[u8]) -> Vec<Item> {
    let data = data.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(data);
    let mut items = Vec::new();
    let (mut name, mut id, mut lines) = (None, None, Vec::<Vec<u8>>::new());
    for line in lines_of(data).into_iter().chain([Vec::new()]) {
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                (&line[..colon], line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]))
            }
            None => (&line[..], &[][..]),
        };
        match field {
            b"" if !line.is_empty() => items.push(Item::Comment(value.to_vec())),
            b"" => {
                let (name, id) = (name.take(), id.take());
                let lines = std::mem::take(&mut lines);
                if !lines.is_empty() {
                    items.push(Item::Event { name, id, data: lines.join(&b'\n') });
                }
            }
            b"data" => lines.push(value.to_vec()),
            b"event" => name = Some(value.to_vec()).filter(|value| !value.is_empty()),
            b"id" if value.contains(&0) => {}
            b"id" => id = Some(value.to_vec()),
            b"retry" => {}
            _ => items.push(Item::NonField(line.clone())),
        }
    }
    items
}

fn lines_of(data: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut bytes = data.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {
                if *byte == b'\r' {
                    bytes.next_if(|next| **next == b'\n');
                }
                lines.push(Vec::new());
            }
            byte => lines.last_mut().expect("one at least").push(*byte),
        }
    }
    lines
}
