//! Turns a dialect into a provider.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use polysight_core::media::VideoSource;
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Billed, Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, ModelCard, Part, Plan,
    ProviderId, Result, RetryAdvice, StreamEvent, Video, VisionProvider,
};

use crate::events::EventReader;
use crate::reply::{Chunks, too_large};
use crate::{Credentials, Dialect, Mode, ReplyHead, Secrets, Transport, WireReply, WireRequest};

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

    /// The credentials, for calls besides chat.
    #[must_use]
    pub fn credentials(&self) -> &Arc<dyn Credentials> {
        &self.credentials
    }

    /// Plans and writes a request without sending it: what would go over the wire, credentials left out.
    ///
    /// # Errors
    /// As [`VisionProvider::plan`].
    pub fn preview(&self, request: ChatRequest, mode: Mode) -> Result<WireRequest> {
        self.dialect.encode(&self.planned(request, mode)?, mode)
    }

    fn planned(&self, mut request: ChatRequest, mode: Mode) -> Result<Plan> {
        let card = self.card_of(&mut request);
        self.checked(request, card, mode)
    }

    /// The card of a request's model, which is the provider's own where the request names none.
    fn card_of(&self, request: &mut ChatRequest) -> Arc<ModelCard> {
        if request.model.is_none() {
            request.model = self.dialect.default_model().map(str::to_owned);
        }
        self.dialect.catalog().card(request.model.as_deref().unwrap_or_default())
    }

    fn checked(&self, request: ChatRequest, card: Arc<ModelCard>, mode: Mode) -> Result<Plan> {
        let mut draft = PlanBuilder::new(request, card, mode == Mode::Stream);
        self.dialect.check(&mut draft);
        let estimate = self.dialect.estimate(&draft.request, &draft.card);
        draft.finish(estimate).map_err(|error| self.named(error))
    }

    fn named(&self, error: Error) -> Error {
        if error.provider().is_some() { error } else { error.with_provider(&self.dialect.id().name) }
    }

    /// Plans, with an id of its own for a request that has none.
    fn identified(&self, mut request: ChatRequest, mode: Mode) -> Result<Plan> {
        let card = self.card_of(&mut request);
        if request.request_id.is_none()
            && card.request_id.is_some()
            && let Some(make) = &self.request_ids
        {
            request.request_id = Some(make());
        }
        self.checked(request, card, mode)
    }

    /// Sends a plan and gives the reply if its status is good; tries once more when credentials had expired.
    async fn exchange(&self, plan: &Plan, mode: Mode) -> Result<(WireReply, Secrets)> {
        let mut secrets = Secrets::new(&self.credentials, &self.transport);
        let mut reply = self.exchange_once(plan, mode, &mut secrets).await;
        if let Err(error) = &reply
            && error.retry() == RetryAdvice::RefreshCredentials
            && self.credentials.renew(secrets.authorization())
        {
            reply = self.exchange_once(plan, mode, &mut secrets).await;
        }
        match reply {
            Ok(reply) => Ok((reply, secrets)),
            Err(error) => Err(secrets.hide(stale(error))),
        }
    }

    async fn exchange_once(&self, plan: &Plan, mode: Mode, secrets: &mut Secrets) -> Result<WireReply> {
        let mut request = self.dialect.encode(plan, mode)?;
        self.credentials.authorize(&self.transport, &mut request.headers).await?;
        secrets.note(&request.headers);
        let reply = self.transport.post(request).await?;
        if reply.head.is_success() {
            return Ok(reply);
        }
        let (head, body) = reply.into_error_bytes().await;
        if (300..400).contains(&head.status) {
            return Err(redirected(&head));
        }
        Err(head.advise(reachable(plan, self.dialect.decode_error(&head, &body))))
    }

    /// Sends a plan and reads the whole reply.
    async fn ask(&self, plan: &Plan) -> Result<ChatResponse> {
        let (reply, secrets) = self.exchange(plan, Mode::Plain).await?;
        let read = async {
            let (head, body) = reply.into_whole().await?;
            self.decoded(plan, &head, &body, &secrets)
        };
        read.await.map_err(|error| secrets.hide(secrets.renewed(error)))
    }

    async fn open(&self, plan: &Plan) -> Result<ChatStream> {
        let (reply, secrets) = self.exchange(plan, Mode::Stream).await?;
        let opened = self.opened(plan, reply, &secrets).await;
        opened.map_err(|error| secrets.hide(secrets.renewed(error)))
    }

    /// Reads a stream's head and makes its reader; a whole document instead of a stream becomes one too.
    async fn opened(&self, plan: &Plan, reply: WireReply, secrets: &Secrets) -> Result<ChatStream> {
        let decoder = self.dialect.decoder(plan, &reply.head);
        let limits = self.transport.limits();
        let raw_limit = plan.request.keep_raw.then_some(limits.max_reply_bytes);
        let reader = |chunks, decoder| EventReader::new(chunks, decoder, limits).with_raw_limit(raw_limit);
        if reply.head.is_event_stream() {
            let (_, chunks) = reply.into_chunks()?;
            return Ok(self.stream_of(plan, reader(chunks, decoder), secrets));
        }
        if is_document(&reply.head) {
            return self.document(plan, reply, secrets).await;
        }
        // No usable type: what arrives first tells.
        let (head, mut chunks) = reply.into_chunks()?;
        let first = first_bytes(&mut chunks).await?;
        if first.trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'{' | b'<')) {
            let body = rest_of(first, chunks, limits.max_reply_bytes).await?;
            return self.whole(plan, &head, &body, secrets);
        }
        let mut reader = reader(chunks, decoder);
        reader.push(first);
        Ok(self.stream_of(plan, reader, secrets))
    }

    async fn document(&self, plan: &Plan, reply: WireReply, secrets: &Secrets) -> Result<ChatStream> {
        let (head, body) = reply.into_whole().await?;
        self.whole(plan, &head, &body, secrets)
    }

    fn whole(&self, plan: &Plan, head: &ReplyHead, body: &Bytes, secrets: &Secrets) -> Result<ChatStream> {
        let response = self.decoded(plan, head, body, secrets)?;
        Ok(ChatStream::from_response(response))
    }

    fn decoded(
        &self,
        plan: &Plan,
        head: &ReplyHead,
        body: &Bytes,
        secrets: &Secrets,
    ) -> Result<ChatResponse> {
        let mut decoded = self.dialect.decode(plan, head, body);
        if let Ok(answer) = &mut decoded {
            secrets.hide_ids([&mut answer.id, &mut answer.request_id]);
        }
        decoded.map_err(|error| {
            // The vendor answered, and what it says is no refusal: the call is on the bill.
            let answered = error.kind() == ErrorKind::Protocol || error.partial().is_some();
            let error = if answered { error.with_billed(Billed::Likely) } else { error };
            head.advise(reachable(plan, with_id(error, head.request_id())))
        })
    }

    fn stream_of(&self, plan: &Plan, reader: EventReader, secrets: &Secrets) -> ChatStream {
        let request_id = plan.request.request_id.clone();
        let (name, secrets) = (self.dialect.id().name.clone(), secrets.clone());
        ChatStream::new(Named { reader, name, request_id, secrets })
            .with_collect_limit(self.transport.limits().max_reply_bytes)
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

/// Adds an id to an error that has none.
fn with_id(error: Error, id: Option<&str>) -> Error {
    match id {
        Some(id) if error.request_id().is_none() => error.with_request_id(id),
        _ => error,
    }
}

/// What the vendor could not fetch, when it had nothing to fetch, is a medium that it could not read.
fn reachable(plan: &Plan, error: Error) -> Error {
    if error.kind() != ErrorKind::MediaFetchFailed {
        return error;
    }
    match inline_media(&plan.request) {
        Some(paths) => {
            let message = format!("the vendor cannot read what was sent along: {}", paths.join(" or "));
            error.reclassified(ErrorKind::InvalidMedia, message)
        }
        None => error,
    }
}

/// The paths of a request's media when all of them were sent along; `None` when there is none, or one by URL.
fn inline_media(request: &ChatRequest) -> Option<Vec<String>> {
    let mut paths = Vec::new();
    for (message, parts) in request.messages.iter().map(|message| &message.parts).enumerate() {
        for (part, medium) in parts.iter().enumerate() {
            match medium {
                Part::Image(image) if image.source().url().is_none() => {}
                Part::Video(video) if !by_url(video) => {}
                Part::Image(_) | Part::Video(_) => return None,
                _ => continue,
            }
            paths.push(format!("messages[{message}].parts[{part}]"));
        }
    }
    (!paths.is_empty()).then_some(paths)
}

fn by_url(video: &Video) -> bool {
    match video.source() {
        VideoSource::Whole(source) => source.url().is_some(),
        VideoSource::Frames(frames) => frames.iter().any(|frame| frame.source().url().is_some()),
        // What is not known may be one.
        _ => true,
    }
}

fn stale(error: Error) -> Error {
    match error.retry() {
        RetryAdvice::RefreshCredentials => error.with_retry(RetryAdvice::Never),
        _ => error,
    }
}

fn redirected(head: &ReplyHead) -> Error {
    let target = head.header("location").map(polysight_core::redact).unwrap_or_default();
    let message =
        format!("the server redirects to `{target}`, which is not followed with a key: set base_url");
    Error::new(ErrorKind::Protocol, message).with_status(head.status)
}

fn is_document(head: &ReplyHead) -> bool {
    let media_type = head.media_type().to_ascii_lowercase();
    media_type.ends_with("json") || media_type == "text/html"
}

async fn first_bytes(chunks: &mut Chunks) -> Result<Bytes> {
    let mut first = Bytes::new();
    chunks.expect_events();
    while first.trim_ascii_start().is_empty() {
        match chunks.next_chunk().await? {
            Some(chunk) => first = chunk,
            None => break,
        }
    }
    Ok(first)
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

/// Puts the provider's name and the caller's id on the errors of a stream that lack them, and takes secrets out.
struct Named {
    reader: EventReader,
    name: String,
    request_id: Option<String>,
    secrets: Secrets,
}

impl Stream for Named {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.reader).poll_next(context);
        polled.map(|item| {
            item.map(|mut event| {
                if let Ok(StreamEvent::End(end)) = &mut event {
                    self.secrets.hide_ids([&mut end.id, &mut end.request_id]);
                }
                event.map_err(|error| {
                    let error = self.secrets.hide(self.secrets.renewed(error));
                    let error = with_id(error, self.request_id.as_deref());
                    if error.provider().is_some() { error } else { error.with_provider(&self.name) }
                })
            })
        })
    }
}

impl<D: fmt::Debug> fmt::Debug for DialectProvider<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialectProvider").field("dialect", &self.dialect).finish_non_exhaustive()
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

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        self.planned(request, Mode::Plain)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        let plan = self.identified(request, Mode::Plain)?;
        let answer = async {
            if plan.streamed {
                // Boxed, since few calls go this way, and all would carry its size.
                return Box::pin(async { self.open(&plan).await?.collect_response().await }).await;
            }
            self.ask(&plan).await
        };
        answer.await.map_err(|error| self.named(with_id(error, plan.request.request_id.as_deref())))
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let plan = self.identified(request, Mode::Stream)?;
        let stream = self.open(&plan).await;
        stream.map_err(|error| self.named(with_id(error, plan.request.request_id.as_deref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reply_of_no_type_is_waited_for_as_long_as_a_stream() {
        let wait = async |pieces: &[&'static str]| {
            let begun = tokio::time::Instant::now();
            let drip = crate::reply::drips::drip(100, pieces);
            let reply = WireReply::new(http::Response::new(drip).into(), &crate::Limits::default(), None);
            let (_, mut chunks) = reply.into_chunks().unwrap();
            (first_bytes(&mut chunks).await.map_err(|error| error.kind()), begun.elapsed().as_secs())
        };
        assert_eq!(wait(&["\n", "data: a\n\n"]).await, (Ok(Bytes::from("data: a\n\n")), 200));
        let late = ErrorKind::Timeout(polysight_core::TimeoutPhase::FirstByte);
        assert_eq!(wait(&["\n"]).await, (Err(late), 300));
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

    #[test]
    fn an_error_keeps_its_own_id() {
        let error = || Error::new(ErrorKind::Server, "");
        assert_eq!(with_id(error().with_request_id("a"), Some("b")).request_id(), Some("a"));
        assert_eq!(with_id(error(), Some("b")).request_id(), Some("b"));
        assert_eq!(with_id(error(), None).request_id(), None);
    }
}
