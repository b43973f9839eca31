//! The body of a request: held once, within bounds of size, time and memory.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::refusal::Refusal;
use crate::settings::Settings;

/// So many bytes count as one permit.
pub(crate) const UNIT: u64 = 1_024;

/// The permits for so many bytes.
pub(crate) fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

/// What a body of unknown length is given room for at first: most are smaller.
const FIRST: u64 = 1 << 20;

/// A body and the room that it takes, which is given back when the last slice of it is dropped.
struct Held {
    bytes: Vec<u8>,
    _room: Vec<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body whole.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    settings: &Settings,
    room: &Arc<Semaphore>,
) -> Result<Bytes, Refusal> {
    if headers.contains_key(CONTENT_ENCODING) {
        let message = "the body is compressed: send it without content-encoding";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message));
    }
    let known = body.size_hint().exact();
    if known.is_some_and(|length| length > settings.max_body) {
        if !headers.contains_key(EXPECT) {
            discard(&mut body).await;
        }
        return Err(too_large(settings.max_body));
    }
    let mut reserved = known.unwrap_or(FIRST.min(settings.max_body));
    let mut held = Held { _room: vec![acquire(room, reserved, settings.max_wait).await?], bytes: Vec::new() };
    held.bytes.reserve_exact(usize::try_from(known.unwrap_or_default()).unwrap_or_default());
    let deadline = Instant::now() + whole_time(settings, reserved);
    while let Some(piece) = piece(&mut body, settings.body_timeout, deadline).await? {
        let length = (held.bytes.len() + piece.len()) as u64;
        if length > settings.max_body {
            drop(held);
            discard(&mut body).await;
            return Err(too_large(settings.max_body));
        }
        if length > reserved {
            held._room.push(acquire(room, settings.max_body - reserved, settings.max_wait).await?);
            reserved = settings.max_body;
        }
        held.bytes.extend_from_slice(&piece);
    }
    unescape_slashes(&mut held.bytes);
    held.bytes.shrink_to_fit();
    Ok(Bytes::from_owner(held))
}

/// The time for a whole body: the slowest line that is waited for carries 64 KiB in each body timeout.
fn whole_time(settings: &Settings, bytes: u64) -> Duration {
    let pieces = u32::try_from(bytes.div_ceil(64 << 10)).unwrap_or(u32::MAX).max(1);
    settings.body_timeout.saturating_mul(pieces)
}

async fn piece(body: &mut Incoming, pause: Duration, deadline: Instant) -> Result<Option<Bytes>, Refusal> {
    let slow = |_| {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the rest of the body did not come in time")
    };
    let until = deadline.min(Instant::now() + pause);
    let next = timeout_at(until, frame(body)).await.map_err(slow)?;
    next.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "body_incomplete", "the body broke off"))
}

/// The next piece of data; trailers are passed over.
async fn frame(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    loop {
        let next = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
        match next.transpose()?.map(http_body::Frame::into_data) {
            None => return Ok(None),
            Some(Ok(data)) => return Ok(Some(data)),
            Some(Err(_)) => {}
        }
    }
}

async fn acquire(room: &Arc<Semaphore>, bytes: u64, wait: Duration) -> Result<OwnedSemaphorePermit, Refusal> {
    let permit = timeout(wait, Arc::clone(room).acquire_many_owned(units(bytes))).await;
    permit.ok().and_then(Result::ok).ok_or_else(|| {
        let message = "too many large requests are on their way: send the request again later";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no_room", message).with_retry(Duration::from_secs(2))
    })
}

fn too_large(limit: u64) -> Refusal {
    let message = format!("the body is larger than {limit} bytes: send smaller pictures, or links to them");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

/// Takes off the backslash that some programs (PHP's and others) put before each slash of a JSON text: base64 is full of them,
/// and a text without escapes is not copied. A backslash stands inside of texts alone, and pairs are passed over.
fn unescape_slashes(body: &mut Vec<u8>) {
    if memchr::memmem::find(body, b"\\/").is_none() {
        return;
    }
    let (mut from, mut to) = (0, 0);
    while let Some(offset) = body.get(from..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let at = from + offset;
        let is_slash = body.get(at + 1) == Some(&b'/');
        let end = if is_slash { at } else { (at + 2).min(body.len()) };
        body.copy_within(from..end, to);
        to += end - from;
        from = if is_slash { at + 1 } else { end };
    }
    body.copy_within(from.., to);
    body.truncate(to + body.len() - from);
}

/// Reads on for a moment without keeping anything: many clients look for a reply only when they have sent everything.
async fn discard(body: &mut Incoming) {
    const MOMENT: Duration = Duration::from_secs(2);
    let until = Instant::now() + MOMENT;
    while let Ok(Ok(Some(_))) = timeout_at(until, frame(body)).await {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_lose_their_backslash_and_nothing_else_changes() {
        for (escaped, plain) in [
            (r#"{"a":"x\/y\/"}"#, r#"{"a":"x/y/"}"#),
            (r#"{"a":"\\/","b":"\\\/"}"#, r#"{"a":"\\/","b":"\\/"}"#),
            (r#"{"a":"\n\"\/\""}"#, r#"{"a":"\n\"/\""}"#),
            (r#"{"a":"/"}"#, r#"{"a":"/"}"#),
            (r"\/\", r"/\"),
            (r"\/", "/"),
        ] {
            let mut body = escaped.as_bytes().to_vec();
            unescape_slashes(&mut body);
            assert_eq!(String::from_utf8(body).unwrap(), plain, "{escaped}");
        }
    }

    #[test]
    fn time_grows_with_the_body() {
        let settings = Settings::default();
        assert_eq!(whole_time(&settings, 10), settings.body_timeout);
        assert_eq!(whole_time(&settings, 1 << 20), settings.body_timeout * 16);
        assert_eq!((units(1), units(1_025), units(u64::MAX)), (1, 2, u32::MAX));
    }
}
