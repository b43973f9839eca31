//! In which unit models say where something is.

/// In which unit a model says where something is in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroundingUnit {
    /// Thousandths of width and height.
    Thousandths,
    /// Pixels of the picture after it was resized.
    Resized,
    /// It cannot.
    None,
}

/// The families, by how their ids begin.
const FAMILIES: [(&str, GroundingUnit); 12] = [
    ("qwen3", GroundingUnit::Thousandths),
    ("qwen2.5-vl", GroundingUnit::Resized),
    ("qwen-vl-max", GroundingUnit::Resized),
    ("qwen-vl-plus", GroundingUnit::Resized),
    ("glm-4v", GroundingUnit::None),
    ("glm-4.1v", GroundingUnit::Thousandths),
    ("glm-4.5v", GroundingUnit::Thousandths),
    ("glm-4.6v", GroundingUnit::Thousandths),
    ("glm-5v", GroundingUnit::Thousandths),
    ("ernie-5.0", GroundingUnit::Thousandths),
    ("ernie-4.5-turbo-vl", GroundingUnit::Thousandths),
    // What the gateway calls its vision model.
    ("ernie-4.5-turbo-32k", GroundingUnit::Thousandths),
];

/// The unit of a model by its id, in any case; `None` where it is not known.
#[must_use]
pub fn grounding_unit(id: &str) -> Option<GroundingUnit> {
    let id = id.to_ascii_lowercase();
    FAMILIES.iter().find(|(begin, _)| id.starts_with(begin)).map(|(_, unit)| *unit)
}
