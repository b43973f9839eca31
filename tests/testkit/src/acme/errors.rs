//! The vendor's numbers. HTTP status says nothing here: every refusal is 400.

use polysight_core::{Error, ErrorKind, FinishKind};
use polysight_wire::ReplyHead;
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    fault: Fault,
}

#[derive(Deserialize)]
struct Fault {
    no: u32,
    why: String,
}

/// Makes an error of a refusal, or of anything else that came in its place.
pub(super) fn error_of(head: &ReplyHead, body: &[u8]) -> Error {
    let Ok(Body { fault }) = serde_json::from_slice(body) else {
        return Error::new(ErrorKind::Server, "the reply is no refusal of Acme's").with_status(head.status);
    };
    let kind = match fault.no {
        1 => ErrorKind::Authentication,
        2 => ErrorKind::ModelNotFound,
        3 => ErrorKind::InvalidRequest,
        4 => ErrorKind::ContentRefused,
        5 => ErrorKind::RateLimited,
        6 => ErrorKind::Billing,
        7 => ErrorKind::Overloaded,
        9 => ErrorKind::ContextTooLong,
        _ => ErrorKind::Server,
    };
    Error::new(kind, "")
        .with_status(head.status)
        .with_code(fault.no.to_string())
        .with_vendor_message(fault.why)
}

/// The vendor's four ends.
pub(super) fn finish_kind(raw: &str) -> FinishKind {
    match raw {
        "done" => FinishKind::Stop,
        "cut" => FinishKind::Length,
        "asks" => FinishKind::ToolCalls,
        "hidden" => FinishKind::ContentFilter,
        _ => FinishKind::Other,
    }
}
