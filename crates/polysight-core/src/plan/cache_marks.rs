//! Marks for a prompt cache: where they may stand, and how many there may be.

use super::Findings;
use crate::{ChatRequest, ModelCard, Part};

/// Checks the marks of a request, and records that they are left out for a model that takes none.
pub(super) fn check(request: &ChatRequest, card: &ModelCard, findings: &mut Findings) {
    let mut marks = 0;
    for (index, message) in request.messages.iter().enumerate() {
        let mut before = None;
        for (place, part) in message.parts.iter().enumerate() {
            if matches!(part, Part::CacheMark) {
                marks += 1;
                check_mark(format!("messages[{index}].parts[{place}]"), before, card, findings);
            }
            before = Some(part);
        }
    }
    if let Some(most) = card.cache_marks.filter(|most| marks > *most) {
        let problem = format!("there are {marks} cache marks");
        findings.reject(
            "messages",
            problem,
            format!("at most {most}"),
            "keep the last ones: each covers all before it",
        );
    }
}

fn check_mark(path: String, before: Option<&Part>, card: &ModelCard, findings: &mut Findings) {
    if !matches!(before, Some(Part::Text(_) | Part::Image(_) | Part::Video(_))) {
        let problem = "a cache mark with nothing right before it that can be kept";
        findings.reject(path, problem, "behind a text, a picture or a video of the same message", "move it");
    } else if card.cache_marks.is_none()
        && !findings.lossless(&path, "a cache mark left out, since the model takes none")
    {
        findings.reject(path, "a cache mark", "none for this model", "leave it out");
    }
}

/// Takes the marks out where the model takes none.
pub(super) fn leave_out(request: &mut ChatRequest, card: &ModelCard) {
    let is_mark = |part: &Part| matches!(part, Part::CacheMark);
    let has_any = request.messages.iter().any(|message| message.parts.iter().any(is_mark));
    // Messages without one stay shared with the caller's.
    if card.cache_marks.is_none() && has_any {
        request.messages.iter_mut().for_each(|message| message.parts.retain(|part| !is_mark(part)));
    }
}
