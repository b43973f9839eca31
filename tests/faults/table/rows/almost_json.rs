//! Replies that are almost JSON, or in another form than was asked for: the answer is read all the same.

use ErrorKind::{Interrupted, Protocol};
use polysight::ErrorKind;
use polysight_testkit::{ANSWER, HALF, PIECES, Reply};
use serde_json::Value;

use super::replied;
use crate::table::row::{Advice, Ask, Outcome, Row, Text, answer, broken_off};
use crate::table::target::Target;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

pub(super) fn all(target: &Target) -> Vec<Row> {
    let mut rows = odd_json(target);
    rows.extend(odd_text(target));
    rows.extend(odd_errors(target));
    rows.extend(other_forms(target));
    rows.extend(other_lines(target));
    rows.extend(unfinished(target));
    rows
}

fn typed(kind: &str, body: impl AsRef<[u8]>) -> Reply {
    Reply::document(200, &[&format!("Content-Type: {kind}")], body)
}

fn whole() -> Outcome {
    answer(Text::Exactly(ANSWER))
}

fn row(name: impl AsRef<str>, plain: Reply, streamed: Reply) -> Row {
    replied(format!("almost: {}", name.as_ref()), plain, streamed).asking(Ask::Identified).both(whole())
}

/// A stream of the usual answer.
fn stream(target: &Target) -> String {
    target.stream(&PIECES)
}

/// The JSON of a stream's events, changed.
fn changed(stream: &str, change: impl Fn(&str) -> String) -> String {
    let lines = stream.split_inclusive('\n').map(|line| match line.strip_prefix("data:") {
        Some(json) if json.trim_start().starts_with('{') => format!("data: {}\n", change(json.trim())),
        _ => line.to_owned(),
    });
    lines.collect()
}

/// The usual answer with its JSON changed, plain and streamed.
fn with(target: &Target, name: &str, change: impl Fn(&str) -> String) -> Row {
    let plain = typed(JSON, change(&target.reply(ANSWER)));
    row(name, plain, typed(EVENTS, changed(&stream(target), &change)))
}

/// JSON that no strict parser reads, with fields before its own.
fn odd_json(target: &Target) -> Vec<Row> {
    let before = |fields: &'static str| move |json: &str| json.replacen('{', &format!("{{{fields}"), 1);
    let deep = format!("{{\"x\":{}NaN{},", "[".repeat(300), "]".repeat(300));
    vec![
        with(target, "a key twice", before(r#""choices":7,"output":"x","usage":[],"created":{},"#)),
        with(target, "a key twice, deep", |json| {
            json.replace("\"content\":", "\"content\":\"x\",\"content\":")
        }),
        with(target, "a key three times", before(r#""x":1,"x":2,"model":"a","model":"b","x":3,"#)),
        with(target, "a byte order mark", |json| format!("\u{feff}{json}")),
        with(target, "two byte order marks", |json| format!("\u{feff}\u{feff} {json}")),
        with(target, "no number", before(r#""score":NaN,"bounds":[-Infinity,Infinity],"#)),
        with(target, "a number out of range", |json| {
            json.replace("\"total_tokens\":14", "\"total_tokens\":1e999")
        }),
        with(
            target,
            "numbers and words of other languages",
            before(r#""a":+1,"b":01,"c":None,"d":undefined,"#),
        ),
        with(target, "commas too many", |json| format!("{},}}", json.strip_suffix('}').unwrap())),
        with(target, "a brace too many", |json| format!("{json}}}")),
        with(target, "deeper than parsers go", |json| json.replacen('{', &deep, 1)),
    ]
}

/// Text that is none.
fn odd_text(target: &Target) -> Vec<Row> {
    let says = |name: &str, json: &'static str, text: &'static str| {
        with(target, name, |body| body.replace("Hello", json)).both(answer(Text::Exactly(text)))
    };
    let (reply, stream) = (target.reply(ANSWER), stream(target));
    let bytes = |text: &str| {
        let text = text.split("Hello").map(str::as_bytes).collect::<Vec<_>>();
        text.join(&b"Hel\xfflo"[..])
    };
    let halves = stream.replace("Hello", r"Hello\ud83d").replace(", 世界", r"\ude3a, 世界");
    let joined = reply.replace("Hello", r"Hello\ud83d\ude3a");
    vec![
        says("half a character", r"Hello\ud83d", "Hello\u{fffd}, 世界!"),
        says("the other half of a character", r"Hello\ude3a", "Hello\u{fffd}, 世界!"),
        says("half a character before an escape", r"Hel\ud83d\nlo", "Hel\u{fffd}\nlo, 世界!"),
        says("control characters", "Hel\u{1}\tlo", "Hel\u{1}\tlo, 世界!"),
        says("a backslash that escapes nothing", r"Hel\(lo", r"Hel\(lo, 世界!"),
        row("bytes that are no UTF-8", typed(JSON, bytes(&reply)), typed(EVENTS, bytes(&stream)))
            .both(answer(Text::Exactly("Hel\u{fffd}lo, 世界!"))),
        row("a character in two pieces", typed(JSON, joined), typed(EVENTS, halves))
            .both(answer(Text::Exactly("Hello😺, 世界!"))),
    ]
}

/// Refusals that are almost JSON.
fn odd_errors(target: &Target) -> Vec<Row> {
    let code = target.codes.no_balance;
    let error = target.wire.error(code, "no money left").to_string();
    let refused = |name: &str, status: u16, body: String| {
        let reply = Reply::json(status, body);
        row(format!("an error, {name}"), reply.clone(), reply).both(target.of_code(code).coded(code))
    };
    let mut rows = Vec::new();
    for status in [429, 200] {
        let of = |name: &str, body: String| refused(&format!("{status}, {name}"), status, body);
        let before = |fields: &str| error.replacen('{', &format!("{{{fields}"), 1);
        rows.extend([
            of("a byte order mark", format!("\u{feff}{error}")),
            of("a key twice", before(r#""error":7,"code":"","message":[],"#)),
            of("no number", before("\"retry_in\":NaN,")),
            of("half a character", error.replace("no money", r"no\ud83dmoney")),
            of("in a list", format!("[{error}]")),
            of("as an event", format!("event: x\ndata: \u{feff}{error}\n\n")),
            of("wrapped", format!(r#"{{"code":200,"msg":"success","data":{error}}}"#)),
        ]);
    }
    rows
}

/// Events for a document, documents for events, and either under the other's name.
fn other_forms(target: &Target) -> Vec<Row> {
    let (reply, stream) = (target.reply(ANSWER), stream(target));
    let frames = [target.deltas(&PIECES), target.wire.ending()].concat();
    let lines: String = frames.iter().map(|frame| format!("{frame}\n")).collect();
    let list = Value::from(frames.clone()).to_string();
    let half = target.frames(&target.deltas(&PIECES[..2]));
    let mut rows = Vec::new();
    for kind in [EVENTS, JSON, "text/html", "text/plain; charset=utf-8", "application/octet-stream"] {
        let both =
            |name: &str, body: &str| row(format!("{name} as {kind}"), typed(kind, body), typed(kind, body));
        rows.extend([
            both("events", &stream),
            both("a document", &reply),
            both("a document and a mark of the end", &format!("{reply}\n\ndata: [DONE]\n\n")),
            both("chunks on lines", &lines),
            both("a list of chunks", &list),
        ]);
    }
    let interrupted = broken_off(Interrupted, Advice::Later).after(Text::Exactly(HALF));
    rows.extend([
        row(
            "a list around each",
            typed(JSON, format!("[{reply}]")),
            typed(EVENTS, changed(&stream, |json| format!("[{json}]"))),
        ),
        row(
            "events behind marks",
            typed(JSON, format!("\u{feff}\n{stream}")),
            typed(JSON, format!("\n\n\u{feff}{stream}")),
        ),
        row("a document, wrapped", typed(JSON, wrapped(&reply)), typed(EVENTS, changed(&stream, wrapped))),
        row(
            "events behind comments, cut",
            typed(JSON, format!(": on\n\n{half}")),
            typed(EVENTS, format!(": on\n\n{half}")),
        )
        .both(interrupted),
        row(
            "a document behind comments",
            typed(EVENTS, format!(": on\n\n{reply}\n")),
            typed(EVENTS, format!(": on\n\n{reply}\n")),
        ),
    ]);
    rows
}

fn wrapped(json: &str) -> String {
    format!(r#"{{"code":0,"msg":"ok","success":true,"data":{json}}}"#)
}

/// Lines of a stream that are no part of an answer.
fn other_lines(target: &Target) -> Vec<Row> {
    let frames = target.frames(&target.deltas(&PIECES));
    let ending = target.frames(&target.wire.ending()) + &target.done();
    let mut rows: Vec<Row> =
        ["pong", ": waiting for a worker", "''", "null", "true", "0", "\"still here\"", "OK.", "[]", "{}"]
            .into_iter()
            .map(|line| {
                let line = format!("data: {line}\n\n");
                let stream = format!("{line}{frames}event: ping\n{line}data:\n\n{line}{ending}");
                row(
                    format!("a line of {}", line.trim()),
                    typed(JSON, target.reply(ANSWER)),
                    typed(EVENTS, stream),
                )
            })
            .collect();
    let broken = format!("{frames}data: {{\"id\":\"7\",\"choices\":[{{\n\n{ending}");
    rows.push(
        row("a line of a broken object", typed(JSON, target.reply(ANSWER)), typed(EVENTS, broken))
            .streamed(broken_off(Protocol, Advice::Later).after(Text::Exactly(ANSWER))),
    );
    rows
}

/// Answers that lack a part: the finish reason, their end, or a name that is known for the count of tokens.
fn unfinished(target: &Target) -> Vec<Row> {
    let reply = target.reply(ANSWER);
    let without = |finish: &str| {
        let body = reply.replace("\"finish_reason\":\"stop\"", finish);
        row(format!("a finish of {finish}"), typed(JSON, &body), typed(JSON, &body)).asking(Ask::Hello)
    };
    let cut = reply.find(ANSWER).unwrap() + ANSWER.len();
    let unended = |name: &str, length: usize, text: &'static str| {
        row(name, typed(JSON, &reply[..length]), typed(EVENTS, stream(target)))
            .plain(broken_off(Protocol, Advice::Later).after(Text::Exactly(text)))
    };
    vec![
        without("\"finish_reason\":null"),
        without("\"finish_reason\":\"\""),
        without("\"finish\":\"stop\""),
        unended("a document cut behind its text", cut + 2, ANSWER),
        unended("a document cut within its text", cut - 1, "Hello, 世界"),
        with(target, "tokens by another name", |json| match target.is_native() {
            true => json
                .replace("\"input_tokens\"", "\"prompt_tokens\"")
                .replace("\"output_tokens\"", "\"completion_tokens\""),
            false => json
                .replace("\"prompt_tokens\"", "\"input_tokens\"")
                .replace("\"completion_tokens\"", "\"output_tokens\""),
        }),
    ]
}
