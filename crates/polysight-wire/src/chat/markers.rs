//! Markers inside the text that are left out of it.

/// Takes markers out of text, however its pieces are cut.
#[derive(Debug)]
pub(super) struct Markers {
    markers: &'static [&'static str],
    /// The end of the text so far, which may begin a marker.
    held: String,
}

impl Markers {
    pub(super) fn new(markers: &'static [&'static str]) -> Self {
        Self { markers, held: String::new() }
    }

    /// The next piece without markers; what may begin one is held back.
    pub(super) fn strip(&mut self, text: String) -> String {
        if self.markers.is_empty() {
            return text;
        }
        let mut text = std::mem::take(&mut self.held) + &text;
        let kept = self.markers.iter().map(|marker| cut_len(&text, marker)).max().unwrap_or_default();
        self.held = text.split_off(text.len() - kept);
        self.markers.iter().fold(text, |text, marker| text.replace(marker, ""))
    }

    /// What was held back.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` that may be the beginning of `marker`.
pub(super) fn cut_len(text: &str, marker: &str) -> usize {
    let is_end = |len: &usize| marker.get(..*len).is_some_and(|start| text.ends_with(start));
    (1..marker.len()).rev().find(is_end).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(pieces: &[&str]) -> String {
        let mut markers = Markers::new(&["<|begin|>", "<|end|>"]);
        let mut text: String = pieces.iter().map(|piece| markers.strip((*piece).to_owned())).collect();
        text += &markers.finish();
        text
    }

    #[test]
    fn every_cut_gives_the_same_text() {
        let whole = "是 <|begin|>a <b|> <|begin<|end|> <|end|><|en";
        let expected = "是 a <b|> <|begin <|en";
        for cut in whole.char_indices().map(|(at, _)| at) {
            assert_eq!(stripped(&[&whole[..cut], &whole[cut..]]), expected, "{cut}");
        }
        let singles: Vec<String> = whole.chars().map(String::from).collect();
        assert_eq!(stripped(&singles.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn without_markers_nothing_is_held_back() {
        assert_eq!(Markers::new(&[]).strip("a <|be".to_owned()), "a <|be");
    }
}
