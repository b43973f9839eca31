//! Limits of a model as JSON, for lists of models.

use serde_json::{Value, json};

use super::{ImageCard, VideoCard};
use crate::Capability;
use crate::interval::End;

impl ImageCard {
    /// The limits as a JSON object, under the names of a catalogue file; what is unknown is left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        known(json!({
            "count": self.count,
            "inline_count": self.inline_count,
            "max_bytes": self.max_bytes,
            "max_base64_bytes": self.max_base64_bytes,
            "min_side": self.min_side,
            "max_side": self.max_side,
            "max_pixels": self.max_pixels,
            "max_aspect": self.max_aspect,
            "formats": self.formats.as_deref().map(names),
            "base64": self.base64,
            "url": self.url,
        }))
    }
}

impl VideoCard {
    /// The limits as a JSON object, under the names of a catalogue file, but for the ends of the playing time, `min_seconds` and
    /// `max_seconds`, and `frames`, which is whether lists of frames are taken; what is unknown is left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let seconds = |end: Option<End>| end.map(End::value);
        known(json!({
            "count": self.count,
            "max_bytes": self.max_bytes,
            "max_base64_bytes": self.max_base64_bytes,
            "min_seconds": self.seconds.and_then(|range| seconds(range.low())),
            "max_seconds": self.seconds.and_then(|range| seconds(range.high())),
            "formats": self.formats.as_deref().map(names),
            "frames": (!matches!(self.frames, Capability::Unknown)).then(|| self.frames.is_yes()),
            "base64": self.base64,
            "url": self.url,
        }))
    }
}

fn names<T: ToString>(formats: &[T]) -> Vec<String> {
    formats.iter().map(ToString::to_string).collect()
}

fn known(mut limits: Value) -> Value {
    if let Some(fields) = limits.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_left_out() {
        let card = ImageCard { max_side: Some(6_000), base64: Some(false), ..ImageCard::default() };
        assert_eq!(card.to_json(), json!({ "max_side": 6_000, "base64": false }));
        let seconds = Some("[2, 600]".parse().unwrap());
        let card = VideoCard { seconds, ..VideoCard::default() };
        let json = card.to_json();
        assert_eq!((&json["min_seconds"], &json["max_seconds"]), (&json!(2.0), &json!(600.0)));
        assert!(!json.to_string().contains("null"), "{json}");
    }
}
