//! Layers in the order that works.

use std::sync::Arc;

use polysight_core::{Observers, Result, VisionProvider};

use crate::rate_limit::{RateLimit, RateLimitPolicy, RateLimitStore};
use crate::{Budget, Deadline, DeadlinePolicy, Ledger, Observe, Retry, RetryBudget, RetryPolicy};
#[cfg(feature = "cache")]
use crate::{Cache, CachePolicy};
#[cfg(feature = "trace")]
use crate::{Trace, TracePolicy};

/// The layers around a provider. They are put in the one order that works, whatever the order in which they are named.
///
/// From the outside: observers, trace of the call, cache, deadline, retry, trace of each attempt, budget, rate limit, provider. The crate's
/// guide gives the reason for each place. A [`Router`](crate::Router) or a [`KeyPool`](crate::KeyPool) is a provider to the
/// stack around it, and its targets may be stacks themselves.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::{Result, VisionProvider};
/// use polysight::layers::{DeadlinePolicy, RateLimitPolicy, RetryPolicy, Stack};
///
/// fn steady(provider: Arc<dyn VisionProvider>) -> Result<Arc<dyn VisionProvider>> {
///     let stack = Stack {
///         retry: Some(RetryPolicy::default()),
///         rate_limit: Some(RateLimitPolicy { concurrency: Some(8), ..RateLimitPolicy::default() }),
///         deadline: Some(DeadlinePolicy::default()),
///         ..Stack::default()
///     };
///     stack.build(provider)
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Keeps calls within the vendor's limits. Default: none.
    pub rate_limit: Option<RateLimitPolicy>,
    /// A fingerprint of the account's key, never the key: calls of one account to one
    /// [endpoint](polysight_core::ProviderId::endpoint) share one rate limit. Default: empty.
    pub account: String,
    /// Counts the rate limit in a store that other stacks or processes share. Default: this stack alone.
    pub rate_limit_store: Option<Arc<dyn RateLimitStore>>,
    /// Keeps every attempt within these ledgers' budgets, the first of them outermost. Default: none.
    pub ledgers: Vec<Ledger>,
    /// Repeats failed calls. Default: none.
    pub retry: Option<RetryPolicy>,
    /// Pays for retries from a budget that other stacks share. Default: a budget of this stack.
    pub retry_budget: Option<RetryBudget>,
    /// Limits the time of a whole call. Default: none.
    pub deadline: Option<DeadlinePolicy>,
    /// Remembers answers. Default: none.
    #[cfg(feature = "cache")]
    pub cache: Option<CachePolicy>,
    /// Records each call. Default: none.
    #[cfg(feature = "trace")]
    pub trace: Option<TracePolicy>,
    /// Shows every call to these, and to the observers of its request. Default: none, and not those of requests either.
    pub observers: Option<Observers>,
    /// Names the role in the trace of the call and in the ledgers. Default: none.
    pub role: Option<String>,
    /// Records each attempt, inside the retry. Default: none.
    #[cfg(feature = "trace")]
    pub attempt_trace: Option<TracePolicy>,
}

impl Stack {
    /// Checks the policies and puts the layers around a provider.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) for a setting out of range.
    pub fn build(self, mut provider: Arc<dyn VisionProvider>) -> Result<Arc<dyn VisionProvider>> {
        if let Some(policy) = self.rate_limit {
            policy.check()?;
            let limited = RateLimit::new(provider, policy).with_account(self.account);
            provider = Arc::new(match self.rate_limit_store {
                Some(store) => limited.with_store(store),
                None => limited,
            });
        }
        for ledger in self.ledgers.into_iter().rev() {
            let role = self.role.as_deref().unwrap_or_default();
            provider = Arc::new(Budget::new(provider, ledger).with_role(role));
        }
        #[cfg(feature = "trace")]
        if let Some(policy) = self.attempt_trace {
            provider = Arc::new(Trace::attempt(provider, policy));
        }
        if let Some(policy) = self.retry {
            policy.check()?;
            let retry = Retry::new(provider, policy);
            provider = Arc::new(match self.retry_budget {
                Some(budget) => retry.with_budget(budget),
                None => retry,
            });
        }
        if let Some(policy) = self.deadline {
            policy.check()?;
            provider = Arc::new(Deadline::new(provider, policy));
        }
        #[cfg(feature = "cache")]
        if let Some(policy) = self.cache {
            policy.check()?;
            provider = Arc::new(Cache::new(provider, policy));
        }
        #[cfg(feature = "trace")]
        if let Some(policy) = self.trace {
            let trace = Trace::call(provider, policy);
            provider = Arc::new(match self.role {
                Some(role) => trace.with_role(role),
                None => trace,
            });
        }
        if let Some(observers) = self.observers {
            provider = Arc::new(Observe::new(provider).with_observers(&observers));
        }
        Ok(provider)
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::{Error, ErrorKind, Image, VisionProviderExt as _};

    use super::*;
    use crate::testing::{MockProvider, call, mock, request};
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

    /// The stack of the layers that are named.
    fn stack(layers: &str) -> Stack {
        let has = |layer| layers.split(' ').any(|name| name == layer);
        Stack {
            retry: has("retry").then(|| RetryPolicy { max_attempts: 2, ..RetryPolicy::default() }),
            rate_limit: has("limit")
                .then(|| RateLimitPolicy { concurrency: Some(4), ..RateLimitPolicy::default() }),
            deadline: has("deadline").then(DeadlinePolicy::default),
            #[cfg(feature = "cache")]
            cache: has("cache").then(CachePolicy::default),
            #[cfg(feature = "trace")]
            trace: has("trace").then_some(TracePolicy { content: true, metrics: true }),
            #[cfg(feature = "trace")]
            attempt_trace: has("attempts").then(TracePolicy::default),
            ..Stack::default()
        }
    }

    fn routed(mocks: &[MockProvider], strategy: Strategy) -> Arc<dyn VisionProvider> {
        let target = |mock: &MockProvider| stack("retry limit").build(Arc::new(mock.clone())).unwrap();
        let targets = mocks.iter().map(|mock| Target::new(role(target(mock))));
        let policy = RouterPolicy { strategy, ..RouterPolicy::default() };
        Arc::new(Router::new("router", targets, policy).unwrap())
    }

    /// What a stack stands around: one provider, or two targets or keys of which the first may fail.
    fn inside(name: &str, mocks: &[MockProvider]) -> Arc<dyn VisionProvider> {
        let keys = mocks.iter().map(|mock| Arc::new(mock.clone()) as Arc<dyn VisionProvider>);
        match name {
            "one" => Arc::new(mocks[0].clone()),
            "keys" => {
                let policy = KeyPoolPolicy { strategy: Strategy::Priority, ..KeyPoolPolicy::default() };
                Arc::new(KeyPool::new(keys, policy).unwrap())
            }
            "router" => routed(mocks, Strategy::Priority),
            "cheapest" => routed(mocks, Strategy::Cheapest),
            _ => {
                let inner = Target::new(role(routed(mocks, Strategy::Priority)));
                Arc::new(Router::new("outer", [inner], RouterPolicy::default()).unwrap())
            }
        }
    }

    /// The layers, what is inside, and the plans of the first and the second target where the first answers and where it
    /// fails for good.
    const STACKS: &[(&str, &str, [[usize; 2]; 2])] = &[
        ("", "one", [[1, 0], [1, 0]]),
        ("retry", "one", [[1, 0], [1, 0]]),
        ("retry limit", "one", [[1, 0], [1, 0]]),
        ("retry", "keys", [[1, 0], [1, 0]]),
        ("", "router", [[1, 0], [1, 1]]),
        ("", "cheapest", [[1, 1], [1, 1]]),
        ("", "router in a router", [[1, 0], [1, 1]]),
        ("deadline retry", "router", [[1, 0], [1, 1]]),
        ("cache", "router", [[1, 0], [1, 1]]),
        ("trace", "router", [[1, 0], [1, 1]]),
        ("trace cache deadline attempts", "router", [[1, 0], [1, 1]]),
        ("trace cache deadline attempts", "cheapest", [[1, 1], [1, 1]]),
    ];

    #[tokio::test(start_paused = true)]
    async fn each_target_that_is_tried_plans_once_plain_and_streamed() {
        println!("{:<48} {:>9} {:>8} {:>6} {:>6}", "stack", "first", "call", "plans", "calls");
        for (layers, inner, expected) in STACKS {
            for (first, expected) in ["answers", "fails"].into_iter().zip(expected) {
                for streamed in [false, true] {
                    let mocks = [mock("a"), mock("a")];
                    let wrong_key = Error::new(ErrorKind::Authentication, "wrong key");
                    let failing = mock("a").error(wrong_key).forever();
                    let mocks = if first == "fails" { [failing, mock("a")] } else { mocks };
                    let stack = role(stack(layers).build(inside(inner, &mocks)).unwrap());
                    let outcome = call(&*stack, request().with_greedy(), streamed).await;
                    let plans = [mocks[0].plan_count(), mocks[1].plan_count()];
                    let calls = mocks[0].call_count() + mocks[1].call_count();
                    let (name, how) =
                        (format!("{layers} ({inner})"), if streamed { "streamed" } else { "plain" });
                    println!("{name:<48} {first:>9} {how:>8} {:>6} {calls:>6}", plans[0] + plans[1]);
                    assert_eq!(plans, *expected, "{name}, the first {first}, {how}");
                    assert_eq!(outcome.is_ok(), first == "answers" || *inner != "one", "{name}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_can_be_shown_and_exactly_that_plan_sent_twice() {
        let mocks = [mock("a"), mock("a")];
        let stack = stack("retry").build(routed(&mocks, Strategy::RoundRobin)).unwrap();
        let plan = stack.plan(&request()).unwrap();
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
        let stack = stack("deadline retry limit");
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
}
