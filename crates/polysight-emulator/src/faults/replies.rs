//! Faults that replace a reply, or its body.

use super::{Fault, find};
use crate::json::Json;
use crate::server::{Body, Reply};
use crate::{dashscope, qianfan, zhipu};

/// How a vendor words errors.
pub(crate) trait Wording {
    /// The body of an error with this code; the vendor's own text where none is given.
    fn error(&self, code: &str, message: Option<&str>) -> Json;
    /// The whole reply with which this code is told.
    fn refusal(&self, code: &str) -> Reply;
}

/// The status of a code of any vendor.
pub(crate) fn status_of(code: &str) -> Option<u16> {
    zhipu::codes::Code::find(code)
        .map(|row| row.status)
        .or_else(|| dashscope::codes::find(code).map(|row| row.status))
        .or_else(|| qianfan::codes::find(code).map(|row| row.status))
}

const PAGE: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
                    <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// The reply that a fault sends in place of an answer.
pub(crate) fn instead(faults: &[Fault], wording: &impl Wording) -> Option<Reply> {
    find(faults, |fault| {
        Some(match fault {
            Fault::Status { status, code, message, headers } => {
                status_reply(*status, code, message, headers, wording)
            }
            Fault::Code(code) => wording.refusal(code),
            Fault::Html502 => Reply::whole(502, "text/html", PAGE),
            Fault::Html200 => {
                Reply::whole(200, "text/html", PAGE.replace("502 Bad Gateway", "Please sign in"))
            }
            Fault::Empty500 => Reply::whole(500, "application/json", ""),
            Fault::ErrorBody200(code) => Reply::json(200, &wording.error(code, None)),
            Fault::FlatError200(code) => Reply::json(200, &flat(&wording.error(code, None), code)),
            Fault::RedirectTo(url) => Reply::plain(307, "").with_header("location", url),
            _ => return None,
        })
    })
}

fn status_reply(
    status: u16,
    code: &str,
    message: &str,
    headers: &[(String, String)],
    wording: &impl Wording,
) -> Reply {
    let default = status.to_string();
    let code = if code.is_empty() { &default } else { code };
    let body = wording.error(code, Some(message).filter(|message| !message.is_empty()));
    headers.iter().fold(Reply::json(status, &body), |reply, (name, value)| reply.with_header(name, value))
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
        super::frames::spoil_utf8(bytes);
    }
}
