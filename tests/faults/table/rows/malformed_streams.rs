//! Streams in other forms than the vendor writes, byte by byte: the whole answer, or the right error with what had come.

use ErrorKind::{Interrupted, Protocol, Server};
use polysight::ErrorKind;
use polysight_testkit::{ANSWER, Framing, HALF, PIECES, Reply, Step, Wire};
use serde_json::{Value, json};

use super::{FAIR, FIRST_BYTE, IDLE, callers_id, replied};
use crate::table::row::{Advice, Ask, Outcome, Row, Text, answer, broken_off, refused};
use crate::table::target::Target;

const NO_MARK: &str = "the protocol has no mark of the end";

pub(super) fn all(target: &Target) -> Vec<Row> {
    let mut rows = framings(target);
    rows.extend(frames(target));
    rows.extend(endings(target));
    rows.extend(errors(target));
    rows.extend(breaks(target));
    rows.extend(waits(target));
    rows.extend(bodies(target));
    rows
}

/// A row in which a stream comes so; a plain call gets the whole answer.
fn streamed(target: &Target, name: &str, stream: Reply, outcome: Outcome) -> Row {
    let plain = Reply::json(200, target.reply(ANSWER));
    let row = replied(format!("stream: {name}"), plain, stream).asking(Ask::Identified);
    row.plain(whole()).streamed(outcome)
}

fn whole() -> Outcome {
    answer(Text::Exactly(ANSWER))
}

fn interrupted(text: &'static str) -> Outcome {
    broken_off(Interrupted, Advice::Later).after(Text::Exactly(text))
}

/// An answer's deltas and end.
fn every_frame(target: &Target) -> Vec<Value> {
    [target.deltas(&PIECES), target.wire.ending()].concat()
}

fn text(target: &Target, framing: Framing, frames: &[Value]) -> String {
    framing.write(target.wire, frames) + &framing.done(target.wire)
}

/// Two deltas, and no end of the body.
fn half(target: &Target) -> Reply {
    Reply::events().piece(target.frames(&target.deltas(&PIECES[..2])))
}

fn framings(target: &Target) -> Vec<Row> {
    let usual = Framing::of(target.wire);
    let written = text(target, usual, &every_frame(target));
    let good = |name, reply| streamed(target, name, reply, whole());
    let framed = |name, change: fn(&mut Framing)| {
        let mut framing = usual;
        change(&mut framing);
        good(name, Reply::events().piece(text(target, framing, &every_frame(target))).end())
    };
    let unmarked = target.frames(&every_frame(target));
    vec![
        framed("CR LF", |framing| framing.line_end = "\r\n"),
        framed("CR", |framing| framing.line_end = "\r"),
        framed("comments", |framing| framing.comments = true),
        framed("data on two lines", |framing| framing.two_lines = true),
        framed("no space after the colon", |framing| framing.space = false),
        framed("a space after the colon", |framing| framing.space = true),
        framed("fields", |framing| framing.fields = true)
            .unless(target.is_native().then_some("its events always have fields")),
        good("byte order mark", Reply::events().piece("\u{feff}".to_owned() + &written).end()),
        good("chunks of 7 bytes", Reply::events().pieces(written.as_bytes().chunks(7)).end()),
        good("chunks of 1 byte", Reply::events().pieces(written.as_bytes().chunks(1)).end()),
        good("no blank line at the end", Reply::events().piece(written.trim_end()).end()),
        good("no blank line and no mark at the end", Reply::events().piece(unmarked.trim_end()).end()),
    ]
}

fn frames(target: &Target) -> Vec<Row> {
    let wire = target.wire;
    let of = |name, frames: &[Value], outcome| {
        let reply = Reply::events().piece(text(target, Framing::of(wire), frames)).end();
        streamed(target, name, reply, outcome)
    };
    let with = |place: usize, frame: Value| {
        let mut frames = every_frame(target);
        frames.insert(place, frame);
        frames
    };
    const SEPARATORS: &str = "a\u{2028}b\u{85}c\u{2029}d";
    let separators = [vec![wire.delta(SEPARATORS)], wire.ending()].concat();
    let usage_alone = [target.deltas(&PIECES), vec![wire.finish_alone(), wire.usage_alone()]].concat();
    let unmarked = target.frames(&every_frame(target));
    let after = unmarked.clone() + &target.done() + &target.frames(&[wire.delta("extra")]);
    let no_mark = target.is_native().then_some(NO_MARK);
    vec![
        of("separators of Unicode", &separators, answer(Text::Exactly(SEPARATORS))),
        of("usage in a frame of its own", &usage_alone, whole()),
        of("choices null", &with(1, wire.frame(Value::Null)), whole()),
        of("choices empty", &with(0, wire.frame(json!([]))), whole()),
        streamed(target, "no mark of the end", Reply::events().piece(unmarked).end(), whole())
            .unless(no_mark),
        streamed(target, "more after the mark of the end", Reply::events().piece(after).end(), whole())
            .unless(no_mark),
    ]
}

/// Several endings, and other answers beside the one that was asked for.
fn endings(target: &Target) -> Vec<Row> {
    let wire = target.wire;
    let ending = |word: &str| {
        let stop = wire.finish_alone().to_string();
        serde_json::from_str(&stop.replace("\"stop\"", &format!("{word:?}"))).unwrap()
    };
    let of = |name: String, frames: Vec<Value>, outcome| {
        let frames = [target.deltas(&PIECES), frames, wire.ending()].concat();
        let reply = Reply::events().piece(text(target, Framing::of(wire), &frames)).end();
        streamed(target, &name, reply, outcome)
    };
    let worse = |kind| broken_off(kind, Advice::Never).after(Text::Exactly(ANSWER));
    let kinds = [
        ("content_filter", ErrorKind::ContentRefused),
        ("length", Interrupted),
        ("never_heard_of", Interrupted),
    ];
    let mut rows = Vec::new();
    for (word, kind) in kinds {
        rows.push(of(format!("{word}, then stop"), vec![ending(word)], worse(kind)));
        rows.push(of(format!("stop, {word}, then stop"), vec![ending("stop"), ending(word)], worse(kind)));
    }
    let other = |mut frame: Value| {
        for path in ["/choices/0", "/output/choices/0"] {
            if let Some(choice) = frame.pointer_mut(path) {
                choice["index"] = 1.into();
            }
        }
        frame
    };
    rows.push(of("text of another answer".to_owned(), vec![other(wire.delta("another"))], whole()));
    rows.push(of("the end of another answer".to_owned(), vec![other(ending("content_filter"))], whole()));
    rows
}

fn errors(target: &Target) -> Vec<Row> {
    let (wire, code) = (target.wire, target.codes.rate_limited);
    let error = wire.error(code, "slow down");
    let usual = Framing::of(wire);
    let named = Framing { fields: true, ..usual };
    let throttled = || target.of_code(code).after(Text::Exactly(HALF));
    let row = |name, tail: &str, outcome| streamed(target, name, half(target).piece(tail).end(), outcome);
    let pretty = serde_json::to_string_pretty(&error).unwrap();
    let on_lines = |name, body: String| {
        let reply = Reply::events().piece(body).end();
        streamed(target, name, reply, target.of_code(code))
    };
    let garbled = "data: {\"id\":\"8801\",\"choices\":[{\"delta\":{\"content\":\"br\n\n";
    let first = Reply::events().piece(named.event(wire, 1, "error", &error)).end();
    vec![
        row("an error as data", &usual.event(wire, 3, "", &error), throttled())
            .unless(target.is_native().then_some("its errors are events of that name")),
        row("an error as an event", &named.event(wire, 3, "error", &error), throttled()),
        row("an error on a bare line", &format!("{error}\n"), throttled()),
        row("an error on a bare line without end", &error.to_string(), throttled()),
        row("no JSON", garbled, broken_off(Protocol, Advice::Later).after(Text::Exactly(HALF))),
        streamed(target, "an error first", first, target.of_code(code)),
        on_lines("an error over several lines", pretty.clone()),
        on_lines("an error over several lines, CR LF", pretty.replace('\n', "\r\n") + "\r\n\r\n"),
    ]
}

fn breaks(target: &Target) -> Vec<Row> {
    let third = target.frames(&target.deltas(&PIECES[2..]));
    let cut = &third[..third.len() / 2];
    let ended = target.frames(&every_frame(target));
    let row = |name, reply, outcome| streamed(target, name, reply, outcome);
    vec![
        row("body cut", half(target).piece(cut), interrupted(HALF)),
        row("reset", half(target).then(Step::Reset), interrupted(HALF)),
        row("ended after an event", half(target).end(), interrupted(HALF)),
        row("ended in an event", half(target).piece(cut).end(), interrupted(HALF)),
        row(
            "the mark of the end without a finish",
            half(target).piece(target.done()).end(),
            interrupted(HALF),
        )
        .unless(target.is_native().then_some(NO_MARK)),
        row("body cut after the finish", Reply::events().piece(&ended), whole()),
        row("reset after the finish", Reply::events().piece(&ended).then(Step::Reset), whole()),
        row("no event", Reply::events().end(), interrupted("")),
        row("comments alone", Reply::events().piece(": hello\n\n: hello\n\n").end(), interrupted("")),
    ]
}

fn waits(target: &Target) -> Vec<Row> {
    let too_late = |kind, text| broken_off(kind, Advice::Never).after(Text::Exactly(text));
    let ended = target.frames(&every_frame(target));
    let head = Reply::events().piece(": hello\n\n");
    vec![
        streamed(target, "stall", half(target).then(Step::Hang), too_late(IDLE, HALF))
            .within(|limits| limits.idle = FAIR),
        streamed(target, "silent after the head", head.then(Step::Hang), too_late(FIRST_BYTE, ""))
            .within(|limits| limits.first_byte = FAIR),
        streamed(target, "silent", Reply::nothing().then(Step::Hang), too_late(FIRST_BYTE, ""))
            .within(|limits| limits.first_byte = FAIR),
        streamed(target, "stall after the finish", Reply::events().piece(ended).then(Step::Hang), whole()),
    ]
}

/// What comes instead of a stream.
fn bodies(target: &Target) -> Vec<Row> {
    let json = ["Content-Type: application/json; charset=utf-8"];
    let code = target.codes.rate_limited;
    let error = target.wire.error(code, "slow down").to_string();
    let events = text(target, Framing::of(target.wire), &every_frame(target));
    let page = "<html><head><title>Portal</title></head><body>Log in</body></html>";
    let flat = r#"{"code":"77","msg":"Rate limit reached for RPM"}"#;
    // Unknown to every table: the words decide, where the vendor's codes leave room for them.
    let flat_kind = if target.wire == Wire::Ernie { ErrorKind::RateLimited } else { Server };
    let row = |name, reply, outcome| streamed(target, name, reply, outcome);
    let typed = |kind: &str| Reply::chunked(200, &[&format!("Content-Type: {kind}")]).piece(&events).end();
    vec![
        row("an error under 200", Reply::document(200, &json, &error), target.of_code(code)),
        row("an error under 200, of no type", Reply::document(200, &[], &error), target.of_code(code)),
        row(
            "an error under 200, typed as events",
            Reply::document(200, &["Content-Type: text/event-stream"], &error),
            target.of_code(code),
        ),
        row(
            "a flat error under 200",
            Reply::document(200, &json, flat),
            refused(flat_kind, Advice::Later).naming(200, "77", callers_id(target)),
        ),
        row("a whole answer", Reply::document(200, &json, target.reply(ANSWER)), whole()),
        row(
            "a page",
            Reply::document(200, &["Content-Type: text/html"], page),
            broken_off(Protocol, Advice::Never),
        ),
        row("events of no type", Reply::chunked(200, &[]).piece(&events).end(), whole()),
        row("events as plain text", typed("text/plain"), whole()),
        row("events with a charset", typed("text/event-stream; charset=utf-8"), whole()),
    ]
}
