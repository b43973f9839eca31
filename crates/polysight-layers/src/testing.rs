//! A provider for tests: it gives scripted answers, errors and streams, sends nothing, and records what it was asked.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use polysight_core::catalog::Price;
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Count, Error, Estimate, FinishKind, FinishReason,
    ModelCard, Plan, ProviderId, ResponseMeta, Result, StreamCollector, StreamEvent, ToolCallDelta, Usage,
    VisionProvider,
};
use tokio::time::{Sleep, sleep};

use crate::lock;
use crate::runtime::require_runtime;

/// Gives its scripted replies call by call, plain or streamed as it is called, then answers `ok`.
///
/// Cloning shares the script and the records: keep a clone, and give the other to the code under test. Answers use 100
/// prompt tokens and 10 answer tokens; errors get the provider's name. Requests are planned as by a real provider, without
/// limits unless a [catalogue](Self::with_catalog) has them.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use polysight::{Error, ErrorKind, Image, VisionProviderExt as _};
/// use polysight::layers::testing::MockProvider;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let busy = Error::new(ErrorKind::Overloaded, "too busy");
/// let mock = MockProvider::new("zhipu").answer("A cat.").error(busy).deltas(["A ", "dog."]);
///
/// let image = || [Image::from_url("https://example.com/a.jpg").unwrap()];
/// assert_eq!(mock.ask("What is it?", image()).await.unwrap().text, "A cat.");
/// assert!(mock.ask("And this?", image()).await.is_err());
/// assert_eq!(mock.ask("And that?", image()).await.unwrap().text, "A dog.");
/// assert_eq!(mock.requests()[1].messages[0].text(), "And this?");
/// assert_eq!((mock.plan_count(), mock.call_count()), (3, 3));
/// # });
/// ```
#[derive(Clone)]
pub struct MockProvider {
    id: ProviderId,
    catalog: Arc<Catalog>,
    model: Arc<str>,
    estimate: Estimate,
    records: Arc<Records>,
}

#[derive(Default)]
struct Records {
    script: Mutex<VecDeque<Reply>>,
    afterwards: Mutex<Option<Reply>>,
    requests: Mutex<Vec<ChatRequest>>,
    plans: AtomicUsize,
    in_flight: AtomicUsize,
    max_in_flight: AtomicUsize,
}

/// One scripted reply.
#[derive(Clone)]
struct Reply {
    events: Vec<StreamEvent>,
    end: End,
    delay: Duration,
    /// Whether a stream opens at once and is slow from event to event, or is slow to open.
    paced: bool,
}

#[derive(Clone)]
enum End {
    Complete(FinishKind),
    Error(Error),
    Never,
}

impl fmt::Debug for MockProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MockProvider({})", self.id)
    }
}

impl MockProvider {
    /// A provider of this name, and of a vendor of the same name, with one model, `mock-vision`.
    ///
    /// Its name stands in answers and errors.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let name = name.into();
        Self {
            id: ProviderId::new(Arc::clone(&name), name),
            catalog: Arc::new(no_models()),
            model: "mock-vision".into(),
            estimate: Estimate::tokens(Count::exact(90), Count::exact(10), Count::exact(0)),
            records: Arc::default(),
        }
    }

    /// Sets the vendor, by which vendor extras are found.
    #[must_use]
    pub fn with_vendor(mut self, vendor: impl Into<Arc<str>>) -> Self {
        self.id.vendor = vendor.into();
        self
    }

    /// Sets the models that it knows, with their limits and prices.
    #[must_use]
    pub fn with_catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = Arc::new(catalog);
        self
    }

    /// Sets the model of requests that name none.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<Arc<str>>) -> Self {
        self.model = model.into();
        self
    }

    /// Sets the token counts of its plans. Default: 90 of text, 10 of pictures.
    #[must_use]
    pub fn with_estimate(mut self, estimate: Estimate) -> Self {
        self.estimate = estimate;
        self
    }

    /// Answers a call with this text.
    #[must_use]
    pub fn answer(self, text: impl Into<String>) -> Self {
        let end = End::Complete(FinishKind::Stop);
        self.then(Reply {
            events: vec![StreamEvent::Text(text.into())],
            end,
            delay: Duration::ZERO,
            paced: false,
        })
    }

    /// Answers a call with a tool call; `arguments` is JSON text.
    #[must_use]
    pub fn answer_call(self, tool: impl Into<String>, arguments: impl Into<String>) -> Self {
        let call = ToolCallDelta::new(0, Some("call-1".to_owned()), Some(tool.into()), arguments.into());
        let end = End::Complete(FinishKind::ToolCalls);
        self.then(Reply {
            events: vec![StreamEvent::ToolCall(call)],
            end,
            delay: Duration::ZERO,
            paced: false,
        })
    }

    /// Fails a call.
    #[must_use]
    pub fn error(self, error: Error) -> Self {
        self.then(Reply { events: Vec::new(), end: End::Error(error), delay: Duration::ZERO, paced: false })
    }

    /// Answers a call in these pieces. A plain call gets them in one.
    #[must_use]
    pub fn deltas(self, texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.pieces(texts, End::Complete(FinishKind::Stop))
    }

    /// Answers a call in these pieces, and fails after them. A plain call fails.
    #[must_use]
    pub fn interrupted(self, texts: impl IntoIterator<Item = impl Into<String>>, error: Error) -> Self {
        self.pieces(texts, End::Error(error))
    }

    /// Never answers a call.
    #[must_use]
    pub fn silence(self) -> Self {
        self.then(Reply { events: Vec::new(), end: End::Never, delay: Duration::ZERO, paced: false })
    }

    /// Delays the last scripted reply. An answer and an error come so much later; a stream of pieces waits so long before
    /// each of its events.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        if let Some(reply) = lock(&self.records.script).back_mut() {
            reply.delay = delay;
        }
        self
    }

    /// Gives the last scripted reply so many times in all.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        {
            let mut script = lock(&self.records.script);
            if let Some(reply) = script.pop_back() {
                script.extend(std::iter::repeat_n(reply, count));
            }
        }
        self
    }

    /// Gives the last scripted reply to all further calls.
    #[must_use]
    pub fn forever(self) -> Self {
        let last = lock(&self.records.script).pop_back();
        *lock(&self.records.afterwards) = last;
        self
    }

    /// The requests of all calls, as they were planned, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        lock(&self.records.requests).clone()
    }

    /// How many plans were sent to it.
    #[must_use]
    pub fn call_count(&self) -> usize {
        lock(&self.records.requests).len()
    }

    /// How many requests it has planned, or refused to plan.
    #[must_use]
    pub fn plan_count(&self) -> usize {
        self.records.plans.load(Ordering::SeqCst)
    }

    /// Calls and streams that are open now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.records.in_flight.load(Ordering::SeqCst)
    }

    /// Most calls and streams that were open at the same time.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.records.max_in_flight.load(Ordering::SeqCst)
    }

    fn pieces(self, texts: impl IntoIterator<Item = impl Into<String>>, end: End) -> Self {
        let events = texts.into_iter().map(|text| StreamEvent::Text(text.into())).collect();
        self.then(Reply { events, end, delay: Duration::ZERO, paced: true })
    }

    fn then(self, reply: Reply) -> Self {
        lock(&self.records.script).push_back(reply);
        self
    }

    fn own_card(&self) -> Arc<ModelCard> {
        let mut card = self.catalog.card(&self.model);
        if !card.known {
            let unlimited = Arc::make_mut(&mut card);
            (unlimited.id, unlimited.known) = (self.model.to_string(), true);
        }
        card
    }

    fn begin(&self, plan: Plan) -> Result<(Reply, ResponseMeta, InFlight)> {
        plan.require_provider(&self.id)?;
        let mut plan = plan.into_plain()?;
        plan.update_grounding(|_, _| None);
        let scripted = lock(&self.records.script).pop_front();
        let reply = scripted.or_else(|| lock(&self.records.afterwards).clone()).unwrap_or_else(|| Reply {
            events: vec![StreamEvent::Text("ok".to_owned())],
            end: End::Complete(FinishKind::Stop),
            delay: Duration::ZERO,
            paced: false,
        });
        let finish = FinishReason::new(FinishKind::Stop, "stop");
        let mut meta = ResponseMeta::new(&*self.id.name, plan.model(), finish);
        let usage = Usage::new(100, 10, 110);
        meta.cost = Price::of(&plan.card.prices, &usage);
        meta.usage = Some(usage);
        meta.rung = plan.rung;
        meta.grounding = plan.grounding;
        meta.adjustments = plan.adjustments;
        lock(&self.records.requests).push(plan.request);
        Ok((reply, meta, InFlight::new(&self.records)))
    }

    fn outcome(&self, end: End, mut meta: ResponseMeta) -> Result<ResponseMeta> {
        match end {
            End::Complete(kind) => {
                meta.finish = FinishReason::new(kind, kind.to_string());
                Ok(meta)
            }
            End::Error(error) => Err(error.with_provider(&*self.id.name)),
            // Calls and streams wait forever before they get here.
            End::Never => Err(Error::new(polysight_core::ErrorKind::Interrupted, "no reply is scripted")),
        }
    }
}

#[expect(clippy::expect_used, reason = "the text is constant, and the tests read it")]
fn no_models() -> Catalog {
    Catalog::from_toml("vendor = \"mock\"\nmodels = []").expect("this is a catalogue without models")
}

struct InFlight(Arc<Records>);

impl InFlight {
    fn new(records: &Arc<Records>) -> Self {
        let open = records.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        records.max_in_flight.fetch_max(open, Ordering::SeqCst);
        Self(Arc::clone(records))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for MockProvider {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        self.records.plans.fetch_add(1, Ordering::SeqCst);
        let card = match &request.model {
            Some(model) => self.catalog.card(model),
            None => self.own_card(),
        };
        PlanBuilder::new(&self.id, request, card).finish(self.estimate.clone())
    }

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        let (reply, meta, _open) = self.begin(plan)?;
        if let End::Never = reply.end {
            return std::future::pending().await;
        }
        require_runtime()?;
        let waits = if reply.paced { reply.events.len() as u32 } else { 1 };
        sleep(reply.delay.saturating_mul(waits)).await;
        let meta = self.outcome(reply.end, meta)?;
        let mut collector = StreamCollector::new();
        reply.events.into_iter().for_each(|event| collector.add(event));
        Ok(collector.complete(meta))
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        require_runtime()?;
        let (reply, meta, open) = self.begin(plan)?;
        if let End::Never = reply.end {
            return std::future::pending().await;
        }
        let delay = if reply.paced { reply.delay } else { Duration::ZERO };
        let end = self.outcome(reply.end, meta);
        if !reply.paced {
            sleep(reply.delay).await;
            if let Err(error) = end {
                return Err(error);
            }
        }
        let end = end.map(|meta| StreamEvent::End(Box::new(meta)));
        let events = reply.events.into_iter().map(Ok).chain([end]).collect();
        Ok(ChatStream::new(Paced { events, delay, timer: None, _open: open }))
    }
}

/// Events with a delay before each.
struct Paced {
    events: VecDeque<Result<StreamEvent>>,
    delay: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    _open: InFlight,
}

impl Stream for Paced {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let delay = self.delay;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(delay)));
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        Poll::Ready(self.events.pop_front())
    }
}

/// What the tests of all layers share.
#[cfg(test)]
mod shared {
    use polysight_core::{Attempt, Message, VisionProviderExt as _};

    use super::*;

    pub(crate) const SECOND: Duration = Duration::from_secs(1);

    /// A mock of a vendor `fake` for the layers' own tests: its models are one that takes five pictures, one that takes none,
    /// an expensive one, and one that takes end users.
    pub(crate) fn mock(name: &str) -> MockProvider {
        const CATALOG: &str = r#"
vendor = "fake"
[defaults]
source = "made up"
as_of = "2026-11-22"
[[models]]
id = "eye"
image = { count = 5 }
prices = [{ currency = "CNY", input = 1.0, output = 2.0 }]
quotas = { requests_per_minute = 60, tokens_per_minute = 10000, concurrency = 2 }
[[models]]
id = "blind"
image = false
[[models]]
id = "dear"
image = { count = 50 }
prices = [{ currency = "CNY", input = 10.0, output = 20.0 }]
[[models]]
id = "hostess"
end_user_id = { min = 1, max = 128 }
"#;
        MockProvider::new(name)
            .with_vendor("fake")
            .with_catalog(Catalog::from_toml(CATALOG).unwrap())
            .with_model("eye")
    }

    pub(crate) fn request() -> ChatRequest {
        ChatRequest::new([Message::user("What is it?")])
    }

    /// The outcome of a whole call, plain or streamed.
    pub(crate) async fn call(
        provider: &dyn VisionProvider,
        request: ChatRequest,
        streamed: bool,
    ) -> Result<ChatResponse> {
        if streamed {
            provider.chat_stream(request).await?.collect_response().await
        } else {
            provider.chat(request).await
        }
    }

    pub(crate) fn codes(attempts: &[Attempt]) -> Vec<&str> {
        attempts.iter().filter_map(|attempt| attempt.code.as_deref()).collect()
    }

    /// Providers and kinds of failed attempts.
    pub(crate) fn listed(attempts: &[Attempt]) -> Vec<String> {
        let name = |attempt: &Attempt| attempt.provider.clone().unwrap_or_else(|| "?".to_owned());
        attempts.iter().map(|attempt| format!("{} {}", name(attempt), attempt.kind.name())).collect()
    }
}

#[cfg(test)]
pub(crate) use shared::*;

#[cfg(test)]
mod tests {
    use polysight_core::{ErrorKind, Message, VisionProviderExt as _};

    use super::*;

    fn ask(text: &str) -> ChatRequest {
        ChatRequest::new([Message::user(text)])
    }

    #[tokio::test(start_paused = true)]
    async fn a_plain_call_and_a_stream_get_the_same_reply() {
        let mock = MockProvider::new("m").deltas(["A ", "cat."]).times(2).answer_call("look", "{}").times(2);
        let plain = mock.chat(ask("?")).await.unwrap();
        let streamed = mock.chat_stream(ask("?")).await.unwrap().collect_response().await.unwrap();
        assert_eq!((plain.text.as_str(), format!("{plain:?}")), ("A cat.", format!("{streamed:?}")));
        let plain = mock.chat(ask("?")).await.unwrap();
        let streamed = mock.chat_stream(ask("?")).await.unwrap().collect_response().await.unwrap();
        assert_eq!((plain.tool_calls[0].name.as_str(), plain.finish.kind), ("look", FinishKind::ToolCalls));
        assert_eq!(format!("{plain:?}"), format!("{streamed:?}"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_plan_of_another_provider_is_refused() {
        let plan = MockProvider::new("a").plan(&ask("?")).unwrap();
        let error = MockProvider::new("b").send(plan).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_reply_can_be_given_forever() {
        let mock =
            MockProvider::new("m").answer("first").error(Error::new(ErrorKind::Server, "down")).forever();
        assert_eq!(mock.chat(ask("?")).await.unwrap().text, "first");
        for _ in 0..3 {
            assert_eq!(mock.chat(ask("?")).await.unwrap_err().provider(), Some("m"));
        }
    }
}
