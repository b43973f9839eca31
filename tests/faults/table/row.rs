//! A row of the table: what goes wrong, and what must come of it.

use std::fmt;
use std::time::Duration;

use polysight::layers::RetryPolicy;
use polysight::{Billed, Error, ErrorKind, RateLimitScope, RetryAdvice};
use polysight_emulator::Fault;
use polysight_testkit::Step;

use super::retries;

/// A fault, and what must come of it plain and streamed.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) cause: Cause,
    pub(super) ask: Ask,
    pub(super) limits: Limits,
    pub(super) plain: Outcome,
    pub(super) streamed: Outcome,
    /// Why this cannot happen at this provider.
    pub(super) not_offered: Option<&'static str>,
}

/// What makes it go wrong.
pub(super) enum Cause {
    /// The emulator does it.
    Emulator(Vec<Fault>),
    /// The emulator sends the client to another host, which must see nothing.
    Redirect,
    /// A server follows these steps, for a plain call and for a stream.
    Server { plain: Vec<Step>, streamed: Vec<Step> },
    /// The same server, asked once with success before.
    SecondRequest { plain: Vec<Step>, streamed: Vec<Step> },
    /// No server listens.
    Refused,
    /// The server's queue of connections is full.
    QueueFull,
    /// The host has no address.
    NoSuchHost,
    /// A server follows these steps where TLS is expected.
    NoTls(Vec<Step>),
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Ask {
    Hello,
    Reasoning,
    Tool,
    /// With a picture, so that the body is streamed.
    Picture,
    /// With one that is larger than the buffers on its way, and that no vendor would read.
    LargePicture,
    /// With the caller's id and a secret in its words, of a server whose answers end with `stop` and with usage.
    Identified,
}

/// The caller's id of [`Ask::Identified`].
pub(super) const CALLERS_ID: &str = "order-4711";

/// Limits as they stand in a config, in seconds and bytes. Long ones unless the row is about them.
#[derive(Clone, PartialEq)]
pub(super) struct Limits {
    pub(super) connect: f64,
    pub(super) first_byte: f64,
    pub(super) idle: f64,
    pub(super) total: f64,
    pub(super) max_reply: usize,
    pub(super) max_line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: 8.0, first_byte: 8.0, idle: 8.0, total: 9.0, max_reply: 1 << 20, max_line: 1 << 16 }
    }
}

impl Limits {
    pub(super) fn to_toml(&self) -> String {
        let Self { connect, first_byte, idle, total, max_reply, max_line } = self;
        format!(
            "timeouts = {{ connect = {connect}, first_byte = {first_byte}, idle = {idle}, total = {total} }}\n\
             sizes = {{ max_reply = {max_reply}, max_line = {max_line} }}"
        )
    }
}

/// What a call must come to.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Answer(Text),
    Error(Failure),
}

/// How a call must fail.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// One of these.
    kinds: Vec<ErrorKind>,
    advice: Advice,
    billed: Billed,
    throttle: Option<RateLimitScope>,
    /// Requests that the account has left, as the vendor's headers tell.
    requests_left: Option<u64>,
    code: Option<&'static str>,
    /// Status, code and id of the request: nothing is 0 or empty.
    identity: Option<(u16, &'static str, &'static str)>,
    pub(super) text: Text,
}

impl Failure {
    /// Whether the error is the one that must come, its text apart.
    pub(super) fn matches(&self, error: &Error) -> bool {
        self.kinds.contains(&error.kind())
            && self.advice.matches(error.retry())
            && self.billed == error.billed()
            && self.throttle == error.rate_limit_scope()
            && self.code.is_none_or(|code| error.code() == Some(code))
            && self.identity.is_none_or(|identity| identity == identity_of(error))
            && self.requests_left == error.rate_limits().and_then(|limits| limits.remaining_requests)
    }

    pub(super) fn advice(&self) -> Advice {
        self.advice
    }
}

fn identity_of(error: &Error) -> (u16, &str, &str) {
    let (code, id) = (error.code().unwrap_or_default(), error.request_id().unwrap_or_default());
    (error.status().unwrap_or(0), code, id)
}

/// What the error must advise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Advice {
    Never,
    /// Later, the vendor does not say when.
    Later,
    /// Later, this many milliseconds from now, bounds included.
    Wait(u64, u64),
}

impl Advice {
    /// Whether a retry waits for it.
    fn is_soon(self) -> bool {
        match self {
            Self::Never => false,
            Self::Later => true,
            Self::Wait(_, most) => Duration::from_millis(most) <= RetryPolicy::default().max_retry_after,
        }
    }

    fn matches(self, advice: RetryAdvice) -> bool {
        match (self, advice) {
            (Self::Never, RetryAdvice::Never) | (Self::Later, RetryAdvice::After(None)) => true,
            (Self::Wait(least, most), RetryAdvice::After(Some(wait))) => {
                (Duration::from_millis(least)..=Duration::from_millis(most)).contains(&wait)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |milliseconds: &u64| Duration::from_millis(*milliseconds).as_secs_f64();
        match self {
            Self::Never => f.write_str("never"),
            Self::Later => f.write_str("later"),
            Self::Wait(least, most) if least == most => write!(f, "in {} s", seconds(least)),
            Self::Wait(least, most) => write!(f, "in {}-{} s", seconds(least), seconds(most)),
        }
    }
}

/// Text of an answer, compared with the answer that the same question has without a fault.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Nothing,
    Whole,
    /// This many deltas.
    Deltas(usize),
    /// The first half of the characters.
    Half,
    /// A beginning; how long it is depends on the machine.
    Beginning,
    /// The delta in the middle comes twice.
    MiddleTwice,
    /// The whole with padding somewhere.
    Long,
    /// As much as stood before a cut whose place is not the row's: a beginning, all or nothing.
    UpToCut,
    /// The whole, with marks for bytes that were no text.
    Marked,
    /// The whole behind this.
    After(&'static str),
    Exactly(&'static str),
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("-"),
            Self::Whole => f.write_str("whole"),
            Self::Deltas(1) => f.write_str("1 delta"),
            Self::Deltas(count) => write!(f, "{count} deltas"),
            Self::Half => f.write_str("half"),
            Self::Beginning => f.write_str("beginning"),
            Self::MiddleTwice => f.write_str("1 delta twice"),
            Self::Long => f.write_str("padded"),
            Self::UpToCut => f.write_str("up to the cut"),
            Self::Marked => f.write_str("marked"),
            Self::After(_) => f.write_str("more, whole"),
            Self::Exactly(text) => write!(f, "{text:?}"),
        }
    }
}

/// The answer without a fault.
#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    pub(super) deltas: Vec<String>,
}

impl Reference {
    fn whole(&self) -> String {
        self.deltas.concat()
    }

    pub(super) fn allows(&self, text: &Text, observed: &str) -> bool {
        let whole = self.whole();
        match text {
            Text::Nothing => observed.is_empty(),
            Text::Whole => observed == whole,
            Text::Deltas(count) => observed == self.deltas[..*count].concat(),
            Text::Half => observed == whole.chars().take(whole.chars().count() / 2).collect::<String>(),
            Text::Beginning => {
                !observed.is_empty() && observed.len() < whole.len() && whole.starts_with(observed)
            }
            Text::MiddleTwice => {
                let middle = self.deltas.len() / 2;
                observed == [self.deltas[..=middle].concat(), self.deltas[middle..].concat()].concat()
            }
            Text::Long => observed.len() > whole.len() && observed.trim_start_matches('x') == whole,
            Text::UpToCut => whole.starts_with(observed),
            Text::Marked => observed.contains('\u{fffd}') && observed.replace('\u{fffd}', "") == whole,
            Text::After(before) => observed == format!("{before}{whole}"),
            Text::Exactly(text) => observed == *text,
        }
    }
}

pub(super) fn answer(text: Text) -> Outcome {
    Outcome::Answer(text)
}

fn error(kind: ErrorKind, advice: Advice, billed: Billed) -> Outcome {
    Outcome::Error(Failure {
        kinds: vec![kind],
        advice,
        billed,
        throttle: None,
        requests_left: None,
        code: None,
        identity: None,
        text: Text::Nothing,
    })
}

/// The vendor never saw the request.
pub(super) fn unsent(kind: ErrorKind, advice: Advice) -> Outcome {
    error(kind, advice, Billed::No)
}

/// The vendor, or a proxy before it, refused.
pub(super) fn refused(kind: ErrorKind, advice: Advice) -> Outcome {
    error(kind, advice, Billed::No)
}

/// The connection broke before the head of a reply.
pub(super) fn lost(kind: ErrorKind, advice: Advice) -> Outcome {
    error(kind, advice, Billed::Perhaps)
}

/// The vendor had begun to answer, or was at work when a limit of reading passed.
pub(super) fn broken_off(kind: ErrorKind, advice: Advice) -> Outcome {
    error(kind, advice, Billed::Likely)
}

impl Outcome {
    /// With this before the error: then the vendor had begun to answer, whatever the error says.
    pub(super) fn after(self, text: Text) -> Self {
        self.changed(|failure| (failure.text, failure.billed) = (text, Billed::Likely))
    }

    pub(super) fn or(self, kind: ErrorKind) -> Self {
        self.changed(|failure| failure.kinds.push(kind))
    }

    pub(super) fn throttled_by(self, throttle: Option<RateLimitScope>) -> Self {
        self.changed(|failure| failure.throttle = throttle)
    }

    pub(super) fn advising(self, advice: Advice) -> Self {
        self.changed(|failure| failure.advice = advice)
    }

    pub(super) fn with_requests_left(self, requests: u64) -> Self {
        self.changed(|failure| failure.requests_left = Some(requests))
    }

    pub(super) fn costing(self, billed: Billed) -> Self {
        self.changed(|failure| failure.billed = billed)
    }

    pub(super) fn coded(self, code: &'static str) -> Self {
        self.changed(|failure| failure.code = Some(code))
    }

    /// With this status, code and id of the request: 0 or empty for nothing.
    pub(super) fn naming(self, status: u16, code: &'static str, id: &'static str) -> Self {
        self.changed(|failure| failure.identity = Some((status, code, id)))
    }

    /// How often a retry with the usual policy asks when the fault lasts: what may be billed is final, and so is
    /// a wait that is too long.
    pub(super) fn attempts(&self) -> usize {
        match self {
            Self::Error(failure) if failure.billed <= Billed::Perhaps && failure.advice.is_soon() => {
                retries::MAX_ATTEMPTS as usize
            }
            _ => 1,
        }
    }

    fn changed(mut self, change: impl FnOnce(&mut Failure)) -> Self {
        if let Self::Error(failure) = &mut self {
            change(failure);
        }
        self
    }
}

/// A row that expects the whole answer; the following methods say otherwise.
pub(super) fn row(name: impl Into<String>, cause: Cause) -> Row {
    Row {
        name: name.into(),
        cause,
        ask: Ask::Hello,
        limits: Limits::default(),
        plain: answer(Text::Whole),
        streamed: answer(Text::Whole),
        not_offered: None,
    }
}

pub(super) fn faults<const N: usize>(name: impl Into<String>, faults: [Fault; N]) -> Row {
    row(name, Cause::Emulator(faults.into()))
}

pub(super) fn fault(fault: Fault) -> Row {
    faults(fault.to_string(), [fault])
}

impl Row {
    pub(super) fn both(self, outcome: Outcome) -> Self {
        self.plain(outcome.clone()).streamed(outcome)
    }

    pub(super) fn plain(mut self, outcome: Outcome) -> Self {
        self.plain = outcome;
        self
    }

    pub(super) fn streamed(mut self, outcome: Outcome) -> Self {
        self.streamed = outcome;
        self
    }

    pub(super) fn asking(mut self, ask: Ask) -> Self {
        self.ask = ask;
        self
    }

    pub(super) fn within(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Says why this provider cannot meet the fault, if it cannot.
    pub(super) fn unless(mut self, why: Option<&'static str>) -> Self {
        self.not_offered = self.not_offered.or(why);
        self
    }
}
