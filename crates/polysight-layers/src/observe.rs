//! Shows what happens to calls to observers.

use std::sync::Arc;

use async_trait::async_trait;
use polysight_core::catalog::Money;
use polysight_core::{
    CallEvent, CallOutcome, ChatRequest, ChatResponse, ChatStream, Error, Observer, Observers, Plan,
    ResponseMeta, Result, StreamEvent, VisionProvider,
};
use tokio::time::Instant;

use crate::call::{CallObserver, Reply, observe};

/// Shows every call of a provider to observers: its own, and those of the [request](ChatRequest::observers).
///
/// It belongs outermost, so that each call begins and ends once. Retry and router inside it say which attempts failed, and after
/// how long the next one comes.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::{CallEvent, VisionProvider};
/// use polysight::layers::Observe;
///
/// fn shown(provider: Arc<dyn VisionProvider>) -> Observe {
///     Observe::new(provider).with_observer(Arc::new(|event: &CallEvent<'_>| {
///         if let CallEvent::AttemptFailed { attempt, next_in } = event {
///             eprintln!("{}, again in {} s", attempt.kind, next_in.as_secs());
///         }
///     }))
/// }
/// ```
pub struct Observe {
    inner: Arc<dyn VisionProvider>,
    observers: Observers,
}

show_as_wrapper!(Observe);

impl Observe {
    /// Shows the calls of a provider to the observers of their requests.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>) -> Self {
        Self { inner, observers: Observers::new() }
    }

    /// Shows all calls to this one too.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observers = self.observers.with(observer);
        self
    }

    /// Shows all calls to these too.
    #[must_use]
    pub fn with_observers(mut self, observers: &Observers) -> Self {
        self.observers.extend(observers);
        self
    }

    async fn run<R: Reply>(&self, plan: Plan) -> Result<R> {
        let observers = plan.request.observers.clone();
        if observers.is_empty() {
            return R::request(&*self.inner, plan).await;
        }
        observers.emit(&CallEvent::Planned(&plan));
        let shown = Shown { observers, start: Instant::now(), has_begun: false, is_open: true };
        observe(&*self.inner, plan, shown).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Observe {
    fn id(&self) -> &polysight_core::ProviderId {
        self.inner.id()
    }

    fn catalog(&self) -> &polysight_core::Catalog {
        self.inner.catalog()
    }

    /// Puts the observers on the request, so that every target that plans it has them.
    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        if self.observers.is_empty() {
            return self.inner.plan(request);
        }
        let mut request = request.clone();
        request.observers.extend(&self.observers);
        self.inner.plan(&request)
    }

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        self.run(plan).await
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        self.run(plan).await
    }
}

/// A call on its way to its end.
struct Shown {
    observers: Observers,
    start: Instant,
    has_begun: bool,
    is_open: bool,
}

impl Shown {
    fn end(&mut self, outcome: CallOutcome<'_>, cost: Option<Money>) {
        self.is_open = false;
        self.observers.emit(&CallEvent::Ended { outcome, cost, duration: self.start.elapsed() });
    }
}

impl CallObserver for Shown {
    fn on_event(&mut self, event: &StreamEvent) {
        if !self.has_begun && !matches!(event, StreamEvent::End(_)) {
            self.has_begun = true;
            self.observers.emit(&CallEvent::FirstDelta(self.start.elapsed()));
        }
    }

    fn on_end(&mut self, meta: &mut ResponseMeta) {
        let failed = meta.attempts.iter().filter_map(|attempt| attempt.cost.as_ref());
        let add = |sum: Option<Money>, cost: &Money| sum?.checked_add(cost);
        let cost = failed.fold(meta.cost.clone(), add);
        self.end(CallOutcome::Answered(meta), cost);
    }

    fn on_error(&mut self, error: Error) -> Error {
        let cost = error.cost().cloned();
        self.end(CallOutcome::Failed(&error), cost);
        error
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.is_open {
            self.end(CallOutcome::Dropped, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use polysight_core::{ErrorKind, RetryAdvice, VisionProviderExt as _};

    use super::*;
    use crate::lock;
    use crate::testing::{SECOND, call, mock, request};
    use crate::{Retry, RetryPolicy, Router, RouterPolicy, Target};

    /// An observer that writes down what it sees.
    fn witness() -> (Arc<Mutex<Vec<String>>>, Arc<dyn Observer>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let observer = move |event: &CallEvent<'_>| {
            let note = match event {
                CallEvent::Planned(plan) => format!("planned {}", plan.model()),
                CallEvent::AttemptFailed { attempt, next_in } => {
                    format!("{} in {} s", attempt.kind.name(), next_in.as_secs())
                }
                CallEvent::FirstDelta(after) => format!("first after {} s", after.as_secs()),
                CallEvent::Ended { outcome, cost, duration } => {
                    let how = match outcome {
                        CallOutcome::Answered(_) => "answered".to_owned(),
                        CallOutcome::Failed(error) => error.kind().name().to_owned(),
                        _ => "dropped".to_owned(),
                    };
                    let cost = cost.as_ref().map_or("unknown".to_owned(), Money::to_string);
                    format!("{how} after {} s, {cost}", duration.as_secs())
                }
                _ => "?".to_owned(),
            };
            lock(&notes).push(note);
        };
        (seen, Arc::new(observer))
    }

    fn throttled() -> Error {
        let wait = RetryAdvice::After(Some(SECOND * 30));
        Error::new(ErrorKind::RateLimited, "slow down").with_retry(wait)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_shown_from_its_plan_to_its_cost_with_every_wait() {
        for streamed in [false, true] {
            let (seen, observer) = witness();
            let mock = mock("a").error(throttled()).deltas(["a", "b"]).after(SECOND);
            let retry = Retry::new(Arc::new(mock), RetryPolicy::default());
            let layer = Observe::new(Arc::new(retry)).with_observer(observer);
            call(&layer, request(), streamed).await.unwrap();
            let mut expected = vec!["planned eye", "rate_limited in 30 s"];
            if streamed {
                expected.push("first after 31 s");
            }
            expected.push(if streamed {
                "answered after 33 s, 0.000120 CNY"
            } else {
                "answered after 32 s, 0.000120 CNY"
            });
            assert_eq!(*lock(&seen), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_brings_its_own_observer_to_every_target() {
        let (seen, observer) = witness();
        let broken = mock("a").error(Error::new(ErrorKind::Authentication, "wrong key"));
        let targets = [broken, mock("b")].map(|mock| Target::new(Arc::new(mock)));
        let router = Router::new("r", targets, RouterPolicy::default()).unwrap();
        let mut asked = request();
        asked.observers = Observers::new().with(observer);
        Observe::new(Arc::new(router)).chat(asked).await.unwrap();
        assert_eq!(
            *lock(&seen),
            ["planned eye", "authentication in 0 s", "answered after 0 s, 0.000120 CNY"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn failures_and_dropped_calls_end_too_and_a_panic_changes_nothing() {
        let (seen, observer) = witness();
        let mock = mock("a").error(Error::new(ErrorKind::ContentRefused, "no")).silence().answer("ok");
        let layer = Observe::new(Arc::new(mock))
            .with_observer(Arc::new(|_: &CallEvent<'_>| panic!("shown by the test's own output")))
            .with_observer(observer);
        layer.chat(request()).await.unwrap_err();
        assert!(tokio::time::timeout(SECOND, layer.chat(request())).await.is_err());
        assert_eq!(layer.chat(request()).await.unwrap().text, "ok");
        assert_eq!(
            *lock(&seen),
            [
                "planned eye",
                "content_refused after 0 s, unknown",
                "planned eye",
                "dropped after 1 s, unknown",
                "planned eye",
                "answered after 0 s, 0.000120 CNY"
            ]
        );
    }
}
