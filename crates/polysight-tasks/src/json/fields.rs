//! Fields of an object that are complete while the rest still arrives.

use serde_json::Value;

/// Longest field that is kept, in bytes.
const MAX_FIELD: usize = super::reader::MAX_BYTES;

/// Reads the top-level fields of a JSON object as they become complete. Each byte is looked at once.
///
/// What stands before the first `{` is passed over. When a second object begins, its fields follow; the last value of a
/// name is the one that counts.
#[derive(Debug, Default)]
pub struct FieldReader {
    /// The field so far, from its key on.
    field: String,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl FieldReader {
    /// A reader at the beginning of an answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of the answer and gives the fields that it completes.
    pub fn push(&mut self, piece: &str) -> Vec<(String, Value)> {
        let mut complete = Vec::new();
        for character in piece.chars() {
            if let Some(field) = self.step(character) {
                complete.push(field);
            }
        }
        complete
    }

    fn step(&mut self, character: char) -> Option<(String, Value)> {
        if self.depth == 0 {
            self.depth = usize::from(character == '{');
            return None;
        }
        if self.in_string {
            self.in_string = self.escaped || character != '"';
            self.escaped = !self.escaped && character == '\\';
            self.keep(character);
            return None;
        }
        match character {
            ',' if self.depth == 1 => return self.take(),
            '}' | ']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return self.take();
                }
            }
            '{' | '[' => self.depth += 1,
            '"' => self.in_string = true,
            _ => {}
        }
        self.keep(character);
        None
    }

    fn keep(&mut self, character: char) {
        if self.field.len() < MAX_FIELD {
            self.field.push(character);
        }
    }

    fn take(&mut self) -> Option<(String, Value)> {
        let field = std::mem::take(&mut self.field);
        let object: serde_json::Map<String, Value> = serde_json::from_str(&format!("{{{field}}}")).ok()?;
        object.into_iter().next()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ANSWER: &str = "Sure:\n```json\n{\"shop\": \"A, {B}\", \"total\": 12.5, \"items\": [{\"n\": 1}, {\"n\": 2}], \"x\": \"a\\\"}\"}\n```";

    #[test]
    fn fields_come_when_they_are_complete_however_the_text_is_cut() {
        let wanted = vec![
            ("shop".to_owned(), json!("A, {B}")),
            ("total".to_owned(), json!(12.5)),
            ("items".to_owned(), json!([{ "n": 1 }, { "n": 2 }])),
            ("x".to_owned(), json!("a\"}")),
        ];
        let characters: Vec<char> = ANSWER.chars().collect();
        for size in 1..20 {
            let mut reader = FieldReader::new();
            let pieces = characters.chunks(size).map(|piece| piece.iter().collect::<String>());
            let fields: Vec<_> = pieces.flat_map(|piece| reader.push(&piece)).collect();
            assert_eq!(fields, wanted, "pieces of {size}");
        }
    }

    #[test]
    fn a_field_that_is_not_complete_is_not_given() {
        let mut reader = FieldReader::new();
        assert!(reader.push("{\"total\": 12").is_empty());
        assert_eq!(reader.push("5, ").len(), 1);
        assert!(reader.push("not json, ").is_empty());
        assert!(reader.push("\"a\": \"b").is_empty());
    }
}
