//! Bodies that break off, are not what their head promises, or have no end.

use std::time::Duration;

use ErrorKind::{Interrupted, Network, Protocol, RateLimited};
use polysight::ErrorKind;
use polysight_emulator::Fault;
use polysight_testkit::Step;

use super::{EVENTS, FAIR, FIRST_BYTE, JSON, SHORT, TOTAL, UNTYPED, document, server, write};
use crate::table::row::{
    Advice, Cause, Outcome, Row, Text, answer, broken_off, fault, faults, lost, refused, row,
};
use crate::table::target::Target;

const GZIP_JSON: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\nconnection: close\r\n";
const GZIP_EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\nconnection: close\r\n";

/// `{}` as gzip.
const GZIP_OF_OK: &[u8] =
    &[0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03, 0xab, 0xae, 0x05, 0, 0x43, 0xbf, 0xa6, 0xa3, 0x02, 0, 0, 0];

/// A head that promises a length.
fn promising(length: usize, media_type: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\nconnection: close\r\n"
    )
}

fn interrupted(text: &'static str) -> Outcome {
    broken_off(Interrupted, Advice::Later).after(Text::Exactly(text))
}

/// A reply and a stream to cut: where the three-byte character of each begins.
struct Cut {
    reply: String,
    stream: String,
    /// Two deltas.
    begun: usize,
    in_reply: usize,
    in_stream: usize,
}

impl Cut {
    fn of(target: &Target) -> Self {
        let (reply, stream) = (target.reply("看"), target.stream(&["one", "two", "看"]));
        let begun = target.frames(&target.deltas(&["one", "two"])).len();
        let (in_reply, in_stream) = (reply.find('看').unwrap(), stream.find('看').unwrap());
        Self { reply, stream, begun, in_reply, in_stream }
    }

    /// Both closed in good order, the reply in a character and the stream here.
    fn document(&self, name: &str, stream: &[u8]) -> Row {
        let reply = &self.reply.as_bytes()[..=self.in_reply];
        document(name, JSON, reply, EVENTS, stream).plain(broken_off(Protocol, Advice::Later))
    }

    fn stream(&self, end: usize) -> &[u8] {
        &self.stream.as_bytes()[..end]
    }
}

pub(super) fn broken(target: &Target) -> Vec<Row> {
    let mut rows = cut(target);
    rows.extend(misstated(target));
    rows
}

fn cut(target: &Target) -> Vec<Row> {
    let broken = || broken_off(Network, Advice::Later);
    let cut = Cut::of(target);
    let ended = [target.deltas(&["one", "two"]), vec![target.wire.finish_alone()]].concat();
    let behind_the_end = [target.frames(&ended).as_bytes(), &cut.stream.as_bytes()[..40]].concat();
    let reset = |head: String, body: &[u8]| vec![Step::ReadRequest, write(&head, body), Step::Reset];
    let reset_in_body = Cause::Server {
        plain: reset(promising(cut.reply.len(), "application/json"), &cut.reply.as_bytes()[..cut.in_reply]),
        streamed: reset(EVENTS.to_owned(), cut.stream(cut.begun)),
    };
    vec![
        cut.document("closed between frames", cut.stream(cut.begun)).streamed(interrupted("onetwo")),
        cut.document("closed in a frame", cut.stream(cut.in_stream - 3)).streamed(interrupted("onetwo")),
        cut.document("closed in a character", cut.stream(cut.in_stream + 1)).streamed(interrupted("onetwo")),
        cut.document("closed in the frame after the last delta", &behind_the_end)
            .streamed(answer(Text::Exactly("onetwo"))),
        fault(Fault::EofInCharacter).both(broken()).streamed(if target.opens_with_role {
            broken_off(Interrupted, Advice::Later)
        } else {
            broken()
        }),
        row("reset in a body", reset_in_body).plain(broken()).streamed(interrupted("onetwo")),
        faults("reset in a short body", [Fault::ResetInBody(100)]).both(broken()),
        faults("closed in a body", [Fault::TruncateAfter(100)]).both(broken()),
        faults("closed in a chunk", [Fault::ChunkedCut]).both(broken()),
    ]
}

fn misstated(target: &Target) -> Vec<Row> {
    let unread = || broken_off(Protocol, Advice::Never);
    let cut_off = || broken_off(Protocol, Advice::Later);
    let nothing = || broken_off(Interrupted, Advice::Later);
    let cut = Cut::of(target);
    let too_short = document(
        "Content-Length far too short",
        &promising(cut.in_reply, "application/json"),
        cut.reply.as_str(),
        &promising(cut.begun, "text/event-stream"),
        cut.stream.as_str(),
    );
    let short_by_little = faults("Content-Length too short", [Fault::WrongContentLength(-7)])
        .plain(cut_off().after(Text::Whole));
    vec![
        faults("Content-Length too long", [Fault::WrongContentLength(7)])
            .plain(broken_off(Network, Advice::Later)),
        // What it cuts is the mark of the end, and where there is none the last frame.
        if target.is_native() {
            short_by_little.streamed(nothing().after(Text::Whole))
        } else {
            short_by_little
        },
        too_short.plain(cut_off()).streamed(interrupted("onetwo")),
        fault(Fault::GzipPromised).both(unread()),
        document("gzip unasked", GZIP_JSON, GZIP_OF_OK, GZIP_EVENTS, GZIP_OF_OK).both(unread()),
        document("nothing under 200", JSON, "", EVENTS, "").plain(cut_off()).streamed(nothing()),
        document("nothing under 200, of no type", UNTYPED, "", UNTYPED, "")
            .plain(cut_off())
            .streamed(nothing()),
        fault(Fault::EmptyStream).streamed(nothing()),
        document("words under 200", JSON, "ok", EVENTS, "ok").plain(unread()).streamed(nothing()),
    ]
}

pub(super) fn large(target: &Target) -> Vec<Row> {
    let too_large = || broken_off(Protocol, Advice::Never);
    let flood = [EVENTS.as_bytes(), b"\r\n"].concat();
    let comment = [&[b':'; 16_000][..], b"\n"].concat();
    let endless =
        vec![Step::ReadRequest, Step::Send(flood), Step::Repeat(comment.repeat(16), Duration::ZERO)];
    let refusal = target.fault_of(target.codes.rate_limited);
    let unread_refusal = refused(RateLimited, Advice::Later);
    vec![
        faults("a gigabyte", [Fault::HugeBody(1 << 30)])
            .within(|limits| (limits.first_byte, limits.max_line) = (FAIR, 1 << 17))
            .plain(too_large())
            .streamed(broken_off(FIRST_BYTE, Advice::Never)),
        row("comments without end and pause", Cause::Server { plain: endless.clone(), streamed: endless })
            .within(|limits| limits.total = SHORT)
            .plain(too_large().or(TOTAL))
            .streamed(broken_off(TOTAL, Advice::Never)),
        faults("a long body within the limit", [Fault::HugeBody(900_000)])
            .within(|limits| limits.max_line = 1 << 17),
        // The padding stands first, so that the code is not read.
        faults("an error of a gigabyte", [refusal, Fault::HugeBody(1 << 30)])
            .plain(unread_refusal.clone())
            .streamed(if target.is_native() { too_large() } else { unread_refusal }),
        fault(Fault::EndlessHeaders).both(lost(Network, Advice::Later)),
        endless_head("headers without end", "", "x-more: 1\r\n".repeat(64)),
        endless_head(
            "long headers without end",
            "",
            format!("x-{}: {}\r\n", "n".repeat(30), "v".repeat(16_000)),
        ),
        endless_head("a header without end", "x-one: ", "v".repeat(64_000)),
        faults("a line beyond the limit", [Fault::HugeLine(2 << 16)]).streamed(too_large()),
        faults("a line of 10 MB", [Fault::HugeLine(10 << 20)]).streamed(too_large()),
        faults("a line of 1 MB within the limit", [Fault::HugeLine(1 << 20)])
            .within(|limits| limits.max_line = 2 << 20)
            .streamed(answer(Text::Long)),
    ]
}

/// A reply whose head begins so, goes on so, and never ends.
fn endless_head(name: &str, begin: &str, more: String) -> Row {
    let head = format!("HTTP/1.1 200 OK\r\n{begin}");
    let more = Step::Repeat(more.into(), Duration::from_millis(1));
    server(name, [Step::ReadRequest, Step::Send(head.into()), more]).both(lost(Network, Advice::Later))
}
