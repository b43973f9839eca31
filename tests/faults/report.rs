//! Tables of cases and what came of them.

use polysight::{Error, RetryAdvice};
use polysight_testkit::{CANARY, shown};

/// What is shown of an error, when it shows what it must not.
pub(super) fn leak(error: &Error) -> String {
    let shown = shown(error);
    if shown.contains(CANARY) { format!(" LEAKS {shown}") } else { String::new() }
}

/// Advice in one word.
pub(super) fn advice(advice: RetryAdvice) -> String {
    match advice {
        RetryAdvice::Never => "never".to_owned(),
        RetryAdvice::RefreshCredentials => "new key".to_owned(),
        RetryAdvice::After(None) => "later".to_owned(),
        RetryAdvice::After(Some(wait)) => format!("{} s", wait.as_secs_f64()),
        other => format!("{other:?}"),
    }
}

/// A table of cases and what came of them, a column for each provider.
pub(super) struct Report {
    title: &'static str,
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
    wrong: Vec<String>,
}

impl Report {
    pub(super) fn new(title: &'static str, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { title, columns, rows: Vec::new(), wrong: Vec::new() }
    }

    /// Adds a cell: what came, and what was wanted instead if that differs.
    pub(super) fn add(&mut self, case: &str, column: &str, came: String, wanted: Option<String>) {
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
    pub(super) fn compare(&mut self, case: &str, column: &str, came: String, wanted: String) {
        let wanted = (came != wanted).then_some(wanted);
        self.add(case, column, came, wanted);
    }

    /// Prints the table, and fails with all that is wrong in it.
    pub(super) fn close(self) {
        println!("\n{}\n\n| case | {} |", self.title, self.columns.join(" | "));
        println!("|{}", "---|".repeat(self.columns.len() + 1));
        for (case, cells) in &self.rows {
            println!("| {case} | {} |", cells.join(" | "));
        }
        assert!(self.wrong.is_empty(), "{} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}
