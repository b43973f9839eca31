//! JSON that is almost right.

use polysight_core::StreamEvent;
use polysight_testkit::Wire;
use polysight_wire::ReplyHead;
use polysight_wire::json::{Documents, LoneHalves, documents};
use serde_json::{Value, json};

use crate::input;
use crate::wires::{plan, read_stream};

/// What a strict parser reads is read the same; whatever else is read is strict JSON, is no longer than what came, and does not
/// change when it is read again; a text cut between any two code units comes out whole.
pub(crate) fn check(data: &[u8]) {
    for halves in [LoneHalves::Replace, LoneHalves::Keep] {
        let found = documents(data, halves);
        check_texts(data, &found);
        if let Ok(value) = serde_json::from_slice::<Value>(data) {
            assert!(found.cut.is_none(), "{value}");
            assert_eq!(values(&found), objects(&value));
        }
    }
    let found = documents(data, LoneHalves::Replace);
    if found.cut.is_none() && !found.texts.is_empty() {
        let marked = [data, b"\n\ndata: [DONE]\n\n"].concat();
        assert_eq!(documents(&marked, LoneHalves::Replace).texts, found.texts, "with a mark of the end");
    }
    check_pieces(&String::from_utf8_lossy(data), input::hash(data));
}

fn check_texts(data: &[u8], found: &Documents) {
    // A control character takes six bytes, a number without its exponent some twenty.
    let size: usize = found.texts.iter().chain(&found.cut).map(String::len).sum();
    assert!(size <= 8 * data.len() + 24, "{size} bytes from {}", data.len());
    for text in found.texts.iter().chain(&found.cut) {
        let value: Value = serde_json::from_str(text).expect("strict JSON");
        assert!(value.is_object() && !text.contains('\n'), "{text}");
        let again = documents(text.as_bytes(), LoneHalves::Replace);
        assert_eq!(again.single(), Some(text.as_str()));
    }
}

fn values(found: &Documents) -> Vec<Value> {
    found.texts.iter().map(|text| serde_json::from_str(text).expect("strict JSON")).collect()
}

/// The objects of a value that stand for documents.
fn objects(value: &Value) -> Vec<Value> {
    let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    items.iter().filter(|item| item.is_object()).cloned().collect()
}

/// Sends a text in two pieces, each code unit escaped, so that the cut may part a character.
fn check_pieces(text: &str, seed: u64) {
    let units: Vec<u16> = text.encode_utf16().take(200).collect();
    // A half at the end would be one of this cut, and no part of the text.
    let text: String = char::decode_utf16(units.iter().copied()).map(|c| c.unwrap_or('\u{fffd}')).collect();
    let cut = usize::try_from(seed).unwrap_or(usize::MAX) % (units.len() + 1);
    let (first, second) = units.split_at(cut);
    for wire in Wire::ALL {
        let events: String = [first, second].into_iter().map(|piece| event(wire, piece)).collect();
        let end: String = wire.ending().iter().map(|frame| format!("data: {frame}\n\n")).collect();
        let head = ReplyHead::new(200, http::HeaderMap::new());
        let body = events + &end;
        let (events, end) = read_stream(wire, plan(wire, false, false), &head, &[body.as_bytes()], 1 << 20);
        let read = events.iter().filter_map(|event| match event {
            StreamEvent::Text(text) => Some(text.as_str()),
            _ => None,
        });
        assert_eq!(read.collect::<String>(), text, "{wire:?}, cut at {cut}");
        assert!(end.is_ok(), "{end:?}");
    }
}

fn event(wire: Wire, piece: &[u16]) -> String {
    let escaped: String = piece.iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let content = if wire == Wire::QwenVlNative { json!([{"text": "@"}]) } else { json!("@") };
    let field = if wire == Wire::QwenVlNative { "message" } else { "delta" };
    let mut choice = json!({"finish_reason": null});
    choice[field] = json!({"content": content});
    format!(
        "data: {}\n\n",
        wire.frame(json!([choice])).to_string().replace("\"@\"", &format!("\"{escaped}\""))
    )
}
