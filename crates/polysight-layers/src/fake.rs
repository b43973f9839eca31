//! A provider that plays a script, for the layers' own tests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, Estimate, FinishKind, FinishReason, Plan,
    ProviderId, Result, StreamEvent, Usage, VisionProvider,
};

/// What the fake does with the next call.
#[derive(Clone)]
pub(crate) enum Play {
    /// Answers with a text after a while.
    Answer(&'static str, Duration),
    /// Fails after a while.
    Fail(Error, Duration),
    /// Streams these pieces with a pause before each, then ends well, or fails.
    Pieces(Vec<&'static str>, Duration, Option<Error>),
    /// Never says anything.
    Silence,
}

impl Play {
    pub(crate) fn answer(text: &'static str) -> Self {
        Self::Answer(text, Duration::ZERO)
    }

    pub(crate) fn fail(error: Error) -> Self {
        Self::Fail(error, Duration::ZERO)
    }
}

/// Plays its script call by call, then answers "ok". Cloning shares the script and the counts.
#[derive(Clone, Debug)]
pub(crate) struct Fake(Arc<State>);

struct State {
    id: ProviderId,
    catalog: Catalog,
    script: Mutex<VecDeque<Play>>,
    requests: Mutex<Vec<ChatRequest>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fake({})", self.id)
    }
}

/// A catalogue with a model that sees five pictures, one that is blind, one that is dear, and one that asks for end users.
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

impl Fake {
    pub(crate) fn new(name: &str, script: impl IntoIterator<Item = Play>) -> Self {
        Self(Arc::new(State {
            id: ProviderId::new(name, "fake"),
            catalog: Catalog::from_toml(CATALOG).unwrap(),
            script: Mutex::new(script.into_iter().collect()),
            requests: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }))
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.0.requests.lock().unwrap().len()
    }

    /// What it was asked.
    pub(crate) fn requests(&self) -> Vec<ChatRequest> {
        self.0.requests.lock().unwrap().clone()
    }

    /// Calls and streams that are open now.
    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    /// Most calls and streams that were open at once.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.0.most_in_flight.load(Ordering::SeqCst)
    }

    fn next(&self, request: &ChatRequest) -> (Play, InFlight) {
        self.0.requests.lock().unwrap().push(request.clone());
        let play = self.0.script.lock().unwrap().pop_front().unwrap_or(Play::answer("ok"));
        (play, InFlight::new(self))
    }

    fn response(&self, plan: &Plan, text: &str) -> ChatResponse {
        let finish = FinishReason::new(FinishKind::Stop, "stop");
        let mut response = ChatResponse::new(&self.0.id.name, plan.model(), finish);
        response.text = text.to_owned();
        response.usage = Some(Usage::new(100, 10, 110));
        response
    }

    fn named(&self, error: Error) -> Error {
        error.with_provider(&self.0.id.name)
    }
}

struct InFlight(Fake);

impl InFlight {
    fn new(fake: &Fake) -> Self {
        let open = fake.0.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        fake.0.most_in_flight.fetch_max(open, Ordering::SeqCst);
        Self(fake.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl VisionProvider for Fake {
    fn id(&self) -> &ProviderId {
        &self.0.id
    }

    fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    fn plan(&self, mut request: ChatRequest) -> Result<Plan> {
        let model = request.model.get_or_insert_with(|| "eye".to_owned()).clone();
        let draft = PlanBuilder::new(request, self.0.catalog.card(&model), false);
        draft.finish(Estimate::tokens(Some(90), Some(10), Some(0))).map_err(|error| self.named(error))
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        let plan = self.plan(request.clone())?;
        let (play, _open) = self.next(&request);
        match play {
            Play::Answer(text, pause) => {
                tokio::time::sleep(pause).await;
                Ok(self.response(&plan, text))
            }
            Play::Fail(error, pause) => {
                tokio::time::sleep(pause).await;
                Err(self.named(error))
            }
            Play::Pieces(pieces, pause, error) => {
                tokio::time::sleep(pause * pieces.len() as u32).await;
                match error {
                    None => Ok(self.response(&plan, &pieces.concat())),
                    Some(error) => Err(self.named(error)),
                }
            }
            Play::Silence => std::future::pending().await,
        }
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let plan = self.plan(request.clone())?;
        let (play, open) = self.next(&request);
        let (pieces, pause, error) = match play {
            Play::Answer(text, pause) => {
                tokio::time::sleep(pause).await;
                (vec![text], Duration::ZERO, None)
            }
            Play::Fail(error, pause) => {
                tokio::time::sleep(pause).await;
                return Err(self.named(error));
            }
            Play::Pieces(pieces, pause, error) => (pieces, pause, error),
            Play::Silence => return std::future::pending().await,
        };
        let end = match error {
            Some(error) => Err(self.named(error)),
            None => {
                let mut whole = ChatStream::from_response(self.response(&plan, ""));
                whole.next_event().await.unwrap()
            }
        };
        let texts = pieces.into_iter().map(|text| Ok(StreamEvent::Text(text.to_owned())));
        let events = texts.chain([end]).collect();
        Ok(ChatStream::new(Paced { events, pause, timer: None, _open: open }))
    }
}

/// Events with a pause before each.
struct Paced {
    events: VecDeque<Result<StreamEvent>>,
    pause: Duration,
    timer: Option<crate::env::Sleep>,
    _open: InFlight,
}

impl futures_core::Stream for Paced {
    type Item = Result<StreamEvent>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let pause = self.pause;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        std::task::ready!(timer.as_mut().poll(context));
        self.timer = None;
        std::task::Poll::Ready(self.events.pop_front())
    }
}
