//! Writes JSON text around media that are not read yet.

use bytes::Bytes;
use polysight_core::{Error, ErrorKind, MediaSource, Result};
use serde::Serialize;

use super::{Segment, WireBody};

/// Writes one JSON object into a [`WireBody`].
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_wire as wire; }
/// use polysight::wire::JsonBody;
///
/// let body = JsonBody::object(|root| {
///     root.field("model", "glm-4.6v");
///     root.array("messages", |messages| messages.object(|message| message.field("role", "user")));
/// })
/// .unwrap();
/// assert_eq!(body.to_vec().unwrap(), br#"{"model":"glm-4.6v","messages":[{"role":"user"}]}"#);
/// ```
#[derive(Debug, Default)]
pub struct JsonBody {
    text: Vec<u8>,
    segments: Vec<Segment>,
    failure: Option<serde_json::Error>,
}

impl JsonBody {
    /// Writes an object whose fields `write` adds.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] when a value cannot be written as JSON, such as a map whose keys are no strings.
    pub fn object(write: impl FnOnce(&mut Object<'_>)) -> Result<WireBody> {
        let mut body = Self { text: Vec::with_capacity(512), ..Self::default() };
        body.braces(write);
        body.finish()
    }

    fn finish(mut self) -> Result<WireBody> {
        if let Some(error) = self.failure {
            return Err(
                Error::new(ErrorKind::InvalidRequest, "a value of the request is no JSON").with_source(error)
            );
        }
        if !self.text.is_empty() {
            self.segments.push(Segment::Text(Bytes::from(self.text)));
        }
        Ok(WireBody::new(self.segments))
    }

    fn braces(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.text.push(b'{');
        write(&mut Object { body: self, first: true });
        self.text.push(b'}');
    }

    fn brackets(&mut self, write: impl FnOnce(&mut Array<'_>)) {
        self.text.push(b'[');
        write(&mut Array { body: self, first: true });
        self.text.push(b']');
    }

    fn comma(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.text.push(b',');
        }
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        if let Err(error) = serde_json::to_writer(&mut self.text, value) {
            self.failure.get_or_insert(error);
        }
    }

    /// A JSON string of `prefix` and the base64 of media, with commas between them. None of it needs escaping.
    fn base64(&mut self, prefix: &str, sources: &[&MediaSource]) {
        self.text.push(b'"');
        self.text.extend_from_slice(prefix.as_bytes());
        for (index, source) in sources.iter().enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            self.medium(source);
        }
        self.text.push(b'"');
    }

    fn medium(&mut self, source: &MediaSource) {
        let text = std::mem::take(&mut self.text);
        self.segments.push(Segment::Text(Bytes::from(text)));
        self.segments.push(match source {
            MediaSource::Base64(text) => Segment::Text(text.text().clone()),
            source => Segment::Base64(source.clone()),
        });
    }
}

/// The fields of a JSON object that is being written.
#[derive(Debug)]
pub struct Object<'a> {
    body: &'a mut JsonBody,
    first: bool,
}

impl Object<'_> {
    fn key(&mut self, key: &str) -> &mut JsonBody {
        self.body.comma(&mut self.first);
        if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            // The names of protocols hold nothing to escape.
            self.body.text.push(b'"');
            self.body.text.extend_from_slice(key.as_bytes());
            self.body.text.push(b'"');
        } else {
            self.body.value(key);
        }
        self.body.text.push(b':');
        self.body
    }

    /// Adds a field.
    pub fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        self.key(key).value(value);
    }

    /// Adds a field if it has a value.
    pub fn optional<T: Serialize>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.field(key, &value);
        }
    }

    /// Adds an object.
    pub fn object(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.key(key).braces(write);
    }

    /// Adds an array.
    pub fn array(&mut self, key: &str, write: impl FnOnce(&mut Array<'_>)) {
        self.key(key).brackets(write);
    }

    /// Adds a string made of a prefix and the base64 of a medium, which is read when it is sent.
    ///
    /// `prefix` must hold nothing that JSON would escape: a data URI's head, or nothing.
    pub fn base64(&mut self, key: &str, prefix: &str, source: &MediaSource) {
        self.key(key).base64(prefix, &[source]);
    }

    /// Adds a string made of a prefix and the base64 of several media with commas between them; see
    /// [`base64`](Self::base64).
    pub fn base64_list(&mut self, key: &str, prefix: &str, sources: &[&MediaSource]) {
        self.key(key).base64(prefix, sources);
    }
}

/// The elements of a JSON array that is being written.
#[derive(Debug)]
pub struct Array<'a> {
    body: &'a mut JsonBody,
    first: bool,
}

impl Array<'_> {
    fn next(&mut self) -> &mut JsonBody {
        self.body.comma(&mut self.first);
        self.body
    }

    /// Adds a value.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.next().value(value);
    }

    /// Adds an object.
    pub fn object(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.next().braces(write);
    }

    /// Adds a string made of a prefix and the base64 of a medium; see [`Object::base64`].
    pub fn base64(&mut self, prefix: &str, source: &MediaSource) {
        self.next().base64(prefix, &[source]);
    }
}
