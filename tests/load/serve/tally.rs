//! One request, and what became of all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use polysight::JsonValue;
use polysight::layers::rate_limit::LOCAL_RATE_LIMIT;
use polysight::layers::router::BREAKER_OPEN;
use polysight_testkit::sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Reply, about_picture, and};

/// Every this many requests one is sent with the key that may send few.
const NARROW_EVERY: usize = 20;

pub(crate) enum Outcome {
    /// No replica listens there: nothing was sent.
    NotConnected,
    /// The connection broke before the reply was whole.
    Lost,
    Reply(Reply),
}

pub(crate) fn question(number: usize) -> String {
    format!("request number {number} of the soak?")
}

fn is_narrow(number: usize) -> bool {
    number % NARROW_EVERY == 7
}

/// Roles take turns, and so do plain and streamed answers.
fn role_and_stream(number: usize) -> (&'static str, bool) {
    (if number.is_multiple_of(2) { "free" } else { "paid" }, number % 4 > 1)
}

/// Sends a request, and reads its reply to the end.
pub(crate) async fn ask(port: u16, number: usize, picture: &[u8]) -> Outcome {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return Outcome::NotConnected };
    let key = if is_narrow(number) { "narrow" } else { "wide" };
    let (role, is_streamed) = role_and_stream(number);
    let mut body = and(about_picture(role, picture), "stream", is_streamed);
    body["messages"][0]["content"][0]["text"] = question(number).into();
    let authorization = format!("Authorization: Bearer {key}-canary-key\r\n");
    let request = crate::client::chat_request(&body.to_string(), &authorization);
    let mut bytes = Vec::new();
    // What had come before a reset counts.
    let _ = stream.write_all(&request).await;
    let end = tokio::time::timeout(Duration::from_secs(300), stream.read_to_end(&mut bytes)).await;
    let _ = end.unwrap_or_else(|_| panic!("request {number} has no end"));
    if is_whole(&bytes) { Outcome::Reply(Reply::of(&bytes)) } else { Outcome::Lost }
}

fn is_whole(bytes: &[u8]) -> bool {
    let reply = Reply::of(bytes);
    match reply.header("content-length") {
        Some(length) => length.parse() == Ok(reply.body.len()),
        None => bytes.ends_with(b"\r\n0\r\n\r\n"),
    }
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// By the gateway itself, by code: nothing was sent to a vendor by the last attempt.
    pub(crate) refused: BTreeMap<String, u64>,
    /// At the vendor, by code.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Without a whole reply, by replica.
    pub(crate) lost: [u64; 2],
    /// Connections that no replica accepted; the requests were sent to the other one.
    pub(crate) moved: u64,
    /// Answers that came after failed attempts.
    pub(crate) rescued: u64,
    /// Attempts that were sent to a vendor, failed ones included.
    pub(crate) sent: u64,
    /// Requests of the key that may send few, but for those that its limit refused.
    pub(crate) narrow: u64,
    /// Replies by replica and status.
    pub(crate) replies: [BTreeMap<u16, u64>; 2],
}

impl Tally {
    pub(crate) fn total(&self) -> u64 {
        let sum = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
        self.answered + sum(&self.refused) + sum(&self.failed) + self.lost.iter().sum::<u64>()
    }

    pub(crate) fn add(&mut self, number: usize, replica: usize, outcome: Outcome) {
        let Outcome::Reply(reply) = outcome else {
            self.lost[replica] += 1;
            return;
        };
        let (_, is_streamed) = role_and_stream(number);
        let is_event_stream = is_streamed && reply.status == 200;
        let last = if is_event_stream { last_object(&reply) } else { reply.json() };
        let status = match last.get("error") {
            None => self.answer(number, &reply, &last, is_event_stream),
            Some(error) => self.failure(number, &reply, error),
        };
        *self.replies[replica].entry(status).or_default() += 1;
        self.narrow += u64::from(is_narrow(number) && last["error"]["code"] != "key_rate_limit");
    }

    /// Checks that it is the answer to this request.
    fn answer(&mut self, number: usize, reply: &Reply, last: &JsonValue, is_event_stream: bool) -> u16 {
        let text = match is_event_stream {
            true => reply.text(),
            false => last["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned(),
        };
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(text.contains(&question(number)), "{number} got: {text}");
        assert!(text.contains(&sha256(&crate::soak::sample())), "{number} got: {text}");
        let attempts = sent(&last["polysight"]["attempts"]);
        self.answered += 1;
        self.rescued += u64::from(attempts > 0);
        self.sent += 1 + attempts;
        200
    }

    /// Gives the status under which the gateway counts it: an error within a stream has one too.
    fn failure(&mut self, number: usize, reply: &Reply, error: &JsonValue) -> u16 {
        let code = error["code"].as_str().unwrap_or_else(|| panic!("{number}: {reply:?}")).to_owned();
        let details = &error["polysight"];
        let is_local = details.is_null() || code == "budget_exceeded" || is_local(&details["code"]);
        self.sent += u64::from(!is_local) + sent(&details["attempts"]);
        let counts = if is_local { &mut self.refused } else { &mut self.failed };
        *counts.entry(code.clone()).or_default() += 1;
        if reply.status != 200 {
            return reply.status;
        }
        assert!(!reply.body.contains("[DONE]"), "a stream that failed says that it is done: {reply:?}");
        status_of(&code)
    }
}

/// The event that says how a stream ended: an error, or the one with the finish reason.
fn last_object(reply: &Reply) -> JsonValue {
    let is_done = reply.data().last() == Some(&"[DONE]");
    let end = reply
        .chunks()
        .into_iter()
        .rev()
        .find(|chunk| !chunk["error"].is_null() || !chunk["polysight"].is_null());
    let end = end.unwrap_or_else(|| panic!("a stream without an end: {reply:?}"));
    assert_eq!(is_done, end["error"].is_null(), "{reply:?}");
    end
}

/// The status of an error in mid-stream.
fn status_of(code: &str) -> u16 {
    match code {
        "upstream_timeout" => 504,
        "overloaded" => 503,
        _ => 502,
    }
}

/// Whether an attempt was refused before sending: by the rate limit, or by an open breaker.
fn is_local(code: &JsonValue) -> bool {
    matches!(code.as_str(), Some(LOCAL_RATE_LIMIT | BREAKER_OPEN))
}

fn sent(attempts: &JsonValue) -> u64 {
    attempts.as_array().into_iter().flatten().filter(|attempt| !is_local(&attempt["code"])).count() as u64
}
