//! Answers that say where something is: the true coloured rectangles of the pictures, as each model would write them.
//!
//! A request asks for places by naming the fields that models of these vendors give them, `bbox_2d` or `point_2d`. What is looked
//! for are the colours that it names ("the red rectangle"); without one, all.

use crate::chat::message::{Message, Part, Role, Source};
use crate::json::Json;
use crate::media::{Picture, Rectangle, colours};
use crate::models::{GroundingUnit, grounding_unit};
use crate::tokens::image_tokens::Size;

/// What a picture's places are counted in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Height and width after resizing, of the pictures in their order; those whose size is not known have none.
    pub(crate) sizes: Vec<Option<Size>>,
}

/// What a question asks for.
struct Wanted {
    points: bool,
    colours: Vec<&'static str>,
}

impl Wanted {
    /// What the last question asks for; `None` where it does not ask for places.
    fn of(question: &str) -> Option<Self> {
        let points = question.contains("point_2d");
        if !points && !question.contains("bbox_2d") {
            return None;
        }
        let named = question.to_ascii_lowercase();
        let mut wanted: Vec<_> = colours().filter(|colour| named.contains(colour)).collect();
        if wanted.is_empty() {
            wanted = colours().collect();
        }
        Some(Self { points, colours: wanted })
    }
}

/// Whether a question asks for places.
pub(crate) fn asks_for_places(question: &str) -> bool {
    Wanted::of(question).is_some()
}

/// What says first where it is not: reasoning repeats places that must not be read.
pub(crate) const GUESS: &str = " At first it seems to be at [[0, 0, 7, 7]].";

/// The answer to a question that asks for places; `None` for any other one, and for a model whose unit is not known.
pub(crate) fn answer(model: &str, messages: &[Message<'_>], question: &str, seen: &Seen) -> Option<String> {
    let wanted = Wanted::of(question)?;
    let unit = match grounding_unit(model)? {
        GroundingUnit::None => return Some("I cannot say where something is.".to_owned()),
        unit => unit,
    };
    let pictures = pictures(messages);
    let several = pictures.len() > 1;
    let mut found = Vec::new();
    for (index, picture) in pictures.iter().enumerate() {
        let Some(picture) = picture else { continue };
        let size = match unit {
            GroundingUnit::Resized => seen.sizes.get(index).copied().flatten()?,
            _ => (1_000, 1_000),
        };
        let rectangles = picture.rectangles.iter();
        for rectangle in rectangles.filter(|rectangle| wanted.colours.contains(&rectangle.colour)) {
            let number = several.then_some(index + 1);
            found.push(written(rectangle, picture, size, wanted.points, number));
        }
    }
    Some(framed(model, found))
}

/// The pictures of the conversation; `None` for one that is only linked.
fn pictures<'r>(messages: &[Message<'r>]) -> Vec<Option<&'r Picture>> {
    let parts =
        messages.iter().filter(|message| message.role == Role::User).flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match part {
            Part::Picture(Source::Inline(medium)) => Some(medium.picture()),
            Part::Picture(Source::Link(_)) => Some(None),
            _ => None,
        })
        .collect()
}

/// One place, counted in a picture of this height and width.
fn written(
    rectangle: &Rectangle,
    picture: &Picture,
    (height, width): Size,
    point: bool,
    number: Option<usize>,
) -> Json {
    let x = |x: f64| (x / f64::from(picture.width) * width as f64).round();
    let y = |y: f64| (y / f64::from(picture.height) * height as f64).round();
    let [left, top, right, bottom] =
        [rectangle.left, rectangle.top, rectangle.right, rectangle.bottom].map(f64::from);
    let (key, numbers) = if point {
        ("point_2d", vec![x(f64::midpoint(left, right)), y(f64::midpoint(top, bottom))])
    } else {
        ("bbox_2d", vec![x(left), y(top), x(right), y(bottom)])
    };
    let numbers = numbers.into_iter().map(|number| Json::from(number as u64)).collect();
    let label = format!("{} rectangle", rectangle.colour);
    Json::object([])
        .with("image", number)
        .with(key, Some(Json::List(numbers)))
        .with("label", Some(label.as_str()))
}

/// What stands around the list: a code fence of Qwen's, the marks of a box of GLM's, nothing of ERNIE's.
fn framed(model: &str, found: Vec<Json>) -> String {
    let list = Json::List(found).to_text();
    let model = model.to_ascii_lowercase();
    if model.starts_with("qwen") {
        format!("```json\n{list}\n```")
    } else if model.starts_with("glm") {
        format!("<|begin_of_box|>{list}<|end_of_box|>")
    } else {
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Content, Medium, Origin};

    fn asked(model: &str, question: &str) -> Option<String> {
        let rectangle = Rectangle { colour: "red", left: 100, top: 50, right: 200, bottom: 100 };
        let picture =
            Picture { format: "PNG", width: 400, height: 200, mean: None, rectangles: vec![rectangle] };
        let content = Content::Picture(picture);
        let medium = Medium { bytes: 1, sha256: String::new(), content, origin: Origin::Upload };
        let parts = vec![Part::Picture(Source::Inline(&medium)), Part::Text(question)];
        let messages = [Message { role: Role::User, parts, calls: Vec::new(), call_id: None }];
        answer(model, &messages, question, &Seen { sizes: vec![Some((196, 392))] })
    }

    #[test]
    fn each_model_writes_in_its_own_unit_and_form() {
        let question = "Where is the red rectangle? Answer with bbox_2d.";
        for (model, expected) in [
            ("qwen3-vl-plus", "```json\n[{\"bbox_2d\":[250,250,500,500],\"label\":\"red rectangle\"}]\n```"),
            (
                "qwen2.5-vl-7b-instruct",
                "```json\n[{\"bbox_2d\":[98,49,196,98],\"label\":\"red rectangle\"}]\n```",
            ),
            (
                "GLM-4.6V",
                "<|begin_of_box|>[{\"bbox_2d\":[250,250,500,500],\"label\":\"red rectangle\"}]<|end_of_box|>",
            ),
            ("ernie-4.5-turbo-vl", "[{\"bbox_2d\":[250,250,500,500],\"label\":\"red rectangle\"}]"),
            ("glm-4v", "I cannot say where something is."),
        ] {
            assert_eq!(asked(model, question).as_deref(), Some(expected));
        }
        let points = asked("ernie-5.0", "All point_2d").unwrap();
        assert_eq!(points, "[{\"point_2d\":[375,375],\"label\":\"red rectangle\"}]");
        assert_eq!(asked("ernie-5.0", "bbox_2d of blue").as_deref(), Some("[]"));
        assert_eq!(asked("ernie-5.0", "What is this?"), None);
        assert_eq!(asked("other", question), None);
    }
}
