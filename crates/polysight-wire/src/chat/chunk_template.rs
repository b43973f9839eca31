//! Chunks that differ from the one before in nothing but their text.
//!
//! Servers repeat id, model, time and all the rest in every chunk of a stream. Once such a chunk has been read as a whole,
//! the next one that has the same bytes around its text says the same about everything else, so that only the text is
//! read. Whatever departs in a single byte is read as a whole again.

/// Which of a delta's texts a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Text,
    Reasoning,
}

/// What stood around the text of the last chunk.
#[derive(Debug, Default)]
pub(super) struct ChunkTemplate {
    slot: Option<Slot>,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl ChunkTemplate {
    /// Forgets the last chunk.
    pub(super) fn forget(&mut self) {
        self.slot = None;
    }

    /// Remembers a chunk whose only effect, besides such as may happen twice, is the text in `slot`.
    ///
    /// Text that does not lie in the chunk itself was escaped, or put together of parts: its place is not known then.
    pub(super) fn learn(&mut self, chunk: &[u8], slot: Slot, text: &str) {
        self.forget();
        let Some(start) = text.as_ptr().addr().checked_sub(chunk.as_ptr().addr()) else { return };
        let Some((before, rest)) = chunk.split_at_checked(start) else { return };
        let Some((_, after)) = rest.split_at_checked(text.len()) else { return };
        // The quotes belong to the text, which is parsed as JSON.
        let (Some(before), Some(after)) = (before.strip_suffix(b"\""), after.strip_prefix(b"\"")) else {
            return;
        };
        self.before.clear();
        self.before.extend_from_slice(before);
        self.after.clear();
        self.after.extend_from_slice(after);
        self.slot = Some(slot);
    }

    /// The text of a chunk that departs from the last one in nothing else. `None` for any other chunk, and for one whose
    /// text is empty or malformed: that is for a reading of the whole to judge.
    pub(super) fn read(&self, chunk: &[u8]) -> Option<(Slot, String)> {
        let slot = self.slot?;
        let quoted = chunk.strip_prefix(self.before.as_slice())?.strip_suffix(self.after.as_slice())?;
        let text: String = serde_json::from_slice(quoted).ok()?;
        (!text.is_empty()).then_some((slot, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: &str = r#"{"id":"a","choices":[{"delta":{"content":"hm"},"finish_reason":null}]}"#;

    fn learned() -> ChunkTemplate {
        let mut repeat = ChunkTemplate::default();
        let start = CHUNK.find("hm").unwrap();
        repeat.learn(CHUNK.as_bytes(), Slot::Text, &CHUNK[start..start + 2]);
        repeat
    }

    #[test]
    fn a_chunk_with_another_text_is_recognised() {
        for (json, text) in
            [("hm", "hm"), (r"a\n\u4f60\\", "a\n你\\"), (r#"\"},{\""#, "\"},{\""), ("🐈", "🐈")]
        {
            let chunk = CHUNK.replace("hm", json);
            assert_eq!(learned().read(chunk.as_bytes()), Some((Slot::Text, text.to_owned())), "{chunk}");
        }
    }

    #[test]
    fn any_other_chunk_is_not() {
        let others = [
            CHUNK.replace("null", "\"stop\""),
            CHUNK.replace("\"a\"", "\"b\""),
            CHUNK.replace("hm", ""),
            CHUNK.replace("hm", "\n"),
            CHUNK.replace("hm", r"\ud83d"),
            CHUNK.replace("hm", r#"x","tool_calls":[],"y":""#),
            CHUNK.replace("hm", r#"x"},"finish_reason":"stop"},{"delta":{"content":""#),
            CHUNK.replace("\"hm\"", "null"),
            CHUNK.replace("\"hm\"", "7"),
            CHUNK.replace("\"hm\"", ""),
            CHUNK.replace("hm\"", ""),
            CHUNK.replace(r#","finish_reason":null"#, ""),
            String::new(),
        ];
        for chunk in others {
            assert_eq!(learned().read(chunk.as_bytes()), None, "{chunk}");
        }
        let mut cut = CHUNK.as_bytes().to_vec();
        cut[CHUNK.find("hm").unwrap()] = 0xE4;
        assert_eq!(learned().read(&cut), None);
    }

    #[test]
    fn text_from_elsewhere_is_not_learned() {
        let mut repeat = learned();
        let elsewhere = "hm".to_owned();
        repeat.learn(CHUNK.as_bytes(), Slot::Text, &elsewhere);
        assert_eq!(repeat.read(CHUNK.as_bytes()), None);
        let unquoted = CHUNK.find("id").unwrap() + 1;
        repeat.learn(CHUNK.as_bytes(), Slot::Text, &CHUNK[unquoted..=unquoted]);
        assert_eq!(repeat.read(CHUNK.as_bytes()), None);
    }
}
