//! The page to compare models: files inside the program.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::Body;

/// A file: its path, and its bytes.
type Asset = (&'static str, &'static [u8]);

/// The files of these names in `page`.
macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$((concat!("/", $name), include_bytes!(concat!("../../page/", $name)))),*]
    };
}

/// Every file that is served; nothing else can be reached, whatever a path says.
const ASSETS: &[Asset] = assets![
    "answer.js",
    "api.js",
    "app.js",
    "boxes-view.js",
    "boxes.js",
    "card.js",
    "comparison.js",
    "dom.js",
    "events.js",
    "failure.js",
    "favicon.svg",
    "history-view.js",
    "history.js",
    "i18n.js",
    "index.html",
    "markdown.js",
    "media.js",
    "preview.js",
    "roles.js",
    "storage.js",
    "strings.js",
    "style.css",
    "theme.js",
];

/// No other host, no script or style in the page itself; pictures also from memory, to be shown before they are sent.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data: blob:; media-src 'self' data: blob:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The file at a path, if there is one.
pub(crate) fn asset(path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let path = if path == "/" { "/index.html" } else { path };
    let (_, bytes) = ASSETS.iter().find(|(name, _)| *name == path)?;
    let tag = etag(bytes);
    let is_same = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = Response::new(Body::from(if is_same { &b""[..] } else { bytes }));
    if is_same {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let reply = response.headers_mut();
    reply.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    reply.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    reply.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply.extend(HeaderValue::from_str(&tag).ok().map(|tag| (ETAG, tag)));
    Some(response)
}

/// The beginning of the content's SHA-256.
fn etag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        for file in std::fs::read_dir(folder).unwrap() {
            let name = format!("/{}", file.unwrap().file_name().to_str().unwrap());
            assert!(ASSETS.iter().any(|(asset, _)| *asset == name), "{name}");
            assert_ne!(content_type(&name), "application/octet-stream", "{name}");
        }
    }
}
