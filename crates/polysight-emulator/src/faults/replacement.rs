//! Faults that replace a reply, or its body.

use super::{Fault, find, sse};
use crate::http::{Body, Reply};
use crate::json::Json;
use crate::refusal::{ErrorFormat, Refusal};

const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
                    <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// The reply that a fault sends in place of an answer.
pub(crate) fn instead(faults: &[Fault], format: &impl ErrorFormat) -> Option<Reply> {
    let body = |code: &str| format.body(&Refusal::plain(code));
    find(faults, |fault| {
        Some(match fault {
            Fault::Status { status, code, message, headers } => {
                let reply = Reply::json(*status, &format.body(&of_status(*status, code, message)));
                headers.iter().fold(reply, |reply, (name, value)| reply.with_header(name, value))
            }
            Fault::Code(code) => format.reply(&Refusal::plain(code)),
            Fault::Html502 => Reply::whole(502, "text/html", PAGE),
            Fault::Html200 => {
                Reply::whole(200, "text/html", PAGE.replace("502 Bad Gateway", "Please sign in"))
            }
            Fault::Empty500 => Reply::whole(500, "application/json", ""),
            Fault::ErrorBody200(code) => Reply::json(200, &body(code)),
            Fault::FlatError200(code) => Reply::json(200, &flat(&body(code), code)),
            Fault::RedirectTo(url) => Reply::plain(307, "").with_header("location", url),
            _ => return None,
        })
    })
}

/// Without a code the status stands in its place.
fn of_status(status: u16, code: &str, message: &str) -> Refusal {
    let code = if code.is_empty() { status.to_string() } else { code.to_owned() };
    let message = Some(message).filter(|message| !message.is_empty()).map(str::to_owned);
    Refusal { message, ..Refusal::plain(code) }
}

fn flat(error: &Json, code: &str) -> Json {
    let message = error.get("error").unwrap_or(error).get("message").and_then(Json::text);
    Json::object([("code", code.into()), ("msg", message.unwrap_or_default().into())])
}

/// Damages a body that is sent whole.
pub(crate) fn damage(reply: &mut Reply, faults: &[Fault]) {
    let Body::Whole(bytes) = &mut reply.body else { return };
    if faults.contains(&Fault::InvalidJson) {
        let inside_character = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xC0 == 0x80);
        let middle = (0..=bytes.len() / 2).rev().find(|at| !inside_character(at)).unwrap_or(0);
        bytes.truncate(middle);
    }
    if faults.contains(&Fault::InvalidUtf8) {
        sse::spoil_utf8(bytes);
    }
}
