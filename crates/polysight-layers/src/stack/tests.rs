//! Each target that is tried plans once, whatever the layers around it.

use polysight_core::{Error, ErrorKind, Image, Message, VisionProviderExt as _};

use super::*;
use crate::testing::{MockProvider, mock};
use crate::{KeyPool, KeyPoolPolicy, Router, RouterPolicy, Strategy, Target};
use async_trait::async_trait;
use polysight_core::{Catalog, ChatRequest, ChatResponse, ChatStream, Plan, ProviderId};

/// Fills in defaults as a role of a config file does, and names no model.
#[derive(Debug)]
struct Role(Arc<dyn VisionProvider>);

#[async_trait]
impl VisionProvider for Role {
    fn id(&self) -> &ProviderId {
        self.0.id()
    }
    fn catalog(&self) -> &Catalog {
        self.0.catalog()
    }
    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        self.0.plan(&request.clone().with_max_tokens(9))
    }
    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        self.0.send(plan).await
    }
    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        self.0.stream(plan).await
    }
}

fn role(provider: Arc<dyn VisionProvider>) -> Arc<dyn VisionProvider> {
    Arc::new(Role(provider))
}

fn retry() -> Stack {
    let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
    Stack { retry: Some(policy), ..Stack::default() }
}

fn limited() -> Stack {
    let policy = RateLimitPolicy { concurrency: Some(4), ..RateLimitPolicy::default() };
    Stack { rate_limit: Some(policy), ..retry() }
}

fn routed(mocks: &[MockProvider], strategy: Strategy) -> Arc<dyn VisionProvider> {
    let targets =
        mocks.iter().map(|mock| Target::new(role(limited().build(Arc::new(mock.clone())).unwrap())));
    Arc::new(Router::new("router", targets, RouterPolicy { strategy, ..RouterPolicy::default() }).unwrap())
}

fn keys(mocks: &[MockProvider]) -> Arc<dyn VisionProvider> {
    let keys = mocks.iter().map(|mock| Arc::new(mock.clone()) as Arc<dyn VisionProvider>);
    Arc::new(
        KeyPool::new(keys, KeyPoolPolicy { strategy: Strategy::Priority, ..Default::default() }).unwrap(),
    )
}

/// A stack of two targets, or of two keys, of which the first fails so often.
type Build = fn(&[MockProvider]) -> Arc<dyn VisionProvider>;

fn stacks() -> Vec<(&'static str, Build, [[usize; 2]; 2])> {
    let one: Build = |mocks| Arc::new(mocks[0].clone());
    #[cfg_attr(
        not(any(feature = "cache", feature = "trace")),
        expect(unused_mut, reason = "features add rows")
    )]
    let mut stacks: Vec<(&'static str, Build, _)> = vec![
        // Plans of the first and the second target, where the first answers, and where it fails for good.
        ("bare", one, [[1, 0], [1, 0]]),
        ("retry", |mocks| retry().build(Arc::new(mocks[0].clone())).unwrap(), [[1, 0], [1, 0]]),
        ("retry, rate limit", |mocks| limited().build(Arc::new(mocks[0].clone())).unwrap(), [[1, 0], [1, 0]]),
        ("retry, key pool", |mocks| retry().build(keys(mocks)).unwrap(), [[1, 0], [1, 0]]),
        ("router of roles", |mocks| routed(mocks, Strategy::Priority), [[1, 0], [1, 1]]),
        ("cheapest of roles", |mocks| routed(mocks, Strategy::Cheapest), [[1, 1], [1, 1]]),
        (
            "router in a router",
            |mocks| {
                let inner = Target::new(role(routed(mocks, Strategy::Priority)));
                Arc::new(Router::new("outer", [inner], RouterPolicy::default()).unwrap())
            },
            [[1, 0], [1, 1]],
        ),
        (
            "deadline, retry, router of roles",
            |mocks| {
                let stack = Stack { deadline: Some(DeadlinePolicy::default()), ..retry() };
                role(stack.build(routed(mocks, Strategy::Priority)).unwrap())
            },
            [[1, 0], [1, 1]],
        ),
    ];
    #[cfg(feature = "cache")]
    stacks.push((
        "cache, router of roles",
        |mocks| {
            let stack = Stack { cache: Some(CachePolicy::default()), ..Stack::default() };
            role(stack.build(routed(mocks, Strategy::Priority)).unwrap())
        },
        [[1, 0], [1, 1]],
    ));
    #[cfg(feature = "trace")]
    stacks.push((
        "trace, router of roles",
        |mocks| {
            let stack =
                Stack { trace: Some(TracePolicy { content: true, metrics: true }), ..Stack::default() };
            role(stack.build(routed(mocks, Strategy::Priority)).unwrap())
        },
        [[1, 0], [1, 1]],
    ));
    #[cfg(all(feature = "cache", feature = "trace"))]
    for (name, strategy, plans) in [
        ("all, router of roles", all_priority as Build, [[1, 0], [1, 1]]),
        ("all, cheapest of roles", all_cheapest as Build, [[1, 1], [1, 1]]),
    ] {
        stacks.push((name, strategy, plans));
    }
    stacks
}

#[cfg(all(feature = "cache", feature = "trace"))]
fn all(mocks: &[MockProvider], strategy: Strategy) -> Arc<dyn VisionProvider> {
    let stack = Stack {
        cache: Some(CachePolicy::default()),
        trace: Some(TracePolicy::default()),
        attempt_trace: Some(TracePolicy::default()),
        deadline: Some(DeadlinePolicy::default()),
        ..Stack::default()
    };
    role(stack.build(routed(mocks, strategy)).unwrap())
}

#[cfg(all(feature = "cache", feature = "trace"))]
fn all_priority(mocks: &[MockProvider]) -> Arc<dyn VisionProvider> {
    all(mocks, Strategy::Priority)
}

#[cfg(all(feature = "cache", feature = "trace"))]
fn all_cheapest(mocks: &[MockProvider]) -> Arc<dyn VisionProvider> {
    all(mocks, Strategy::Cheapest)
}

#[tokio::test(start_paused = true)]
async fn each_target_that_is_tried_plans_once_plain_and_streamed() {
    println!("{:<34} {:>9} {:>8} {:>6} {:>6}", "stack", "first", "call", "plans", "calls");
    for (name, build, expected) in stacks() {
        for (fails, expected) in [false, true].into_iter().zip(expected) {
            for streamed in [false, true] {
                let failing =
                    || mock("a").error(Error::new(ErrorKind::Authentication, "wrong key")).forever();
                let mocks = [if fails { failing() } else { mock("a") }, mock("a")];
                let stack = build(&mocks);
                let request = ChatRequest::new([Message::user("?")]).with_greedy();
                let outcome = match streamed {
                    false => stack.chat(request).await,
                    true => match stack.chat_stream(request).await {
                        Ok(stream) => stream.collect_response().await,
                        Err(error) => Err(error),
                    },
                };
                let plans = [mocks[0].plan_count(), mocks[1].plan_count()];
                let calls = [mocks[0].call_count(), mocks[1].call_count()];
                let (first, call) =
                    (if fails { "fails" } else { "answers" }, if streamed { "streamed" } else { "plain" });
                println!(
                    "{name:<34} {first:>9} {call:>8} {:>6} {:>6}",
                    plans.iter().sum::<usize>(),
                    calls.iter().sum::<usize>()
                );
                assert_eq!(plans, expected, "{name}, the first {first}, {call}");
                let has_second =
                    name.contains("router") || name.contains("cheapest") || name.contains("key pool");
                assert_eq!(outcome.is_ok(), !fails || has_second, "{name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_can_be_shown_and_exactly_that_plan_sent_twice() {
    let mocks = [mock("a"), mock("a")];
    let stack = retry().build(routed(&mocks, Strategy::RoundRobin)).unwrap();
    let plan = stack.plan(&ChatRequest::new([Message::user("?")])).unwrap();
    assert_eq!((plan.model(), plan.request.max_tokens), ("eye", Some(9)));
    for _ in 0..2 {
        stack.send(plan.clone()).await.unwrap();
    }
    assert_eq!((mocks[0].plan_count(), mocks[0].call_count(), mocks[1].plan_count()), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_refused_when_planned_is_not_sent() {
    let mocks = [mock("a").with_model("blind"), mock("a").with_model("blind")];
    let image = Image::from_url("https://example.com/a.jpg").unwrap();
    let error = routed(&mocks, Strategy::Priority).ask("?", [image]).await.unwrap_err();
    assert_eq!((error.kind(), mocks[0].call_count()), (ErrorKind::InvalidRequest, 0));
    assert!(!error.violations().is_empty());
}

#[test]
fn a_stack_shows_itself_in_one_short_line() {
    let stack = Stack { deadline: Some(DeadlinePolicy::default()), ..limited() };
    let mocks = [mock("a"), mock("b")];
    let shown = format!("{:?}", stack.build(routed(&mocks, Strategy::Priority)).unwrap());
    let target = |name| format!("Role(Retry(RateLimit(MockProvider({name}))))");
    let targets = format!("[{}, {}]", target("a"), target("b"));
    assert_eq!(shown, format!("Deadline(Retry(RateLimit(Router(router, {targets}))))"));
}

#[test]
fn a_setting_out_of_range_is_refused_when_the_stack_is_built() {
    let build = |stack: Stack| stack.build(Arc::new(mock("a"))).unwrap_err().kind();
    let deadline = Some(DeadlinePolicy { total: std::time::Duration::ZERO });
    assert_eq!(build(Stack { deadline, ..Stack::default() }), ErrorKind::Config);
    let retry = Some(RetryPolicy { max_attempts: 0, ..RetryPolicy::default() });
    assert_eq!(build(Stack { retry, ..Stack::default() }), ErrorKind::Config);
}
