//! Codes that no words or status tell apart.
//!
//! Source: error codes of OpenAI's OpenAPI document 2.3.0, read 2026-11-27.

use polysight_core::Error;
use polysight_wire::chat::Failure;
use polysight_wire::code_table;

code_table! {
    /// Codes of pictures, and of accounts that must pay. Everything else goes by words and HTTP status.
    static CODES;
    "billing_not_active" Billing never "the account is not active: check its billing";
    "empty_image_file" InvalidMedia never "a picture is empty";
    "failed_to_download_image" MediaFetchFailed later "a picture could not be fetched";
    "image_content_policy_violation" ContentRefused never "a picture was refused";
    "image_file_not_found" MediaFetchFailed never "a picture was not found";
    "image_file_too_large" InvalidMedia never "a picture is too large";
    "image_parse_error" InvalidMedia never "a picture cannot be decoded";
    "image_too_large" InvalidMedia never "a picture is too large";
    "image_too_small" InvalidMedia never "a picture is too small";
    "invalid_base64_image" InvalidMedia never "a picture is no base64: check `data_uri`";
    "invalid_image" InvalidMedia never "a picture cannot be read";
    "invalid_image_format" InvalidMedia never "a picture has a format that is not taken";
    "invalid_image_url" MediaFetchFailed never "a picture could not be fetched: is its URL public?";
    "unsupported_image_media_type" InvalidMedia never "a picture has a format that is not taken";
}

/// Makes an error of what the server said.
pub(crate) fn classify(failure: &Failure<'_>) -> Error {
    match failure.code.as_deref().and_then(|code| CODES.find(code)) {
        Some(known) => known.error(failure),
        None => polysight_wire::classify(failure),
    }
}
