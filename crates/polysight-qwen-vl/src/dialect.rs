//! Requests out, replies in.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, Error, ErrorKind, Estimate, FinishKind, ModelCard, Plan, ProviderId,
    Result, SafetyLabel,
};
use polysight_wire::chat::request::{self, MessageShape};
use polysight_wire::chat::{
    self, ChatStreamDecoder, ChatVendor, Failure, FailureSource, SafetyFields, decode_failure, decode_reply,
};
use polysight_wire::{Dialect, JsonBody, Mode, ReplyHead, StreamDecoder, WireBody, WireRequest};
use url::Url;

use crate::deployment::{Deployment, PixelsForm};
use crate::errors::Speaker;
use crate::extras::{self, DATA_INSPECTION, VENDOR};
use crate::native::{self, NativeStreamDecoder};
use crate::settings::Protocol;
use crate::{errors, quirks, tokens};

/// The vendor's wire, as pure functions.
#[derive(Debug)]
pub struct QwenVlDialect {
    pub(crate) id: ProviderId,
    pub(crate) catalog: Catalog,
    pub(crate) model: Option<String>,
    pub(crate) url: Url,
    /// Where uploads are asked for; `None` where there are none.
    pub(crate) uploads: Option<Url>,
    pub(crate) protocol: Protocol,
    pub(crate) deployment: &'static Deployment,
    pub(crate) headers: HeaderMap,
    pub(crate) replies: Arc<QwenReplies>,
}

/// How the vendor's replies depart from the shared shape.
#[derive(Debug)]
pub(crate) struct QwenReplies {
    pub(crate) speaker: Speaker,
}

impl ChatVendor for QwenReplies {
    fn finish_kind(&self, raw: &str) -> FinishKind {
        chat::finish_kind(raw)
    }

    fn error(&self, failure: &Failure<'_>) -> Error {
        errors::error_of(failure, &self.speaker)
    }

    /// Inspection fails a call, it never labels one.
    fn safety(&self, _: &SafetyFields<'_>) -> Vec<SafetyLabel> {
        Vec::new()
    }

    fn withdraws(&self, _: &SafetyFields<'_>) -> bool {
        false
    }
}

impl Dialect for QwenVlDialect {
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
        extras::check(draft, self.deployment, self.protocol);
        quirks::check(draft, self.deployment, self.protocol);
    }

    fn estimate(&self, request: &ChatRequest, card: &ModelCard) -> Estimate {
        tokens::estimate(request, card)
    }

    fn encode(&self, plan: &Plan, mode: Mode) -> Result<WireRequest> {
        let body = match self.protocol {
            Protocol::Compatible => body(plan, mode, self.deployment)?,
            Protocol::Native => native::body(plan, mode, self.deployment)?,
        };
        let mut request = WireRequest::new(self.url.clone(), body);
        request.headers = self.headers.clone();
        let accept = match mode {
            Mode::Plain => "application/json",
            Mode::Stream => "text/event-stream",
        };
        request.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        let enable = HeaderValue::from_static("enable");
        if self.protocol == Protocol::Native && mode == Mode::Stream {
            request.headers.insert("x-dashscope-sse", enable.clone());
        }
        if quirks::refers_to_store(&plan.request) {
            request.headers.insert("x-dashscope-ossresourceresolve", enable);
        }
        let inspection = plan.request.extras.get(VENDOR).and_then(|fields| fields.get(DATA_INSPECTION));
        if let Some(value) = inspection.and_then(extras::inspection_header) {
            request.headers.insert("x-dashscope-datainspection", value);
        }
        Ok(request)
    }

    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse> {
        let mut response = match self.protocol {
            Protocol::Compatible => decode_reply(&*self.replies, plan, head, body)?,
            Protocol::Native => native::decode(&self.replies, plan, head, body)?,
        };
        if quirks::is_cut_short(head) {
            response.finish = quirks::cut_short();
            return response.into_result(false).map_err(|error| {
                let message = "the vendor's time limit cut the answer short: stream it";
                Error::new(ErrorKind::Interrupted, message)
                    .with_status(head.status)
                    .with_partial(error.partial().cloned())
                    .with_request_id(error.request_id().unwrap_or_default())
            });
        }
        Ok(response)
    }

    fn decode_error(&self, head: &ReplyHead, body: &[u8]) -> Error {
        decode_failure(&*self.replies, FailureSource::Status, head, body)
    }

    fn decoder(&self, plan: &Plan, head: &ReplyHead) -> Box<dyn StreamDecoder> {
        let replies = Arc::clone(&self.replies);
        match self.protocol {
            Protocol::Compatible => Box::new(ChatStreamDecoder::new(replies, plan, head)),
            Protocol::Native => Box::new(NativeStreamDecoder::new(replies, plan, head)),
        }
    }
}

fn body(plan: &Plan, mode: Mode, deployment: &Deployment) -> Result<WireBody> {
    let request = &plan.request;
    let shape = MessageShape::new()
        .with_frames(deployment.frames)
        .with_fps_inside(deployment.fps_inside)
        .with_part_hints(deployment.pixels == PixelsForm::Part)
        .with_replay_reasoning(quirks::preserves_thinking(request))
        .with_replay_in_tool_loop(deployment.is_vendor);
    let extensions = quirks::extension_fields(request, &plan.card, deployment);
    JsonBody::object(|root| {
        root.field("model", plan.model());
        request::sampling(root, &request.sampling, plan.card.sampling.greedy);
        root.optional(quirks::limit_field(plan.model(), deployment), request.max_tokens);
        request::stop(root, request);
        root.optional("seed", request.seed);
        request::response_format(root, request);
        request::tools(root, request);
        request::stream(root, mode, true);
        request::extras(root, Some(&extensions));
        request::messages(root, request, &shape);
    })
}
