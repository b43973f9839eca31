//! What a route promises, on providers that play a script.

mod breakers;
mod orders;

use polysight_core::{Attempt, Billed, Estimate, Image, StreamEvent, TimeoutPhase};

use super::*;
use crate::fake::{Fake, Play};

fn request() -> ChatRequest {
    ChatRequest::ask("What is it?", Vec::<Image>::new())
}

fn picture() -> ChatRequest {
    ChatRequest::ask("What is it?", [Image::from_url("https://example.com/a.jpg").unwrap()])
}

fn target(fake: &Fake) -> Target {
    Target::new(Arc::new(fake.clone()))
}

fn route<const N: usize>(fakes: [&Fake; N], policy: RoutePolicy) -> Route {
    Route::new("route", fakes.map(target), policy).unwrap().with_env(Env::seeded(1))
}

fn fallback<const N: usize>(fakes: [&Fake; N]) -> Route {
    route(fakes, RoutePolicy::new())
}

fn failing(kind: ErrorKind) -> Play {
    Play::fail(Error::new(kind, ""))
}

fn slow(milliseconds: u64) -> Play {
    Play::Answer("ok", Duration::from_millis(milliseconds))
}

fn well(name: &str) -> Fake {
    Fake::new(name, [])
}

fn down(name: &str) -> Fake {
    Fake::new(name, std::iter::repeat_n(failing(ErrorKind::Server), 1_000))
}

/// Names and kinds of the tries that failed.
fn told(attempts: &[Attempt]) -> Vec<String> {
    let line =
        |attempt: &Attempt| format!("{} {}", attempt.provider.as_deref().unwrap_or("?"), attempt.kind.name());
    attempts.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn asks_the_next_when_one_fails_and_tells_who_did() {
    let refused = Play::Fail(Error::new(ErrorKind::RateLimited, ""), Duration::from_millis(20));
    let [a, b, c] = [Fake::new("a", [refused]), down("b"), well("c")];
    let answer = fallback([&a, &b, &c]).chat(request()).await.unwrap();
    assert_eq!(answer.provider, "c");
    assert_eq!(told(&answer.attempts), ["a rate_limited", "b server"]);
    assert_eq!(answer.attempts[0].took, Duration::from_millis(20));
    assert_eq!([a.calls(), b.calls(), c.calls()], [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn asks_nobody_else_when_the_first_answers() {
    let [a, b] = [well("a"), well("b")];
    let answer = fallback([&a, &b]).chat(request()).await.unwrap();
    assert_eq!((answer.provider.as_str(), answer.attempts.len(), b.calls()), ("a", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_the_error_and_the_others_are_tries_before_it() {
    let [a, b] = [down("a"), Fake::new("b", [failing(ErrorKind::Overloaded)])];
    let error = fallback([&a, &b]).chat(request()).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Overloaded, Some("b")));
    assert_eq!(told(error.attempts()), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_ends_it_with_the_tries_before_it() {
    let [a, b, c] = [down("a"), Fake::new("b", [failing(ErrorKind::ContentRefused)]), well("c")];
    let error = fallback([&a, &b, &c]).chat(request()).await.unwrap_err();
    assert_eq!((error.kind(), c.calls()), (ErrorKind::ContentRefused, 0));
    assert_eq!(told(error.attempts()), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_timeout_is_not_paid_twice_unless_allowed() {
    let timeout = || failing(ErrorKind::Timeout(TimeoutPhase::FirstByte));
    let [a, b] = [Fake::new("a", [timeout(), timeout()]), well("b")];
    assert!(fallback([&a, &b]).chat(request()).await.is_err());
    let policy = RoutePolicy::new().with_move_on(MoveOn::new().with_repeat(Billed::Likely));
    assert_eq!(route([&a, &b], policy).chat(request()).await.unwrap().provider, "b");
}

#[tokio::test(start_paused = true)]
async fn tries_inside_a_target_keep_their_place_in_the_log() {
    let tried = |code: &str| Error::new(ErrorKind::Server, "").with_code(code).with_provider("a");
    let nested = tried("2").with_earlier_attempts(tried("1").into_attempts(Duration::ZERO));
    let last = Error::new(ErrorKind::Server, "")
        .with_code("4")
        .with_earlier_attempts(tried("3").into_attempts(Duration::ZERO));
    let [a, b] = [Fake::new("a", [Play::fail(nested)]), Fake::new("b", [Play::fail(last)])];
    let error = fallback([&a, &b]).chat(request()).await.unwrap_err();
    let codes: Vec<_> = error.attempts().iter().filter_map(|attempt| attempt.code.as_deref()).collect();
    assert_eq!((codes, error.code()), (vec!["1", "2", "3"], Some("4")));
}

#[tokio::test(start_paused = true)]
async fn no_time_is_told_twice_of_tries_inside_a_target() {
    let second = Duration::from_secs(1);
    let tried = || Error::new(ErrorKind::Server, "").with_provider("a");
    let nested = tried().with_earlier_attempts(tried().into_attempts(second));
    let [a, b] = [Fake::new("a", [Play::Fail(nested, 3 * second)]), well("b")];
    let answer = fallback([&a, &b]).chat(request()).await.unwrap();
    let took: Vec<_> = answer.attempts.iter().map(|attempt| attempt.took.as_secs()).collect();
    assert_eq!(took, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn routes_within_routes_tell_their_tries_in_order() {
    let [a, b, c, d] = [down("a"), down("b"), down("c"), well("d")];
    let inner = |fakes: [&Fake; 2]| Target::new(Arc::new(fallback(fakes)));
    let outer = Route::new("outer", [inner([&a, &b]), inner([&c, &d])], RoutePolicy::new()).unwrap();
    let answer = outer.chat(request()).await.unwrap();
    assert_eq!(told(&answer.attempts), ["a server", "b server", "c server"]);
    let answer = outer.stream(request()).await.unwrap().collect_response().await.unwrap();
    assert_eq!(told(&answer.attempts), ["a server", "b server", "c server"]);
}

#[tokio::test(start_paused = true)]
async fn never_sends_pictures_to_a_blind_model() {
    let [blind, eye] = [well("a"), well("b")];
    let route = dressed([Dressed::new(&blind).with_model("blind"), Dressed::new(&eye)], Order::Given);
    let answer = route.chat(picture()).await.unwrap();
    assert_eq!(told(&answer.attempts), ["a invalid_request"]);
    assert_eq!(answer.attempts[0].took, Duration::ZERO);
    let answer = route.stream(picture()).await.unwrap().collect_response().await.unwrap();
    assert_eq!(told(&answer.attempts), ["a invalid_request"]);
    assert_eq!((blind.calls(), eye.calls()), (0, 2));
    assert_eq!(route.chat(request()).await.unwrap().provider, "a", "it reads well");
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_is_the_error_when_nobody_takes_the_request() {
    let [a, b] = [well("a"), well("b")];
    let blind = [&a, &b].map(|fake| Dressed::new(fake).with_model("blind"));
    let route = dressed(blind, Order::RoundRobin);
    for _ in 0..2 {
        let error = route.chat(picture()).await.unwrap_err();
        assert_eq!(error.provider(), Some("a"), "as listed, whoever's turn it is");
        assert!(!error.violations().is_empty());
        assert_eq!(told(error.attempts()), ["b invalid_request"]);
    }
    assert_eq!(a.calls() + b.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_failure_does_not_hide_it() {
    let [a, b] = [down("a"), well("b")];
    let route = dressed([Dressed::new(&a), Dressed::new(&b).with_model("blind")], Order::Given);
    let error = route.chat(picture()).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Server, Some("a")));
    assert_eq!(told(error.attempts()), ["b invalid_request"]);
}

#[tokio::test(start_paused = true)]
async fn a_models_name_goes_only_to_those_who_know_it() {
    let [a, b, c] = [well("a"), down("b"), down("c")];
    let targets =
        [Dressed::new(&a).of_vendor("x"), Dressed::new(&b).of_vendor("y"), Dressed::new(&c).of_vendor("y")];
    let route = dressed(targets, Order::Given);
    let error = route.chat(request().with_model("y-eye")).await.unwrap_err();
    assert_eq!(told(error.attempts()), ["b server"]);
    assert_eq!(c.requests()[0].model.as_deref(), Some("y-eye"));
    assert_eq!([a.calls(), b.calls(), c.calls()], [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_nobody_knows_goes_only_to_the_first() {
    let [a, b] = [down("a"), well("b")];
    let route =
        dressed([Dressed::new(&a).of_vendor("x"), Dressed::new(&b).of_vendor("y")], Order::RoundRobin);
    for _ in 0..2 {
        assert!(route.chat(request().with_model("next")).await.is_err());
    }
    assert_eq!([a.calls(), b.calls()], [2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_moves_on_before_its_first_event_only() {
    let error = || Error::new(ErrorKind::Server, "");
    let early = Play::Pieces(vec![], Duration::ZERO, Some(error()));
    let late = Play::Pieces(vec!["half"], Duration::ZERO, Some(error()));
    let [a, b] = [Fake::new("a", [early]), Fake::new("b", [late])];
    let mut stream = fallback([&a, &b]).stream(request()).await.unwrap();
    assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == "half"));
    let error = stream.next_event().await.unwrap().unwrap_err();
    assert_eq!(error.provider(), Some("b"));
    assert_eq!(told(error.attempts()), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_at_its_end_who_failed_before() {
    let [a, b] = [down("a"), well("b")];
    let answer = fallback([&a, &b]).stream(request()).await.unwrap().collect_response().await.unwrap();
    assert_eq!((answer.provider.as_str(), answer.text.as_str()), ("b", "ok"));
    assert_eq!(told(&answer.attempts), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn leaves_nothing_behind_when_it_is_dropped() {
    let fake =
        Fake::new("a", [Play::Silence, Play::Silence, Play::Pieces(vec!["a", "b"], Duration::ZERO, None)]);
    let route = fallback([&fake]);
    let brief = Duration::from_secs(1);
    assert!(tokio::time::timeout(brief, route.chat(request())).await.is_err());
    assert!(tokio::time::timeout(brief, route.stream(request())).await.is_err());
    let stream = route.stream(request()).await.unwrap();
    assert_eq!((fake.in_flight(), route.targets()[0].in_flight), (1, 1));
    drop(stream);
    assert_eq!((fake.in_flight(), route.targets()[0].in_flight), (0, 0));
}

#[test]
fn is_called_as_told_and_of_the_common_vendor() {
    let fakes = [well("a"), well("b")];
    let same = fallback([&fakes[0], &fakes[1]]);
    assert_eq!((same.id().name.as_str(), same.id().vendor.as_str()), ("route", "fake"));
    let mixed = dressed(
        [Dressed::new(&fakes[0]).of_vendor("x"), Dressed::new(&fakes[1]).of_vendor("y")],
        Order::Given,
    );
    assert_eq!(mixed.id().vendor, "route");
    assert_eq!(mixed.catalog().vendor(), "x");
}

#[test]
fn keys_of_two_vendors_are_no_pool() {
    let fake = well("a");
    let keys =
        ["x", "y"].map(|vendor| Arc::new(Dressed::new(&fake).of_vendor(vendor)) as Arc<dyn VisionProvider>);
    let error = KeyPool::new(keys, KeyPoolPolicy::new()).unwrap_err().to_string();
    assert!(error.contains(r#"`keys` is ["x", "y"], but must be keys of one vendor"#), "{error}");
}

#[test]
fn plans_with_the_first_that_takes_the_request() {
    let fake = well("a");
    let route = dressed(
        [Dressed::new(&fake).with_model("blind"), Dressed::new(&fake).with_model("dear")],
        Order::Given,
    );
    assert_eq!(route.plan(picture()).unwrap().model(), "dear");
    assert_eq!(route.plan(request()).unwrap().model(), "blind");
    let none = dressed([Dressed::new(&fake).with_model("blind")], Order::Given);
    assert!(!none.plan(picture()).unwrap_err().violations().is_empty());
    assert_eq!(fake.calls(), 0);
}

#[test]
fn refuses_what_cannot_be_a_route() {
    let fake = well("a");
    let refused = |targets: Vec<Target>, policy| Route::new("r", targets, policy).unwrap_err().to_string();
    assert_eq!(
        refused(vec![], RoutePolicy::new()),
        "r: configuration: no targets are given (allowed: at least one)"
    );
    assert_eq!(
        refused(vec![target(&fake).with_weight(-1.0)], RoutePolicy::new()),
        "r: configuration: `a.weight` is -1.0, but must be 0 or more"
    );
    let policy = RoutePolicy::new().with_breaker(BreakerPolicy::new().with_consecutive(0));
    assert!(refused(vec![target(&fake)], policy).contains("`breaker.consecutive` is 0"));
    let policy = RoutePolicy::new().with_half_life(Duration::ZERO);
    assert!(refused(vec![target(&fake)], policy).contains("`half_life` is 0ns"));
}

fn dressed<const N: usize>(targets: [Dressed; N], order: Order) -> Route {
    let targets = targets.map(|target| Target::new(Arc::new(target)));
    Route::new("route", targets, RoutePolicy::new().with_order(order)).unwrap().with_env(Env::seeded(1))
}

/// A fake under another vendor's name, with a model of its own when none is named, or at another price.
#[derive(Debug)]
struct Dressed {
    fake: Fake,
    id: ProviderId,
    catalog: Catalog,
    model: &'static str,
    estimate: Option<Estimate>,
}

impl Dressed {
    fn new(fake: &Fake) -> Self {
        let (id, catalog) = (fake.id().clone(), fake.catalog().clone());
        Self { fake: fake.clone(), id, catalog, model: "eye", estimate: None }
    }

    fn of_vendor(mut self, vendor: &str) -> Self {
        let toml = format!(
            "vendor = '{vendor}'\n[[models]]\nid = '{vendor}-eye'\nsource = 's'\nas_of = '2026-11-22'"
        );
        self.catalog = Catalog::from_toml(&toml).unwrap();
        self.id = ProviderId::new(&self.id.name, vendor);
        self
    }

    fn with_model(mut self, model: &'static str) -> Self {
        self.model = model;
        self
    }

    fn with_estimate(mut self, estimate: Estimate) -> Self {
        self.estimate = Some(estimate);
        self
    }

    fn own(&self, mut request: ChatRequest) -> ChatRequest {
        request.model.get_or_insert_with(|| self.model.to_owned());
        request
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Dressed {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        let mut plan = self.fake.plan(self.own(request))?;
        if let Some(estimate) = &self.estimate {
            plan.estimate = estimate.clone();
        }
        Ok(plan)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        self.fake.chat(self.own(request)).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        self.fake.stream(self.own(request)).await
    }
}
