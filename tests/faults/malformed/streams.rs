//! Malformed streams: the whole answer when all of it came, and otherwise the right error with what had come.

use polysight::{ErrorKind, TimeoutPhase, Transport};
use polysight_testkit::{ANSWER, Framing, HALF, MockServer, PIECES, Reply, Step, Wire, calls};
use serde_json::Value;

use crate::report::{Report, advice, leak};
use crate::{Transports, question};

enum Wanted {
    /// This text, a good end, and the usage.
    Answer(&'static str),
    /// A failure: kind, code, whether to try again, and what had come.
    Failure(ErrorKind, &'static str, &'static str, &'static str),
}

use Wanted::{Answer, Failure};

struct Case {
    name: &'static str,
    script: Result<(Reply, Transport, Wanted), &'static str>,
}

fn limited(name: &'static str, reply: Reply, transport: &Transport, wanted: Wanted) -> Case {
    Case { name, script: Ok((reply, transport.clone(), wanted)) }
}

fn not_here(name: &'static str, why: &'static str) -> Case {
    Case { name, script: Err(why) }
}

/// One vendor's streams, made of its frames.
struct Source {
    wire: Wire,
    framing: Framing,
    transports: Transports,
}

impl Source {
    fn new(wire: Wire, transports: &Transports) -> Self {
        Self { wire, framing: Framing::of(wire), transports: transports.clone() }
    }

    fn case(&self, name: &'static str, reply: Reply, wanted: Wanted) -> Case {
        limited(name, reply, &self.transports.long, wanted)
    }

    fn deltas(&self) -> Vec<Value> {
        PIECES.iter().map(|text| self.wire.delta(text)).collect()
    }

    fn all(&self) -> Vec<Value> {
        [self.deltas(), self.wire.ending()].concat()
    }

    fn text(&self, framing: Framing, frames: &[Value]) -> String {
        framing.write(self.wire, frames) + &framing.done(self.wire)
    }

    fn framed(&self, name: &'static str, change: impl Fn(&mut Framing)) -> Case {
        let mut framing = self.framing;
        change(&mut framing);
        self.case(name, Reply::events().piece(self.text(framing, &self.all())).end(), Answer(ANSWER))
    }

    fn of_frames(&self, name: &'static str, frames: &[Value], wanted: Wanted) -> Case {
        self.case(name, Reply::events().piece(self.text(self.framing, frames)).end(), wanted)
    }

    /// Two deltas, and no end of the body.
    fn half(&self) -> Reply {
        Reply::events().piece(self.framing.write(self.wire, &self.deltas()[..2]))
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = self.framings();
        cases.extend(self.frames());
        cases.extend(self.errors());
        cases.extend(self.breaks());
        cases.extend(self.waits());
        cases.extend(self.bodies());
        cases
    }

    fn framings(&self) -> Vec<Case> {
        let text = self.text(self.framing, &self.all());
        let bytes = text.as_bytes();
        let native = self.wire == Wire::QwenVlNative;
        vec![
            self.framed("crlf", |framing| framing.line_end = "\r\n"),
            self.framed("cr", |framing| framing.line_end = "\r"),
            self.framed("comment", |framing| framing.comments = true),
            self.framed("multiline", |framing| framing.two_lines = true),
            self.framed("nospace", |framing| framing.space = false),
            self.framed("space", |framing| framing.space = true),
            if native {
                not_here("event-field", "its events always have fields")
            } else {
                self.framed("event-field", |framing| framing.fields = true)
            },
            self.case("bom", Reply::events().piece("\u{feff}".to_owned() + &text).end(), Answer(ANSWER)),
            self.case("split", Reply::events().pieces(bytes.chunks(7)).end(), Answer(ANSWER)),
            self.case("bytewise", Reply::events().pieces(bytes.chunks(1)).end(), Answer(ANSWER)),
            self.case("nolastblank", Reply::events().piece(text.trim_end()).end(), Answer(ANSWER)),
            self.case(
                "nolastblank nodone",
                Reply::events().piece(self.framing.write(self.wire, &self.all()).trim_end()).end(),
                Answer(ANSWER),
            ),
        ]
    }

    fn frames(&self) -> Vec<Case> {
        let mut separators = self.all();
        separators.splice(..3, [self.wire.delta("a\u{2028}b\u{85}c\u{2029}d")]);
        let usage_only = [self.deltas(), vec![self.wire.finish_alone(), self.wire.usage_alone()]].concat();
        let mut nulls = self.all();
        nulls.insert(1, self.wire.frame(Value::Null));
        let mut empties = self.all();
        empties.insert(0, self.wire.frame(Value::Array(Vec::new())));
        let nodone = Reply::events().piece(self.framing.write(self.wire, &self.all())).end();
        let after = self.framing.write(self.wire, &[self.wire.delta("extra")]);
        let after_done = Reply::events().piece(self.text(self.framing, &self.all()) + &after).end();
        let native = self.wire == Wire::QwenVlNative;
        let no_mark = "it has no mark of the end";
        vec![
            self.of_frames("u2028", &separators, Answer("a\u{2028}b\u{85}c\u{2029}d")),
            self.of_frames("usage-only", &usage_only, Answer(ANSWER)),
            self.of_frames("choices-null", &nulls, Answer(ANSWER)),
            self.of_frames("choices-empty", &empties, Answer(ANSWER)),
            if native { not_here("nodone", no_mark) } else { self.case("nodone", nodone, Answer(ANSWER)) },
            if native {
                not_here("after-done", no_mark)
            } else {
                self.case("after-done", after_done, Answer(ANSWER))
            },
        ]
    }

    fn errors(&self) -> Vec<Case> {
        let (error, code) = self.wire.throttled();
        let throttled = || Failure(ErrorKind::RateLimited, code, "later", HALF);
        let with = |tail: String| self.half().piece(tail).end();
        let mut named = self.framing;
        named.fields = true;
        let garbled = r#"data: {"id":"8801","choices":[{"delta":{"content":"br"#.to_owned() + "\n\n";
        vec![
            if self.wire == Wire::QwenVlNative {
                not_here("error", "its errors are events of that name")
            } else {
                self.case("error", with(self.framing.event(self.wire, 3, "", &error)), throttled())
            },
            self.case("error-event", with(named.event(self.wire, 3, "error", &error)), throttled()),
            self.case("error-bare", with(format!("{error}\n")), throttled()),
            self.case("error-bare unended", with(error.to_string()), throttled()),
            self.case("garbage", with(garbled), Failure(ErrorKind::Protocol, "", "later", HALF)),
            self.case(
                "error first",
                Reply::events().piece(named.event(self.wire, 1, "error", &error)).end(),
                Failure(ErrorKind::RateLimited, code, "later", ""),
            ),
        ]
    }

    fn breaks(&self) -> Vec<Case> {
        let cut = self.framing.write(self.wire, &self.deltas()[2..]);
        let cut = &cut[..cut.len() / 2];
        let interrupted = |text| Failure(ErrorKind::Interrupted, "", "later", text);
        let ended = self.framing.write(self.wire, &self.all());
        let done = self.framing.done(self.wire);
        vec![
            self.case("trunc", self.half().piece(cut), interrupted(HALF)),
            self.case("reset", self.half().then(Step::Reset), interrupted(HALF)),
            self.case("cut at an event", self.half().end(), interrupted(HALF)),
            self.case("cut in an event", self.half().piece(cut).end(), interrupted(HALF)),
            if done.is_empty() {
                not_here("done without finish", "it has no mark of the end")
            } else {
                self.case("done without finish", self.half().piece(&done).end(), interrupted(HALF))
            },
            self.case("trunc after finish", Reply::events().piece(&ended), Answer(ANSWER)),
            self.case("reset after finish", Reply::events().piece(&ended).then(Step::Reset), Answer(ANSWER)),
            self.case("no event", Reply::events().end(), interrupted("")),
            self.case(
                "comments only",
                Reply::events().piece(": hello\n\n: hello\n\n").end(),
                interrupted(""),
            ),
        ]
    }

    fn waits(&self) -> Vec<Case> {
        let timeout = |phase, text| Failure(ErrorKind::Timeout(phase), "", "never", text);
        let ended = self.framing.write(self.wire, &self.all());
        vec![
            limited(
                "stall",
                self.half().then(Step::Hang),
                &self.transports.short_idle,
                timeout(TimeoutPhase::Idle, HALF),
            ),
            limited(
                "silent after the head",
                Reply::events().piece(": hello\n\n").then(Step::Hang),
                &self.transports.short_first_byte,
                timeout(TimeoutPhase::FirstByte, ""),
            ),
            limited(
                "silent",
                Reply::nothing().then(Step::Hang),
                &self.transports.short_first_byte,
                timeout(TimeoutPhase::FirstByte, ""),
            ),
            limited(
                "stall after finish",
                Reply::events().piece(ended).then(Step::Hang),
                &self.transports.short_after_finish,
                Answer(ANSWER),
            ),
        ]
    }

    /// What comes instead of a stream.
    fn bodies(&self) -> Vec<Case> {
        let json = ["Content-Type: application/json; charset=utf-8"];
        let (error, code) = self.wire.throttled();
        let throttled = || Failure(ErrorKind::RateLimited, code, "later", "");
        let whole = self.wire.reply(&ANSWER.into()).to_string();
        let events = self.text(self.framing, &self.all());
        let page = "<html><head><title>Portal</title></head><body>Log in</body></html>";
        let flat = r#"{"code":"77","msg":"Rate limit reached for RPM"}"#;
        let flat_kind = match self.wire {
            Wire::Ernie => Failure(ErrorKind::RateLimited, "77", "later", ""),
            _ => Failure(ErrorKind::Server, "77", "later", ""),
        };
        vec![
            self.case("biz200", Reply::document(200, &json, error.to_string()), throttled()),
            self.case("biz200 untyped", Reply::document(200, &[], error.to_string()), throttled()),
            self.case(
                "biz200 typed as events",
                Reply::document(200, &["Content-Type: text/event-stream"], error.to_string()),
                throttled(),
            ),
            self.case("biz200-flat", Reply::document(200, &json, flat), flat_kind),
            self.case("whole answer", Reply::document(200, &json, whole), Answer(ANSWER)),
            self.case(
                "html",
                Reply::document(200, &["Content-Type: text/html"], page),
                Failure(ErrorKind::Protocol, "", "never", ""),
            ),
            self.case("events untyped", Reply::chunked(200, &[]).piece(&events).end(), Answer(ANSWER)),
            self.case(
                "events as text",
                Reply::chunked(200, &["Content-Type: text/plain"]).piece(&events).end(),
                Answer(ANSWER),
            ),
            self.case(
                "events with charset",
                Reply::chunked(200, &["Content-Type: text/event-stream; charset=utf-8"]).piece(&events).end(),
                Answer(ANSWER),
            ),
        ]
    }
}

async fn outcome(wire: Wire, reply: Reply, transport: Transport) -> String {
    let server = MockServer::with_reply(reply).await;
    let provider = wire.provider(wire.options(&server.url(""), transport));
    match calls::streamed(&*provider, question()).await {
        Ok(response) => {
            let usage =
                response.usage.map(|usage| (usage.input_tokens, usage.output_tokens, usage.total_tokens));
            format!("`{}` {} {usage:?}", response.text, response.finish.raw)
        }
        Err(error) => {
            let text = error.partial().map(|partial| partial.text.clone()).unwrap_or_default();
            let code = error.code().unwrap_or_default();
            format!("{:?} {code} {} `{text}`{}", error.kind(), advice(error.retry()), leak(&error))
        }
    }
}

fn said(wanted: &Wanted) -> String {
    match wanted {
        Answer(text) => format!("`{text}` stop Some((10, 4, 14))"),
        Failure(kind, code, retry, text) => format!("{kind:?} {code} {retry} `{text}`"),
    }
}

#[tokio::test]
async fn malformed_streams_give_the_whole_answer_or_the_right_error_with_what_had_come() {
    let mut report = Report::new("malformed streams", Wire::ALL.map(Wire::name));
    let transports = Transports::new();
    let mut running = Vec::new();
    for wire in Wire::ALL {
        for case in Source::new(wire, &transports).cases() {
            let run = case.script.map(|(reply, transport, wanted)| {
                (tokio::spawn(outcome(wire, reply, transport)), said(&wanted))
            });
            running.push((wire, case.name, run));
        }
    }
    for (wire, name, run) in running {
        match run {
            Err(why) => report.add(name, wire.name(), format!("n/a: {why}"), None),
            Ok((task, wanted)) => report.compare(name, wire.name(), task.await.unwrap(), wanted),
        }
    }
    report.close();
}
