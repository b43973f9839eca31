//! A whole answer and a stream, asked for in the same way: what layers that ask more than one provider are written
//! over, once for both.

use std::time::Duration;

use polysight_core::{
    Attempt, ChatRequest, ChatResponse, ChatStream, Error, Result, StreamEnd, VisionProvider,
};

use crate::watch::{Watch, watched};

/// What is told of a reply while and after it is handed out. Dropped with the reply, wherever that had come to.
pub(crate) trait Visit: Send + Unpin + 'static {
    /// The answer has come, or a stream's first event.
    fn began(&mut self);

    /// The answer is complete.
    fn ended(&mut self);

    /// The answer failed after it had begun.
    fn failed(&mut self, error: &Error);
}

/// What a provider gives: a whole answer, or a stream that has begun.
pub(crate) trait Reply: Sized + Send + 'static {
    /// True for a stream.
    const STREAMED: bool;

    /// Asks. A stream is ready with its first event, so that one that fails before it counts as not given.
    fn ask(provider: &dyn VisionProvider, request: ChatRequest) -> impl Future<Output = Result<Self>> + Send;

    /// Puts a visit on the reply, and the tries that failed before it on its outcome.
    fn kept(self, visit: impl Visit, earlier: Vec<Attempt>) -> Self;
}

impl Reply for ChatResponse {
    const STREAMED: bool = false;

    async fn ask(provider: &dyn VisionProvider, request: ChatRequest) -> Result<Self> {
        provider.chat(request).await
    }

    fn kept(mut self, mut visit: impl Visit, earlier: Vec<Attempt>) -> Self {
        visit.began();
        visit.ended();
        prepend(&mut self.attempts, earlier);
        self
    }
}

impl Reply for ChatStream {
    const STREAMED: bool = true;

    async fn ask(provider: &dyn VisionProvider, request: ChatRequest) -> Result<Self> {
        provider.stream(request).await?.with_first_event().await
    }

    fn kept(self, mut visit: impl Visit, earlier: Vec<Attempt>) -> Self {
        visit.began();
        watched(self, Visited { visit, earlier })
    }
}

struct Visited<V> {
    visit: V,
    earlier: Vec<Attempt>,
}

impl<V: Visit> Watch for Visited<V> {
    fn end(&mut self, end: &mut StreamEnd) {
        self.visit.ended();
        prepend(&mut end.attempts, std::mem::take(&mut self.earlier));
    }

    fn failed(&mut self, error: Error) -> Error {
        self.visit.failed(&error);
        error.with_earlier_attempts(std::mem::take(&mut self.earlier))
    }
}

/// A failure and the tries before it, which took `took` together: what those inside took is listed with them already.
pub(crate) fn listed(error: Error, took: Duration) -> Vec<Attempt> {
    let spent = |sum: Duration, inner: &Attempt| sum.saturating_add(inner.took).saturating_add(inner.pause);
    let inside = error.attempts().iter().fold(Duration::ZERO, spent);
    // Tries that ran side by side may add up to more than the time that passed: then nothing is taken off.
    let own = took.checked_sub(inside).unwrap_or(took);
    error.into_attempts(own)
}

fn prepend(attempts: &mut Vec<Attempt>, mut earlier: Vec<Attempt>) {
    earlier.append(attempts);
    *attempts = earlier;
}
