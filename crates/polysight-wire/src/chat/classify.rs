//! What a failure is when the vendor's own code table does not tell.

use polysight_core::{Billed, Error, ErrorKind};

use crate::chat::Failure;

/// Makes an error of a failure by its words and its HTTP status, in that order.
///
/// Vendors look into their own code table first; this is for codes that no table knows, for gateways and for
/// self-hosted servers.
///
/// A 500 stays [`ErrorKind::Server`], to be tried again, unless its words tell otherwise. That may be wrong: some servers
/// answer so, without a word, when a picture cannot be read, a prompt is too long or a key is wrong.
#[must_use]
pub fn classify(failure: &Failure<'_>) -> Error {
    let word = |text: &Option<String>| text.as_deref().and_then(kind_of_word);
    let by_code = failure.code.as_deref().and_then(|code| code.parse().ok());
    let status = by_code.filter(|code| kind_of_status(*code).is_some()).unwrap_or(failure.status);
    let kind = word(&failure.code)
        .or_else(|| word(&failure.class))
        .or_else(|| kind_of_status(status))
        .unwrap_or(ErrorKind::Server);
    let kind = match kind {
        ErrorKind::InvalidRequest | ErrorKind::Server => kind_of_message(&failure.message).unwrap_or(kind),
        kind => kind,
    };
    if kind == ErrorKind::ModelNotFound && failure.code.is_none() && !failure.message.contains("model") {
        let message = "the server knows no such path: check base_url and protocol";
        return failure.describe(Error::new(ErrorKind::Config, message));
    }
    let error = Error::new(kind, "");
    failure.describe(if kind == ErrorKind::Server { error.with_billed(billed_under(status)) } else { error })
}

/// What a failed call may cost by its status alone. These say that what stands before the vendor got no reply from it, or
/// none in time: RFC 9110 for 408, 502 and 504, Cloudflare's documents for 520 and 524, read 2026-11-27; 598 and 599 are
/// customary for read and connect limits of proxies. The vendor may have been at work.
fn billed_under(status: u16) -> Billed {
    match status {
        504 | 524 | 598 | 599 => Billed::Likely,
        408 | 502 | 520 => Billed::Perhaps,
        _ => Billed::No,
    }
}

fn kind_of_word(word: &str) -> Option<ErrorKind> {
    let word = word.to_ascii_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
    if any(&["rate_limit", "ratelimit", "throttl", "too_many_requests"]) {
        Some(ErrorKind::RateLimited)
    } else if any(&["quota", "insufficient_quota"]) {
        Some(ErrorKind::QuotaExhausted)
    } else if any(&["context_length", "context_size", "contextwindow", "tokens_too_long"]) {
        Some(ErrorKind::ContextTooLong)
    } else if any(&["content_filter", "content_policy", "inspection", "unsafe"]) {
        Some(ErrorKind::ContentRefused)
    } else if any(&["model_not_found", "modelnotfound"]) {
        Some(ErrorKind::ModelNotFound)
    } else if any(&["authentication", "invalid_api_key", "invalidapikey", "unauthorized", "auth_error"]) {
        Some(ErrorKind::Authentication)
    } else if any(&["permission", "access_denied", "accessdenied", "forbidden"]) {
        Some(ErrorKind::Permission)
    } else if any(&["overload", "unavailable"]) {
        Some(ErrorKind::Overloaded)
    } else if any(&["server_error", "internal_error", "internalerror"]) {
        Some(ErrorKind::Server)
    } else {
        None
    }
}

fn kind_of_status(status: u16) -> Option<ErrorKind> {
    match status {
        401 => Some(ErrorKind::Authentication),
        402 => Some(ErrorKind::Billing),
        403 => Some(ErrorKind::Permission),
        404 | 405 => Some(ErrorKind::ModelNotFound),
        429 => Some(ErrorKind::RateLimited),
        408 | 500..=502 | 504..=528 | 530..=599 => Some(ErrorKind::Server),
        503 | 529 => Some(ErrorKind::Overloaded),
        400..=499 => Some(ErrorKind::InvalidRequest),
        _ => None,
    }
}

/// Words of servers that put everything under one status.
fn kind_of_message(message: &str) -> Option<ErrorKind> {
    let message = message.to_ascii_lowercase();
    let any = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if any(&["invalid api key", "invalid apikey", "incorrect api key", "unauthorized"]) {
        Some(ErrorKind::Authentication)
    } else if any(&[
        "context length",
        "context window",
        "maximum model length",
        "max_model_len",
        "contextwindowexceeded",
        "context size",
    ]) {
        Some(ErrorKind::ContextTooLong)
    } else if any(UNREADABLE_PICTURE) {
        Some(ErrorKind::InvalidRequest)
    } else {
        None
    }
}

/// Words of the image and base64 libraries of Python servers, which come under 400 and under 500.
const UNREADABLE_PICTURE: &[&str] =
    &["cannot identify image file", "image file is truncated", "incorrect padding", "invalid base64"];

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::ReplyHead;
    use crate::chat::FailureSource;

    fn kind(status: u16, body: &str) -> (ErrorKind, bool) {
        let head = ReplyHead::new(status, HeaderMap::new());
        let error = classify(&Failure::read(FailureSource::Status, &head, body.as_bytes()));
        (error.kind(), error.is_retryable())
    }

    #[test]
    fn words_tell_what_a_500_hides() {
        assert_eq!(kind(500, "Internal Server Error"), (ErrorKind::Server, true));
        assert_eq!(
            kind(500, r#"{"detail":"cannot identify image file <x>"}"#),
            (ErrorKind::InvalidRequest, false)
        );
        assert_eq!(
            kind(500, r#"{"detail":"prompt exceeds context window"}"#),
            (ErrorKind::ContextTooLong, false)
        );
        assert_eq!(kind(500, r#"{"detail":"Invalid API key"}"#), (ErrorKind::Authentication, false));
    }

    #[test]
    fn a_status_that_says_nothing_about_the_vendor_may_be_billed() {
        let billed = |status, body: &str| {
            let head = ReplyHead::new(status, HeaderMap::new());
            classify(&Failure::read(FailureSource::Status, &head, body.as_bytes())).billed()
        };
        for (status, expected) in [
            (408, Billed::Perhaps),
            (502, Billed::Perhaps),
            (520, Billed::Perhaps),
            (504, Billed::Likely),
            (524, Billed::Likely),
            (598, Billed::Likely),
            (599, Billed::Likely),
            (500, Billed::No),
            (503, Billed::No),
            (521, Billed::No),
            (529, Billed::No),
            (429, Billed::No),
        ] {
            for body in ["", "<html>sorry</html>", r#"{"error":{"message":"no reply"}}"#] {
                assert_eq!(billed(status, body), expected, "{status} {body}");
            }
        }
        assert_eq!(billed(200, r#"{"error":{"message":"no reply","code":"504"}}"#), Billed::Likely);
        assert_eq!(billed(500, r#"{"error":{"message":"no reply","code":524}}"#), Billed::Likely);
        // The words say what it is: the vendor has refused.
        assert_eq!(billed(502, r#"{"error":{"message":"","code":"rate_limit_exceeded"}}"#), Billed::No);
        assert_eq!(billed(504, r#"{"error":{"message":"cannot identify image file"}}"#), Billed::No);
    }
}
