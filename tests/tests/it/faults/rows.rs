//! The table itself.

use std::time::{Duration, SystemTime};

use ErrorKind::{
    Authentication, Config, ContentRefused, ContextTooLong, Interrupted, InvalidRequest, Network, Overloaded,
    Permission, Protocol, RateLimited, Server,
};
use polysight::ErrorKind;
use polysight_core::TimeoutPhase;
use polysight_emulator::{ErrorForm, Fault};
use polysight_tests::Act;

use super::row::{Advice, Ask, Cause, Outcome, Row, Text, answer, error, fault, faults, row};
use super::target::Target;

const CONNECT: ErrorKind = ErrorKind::Timeout(TimeoutPhase::Connect);
const FIRST_BYTE: ErrorKind = ErrorKind::Timeout(TimeoutPhase::FirstByte);
const IDLE: ErrorKind = ErrorKind::Timeout(TimeoutPhase::Idle);
const TOTAL: ErrorKind = ErrorKind::Timeout(TimeoutPhase::Total);
/// A limit that the row is about.
const SHORT: f64 = 0.3;
const TICK: Duration = Duration::from_millis(20);

pub(super) fn rows(target: &Target) -> Vec<Row> {
    let mut rows = connections();
    rows.extend(silence());
    rows.extend(broken_bodies());
    rows.extend(statuses(target));
    rows.extend(errors_under_200(target));
    rows.extend(codes(target));
    rows.extend(retry_after());
    rows.extend(sizes());
    rows.extend(good_frames());
    rows.extend(damaged_content());
    rows.extend(endings());
    rows
}

fn connections() -> Vec<Row> {
    let down = || error(Network, Advice::Later);
    let second = |name, acts: [Act; 1]| {
        let after = |first: Vec<u8>| [&[Act::Request, Act::Write(first), Act::Request], &acts[..]].concat();
        let cause = Cause::SecondRequest { plain: after(kept_plain()), streamed: after(kept_stream()) };
        row(name, cause).both(down())
    };
    let idle = |first: Vec<u8>| vec![Act::Request, Act::Write(first)];
    vec![
        row("refused connection", Cause::Refused).both(down()),
        // Where nobody answers for names, looking one up takes until the limit.
        row("no such host", Cause::NoSuchHost)
            .within(|limits| limits.connect = SHORT)
            .both(down().or(CONNECT)),
        row("no TLS on the other side", Cause::NoTls).both(down()),
        row("no connection within the limit", Cause::QueueFull)
            .within(|limits| limits.connect = SHORT)
            .both(error(CONNECT, Advice::Later)),
        server("reset before the request is read", [Act::Reset]).both(down()),
        fault(Fault::CloseBeforeHead).both(down()),
        fault(Fault::ResetBeforeHead).both(down()),
        fault(Fault::ResetInHead).both(down()),
        fault(Fault::ResetAfterHead).both(down()),
        fault(Fault::ResetDuringUpload(20_000)).asking(Ask::Picture).both(down()),
        second("kept connection closed under a request", [Act::Write(Vec::new())]),
        second("kept connection reset under a request", [Act::Reset]),
        row(
            "kept connection closed between requests",
            Cause::SecondRequest { plain: idle(kept_plain()), streamed: idle(kept_stream()) },
        )
        .both(answer(Text::Exactly("onetwo"))),
        row("redirect", Cause::Redirect).both(error(Protocol, Advice::Never)),
    ]
}

fn silence() -> Vec<Row> {
    let too_late = |kind| error(kind, Advice::Never);
    let trickle = |head: &str, before: String, line: &str| {
        let begin = format!("{head}\r\n{before}");
        vec![Act::Request, Act::Write(begin.into()), Act::Trickle(line.into(), TICK)]
    };
    let comments = |before: String| trickle(EVENTS, before, ": keep-alive\n\n");
    let spaces = || trickle(JSON, String::new(), "\n");
    vec![
        server("accepted and silent", [Act::Hold])
            .within(|limits| limits.first_byte = SHORT)
            .both(too_late(FIRST_BYTE)),
        fault(Fault::StallBeforeHead).within(|limits| limits.first_byte = SHORT).both(too_late(FIRST_BYTE)),
        fault(Fault::StallBeforeHead).within(|limits| limits.total = SHORT).both(too_late(TOTAL)),
        faults("slow headers within the limit", [Fault::SlowHeaders(TICK)]),
        faults("slow headers beyond the limit", [Fault::SlowHeaders(5 * TICK)])
            .within(|limits| limits.first_byte = SHORT)
            .both(too_late(FIRST_BYTE)),
        faults("stall before the first delta", [Fault::StallBeforeFirstDelta])
            .within(|limits| (limits.first_byte, limits.idle) = (SHORT, SHORT))
            .plain(too_late(IDLE))
            .streamed(too_late(FIRST_BYTE)),
        faults("stall between deltas", [Fault::StallBetweenDeltas(2)])
            .within(|limits| limits.idle = SHORT)
            .streamed(too_late(IDLE).after(Text::Deltas(2))),
        faults("stall after the last delta", [Fault::StallAfterLast]).within(|limits| limits.idle = SHORT),
        faults("slower than the whole call may be", [Fault::Pace(4 * TICK), Fault::Delay(TICK)])
            .within(|limits| limits.total = SHORT)
            .streamed(too_late(TOTAL).after(Text::Beginning)),
        row(
            "comments before the first delta",
            Cause::Server { plain: spaces(), streamed: comments(String::new()) },
        )
        .within(|limits| (limits.first_byte, limits.total) = (SHORT, 2.0 * SHORT))
        .both(too_late(FIRST_BYTE)),
        row("comments after a delta", Cause::Server { plain: spaces(), streamed: comments(frame("one")) })
            .within(|limits| (limits.idle, limits.total) = (SHORT, 2.0 * SHORT))
            .plain(too_late(TOTAL))
            .streamed(too_late(IDLE).after(Text::Exactly("one"))),
        row(
            "comments after the last delta",
            Cause::Server { plain: spaces(), streamed: comments(frame("one") + &last_frame()) },
        )
        .within(|limits| (limits.idle, limits.total) = (SHORT, 2.0 * SHORT))
        .plain(too_late(TOTAL))
        .streamed(answer(Text::Exactly("one"))),
    ]
}

fn broken_bodies() -> Vec<Row> {
    let broken = || error(Network, Advice::Later);
    let interrupted = |text| error(Interrupted, Advice::Later).after(Text::Exactly(text));
    let unread = || error(Protocol, Advice::Never);
    let cut_off = || error(Protocol, Advice::Later);
    let half = |text: &str, at: usize| text.as_bytes()[..at].to_vec();
    let cut = |name, frames: Vec<u8>| {
        let whole = plain_body("看");
        let body = half(&whole, whole.find('看').unwrap() + 1);
        document(name, JSON, body, EVENTS, frames).plain(cut_off())
    };
    let begun = frame("one") + &frame("two");
    let next = frame("看");
    let in_character = next.find('看').unwrap() + 1;
    vec![
        cut("closed between frames", begun.clone().into()).streamed(interrupted("onetwo")),
        cut("closed in a frame", [begun.as_bytes(), &half(&next, 40)].concat())
            .streamed(interrupted("onetwo")),
        cut("closed in a character", [begun.as_bytes(), &half(&next, in_character)].concat())
            .streamed(interrupted("onetwo")),
        cut(
            "closed in the frame after the last delta",
            [begun.as_bytes(), last_frame().as_bytes(), &half(&next, 40)].concat(),
        )
        .streamed(answer(Text::Exactly("onetwo"))),
        fault(Fault::EofInCharacter).both(broken()),
        faults("reset in a body", [Fault::ResetInBody(500)])
            .plain(answer(Text::Whole))
            .streamed(error(Interrupted, Advice::Later).after(Text::Beginning)),
        faults("reset in a short body", [Fault::ResetInBody(100)]).both(broken()),
        faults("closed in a body", [Fault::TruncateAfter(100)]).both(broken()),
        faults("closed in a chunk", [Fault::ChunkedCut]).both(broken()),
        faults("Content-Length too long", [Fault::WrongContentLength(7)]).plain(broken()),
        faults("Content-Length too short", [Fault::WrongContentLength(-7)]).plain(cut_off()),
        faults("Content-Length far too short", [Fault::WrongContentLength(-700)])
            .plain(cut_off())
            .streamed(error(Interrupted, Advice::Later).after(Text::Beginning)),
        fault(Fault::GzipPromised).both(unread()),
        document("gzip unasked", GZIP_JSON, GZIP_OF_OK.to_vec(), GZIP_EVENTS, GZIP_OF_OK.to_vec())
            .both(unread()),
        document("nothing under 200", JSON, Vec::new(), EVENTS, Vec::new())
            .plain(cut_off())
            .streamed(error(Interrupted, Advice::Later)),
        document("nothing under 200, of no type", UNTYPED, Vec::new(), UNTYPED, Vec::new())
            .plain(cut_off())
            .streamed(error(Interrupted, Advice::Later)),
        fault(Fault::EmptyStream).streamed(error(Interrupted, Advice::Later)),
        document("words under 200", JSON, b"ok".to_vec(), EVENTS, b"ok".to_vec())
            .plain(unread())
            .streamed(error(Interrupted, Advice::Later)),
    ]
}

fn statuses(target: &Target) -> Vec<Row> {
    let page = |status: &str, outcome: Outcome| {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/html\r\nconnection: close\r\n");
        let page = b"<html><h1>Sorry</h1></html>".to_vec();
        document(status.to_owned(), &head, page.clone(), &head, page).both(outcome)
    };
    let too_large =
        b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec();
    vec![
        fault(Fault::Html502).both(error(Server, Advice::Later)),
        fault(Fault::Empty500).both(error(Server, Advice::Later)),
        page("400 Bad Request", error(InvalidRequest, Advice::Never)),
        page("401 Unauthorized", error(Authentication, Advice::Never)),
        page("403 Forbidden", error(Permission, Advice::Never)),
        page("404 Not Found", error(Config, Advice::Never)),
        page("429 Too Many Requests", error(RateLimited, Advice::Later)),
        page("503 Service Unavailable", error(Overloaded, Advice::Later)),
        page("504 Gateway Timeout", error(Server, Advice::Later)),
        page("529 Overloaded", error(Overloaded, Advice::Later)),
        page("302 Found", error(Protocol, Advice::Never)),
        server("refused while the picture is on its way", [Act::RequestHead, Act::Write(too_large)])
            .asking(Ask::LargePicture)
            .both(error(InvalidRequest, Advice::Never)),
        faults("an error that is cut", [Fault::Code("1302".to_owned()), Fault::TruncateAfter(20)])
            .both(error(RateLimited, Advice::Later)),
        faults("an error that stalls", [Fault::Code("1302".to_owned()), Fault::StallBeforeFirstDelta])
            .within(|limits| limits.idle = SHORT)
            .both(error(RateLimited, Advice::Later)),
        faults("an error promised as gzip", [Fault::Code("1113".to_owned()), Fault::GzipPromised])
            .both(of_code(target, "1113")),
        fault(Fault::status(418, "4711")).both(error(InvalidRequest, Advice::Never)),
    ]
}

fn errors_under_200(target: &Target) -> Vec<Row> {
    let mut rows = Vec::new();
    for code in ["1302", "1113", "1301", "500"] {
        rows.push(fault(Fault::ErrorBody200(code.to_owned())).both(of_code(target, code)));
        rows.push(fault(Fault::FlatError200(code.to_owned())).both(of_code(target, code)));
        let flat = format!(r#"{{"code":"{code}","msg":"no"}}"#);
        let nested = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
        for (form, body) in [("flat", flat), ("nested", nested)] {
            let frames = format!("{}data: {body}\n\n", frame("one"));
            rows.push(
                document(format!("{form} error {code} in a frame"), JSON, body.into(), EVENTS, frames.into())
                    .plain(of_code(target, code))
                    .streamed(of_code(target, code).after(Text::Exactly("one"))),
            );
        }
    }
    rows.push(fault(Fault::Html200).both(error(Protocol, Advice::Never)));
    for form in [ErrorForm::Data, ErrorForm::Event, ErrorForm::BareLine] {
        for after in [0, 2] {
            rows.push(
                fault(Fault::ErrorFrame { form, after })
                    .streamed(of_code(target, "1234").after(Text::Deltas(after))),
            );
        }
    }
    let words = br#"{"error":"no"}"#;
    rows.push(
        document(
            "an error of words alone",
            JSON,
            words.to_vec(),
            EVENTS,
            [b"data: ", &words[..], b"\n\n"].concat(),
        )
        .both(error(Server, Advice::Later)),
    );
    rows
}

fn codes(target: &Target) -> Vec<Row> {
    let codes = target.codes.iter();
    codes.map(|(code, ..)| fault(Fault::Code((*code).to_owned())).both(of_code(target, code))).collect()
}

fn retry_after() -> Vec<Row> {
    let in_seconds = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(60));
    let later = |name: &str, value: &str, advice: Advice| {
        let fault = Fault::status(429, "1302").with_header(name, value);
        faults(format!("{name}: {value}"), [fault]).both(error(RateLimited, advice))
    };
    let mut rows = vec![
        later("Retry-After", "2", Advice::Wait(2_000, 2_000)),
        later("Retry-After", "0", Advice::Wait(0, 0)),
        later("Retry-After", "1.5", Advice::Wait(1_500, 1_500)),
        later("retry-after-ms", "300", Advice::Wait(300, 300)),
        later("Retry-After", &in_seconds(60), Advice::Wait(30_000, 60_000)),
        later("Retry-After", &past, Advice::Wait(0, 0)),
        later("llm_provider-retry-after", "3", Advice::Wait(3_000, 3_000)),
        later("x-should-retry", "false", Advice::Never),
    ];
    for absurd in ["-1", "soon", "1e300", "NaN", "99999999999999999999", "Sat, 21 Nov 2099 09:00:00 GMT", ""]
    {
        rows.push(later("Retry-After", absurd, Advice::Later));
    }
    let broke = Fault::status(429, "1113").with_header("Retry-After", "1");
    rows.push(faults("Retry-After, but no money", [broke]).both(error(ErrorKind::Billing, Advice::Never)));
    rows
}

fn sizes() -> Vec<Row> {
    let too_large = || error(Protocol, Advice::Never);
    let flood = [EVENTS.as_bytes(), b"\r\n"].concat();
    let comment = [&[b':'; 16_000][..], b"\n"].concat();
    let endless = vec![Act::Request, Act::Write(flood), Act::Trickle(comment.repeat(16), Duration::ZERO)];
    vec![
        faults("a gigabyte", [Fault::HugeBody(1 << 30)])
            .within(|limits| (limits.first_byte, limits.max_line) = (SHORT, 1 << 17))
            .plain(too_large())
            .streamed(error(FIRST_BYTE, Advice::Never)),
        row("comments without end and pause", Cause::Server { plain: endless.clone(), streamed: endless })
            .within(|limits| limits.total = SHORT)
            .plain(too_large().or(TOTAL))
            .streamed(error(TOTAL, Advice::Never)),
        faults("a long body within the limit", [Fault::HugeBody(900_000)])
            .within(|limits| limits.max_line = 1 << 17),
        faults("an error of a gigabyte", [Fault::Code("1302".to_owned()), Fault::HugeBody(1 << 30)])
            .both(error(RateLimited, Advice::Later)),
        fault(Fault::EndlessHeaders).both(error(Network, Advice::Later)),
        faults("a line beyond the limit", [Fault::HugeLine(2 << 16)]).streamed(too_large()),
        faults("a line within the limit", [Fault::HugeLine(1 << 10)]).streamed(answer(Text::Long)),
    ]
}

fn good_frames() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        Fault::CrLf,
        Fault::Cr,
        Fault::Bom,
        Fault::NoSpaceAfterColon,
        Fault::MultiLineData,
        Fault::NoFinalBlankLine,
        Fault::SplitEvery(1),
        Fault::SplitEvery(7),
        Fault::KeepAliveComments,
        Fault::EventFields,
        Fault::NoDone,
        Fault::NoUsage,
        Fault::UsageFrame,
        Fault::NullChoices,
        Fault::AfterDone,
        Fault::ContentList,
        Fault::NullsEverywhere,
    ]
    .map(fault)
    .into();
    let every = [
        Fault::CrLf,
        Fault::Bom,
        Fault::NoSpaceAfterColon,
        Fault::MultiLineData,
        Fault::NoFinalBlankLine,
        Fault::SplitEvery(1),
        Fault::KeepAliveComments,
        Fault::EventFields,
        Fault::UsageFrame,
        Fault::NoDone,
    ];
    let separators = Text::After("a\u{2028}b\u{85}c\u{2029}d ");
    rows.extend([
        faults("every good framing at once, bytewise", every),
        faults("CR, bytewise", [Fault::Cr, Fault::SplitEvery(1)]),
        faults("no [DONE] and no blank line at the end", [Fault::NoDone, Fault::NoFinalBlankLine]),
        faults("no [DONE] and no usage", [Fault::NoDone, Fault::NoUsage]),
        fault(Fault::UnicodeLineSeparators).both(answer(separators)),
        fault(Fault::ArgumentsObject).asking(Ask::Tool),
        faults("a tool call with nulls everywhere", [Fault::NullsEverywhere]).asking(Ask::Tool),
        fault(Fault::DuplicateChunk).streamed(answer(Text::MiddleTwice)),
        fault(Fault::EmptyAnswer).both(answer(Text::Nothing)),
        faults("reasoning and no answer", [Fault::EmptyAnswer])
            .asking(Ask::Reasoning)
            .both(answer(Text::Nothing)),
        // A server that streams nothing, though it was asked to, and one that says so only by what it sends.
        document(
            "a document in place of a stream",
            JSON,
            plain_body("one").into(),
            JSON,
            plain_body("one").into(),
        )
        .both(answer(Text::Exactly("one"))),
        document(
            "a document of no type",
            UNTYPED,
            plain_body("one").into(),
            UNTYPED,
            plain_body("one").into(),
        )
        .both(answer(Text::Exactly("one"))),
        document("a stream of no type", UNTYPED, plain_body("one").into(), UNTYPED, stream("one", "").into())
            .both(answer(Text::Exactly("one"))),
        document(
            "white space first",
            JSON,
            format!("\r\n\n  {}", plain_body("one")).into(),
            UNTYPED,
            format!("\n\n{}", stream("one", "")).into(),
        )
        .both(answer(Text::Exactly("one"))),
        document("HTTP/1.0", OLD_JSON, plain_body("one").into(), OLD_EVENTS, stream("one", "").into())
            .both(answer(Text::Exactly("one"))),
    ]);
    rows
}

fn damaged_content() -> Vec<Row> {
    let damaged = |text| error(Protocol, Advice::Later).after(text);
    let unread = || error(Protocol, Advice::Never);
    vec![
        fault(Fault::InvalidJson).plain(error(Protocol, Advice::Later)).streamed(damaged(Text::Deltas(1))),
        fault(Fault::GluedFrame).streamed(damaged(Text::Deltas(1))),
        fault(Fault::InvalidUtf8).plain(unread()).streamed(damaged(Text::Nothing)),
        fault(Fault::EmptyChoices).plain(unread()).streamed(error(Interrupted, Advice::Later)),
    ]
}

fn endings() -> Vec<Row> {
    let ends = |kind, advice, text| error(kind, advice).after(text);
    let finish = |reason: &str| fault(Fault::FinishReason(reason.to_owned()));
    vec![
        fault(Fault::NoFinish).both(ends(Interrupted, Advice::Later, Text::Whole)),
        faults("neither finish reason nor [DONE]", [Fault::NoFinish, Fault::NoDone]).both(ends(
            Interrupted,
            Advice::Later,
            Text::Whole,
        )),
        fault(Fault::Sensitive).both(ends(ContentRefused, Advice::Never, Text::Half)),
        fault(Fault::NetworkError).both(ends(Interrupted, Advice::Later, Text::Half)),
        fault(Fault::UnknownEnums).both(ends(Interrupted, Advice::Never, Text::Whole)),
        finish("length").both(ends(Interrupted, Advice::Never, Text::Whole)),
        finish("content_filter").both(ends(ContentRefused, Advice::Never, Text::Whole)),
        finish("model_context_window_exceeded").both(ends(ContextTooLong, Advice::Never, Text::Whole)),
    ]
}

/// What a code of the vendor must come to.
fn of_code(target: &Target, code: &str) -> Outcome {
    let (_, kind, advice) = target.codes.iter().find(|(known, ..)| *known == code).unwrap();
    error(*kind, *advice)
}

/// A server that does the same whether it is asked for a stream or not.
fn server<const N: usize>(name: &str, acts: [Act; N]) -> Row {
    row(name, Cause::Server { plain: acts.clone().into(), streamed: acts.into() })
}

/// A server that sends these bodies under these heads, and closes.
fn document(
    name: impl Into<String>,
    plain_head: &str,
    plain: Vec<u8>,
    streamed_head: &str,
    streamed: Vec<u8>,
) -> Row {
    let acts = |head: &str, body: Vec<u8>| {
        vec![Act::Request, Act::Write([head.as_bytes(), b"\r\n", &body].concat())]
    };
    row(name, Cause::Server { plain: acts(plain_head, plain), streamed: acts(streamed_head, streamed) })
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n";
const UNTYPED: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
const OLD_JSON: &str = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n";
const OLD_EVENTS: &str = "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n";
const GZIP_JSON: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\nconnection: close\r\n";
const GZIP_EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\nconnection: close\r\n";

/// `{}` as gzip.
const GZIP_OF_OK: &[u8] =
    &[0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0x03, 0xab, 0xae, 0x05, 0, 0x43, 0xbf, 0xa6, 0xa3, 0x02, 0, 0, 0];

/// A reply in the shape that the vendors share.
fn plain_body(text: &str) -> String {
    format!(
        r#"{{"id":"1","choices":[{{"index":0,"finish_reason":"stop","message":{{"role":"assistant","content":"{text}"}}}}]}}"#
    )
}

fn frame(text: &str) -> String {
    let delta = format!(r#"{{"role":"assistant","content":"{text}"}}"#);
    format!("data: {{\"id\":\"1\",\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
}

fn last_frame() -> String {
    "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{}}]}\n\n".to_owned()
}

fn stream(first: &str, second: &str) -> String {
    format!("{}{}{}data: [DONE]\n\n", frame(first), frame(second), last_frame())
}

/// Whole replies that leave the connection open.
pub(super) fn kept_plain() -> Vec<u8> {
    let body = plain_body("onetwo");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}

pub(super) fn kept_stream() -> Vec<u8> {
    let body = stream("one", "two");
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
    format!("{head}\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n").into()
}
