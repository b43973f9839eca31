//! Reads server-sent events from the bytes of a response body, however the network has cut them.
//!
//! The reader follows the [WHATWG algorithm](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)
//! and departs from it where a client of a model API needs more than a browser does:
//!
//! * comments and lines that are no field are handed out, since vendors put states and errors there;
//! * the last event of a body counts even when its blank line is missing;
//! * an `id` belongs to its own event and is not carried over to later ones, since no stream is ever resumed;
//! * `retry` is ignored, for the same reason;
//! * text is not decoded: UTF-8 is checked where the data is parsed.
//!
//! Each byte is searched once. An event whose bytes lie in one chunk and whose data is one line is borrowed from that
//! chunk; what outlives its chunk is kept in buffers that are reused.
//!
//! ```
//! # mod polysight { pub use polysight_core::*; pub use polysight_wire as wire; }
//! use bytes::Bytes;
//! use polysight::wire::sse::{SseItem, SseReader};
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

/// Shows sizes only: the bytes are a conversation.
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
mod tests;
