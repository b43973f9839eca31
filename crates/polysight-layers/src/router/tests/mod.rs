//! What a router promises, on providers that play a script.

mod breakers;
mod strategies;

use std::time::Duration;

use polysight_core::{Attempt, Billed, Image, Message, StreamEvent, TimeoutPhase, VisionProviderExt as _};

use super::*;
use crate::testing::{MockProvider, mock};

fn request() -> ChatRequest {
    ChatRequest::new([Message::user("What is it?")])
}

fn picture() -> ChatRequest {
    ChatRequest::ask("What is it?", [Image::from_url("https://example.com/a.jpg").unwrap()])
}

fn target(mock: &MockProvider) -> Target {
    Target::new(Arc::new(mock.clone()))
}

fn router<const N: usize>(mocks: [&MockProvider; N], policy: RouterPolicy) -> Router {
    Router::new("router", mocks.map(target), policy).unwrap().with_seed(1)
}

fn with_strategy(strategy: Strategy) -> RouterPolicy {
    RouterPolicy { strategy, ..RouterPolicy::default() }
}

fn fallback<const N: usize>(mocks: [&MockProvider; N]) -> Router {
    router(mocks, RouterPolicy::default())
}

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "")
}

fn down(name: &str) -> MockProvider {
    mock(name).error(error(ErrorKind::Server)).forever()
}

/// Names and kinds of the attempts that failed.
fn listed(attempts: &[Attempt]) -> Vec<String> {
    let line =
        |attempt: &Attempt| format!("{} {}", attempt.provider.as_deref().unwrap_or("?"), attempt.kind.name());
    attempts.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn tries_the_next_when_one_fails_and_names_the_one_that_answered() {
    let limited = mock("a").error(error(ErrorKind::RateLimited)).after(Duration::from_millis(20));
    let [a, b, c] = [limited, down("b"), mock("c")];
    let answer = fallback([&a, &b, &c]).chat(request()).await.unwrap();
    assert_eq!(answer.provider, "c");
    assert_eq!(listed(&answer.attempts), ["a rate_limited", "b server"]);
    assert_eq!(answer.attempts[0].duration, Duration::from_millis(20));
    assert_eq!([a.call_count(), b.call_count(), c.call_count()], [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn tries_no_other_when_the_first_answers() {
    let [a, b] = [mock("a"), mock("b")];
    let answer = fallback([&a, &b]).chat(request()).await.unwrap();
    assert_eq!((answer.provider.as_str(), answer.attempts.len(), b.call_count()), ("a", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_the_error_and_the_others_are_attempts_before_it() {
    let [a, b] = [down("a"), mock("b").error(error(ErrorKind::Overloaded))];
    let error = fallback([&a, &b]).chat(request()).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Overloaded, Some("b")));
    assert_eq!(listed(error.attempts()), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn a_final_failure_ends_it_with_the_attempts_before_it() {
    let [a, b, c] = [down("a"), mock("b").error(error(ErrorKind::ContentRefused)), mock("c")];
    let error = fallback([&a, &b, &c]).chat(request()).await.unwrap_err();
    assert_eq!((error.kind(), c.call_count()), (ErrorKind::ContentRefused, 0));
    assert_eq!(listed(error.attempts()), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_timeout_is_not_paid_twice_unless_allowed() {
    let timeout = error(ErrorKind::Timeout(TimeoutPhase::FirstByte));
    let [a, b] = [mock("a").error(timeout).times(2), mock("b")];
    assert!(fallback([&a, &b]).chat(request()).await.is_err());
    let policy = RouterPolicy { max_billed: Billed::Likely, ..RouterPolicy::default() };
    assert_eq!(router([&a, &b], policy).chat(request()).await.unwrap().provider, "b");
}

#[tokio::test(start_paused = true)]
async fn attempts_inside_a_target_keep_their_place_in_the_list() {
    let tried = |code: &str| Error::new(ErrorKind::Server, "").with_code(code).with_provider("a");
    let nested = tried("2").with_earlier_attempts(tried("1").into_attempts(Duration::ZERO));
    let last = Error::new(ErrorKind::Server, "")
        .with_code("4")
        .with_earlier_attempts(tried("3").into_attempts(Duration::ZERO));
    let [a, b] = [mock("a").error(nested), mock("b").error(last)];
    let error = fallback([&a, &b]).chat(request()).await.unwrap_err();
    let codes: Vec<_> = error.attempts().iter().filter_map(|attempt| attempt.code.as_deref()).collect();
    assert_eq!((codes, error.code()), (vec!["1", "2", "3"], Some("4")));
}

#[tokio::test(start_paused = true)]
async fn no_time_is_listed_twice_of_attempts_inside_a_target() {
    let second = Duration::from_secs(1);
    let tried = || Error::new(ErrorKind::Server, "").with_provider("a");
    let nested = tried().with_earlier_attempts(tried().into_attempts(second));
    let [a, b] = [mock("a").error(nested).after(3 * second), mock("b")];
    let answer = fallback([&a, &b]).chat(request()).await.unwrap();
    let durations: Vec<_> = answer.attempts.iter().map(|attempt| attempt.duration.as_secs()).collect();
    assert_eq!(durations, [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn routers_within_routers_list_their_attempts_in_order() {
    let [a, b, c, d] = [down("a"), down("b"), down("c"), mock("d")];
    let inner = |mocks: [&MockProvider; 2]| Target::new(Arc::new(fallback(mocks)));
    let outer = Router::new("outer", [inner([&a, &b]), inner([&c, &d])], RouterPolicy::default()).unwrap();
    let answer = outer.chat(request()).await.unwrap();
    assert_eq!(listed(&answer.attempts), ["a server", "b server", "c server"]);
    let answer = outer.chat_stream(request()).await.unwrap().collect_response().await.unwrap();
    assert_eq!(listed(&answer.attempts), ["a server", "b server", "c server"]);
}

#[tokio::test(start_paused = true)]
async fn never_sends_pictures_to_a_blind_model() {
    let [blind, eye] = [mock("a").with_model("blind"), mock("b")];
    let route = fallback([&blind, &eye]);
    let answer = route.chat(picture()).await.unwrap();
    assert_eq!(listed(&answer.attempts), ["a invalid_request"]);
    assert_eq!(answer.attempts[0].duration, Duration::ZERO);
    let answer = route.chat_stream(picture()).await.unwrap().collect_response().await.unwrap();
    assert_eq!(listed(&answer.attempts), ["a invalid_request"]);
    assert_eq!((blind.call_count(), eye.call_count()), (0, 2));
    assert_eq!(route.chat(request()).await.unwrap().provider, "a", "it reads well");
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_is_the_error_when_no_target_takes_the_request() {
    let [a, b] = [mock("a"), mock("b")].map(|mock| mock.with_model("blind"));
    let route = router([&a, &b], with_strategy(Strategy::RoundRobin));
    for _ in 0..2 {
        let error = route.chat(picture()).await.unwrap_err();
        assert_eq!(error.provider(), Some("a"), "as listed, whichever's turn it is");
        assert!(!error.violations().is_empty());
        assert_eq!(listed(error.attempts()), ["b invalid_request"]);
    }
    assert_eq!(a.call_count() + b.call_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_failure_does_not_hide_it() {
    let [a, b] = [down("a"), mock("b").with_model("blind")];
    let route = fallback([&a, &b]);
    let error = route.chat(picture()).await.unwrap_err();
    assert_eq!((error.kind(), error.provider()), (ErrorKind::Server, Some("a")));
    assert_eq!(listed(error.attempts()), ["b invalid_request"]);
}

#[tokio::test(start_paused = true)]
async fn a_models_name_goes_only_to_targets_that_know_it() {
    let [a, b, c] = [of_vendor(mock("a"), "x"), of_vendor(down("b"), "y"), of_vendor(down("c"), "y")];
    let route = fallback([&a, &b, &c]);
    let error = route.chat(request().with_model("y-eye")).await.unwrap_err();
    assert_eq!(listed(error.attempts()), ["b server"]);
    assert_eq!(c.requests()[0].model.as_deref(), Some("y-eye"));
    assert_eq!([a.call_count(), b.call_count(), c.call_count()], [0, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_no_target_knows_goes_only_to_the_first() {
    let [a, b] = [of_vendor(down("a"), "x"), of_vendor(mock("b"), "y")];
    let route = router([&a, &b], with_strategy(Strategy::RoundRobin));
    for _ in 0..2 {
        assert!(route.chat(request().with_model("next")).await.is_err());
    }
    assert_eq!([a.call_count(), b.call_count()], [2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_fails_over_before_its_first_event_only() {
    let server = || error(ErrorKind::Server);
    let early = mock("a").interrupted(Vec::<&str>::new(), server());
    let [a, b] = [early, mock("b").interrupted(["half"], server())];
    let mut stream = fallback([&a, &b]).chat_stream(request()).await.unwrap();
    assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == "half"));
    let error = stream.next_event().await.unwrap().unwrap_err();
    assert_eq!(error.provider(), Some("b"));
    assert_eq!(listed(error.attempts()), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn a_streams_end_lists_the_targets_that_failed_before() {
    let [a, b] = [down("a"), mock("b")];
    let answer = fallback([&a, &b]).chat_stream(request()).await.unwrap().collect_response().await.unwrap();
    assert_eq!((answer.provider.as_str(), answer.text.as_str()), ("b", "ok"));
    assert_eq!(listed(&answer.attempts), ["a server"]);
}

#[tokio::test(start_paused = true)]
async fn leaves_nothing_behind_when_it_is_dropped() {
    let mock = mock("a").silence().times(2).deltas(["a", "b"]);
    let route = fallback([&mock]);
    let brief = Duration::from_secs(1);
    assert!(tokio::time::timeout(brief, route.chat(request())).await.is_err());
    assert!(tokio::time::timeout(brief, route.chat_stream(request())).await.is_err());
    let stream = route.chat_stream(request()).await.unwrap();
    assert_eq!((mock.in_flight(), route.targets()[0].in_flight), (1, 1));
    drop(stream);
    assert_eq!((mock.in_flight(), route.targets()[0].in_flight), (0, 0));
}

#[test]
fn has_the_given_name_and_the_common_vendor() {
    let mocks = [mock("a"), mock("b")];
    let same = fallback([&mocks[0], &mocks[1]]);
    assert_eq!((&*same.id().name, &*same.id().vendor), ("router", "fake"));
    let [x, y] = [of_vendor(mock("a"), "x"), of_vendor(mock("b"), "y")];
    let mixed = fallback([&x, &y]);
    assert_eq!((&*mixed.id().vendor, mixed.catalog().vendor()), ("router", "x"));
}

#[test]
fn plans_with_the_first_that_takes_the_request() {
    let mock = mock("a");
    let [blind, dear] = ["blind", "dear"].map(|model| mock.clone().with_model(model));
    let route = fallback([&blind, &dear]);
    assert_eq!(route.plan(&picture()).unwrap().model(), "dear");
    assert_eq!(route.plan(&request()).unwrap().model(), "blind");
    assert!(!fallback([&blind]).plan(&picture()).unwrap_err().violations().is_empty());
    assert_eq!(mock.call_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_its_own_plans_are_sent() {
    let [a, b] = [mock("a"), mock("b")];
    let route = fallback([&a, &b]);
    let other = Router::new("other", [target(&a)], RouterPolicy::default()).unwrap();
    for plan in [a.plan(&request()).unwrap(), other.plan(&request()).unwrap()] {
        let maker = plan.provider.to_string();
        let refused = route.send(plan.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest, "{maker}");
        assert!(refused.message().contains("cannot be sent by `router`"), "{refused}");
        assert!(route.stream(plan).await.is_err());
    }
    assert_eq!((a.call_count(), b.call_count(), b.plan_count()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_next_target_plans_the_request_as_the_router_got_it() {
    let [a, b] = [down("a"), mock("b").with_model("dear")];
    let route = fallback([&a, &b]);
    let original = request().with_temperature(0.5);
    route.chat(original.clone()).await.unwrap();
    assert_eq!(b.requests()[0].model.as_deref(), Some("dear"), "not the model that the first filled in");
    assert_eq!((a.plan_count(), b.plan_count()), (1, 1));
}

#[test]
fn refuses_what_cannot_be_a_router() {
    let mock = mock("a");
    let refused = |targets: Vec<Target>, policy| Router::new("r", targets, policy).unwrap_err().to_string();
    let policy = RouterPolicy::default;
    assert_eq!(refused(vec![], policy()), "r: configuration: no targets are given (allowed: at least one)");
    assert_eq!(
        refused(vec![target(&mock).with_weight(-1.0)], policy()),
        "r: configuration: `a.weight` is -1.0, but must be 0 or more"
    );
    let breaker = Some(BreakerPolicy { consecutive_failures: 0, ..BreakerPolicy::default() });
    let bad = RouterPolicy { breaker, ..policy() };
    assert!(refused(vec![target(&mock)], bad).contains("`breaker.consecutive_failures` is 0"));
}

/// A mock of another vendor, with one model.
fn of_vendor(mock: MockProvider, vendor: &str) -> MockProvider {
    let toml =
        format!("vendor = '{vendor}'\n[[models]]\nid = '{vendor}-eye'\nsource = 's'\nas_of = '2026-11-22'");
    mock.with_vendor(vendor)
        .with_catalog(Catalog::from_toml(&toml).unwrap())
        .with_model(format!("{vendor}-eye"))
}
