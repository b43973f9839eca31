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
    // Messages without one stay shared with the caller's.
    if card.cache_marks.is_none() && has_any(request) {
        request.messages.iter_mut().for_each(|message| message.parts.retain(|part| !is_mark(part)));
    }
}

/// Whether there is a mark anywhere.
pub(super) fn has_any(request: &ChatRequest) -> bool {
    request.messages.iter().any(|message| message.parts.iter().any(is_mark))
}

fn is_mark(part: &Part) -> bool {
    matches!(part, Part::CacheMark)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::plan::PlanBuilder;
    use crate::{ChatRequest, Estimate, Image, Message, ModelCard, Plan, ProviderId, Result, Tolerance};

    fn plan(message: Message, marks: Option<u64>, tolerance: Tolerance) -> Result<Plan> {
        let card =
            ModelCard { id: "eye".to_owned(), known: true, cache_marks: marks, ..ModelCard::default() };
        let request = ChatRequest::new([message]).with_model("eye").with_tolerance(tolerance);
        PlanBuilder::new(&ProviderId::new("p", "v"), &request, Arc::new(card)).finish(Estimate::default())
    }

    fn marked() -> Message {
        let image = Image::from_url("https://example.com/a.jpg").unwrap();
        Message::user_parts([image.into()]).with_cache_mark().with("What is it?")
    }

    #[test]
    fn a_model_without_marks_gets_the_request_without_them_and_says_so() {
        let planned = plan(marked(), None, Tolerance::Lossless).unwrap();
        assert_eq!(planned.request.messages[0].parts.len(), 2);
        assert_eq!(planned.original().messages[0].parts.len(), 3);
        let change = planned.adjustments.iter().find(|change| change.path == "messages[0].parts[1]").unwrap();
        assert!(change.lossless && change.change.contains("cache mark"), "{change}");
        let refused = plan(marked(), None, Tolerance::Strict).unwrap_err();
        assert_eq!(refused.violations()[0].path, "messages[0].parts[1]");
    }

    #[test]
    fn marks_stay_up_to_the_number_that_the_model_takes() {
        let planned = plan(marked(), Some(1), Tolerance::Strict).unwrap();
        assert_eq!((planned.request.messages[0].parts.len(), planned.adjustments.len()), (3, 0));
        let two = marked().with_cache_mark();
        assert!(plan(two.clone(), Some(2), Tolerance::Strict).is_ok());
        let refused = plan(two, Some(1), Tolerance::Lossy).unwrap_err();
        assert!(refused.to_string().contains("there are 2 cache marks (allowed: at most 1)"), "{refused}");
    }

    #[test]
    fn a_mark_needs_something_right_before_it() {
        let first = Message::user_parts([]).with_cache_mark().with("?");
        for message in [first, marked().with_cache_mark().with_cache_mark()] {
            let refused = plan(message, Some(4), Tolerance::Lossless).unwrap_err();
            assert!(refused.to_string().contains("nothing right before it"), "{refused}");
        }
    }
}
