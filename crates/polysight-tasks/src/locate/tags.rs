//! The marks that models write around labels and places.

use super::numbers::{is_blank, number_of};

/// Longest mark, in bytes.
const MAX_TAG: usize = 32;
/// Most numbers of one run of marks.
const MAX_RUN: usize = 8 * 1_024;
/// Longest text between two marks that is looked at, in bytes.
const MAX_CONTENT: usize = 1_024;

/// Marks whose content is a label.
const LABELS: [(&str, &str); 3] =
    [("<ref>", "</ref>"), ("<|object_ref_start|>", "<|object_ref_end|>"), ("<|ref|>", "<|/ref|>")];

/// A mark.
#[derive(Debug, PartialEq)]
pub(super) enum Tag<'t> {
    /// What the places behind it are.
    Label(&'t str),
    /// Begin or end of places.
    Box,
    /// Points as attributes.
    Points { numbers: Vec<f64>, label: Option<&'t str> },
    /// Coordinates that are tokens, and the text before them.
    Corners { numbers: Vec<f64>, before: &'t str },
    /// Any other one.
    Other,
}

/// Reads the mark at a place, and says where it ends; `None` where there is none.
pub(super) fn tag_at(text: &str, at: usize) -> Option<(Tag<'_>, usize)> {
    let rest = text.get(at..)?;
    if rest.starts_with("<|LOC_") {
        return corners(text, at);
    }
    for (open, close) in LABELS {
        if let Some(content) = rest.strip_prefix(open) {
            let end = near(content, close)?;
            return Some((Tag::Label(content.get(..end)?), at + open.len() + end + close.len()));
        }
    }
    if rest.starts_with("<point") {
        return points(rest).map(|(tag, end)| (tag, at + end));
    }
    let name = rest.strip_prefix('<')?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"|_/".contains(byte);
    let length = name.as_bytes().iter().take(MAX_TAG).position(|byte| !is_name(byte))?;
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || "|/".contains(letter));
    if name.as_bytes().get(length) != Some(&b'>') || !starts_well {
        return None;
    }
    let name = name.get(..length)?;
    let tag = if name.contains("box") || name.contains("quad") || name.contains("det") {
        Tag::Box
    } else {
        Tag::Other
    };
    Some((tag, at + length + 2))
}

/// `<points x1="10" y1="20" alt="cat">cat</points>`, one pair or several.
fn points(rest: &str) -> Option<(Tag<'_>, usize)> {
    let end = near(rest, ">")?;
    let attributes = rest.get(..end)?;
    let mut numbers = Vec::new();
    let mut label = None;
    for attribute in attributes.split_inclusive('"').collect::<Vec<_>>().chunks(2) {
        let [name, value] = attribute else { continue };
        let (name, value) = (name.trim_end_matches(['=', '"']).trim(), value.trim_end_matches('"'));
        let name = name.rsplit(|letter: char| letter.is_ascii_whitespace()).next().unwrap_or("");
        match name.trim_end_matches(|letter: char| letter.is_ascii_digit()) {
            "x" | "y" => numbers.push(number_of(value).filter(|number| number.is_finite())?),
            "alt" | "label" => label = Some(value),
            _ => {}
        }
    }
    (!numbers.is_empty() && numbers.len() % 2 == 0).then_some((Tag::Points { numbers, label }, end + 1))
}

/// A run of `<|LOC_n|>`, and the text of its line before it.
fn corners(text: &str, at: usize) -> Option<(Tag<'_>, usize)> {
    let mut numbers = Vec::new();
    let mut end = at;
    while let Some(rest) = text.get(end..)
        && numbers.len() < MAX_RUN
    {
        let blanks = rest.bytes().take_while(|byte| is_blank(*byte) && *byte != b'\n').count();
        let Some(digits) = rest.get(blanks..).and_then(|rest| rest.strip_prefix("<|LOC_")) else { break };
        let Some(length) = digits.get(..8.min(digits.len())).and_then(|digits| digits.find("|>")) else {
            break;
        };
        let Some(number) = digits.get(..length).and_then(number_of).filter(|number| number.is_finite())
        else {
            break;
        };
        numbers.push(number);
        end += blanks + "<|LOC_".len() + length + "|>".len();
    }
    let before = text.get(..at)?;
    let from = before.rfind(['\n', '>']).map_or(0, |at| at + 1);
    (!numbers.is_empty()).then_some((Tag::Corners { numbers, before: before.get(from..)? }, end))
}

/// Where a mark stands within the next thousand bytes.
fn near(text: &str, mark: &str) -> Option<usize> {
    let most = MAX_CONTENT + mark.len();
    memchr::memmem::find(text.as_bytes().get(..most.min(text.len()))?, mark.as_bytes())
}
