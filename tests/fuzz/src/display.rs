//! What may be shown of a failure.

use polysight_core::{ChatResponse, Error, FinishKind, FinishReason};
use polysight_testkit::shown;

/// Stands for a key, a signature or a prompt, and may stand in nothing that is shown.
pub(crate) const CANARY: &str = "Canary7Qf2Zx9Lk4";

/// Longest line, in characters: five texts from outside of 602 at most, and the library's own words.
const LONGEST: usize = 4_000;
/// A run of base64 characters of this length is a medium.
const MEDIA_RUN: usize = 120;

/// Panics unless the error is one line of bounded length, without media.
pub(crate) fn check_line(error: &Error) {
    check_one_line(error);
    let line = error.to_string();
    assert!(line.chars().count() <= LONGEST, "{} characters", line.chars().count());
    for shown in [line, format!("{error:?}")] {
        assert!(longest_run(&shown) < MEDIA_RUN, "shows media: {shown}");
    }
}

/// Panics unless the error is one line.
pub(crate) fn check_one_line(error: &Error) {
    let line = error.to_string();
    assert!(!line.is_empty(), "says nothing");
    assert_eq!(line.find(is_break), None, "more than a line: {line:?}");
}

/// Panics if anything of the error shows the canary.
pub(crate) fn check_secret(error: &Error) {
    let all = shown(error);
    assert!(!all.contains(CANARY), "shows a secret: {all}");
}

pub(crate) fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Length of the longest run of base64 characters.
pub(crate) fn longest_run(text: &str) -> usize {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    text.split(|c| !is_base64(c)).map(str::len).max().unwrap_or_default()
}

/// Panics unless an answer that is called good ended well.
pub(crate) fn check_finish(finish: &FinishReason, limited: bool) {
    let good = match finish.kind {
        FinishKind::Stop | FinishKind::ToolCalls => true,
        FinishKind::Length => limited,
        _ => false,
    };
    assert!(good, "{finish:?} is no good end");
}

pub(crate) fn check_response(response: &ChatResponse, limited: bool) {
    // A whole reply need not say how its answer ended, if there is one.
    let is_unsaid = response.finish.kind == FinishKind::Unknown && response.finish.raw.is_empty();
    if !is_unsaid || (response.text.is_empty() && response.tool_calls.is_empty()) {
        check_finish(&response.finish, limited);
    }
    let message = response.to_message();
    assert!(message.text().len() <= response.text.len());
}
