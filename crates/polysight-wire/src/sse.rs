//! Reads server-sent events from the bytes of a response body, however the network has cut them.
//!
//! The reader follows the [WHATWG algorithm](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)
//! and departs from it where a client of a model API needs more than a browser does:
//!
//! * comments and lines that are no field are handed out, since vendors put states and errors there;
//! * the last event of a body counts even when its blank line is missing;
//! * an `id` belongs to its own event and is not carried over to later ones, since no stream is ever resumed;
//! * `retry` is ignored, for the same reason;
//! * text is not decoded: UTF-8 is checked by whoever parses the data.
//!
//! Each byte is searched once. An event whose bytes lie in one chunk and whose data is one line is borrowed from that
//! chunk; what outlives its chunk is kept in buffers that are reused.
//!
//! ```
//! use bytes::Bytes;
//! use polysight_wire::sse::{SseItem, SseReader};
//!
//! let mut reader = SseReader::default();
//! let mut seen = Vec::new();
//! for chunk in ["data: {\"de", "lta\":\"hi\"}\r", "\n\r\ndata: [DONE]"] {
//!     reader.push(Bytes::from_static(chunk.as_bytes()));
//!     while let Some(item) = reader.next_item()? {
//!         if let SseItem::Event(event) = item {
//!             seen.push(String::from_utf8_lossy(event.data).into_owned());
//!         }
//!     }
//! }
//! reader.finish();
//! while let Some(item) = reader.next_item()? {
//!     if let SseItem::Event(event) = item {
//!         seen.push(String::from_utf8_lossy(event.data).into_owned());
//!     }
//! }
//! assert_eq!(seen, [r#"{"delta":"hi"}"#, "[DONE]"]);
//! # Ok::<(), polysight_wire::sse::SseError>(())
//! ```

use std::{fmt, mem};

use bytes::Bytes;
use memchr::{memchr, memchr2};

/// Longest line and longest joined data of an event that [`SseReader::default`] accepts: 10 MiB.
pub const DEFAULT_MAX_LINE: usize = 10 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One thing read from an event stream.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SseItem<'a> {
    /// A dispatched event.
    Event(SseEvent<'a>),
    /// A comment line without its leading colon and one optional space, e.g. a keep-alive or `HTTP_STATUS/429`.
    Comment(&'a [u8]),
    /// A whole line that is no field of an event stream, e.g. a bare JSON error written between the events.
    ///
    /// It neither ends nor changes the event around it.
    NonField(&'a [u8]),
}

/// An event: the fields between two blank lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// Value of the last `event` field; `None` if there is none or it is empty, which mean the same.
    pub name: Option<&'a [u8]>,
    /// Value of the last `id` field of this event. One that contains a NUL byte does not count.
    pub id: Option<&'a [u8]>,
    /// Values of the `data` fields, joined by LF. May be empty.
    pub data: &'a [u8],
}

/// Why an event stream cannot be read further.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SseError {
    /// A line is longer than the limit.
    LineTooLong {
        /// Largest accepted length in bytes, without the line end.
        limit: usize,
    },
    /// The joined data of an event is longer than the limit.
    EventTooLong {
        /// Largest accepted length in bytes, with the LFs between the lines.
        limit: usize,
    },
}

impl fmt::Display for SseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong { limit } => write!(f, "a line of the event stream is over {limit} bytes"),
            Self::EventTooLong { limit } => write!(f, "the data of an event is over {limit} bytes"),
        }
    }
}

impl std::error::Error for SseError {}

/// Turns the chunks of a body into the [items](SseItem) of an event stream.
///
/// [`push`](Self::push) a chunk, call [`next_item`](Self::next_item) until it returns `None`, and so on; at the end of
/// the body [`finish`](Self::finish) and read what remains.
///
/// Beside the current chunk it holds the line that is cut by the chunk's end and the fields of the event that is not
/// yet complete, each no longer than the limit.
pub struct SseReader {
    max_line: usize,
    chunk: Bytes,
    /// Where the unread part of `chunk` begins.
    position: usize,
    /// What has come so far of a line that is cut by the end of a chunk. Already searched for line ends.
    carry: Vec<u8>,
    /// The line in `carry` is complete and has been taken.
    carry_taken: bool,
    name: Held,
    id: Held,
    data: Held,
    /// The event in `name`, `id` and `data` has been handed out.
    event_taken: bool,
    /// The last line ended in CR, so that an LF now belongs to that line end.
    after_cr: bool,
    /// No line has been read yet, so that the next may begin with a byte order mark.
    at_start: bool,
    finished: bool,
    failed: Option<SseError>,
    /// Each JSON document is an event of its own, with or without blank lines between them.
    splits: bool,
    /// The line in `carry` was read too early and comes again.
    carry_waits: bool,
}

impl SseReader {
    /// Makes a reader that refuses lines, and joined data of one event, of more than `max_line` bytes.
    ///
    /// The line end is not counted; field name and colon are, and so is a byte order mark before the first line.
    pub fn new(max_line: usize) -> Self {
        Self {
            max_line,
            chunk: Bytes::new(),
            position: 0,
            carry: Vec::new(),
            carry_taken: false,
            name: Held::default(),
            id: Held::default(),
            data: Held::default(),
            event_taken: false,
            after_cr: false,
            at_start: true,
            finished: false,
            failed: None,
            splits: false,
            carry_waits: false,
        }
    }

    /// Makes each JSON document an event of its own, for servers that write no blank lines: an event ends too where an
    /// `id` comes after data, and where data that begin a document come behind data that end one. No document holds such
    /// a pair of lines.
    #[must_use]
    pub fn with_split_documents(mut self) -> Self {
        self.splits = true;
        self
    }

    /// Hands over the next chunk of the body; call [`next_item`](Self::next_item) until it returns `None` before
    /// pushing again.
    ///
    /// Nothing is lost if that is not done, but what is unread is copied to stand before the new chunk. A chunk after
    /// [`finish`](Self::finish) or after an error is ignored.
    pub fn push(&mut self, chunk: Bytes) {
        if self.finished || self.failed.is_some() {
            return;
        }
        let unread = self.unread();
        let chunk = if unread.is_empty() { chunk } else { [unread, &chunk].concat().into() };
        self.replace_chunk(chunk);
    }

    /// Returns the next item that is complete in what has been pushed so far; `None` if that needs more bytes.
    ///
    /// # Errors
    ///
    /// If a line or the data of an event is over the limit. Every later call returns the same error.
    pub fn next_item(&mut self) -> Result<Option<SseItem<'_>>, SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if mem::take(&mut self.event_taken) {
            self.forget_event();
        }
        loop {
            let Some(line) = self.next_line()? else {
                let last = self.finished && self.take_event();
                return Ok(last.then(|| SseItem::Event(self.event())));
            };
            match Line::parse(self.bytes(line)) {
                Line::Blank if self.take_event() => return Ok(Some(SseItem::Event(self.event()))),
                Line::Blank | Line::Field(Field::Retry, _) => {}
                Line::Field(field, skip) if self.splits && self.begins_event(&field, line.skip(skip)) => {
                    self.put_back(line);
                    self.event_taken = true;
                    return Ok(Some(SseItem::Event(self.event())));
                }
                Line::Field(field, skip) => self.set_field(field, line.skip(skip))?,
                Line::Comment(skip) => return Ok(Some(SseItem::Comment(self.bytes(line.skip(skip))))),
                Line::NonField => return Ok(Some(SseItem::NonField(self.bytes(line)))),
            }
        }
    }

    /// Says that the body has ended: a last line without line end and a last event without blank line are accepted.
    ///
    /// From then on [`next_item`](Self::next_item) returns what remains, then `None` for ever.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    fn unread(&self) -> &[u8] {
        self.chunk.get(self.position..).unwrap_or_default()
    }

    /// The bytes of a line or of its value.
    fn bytes(&self, line: Span) -> &[u8] {
        line.of(&self.chunk, &self.carry)
    }

    fn next_line(&mut self) -> Result<Option<Span>, SseError> {
        if mem::take(&mut self.carry_taken) {
            self.carry.clear();
        }
        if mem::take(&mut self.carry_waits) {
            return Ok(Some(self.take_carry()));
        }
        self.skip_lf_after_cr();
        let unread = self.unread();
        let Some(length) = line_length(unread) else {
            return self.carry_unread();
        };
        let after_cr = unread.get(length) == Some(&b'\r');
        self.check_line(length)?;
        let start = self.position;
        let end = start + length;
        self.after_cr = after_cr;
        self.position = end + 1;
        if self.carry.is_empty() {
            return Ok(Some(self.strip_mark(Span { home: Home::Chunk, start, end })));
        }
        self.carry.extend_from_slice(self.chunk.get(start..end).unwrap_or_default());
        Ok(Some(self.take_carry()))
    }

    /// Whether a field belongs to another event than the data before it.
    fn begins_event(&self, field: &Field, value: Span) -> bool {
        let Some(data) = self.data.get(&self.chunk) else { return false };
        match field {
            Field::Id => true,
            Field::Data => {
                let begins = matches!(self.bytes(value).trim_ascii_start().first(), Some(b'{' | b'['));
                begins && matches!(data.trim_ascii_end().last(), Some(b'}' | b']'))
            }
            Field::Name | Field::Retry => false,
        }
    }

    fn put_back(&mut self, line: Span) {
        match line.home {
            Home::Chunk => (self.position, self.after_cr) = (line.start, false),
            Home::Buffer => (self.carry_taken, self.carry_waits) = (false, true),
        }
    }

    fn skip_lf_after_cr(&mut self) {
        if self.after_cr
            && let Some(&first) = self.unread().first()
        {
            self.after_cr = false;
            self.position += usize::from(first == b'\n');
        }
    }

    /// Moves the cut line to the carry and lets go of the chunk. At the end of the body the cut line is a line.
    fn carry_unread(&mut self) -> Result<Option<Span>, SseError> {
        if !self.chunk.is_empty() {
            self.check_line(self.unread().len())?;
            self.carry.extend_from_slice(self.chunk.get(self.position..).unwrap_or_default());
            self.replace_chunk(Bytes::new());
        }
        Ok((self.finished && !self.carry.is_empty()).then(|| self.take_carry()))
    }

    fn take_carry(&mut self) -> Span {
        self.carry_taken = true;
        self.strip_mark(Span { home: Home::Buffer, start: 0, end: self.carry.len() })
    }

    fn strip_mark(&mut self, line: Span) -> Span {
        let marked = mem::take(&mut self.at_start) && self.bytes(line).starts_with(BYTE_ORDER_MARK);
        if marked { line.skip(BYTE_ORDER_MARK.len()) } else { line }
    }

    fn replace_chunk(&mut self, chunk: Bytes) {
        self.name.keep(&self.chunk);
        self.id.keep(&self.chunk);
        self.data.keep(&self.chunk);
        self.chunk = chunk;
        self.position = 0;
    }

    fn set_field(&mut self, field: Field, value: Span) -> Result<(), SseError> {
        match field {
            Field::Data if self.data.is_present() => {
                self.check_data(self.data.len() + 1 + value.len())?;
                self.data.append_line(value, &self.chunk, &self.carry);
            }
            Field::Data => self.data.set(value, &mut self.carry),
            Field::Name if value.len() == 0 => self.name.forget(),
            Field::Name => self.name.set(value, &mut self.carry),
            Field::Id if memchr(0, self.bytes(value)).is_some() => {}
            Field::Id => self.id.set(value, &mut self.carry),
            Field::Retry => {}
        }
        Ok(())
    }

    /// Ends the pending event; false if it has no data and so is dropped.
    fn take_event(&mut self) -> bool {
        self.event_taken = self.data.is_present();
        if !self.event_taken {
            self.forget_event();
        }
        self.event_taken
    }

    fn forget_event(&mut self) {
        self.name.forget();
        self.id.forget();
        self.data.forget();
    }

    fn event(&self) -> SseEvent<'_> {
        SseEvent {
            name: self.name.get(&self.chunk),
            id: self.id.get(&self.chunk),
            data: self.data.get(&self.chunk).unwrap_or_default(),
        }
    }

    fn check_line(&mut self, more: usize) -> Result<(), SseError> {
        let limit = self.max_line;
        if self.carry.len() + more > limit { self.fail(SseError::LineTooLong { limit }) } else { Ok(()) }
    }

    fn check_data(&mut self, length: usize) -> Result<(), SseError> {
        let limit = self.max_line;
        if length > limit { self.fail(SseError::EventTooLong { limit }) } else { Ok(()) }
    }

    /// Poisons the reader and gives its memory back.
    #[cold]
    fn fail(&mut self, error: SseError) -> Result<(), SseError> {
        *self = Self { failed: Some(error), ..Self::new(self.max_line) };
        Err(error)
    }
}

impl Default for SseReader {
    /// Makes a reader with the limit [`DEFAULT_MAX_LINE`].
    fn default() -> Self {
        Self::new(DEFAULT_MAX_LINE)
    }
}

/// Shows sizes only: the bytes are somebody's conversation.
impl fmt::Debug for SseReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseReader")
            .field("max_line", &self.max_line)
            .field("unread", &self.unread().len())
            .field("carry", &self.carry.len())
            .field("data", &self.data.len())
            .field("finished", &self.finished)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

fn line_length(unread: &[u8]) -> Option<usize> {
    // Every second line is blank; that needs no search.
    match unread.first() {
        Some(b'\n' | b'\r') => Some(0),
        _ => memchr2(b'\n', b'\r', unread),
    }
}

/// What a line is. The numbers say how many bytes stand before the value.
enum Line {
    Blank,
    Comment(usize),
    Field(Field, usize),
    NonField,
}

enum Field {
    Data,
    Name,
    Id,
    Retry,
}

impl Line {
    fn parse(line: &[u8]) -> Self {
        let (field, rest) = match line {
            [b'd', b'a', b't', b'a', rest @ ..] => (Field::Data, rest),
            [b'e', b'v', b'e', b'n', b't', rest @ ..] => (Field::Name, rest),
            [b'i', b'd', rest @ ..] => (Field::Id, rest),
            [b'r', b'e', b't', b'r', b'y', rest @ ..] => (Field::Retry, rest),
            [b':', b' ', ..] => return Self::Comment(2),
            [b':', ..] => return Self::Comment(1),
            [] => return Self::Blank,
            _ => return Self::NonField,
        };
        let value = match rest {
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            [] => rest,
            _ => return Self::NonField,
        };
        Self::Field(field, line.len() - value.len())
    }
}

/// Where bytes live: in the chunk, or in a buffer that outlives it.
#[derive(Clone, Copy)]
enum Home {
    Chunk,
    Buffer,
}

/// A line or the value at its end, named by place, so that it does not borrow from the reader.
#[derive(Clone, Copy)]
struct Span {
    home: Home,
    start: usize,
    end: usize,
}

impl Span {
    fn of<'a>(self, chunk: &'a [u8], buffer: &'a [u8]) -> &'a [u8] {
        let home = match self.home {
            Home::Chunk => chunk,
            Home::Buffer => buffer,
        };
        home.get(self.start..self.end).unwrap_or_default()
    }

    fn len(self) -> usize {
        self.end - self.start
    }

    fn skip(self, length: usize) -> Self {
        Self { start: self.start + length, ..self }
    }
}

/// A field of the pending event: left in the chunk as long as the chunk is there, then in a buffer of its own.
#[derive(Default)]
struct Held {
    span: Option<Span>,
    buffer: Vec<u8>,
}

impl Held {
    fn get<'a>(&'a self, chunk: &'a [u8]) -> Option<&'a [u8]> {
        self.span.map(|span| span.of(chunk, &self.buffer))
    }

    fn is_present(&self) -> bool {
        self.span.is_some()
    }

    fn len(&self) -> usize {
        self.span.map_or(0, Span::len)
    }

    fn forget(&mut self) {
        self.span = None;
    }

    /// Takes a value over. One in the carry comes with the whole carry, since swapping the buffers saves a copy.
    fn set(&mut self, value: Span, carry: &mut Vec<u8>) {
        if matches!(value.home, Home::Buffer) {
            mem::swap(&mut self.buffer, carry);
        }
        self.span = Some(value);
    }

    /// Appends LF and another value. Relies on the held value reaching to the end of its buffer.
    fn append_line(&mut self, value: Span, chunk: &[u8], carry: &[u8]) {
        self.keep(chunk);
        self.buffer.push(b'\n');
        self.buffer.extend_from_slice(value.of(chunk, carry));
        if let Some(span) = &mut self.span {
            span.end = self.buffer.len();
        }
    }

    /// Copies a value that still lies in the chunk.
    fn keep(&mut self, chunk: &[u8]) {
        if let Some(span @ Span { home: Home::Chunk, .. }) = self.span {
            self.buffer.clear();
            self.buffer.extend_from_slice(span.of(chunk, &[]));
            self.span = Some(Span { home: Home::Buffer, start: 0, end: self.buffer.len() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Item {
        Event { name: Option<String>, id: Option<String>, data: String },
        Comment(String),
        NonField(String),
        Error(SseError),
    }

    impl From<SseItem<'_>> for Item {
        fn from(item: SseItem<'_>) -> Self {
            match item {
                SseItem::Event(SseEvent { name, id, data }) => {
                    Self::Event { name: name.map(text), id: id.map(text), data: text(data) }
                }
                SseItem::Comment(bytes) => Self::Comment(text(bytes)),
                SseItem::NonField(bytes) => Self::NonField(text(bytes)),
            }
        }
    }

    fn text(bytes: &[u8]) -> String {
        bytes.escape_ascii().to_string()
    }

    fn data(data: &str) -> Item {
        Item::Event { name: None, id: None, data: text(data.as_bytes()) }
    }

    fn named(name: &str, data: &str) -> Item {
        Item::Event { name: Some(name.into()), id: None, data: text(data.as_bytes()) }
    }

    fn with_id(id: &str, data: &str) -> Item {
        Item::Event { name: None, id: Some(id.into()), data: text(data.as_bytes()) }
    }

    fn comment(line: &str) -> Item {
        Item::Comment(line.into())
    }

    fn stray(line: &str) -> Item {
        Item::NonField(text(line.as_bytes()))
    }

    fn drain(reader: &mut SseReader, items: &mut Vec<Item>) {
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item.into()),
                Ok(None) => return,
                Err(error) => {
                    if items.last() != Some(&Item::Error(error)) {
                        items.push(Item::Error(error));
                    }
                    return;
                }
            }
        }
    }

    /// The items up to the end of each chunk; the last entry is what `finish` adds.
    fn read_stepwise<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<Item>> {
        let mut reader = SseReader::new(limit);
        let mut steps = Vec::new();
        for chunk in chunks {
            reader.push(Bytes::copy_from_slice(chunk));
            let mut items = Vec::new();
            drain(&mut reader, &mut items);
            steps.push(items);
        }
        reader.finish();
        let mut items = Vec::new();
        drain(&mut reader, &mut items);
        steps.push(items);
        steps
    }

    /// All items of a stream in the given chunks. An error counts once although it is repeated.
    fn read<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Item> {
        let mut items = read_stepwise(limit, chunks).concat();
        items.dedup_by(|later, earlier| later == earlier && matches!(later, Item::Error(_)));
        items
    }

    fn read_text(stream: &str) -> Vec<Item> {
        read(DEFAULT_MAX_LINE, [stream.as_bytes()])
    }

    fn steps(chunks: &[&str]) -> Vec<Vec<Item>> {
        read_stepwise(DEFAULT_MAX_LINE, chunks.iter().map(|chunk| chunk.as_bytes()))
    }

    #[test]
    fn reads_events_with_each_kind_of_line_end() {
        for stream in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r"] {
            assert_eq!(read_text(stream), [data("a"), data("b")], "{stream:?}");
        }
    }

    #[test]
    fn reads_mixed_line_ends() {
        assert_eq!(
            read_text("data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r"),
            [data("a"), data("b"), data("c"), data("d"), data("e")]
        );
    }

    #[test]
    fn takes_lf_cr_as_two_line_ends_and_cr_lf_as_one() {
        assert_eq!(read_text("data: a\n\rdata: b\r\ndata: c\r\n"), [data("a"), data("b\nc")]);
    }

    #[test]
    fn dispatches_at_a_final_cr_without_waiting_and_swallows_the_lf_that_follows() {
        assert_eq!(
            steps(&["data: a\r\n\r", "\ndata: b\r", "\r", "\n", "data: c\n", "\n"]),
            [vec![data("a")], vec![], vec![data("b")], vec![], vec![], vec![data("c")], vec![]]
        );
    }

    #[test]
    fn swallows_only_one_lf_after_a_final_cr() {
        assert_eq!(steps(&["data: a\r", "\n\n"]), [vec![], vec![data("a")], vec![]]);
        assert_eq!(steps(&["data: a\r", "", "\n", "\n"]), [vec![], vec![], vec![], vec![data("a")], vec![]]);
    }

    #[test]
    fn waits_for_the_blank_line() {
        assert_eq!(steps(&["data: a", "b\n", "\n"]), [vec![], vec![], vec![data("ab")], vec![]]);
    }

    #[test]
    fn hands_out_comments_without_colon_and_one_space() {
        assert_eq!(
            read_text(": keep-alive\n:HTTP_STATUS/429\n:\n: \n:  two\n\n"),
            [comment("keep-alive"), comment("HTTP_STATUS/429"), comment(""), comment(""), comment(" two")]
        );
    }

    #[test]
    fn leaves_the_event_around_a_comment_alone() {
        assert_eq!(
            read_text("id:1\nevent:result\n:HTTP_STATUS/200\ndata:{}\n: more\n\n"),
            [
                comment("HTTP_STATUS/200"),
                comment("more"),
                Item::Event { name: Some("result".into()), id: Some("1".into()), data: "{}".into() }
            ]
        );
    }

    #[test]
    fn drops_one_byte_order_mark_at_the_very_start() {
        assert_eq!(read_text("\u{feff}data: a\n\n"), [data("a")]);
        assert_eq!(read_text("\u{feff}\ndata: a\n\n"), [data("a")]);
        assert_eq!(read_text("\u{feff}"), []);
        assert_eq!(read_text("\u{feff}: c\n"), [comment("c")]);
    }

    #[test]
    fn drops_a_byte_order_mark_that_is_cut() {
        assert_eq!(
            read(100, [&b"\xEF"[..], b"\xBB", b"\xBFda", b"ta: a\n\n"]),
            [data("a")],
            "one byte at a time"
        );
    }

    #[test]
    fn keeps_every_other_byte_order_mark() {
        assert_eq!(read_text("\u{feff}\u{feff}data: a\n\n"), [stray("\u{feff}data: a")]);
        assert_eq!(read_text("\n\u{feff}data: a\n\n"), [stray("\u{feff}data: a")]);
        assert_eq!(read_text("data: \u{feff}a\n\n"), [data("\u{feff}a")]);
        assert_eq!(read(100, [&b"\xEF\xBB"[..]]), [Item::NonField("\\xef\\xbb".into())]);
    }

    #[test]
    fn removes_exactly_one_leading_space() {
        assert_eq!(
            read_text("data:a\n\ndata: a\n\ndata:  a \n\ndata:\ta\n\n"),
            [data("a"), data("a"), data(" a "), data("\ta")]
        );
    }

    #[test]
    fn keeps_colons_in_values() {
        assert_eq!(read_text("data: a: b\n\ndata::\n\n"), [data("a: b"), data(":")]);
    }

    #[test]
    fn joins_data_lines_by_lf() {
        assert_eq!(
            read_text("data: a\ndata: b\ndata:\ndata\ndata: c\n\ndata: d\n\n"),
            [data("a\nb\n\n\nc"), data("d")]
        );
    }

    #[test]
    fn joins_data_lines_of_different_chunks() {
        assert_eq!(
            steps(&["data: aa\nda", "ta: bb\ndata: cc\n", "data: d", "d\n\n"]),
            [vec![], vec![], vec![], vec![data("aa\nbb\ncc\ndd")], vec![]]
        );
        assert_eq!(
            steps(&["data: a", "a\ndata: bb\n", "\n"]),
            [vec![], vec![], vec![data("aa\nbb")], vec![]]
        );
    }

    #[test]
    fn dispatches_empty_data() {
        assert_eq!(read_text("data\n\n"), [data("")]);
        assert_eq!(read_text("data:\n\n"), [data("")]);
        assert_eq!(read_text("data: \n\n"), [data("")]);
        assert_eq!(read_text("data\ndata\n\n"), [data("\n")]);
    }

    #[test]
    fn does_not_dispatch_an_event_without_data_but_resets_its_fields() {
        assert_eq!(read_text("event: ping\nid: 1\n\ndata: a\n\n\n\n"), [data("a")]);
        assert_eq!(steps(&["event: pi", "ng\n", "\ndata: a\n\n"]), [vec![], vec![], vec![data("a")], vec![]]);
    }

    #[test]
    fn does_not_carry_name_and_id_to_the_next_event() {
        assert_eq!(
            read_text("event: x\ndata: a\n\nid: 7\ndata: b\n\ndata: c\n\n"),
            [named("x", "a"), with_id("7", "b"), data("c")]
        );
    }

    #[test]
    fn takes_the_last_name_and_the_last_id() {
        assert_eq!(read_text("event: x\nevent: y\ndata: a\n\n"), [named("y", "a")]);
        assert_eq!(read_text("id: 1\ndata: a\nid: 2\n\n"), [with_id("2", "a")]);
    }

    #[test]
    fn takes_an_empty_name_for_none() {
        assert_eq!(read_text("event: x\nevent:\ndata: a\n\nevent\ndata: b\n\n"), [data("a"), data("b")]);
    }

    #[test]
    fn keeps_an_empty_id_and_ignores_one_with_nul() {
        assert_eq!(read_text("id\ndata: a\n\n"), [with_id("", "a")]);
        assert_eq!(read_text("id: 1\nid: 2\0\ndata: a\n\n"), [with_id("1", "a")]);
    }

    #[test]
    fn keeps_name_and_id_that_outlive_their_chunk() {
        assert_eq!(
            read(100, [&b"id: 4"[..], b"2\nevent: a", b"dd\n", b"data: a\n", b"\n"]),
            [Item::Event { name: Some("add".into()), id: Some("42".into()), data: "a".into() }]
        );
    }

    #[test]
    fn ignores_retry() {
        assert_eq!(read_text("retry: 3000\ndata: a\nretry\nretry: soon\n\nretry: 1\n\n"), [data("a")]);
    }

    #[test]
    fn hands_out_lines_that_are_no_field() {
        assert_eq!(
            read_text(
                "{\"error\":{\"code\":\"1301\"}}\n\nDone\ndatax: a\ndat: a\nData: a\n data: a\ndata : a\nidx\n"
            ),
            [
                "{\"error\":{\"code\":\"1301\"}}",
                "Done",
                "datax: a",
                "dat: a",
                "Data: a",
                " data: a",
                "data : a",
                "idx"
            ]
            .map(stray)
        );
    }

    #[test]
    fn leaves_the_event_around_a_stray_line_alone() {
        assert_eq!(
            read_text("event: x\ndata: a\n{\"error\":1}\ndata: b\n\n"),
            [stray("{\"error\":1}"), named("x", "a\nb")]
        );
        assert_eq!(
            steps(&["data: a\n{\"err", "or\":1}\n", "data: b\n\n"]),
            [vec![], vec![stray("{\"error\":1}")], vec![data("a\nb")], vec![]]
        );
    }

    #[test]
    fn accepts_a_last_event_without_blank_line() {
        assert_eq!(steps(&["data: a\n"]), [vec![], vec![data("a")]]);
        assert_eq!(steps(&["event: x\ndata: a\r\n"]), [vec![], vec![named("x", "a")]]);
    }

    #[test]
    fn accepts_a_last_line_without_line_end() {
        assert_eq!(steps(&["data: a"]), [vec![], vec![data("a")]]);
        assert_eq!(steps(&["data: a\ndata: b"]), [vec![], vec![data("a\nb")]]);
        assert_eq!(steps(&["data: a\n\n{\"error\":1}"]), [vec![data("a")], vec![stray("{\"error\":1}")]]);
        assert_eq!(steps(&["data: a\n: c"]), [vec![], vec![comment("c"), data("a")]]);
    }

    #[test]
    fn dispatches_no_last_event_without_data() {
        assert_eq!(steps(&["event: x\nid: 1"]), [vec![], vec![]]);
        assert_eq!(steps(&["data: a\n\n"]), [vec![data("a")], vec![]]);
        assert_eq!(steps(&[]), [vec![]]);
    }

    #[test]
    fn returns_none_for_ever_after_the_end() {
        let mut reader = SseReader::default();
        reader.push(Bytes::from_static(b"data: a"));
        reader.finish();
        assert!(matches!(reader.next_item(), Ok(Some(SseItem::Event(_)))));
        for _ in 0..3 {
            reader.push(Bytes::from_static(b"data: late\n\n"));
            reader.finish();
            assert_eq!(reader.next_item(), Ok(None));
        }
    }

    #[test]
    fn takes_unicode_line_separators_for_ordinary_bytes() {
        let line = "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f\0g";
        assert_eq!(read_text(&format!("data: {line}\n\n")), [data(line)]);
    }

    #[test]
    fn does_not_mind_bytes_that_are_no_utf_8() {
        assert_eq!(
            read(100, [&b"data: \xff\xe4\xbd\n\n"[..]]),
            [Item::Event { name: None, id: None, data: "\\xff\\xe4\\xbd".into() }]
        );
    }

    #[test]
    fn accepts_a_line_at_the_limit_and_refuses_one_over_it() {
        let error = SseError::LineTooLong { limit: 10 };
        assert_eq!(read(10, [&b"data: abcd\r\n\r\n"[..]]), [data("abcd")]);
        assert_eq!(read(10, [&b"data: a\n\ndata: abcde\n\n"[..]]), [data("a"), Item::Error(error)]);
        assert_eq!(read(10, [&b"data: ab"[..], b"cd\n"]), [data("abcd")]);
        assert_eq!(read(10, [&b"data: ab"[..], b"cde\n"]), [Item::Error(error)]);
    }

    #[test]
    fn refuses_a_line_over_the_limit_before_it_ends() {
        let error = Item::Error(SseError::LineTooLong { limit: 10 });
        assert_eq!(
            read_stepwise(10, [&b"data: abcd"[..], b"e"]),
            [vec![], vec![error.clone()], vec![error.clone()]]
        );
        assert_eq!(read_stepwise(10, [&[b'x'; 11][..]]), [vec![error.clone()], vec![error]]);
    }

    #[test]
    fn refuses_joined_data_over_the_limit() {
        assert_eq!(read(10, [&b"data:abcd\ndata:efghi\n\n"[..]]), [data("abcd\nefghi")]);
        assert_eq!(
            read(10, [&b"data:abcde\ndata:fghij\n\n"[..]]),
            [Item::Error(SseError::EventTooLong { limit: 10 })]
        );
    }

    #[test]
    fn is_poisoned_by_an_error_and_gives_its_memory_back() {
        let error = SseError::LineTooLong { limit: 10 };
        let mut reader = SseReader::new(10);
        reader.push(Bytes::from_static(b"data: a\ndata: abcdefgh\n\ndata: b\n\n"));
        for _ in 0..3 {
            assert_eq!(reader.next_item(), Err(error));
            reader.push(Bytes::from_static(b"data: c\n\n"));
        }
        reader.finish();
        assert_eq!(reader.next_item(), Err(error));
        assert!(reader.chunk.is_empty());
        assert_eq!(reader.carry.capacity() + reader.data.buffer.capacity(), 0);
    }

    #[test]
    fn says_in_one_line_what_is_over_the_limit() {
        assert_eq!(
            SseError::LineTooLong { limit: 7 }.to_string(),
            "a line of the event stream is over 7 bytes"
        );
        assert_eq!(SseError::EventTooLong { limit: 7 }.to_string(), "the data of an event is over 7 bytes");
    }

    #[test]
    fn loses_nothing_when_pushed_before_drained() {
        let mut reader = SseReader::default();
        reader.push(Bytes::from_static(b"data: a\n\nevent: x\ndata: b\ndata: c"));
        assert_eq!(reader.next_item().unwrap().map(Item::from), Some(data("a")));
        reader.push(Bytes::from_static(b"c\n"));
        reader.push(Bytes::from_static(b"\ndata: d\n\n"));
        let mut items = Vec::new();
        drain(&mut reader, &mut items);
        assert_eq!(items, [named("x", "b\ncc"), data("d")]);
    }

    #[test]
    fn parts_documents_that_no_blank_line_parts_when_told_to() {
        let stream = "id:1\r\nevent:result\r\n:HTTP_STATUS/200\r\ndata:{\"a\":1}\r\nid:2\r\ndata:{\"b\":\r\ndata:2}\r\ndata: {\"c\":3} \r\n\
                      data: [1]\r\nid:3\r\n\r\ndata:x\r\ndata:y\r\n";
        let expected = [
            comment("HTTP_STATUS/200"),
            Item::Event { name: Some("result".into()), id: Some("1".into()), data: text(b"{\"a\":1}") },
            with_id("2", "{\"b\":\n2}"),
            data("{\"c\":3} "),
            data("[1]"),
            data("x\ny"),
        ];
        for size in 1..=stream.len() {
            let mut reader = SseReader::default().with_split_documents();
            let mut items = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                reader.push(Bytes::copy_from_slice(piece));
                drain(&mut reader, &mut items);
            }
            reader.finish();
            drain(&mut reader, &mut items);
            assert_eq!(items, expected, "{size}");
        }
        let mut reader = SseReader::default().with_split_documents();
        for piece in ["data:{}\ndata:{\"b\"", ":1}\nid:2", "\n"] {
            reader.push(Bytes::from_static(piece.as_bytes()));
        }
        reader.finish();
        let mut items = Vec::new();
        drain(&mut reader, &mut items);
        assert_eq!(items, [data("{}"), data("{\"b\":1}")]);
    }

    #[test]
    fn borrows_an_event_from_the_chunk_it_lies_in() {
        let chunk = Bytes::from_static(b"data: 1\n\nid: 7\nevent: x\ndata: 2\n: c\n\nstray\r\n");
        let inside = |bytes: &[u8]| chunk.as_ptr_range().contains(&bytes.as_ptr());
        let mut reader = SseReader::default();
        reader.push(chunk.clone());
        let mut count = 0;
        while let Some(item) = reader.next_item().unwrap() {
            count += 1;
            match item {
                SseItem::Event(SseEvent { name, id, data }) => {
                    assert!(inside(data) && name.is_none_or(inside) && id.is_none_or(inside));
                }
                SseItem::Comment(bytes) | SseItem::NonField(bytes) => assert!(inside(bytes)),
            }
        }
        assert_eq!(count, 4);
        assert_eq!(reader.carry.capacity() + reader.data.buffer.capacity(), 0, "nothing was copied");
    }

    #[test]
    fn lets_go_of_a_chunk_that_is_read() {
        let chunk = Bytes::from(vec![b'x'; 100]);
        let mut reader = SseReader::default();
        reader.push(chunk.clone());
        assert_eq!(reader.next_item(), Ok(None));
        assert!(chunk.is_unique());
    }

    #[test]
    fn reuses_its_buffers() {
        let stream = "id: 12345678\nevent: delta\ndata: 0123456789\ndata: abcdef\n\n".repeat(100);
        let capacities = |reader: &SseReader| {
            [&reader.carry, &reader.name.buffer, &reader.id.buffer, &reader.data.buffer].map(Vec::capacity)
        };
        let mut reader = SseReader::default();
        let mut sizes = Vec::new();
        for _ in 0..8 {
            for piece in stream.as_bytes().chunks(7) {
                reader.push(Bytes::copy_from_slice(piece));
                drain(&mut reader, &mut Vec::new());
            }
            sizes.push(capacities(&reader).iter().sum::<usize>());
        }
        assert!(sizes.iter().all(|&size| size == sizes[0] && size < 400), "{sizes:?}");
    }

    #[test]
    fn shows_no_content_in_debug() {
        let mut reader = SseReader::default();
        reader.push(Bytes::from_static(b"data: secret\ndata: sec"));
        assert!(!format!("{reader:?}").contains("secret"));
        assert_eq!(reader.next_item(), Ok(None));
        let shown = format!("{reader:?}");
        assert!(!shown.contains("sec") && !shown.contains("115"), "{shown}");
    }

    #[test]
    fn reads_a_line_of_9_mb_in_pieces_of_61_bytes_promptly() {
        let payload = vec![b'A'; 9_000_000];
        let stream = [b"data: ", &payload[..], b"\n\n"].concat();
        let mut reader = SseReader::default();
        let mut lengths = Vec::new();
        // Searching the carry again for each piece would take minutes.
        let start = Instant::now();
        for piece in stream.chunks(61) {
            reader.push(Bytes::copy_from_slice(piece));
            while let Some(item) = reader.next_item().unwrap() {
                let SseItem::Event(event) = item else { panic!("{item:?}") };
                assert!(event.data == payload);
                lengths.push(event.data.len());
            }
        }
        assert_eq!(lengths, [9_000_000]);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }

    struct XorShift(u64);

    impl XorShift {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }

        /// Cuts at random places; some pieces are empty.
        fn cut<'a>(&mut self, stream: &'a [u8]) -> Vec<&'a [u8]> {
            let longest = 2 + self.below(40);
            let mut pieces = Vec::new();
            let mut rest = stream;
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(self.below(longest).min(rest.len()));
                pieces.push(piece);
                rest = tail;
            }
            pieces
        }

        /// A stream of fragments that meet in unforeseen ways.
        fn stream(&mut self) -> Vec<u8> {
            const FRAGMENTS: [&str; 24] = [
                "\n",
                "\n",
                "\r",
                "\r\n",
                "\n\n",
                "data",
                "data:",
                "data: ",
                "data: a",
                "event: x",
                "event",
                "id: 1",
                "id",
                "retry: 1",
                ": c",
                ":",
                " ",
                "{\"a\":1}",
                "视觉",
                "\u{feff}",
                "\u{2028}",
                "\0",
                "\u{85}",
                "data: 0123456789",
            ];
            (0..self.below(40)).flat_map(|_| FRAGMENTS[self.below(FRAGMENTS.len())].bytes()).collect()
        }
    }

    const SAMPLES: [&str; 9] = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"你好\"}}]}\n\ndata: [DONE]\n\n",
        "\u{feff}id:1\r\nevent:result\r\n:HTTP_STATUS/200\r\ndata:{\"output\":\"图像\"}\r\n\r\nid:2\r\nevent:error\r\n\
         :HTTP_STATUS/429\r\ndata:{\"code\":\"Throttling\"}\r\n\r\n",
        "data: a\r\rdata: b\r\r: c\rdata: d\rdata: e\r\r",
        "data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\rdata: e\r\n\r",
        "data: a\n{\"error\":{\"code\":\"1301\",\"message\":\"内容\"}}\ndata: b\n\n{\"error\":1}",
        ": keep-alive\n\n: keep-alive\n\nevent: x\n\nretry: 10\ndata\n\ndata:\ndata: \n\nid\nevent\ndata:  a",
        "data: a\u{2028}b\u{85}c\n\ndatax\ndat\nid: 1\0\nid: 2\nevent: y\ndata: 🀄\n",
        "\u{feff}\u{feff}\n\r\n\r\r\n\n",
        "data: 0123456789\ndata: 0123456789\ndata: 0123456789012345678901234567890123456789012345678901234567890\n\n",
    ];

    fn assert_same_however_cut(stream: &[u8], random: &mut XorShift) {
        for limit in [DEFAULT_MAX_LINE, 20] {
            let whole = read(limit, [stream]);
            assert_eq!(read(limit, stream.chunks(1)), whole, "byte by byte: {}", text(stream));
            for position in 0..=stream.len() {
                let (head, tail) = stream.split_at(position);
                assert_eq!(read(limit, [head, tail]), whole, "cut at {position}: {}", text(stream));
            }
            for _ in 0..20 {
                let pieces = random.cut(stream);
                assert_eq!(
                    read(limit, pieces.iter().copied()),
                    whole,
                    "{:?}",
                    pieces.iter().map(|p| text(p))
                );
            }
        }
    }

    #[test]
    fn reads_the_same_items_however_samples_are_cut() {
        let mut random = XorShift(0x9E37_79B9_7F4A_7C15);
        for sample in SAMPLES {
            assert_same_however_cut(sample.as_bytes(), &mut random);
        }
    }

    #[test]
    fn reads_the_same_items_however_random_streams_are_cut() {
        let mut random = XorShift(0x2545_F491_4F6C_DD1D);
        for _ in 0..150 {
            let stream = random.stream();
            assert_same_however_cut(&stream, &mut random);
        }
    }

    /// The algorithm of the standard, written for shortness: split into lines first, then interpret.
    fn read_plainly(stream: &[u8]) -> Vec<Item> {
        let stream = stream.strip_prefix(BYTE_ORDER_MARK).unwrap_or(stream);
        let stream: Vec<u8> =
            String::from_utf8(stream.to_vec()).unwrap().replace("\r\n", "\n").replace('\r', "\n").into();
        let lines = stream.split(|&byte| byte == b'\n').chain([&b""[..]]);
        let (mut items, mut name, mut id, mut data) = (Vec::new(), None, None, Vec::new());
        for line in lines {
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
            let value = line.get(colon + 1..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &line[..colon] {
                b"" if line.is_empty() => {
                    let (name, id) = (name.take(), id.take());
                    if !data.is_empty() {
                        items.push(Item::Event { name, id, data: text(&mem::take(&mut data).join(&b'\n')) });
                    }
                }
                b"" => items.push(Item::Comment(text(value))),
                b"data" => data.push(value),
                b"event" => name = Some(text(value)).filter(|name| !name.is_empty()),
                b"id" if value.contains(&0) => {}
                b"id" => id = Some(text(value)),
                b"retry" => {}
                _ => items.push(Item::NonField(text(line))),
            }
        }
        items
    }

    #[test]
    fn agrees_with_a_plain_reading_of_the_standard() {
        let mut random = XorShift(0xD1B5_4A32_D192_ED03);
        let random_streams = (0..3000).map(|_| random.stream()).collect::<Vec<_>>();
        for stream in
            SAMPLES.iter().map(|sample| sample.as_bytes()).chain(random_streams.iter().map(Vec::as_slice))
        {
            assert_eq!(read(DEFAULT_MAX_LINE, [stream]), read_plainly(stream), "{}", text(stream));
        }
    }
}
