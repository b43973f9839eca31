//! What the server says of a request: the facts of what arrived, one a line.

use image::ImageReader;
use serde_json::{Map, Value, json};
use std::io::Cursor;

use crate::sha256;

pub(super) struct Facts {
    guide: Option<usize>,
    photos: Vec<String>,
    films: Vec<String>,
    turns: usize,
    /// What tools brought, where the last turn is theirs.
    brought: Vec<String>,
    pub(super) question: String,
}

impl Facts {
    pub(super) fn of(body: &Value) -> Self {
        let mut facts = Self {
            guide: None,
            photos: Vec::new(),
            films: Vec::new(),
            turns: 0,
            brought: Vec::new(),
            question: String::new(),
        };
        for turn in body["turns"].as_array().into_iter().flatten() {
            facts.add(turn);
        }
        facts
    }

    fn add(&mut self, turn: &Value) {
        let parts = || turn["has"].as_array().into_iter().flatten();
        let said: String = parts().filter_map(|part| part["say"].as_str()).collect();
        match turn["by"].as_str() {
            Some("guide") => *self.guide.get_or_insert(0) += said.chars().count(),
            Some("asker") => {
                self.turns += 1;
                self.question = said;
                self.brought.clear();
            }
            Some("hand") => {
                self.brought
                    .extend(parts().filter_map(|part| part["brings"]["text"].as_str()).map(str::to_owned));
            }
            _ => {}
        }
        for part in parts() {
            if let Some(photo) = part.get("photo") {
                self.photos.push(described(photo));
            }
            if let Some(film) = part.get("film") {
                self.films.push(format!("Video {}: {}", self.films.len() + 1, described(film)));
            }
            if let Some(stills) = part["stills"].as_array() {
                self.films.push(described_stills(self.films.len() + 1, stills));
            }
        }
    }

    /// A call of the first tool, or of each where the question has the word "both"; none once a tool has answered.
    pub(super) fn calls(&self, body: &Value) -> Vec<Value> {
        let tools = body["tools"].as_array().cloned().unwrap_or_default();
        let most = match (self.brought.is_empty(), self.question.contains("both")) {
            (false, _) => 0,
            (true, true) => tools.len(),
            (true, false) => 1,
        };
        let quoted = self.question.split('"').nth(1).unwrap_or(&self.question);
        let call = |(index, tool): (usize, &Value)| {
            let names = tool["takes"]["properties"].as_object().into_iter().flat_map(Map::keys);
            let with: Map<String, Value> = names.map(|name| (name.clone(), quoted.into())).collect();
            json!({"no": format!("ask-{index}"), "tool": tool["tool"], "with": with})
        };
        tools.iter().enumerate().take(most).map(call).collect()
    }

    pub(super) fn text(&self) -> String {
        let mut lines = Vec::new();
        lines.extend(self.guide.map(|count| format!("System: instructions of {count} characters.")));
        let photos = self.photos.iter().enumerate();
        lines.extend(photos.map(|(index, photo)| format!("Picture {}: {photo}", index + 1)));
        lines.extend(self.films.iter().cloned());
        if self.turns > 1 {
            let ending = if self.photos.len() == 1 { "" } else { "s" };
            let (turns, photos) = (self.turns, self.photos.len());
            lines
                .push(format!("This is user turn {turns}; the conversation holds {photos} picture{ending}."));
        }
        let brought = self.brought.iter().enumerate();
        lines.extend(brought.map(|(index, text)| format!("Tool result {}: {text}", index + 1)));
        lines.push(format!("You asked: {}", self.question));
        lines.join("\n")
    }

    pub(super) fn reasoning(&self) -> String {
        format!("I ponder {} photos and {} films.", self.photos.len(), self.films.len())
    }

    /// Tokens of the request, by a rule of its own.
    pub(super) fn weight(&self) -> usize {
        1 + self.question.chars().count() + 100 * (self.photos.len() + self.films.len())
    }
}

/// The bytes of a medium that came inside the request.
pub(super) fn bytes_of(medium: &Value) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(medium["raw"].as_str()?).ok()
}

fn described(medium: &Value) -> String {
    if let Some(url) = medium["at"].as_str() {
        return format!("{url} (not fetched).");
    }
    let bytes = bytes_of(medium).unwrap_or_default();
    let end = format!("{} bytes, SHA-256 {}.", bytes.len(), sha256(&bytes));
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().ok();
    let Some(reader) = reader.filter(|reader| reader.format().is_some()) else { return end };
    let format = reader.format().and_then(|format| format.extensions_str().first()).unwrap_or(&"");
    let format = match *format {
        "jpg" => "JPEG".to_owned(),
        "webp" => "WebP".to_owned(),
        other => other.to_uppercase(),
    };
    match reader.into_dimensions() {
        Ok((width, height)) => format!("{format}, {width}x{height} px, {end}"),
        Err(_) => end,
    }
}

fn described_stills(number: usize, stills: &[Value]) -> String {
    let list = format!("Video {number}: {} frames.", stills.len());
    let each = stills
        .iter()
        .enumerate()
        .map(|(index, still)| format!("Video {number}, frame {}: {}", index + 1, described(still)));
    std::iter::once(list).chain(each).collect::<Vec<_>>().join("\n")
}
