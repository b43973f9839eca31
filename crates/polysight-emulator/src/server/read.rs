//! Reading HTTP/1.1 requests.
//!
//! Written by hand rather than taken from a library because the other half, the replies, must be able to break every rule of
//! HTTP. What is read is bounded: 64 KB of head, 256 MB of body, 1 GB of all bodies together, and a minute
//! without progress.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use tokio::time::timeout;

use crate::http::{BodyLength, Head, Headers};
use crate::state::body_memory::HeldBytes;

const MAX_HEAD: usize = 64 * 1024;
const MAX_CHUNK_LINE: usize = 4096;
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const READ_AHEAD: usize = 64 * 1024;

/// Why a request could not be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The client is gone, or too slow.
    Gone,
    /// The request is not HTTP as understood here; status to answer with.
    Bad(u16),
    /// The body is longer than this.
    TooLarge(u64),
    /// All bodies together are too large.
    OutOfMemory,
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads the next head; `None` where the client has closed the connection between requests.
pub(crate) async fn read_head<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<Option<Head>, ReadError> {
    let mut budget = MAX_HEAD;
    let mut line = String::new();
    // A client may send empty lines before the request line (RFC 9112, 2.2).
    while line.is_empty() {
        match read_line(reader, &mut budget).await? {
            Some(text) => line = text,
            None => return Ok(None),
        }
    }
    let (method, target, minor) = request_line(&line).ok_or(ReadError::Bad(400))?;
    let mut headers = Headers::default();
    loop {
        let line = read_line(reader, &mut budget).await?.ok_or(ReadError::Gone)?;
        if line.is_empty() {
            break;
        }
        headers.0.push(header(&line).ok_or(ReadError::Bad(400))?);
    }
    let body = body_length(&headers)?;
    let keep_alive = minor > 0 && !headers.has_token("connection", "close");
    let (path, query) = split_target(&target);
    Ok(Some(Head { method, path, query, headers, keep_alive, body }))
}

fn request_line(line: &str) -> Option<(String, String, u8)> {
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let minor = match version {
        "HTTP/1.1" => 1,
        "HTTP/1.0" => 0,
        _ => return None,
    };
    let well_formed = words.next().is_none() && is_token(method) && !target.is_empty();
    well_formed.then(|| (method.to_owned(), target.to_owned(), minor))
}

/// Path and query of a target in origin form (`/v1?a=b`) or absolute form (`http://host/v1`).
fn split_target(target: &str) -> (String, String) {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/")
        }
        _ => target,
    };
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    (path.to_owned(), query.to_owned())
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    is_token(name).then(|| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn body_length(headers: &Headers) -> Result<BodyLength, ReadError> {
    let mut lengths = headers.all("content-length");
    match (headers.get("transfer-encoding"), lengths.next()) {
        (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Ok(BodyLength::Chunked),
        (Some(_), None) => Err(ReadError::Bad(501)),
        (Some(_), Some(_)) => Err(ReadError::Bad(400)),
        (None, None) => Ok(BodyLength::Exact(0)),
        (None, Some(first)) if lengths.all(|other| other == first) => {
            let digits = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
            let length = first.parse::<u64>().ok().filter(|_| digits).ok_or(ReadError::Bad(400))?;
            Ok(BodyLength::Exact(length))
        }
        (None, Some(_)) => Err(ReadError::Bad(400)),
    }
}

/// Reads a whole body, of at most `most` bytes where its length is not given.
pub(crate) async fn read_body<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    length: BodyLength,
    most: u64,
    held: &mut HeldBytes,
) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    match length {
        BodyLength::Exact(length) => read_exactly(reader, &mut body, length, held).await?,
        BodyLength::Chunked => read_chunks(reader, &mut body, most, held).await?,
    }
    Ok(body)
}

/// Reads `length` bytes to the end of `body`.
pub(crate) async fn read_exactly<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    body: &mut Vec<u8>,
    length: u64,
    held: &mut HeldBytes,
) -> Result<(), ReadError> {
    let mut missing = length;
    while missing > 0 {
        // The length is only a promise: memory is taken as the bytes arrive.
        body.reserve(READ_AHEAD.min(usize::try_from(missing).unwrap_or(READ_AHEAD)));
        let read = with_timeout((&mut *reader).take(missing).read_buf(body)).await?;
        if read == 0 {
            return Err(ReadError::Gone);
        }
        if !held.grow(read as u64) {
            return Err(ReadError::OutOfMemory);
        }
        missing -= read as u64;
    }
    Ok(())
}

async fn read_chunks<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    body: &mut Vec<u8>,
    most: u64,
    held: &mut HeldBytes,
) -> Result<(), ReadError> {
    loop {
        let line = read_short_line(reader).await?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| ReadError::Bad(400))?;
        if size.saturating_add(body.len() as u64) > most {
            return Err(ReadError::TooLarge(most));
        }
        if size == 0 {
            break;
        }
        read_exactly(reader, body, size, held).await?;
        if !read_short_line(reader).await?.is_empty() {
            return Err(ReadError::Bad(400));
        }
    }
    let mut budget = MAX_HEAD;
    while !read_line(reader, &mut budget).await?.ok_or(ReadError::Gone)?.is_empty() {}
    Ok(())
}

/// A line of the chunked coding, on a budget of its own.
async fn read_short_line<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<String, ReadError> {
    let mut budget = MAX_CHUNK_LINE;
    read_line(reader, &mut budget).await?.ok_or(ReadError::Gone)
}

/// One line without its end, out of a budget of bytes; `None` at the end of the connection.
async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    budget: &mut usize,
) -> Result<Option<String>, ReadError> {
    let mut line = Vec::new();
    let limit = *budget as u64 + 1;
    let read = with_timeout((&mut *reader).take(limit).read_until(b'\n', &mut line)).await?;
    if read == 0 {
        return Ok(None);
    }
    if read > *budget {
        return Err(ReadError::Bad(431));
    }
    *budget -= read;
    if line.pop() != Some(b'\n') {
        return Err(ReadError::Gone);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

async fn with_timeout<T>(action: impl Future<Output = io::Result<T>>) -> Result<T, ReadError> {
    Ok(timeout(READ_TIMEOUT, action).await.map_err(|_| ReadError::Gone)??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::body_memory::{BodyMemory, MAX_BYTES};

    async fn read(text: &str) -> Result<Option<(Head, Vec<u8>)>, ReadError> {
        let mut reader = text.as_bytes();
        let Some(head) = read_head(&mut reader).await? else { return Ok(None) };
        let body = read_body(&mut reader, head.body, 100, &mut BodyMemory::default().hold()).await?;
        Ok(Some((head, body)))
    }

    #[tokio::test]
    async fn reads_bodies_of_known_and_unknown_length() {
        let (head, body) = read("POST /v1/x?y=z HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
            .await
            .unwrap()
            .unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str(), head.keep_alive), ("POST", "/v1/x", true));
        assert_eq!(head.query, "y=z");
        assert_eq!(body, b"hello");
        let chunked = "POST http://h:1/p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n";
        let (head, body) = read(chunked).await.unwrap().unwrap();
        assert_eq!((head.path.as_str(), body.as_slice()), ("/p", b"hello".as_slice()));
    }

    #[tokio::test]
    async fn refuses_what_can_be_read_two_ways() {
        for (text, status) in [
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nBad Name: x\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nA: x\r\n folded\r\n\r\n", 400),
            ("GET / HTTP/2\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ] {
            assert!(matches!(read(text).await, Err(ReadError::Bad(got)) if got == status), "{text}");
        }
    }

    #[tokio::test]
    async fn bounds_a_body_of_unknown_length() {
        let text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n";
        assert!(matches!(read(text).await, Err(ReadError::TooLarge(100))));
    }

    #[tokio::test]
    async fn bounds_all_bodies_together() {
        let memory = BodyMemory::default();
        let mut others = memory.hold();
        assert!(others.grow(MAX_BYTES - 4));
        for length in [BodyLength::Exact(5), BodyLength::Chunked] {
            let mut body: &[u8] =
                if length == BodyLength::Chunked { b"5\r\nhello\r\n0\r\n\r\n" } else { b"hello" };
            let refused = read_body(&mut body, length, 100, &mut memory.hold()).await;
            assert!(matches!(refused, Err(ReadError::OutOfMemory)), "{length:?}");
        }
        drop(others);
        let body = read_body(&mut &b"hello"[..], BodyLength::Exact(5), 100, &mut memory.hold()).await;
        assert_eq!(body.unwrap(), b"hello");
    }

    #[tokio::test]
    async fn bounds_the_head() {
        let text = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(MAX_HEAD));
        assert!(matches!(read(&text).await, Err(ReadError::Bad(431))));
    }

    #[tokio::test]
    async fn tells_an_idle_close_from_a_broken_request() {
        assert!(read("").await.unwrap().is_none());
        assert!(matches!(read("GET / HT").await, Err(ReadError::Gone)));
        assert!(matches!(
            read("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort").await,
            Err(ReadError::Gone)
        ));
    }
}
