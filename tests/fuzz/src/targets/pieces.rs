//! Streams put together from bytes: their endings, and the pieces of their tool calls.

use polysight_core::{FinishKind, StreamCollector};
use polysight_testkit::Wire;
use polysight_wire::ReplyHead;
use serde_json::{Value, json};

use crate::input::Input;
use crate::wires::{plan, read_stream};

/// Endings from the best to the worst, as every vendor understands them.
const ENDINGS: [(&str, FinishKind); 4] = [
    ("stop", FinishKind::Stop),
    ("length", FinishKind::Length),
    ("never_heard_of", FinishKind::Other),
    ("content_filter", FinishKind::ContentFilter),
];

/// Whatever endings a stream says, in whatever order and among whatever else, the worst one holds.
pub(crate) fn endings(data: &[u8]) {
    let mut input = Input::new(data);
    let wire = input.pick(&Wire::ALL);
    let limited = input.flag();
    let mut worst = None;
    let mut frames = Vec::new();
    for _ in 0..input.below(12) {
        match input.below(4) {
            0 => frames.push(wire.delta("x")),
            1 => frames.push(wire.usage_alone()),
            2 => frames.push(other_choice(ending(wire, input.pick(&ENDINGS).0))),
            _ => {
                let rank = input.below(ENDINGS.len());
                worst = worst.max(Some(rank));
                frames.push(ending(wire, ENDINGS[rank].0));
            }
        }
    }
    let (_, end) = read(wire, limited, &frames);
    let is_good = worst.is_some_and(|rank| rank == 0 || (rank == 1 && limited));
    assert_eq!(end.is_ok(), is_good, "{frames:?}");
    match (end, worst) {
        (Ok(end), Some(rank)) => {
            assert_eq!((end.finish.kind, end.finish.raw.as_str()), (ENDINGS[rank].1, ENDINGS[rank].0))
        }
        (Err(error), Some(rank)) => assert_eq!(error.code(), Some(ENDINGS[rank].0), "{error}"),
        (Err(error), None) => assert_eq!(error.code(), None, "{error}"),
        (Ok(_), None) => panic!("a good end without an ending"),
    }
}

fn ending(wire: Wire, word: &str) -> Value {
    let stop = wire.finish_alone().to_string();
    serde_json::from_str(&stop.replace("\"stop\"", &format!("{word:?}"))).expect("JSON")
}

fn other_choice(mut frame: Value) -> Value {
    let path = if frame.get("output").is_some() { "/output/choices/0" } else { "/choices/0" };
    if let Some(choice) = frame.pointer_mut(path) {
        choice["index"] = 1.into();
    }
    frame
}

/// Calls with ids of their own, cut into pieces and interleaved in any order, come out as they were.
pub(crate) fn tool_calls(data: &[u8]) {
    const ARGUMENTS: [&str; 6] =
        ["{}", "{\"x\":1}", "{\"x\":\"}\"}", "{\"t\":\"你\\\"😺\"}", "[1,{}]", " {\"a\":{}} "];
    let mut input = Input::new(data);
    let (same_index, repeats_id, repeats_name) = (input.flag(), input.flag(), input.flag());
    // Without an id in every piece the index or the order says where a piece belongs.
    let interleaves = input.flag() && (repeats_id || !same_index);
    let count = 1 + input.below(4);
    let mut waiting = Vec::new();
    let mut expected = Vec::new();
    for call in 0..count {
        let arguments = input.pick(&ARGUMENTS);
        let (id, name) = (format!("call_{call}"), input.pick(&["look", "see"]));
        let cuts = input.list(3, |input| input.below(arguments.len() + 1));
        let pieces = cut(arguments, cuts);
        let repeated_whole = input.flag();
        let mut chunks: Vec<Value> = Vec::new();
        for (place, piece) in pieces.iter().enumerate() {
            let first = place == 0;
            chunks.push(piece_of(
                if same_index { 0 } else { call },
                (first || repeats_id).then_some(id.as_str()),
                (first || repeats_name).then_some(name),
                piece,
            ));
        }
        if repeated_whole {
            chunks.push(piece_of(if same_index { 0 } else { call }, Some(&id), Some(name), arguments));
        }
        waiting.push(chunks);
        expected.push((id, name.to_owned(), arguments.trim_end().to_owned()));
    }
    let mut frames = Vec::new();
    // A call begins in its turn, and goes on in any.
    let mut begun = 0;
    while waiting.iter().any(|chunks| !chunks.is_empty()) {
        let open: Vec<usize> =
            (0..waiting.len()).filter(|call| !waiting[*call].is_empty() && *call <= begun).collect();
        let Some(first) = open.first().copied() else {
            begun += 1;
            continue;
        };
        let call = if interleaves { open[input.below(open.len())] } else { first };
        begun = begun.max(call + 1);
        let piece = waiting[call].remove(0);
        frames.push(Wire::Zhipu.frame(json!([{"index": 0, "delta": {"tool_calls": [piece]}}])));
    }
    frames.push(ending(Wire::Zhipu, "tool_calls"));
    let (collected, end) = read(Wire::Zhipu, false, &frames);
    let response = collected.complete(end.unwrap_or_else(|error| panic!("{error}: {frames:?}")));
    let calls: Vec<_> = response
        .tool_calls
        .into_iter()
        .map(|call| (call.id, call.name, call.arguments.trim_end().to_owned()))
        .collect();
    assert_eq!(calls, expected, "{frames:?}");
}

fn piece_of(index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// The text in pieces, cut at characters.
fn cut(text: &str, mut cuts: Vec<usize>) -> Vec<&str> {
    cuts.retain(|cut| text.is_char_boundary(*cut));
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([text.len()]);
    let mut start = 0;
    ends.map(|end| &text[std::mem::replace(&mut start, end)..end]).collect()
}

fn read(
    wire: Wire,
    limited: bool,
    frames: &[Value],
) -> (StreamCollector, polysight_core::Result<polysight_core::ResponseMeta>) {
    let body: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    let head = ReplyHead::new(200, http::HeaderMap::new());
    let limit = polysight_wire::sse::DEFAULT_MAX_LINE;
    let (events, end) = read_stream(wire, plan(wire, limited, false), &head, &[body.as_bytes()], limit);
    let mut collected = StreamCollector::new();
    events.into_iter().for_each(|event| collected.add(event));
    (collected, end)
}
