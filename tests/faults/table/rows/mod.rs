//! The rows themselves.

mod almost_json;
mod bodies;
mod connections;
mod malformed_replies;
mod malformed_streams;
mod refusals;
mod streams;

use polysight::{ErrorKind, TimeoutPhase};
use polysight_testkit::{Reply, Step, Wire};

use super::row::{CALLERS_ID, Cause, Row, row};
use super::target::Target;

const CONNECT: ErrorKind = ErrorKind::Timeout(TimeoutPhase::Connect);
const FIRST_BYTE: ErrorKind = ErrorKind::Timeout(TimeoutPhase::FirstByte);
const IDLE: ErrorKind = ErrorKind::Timeout(TimeoutPhase::Idle);
const TOTAL: ErrorKind = ErrorKind::Timeout(TimeoutPhase::Total);
/// A limit that the row is about, in seconds; nothing has to happen before it passes.
const SHORT: f64 = 0.3;
/// The same where something must arrive before, on a busy machine too.
const FAIR: f64 = 0.7;

/// What every provider must stand, under the same names for all.
pub(super) fn common(target: &Target) -> Vec<Row> {
    let mut rows = connections::broken(target);
    rows.extend(connections::silent(target));
    rows.extend(bodies::broken(target));
    rows.extend(bodies::large(target));
    rows.extend(refusals::statuses(target));
    rows.extend(refusals::under_200(target));
    rows.extend(refusals::retry_after(target));
    rows.extend(streams::good(target));
    rows.extend(streams::odd_order(target));
    rows.extend(streams::damaged(target));
    rows.extend(streams::endings(target));
    rows.extend(malformed_streams::all(target));
    rows.extend(malformed_replies::all(target));
    rows.extend(almost_json::all(target));
    rows
}

/// What is one vendor's own: its codes, and its ways to end an answer.
pub(super) fn own(target: &Target) -> Vec<Row> {
    let mut rows = refusals::codes(target);
    rows.extend(streams::own_endings(target));
    rows.extend(malformed_replies::coded(target));
    rows
}

/// A server that does the same whether it is asked for a stream or not.
fn server<const N: usize>(name: &str, steps: [Step; N]) -> Row {
    row(name, Cause::Server { plain: steps.clone().into(), streamed: steps.into() })
}

/// A server that sends these bodies under these heads, and closes.
fn document(
    name: impl Into<String>,
    plain_head: &str,
    plain: impl Into<Vec<u8>>,
    streamed_head: &str,
    streamed: impl Into<Vec<u8>>,
) -> Row {
    let steps = |head: &str, body: Vec<u8>| vec![Step::ReadRequest, write(head, &body)];
    let (plain, streamed) = (steps(plain_head, plain.into()), steps(streamed_head, streamed.into()));
    row(name, Cause::Server { plain, streamed })
}

/// A server that gives these replies, a plain call's and a stream's.
fn replied(name: impl Into<String>, plain: Reply, streamed: Reply) -> Row {
    let steps = |reply: Reply| [vec![Step::ReadRequest], reply.into_steps()].concat();
    row(name, Cause::Server { plain: steps(plain), streamed: steps(streamed) })
}

/// The id that an error has where the reply has none: the caller's, where the vendor takes one.
fn callers_id(target: &Target) -> &'static str {
    match target.wire {
        Wire::Zhipu | Wire::Ernie => CALLERS_ID,
        Wire::QwenVl | Wire::QwenVlNative => "",
    }
}

fn write(head: &str, body: &[u8]) -> Step {
    Step::Send([head.as_bytes(), b"\r\n", body].concat())
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n";
const UNTYPED: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n";

/// Whole replies that leave the connection open.
pub(super) fn kept_plain(target: &Target) -> Vec<u8> {
    let body = target.reply("onetwo");
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into()
}

pub(super) fn kept_stream(target: &Target) -> Vec<u8> {
    let body = target.stream(&["one", "two"]);
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
    format!("{head}\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n").into()
}
