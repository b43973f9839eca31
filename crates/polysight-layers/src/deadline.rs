//! Longest time of a whole call, whatever the layers inside do with it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use polysight_core::{
    AttemptLog, ChatResponse, ChatStream, Error, ErrorKind, Plan, Result, StreamEvent, TimeoutPhase,
    VisionProvider,
};
use serde::Deserialize;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::call::Reply;
use crate::config::{require, seconds};
use crate::runtime::require_runtime;

/// How long a call may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadlinePolicy {
    /// Longest time of a call, in seconds in a config file; above zero, default 600 s. It covers everything inside: waiting
    /// for the rate limit, retries, other targets, and a stream until its last event.
    #[serde(deserialize_with = "seconds")]
    pub total: Duration,
}

impl Default for DeadlinePolicy {
    fn default() -> Self {
        Self { total: Duration::from_secs(600) }
    }
}

impl DeadlinePolicy {
    /// Checks that the time is above zero.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a `total` of zero.
    pub fn check(&self) -> Result<()> {
        require(!self.total.is_zero(), "total", self.total, "above zero")
    }
}

/// Ends each call that takes too long with [`TimeoutPhase::Total`], and frees everything it holds.
///
/// The error lists the attempts that had failed by then. A stream's time runs until its end has been handed out, the time
/// of a slow reader included.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use std::time::Duration;
/// use polysight::VisionProvider;
/// use polysight::layers::{Deadline, DeadlinePolicy};
///
/// fn within_a_minute(provider: Arc<dyn VisionProvider>) -> Deadline {
///     Deadline::new(provider, DeadlinePolicy { total: Duration::from_secs(60) })
/// }
/// ```
#[derive(Clone)]
pub struct Deadline {
    inner: Arc<dyn VisionProvider>,
    policy: DeadlinePolicy,
}

show_as_wrapper!(Deadline);

impl Deadline {
    /// Limits the calls of a provider.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: DeadlinePolicy) -> Self {
        Self { inner, policy }
    }

    /// Starts a call with its time; `None` in place of the time where no clock will ever show its end.
    async fn start<R: Reply>(&self, mut plan: Plan) -> Result<(R, Option<(Instant, Exceeded)>)> {
        let Some(end) = Instant::now().checked_add(self.policy.total) else {
            return Ok((R::request(&*self.inner, plan).await?, None));
        };
        require_runtime()?;
        let log = plan.attempt_log().cloned().unwrap_or_default();
        plan = plan.with_attempt_log(Some(log.clone()));
        let exceeded = Exceeded {
            total: self.policy.total,
            provider: Arc::clone(&self.inner.id().name),
            start: log.len(),
            log,
        };
        match timeout_at(end, R::request(&*self.inner, plan)).await {
            Ok(reply) => Ok((reply?, Some((end, exceeded)))),
            Err(_) => Err(exceeded.into_error()),
        }
    }
}

/// What the error of a call that took too long says.
struct Exceeded {
    total: Duration,
    provider: Arc<str>,
    log: AttemptLog,
    start: usize,
}

impl Exceeded {
    fn into_error(self) -> Error {
        let message =
            format!("the answer was not complete within {:?}, the deadline of the call", self.total);
        Error::new(ErrorKind::Timeout(TimeoutPhase::Total), message)
            .with_provider(&*self.provider)
            .with_earlier_attempts(self.log.since(self.start))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Deadline {
    impl_layer!(plans with inner);

    async fn send(&self, plan: Plan) -> Result<ChatResponse> {
        Ok(self.start(plan).await?.0)
    }

    async fn stream(&self, plan: Plan) -> Result<ChatStream> {
        let (stream, time): (ChatStream, _) = self.start(plan).await?;
        let Some((end, exceeded)) = time else { return Ok(stream) };
        let timer = Box::pin(sleep_until(end));
        Ok(stream.map_stream(|stream| Limited { stream: Some(stream), timer, exceeded: Some(exceeded) }))
    }
}

struct Limited {
    /// Dropped when the time is up.
    stream: Option<ChatStream>,
    timer: Pin<Box<Sleep>>,
    exceeded: Option<Exceeded>,
}

impl Stream for Limited {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        match Pin::new(stream).poll_next(context) {
            Poll::Pending => ready!(this.timer.as_mut().poll(context)),
            // The final item is delivered even after the deadline.
            Poll::Ready(item @ (None | Some(Err(_) | Ok(StreamEvent::End(_))))) => return Poll::Ready(item),
            Poll::Ready(item) if Instant::now() < this.timer.deadline() => return Poll::Ready(item),
            // A stream that always has an event ready would never look at the timer.
            Poll::Ready(_) => {}
        }
        this.stream = None;
        Poll::Ready(this.exceeded.take().map(|exceeded| Err(exceeded.into_error())))
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::VisionProviderExt as _;

    use super::*;
    use crate::testing::{MockProvider, SECOND, call, codes, mock, request};
    use crate::{Retry, RetryPolicy, Router, RouterPolicy, Target};

    fn limited(inner: impl VisionProvider + 'static, seconds: u32) -> Deadline {
        Deadline::new(Arc::new(inner), DeadlinePolicy { total: SECOND * seconds })
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_call_that_takes_too_long_and_frees_what_it_held() {
        let mock = mock("a").silence().answer("late").after(SECOND * 5);
        for _ in 0..2 {
            let start = Instant::now();
            let error = limited(mock.clone(), 3).chat(request()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
            assert_eq!(start.elapsed().as_secs(), 3);
            assert_eq!(error.provider(), Some("a"));
            assert!(error.message().contains("3s") && !error.is_retryable());
            assert_eq!(mock.in_flight(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lets_an_answer_in_time_through() {
        let early = mock("a").answer("early").after(SECOND * 2);
        assert_eq!(limited(early, 3).chat(request()).await.unwrap().text, "early");
        let streamed = mock("a").deltas(["a", "b"]).after(SECOND);
        let stream = limited(streamed, 4).chat_stream(request()).await.unwrap();
        assert_eq!(stream.collect_response().await.unwrap().text, "ab");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_stream_before_its_head_and_in_its_midst() {
        let mock = mock("a").silence().deltas(["a", "b"]).after(SECOND * 2);
        let error = limited(mock.clone(), 3).chat_stream(request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));

        let start = Instant::now();
        let mut stream = limited(mock.clone(), 3).chat_stream(request()).await.unwrap();
        assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == "a"));
        let error = stream.next_event().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
        assert_eq!(start.elapsed(), SECOND * 3);
        assert!(stream.next_event().await.is_none());
        assert_eq!(mock.in_flight(), 0, "the stream inside is gone though the outer is still held");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_stream_that_never_pauses() {
        let mock = mock("a").deltas(["x"; 1_000]);
        let mut stream = limited(mock, 3).chat_stream(request()).await.unwrap();
        assert!(stream.next_event().await.unwrap().is_ok());
        tokio::time::advance(SECOND * 3).await;
        assert!(stream.next_event().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_nothing_behind_wherever_it_is_dropped() {
        for cut in 0..40 {
            let mock = mock("a").deltas(["a", "b"]).after(SECOND);
            let layer = limited(mock.clone(), 3);
            let reading = async { layer.chat_stream(request()).await.unwrap().collect_response().await };
            let _ = tokio::time::timeout(SECOND * cut / 10, reading).await;
            assert_eq!(mock.in_flight(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_no_clock_can_show_is_no_limit() {
        let layer = Deadline::new(Arc::new(mock("a")), DeadlinePolicy { total: Duration::MAX });
        assert_eq!(layer.chat(request()).await.unwrap().text, "ok");
        let stream = layer.chat_stream(request()).await.unwrap();
        assert_eq!(stream.collect_response().await.unwrap().text, "ok");
        assert!(DeadlinePolicy { total: Duration::ZERO }.check().is_err());
        assert!(DeadlinePolicy::default().check().is_ok());
    }

    fn busy(code: &str) -> Error {
        Error::new(ErrorKind::Server, "busy").with_code(code)
    }

    fn retried(mock: &MockProvider) -> Retry {
        Retry::new(Arc::new(mock.clone()), RetryPolicy::default())
    }

    #[tokio::test(start_paused = true)]
    async fn lists_the_attempts_that_failed_before_it_cuts() {
        for streamed in [false, true] {
            let mock = mock("a").error(busy("1")).error(busy("2")).after(SECOND).silence();
            let error = call(&limited(retried(&mock), 9), request(), streamed).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
            assert_eq!((error.provider(), codes(error.attempts())), (Some("a"), vec!["1", "2"]));
            assert_eq!(error.attempts()[1].duration, SECOND);
            assert_eq!((mock.call_count(), mock.in_flight()), (3, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lists_each_attempt_once_whatever_the_layers_inside() {
        let (a, b) = (
            mock("a").error(busy("1")).error(busy("2")).error(busy("3")),
            mock("b").error(busy("4")).silence(),
        );
        let targets = [&a, &b].map(|mock| Target::new(Arc::new(retried(mock))));
        let router = Router::new("r", targets, RouterPolicy::default()).unwrap();
        let error = limited(limited(router, 20), 30).chat(request()).await.unwrap_err();
        assert_eq!((error.provider(), codes(error.attempts())), (Some("r"), vec!["1", "2", "3", "4"]));
    }

    #[tokio::test(start_paused = true)]
    async fn lists_the_attempts_before_a_stream_that_it_cuts() {
        let mock = mock("a").error(busy("1")).deltas(["x"; 60]).after(SECOND);
        let stream = limited(retried(&mock), 5).chat_stream(request()).await.unwrap();
        let failed = stream.collect_response().await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
        assert_eq!((codes(failed.attempts()), mock.in_flight()), (vec!["1"], 0));
        assert!(failed.partial().unwrap().text.starts_with("xxx"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_plan_that_is_sent_twice_starts_with_an_empty_list_each_time() {
        let mock = mock("a").error(busy("1")).silence().error(busy("2")).silence();
        let layer = limited(retried(&mock), 5);
        let plan = layer.plan(&request()).unwrap();
        for code in ["1", "2"] {
            assert_eq!(codes(layer.send(plan.clone()).await.unwrap_err().attempts()), [code]);
        }
    }
}
