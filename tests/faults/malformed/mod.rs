//! Replies and streams as odd as they were seen in the field, in each vendor's own dialect.

mod replies;
mod servers;
mod streams;

use std::fmt::Write as _;
use std::time::Duration;

use polysight::{ChatRequest, Error, Limits, Message, RetryAdvice, Transport};

/// Stands in every key and in the question, and may stand in nothing that is shown.
pub(crate) const CANARY: &str = "canary";

pub(crate) fn question() -> ChatRequest {
    ChatRequest::new([Message::user("What does the canary in the picture sing?")])
}

/// Transports that wait long for everything but one thing, shared by the cases of a test: each takes its time to make.
#[derive(Debug, Clone)]
pub(crate) struct Transports {
    pub(crate) patient: Transport,
    pub(crate) short_first_byte: Transport,
    pub(crate) short_idle: Transport,
    pub(crate) short_after_finish: Transport,
}

// Long enough that a busy machine does not meet it, and short enough to wait for.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(80);

fn transport(change: impl Fn(&mut Limits)) -> Transport {
    let mut limits = Limits::default().with_first_byte(LONG).with_idle(LONG);
    limits.after_finish = LONG;
    change(&mut limits);
    Transport::builder().limits(limits).build().unwrap()
}

/// A transport whose limits no reply meets.
pub(crate) fn patient() -> Transport {
    transport(|_| {})
}

impl Transports {
    pub(crate) fn new() -> Self {
        Self {
            patient: patient(),
            short_first_byte: transport(|limits| limits.first_byte = SHORT),
            short_idle: transport(|limits| limits.idle = SHORT),
            short_after_finish: transport(|limits| limits.after_finish = SHORT),
        }
    }
}

/// What is shown of an error, when it shows what it must not.
pub(crate) fn leak(error: &Error) -> Option<String> {
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(shown, " {cause}");
        source = cause.source();
    }
    shown.contains(CANARY).then_some(shown)
}

/// Advice in one word.
pub(crate) fn advice(advice: RetryAdvice) -> String {
    match advice {
        RetryAdvice::Never => "never".to_owned(),
        RetryAdvice::RefreshCredentials => "new key".to_owned(),
        RetryAdvice::After(None) => "later".to_owned(),
        RetryAdvice::After(Some(wait)) => format!("{} s", wait.as_secs_f64()),
        other => format!("{other:?}"),
    }
}

/// A table of cases and what came of them, one column for each who was asked.
pub(crate) struct Report {
    title: &'static str,
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
    wrong: Vec<String>,
}

impl Report {
    pub(crate) fn new(title: &'static str, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { title, columns, rows: Vec::new(), wrong: Vec::new() }
    }

    /// Adds a cell: what came, and what was wanted instead if that differs.
    pub(crate) fn add(&mut self, case: &str, column: &str, came: String, wanted: Option<String>) {
        let place = self.columns.iter().position(|known| known == column).expect("a known column");
        if !self.rows.iter().any(|(known, _)| known == case) {
            self.rows.push((case.to_owned(), vec![String::new(); self.columns.len()]));
        }
        let row = self.rows.iter_mut().find(|(known, _)| known == case).expect("just added");
        match wanted {
            None => row.1[place] = came,
            Some(wanted) => {
                row.1[place] = format!("WRONG: {came}");
                self.wrong.push(format!("{case}, {column}: {came}\n    wanted: {wanted}"));
            }
        }
    }

    /// Compares and adds.
    pub(crate) fn compare(&mut self, case: &str, column: &str, came: String, wanted: String) {
        let wanted = (came != wanted).then_some(wanted);
        self.add(case, column, came, wanted);
    }

    /// Prints the table, and fails with all that is wrong in it.
    pub(crate) fn close(self) {
        println!("\n{}\n\n| case | {} |", self.title, self.columns.join(" | "));
        println!("|{}", "---|".repeat(self.columns.len() + 1));
        for (case, cells) in &self.rows {
            println!("| {case} | {} |", cells.join(" | "));
        }
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}
