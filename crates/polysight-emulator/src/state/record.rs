//! What the emulator remembers of requests, for tests to look at.

use std::time::Instant;

use serde_json::Value;

use crate::auth::bare;
use crate::http::Head;
use crate::media::{Content, Medium, hex_digest};
use crate::request_body::RequestBody;

/// A request that arrived. Neither keys nor media bytes are kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// When the body had been read.
    pub received: Instant,
    /// `POST`, `GET`, ...
    pub method: String,
    /// Path without query.
    pub path: String,
    /// What follows the `?`, as it was sent.
    pub query: String,
    /// Headers in order of arrival, names in lower case. Credentials are replaced by `Bearer sha256:...`.
    pub headers: Vec<(String, String)>,
    /// Length of the body in bytes, as far as it was read.
    pub body_bytes: usize,
    /// The body, where it is JSON. Media stand in it as `sha256:... N bytes`.
    pub body: Option<Value>,
    /// Inline media in order of arrival; of a form, its file.
    pub media: Vec<RecordedMedia>,
}

/// Inline media of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedMedia {
    /// SHA-256 of the decoded bytes, lower-case hex.
    pub sha256: String,
    /// Decoded length in bytes.
    pub bytes: usize,
    /// `PNG`, `JPEG`, `WebP`, `GIF`, `BMP`, `TIFF`, `HEIC`, `MP4`, `MOV`, `Matroska`, `WebM`, `AVI`; `None` for other bytes.
    pub format: Option<&'static str>,
    /// Pixels; `None` for what is not a picture.
    pub width: Option<u32>,
    /// Pixels; `None` for what is not a picture.
    pub height: Option<u32>,
    /// Duration of a video in seconds, where known.
    pub seconds: Option<f64>,
}

impl RecordedRequest {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn new(head: &Head, body_bytes: usize, body: &RequestBody) -> Self {
        Self {
            received: Instant::now(),
            method: head.method.clone(),
            path: head.path.clone(),
            query: head.query.clone(),
            headers: head
                .headers
                .0
                .iter()
                .map(|(name, value)| (name.clone(), redacted(name, value)))
                .collect(),
            body_bytes,
            body: body.json.as_ref().map(|json| json.to_value(&body.media)),
            media: body.media.iter().map(RecordedMedia::new).collect(),
        }
    }
}

impl RecordedMedia {
    fn new(medium: &Medium) -> Self {
        let (picture, video) = (medium.picture(), medium.video());
        Self {
            sha256: medium.sha256.clone(),
            bytes: medium.bytes,
            format: match &medium.content {
                Content::Picture(picture) => Some(picture.format),
                Content::Video(video) => Some(video.format),
                Content::Unknown => None,
            },
            width: picture.map(|picture| picture.width),
            height: picture.map(|picture| picture.height),
            seconds: video.and_then(|video| video.seconds),
        }
    }
}

/// A header without secrets: a credential is kept as scheme and digest, so that two can be compared.
fn redacted(name: &str, value: &str) -> String {
    const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "x-api-key", "cookie"];
    if !SECRET.contains(&name) {
        return value.to_owned();
    }
    let credential = bare(value);
    let scheme = value.strip_suffix(credential).unwrap_or_default().trim();
    let digest = format!("sha256:{}", hex_digest(credential.as_bytes()));
    if scheme.is_empty() { digest } else { format!("{scheme} {digest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_credentials() {
        let digest = hex_digest(b"id.secret");
        assert_eq!(redacted("authorization", "Bearer id.secret"), format!("Bearer sha256:{digest}"));
        assert_eq!(redacted("authorization", "id.secret"), format!("sha256:{digest}"));
        assert_eq!(redacted("accept", "Bearer id.secret"), "Bearer id.secret");
    }
}
