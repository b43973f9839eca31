//! Texts from outside made fit to be shown.

use polysight_core::redact;

use crate::display::{CANARY, is_break, longest_run};

/// What is redacted is one short line without media and stays as it is; a link's query, user and password are gone.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    check_text(&text);
    // A hostile text grows, and what is shown of it does not.
    for copies in [2, 64, 512] {
        check_text(&text.repeat(copies));
    }
    // Words without a space, so that they stay one link.
    let word: String = text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    for link in [
        format!("{text} https://cdn.example/{}?sign={CANARY}", word.replace('?', "")),
        format!("{text} https://cdn.example/a?{word}={CANARY} {text}"),
        format!("{text} https://me:{CANARY}@cdn.example/{word}"),
    ] {
        let shown = check_text(&link);
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

fn check_text(text: &str) -> String {
    let shown = redact(text);
    assert!(shown.chars().count() <= 602, "{} characters", shown.chars().count());
    assert_eq!(shown.find(is_break), None, "more than a line: {shown:?}");
    assert!(longest_run(&shown) < 120, "media: {shown}");
    assert_eq!(redact(&shown), shown, "of {text:?}");
    shown
}
