//! A row of the table: what goes wrong, and what must come of it.

use std::fmt;
use std::time::Duration;

use polysight::{ErrorKind, RetryAdvice};
use polysight_emulator::Fault;
use polysight_tests::Act;

/// A fault, and what must come of it plain and streamed.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) cause: Cause,
    pub(super) ask: Ask,
    pub(super) limits: Limits,
    pub(super) plain: Outcome,
    pub(super) streamed: Outcome,
}

/// What makes it go wrong.
pub(super) enum Cause {
    /// The emulator does it.
    Emulator(Vec<Fault>),
    /// The emulator sends the client to another host, which must see nothing.
    Redirect,
    /// A server plays this, a plain call's part and a stream's.
    Server { plain: Vec<Act>, streamed: Vec<Act> },
    /// The same server, asked once with success before.
    SecondRequest { plain: Vec<Act>, streamed: Vec<Act> },
    /// Nobody listens.
    Refused,
    /// The server's queue of connections is full.
    QueueFull,
    /// The host has no address.
    NoSuchHost,
    /// The server does not speak TLS.
    NoTls,
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
}

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

/// What a call came to, or must come to.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Answer(Text),
    /// One of these kinds, with this advice, after this text.
    Error(Vec<ErrorKind>, Advice, Text),
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
    pub(super) fn matches(self, advice: RetryAdvice) -> bool {
        match (self, advice) {
            (Self::Never, RetryAdvice::Never) | (Self::Later, RetryAdvice::After(None)) => true,
            (Self::Wait(least, most), RetryAdvice::After(Some(wait))) => {
                (Duration::from_millis(least)..=Duration::from_millis(most)).contains(&wait)
            }
            _ => false,
        }
    }
}

/// Text of an answer, told by the answer that the same question has without a fault.
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
    /// The whole behind this.
    After(&'static str),
    Exactly(&'static str),
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

    pub(super) fn allows(&self, text: &Text, got: &str) -> bool {
        let whole = self.whole();
        match text {
            Text::Nothing => got.is_empty(),
            Text::Whole => got == whole,
            Text::Deltas(count) => got == self.deltas[..*count].concat(),
            Text::Half => got == whole.chars().take(whole.chars().count() / 2).collect::<String>(),
            Text::Beginning => !got.is_empty() && got.len() < whole.len() && whole.starts_with(got),
            Text::MiddleTwice => {
                let middle = self.deltas.len() / 2;
                got == [self.deltas[..=middle].concat(), self.deltas[middle..].concat()].concat()
            }
            Text::Long => got.len() > whole.len() && got.trim_start_matches('x') == whole,
            Text::After(before) => got == format!("{before}{whole}"),
            Text::Exactly(text) => got == *text,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(text) => write!(f, "answer ({text:?})"),
            Self::Error(kinds, advice, text) => {
                let names: Vec<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
                write!(f, "{}, {advice:?} ({text:?})", names.join(" or "))
            }
        }
    }
}

pub(super) fn answer(text: Text) -> Outcome {
    Outcome::Answer(text)
}

pub(super) fn error(kind: ErrorKind, advice: Advice) -> Outcome {
    Outcome::Error(vec![kind], advice, Text::Nothing)
}

impl Outcome {
    /// With this text before the error.
    pub(super) fn after(self, text: Text) -> Self {
        match self {
            Self::Error(kinds, advice, _) => Self::Error(kinds, advice, text),
            answer => answer,
        }
    }

    pub(super) fn or(mut self, kind: ErrorKind) -> Self {
        if let Self::Error(kinds, ..) = &mut self {
            kinds.push(kind);
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
}
