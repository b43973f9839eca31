//! What is printed: answers on stdout, everything else on stderr.
//!
//! Colours are for terminals alone; `anstream` takes them off elsewhere, and where `NO_COLOR` is set.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use polysight::{Error, Quantity};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();
const HEAD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Whether answers go to a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Prints a piece of an answer as it is; on a terminal without the control characters by which a model's words could steer it.
pub(crate) fn piece(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match is_terminal() {
        true => out.write_all(harmless(text).as_bytes())?,
        false => out.write_all(text.as_bytes())?,
    }
    out.flush()
}

/// Prints lines on stdout, with a line break at their end.
pub(crate) fn lines(text: &str) -> io::Result<()> {
    piece(text)?;
    if text.ends_with('\n') { Ok(()) } else { piece("\n") }
}

/// Prints the head of one of several answers on stdout.
pub(crate) fn head(text: &str) -> io::Result<()> {
    writeln!(anstream::stdout(), "{HEAD}{}{HEAD:#}", harmless(text))
}

/// Prints an error in words.
pub(crate) fn error(problem: &str) {
    labelled(ERROR, "error", problem);
}

/// Prints an error: each of its violations on a line of its own, or the error on one line; then what else helps.
pub(crate) fn errors(role: Option<&str>, error: &Error) {
    let role = role.map(|role| format!("{role}: ")).unwrap_or_default();
    if error.violations().is_empty() {
        labelled(ERROR, "error", format_args!("{role}{error}"));
    }
    for violation in error.violations() {
        labelled(ERROR, "error", format_args!("{role}{violation}"));
    }
}

/// Says that pictures can be made to fit, where that is what an error is about.
pub(crate) fn hint_at_fit(error: &Error) {
    use Quantity::{Aspect, Base64Bytes, Bytes, LongSide, Pixels, ShortSide};
    let fits = |of| matches!(of, Bytes | Base64Bytes | LongSide | ShortSide | Pixels | Aspect);
    if error.violations().iter().filter_map(|violation| violation.limit_value).any(|limit| fits(limit.of)) {
        note("--fit makes pictures fit the limits of the model");
    }
}

/// Prints what is worth knowing.
pub(crate) fn note(text: impl Display) {
    labelled(NOTE, "note", text);
}

/// Prints what happened, dimmed.
pub(crate) fn aside(text: impl Display) {
    dimmed(&format!("{text}\n"));
}

/// Prints a piece of text on stderr, dimmed.
pub(crate) fn dimmed(text: &str) {
    // Nothing can be done where stderr is gone.
    let _ = write!(anstream::stderr(), "{DIM}{}{DIM:#}", harmless(text));
}

fn labelled(style: Style, label: &str, text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{style}{label}:{style:#} {}", harmless(&text.to_string()));
}

/// A text without control characters, but for line breaks and tabs.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Rows as columns that stand below one another, two blanks between them.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_words_do_not_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\u{9b}c\n\td\u{7}"), "a[2Jbc\n\td");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "b"], ["long", "c"]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), "a     b\nlong  c\n");
    }
}
