//! Reasoning that stands inside the text.

/// Parts a leading `<think>..</think>` block from the text behind it, however the pieces are cut.
#[derive(Debug)]
pub(super) struct ThinkTags {
    state: State,
    held: String,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Before the first visible character: a block may begin.
    Start,
    /// Inside the block.
    Inside,
    /// Behind the block: white space that only separates it from the text is left out.
    Gap,
    /// In the text.
    Text,
}

/// A piece of reasoning or of text.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Reasoning(String),
    Text(String),
}

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

impl ThinkTags {
    pub(super) fn new() -> Self {
        Self { state: State::Start, held: String::new() }
    }

    /// Adds a piece of text; what may belong to a tag that is cut is held back.
    pub(super) fn push(&mut self, text: &str, out: &mut Vec<Piece>) {
        if self.state == State::Text {
            out.push(Piece::Text(text.to_owned()));
            return;
        }
        self.held.push_str(text);
        while self.step(out) {}
    }

    /// Gives what was held back.
    pub(super) fn finish(&mut self, out: &mut Vec<Piece>) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            out.push(if self.state == State::Inside { Piece::Reasoning(held) } else { Piece::Text(held) });
        }
    }

    fn step(&mut self, out: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Start => {
                let seen = self.held.trim_start();
                if let Some(rest) = seen.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Inside;
                    return true;
                }
                if OPEN.starts_with(seen) {
                    return false;
                }
                self.give_text(out)
            }
            State::Inside => match self.held.split_once(CLOSE) {
                Some((reasoning, rest)) => {
                    if !reasoning.is_empty() {
                        out.push(Piece::Reasoning(reasoning.to_owned()));
                    }
                    self.held = rest.to_owned();
                    self.state = State::Gap;
                    true
                }
                None => {
                    let kept = cut_tag_len(&self.held, CLOSE);
                    let tail = self.held.split_off(self.held.len() - kept);
                    let ready = std::mem::replace(&mut self.held, tail);
                    if !ready.is_empty() {
                        out.push(Piece::Reasoning(ready));
                    }
                    false
                }
            },
            State::Gap => {
                self.held = self.held.trim_start().to_owned();
                !self.held.is_empty() && self.give_text(out)
            }
            State::Text => false,
        }
    }

    fn give_text(&mut self, out: &mut Vec<Piece>) -> bool {
        self.state = State::Text;
        out.push(Piece::Text(std::mem::take(&mut self.held)));
        false
    }
}

/// Length of the longest end of `text` that may be the beginning of `tag`.
fn cut_tag_len(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|len| tag.get(..*len).is_some_and(|start| text.ends_with(start))).unwrap_or(0)
}

/// Parts a whole text.
pub(super) fn split(text: &str) -> (String, String) {
    let mut splitter = ThinkTags::new();
    let mut pieces = Vec::new();
    splitter.push(text, &mut pieces);
    splitter.finish(&mut pieces);
    let (mut reasoning, mut visible) = (String::new(), String::new());
    for piece in pieces {
        match piece {
            Piece::Reasoning(text) => reasoning.push_str(&text),
            Piece::Text(text) => visible.push_str(&text),
        }
    }
    (reasoning, visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(parts: &[&str]) -> (String, String) {
        let mut splitter = ThinkTags::new();
        let mut out = Vec::new();
        for part in parts {
            splitter.push(part, &mut out);
        }
        splitter.finish(&mut out);
        out.into_iter().fold((String::new(), String::new()), |(mut thought, mut text), piece| {
            match piece {
                Piece::Reasoning(piece) => thought.push_str(&piece),
                Piece::Text(piece) => text.push_str(&piece),
            }
            (thought, text)
        })
    }

    #[test]
    fn every_cut_of_a_block_gives_the_same() {
        let whole = "\n<think>想一想 < b </thin </think>\n\n答案 <think>not this</think>";
        let expected = ("想一想 < b </thin ".to_owned(), "答案 <think>not this</think>".to_owned());
        assert_eq!(split(whole), expected);
        let cuts: Vec<usize> = whole.char_indices().map(|(at, _)| at).collect();
        for cut in cuts {
            let (left, right) = whole.split_at(cut);
            assert_eq!(pieces(&[left, right]), expected, "cut at {cut}");
        }
        let singles: Vec<String> = whole.chars().map(String::from).collect();
        assert_eq!(pieces(&singles.iter().map(String::as_str).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn text_without_a_block_stays_as_it_is() {
        assert_eq!(split("  plain"), (String::new(), "  plain".to_owned()));
        assert_eq!(split("<b>bold</b>"), (String::new(), "<b>bold</b>".to_owned()));
        assert_eq!(split("<thi"), (String::new(), "<thi".to_owned()));
        assert_eq!(split("<think>cut off"), ("cut off".to_owned(), String::new()));
    }
}
