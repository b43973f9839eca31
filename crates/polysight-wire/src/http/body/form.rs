//! Writes the fields of a form around media that are not read yet.

use bytes::Bytes;
use http::HeaderValue;
use polysight_core::{Error, ErrorKind, MediaSource, Result};

use super::{Segment, WireBody};

/// Writes a `multipart/form-data` body, for the few uploads that vendors want besides chat.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_wire as wire; }
/// use polysight::MediaSource;
/// use polysight::wire::body::FormBody;
///
/// let mut form = FormBody::new();
/// form.text("key", "a/b.png");
/// form.file("file", "b.png", "image/png", &MediaSource::Bytes("picture".into()));
/// let (content_type, body) = form.finish().unwrap();
/// assert!(content_type.to_str().unwrap().starts_with("multipart/form-data; boundary="));
/// let bytes = body.to_vec().unwrap();
/// assert_eq!(bytes.len() as u64, body.len());
/// assert!(String::from_utf8(bytes).unwrap().contains("\r\n\r\npicture\r\n--"));
/// ```
#[derive(Debug)]
pub struct FormBody {
    boundary: String,
    text: Vec<u8>,
    segments: Vec<Segment>,
}

impl Default for FormBody {
    fn default() -> Self {
        Self::new()
    }
}

impl FormBody {
    /// A form without fields yet; its boundary is random, since the media are not searched for it.
    #[must_use]
    pub fn new() -> Self {
        let boundary = format!("polysight-{}", uuid::Uuid::new_v4().simple());
        Self { boundary, text: Vec::new(), segments: Vec::new() }
    }

    /// Adds a field of text.
    pub fn text(&mut self, name: &str, value: &str) {
        self.open(name, "");
        self.text.extend_from_slice(b"\r\n");
        self.text.extend_from_slice(value.as_bytes());
        self.text.extend_from_slice(b"\r\n");
    }

    /// Adds a file, which is read when it is sent. A medium behind a URL cannot be sent so.
    pub fn file(&mut self, name: &str, file_name: &str, media_type: &str, source: &MediaSource) {
        self.open(name, &format!("; filename=\"{}\"", quoted(file_name)));
        self.text.extend_from_slice(format!("Content-Type: {}\r\n\r\n", quoted(media_type)).as_bytes());
        self.segments.push(Segment::Text(Bytes::from(std::mem::take(&mut self.text))));
        self.segments.push(Segment::Raw(source.clone()));
        self.text.extend_from_slice(b"\r\n");
    }

    /// Gives the `Content-Type` and the body.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for a medium behind a URL.
    pub fn finish(mut self) -> Result<(HeaderValue, WireBody)> {
        let is_url = |segment: &Segment| matches!(segment, Segment::Raw(MediaSource::Url(_)));
        if self.segments.iter().any(is_url) {
            let message = "what is behind a URL cannot be uploaded: only files and bytes can";
            return Err(Error::new(ErrorKind::InvalidRequest, message));
        }
        self.text.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        self.segments.push(Segment::Text(Bytes::from(self.text)));
        let content_type = format!("multipart/form-data; boundary={}", self.boundary);
        let content_type = HeaderValue::try_from(content_type).map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, "the form has no usable type").with_source(error)
        })?;
        Ok((content_type, WireBody::new(self.segments)))
    }

    fn open(&mut self, name: &str, more: &str) {
        let name = quoted(name);
        let head =
            format!("--{}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n", self.boundary);
        self.text.extend_from_slice(head.as_bytes());
    }
}

/// A text as it may stand between quotes in a header of a part: what would end the quotes or the line is replaced.
fn quoted(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '"' | '\\') { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_its_quotes() {
        assert_eq!(quoted("a\"\r\nX: y\\.png"), "a___X: y_.png");
    }

    #[test]
    fn a_url_cannot_be_uploaded() {
        let mut form = FormBody::new();
        let url = MediaSource::Url("https://example.com/a.png".parse().unwrap());
        form.file("file", "a.png", "image/png", &url);
        assert_eq!(form.finish().unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
}
