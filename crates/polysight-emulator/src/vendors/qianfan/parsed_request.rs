//! A request to Qianfan.

use crate::auth::{Authentication, authenticate_bearer, bearer, is_qianfan_key};
use crate::chat::message;
use crate::models::{ErnieLimits, ernie_model};
use crate::request_body::RequestBody;
use crate::served_request::ServedRequest;
use crate::vendors::parsed_request::ParsedRequest;

/// With the application that it names.
pub(super) type Request<'r> = ParsedRequest<'r, ErnieLimits, Option<&'r str>>;

pub(super) fn parse<'r>(served: &'r ServedRequest, body: &'r RequestBody) -> Request<'r> {
    let (json, app) = (body.json.as_ref(), served.header("appid"));
    ParsedRequest::new(served, json, authentication(served), ernie_model, app)
        .with_messages(|messages| message::parse(messages, &body.media))
}

/// A short-lived key counts as long as it lives, whatever other keys are known.
pub(super) fn authentication(served: &ServedRequest) -> Authentication {
    let header = served.header("authorization");
    let token = header.and_then(bearer);
    match token.and_then(|token| served.state.iam_key(token)) {
        Some(true) => {
            Authentication::Accepted { id: token.unwrap_or_default().to_owned(), without_balance: false }
        }
        Some(false) => Authentication::Expired,
        None => authenticate_bearer(header, &served.state.settings.keys, is_qianfan_key),
    }
}

/// Whether the model will think.
pub(super) fn thinks(request: &Request<'_>) -> bool {
    let Some(model) = request.model.filter(|model| model.thinking) else { return false };
    request.flag("enable_thinking").unwrap_or(model.thinks_by_default)
}
