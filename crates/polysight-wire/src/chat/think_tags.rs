//! Reasoning that stands inside the text.

use super::markers::cut_len;

/// Parts a leading `<think>..</think>` block from the text behind it, however the pieces are cut.
///
/// Chat templates of models that always reason may write the opening tag into the prompt, so that the answer has the closing
/// one alone. What such a model says is held back until that comes, and is text where it never does.
#[derive(Debug)]
pub(super) struct ThinkTags {
    state: State,
    held: String,
    /// Whether the prompt may have opened the block.
    may_be_open: bool,
    /// How much of `held` is known to hold no closing tag.
    searched: usize,
}

/// Most bytes of a block without an opening tag: several times the longest reasoning of the models that have them.
const MAX_HELD: usize = 4 << 20;

#[derive(Debug, PartialEq)]
enum State {
    /// Before the first visible character: a block may begin.
    Start,
    /// Perhaps inside a block that the prompt opened.
    Unopened,
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
    /// Begins to read; `may_be_open` says whether the prompt may have opened the block.
    pub(super) fn new(may_be_open: bool) -> Self {
        Self { state: State::Start, held: String::new(), may_be_open, searched: 0 }
    }

    /// Takes no text without an opening tag for reasoning, since that comes apart; gives back what was held as such.
    pub(super) fn open_in_text_only(&mut self) -> Option<String> {
        self.may_be_open = false;
        if self.state != State::Unopened {
            return None;
        }
        self.state = State::Text;
        Some(std::mem::take(&mut self.held))
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

    /// Gives what was held back. `is_cut` says that the answer did not come to its own end: a block that the prompt opened
    /// may lack its closing tag then.
    pub(super) fn finish(&mut self, is_cut: bool, out: &mut Vec<Piece>) {
        let held = std::mem::take(&mut self.held);
        let is_reasoning = self.state == State::Inside || (self.state == State::Unopened && is_cut);
        if !held.is_empty() {
            out.push(if is_reasoning { Piece::Reasoning(held) } else { Piece::Text(held) });
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
                if self.may_be_open {
                    self.state = State::Unopened;
                    return true;
                }
                self.give_text(out)
            }
            State::Unopened => {
                let found = self.held.get(self.searched..).and_then(|text| text.find(CLOSE));
                let Some(at) = found.map(|at| self.searched + at) else {
                    self.searched = self.held.len() - cut_len(&self.held, CLOSE);
                    return self.held.len() > MAX_HELD && self.give_text(out);
                };
                let rest = self.held.split_off(at + CLOSE.len());
                let reasoning = std::mem::replace(&mut self.held, rest);
                let reasoning = reasoning.strip_suffix(CLOSE).unwrap_or_default().trim();
                if !reasoning.is_empty() {
                    out.push(Piece::Reasoning(reasoning.to_owned()));
                }
                self.state = State::Gap;
                true
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
                    let kept = cut_len(&self.held, CLOSE);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(parts: &[&str], may_be_open: bool, is_cut: bool) -> (String, String) {
        let mut splitter = ThinkTags::new(may_be_open);
        let mut out = Vec::new();
        for part in parts {
            splitter.push(part, &mut out);
        }
        splitter.finish(is_cut, &mut out);
        out.into_iter().fold((String::new(), String::new()), |(mut thought, mut text), piece| {
            match piece {
                Piece::Reasoning(piece) => thought.push_str(&piece),
                Piece::Text(piece) => text.push_str(&piece),
            }
            (thought, text)
        })
    }

    fn pieces(parts: &[&str]) -> (String, String) {
        parted(parts, false, false)
    }

    fn split(text: &str) -> (String, String) {
        pieces(&[text])
    }

    fn both(reasoning: &str, text: &str) -> (String, String) {
        (reasoning.to_owned(), text.to_owned())
    }

    #[test]
    fn a_block_that_the_prompt_opened_ends_with_its_closing_tag_however_it_is_cut() {
        for (whole, expected) in [
            ("hm\n</think>\n\na cat", both("hm", "a cat")),
            ("\n想 <b> </thin\n</think>是 </think> b", both("想 <b> </thin", "是 </think> b")),
            ("</think>a", both("", "a")),
            ("hm</think>", both("hm", "")),
            ("<think>hm</think>a", both("hm", "a")),
            ("a cat", both("", "a cat")),
            ("a <think> cat", both("", "a <think> cat")),
        ] {
            for cut in whole.char_indices().map(|(at, _)| at) {
                let (left, right) = whole.split_at(cut);
                assert_eq!(parted(&[left, right], true, false), expected, "{whole:?} cut at {cut}");
            }
            let singles: Vec<String> = whole.chars().map(String::from).collect();
            assert_eq!(
                parted(&singles.iter().map(String::as_str).collect::<Vec<_>>(), true, false),
                expected
            );
        }
        assert_eq!(parted(&["hm </think> a"], false, false), both("", "hm </think> a"));
    }

    #[test]
    fn what_was_cut_before_the_closing_tag_is_reasoning() {
        assert_eq!(parted(&["hm", " hm"], true, true), both("hm hm", ""));
        assert_eq!(parted(&["hm</think>a"], true, true), both("hm", "a"));
    }

    #[test]
    fn reasoning_that_comes_apart_makes_the_rest_text() {
        let mut splitter = ThinkTags::new(true);
        let mut out = Vec::new();
        splitter.push("a", &mut out);
        assert_eq!((out.len(), splitter.open_in_text_only().as_deref()), (0, Some("a")));
        splitter.push("b </think>", &mut out);
        assert_eq!(out, [Piece::Text("b </think>".to_owned())]);
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut splitter = ThinkTags::new(true);
        let mut out = Vec::new();
        let piece = "x".repeat(MAX_HELD / 8);
        (0..9).for_each(|_| splitter.push(&piece, &mut out));
        assert_eq!((out.len(), splitter.held.len()), (1, 0));
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
