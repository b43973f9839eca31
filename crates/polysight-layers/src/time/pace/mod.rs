//! How fast a stream must come.

mod meter;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_core::Stream;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Error, Plan, ProviderId, Result, StreamEvent,
    VisionProvider,
};
use serde::Deserialize;

use self::meter::{Meter, Slow, characters};
use super::{done_by, moment_in};
use crate::Env;
use crate::env::Sleep;
use crate::setting::require;

/// How fast a stream must come. The settings are called as a transport's limits of bytes are; here every event of a stream is a piece,
/// and a transport's keep-alive comments are none.
///
/// Only time in which somebody waits for the stream counts: a reader that looks away does no harm to it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PacePolicy {
    /// Longest wait for a stream's first piece, from the question on. Default 300 s: a model that reasons may take
    /// minutes before it says anything. `None`, in a config `false`: for ever.
    #[serde(with = "crate::seconds::optional")]
    pub first_byte: Option<Duration>,
    /// Longest wait between two pieces. Default 90 s. `None`, in a config `false`: for ever.
    #[serde(with = "crate::seconds::optional")]
    pub idle: Option<Duration>,
    /// Fewest characters a second, of text, reasoning and arguments of tool calls. Default: none, since vendors send
    /// long answers at very different speeds.
    pub min_rate: Option<f64>,
    /// Over how long the rate is measured. Default 20 s.
    #[serde(with = "crate::seconds")]
    pub window: Duration,
    /// How long after its first piece a stream is not judged by its rate. Default 20 s; never less than the window.
    #[serde(with = "crate::seconds")]
    pub grace: Duration,
}

impl Default for PacePolicy {
    fn default() -> Self {
        Self {
            first_byte: Some(Duration::from_secs(300)),
            idle: Some(Duration::from_secs(90)),
            min_rate: None,
            window: Duration::from_secs(20),
            grace: Duration::from_secs(20),
        }
    }
}

impl PacePolicy {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the longest wait for a stream's first piece.
    #[must_use]
    pub fn with_first_byte(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.first_byte = wait.into();
        self
    }

    /// Sets the longest wait between two pieces.
    #[must_use]
    pub fn with_idle(mut self, wait: impl Into<Option<Duration>>) -> Self {
        self.idle = wait.into();
        self
    }

    /// Sets the fewest characters a second.
    #[must_use]
    pub fn with_min_rate(mut self, rate: impl Into<Option<f64>>) -> Self {
        self.min_rate = rate.into();
        self
    }

    /// Sets over how long the rate is measured.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how long a stream is not judged by its rate.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Checks that each setting is within its range.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) that names the first setting which is not, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let some_time = |wait: Option<Duration>| wait != Some(Duration::ZERO);
        require(some_time(self.first_byte), "first_byte", self.first_byte, "more than nothing")?;
        require(some_time(self.idle), "idle", self.idle, "more than nothing")?;
        let rate = self.min_rate.unwrap_or(1.0);
        require(rate.is_finite() && rate > 0.0, "min_rate", rate, "a number above 0")?;
        require(!self.window.is_zero(), "window", self.window, "more than nothing")
    }
}

/// Ends streams that stall or trickle, above any provider. Plain calls go through as they are: they have no pieces.
///
/// ```
/// use std::sync::Arc;
/// use polysight_core::VisionProvider;
/// use polysight_layers::{Pace, PacePolicy};
///
/// fn no_trickle(provider: Arc<dyn VisionProvider>) -> Arc<dyn VisionProvider> {
///     Arc::new(Pace::new(provider, PacePolicy::default().with_min_rate(2.0)))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Pace {
    inner: Arc<dyn VisionProvider>,
    policy: PacePolicy,
    env: Env,
}

impl Pace {
    /// Watches over the streams of a provider.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, policy: PacePolicy) -> Self {
        Self { inner, policy, env: Env::default() }
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl VisionProvider for Pace {
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
        self.inner.chat(request).await
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let start = self.env.now();
        let mut meter = Meter::new(self.policy.clone(), &self.inner.id().name);
        let stream = match self.policy.first_byte.and_then(|wait| moment_in(&self.env, wait)) {
            None => self.inner.stream(request).await?,
            Some(end) => match done_by(&self.env, end, self.inner.stream(request)).await {
                None => return Err(meter.error(Slow::First)),
                Some(stream) => stream?,
            },
        };
        meter.waited = self.env.now() - start;
        let env = self.env.clone();
        Ok(stream.map_stream(|stream| Paced { stream, env, meter, since: None, timer: None }))
    }
}

struct Paced {
    stream: ChatStream,
    env: Env,
    meter: Meter,
    /// Since when somebody waits for the next piece.
    since: Option<Instant>,
    /// Goes off when the stream must be judged, or earlier: pieces move that moment, but the timer stays.
    timer: Option<Sleep>,
}

impl Stream for Paced {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let item = Pin::new(&mut this.stream).poll_next(context);
        match &item {
            Poll::Pending => return this.poll_limit(context).map(|slow| Some(Err(slow))),
            Poll::Ready(Some(Ok(event))) => this.note(event),
            Poll::Ready(_) => {}
        }
        item
    }
}

impl Paced {
    fn note(&mut self, event: &StreamEvent) {
        if let Some(since) = self.since.take() {
            self.meter.waited += self.env.now() - since;
        }
        if self.meter.first.is_none() {
            // From here on other limits hold, which may be met earlier.
            self.timer = None;
        }
        self.meter.piece(characters(event));
    }

    /// Ready when the stream is too slow.
    fn poll_limit(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        loop {
            let now = self.env.now();
            let since = *self.since.get_or_insert(now);
            let timer = match &mut self.timer {
                Some(timer) => timer,
                none => {
                    let Some((limit, slow)) = self.meter.limit() else { return Poll::Pending };
                    let waited = self.meter.waited + (now - since);
                    if waited >= limit {
                        return Poll::Ready(self.meter.error(slow));
                    }
                    none.insert(self.env.sleep(limit - waited))
                }
            };
            std::task::ready!(timer.as_mut().poll(context));
            self.timer = None;
        }
    }
}
