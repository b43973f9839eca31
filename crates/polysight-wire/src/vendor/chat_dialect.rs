//! A dialect of the chat-completions shape, driven by a profile of what is odd about a vendor.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use polysight_core::plan::{PixelSize, PlanBuilder};
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, Error, Estimate, FinishKind, Image, ModelCard, Plan, ProviderId,
    Result, SafetyLabel,
};
use url::Url;

use super::{Dialect, Mode, StreamDecoder, WireRequest};
use crate::chat::{
    self, ChatStreamDecoder, Failure, FailureSource, SafetyFields, decode_failure, decode_reply,
};
use crate::{ReplyHead, WireBody};

/// How one vendor departs from the shared shape. Everything but the body has a default: the shape as most servers have it.
pub trait ChatProfile: Send + Sync + fmt::Debug + 'static {
    /// Writes the body of a request. [`chat::request`] has its parts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](polysight_core::ErrorKind::InvalidRequest) for values that are no JSON.
    fn body(&self, plan: &Plan, mode: Mode) -> Result<WireBody>;

    /// Headers besides `Content-Type`, `Content-Length` and credentials. Default: none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](polysight_core::ErrorKind::InvalidRequest) for values that cannot stand in a header.
    fn headers(&self, _plan: &Plan, _mode: Mode) -> Result<HeaderMap> {
        Ok(HeaderMap::new())
    }

    /// Adds the vendor's own rules to the checks that hold for all. Default: none.
    fn check(&self, _builder: &mut PlanBuilder) {}

    /// Counts tokens as far as the vendor's formulas are known; what is left open is bounded by the plan. Default: nothing.
    fn estimate(&self, _request: &ChatRequest, _card: &ModelCard) -> Estimate {
        Estimate::default()
    }

    /// The size to which the vendor scales a picture before the model sees it. Default: not known.
    fn seen_size(&self, _request: &ChatRequest, _card: &ModelCard, _image: &Image) -> Option<PixelSize> {
        None
    }

    /// Makes an error of what a failed reply says. Default: [`classify`](chat::classify), by words and HTTP status.
    fn error(&self, failure: &Failure<'_>) -> Error {
        chat::classify(failure)
    }

    /// What a finish reason stands for. Default: the common words.
    fn finish_kind(&self, raw: &str) -> FinishKind {
        chat::finish_kind(raw)
    }

    /// Reads safety labels from a reply, a chunk or an error. Default: none.
    fn safety(&self, _fields: &SafetyFields<'_>) -> Vec<SafetyLabel> {
        Vec::new()
    }

    /// Says whether these fields withdraw the answer, text already shown included; it becomes an error then. Default: no.
    fn withdraws(&self, _fields: &SafetyFields<'_>) -> bool {
        false
    }

    /// Markers that a model writes around parts of its text, and that are left out of it. Default: none.
    fn stripped_markers(&self) -> &'static [&'static str] {
        &[]
    }

    /// Reads a plain reply of status 2xx. Default: as the shape.
    ///
    /// # Errors
    /// As [`decode_reply`].
    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse> {
        decode_reply(self, plan, head, body)
    }

    /// Starts to read an event stream. Default: as the shape.
    fn decoder(self: &Arc<Self>, plan: &Plan, head: &ReplyHead) -> Box<dyn StreamDecoder>
    where
        Self: Sized,
    {
        Box::new(ChatStreamDecoder::new(Arc::clone(self), plan, head))
    }
}

/// The wire of a vendor with such a profile, as pure functions.
#[derive(Debug)]
pub struct ChatDialect<P> {
    id: ProviderId,
    catalog: Catalog,
    model: Option<String>,
    url: Url,
    profile: Arc<P>,
}

impl<P: ChatProfile> ChatDialect<P> {
    /// Puts together who it is, its models, the model for requests that name none, the whole URL that requests go to, and what
    /// is odd about it.
    #[must_use]
    pub fn new(id: ProviderId, catalog: Catalog, model: Option<String>, url: Url, profile: P) -> Self {
        Self { id, catalog, model, url, profile: Arc::new(profile) }
    }

    /// What is odd about it.
    #[must_use]
    pub fn profile(&self) -> &P {
        &self.profile
    }

    /// Where requests go.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl<P: ChatProfile> Dialect for ChatDialect<P> {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn default_model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn check(&self, builder: &mut PlanBuilder) {
        self.profile.check(builder);
    }

    fn estimate(&self, request: &ChatRequest, card: &ModelCard) -> Estimate {
        self.profile.estimate(request, card)
    }

    fn seen_size(&self, request: &ChatRequest, card: &ModelCard, image: &Image) -> Option<PixelSize> {
        self.profile.seen_size(request, card, image)
    }

    fn encode(&self, plan: &Plan, mode: Mode) -> Result<WireRequest> {
        let mut request = WireRequest::new(self.url.clone(), self.profile.body(plan, mode)?);
        request.headers = self.profile.headers(plan, mode)?;
        Ok(request)
    }

    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse> {
        self.profile.decode(plan, head, body)
    }

    fn decode_error(&self, head: &ReplyHead, body: &[u8]) -> Error {
        decode_failure(&*self.profile, FailureSource::Status, head, body)
    }

    fn decoder(&self, plan: &Plan, head: &ReplyHead) -> Box<dyn StreamDecoder> {
        self.profile.decoder(plan, head)
    }
}
