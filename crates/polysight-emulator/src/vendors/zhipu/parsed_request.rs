//! A request to Zhipu.

use crate::auth::{Authentication, authenticate_key};
use crate::chat::message;
use crate::clock;
use crate::models::{ModelLimits, zhipu_model};
use crate::request_body::RequestBody;
use crate::served_request::ServedRequest;
use crate::vendors::parsed_request::ParsedRequest;

pub(super) type Request<'r> = ParsedRequest<'r, ModelLimits>;

pub(super) fn parse<'r>(served: &'r ServedRequest, body: &'r RequestBody) -> Request<'r> {
    ParsedRequest::new(served, body.json.as_ref(), authentication(served), zhipu_model, ())
        .with_messages(|messages| message::parse(messages, &body.media))
}

pub(super) fn authentication(served: &ServedRequest) -> Authentication {
    authenticate_key(served.header("authorization"), &served.state.settings.keys, clock::unix_millis())
}
