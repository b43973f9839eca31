//! Boxes that stand in an answer, in pixels of the client's pictures.

use polysight::plan::GroundingFacts;
use polysight::tasks::locate::LocatedBox;
use polysight::tasks::parse_boxes;
use serde::Serialize;

/// Most boxes that are given.
const MOST: usize = 200;
/// Longest text that is kept of a stream to look for boxes: 256 KiB, many times what so many boxes take.
const MAX_TEXT: usize = 256 << 10;

/// How models of these vendors begin a box. Bare numbers in brackets may be anything, and are no sign of one.
const SIGNS: [&str; 5] = ["bbox", "box_2d", "<box>", "<|box_start|>", "<|begin_of_box|>"];

/// A box in a picture.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct BoxObject {
    label: Option<String>,
    /// Index among the pictures of the request.
    picture: usize,
    /// Left, top, right and bottom, in pixels of the picture as the client sent it and a person sees it.
    r#box: [u32; 4],
}

/// The boxes in an answer; none where the unit of the model's numbers is not known, or the answer does not say which picture it
/// means.
pub(super) fn boxes(text: &str, facts: Option<&GroundingFacts>) -> Vec<BoxObject> {
    let Some(facts) = facts.filter(|facts| may_hold_boxes(facts)) else { return Vec::new() };
    if !SIGNS.iter().any(|sign| text.contains(sign)) {
        return Vec::new();
    }
    parse_boxes(text, facts).boxes.into_iter().filter_map(object).take(MOST).collect()
}

fn may_hold_boxes(facts: &GroundingFacts) -> bool {
    facts.convention.is_known() && !facts.pictures.is_empty()
}

fn object(found: LocatedBox) -> Option<BoxObject> {
    Some(BoxObject { label: found.label, picture: found.picture?, r#box: found.rect?.rounded() })
}

/// The text of a streamed answer, kept where boxes may stand in it.
#[derive(Debug, Default)]
pub(super) struct BoxText(Option<String>);

impl BoxText {
    /// Keeps the text only of an answer about pictures.
    pub(super) fn new(is_about_pictures: bool) -> Self {
        Self(is_about_pictures.then(String::new))
    }

    pub(super) fn push(&mut self, piece: &str) {
        if let Some(text) = &mut self.0
            && text.len() + piece.len() <= MAX_TEXT
        {
            text.push_str(piece);
        }
    }

    pub(super) fn boxes(&self, facts: Option<&GroundingFacts>) -> Vec<BoxObject> {
        self.0.as_deref().map(|text| boxes(text, facts)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use polysight::catalog::Grounding;
    use polysight::plan::PictureView;

    use super::*;

    const ANSWER: &str = r#"[{"bbox_2d": [500, 0, 1000, 500], "label": "cat"}]"#;

    fn facts(convention: Grounding, count: usize) -> GroundingFacts {
        GroundingFacts::new(convention, vec![PictureView::new((1920, 1080)); count])
    }

    #[test]
    fn boxes_are_given_where_unit_and_picture_are_known() {
        let given = boxes(ANSWER, Some(&facts(Grounding::Relative1000, 1)));
        let expected = BoxObject { label: Some("cat".to_owned()), picture: 0, r#box: [960, 0, 1920, 540] };
        assert_eq!(given, [expected]);
        for facts in [
            facts(Grounding::Unknown, 1),
            facts(Grounding::Relative1000, 2),
            facts(Grounding::Relative1000, 0),
        ] {
            assert_eq!(boxes(ANSWER, Some(&facts)), []);
        }
        assert_eq!(boxes(ANSWER, None), []);
    }

    #[test]
    fn numbers_in_brackets_are_no_boxes() {
        let facts = facts(Grounding::Relative1000, 1);
        for text in ["The matrix is [[1, 2, 3, 4]].", "(1, 2), (3, 4)", "[1, 2, 3, 4]", "There are 4 cats."] {
            assert_eq!(boxes(text, Some(&facts)), [], "{text}");
        }
    }

    #[test]
    fn memory_of_a_streamed_text_is_bounded() {
        let mut text = BoxText::new(true);
        for _ in 0..3 {
            text.push(&"x".repeat(MAX_TEXT / 2));
        }
        assert_eq!(text.0.map(|text| text.len()), Some(MAX_TEXT));
    }
}
