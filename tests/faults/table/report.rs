//! The table as it is printed.

use std::fmt::Write as _;

use polysight_testkit::calls::Way;

use super::case::Cell;
use super::runner::RowResult;

/// A line of the table: a provider, a fault, and what came.
pub(super) struct Line {
    pub(super) provider: &'static str,
    pub(super) result: RowResult,
}

/// All rows of all providers.
pub(super) struct Table {
    pub(super) providers: usize,
    /// Rows that every provider has.
    pub(super) common: usize,
    pub(super) lines: Vec<Line>,
}

impl Cell {
    fn fields(&self) -> [&str; 5] {
        [&self.kind, &self.advice, &self.billed, &self.attempts, &self.partial]
    }
}

const HEAD: [&str; 12] = [
    "provider",
    "fault",
    "plain: kind",
    "advice",
    "billed",
    "attempts",
    "partial",
    "streamed: kind",
    "advice",
    "billed",
    "attempts",
    "partial",
];

impl Line {
    fn is_offered(&self) -> bool {
        self.result.row.not_offered.is_none() && self.result.left_out.is_none()
    }

    /// What is wrong, each with where.
    pub(super) fn findings(&self) -> impl Iterator<Item = String> {
        let at = format!("{}: {}", self.provider, self.result.row.name);
        self.result.findings.iter().map(move |finding| format!("{at}: {finding}"))
    }

    fn fields(&self) -> Vec<String> {
        let result = &self.result;
        let mut fields = vec![self.provider.to_owned(), result.row.name.clone()];
        if let Some(why) = result.row.not_offered {
            fields.push(format!("not offered: {why}"));
        } else if let Some(why) = result.left_out {
            fields.push(format!("left out: {why}"));
        } else {
            let cells = result.plain.fields().into_iter().chain(result.streamed.fields());
            fields.extend(cells.map(str::to_owned));
        }
        fields
    }
}

impl Table {
    /// Columns as wide as what stands in them, and a last line that counts.
    pub(super) fn to_text(&self) -> String {
        let rows: Vec<Vec<String>> = self.lines.iter().map(Line::fields).collect();
        let mut widths = HEAD.map(|name| name.chars().count());
        for row in rows.iter().filter(|row| row.len() == HEAD.len()) {
            for (width, field) in widths.iter_mut().zip(row) {
                *width = field.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        let mut write = |mark: &str, row: &[String]| {
            let fields: Vec<String> =
                row.iter().zip(widths).map(|(field, width)| format!("{field:width$}")).collect();
            let _ = writeln!(text, "{}", format!("{mark} {}", fields.join(" | ")).trim_end());
        };
        write(" ", &HEAD.map(str::to_owned));
        write(" ", &widths.map(|width| "-".repeat(width)));
        for (line, row) in self.lines.iter().zip(&rows) {
            write(if line.result.findings.is_empty() { " " } else { "!" }, row);
        }
        text + &self.sum()
    }

    fn sum(&self) -> String {
        let ways = Way::ALL.len();
        let of_one = self.lines.len() - self.common * self.providers;
        let missing = self.lines.iter().filter(|line| !line.is_offered()).count();
        let outcomes = (self.lines.len() - missing) * ways;
        let as_expected: usize = self.lines.iter().map(|line| line.result.as_expected).sum();
        format!(
            "({} common rows x {} providers + {of_one} rows of one provider - {missing} not offered) x {ways} ways \
             = {outcomes} outcomes: {as_expected} as expected, {} not",
            self.common,
            self.providers,
            outcomes - as_expected,
        )
    }
}
