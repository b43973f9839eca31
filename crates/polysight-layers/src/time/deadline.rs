//! Longest time of a whole call, whatever the layers inside do with it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_core::Stream;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, Plan, ProviderId, Result, StreamEvent,
    TimeoutPhase, VisionProvider,
};
use serde::Deserialize;

use super::{done_by, moment_in};
use crate::env::Sleep;
use crate::setting::require;
use crate::{Clock, Env};

/// How long a call may take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DeadlinePolicy {
    /// Longest time of a call, with everything inside: waiting for a place in the quota, retries, and a stream's last
    /// event. Default 600 s.
    #[serde(with = "crate::seconds")]
    pub total: Duration,
}

impl Default for DeadlinePolicy {
    fn default() -> Self {
        Self::new(Duration::from_secs(600))
    }
}

impl DeadlinePolicy {
    /// Gives a call this long.
    #[must_use]
    pub fn new(total: Duration) -> Self {
        Self { total }
    }

    /// Sets the longest time of a call.
    #[must_use]
    pub fn with_total(mut self, total: Duration) -> Self {
        self.total = total;
        self
    }

    /// Checks that there is any time at all.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a `total` of nothing.
    pub fn check(&self) -> Result<()> {
        require(!self.total.is_zero(), "total", self.total, "more than nothing")
    }
}

/// Ends each call that takes too long with [`TimeoutPhase::Total`], and frees everything it holds.
///
/// A stream's time runs until its end has been handed out, a slow reader's share included.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use polysight_core::VisionProvider;
/// use polysight_layers::{Deadline, DeadlinePolicy};
///
/// fn within_a_minute(provider: Arc<dyn VisionProvider>) -> Arc<dyn VisionProvider> {
///     Arc::new(Deadline::new(provider, DeadlinePolicy::new(Duration::from_secs(60))))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Deadline {
    inner: Arc<dyn VisionProvider>,
    policy: DeadlinePolicy,
    env: Env,
}

impl Deadline {
    /// Limits the calls of a provider.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: DeadlinePolicy) -> Self {
        Self { inner, policy, env: Env::default() }
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    fn late(&self) -> Error {
        let message = format!(
            "the answer was not complete within {:?}, the longest a call may take",
            self.policy.total
        );
        Error::new(ErrorKind::Timeout(TimeoutPhase::Total), message).with_provider(&self.inner.id().name)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Deadline {
    fn id(&self) -> &ProviderId {
        self.inner.id()
    }

    fn catalog(&self) -> &Catalog {
        self.inner.catalog()
    }

    fn plan(&self, request: ChatRequest) -> Result<Plan> {
        self.inner.plan(request)
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatResponse> {
        match moment_in(&self.env, self.policy.total) {
            None => self.inner.chat(request).await,
            Some(end) => {
                done_by(&self.env, end, self.inner.chat(request)).await.unwrap_or_else(|| Err(self.late()))
            }
        }
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let Some(end) = moment_in(&self.env, self.policy.total) else {
            return self.inner.stream(request).await;
        };
        match done_by(&self.env, end, self.inner.stream(request)).await {
            None => Err(self.late()),
            Some(stream) => Ok(ended_by(stream?, &self.env, end, self.late())),
        }
    }
}

/// Ends a stream with `late` when its own end has not been handed out by `end`.
pub(crate) fn ended_by(stream: ChatStream, env: &Env, end: Instant, late: Error) -> ChatStream {
    let timer = env.sleep(end.saturating_duration_since(env.now()));
    let clock = Arc::clone(&env.clock);
    stream.map_stream(|stream| Limited { stream, clock, end, timer, late: Some(late) })
}

struct Limited {
    stream: ChatStream,
    clock: Arc<dyn Clock>,
    end: Instant,
    timer: Sleep,
    late: Option<Error>,
}

impl Stream for Limited {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_next(context) {
            Poll::Pending => ready!(this.timer.as_mut().poll(context)),
            // The last item is worth more than a complaint about its hour.
            Poll::Ready(item @ (None | Some(Err(_) | Ok(StreamEvent::End(_))))) => return Poll::Ready(item),
            Poll::Ready(item) if this.clock.now() < this.end => return Poll::Ready(item),
            // A stream that is never at a loss for a piece would never look at the timer.
            Poll::Ready(_) => {}
        }
        Poll::Ready(this.late.take().map(Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, Play};

    const SECOND: Duration = Duration::from_secs(1);

    fn limited(fake: &Fake, seconds: u64) -> Deadline {
        Deadline::new(Arc::new(fake.clone()), DeadlinePolicy::new(SECOND * seconds as u32))
    }

    fn asked() -> ChatRequest {
        ChatRequest::new([polysight_core::Message::user("what is it?")])
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_call_that_takes_too_long_and_frees_what_it_held() {
        let fake = Fake::new("a", [Play::Silence, Play::Answer("late", SECOND * 5)]);
        for _ in 0..2 {
            let start = tokio::time::Instant::now();
            let error = limited(&fake, 3).chat(asked()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
            assert_eq!(start.elapsed().as_secs(), 3);
            assert_eq!(error.provider(), Some("a"));
            assert!(error.message().contains("3s") && !error.is_retryable());
            assert_eq!(fake.in_flight(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lets_an_answer_in_time_through() {
        let fake = Fake::new("a", [Play::Answer("early", SECOND * 2)]);
        assert_eq!(limited(&fake, 3).chat(asked()).await.unwrap().text, "early");
        let fake = Fake::new("a", [Play::Pieces(vec!["a", "b"], SECOND, None)]);
        let stream = limited(&fake, 4).stream(asked()).await.unwrap();
        assert_eq!(stream.collect_response().await.unwrap().text, "ab");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_stream_before_its_head_and_in_its_midst() {
        let fake = Fake::new("a", [Play::Silence, Play::Pieces(vec!["a", "b"], SECOND * 2, None)]);
        let error = limited(&fake, 3).stream(asked()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));

        let start = tokio::time::Instant::now();
        let mut stream = limited(&fake, 3).stream(asked()).await.unwrap();
        assert!(matches!(stream.next_event().await, Some(Ok(StreamEvent::Text(text))) if text == "a"));
        let error = stream.next_event().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout(TimeoutPhase::Total));
        assert_eq!(start.elapsed(), SECOND * 3);
        assert!(stream.next_event().await.is_none());
        assert_eq!(fake.in_flight(), 0, "the stream inside is gone though the outer is still held");
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_stream_that_never_pauses() {
        let fake = Fake::new("a", [Play::Pieces(vec!["x"; 1_000], Duration::ZERO, None)]);
        let mut stream = limited(&fake, 3).stream(asked()).await.unwrap();
        assert!(stream.next_event().await.unwrap().is_ok());
        tokio::time::advance(SECOND * 3).await;
        assert!(stream.next_event().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn leaves_nothing_behind_wherever_it_is_dropped() {
        for cut in 0..40 {
            let fake = Fake::new("a", [Play::Pieces(vec!["a", "b"], SECOND, None)]);
            let layer = limited(&fake, 3);
            let reading = async { layer.stream(asked()).await.unwrap().collect_response().await };
            let _ = tokio::time::timeout(SECOND * cut / 10, reading).await;
            assert_eq!(fake.in_flight(), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_no_clock_can_show_is_no_limit() {
        let fake = Fake::new("a", []);
        let layer = Deadline::new(Arc::new(fake), DeadlinePolicy::new(Duration::MAX));
        assert_eq!(layer.chat(asked()).await.unwrap().text, "ok");
        assert!(DeadlinePolicy::new(Duration::ZERO).check().is_err());
        assert!(DeadlinePolicy::default().check().is_ok());
    }
}
