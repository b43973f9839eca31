//! Media that came as base64 text and is kept as it came.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;

use super::unusable;
use crate::Result;

/// Base64 text (standard alphabet, padded) that has been checked once and is shared, not copied.
#[derive(Clone)]
pub struct Base64Text {
    text: Bytes,
    media_type: Option<String>,
}

impl std::fmt::Debug for Base64Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Base64Text({} characters)", self.text.len())
    }
}

impl Base64Text {
    /// Checks and keeps base64 text; white space (wrapped lines) is removed and missing padding added.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the text is empty, is not base64, or is URL-safe base64.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        Self::checked(Bytes::from(text.into()), None)
    }

    /// The same of text that stands in a larger buffer, such as the body of a request: it is shared, not copied.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_shared(text: Bytes) -> Result<Self> {
        Self::checked(text, None)
    }

    /// Checks and keeps the base64 text of a data URI, sharing the URI's memory.
    ///
    /// White space around the URI and its parts, further parameters, and percent-encoding are understood.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`](crate::ErrorKind::InvalidMedia) when the URI has no `;base64,` or what follows is not base64.
    pub fn from_data_uri(uri: impl Into<String>) -> Result<Self> {
        Self::from_shared_data_uri(Bytes::from(uri.into()))
    }

    /// The same of a URI that stands in a larger buffer, such as the body of a request: it is shared, not copied.
    ///
    /// # Errors
    /// As [`from_data_uri`](Self::from_data_uri).
    pub fn from_shared_data_uri(mut uri: Bytes) -> Result<Self> {
        if uri.contains(&b'%') {
            uri = percent_encoding::percent_decode(&uri).collect::<Vec<u8>>().into();
        }
        let (media_type, body_at) = head(&uri)?;
        Self::checked(uri.slice(body_at..), Some(media_type))
    }

    fn checked(text: Bytes, media_type: Option<String>) -> Result<Self> {
        let is_plain = base64_simd::STANDARD.check(&text).is_ok();
        let text = if is_plain { text } else { normalise(&text)? };
        if text.is_empty() {
            return Err(unusable("base64 text", "it is empty"));
        }
        Ok(Self { text, media_type })
    }

    /// The text itself: standard alphabet, padded.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The media type that a data URI declared (`image/png`); `None` for bare base64.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// True when the text came in a data URI.
    #[must_use]
    pub fn is_data_uri(&self) -> bool {
        self.media_type.is_some()
    }

    /// Length of what the text encodes, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> u64 {
        let padding = self.text.iter().rev().take_while(|byte| **byte == b'=').count();
        (self.text.len() / 4 * 3 - padding) as u64
    }

    /// Reads what the text encodes, decoding only what is asked for.
    #[must_use]
    pub fn reader(&self) -> impl Read + Seek + Send + use<> {
        Base64Reader { text: self.text.clone(), len: self.byte_len(), at: 0 }
    }
}

/// The media type of a data URI, and where its base64 begins: behind the first comma before which `base64` stands, since a
/// parameter such as a file's name may hold commas too.
fn head(uri: &[u8]) -> Result<(String, usize)> {
    /// Longest head, in bytes.
    const MAX_HEAD: usize = 8 << 10;
    /// Most commas in a head.
    const MAX_COMMAS: usize = 32;
    let commas = uri.iter().take(MAX_HEAD).enumerate().filter(|(_, byte)| **byte == b',');
    let mut problem = "there is no comma after its type";
    for (comma, _) in commas.take(MAX_COMMAS) {
        let head = String::from_utf8_lossy(uri.get(..comma).unwrap_or_default()).to_ascii_lowercase();
        let Some(declared) = super::trim(&head).strip_prefix(super::DATA) else {
            return Err(unusable("data URI", "it does not start with data:"));
        };
        let mut parts = declared.split(';').map(str::trim);
        if parts.clone().any(|part| part == "base64") {
            let media_type = parts.next().filter(|part| part.contains('/')).unwrap_or_default();
            return Ok((media_type.to_owned(), comma + 1));
        }
        problem = "only base64 is supported: its head must end in ;base64";
    }
    Err(unusable("data URI", problem))
}

/// Brings wrapped or unpadded base64 into the one form that every vendor takes.
fn normalise(text: &[u8]) -> Result<Bytes> {
    if !is_wrapped(text) {
        return Err(unusable(
            "base64 text",
            "there are spaces inside it: each + may have become a space on its way (write %2B for + in a link)",
        ));
    }
    let mut plain: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if plain.len() % 4 != 1 && !plain.contains(&b'=') {
        while !plain.len().is_multiple_of(4) {
            plain.push(b'=');
        }
    }
    if base64_simd::STANDARD.check(&plain).is_ok() {
        return Ok(Bytes::from(plain));
    }
    let problem = match plain.iter().position(|byte| !is_standard(*byte)) {
        Some(position) if matches!(plain.get(position), Some(b'-' | b'_')) => {
            "it is URL-safe base64 (it holds - or _); vendors take the standard alphabet".to_owned()
        }
        Some(position) => format!("the character at position {position} is not of the base64 alphabet"),
        None => "its length or padding is wrong: it may be cut off".to_owned(),
    };
    Err(unusable("base64 text", problem))
}

/// Says whether white space in base64 text only parts it into lines: there are line breaks, or short lines of one length.
fn is_wrapped(text: &[u8]) -> bool {
    /// Longest line that programs make (76 in mail), and some more.
    const MAX_LINE: usize = 128;
    let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    if !lines.any(|line| line.iter().any(u8::is_ascii_whitespace)) {
        return true;
    }
    let mut pieces = text.split(u8::is_ascii_whitespace).filter(|piece| !piece.is_empty()).map(<[u8]>::len);
    let first = pieces.next().unwrap_or_default();
    let mut last = None;
    let all_alike = pieces.all(|length| last.replace(length).is_none_or(|before| before == first));
    all_alike && first <= MAX_LINE && first % 4 == 0 && last.is_none_or(|last| last <= first)
}

fn is_standard(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Decodes base64 in place, at any position, so that probing reads a header and no more.
struct Base64Reader {
    text: Bytes,
    len: u64,
    at: u64,
}

impl Read for Base64Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        /// 1,024 groups of 3 bytes.
        const BLOCK: usize = 4_096;
        let wanted = (buffer.len() / 3 + 2).saturating_mul(4).min(BLOCK);
        let first_group = usize::try_from(self.at / 3).map_err(io::Error::other)?;
        let start = first_group.saturating_mul(4).min(self.text.len());
        let end = start.saturating_add(wanted).min(self.text.len());
        let encoded = self.text.get(start..end).unwrap_or_default();
        let decoded = base64_simd::STANDARD.decode_to_vec(encoded).map_err(io::Error::other)?;
        let skip = usize::try_from(self.at % 3).unwrap_or_default();
        let available = decoded.get(skip..).unwrap_or_default();
        let count = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Base64Reader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let target = match position {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_from_any_position() {
        let data: Vec<u8> = (0..10_000u32).map(|n| (n % 251) as u8).collect();
        let text = Base64Text::new(base64_simd::STANDARD.encode_to_string(&data)).unwrap();
        assert_eq!(text.byte_len(), 10_000);
        for at in [0usize, 1, 2, 3, 4_095, 4_096, 9_998, 10_000, 20_000] {
            let mut reader = text.reader();
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, data.get(at..).unwrap_or_default(), "from {at}");
        }
    }

    #[test]
    fn text_in_a_larger_buffer_is_not_copied() {
        let body = Bytes::from_static(b"{\"url\": \"data:image/png;base64,aGVsbG8=\"}");
        let uri = Base64Text::from_shared_data_uri(body.slice(9..39)).unwrap();
        let text = Base64Text::from_shared(body.slice(31..39)).unwrap();
        assert_eq!((uri.text(), text.text()), (&body.slice(31..39), &body.slice(31..39)));
        assert_eq!((uri.text().as_ptr(), text.text().as_ptr()), (body[31..].as_ptr(), body[31..].as_ptr()));
        assert!(Base64Text::from_shared(body.slice(0..39)).is_err());
    }

    #[test]
    fn wrapped_and_unpadded_text_is_brought_into_form() {
        assert_eq!(Base64Text::new("aGVs\r\nbG8").unwrap().text(), "aGVsbG8=");
        assert_eq!(Base64Text::new("aGVsbG8=\n").unwrap().byte_len(), 5);
    }

    #[test]
    fn says_what_is_wrong_with_other_text() {
        let problem = |text: &str| Base64Text::new(text).err().unwrap().to_string();
        assert!(problem("").contains("empty"));
        assert!(problem("aGVs*G8=").contains("position 4"));
        assert!(problem("aGV-bG8=").contains("URL-safe"));
        assert!(problem("aGVsb").contains("cut off"));
    }

    #[test]
    fn a_data_uri_shares_its_memory() {
        let uri = String::from("data:image/PNG;charset=x;base64,aGVsbG8=");
        let start = uri.as_ptr();
        let text = Base64Text::from_data_uri(uri).unwrap();
        assert_eq!(text.media_type(), Some("image/png"));
        assert_eq!(text.text().as_ptr() as usize - start as usize, 32);
        assert!(Base64Text::from_data_uri("data:image/png,plain").is_err());
        assert!(Base64Text::from_data_uri("image/png;base64,aGVs").is_err());
    }
}
