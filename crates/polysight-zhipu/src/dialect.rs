//! Requests out, replies in.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, header};
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

use crate::deployment::Deployment;
use crate::extras::{self, CLEAR_THINKING, VENDOR};
use crate::{errors, quirks};

/// The vendor's wire, as pure functions.
#[derive(Debug)]
pub struct ZhipuDialect {
    pub(crate) id: ProviderId,
    pub(crate) catalog: Catalog,
    pub(crate) model: Option<String>,
    pub(crate) deployment: &'static Deployment,
    pub(crate) url: Url,
    /// Whether streams must be asked for usage.
    pub(crate) asks_for_usage: bool,
    pub(crate) language: Option<HeaderValue>,
    pub(crate) replies: Arc<ZhipuReplies>,
}

/// How the vendor's replies depart from the shared shape.
#[derive(Debug)]
pub(crate) struct ZhipuReplies;

impl ChatVendor for ZhipuReplies {
    fn finish_kind(&self, raw: &str) -> FinishKind {
        quirks::finish_kind(raw)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        errors::error_of(failure)
    }

    fn safety(&self, fields: &SafetyFields<'_>) -> Vec<SafetyLabel> {
        quirks::safety(fields)
    }

    /// Withdrawal is a finish reason here.
    fn withdraws(&self, _: &SafetyFields<'_>) -> bool {
        false
    }
}

impl Dialect for ZhipuDialect {
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
        extras::check(draft);
        quirks::check_thinking(draft, self.deployment.thinking);
    }

    /// The vendor publishes no formula; only what is not there is known to cost nothing.
    fn estimate(&self, request: &ChatRequest, _: &ModelCard) -> Estimate {
        let any = |wanted: fn(&Part) -> bool| {
            request.messages.iter().flat_map(|message| &message.parts).any(wanted)
        };
        let none = |present: bool| (!present).then_some(0);
        let images = any(|part| matches!(part, Part::Image(_)));
        let videos = any(|part| matches!(part, Part::Video(_)));
        Estimate::tokens(None, none(images), none(videos))
    }

    fn encode(&self, plan: &Plan, mode: Mode) -> Result<WireRequest> {
        let mut request = WireRequest::new(self.url.clone(), self.body(plan, mode)?);
        // The vendor's own SDK asks for JSON even where it wants a stream.
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(language) = &self.language {
            request.headers.insert(header::ACCEPT_LANGUAGE, language.clone());
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

impl ZhipuDialect {
    fn body(&self, plan: &Plan, mode: Mode) -> Result<WireBody> {
        let request = &plan.request;
        let shape = MessageShape::new()
            .with_image_data_uri(plan.card.image.limits().and_then(|card| card.data_uri).unwrap_or(false))
            .with_video_data_uri(plan.card.video.limits().and_then(|card| card.data_uri).unwrap_or(false))
            .with_replay_reasoning(quirks::clear_thinking(request) == Some(false));
        JsonBody::object(|root| {
            root.field("model", plan.model());
            root.optional("request_id", request.request_id.as_deref());
            root.optional(self.deployment.end_user_id, request.end_user_id.as_deref());
            request::sampling(root, &request.sampling, plan.card.sampling.greedy);
            root.optional("max_tokens", request.max_tokens);
            request::stop(root, request);
            root.optional("seed", request.seed);
            quirks::write_thinking(root, request, self.deployment.thinking);
            request::response_format(root, request);
            request::tools(root, request);
            request::stream(root, mode, self.asks_for_usage);
            request::extras(root, other_extras(request).as_ref());
            request::messages(root, request, &shape);
        })
    }
}

/// The extras that are fields of the body as they stand.
fn other_extras(request: &ChatRequest) -> Option<Map<String, Value>> {
    let mut fields = request.extras.get(VENDOR)?.clone();
    fields.remove(CLEAR_THINKING);
    Some(fields)
}

/// The value of an `Accept-Language` header.
pub(crate) fn language(text: Option<&str>) -> Result<Option<HeaderValue>> {
    text.map(HeaderValue::from_str).transpose().map_err(|error| {
        Error::new(ErrorKind::Config, "language is no value of an Accept-Language header").with_source(error)
    })
}
