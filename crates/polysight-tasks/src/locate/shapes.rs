//! The places that stand in an answer, as the model wrote them, read in one pass with bounded work.

use super::numbers::{Group, group_at, is_blank};
use super::tags::{Tag, tag_at};
use super::times::{TimeSpan, in_prose, seconds_of};

/// Longest text that is read, in bytes: 1 MiB.
pub(super) const MAX_BYTES: usize = crate::json::MAX_BYTES;
/// Most places that are read.
pub(super) const MAX_SHAPES: usize = 10_000;
/// Most faults that are kept.
const MAX_FAULTS: usize = 16;
/// Deepest nesting of objects whose labels are heeded.
const MAX_DEPTH: usize = 64;
/// Longest label, in bytes.
const MAX_LABEL: usize = 1_024;
/// What ends the reasoning in a text that holds it.
const THINKING_ENDS: &str = "</think>";

/// What numbers describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Point,
    /// Two corners.
    Box,
    /// Four corners.
    Quad,
    /// Centre, width, height and angle.
    Rotated,
}

/// A place as the model wrote it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) numbers: Vec<f64>,
    pub(super) label: Option<String>,
    /// Number of the picture, from 1.
    pub(super) picture: Option<u64>,
    pub(super) time: Option<TimeSpan>,
}

/// All that stands in an answer.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    pub(super) shapes: Vec<Shape>,
    pub(super) times: Vec<TimeSpan>,
    pub(super) faults: Vec<String>,
}

/// Reads an answer; what stands before the end of its reasoning is passed over.
pub(super) fn read(text: &str) -> Shapes {
    let answer =
        text.rfind(THINKING_ENDS).map_or(text, |at| text.get(at + THINKING_ENDS.len()..).unwrap_or(""));
    let mut found = Shapes::default();
    let mut end = answer.len().min(MAX_BYTES);
    while !answer.is_char_boundary(end) {
        end -= 1;
    }
    if end < answer.len() {
        found.fault("the answer is longer than 1 MiB: the rest is left out".to_owned());
    }
    let text = answer.get(..end).unwrap_or("");
    let mut reader = Reader {
        text,
        found,
        frames: Vec::new(),
        ignored: 0,
        squares: 0,
        reference: None,
        is_unquoted: false,
        run: Run::default(),
    };
    reader.read();
    let mut found = reader.found;
    if found.shapes.is_empty() && found.times.is_empty() && !text.contains('{') {
        found.times = in_prose(text);
    }
    let is_empty_list =
        text.trim().trim_start_matches("```json").trim_matches(['`', ' ', '\n', '\r', '\t']) == "[]";
    if found.shapes.is_empty() && found.times.is_empty() && found.faults.is_empty() && !is_empty_list {
        found.fault("no place stands in the answer".to_owned());
    }
    found
}

impl Shapes {
    fn fault(&mut self, fault: String) {
        if self.faults.len() < MAX_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn push(&mut self, shape: Shape) {
        if self.shapes.len() < MAX_SHAPES {
            self.shapes.push(shape);
        } else {
            self.fault(format!("more than {MAX_SHAPES} places: the rest is left out"));
        }
    }
}

/// What the key of an object says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Box,
    Point,
    Rotated,
    /// Boxes in space, which have no place in a picture.
    Solid,
    /// Other lists of numbers.
    Ignored,
    Label,
    Picture,
    Start,
    End,
    Other,
}

impl Key {
    fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let is = |words: &[&str]| words.contains(&name.as_str());
        if has(&["3d"]) {
            Self::Solid
        } else if has(&["score", "conf", "size", "colo", "rgb", "shape"]) {
            Self::Ignored
        } else if has(&["rotate", "rbox"]) {
            Self::Rotated
        } else if has(&["point", "center", "centre"]) {
            Self::Point
        } else if has(&["box", "rect", "location", "quad", "poly", "coord", "region"])
            || is(&["pos", "position"])
        {
            Self::Box
        } else if is(&[
            "label",
            "text",
            "text_content",
            "name",
            "category",
            "class",
            "ref",
            "caption",
            "object",
        ]) {
            Self::Label
        } else if is(&["image", "picture", "image_index", "picture_index", "image_id", "img"]) {
            Self::Picture
        } else if is(&["end", "end_time", "to", "end_timestamp"]) {
            Self::End
        } else if is(&["start", "start_time", "from", "time", "timestamp", "start_timestamp", "seconds"]) {
            Self::Start
        } else {
            Self::Other
        }
    }

    fn is_place(self) -> bool {
        matches!(self, Self::Box | Self::Point | Self::Rotated)
    }
}

/// An object that is open.
#[derive(Debug, Default)]
struct Frame {
    /// The first place of the object.
    first: usize,
    key: Option<Key>,
    label: Option<String>,
    is_labelled: bool,
    picture: Option<u64>,
    start: Option<f64>,
    end: Option<f64>,
    /// The moment that the key before an inner object names.
    moment: Option<f64>,
}

/// Pairs of numbers after each other: two are a box, four a quad, or each is a point.
#[derive(Debug, Default)]
struct Run {
    numbers: Vec<f64>,
    round: bool,
    boxed: bool,
}

struct Reader<'t> {
    text: &'t str,
    found: Shapes,
    frames: Vec<Frame>,
    /// Objects that are open beyond the deepest level.
    ignored: usize,
    /// Lists that are open.
    squares: usize,
    /// A label that stands before its boxes.
    reference: Option<String>,
    /// No string ends from here on: quotes are characters.
    is_unquoted: bool,
    run: Run,
}

impl Reader<'_> {
    fn read(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at = match byte {
                b'"' if self.is_inside() && !self.is_unquoted => self.string(at),
                b'<' => self.angle(at),
                b'[' | b'(' => self.bracket(at, *byte),
                b'{' => self.open(at),
                b'}' => self.close(at),
                b']' => {
                    self.flush();
                    self.squares = self.squares.saturating_sub(1);
                    at + 1
                }
                byte if is_blank(*byte) || *byte == b',' => at + 1,
                _ => {
                    self.flush();
                    at + 1
                }
            };
        }
        self.flush();
        while !self.frames.is_empty() {
            self.finish_frame();
        }
    }

    fn is_inside(&self) -> bool {
        !self.frames.is_empty() || self.squares > 0
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn open(&mut self, at: usize) -> usize {
        self.flush();
        if self.frames.len() < MAX_DEPTH {
            let moment = self.frames.last().and_then(|frame| frame.moment);
            let picture = self.frames.last().and_then(|frame| frame.picture);
            let first = self.found.shapes.len();
            self.frames.push(Frame { first, moment, start: moment, picture, ..Frame::default() });
        } else {
            self.ignored += 1;
        }
        at + 1
    }

    fn close(&mut self, at: usize) -> usize {
        self.flush();
        if self.ignored > 0 {
            self.ignored -= 1;
        } else {
            self.finish_frame();
        }
        at + 1
    }

    /// Gives the places of an object what it says of them.
    fn finish_frame(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let places = self.found.shapes.get_mut(frame.first..).unwrap_or_default();
        let time = frame
            .start
            .or(frame.end)
            .map(|start| TimeSpan::new(start, frame.end.filter(|_| frame.start.is_some())));
        if places.is_empty() {
            // A moment that an outer key names is that of its places alone.
            let own = time.filter(|_| frame.end.is_some() || frame.start != frame.moment);
            if self.found.times.len() < MAX_SHAPES {
                self.found.times.extend(own);
            }
            return;
        }
        for place in places.iter_mut() {
            place.label = place.label.take().or_else(|| frame.label.clone());
            place.picture = place.picture.or(frame.picture);
            place.time = place.time.or(time);
        }
        // Four corners say the same as a turned rectangle beside them, and say it clearer.
        if places.iter().any(|place| place.kind == Kind::Quad) {
            let kept = self.found.shapes.split_off(frame.first);
            self.found.shapes.extend(kept.into_iter().filter(|place| place.kind != Kind::Rotated));
        }
    }

    /// Reads a string: the key of an object, or a value.
    fn string(&mut self, at: usize) -> usize {
        let Some(end) = string_end(self.text.as_bytes(), at) else {
            self.flush();
            self.is_unquoted = true;
            return at + 1;
        };
        self.flush();
        let content = self.text.get(at + 1..end).unwrap_or("");
        let after = skip_blanks(self.text.as_bytes(), end + 1);
        if self.byte(after) != Some(b':') {
            self.value(content);
            return end + 1;
        }
        let key = Key::of(content);
        if let Some(frame) = self.frames.last_mut() {
            frame.key = Some(key);
            if let Some(moment) = seconds_of(content) {
                frame.moment = Some(moment);
            }
        }
        self.scalar(key, skip_blanks(self.text.as_bytes(), after + 1))
    }

    /// A value that is a string.
    fn value(&mut self, content: &str) {
        let key = self.frames.last().and_then(|frame| frame.key);
        match key {
            Some(key) if key.is_place() => self.place_in_string(content),
            Some(key @ (Key::Start | Key::End | Key::Picture)) => self.fact(key, content),
            _ => {
                let Some(frame) = self.frames.last_mut() else {
                    self.reference = Some(label_of(content));
                    return;
                };
                let is_label = key == Some(Key::Label);
                if frame.label.is_none() || (is_label && !frame.is_labelled) {
                    frame.label = Some(label_of(content));
                    frame.is_labelled = is_label;
                }
            }
        }
    }

    /// Numbers that stand in a string, with brackets or without.
    fn place_in_string(&mut self, content: &str) {
        let bare = content.trim().trim_matches(['[', ']', '(', ')', '<', '>']);
        let wrapped = ["[", bare, "]"].concat();
        match group_at(&wrapped, 0) {
            Some(group) => self.group(&group, false),
            None => self.found.fault("a place is text instead of numbers".to_owned()),
        }
    }

    /// A value that stands bare behind its key.
    fn scalar(&mut self, key: Key, at: usize) -> usize {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        let length = rest.iter().take(64).take_while(|byte| !b",}]{[\"\n".contains(byte)).count();
        let end = at + length;
        let word = self.text.get(at..end).unwrap_or("").trim();
        if word.is_empty() {
            return at;
        }
        match key {
            Key::Start | Key::End | Key::Picture => self.fact(key, word),
            key if key.is_place() && !word.starts_with(['(', '<']) => {
                self.found.fault("a place is text instead of numbers".to_owned());
            }
            _ => return at,
        }
        end
    }

    fn fact(&mut self, key: Key, word: &str) {
        let Some(frame) = self.frames.last_mut() else { return };
        match key {
            Key::Start => frame.start = seconds_of(word).or(frame.start),
            Key::End => frame.end = seconds_of(word).or(frame.end),
            _ => {
                let digits = word.trim_start_matches(|letter: char| !letter.is_ascii_digit());
                let digits: String = digits.chars().take_while(char::is_ascii_digit).take(9).collect();
                frame.picture = digits.parse().ok().or(frame.picture);
            }
        }
    }

    fn bracket(&mut self, at: usize, byte: u8) -> usize {
        if let Some(mut group) = group_at(self.text, at) {
            self.group(&group, byte == b'(');
            while let Some(next) =
                group_at(self.text, group.end).filter(|_| self.byte(group.end) == Some(b';'))
            {
                self.group(&next, false);
                group = next;
            }
            return group.end;
        }
        self.flush();
        let key = self.frames.last().and_then(|frame| frame.key);
        if byte == b'[' {
            self.squares += 1;
            let next = skip_blanks(self.text.as_bytes(), at + 1);
            let is_word = self.byte(next).is_some_and(|byte| byte.is_ascii_alphabetic());
            if is_word && key.is_some_and(Key::is_place) {
                self.found.fault("a place is text instead of numbers".to_owned());
            }
        }
        at + 1
    }

    fn angle(&mut self, at: usize) -> usize {
        let Some((tag, end)) = tag_at(self.text, at) else {
            return match group_at(self.text, at) {
                Some(group) if group.numbers.len() >= 4 => {
                    self.group(&group, false);
                    group.end
                }
                _ => {
                    self.flush();
                    at + 1
                }
            };
        };
        self.flush();
        match tag {
            Tag::Label(label) => self.reference = Some(label_of(label)),
            Tag::Box | Tag::Other => {}
            Tag::Points { numbers, label } => {
                self.reference = label.map(label_of).or(self.reference.take());
                numbers.chunks_exact(2).for_each(|pair| self.shape(Kind::Point, pair));
            }
            Tag::Corners { numbers, before } => {
                let label = label_of(before);
                self.reference = Some(label).filter(|label| !label.is_empty());
                self.corners(&numbers);
            }
        }
        end
    }

    /// Corners that are tokens of their own: eight numbers a place.
    fn corners(&mut self, numbers: &[f64]) {
        let quads = numbers.chunks_exact(8);
        match quads.remainder() {
            [] => {}
            [_, _, _, _] => self.shape(Kind::Box, quads.remainder()),
            rest => self.found.fault(wrong_count(rest.len(), "4 or 8")),
        }
        quads.for_each(|quad| self.shape(Kind::Quad, quad));
    }

    /// Sorts a group of numbers by how many there are and under which key they stand.
    fn group(&mut self, group: &Group, round: bool) {
        let key = self.frames.last().and_then(|frame| frame.key).unwrap_or(Key::Other);
        let in_object = !self.frames.is_empty();
        if key == Key::Solid {
            self.found.fault("a box in space has no place in a picture and is left out".to_owned());
            return;
        }
        if key == Key::Ignored {
            return;
        }
        if !group.are_numbers || group.numbers.iter().any(|number| !number.is_finite()) {
            // Prose in brackets is no place.
            if key.is_place() || group.is_list {
                self.found.fault(format!("`{}` are not all finite numbers", shown(group.text(self.text))));
            }
            return;
        }
        let numbers = group.numbers.as_slice();
        match (numbers.len(), key) {
            (2, Key::Box | Key::Point | Key::Other) if !in_object || key.is_place() => {
                let boxed = key == Key::Box;
                if self.run.round != round || self.run.boxed != boxed {
                    self.flush();
                }
                (self.run.round, self.run.boxed) = (round, boxed);
                self.run.numbers.extend(numbers);
                return;
            }
            (5, Key::Rotated) => self.shape(Kind::Rotated, numbers),
            (4, Key::Box | Key::Other) => self.shape(Kind::Box, numbers),
            (8, Key::Box | Key::Other) => self.shape(Kind::Quad, numbers),
            (count, Key::Box) => self.found.fault(wrong_count(count, "4 or 8")),
            (count, Key::Point) => self.found.fault(wrong_count(count, "2")),
            (count, Key::Rotated) => self.found.fault(wrong_count(count, "5")),
            (count, Key::Other) if count > 2 && !in_object => {
                self.found.fault(wrong_count(count, "2, 4 or 8"))
            }
            _ => {}
        }
        self.flush();
    }

    /// Ends a run of pairs.
    fn flush(&mut self) {
        if self.run.numbers.is_empty() {
            return;
        }
        let Run { numbers, round, boxed } = std::mem::take(&mut self.run);
        match numbers.len() {
            4 if round || boxed => self.shape(Kind::Box, &numbers),
            8 if round || boxed => self.shape(Kind::Quad, &numbers),
            count if boxed => self.found.fault(wrong_count(count, "4 or 8")),
            _ => numbers.chunks_exact(2).for_each(|pair| self.shape(Kind::Point, pair)),
        }
    }

    fn shape(&mut self, kind: Kind, numbers: &[f64]) {
        let label = if self.frames.is_empty() { self.reference.clone() } else { None };
        let time =
            self.frames.last().and_then(|frame| frame.moment).map(|moment| TimeSpan::new(moment, None));
        self.found.push(Shape { kind, numbers: numbers.to_vec(), label, picture: None, time });
    }
}

fn wrong_count(count: usize, wanted: &str) -> String {
    format!("a place has {count} numbers instead of {wanted}")
}

/// The end of the string that begins at a quote.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at + 1;
    loop {
        end += memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?;
        if bytes.get(end) == Some(&b'"') {
            return Some(end);
        }
        end += 2;
    }
}

fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).copied().is_some_and(is_blank) {
        at += 1;
    }
    at
}

fn label_of(text: &str) -> String {
    let text = clipped(text.trim(), MAX_LABEL);
    let unescaped =
        text.contains('\\').then(|| serde_json::from_str::<String>(&format!("\"{text}\"")).ok()).flatten();
    unescaped.unwrap_or_else(|| text.to_owned())
}

fn shown(text: &str) -> &str {
    clipped(text, 60)
}

fn clipped(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
