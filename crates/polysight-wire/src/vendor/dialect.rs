//! What a vendor's crate says about its wire.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use polysight_core::plan::{PixelSize, PlanBuilder};
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, Error, Estimate, Image, ModelCard, Plan, ProviderId, ResponseMeta,
    Result, StreamEvent,
};
use url::Url;

use crate::sse::SseItem;
use crate::{ReplyHead, WireBody};

/// Whether the reply comes whole or piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As one JSON document.
    Plain,
    /// As an event stream.
    Stream,
}

/// A request on the vendor's wire, always a POST of JSON; credentials are added later.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WireRequest {
    /// Where it goes.
    pub url: Url,
    /// Headers besides `Content-Type`, `Content-Length` and credentials.
    pub headers: HeaderMap,
    /// The body.
    pub body: WireBody,
}

impl WireRequest {
    /// A request without headers of its own.
    #[must_use]
    pub fn new(url: Url, body: WireBody) -> Self {
        Self { url, headers: HeaderMap::new(), body }
    }
}

/// A vendor's wire, as pure functions: how a plan becomes a request, and how replies become answers or errors.
///
/// [`DialectProvider`](crate::DialectProvider) turns any dialect into a
/// [`VisionProvider`](polysight_core::VisionProvider).
pub trait Dialect: Send + Sync + fmt::Debug + 'static {
    /// Who this is.
    fn id(&self) -> &ProviderId;

    /// The models.
    fn catalog(&self) -> &Catalog;

    /// The model for requests that name none.
    fn default_model(&self) -> Option<&str>;

    /// Adds the vendor's own rules to the checks that hold for all.
    fn check(&self, draft: &mut PlanBuilder);

    /// Counts tokens as far as the vendor's formulas are known; what is left open is bounded by the plan.
    fn estimate(&self, request: &ChatRequest, card: &ModelCard) -> Estimate;

    /// The size to which the vendor scales a picture of the request before the model sees it; `None` where that is not known.
    fn seen_size(&self, request: &ChatRequest, card: &ModelCard, image: &Image) -> Option<PixelSize>;

    /// Writes the request. No medium is read yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`](polysight_core::ErrorKind::InvalidRequest) for values that are no JSON.
    fn encode(&self, plan: &Plan, mode: Mode) -> Result<WireRequest>;

    /// Reads a plain reply of status 2xx, which may still hold an error.
    ///
    /// # Errors
    /// What the reply says, or [`ErrorKind::Protocol`](polysight_core::ErrorKind::Protocol), also where the body holds several
    /// documents: the provider reads those as the events of a stream.
    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes) -> Result<ChatResponse>;

    /// Reads a reply of any other status. `body` may be cut off, empty, HTML or anything else.
    fn decode_error(&self, head: &ReplyHead, body: &[u8]) -> Error;

    /// Starts to read an event stream.
    fn decoder(&self, plan: &Plan, head: &ReplyHead) -> Box<dyn StreamDecoder>;
}

/// Events that were read and not yet handed out.
pub type Events = VecDeque<StreamEvent>;

/// What an item of a stream was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing but a sign of life, such as a keep-alive comment: the idle limit goes on counting.
    None,
    /// An event that holds nothing of the answer, such as a role, an id or token counts: it keeps the stream open for a
    /// while.
    Empty,
    /// A piece of the answer: text, reasoning or a tool call, handed out or held back.
    Event,
    /// The vendor's mark of the end: nothing after it is read.
    Done,
}

/// Reads the items of one event stream.
pub trait StreamDecoder: Send {
    /// Reads an item and adds the events that it holds.
    ///
    /// # Errors
    /// What the item says, or [`ErrorKind::Protocol`](polysight_core::ErrorKind::Protocol). It ends the stream.
    fn read(&mut self, item: SseItem<'_>, events: &mut Events) -> Result<Progress>;

    /// True once the model has said that it is done, so that an end of the stream would be a good one.
    fn is_complete(&self) -> bool;

    /// Ends the answer, after the vendor's mark or the end of the body. Adds events that were held back, but not
    /// [`StreamEvent::End`].
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`](polysight_core::ErrorKind::Interrupted) when the answer was not complete, and whatever
    /// else its way of ending stands for.
    fn finish(&mut self, events: &mut Events) -> Result<ResponseMeta>;
}
