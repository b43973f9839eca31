//! Requests out, replies in.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, Error, ErrorKind, Estimate, FinishKind, ModelCard, Part, Plan,
    ProviderId, Result, SafetyLabel,
};
use polysight_wire::chat::request::{self, MessageShape};
use polysight_wire::chat::{
    ChatStreamDecoder, ChatVendor, Failure, FailureSource, SafetyFields, decode_failure, decode_reply,
};
use polysight_wire::{Dialect, JsonBody, Mode, ReplyHead, StreamDecoder, WireBody, WireRequest};
use serde_json::{Map, Value};
use url::Url;

use crate::deployment::{CHAT_TEMPLATE_KWARGS, Deployment, RequestIdForm};
use crate::extras::{self, VENDOR};
use crate::{errors, quirks, tokens};

/// The vendor's wire, as pure functions.
#[derive(Debug)]
pub struct ErnieDialect {
    pub(crate) id: ProviderId,
    pub(crate) catalog: Catalog,
    pub(crate) model: Option<String>,
    pub(crate) url: Url,
    pub(crate) appid: Option<HeaderValue>,
    pub(crate) greedy_temperature: f64,
    pub(crate) deployment: &'static Deployment,
    pub(crate) replies: Arc<ErnieReplies>,
}

/// How the vendor's replies depart from the shared shape.
#[derive(Debug)]
pub(crate) struct ErnieReplies;

impl ChatVendor for ErnieReplies {
    fn finish_kind(&self, raw: &str) -> FinishKind {
        quirks::finish_kind(raw)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        errors::error_of(failure)
    }

    fn safety(&self, fields: &SafetyFields<'_>) -> Vec<SafetyLabel> {
        quirks::safety(fields)
    }

    fn withdraws(&self, fields: &SafetyFields<'_>) -> bool {
        quirks::withdraws(fields)
    }
}

impl Dialect for ErnieDialect {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn default_model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn check(&self, draft: &mut PlanBuilder) {
        quirks::say_greedy(draft, self.greedy_temperature);
        extras::check(draft, self.deployment);
        if request_id_header(self.deployment, &draft.request).is_err() {
            let limit = "visible ASCII: it goes out as a header";
            draft.findings.reject("request_id", "it holds other characters", limit, "choose another id");
        }
    }

    /// The open weights' arithmetic is public, the cloud's is not. What is not there costs nothing.
    fn estimate(&self, request: &ChatRequest, card: &ModelCard) -> Estimate {
        let any = |wanted: fn(&Part) -> bool| {
            request.messages.iter().flat_map(|message| &message.parts).any(wanted)
        };
        let has_formula = card.token_formula.as_deref() == Some(tokens::FORMULA);
        let has_images = any(|part| matches!(part, Part::Image(_)));
        let has_videos = any(|part| matches!(part, Part::Video(_)));
        let images = if has_images && !has_formula { None } else { tokens::of_images(request) };
        Estimate::tokens(None, images, (!has_videos).then_some(0))
    }

    fn encode(&self, plan: &Plan, mode: Mode) -> Result<WireRequest> {
        let mut request = WireRequest::new(self.url.clone(), self.body(plan, mode)?);
        if let Some(appid) = &self.appid {
            request.headers.insert("appid", appid.clone());
        }
        if let Some((name, value)) = request_id_header(self.deployment, &plan.request)? {
            request.headers.insert(name, value);
        }
        Ok(request)
    }

    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse> {
        decode_reply(&*self.replies, plan, head, body)
    }

    fn decode_error(&self, head: &ReplyHead, body: &[u8]) -> Error {
        decode_failure(&*self.replies, FailureSource::Status, head, body)
    }

    fn decoder(&self, plan: &Plan, head: &ReplyHead) -> Box<dyn StreamDecoder> {
        Box::new(ChatStreamDecoder::new(Arc::clone(&self.replies), plan, head))
    }
}

impl ErnieDialect {
    fn body(&self, plan: &Plan, mode: Mode) -> Result<WireBody> {
        let (request, deployment) = (&plan.request, self.deployment);
        let shape = MessageShape::new().with_fps_inside(deployment.fps_inside);
        JsonBody::object(|root| {
            root.field("model", plan.model());
            if let RequestIdForm::Field(name) = deployment.request_id {
                root.optional(name, request.request_id.as_deref());
            }
            root.optional("user", request.end_user_id.as_deref());
            quirks::write_sampling(root, request.sampling, self.greedy_temperature, deployment);
            quirks::write_limit(root, plan, deployment);
            request::stop(root, request);
            root.optional("seed", request.seed);
            quirks::write_thinking(root, plan, deployment);
            request::response_format(root, request);
            request::tools(root, request);
            request::stream(root, mode, true);
            request::extras(root, other_extras(request).as_ref());
            request::messages(root, request, &shape);
        })
    }
}

/// The header that carries the caller's id, where it goes out as one.
fn request_id_header(
    deployment: &Deployment,
    request: &ChatRequest,
) -> Result<Option<(HeaderName, HeaderValue)>> {
    let (RequestIdForm::Header(name), Some(id)) = (deployment.request_id, &request.request_id) else {
        return Ok(None);
    };
    let value = HeaderValue::from_str(id).map_err(|error| {
        Error::new(ErrorKind::InvalidRequest, "the request id cannot stand in a header").with_source(error)
    })?;
    Ok(Some((HeaderName::from_static(name), value)))
}

/// The extras that are fields of the body as they stand.
fn other_extras(request: &ChatRequest) -> Option<Map<String, Value>> {
    let mut fields = request.extras.get(VENDOR)?.clone();
    fields.remove(CHAT_TEMPLATE_KWARGS);
    Some(fields)
}
