//! What media are called in errors and logs: short, and without what may be secret or is the medium itself.

use std::io::Cursor;
use std::path::Path;

use super::{probe, trim};
use crate::redact;

/// Longest name that is shown whole, in characters.
const MAX_NAME: usize = 120;
/// Longest file name that is shown of a longer path, in characters.
const MAX_FILE_NAME: usize = 80;
/// So much is shown of what is neither, in characters.
const MAX_START: usize = 16;

pub(super) fn of_path(path: &Path) -> String {
    shown(&path.display().to_string())
}

/// Makes a name that somebody gave (a path, a link, a model, a word of a config file) fit for an error: without query and
/// password, at most 120 characters long, and of a medium in its place only the beginning.
///
/// ```
/// # use polysight_core as polysight;
/// assert_eq!(polysight::redact_name("cdn.example/a.jpg?Signature=abc"), "cdn.example/a.jpg?..");
/// assert_eq!(polysight::redact_name(&"x".repeat(5_000)), "xxxxxxxxxxxxxxxx.. (5000 characters)");
/// ```
#[must_use]
pub fn redact_name(text: &str) -> String {
    shown(text)
}

pub(super) fn shown(text: &str) -> String {
    let text = trim(text);
    let length = text.chars().count();
    if !is_base64_medium(text) {
        let bare = without_secrets(text);
        if bare.chars().count() <= MAX_NAME {
            return redact(&bare);
        }
        let last = bare.rsplit(['/', '\\']).next().unwrap_or_default();
        if last.contains('.') && last.chars().count() <= MAX_FILE_NAME {
            return redact(&format!("../{last}"));
        }
    }
    let start: String = text.chars().take(MAX_START).collect();
    redact(&format!("{start}.. ({length} characters)"))
}

/// Leaves out the query of a link, and user and password, also where its scheme is missing.
fn without_secrets(text: &str) -> String {
    let (front, query) = match text.split_once('?') {
        Some((front, query)) if !query.is_empty() => (front, "?.."),
        _ => (text, ""),
    };
    let (scheme, rest) = front.split_once("://").map_or(("", front), |(scheme, rest)| (scheme, rest));
    let authority = rest.split('/').next().unwrap_or_default();
    let rest = match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') || !scheme.is_empty() => {
            format!("..{}", rest.get(user.len()..).unwrap_or_default())
        }
        _ => rest.to_owned(),
    };
    if scheme.is_empty() { format!("{rest}{query}") } else { format!("{scheme}://{rest}{query}") }
}

/// Says whether text is the base64 of a picture or video: its first characters decode to the beginning of one.
pub(super) fn is_base64_medium(text: &str) -> bool {
    /// Enough for all first bytes.
    const FIRST: usize = 128;
    let first = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let text = text.split_once(";base64,").map_or(text, |(_, text)| text);
    let start = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(first);
    let mut start: Vec<u8> = start.take(FIRST).take_while(|byte| *byte != b'=').collect();
    start.truncate(start.len() / 4 * 4);
    match base64_simd::STANDARD.decode_to_vec(&start) {
        Ok(bytes) => {
            let mut reader = Cursor::new(bytes);
            probe::looks_like_picture(&mut reader) || probe::looks_like_video(&mut reader)
        }
        Err(_) => false,
    }
}

/// Says whether a path looks like a link without its scheme: a host with a dot or a port, then a path.
pub(super) fn is_link_without_scheme(text: &str) -> bool {
    let text = trim(text);
    let text = text.strip_prefix("//").unwrap_or(text);
    let lower = text.get(..6).unwrap_or_default().to_ascii_lowercase();
    if lower.starts_with("http:") || lower.starts_with("https:") {
        return true;
    }
    let Some((authority, _)) = text.split_once('/') else { return false };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let top = name.rsplit('.').next().unwrap_or_default();
    let has_top = top.len() >= 2 && top.len() < name.len() && !name.starts_with('.');
    let has_port =
        port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    is_name && (has_top || has_port)
}
