//! Turns a dialect into a provider.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use polysight_core::catalog::Price;
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Billed, Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, ModelCard, Plan, ProviderId,
    ResponseMeta, Result, StreamEvent, VisionProvider,
};

use crate::call::replied;
use crate::http::event_reader::EventReader;
use crate::http::form::{Form, events_in, form_of};
use crate::http::reply::{ReplyBody, too_large};
use crate::json;
use crate::{Call, Chunks, Credentials, Dialect, Mode, ReplyHead, Transport, WireReply, WireRequest};

/// Makes the ids of requests that come without one.
pub type RequestIds = Arc<dyn Fn() -> String + Send + Sync>;

/// A [`VisionProvider`] made of a dialect, credentials and a transport.
pub struct DialectProvider<D> {
    dialect: D,
    credentials: Arc<dyn Credentials>,
    transport: Transport,
    request_ids: Option<RequestIds>,
}

impl<D: Dialect> DialectProvider<D> {
    /// Puts the three together. Requests without an id get one of their own where the vendor takes ids.
    #[must_use]
    pub fn new(dialect: D, credentials: Arc<dyn Credentials>, transport: Transport) -> Self {
        Self { dialect, credentials, transport, request_ids: Some(random_ids()) }
    }

    /// Makes request ids in another way; `None` sends only the caller's.
    #[must_use]
    pub fn with_request_ids(mut self, ids: Option<RequestIds>) -> Self {
        self.request_ids = ids;
        self
    }

    /// Says whether requests without an id get one of their own.
    #[must_use]
    pub fn with_generated_ids(self, generate: bool) -> Self {
        self.with_request_ids(generate.then(random_ids))
    }

    /// The dialect.
    #[must_use]
    pub fn dialect(&self) -> &D {
        &self.dialect
    }

    /// The transport, for calls besides chat.
    #[must_use]
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Begins a call besides chat: with this provider's credentials and name.
    #[must_use]
    pub fn call(&self) -> Call {
        Call::new(self.dialect.id(), &self.credentials, &self.transport)
    }

    /// Writes a plan without sending it: what would go over the wire, without credentials and without the id that a request
    /// without one gets when it is sent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for the plan of another provider and for values that are no JSON.
    pub fn preview(&self, plan: &Plan, mode: Mode) -> Result<WireRequest> {
        plan.require_provider(self.dialect.id())?;
        self.dialect.encode(plan, mode)
    }

    /// A plan, or its refusal, without what the configuration keeps secret: a key may stand in place of a model's name.
    fn planned(&self, planned: Result<Plan>) -> Result<Plan> {
        if self.transport.secrets().is_empty() {
            return planned;
        }
        let filter = self.call().filter();
        let mut plan = planned.map_err(|error| error.without_secrets(&filter))?;
        plan.notes.iter_mut().for_each(|note| *note = filter.hide(note));
        Ok(plan)
    }

    fn update_grounding(&self, plan: &mut Plan) {
        plan.update_grounding(|plan, image| self.dialect.seen_size(&plan.request, &plan.card, image));
    }

    /// Begins to send a plan. Its id is made now, since a plan may be sent twice.
    fn begin(&self, plan: &mut Plan) -> Result<Call> {
        plan.require_provider(self.dialect.id())?;
        // Pictures may have been made since.
        self.update_grounding(plan);
        if plan.request.request_id.is_none()
            && plan.card.request_id.is_some()
            && let Some(make) = &self.request_ids
        {
            plan.request.request_id = Some(make());
        }
        Ok(self.call().with_request_id(plan.request.request_id.as_deref()))
    }

    /// Sends a plan and gives the reply if its status is good; sends it once more when credentials had expired.
    async fn exchange(&self, plan: &Plan, mode: Mode, call: &mut Call) -> Result<WireReply> {
        match self.exchange_once(plan, mode, call).await {
            Err(error) if call.renew(&error) => self.exchange_once(plan, mode, call).await,
            reply => reply,
        }
    }

    async fn exchange_once(&self, plan: &Plan, mode: Mode, call: &mut Call) -> Result<WireReply> {
        let mut request = self.dialect.encode(plan, mode)?;
        call.authorize(&self.transport, &mut request.headers).await?;
        let reply = self.transport.post(request).await?;
        if reply.head.is_success() {
            return Ok(reply);
        }
        let (head, body) = reply.into_error_bytes().await;
        if (300..400).contains(&head.status) {
            return Err(redirected(&head));
        }
        Err(replied(plan, self.dialect.catalog(), &head, self.dialect.decode_error(&head, &body)))
    }

    /// Sends a plan and reads the whole reply.
    async fn answer(&self, plan: &Plan, call: &mut Call) -> Result<ChatResponse> {
        let reply = self.exchange(plan, Mode::Plain, call).await?;
        let (head, body) = reply.into_whole().await?;
        self.read_whole(plan, &head, body, call).await
    }

    /// Reads a body that has come to its end. What it is it says itself.
    async fn read_whole(
        &self,
        plan: &Plan,
        head: &ReplyHead,
        body: Bytes,
        call: &Call,
    ) -> Result<ChatResponse> {
        // Boxed, since few calls go this way, and all would carry its size.
        if form_of(&body) == Some(Form::Events) {
            return Box::pin(self.read_events(plan, head, body, call)).await;
        }
        let answer = self.decode(plan, head, &body, call);
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Protocol)
            && let Some(events) = events_in(&body)
        {
            return Box::pin(self.read_events(plan, head, events.into(), call)).await;
        }
        answer
    }

    /// Reads events that have all come.
    async fn read_events(
        &self,
        plan: &Plan,
        head: &ReplyHead,
        events: Bytes,
        call: &Call,
    ) -> Result<ChatResponse> {
        let limits = self.transport.limits();
        let events = events.slice_ref(json::begin(&events));
        let reader = self.reader(plan, head, Chunks::new(ReplyBody::Whole(events), limits, None));
        let stream = ChatStream::new(reader).with_collect_limit(limits.max_reply_bytes);
        let failed = |error| replied(plan, self.dialect.catalog(), head, error);
        let mut answer = stream.collect_response().await.map_err(failed)?;
        finish_meta(&plan.card, call, &mut answer.meta);
        Ok(answer)
    }

    fn decode(&self, plan: &Plan, head: &ReplyHead, body: &Bytes, call: &Call) -> Result<ChatResponse> {
        match self.dialect.decode(plan, head, body) {
            Ok(mut answer) => {
                finish_meta(&plan.card, call, &mut answer.meta);
                Ok(answer)
            }
            Err(error) => {
                // The vendor answered, and what it says is no refusal: the call is likely billed.
                let answered = error.kind() == ErrorKind::Protocol || error.partial().is_some();
                let error = if answered { error.with_billed(Billed::Likely) } else { error };
                Err(replied(plan, self.dialect.catalog(), head, error))
            }
        }
    }

    /// Sends a plan and opens the answer.
    async fn open(&self, plan: Plan, mut call: Call) -> Result<ChatStream> {
        match self.opened(&plan, &mut call).await {
            Ok(Opened::Events(reader)) => {
                call.note_links(&plan.request);
                Ok(ChatStream::new(Finishing { reader: *reader, call, card: plan.card })
                    .with_collect_limit(self.transport.limits().max_reply_bytes)
                    .with_origin(&*self.dialect.id().name, plan.request.request_id.as_deref()))
            }
            Ok(Opened::Whole(response)) => Ok(ChatStream::from_response(*response)),
            Err(error) => Err(call.finish_request(priced(&plan.card, error), &plan.request)),
        }
    }

    /// Sends a plan and puts the pieces of its answer together.
    async fn collect(&self, plan: Plan, call: Call) -> Result<ChatResponse> {
        self.open(plan, call).await?.collect_response().await
    }

    async fn opened(&self, plan: &Plan, call: &mut Call) -> Result<Opened> {
        let reply = self.exchange(plan, Mode::Stream, call).await?;
        let (head, mut chunks) = reply.into_chunks()?;
        let limit = self.transport.limits().max_reply_bytes;
        let (first, form) = first_bytes(&mut chunks, limit).await?;
        // Nothing under no type is a stream that never began.
        let is_stream = head.is_event_stream() || (first.is_empty() && head.media_type().is_empty());
        if form == Form::Document || (form == Form::Unclear && !is_stream) {
            let body = rest_of(first, chunks, limit).await?;
            return Ok(Opened::Whole(Box::new(self.read_whole(plan, &head, body, call).await?)));
        }
        let mut reader = self.reader(plan, &head, chunks);
        reader.push(first.slice_ref(json::begin(&first)));
        Ok(Opened::Events(Box::new(reader)))
    }

    fn reader(&self, plan: &Plan, head: &ReplyHead, chunks: Chunks) -> EventReader {
        let limits = self.transport.limits();
        let raw_limit = plan.request.keep_raw.then_some(limits.max_reply_bytes);
        EventReader::new(chunks, self.dialect.decoder(plan, head), limits).with_raw_limit(raw_limit)
    }
}

#[async_trait]
impl<D: Dialect> VisionProvider for DialectProvider<D> {
    fn id(&self) -> &ProviderId {
        self.dialect.id()
    }

    fn catalog(&self) -> &Catalog {
        self.dialect.catalog()
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        let named = request.model.is_none().then(|| {
            // As it is configured, and not by the card's id: a server may know a model by its alias alone.
            let mut named = request.clone();
            named.model = self.dialect.default_model().map(str::to_owned);
            named
        });
        let request = named.as_ref().unwrap_or(request);
        let card = self.dialect.catalog().card(request.model.as_deref().unwrap_or_default());
        let mut builder = PlanBuilder::new(self.dialect.id(), request, card);
        self.dialect.check(&mut builder);
        builder.name_models(self.dialect.catalog());
        let estimate = self.dialect.estimate(&builder.request, &builder.card);
        let mut plan = builder.finish(estimate);
        plan.iter_mut().for_each(|plan| self.update_grounding(plan));
        self.planned(plan)
    }

    async fn send(&self, mut plan: Plan) -> Result<ChatResponse> {
        let mut call = self.begin(&mut plan)?;
        let plan = plan.into_plain()?;
        if plan.requires_streaming {
            // Boxed, since few calls go this way, and all would carry its size.
            return Box::pin(self.collect(plan, call)).await;
        }
        let answer = self.answer(&plan, &mut call).await;
        answer.map_err(|error| call.finish_request(priced(&plan.card, error), &plan.request))
    }

    async fn stream(&self, mut plan: Plan) -> Result<ChatStream> {
        let call = self.begin(&mut plan)?;
        self.open(plan, call).await
    }
}

/// One line: a provider stands in the `Debug` of everything that wraps it.
impl<D: Dialect> fmt::Debug for DialectProvider<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProviderId { name, vendor, endpoint, .. } = self.dialect.id();
        let endpoint = self.call().filter().hide(endpoint);
        write!(f, "{vendor} provider `{name}` at {endpoint} with {:?}", self.credentials)
    }
}

/// What came for a streamed call.
enum Opened {
    Events(Box<EventReader>),
    Whole(Box<ChatResponse>),
}

/// Finishes the errors of a stream.
struct Finishing {
    reader: EventReader,
    call: Call,
    card: Arc<ModelCard>,
}

impl Stream for Finishing {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.reader).poll_next(context);
        polled.map(|item| {
            item.map(|mut event| {
                if let Ok(StreamEvent::End(end)) = &mut event {
                    finish_meta(&self.card, &self.call, end);
                }
                event.map_err(|error| self.call.finish(priced(&self.card, error)))
            })
        })
    }
}

/// Adds what an answer cost, and hides ids that repeat what was sent.
fn finish_meta(card: &ModelCard, call: &Call, meta: &mut ResponseMeta) {
    meta.cost = meta.usage.as_ref().and_then(|usage| Price::of(&card.prices, usage));
    call.hide_ids(meta);
}

/// Adds what a failed call cost whose usage is known.
fn priced(card: &ModelCard, error: Error) -> Error {
    match error.usage() {
        Some(usage) if error.cost().is_none() => error.with_cost(Price::of(&card.prices, &usage)),
        _ => error,
    }
}

/// Ids that count up from a random one: no two providers share any, in this process or another, and only the first costs a
/// system call.
fn random_ids() -> RequestIds {
    let first = uuid::Uuid::new_v4().as_u128();
    let made = AtomicU64::new(0);
    Arc::new(move || {
        let id = uuid::Uuid::from_u128(first.wrapping_add(made.fetch_add(1, Ordering::Relaxed).into()));
        let mut digits = uuid::Uuid::encode_buffer();
        ["polysight-", id.simple().encode_lower(&mut digits)].concat()
    })
}

fn redirected(head: &ReplyHead) -> Error {
    let target = head.header("location").map(polysight_core::redact_name).unwrap_or_default();
    let message =
        format!("the server redirects to `{target}`, which is not followed with a key: set base_url");
    Error::new(ErrorKind::Protocol, message).with_status(head.status)
}

/// Waits until a body says what it is, or ends. White space before that counts towards the limit of a reply.
async fn first_bytes(chunks: &mut Chunks, limit: usize) -> Result<(Bytes, Form)> {
    let (mut first, mut received) = (Bytes::new(), 0);
    chunks.use_first_byte_timeout();
    loop {
        if let Some(form) = form_of(&first) {
            return Ok((first, form));
        }
        let Some(chunk) = chunks.next_chunk().await? else { return Ok((first, Form::Unclear)) };
        received += chunk.len();
        if received > limit && form_of(&chunk).is_none() {
            return Err(too_large(limit));
        }
        let is_blank = first.trim_ascii_start().is_empty();
        first = if is_blank { chunk } else { [first, chunk].concat().into() };
    }
}

async fn rest_of(first: Bytes, mut chunks: Chunks, limit: usize) -> Result<Bytes> {
    let mut all = first.to_vec();
    while let Some(chunk) = chunks.next_chunk().await? {
        if all.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

#[cfg(test)]
mod tests {
    use polysight_core::Image;

    use super::*;
    use crate::vendor::{ChatDialect, ChatProfile};
    use crate::{JsonBody, NoKey, WireBody};

    #[tokio::test(start_paused = true)]
    async fn the_first_bytes_are_waited_for_as_long_as_the_first_event() {
        let wait = async |pieces: &[&'static str]| {
            let begun = tokio::time::Instant::now();
            let drip = crate::http::chunks::drips::drip(100, pieces);
            let reply = WireReply::new(http::Response::new(drip), &crate::Limits::default(), None);
            let (_, mut chunks) = reply.into_chunks().unwrap();
            (first_bytes(&mut chunks, 20).await.map_err(|error| error.kind()), begun.elapsed().as_secs())
        };
        assert_eq!(wait(&["\n", "data: a\n\n"]).await, (Ok((Bytes::from("data: a\n\n"), Form::Events)), 200));
        let late = ErrorKind::Timeout(polysight_core::TimeoutPhase::FirstByte);
        assert_eq!(wait(&["\n"]).await, (Err(late), 300));
        assert_eq!(wait(&["          ", "          ", "\n"]).await, (Err(ErrorKind::Protocol), 300));
    }

    #[test]
    fn no_two_requests_get_the_same_id() {
        let makers = [random_ids(), random_ids()];
        let mut ids: Vec<String> = makers.iter().cycle().take(200).map(|make| make()).collect();
        assert!(ids.iter().all(|id| id.len() == "polysight-".len() + 32), "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 200);
    }

    #[derive(Debug)]
    struct Plain;

    impl ChatProfile for Plain {
        fn body(&self, plan: &Plan, _: Mode) -> Result<WireBody> {
            JsonBody::object(|root| root.field("model", plan.model()))
        }
    }

    fn provider(name: &str) -> DialectProvider<ChatDialect<Plain>> {
        let catalog = "vendor = \"v\"\n[defaults]\nrequest_id = { min = 1, max = 64 }";
        let url = "http://127.0.0.1:9/".parse().unwrap();
        let (id, catalog) = (ProviderId::new(name, "v"), Catalog::from_toml(catalog).unwrap());
        let dialect = ChatDialect::new(id, catalog, Some("m".to_owned()), url, Plain);
        DialectProvider::new(dialect, Arc::new(NoKey), Transport::builder().build().unwrap())
    }

    #[test]
    fn a_plan_that_is_sent_twice_gets_two_ids_and_keeps_the_callers() {
        let provider = provider("p");
        let plan = provider.plan(&ChatRequest::ask("?", None::<Image>)).unwrap();
        assert_eq!((plan.model(), plan.request.request_id.as_deref()), ("m", None));
        let sent = |plan: &Plan| {
            let mut plan = plan.clone();
            provider.begin(&mut plan).unwrap();
            plan.request.request_id.unwrap()
        };
        assert_ne!(sent(&plan), sent(&plan));
        let own = ChatRequest::ask("?", None::<Image>).with_request_id("mine");
        assert_eq!(sent(&provider.plan(&own).unwrap()), "mine");
    }

    #[tokio::test]
    async fn the_plan_of_another_provider_is_refused() {
        let plan = provider("one").plan(&ChatRequest::ask("?", None::<Image>)).unwrap();
        let other = provider("two");
        for refused in [
            other.send(plan.clone()).await.map(drop),
            other.stream(plan.clone()).await.map(drop),
            other.preview(&plan, Mode::Plain).map(drop),
        ] {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert!(error.message().contains("`one`") && error.message().contains("`two`"), "{error}");
        }
        let failed = other.send(other.plan(plan.original()).unwrap()).await.unwrap_err();
        assert_eq!((failed.kind(), failed.provider()), (ErrorKind::Network, Some("two")));
        assert!(failed.request_id().is_some_and(|id| id.starts_with("polysight-")), "{failed}");
    }
}
