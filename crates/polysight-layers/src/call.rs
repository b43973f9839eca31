//! Plain and streamed calls through one interface: what layers are written over, once for both.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use polysight_core::{
    Attempt, ChatResponse, ChatStream, Error, Plan, ResponseMeta, Result, StreamEvent, VisionProvider,
};

/// Follows one call, plain or streamed, to its outcome. Dropped with the reply: what must happen in any case belongs into
/// `Drop`.
pub(crate) trait CallObserver: Send + Unpin + 'static {
    /// A stream's next event is about to be handed out. A plain call has none.
    fn on_event(&mut self, _event: &StreamEvent) {}

    /// The plain answer has arrived.
    fn on_response(&mut self, response: &mut ChatResponse) {
        self.on_end(&mut response.meta);
    }

    /// The answer is complete.
    fn on_end(&mut self, meta: &mut ResponseMeta);

    /// The call failed; the error that is given back is handed out.
    fn on_error(&mut self, error: Error) -> Error;

    /// Wraps each poll of a stream.
    fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        poll()
    }
}

/// What a call gives: a whole answer or a stream.
pub(crate) trait Reply: Sized + Send + 'static {
    /// True for a stream.
    #[cfg(feature = "trace")]
    const STREAMED: bool;

    /// Sends a plan.
    fn request(provider: &dyn VisionProvider, plan: Plan) -> impl Future<Output = Result<Self>> + Send;

    /// Waits for a stream's first event, so that a stream that fails before it counts as failed.
    fn begun(self) -> impl Future<Output = Result<Self>> + Send;

    /// Puts an observer on the reply.
    fn observed(self, observer: impl CallObserver) -> Self;
}

impl Reply for ChatResponse {
    #[cfg(feature = "trace")]
    const STREAMED: bool = false;

    async fn request(provider: &dyn VisionProvider, plan: Plan) -> Result<Self> {
        provider.send(plan).await
    }

    async fn begun(self) -> Result<Self> {
        Ok(self)
    }

    fn observed(mut self, mut observer: impl CallObserver) -> Self {
        observer.on_response(&mut self);
        self
    }
}

impl Reply for ChatStream {
    #[cfg(feature = "trace")]
    const STREAMED: bool = true;

    async fn request(provider: &dyn VisionProvider, plan: Plan) -> Result<Self> {
        provider.stream(plan).await
    }

    async fn begun(self) -> Result<Self> {
        self.with_first_event().await
    }

    fn observed(self, observer: impl CallObserver) -> Self {
        self.map_stream(|stream| Observed { stream, observer })
    }
}

/// Sends a plan, and waits for a stream's first event.
pub(crate) async fn begin<R: Reply>(provider: &dyn VisionProvider, plan: Plan) -> Result<R> {
    let begun = match R::request(provider, plan).await {
        Ok(reply) => reply.begun().await,
        Err(error) => Err(error),
    };
    begun.map_err(|error| named(error, provider))
}

/// Names the provider on an error that names none, so that each attempt says whose it was.
pub(crate) fn named(error: Error, provider: &dyn VisionProvider) -> Error {
    if error.provider().is_some() { error } else { error.with_provider(&*provider.id().name) }
}

/// Sends a plan and puts the observer on the outcome, be it a reply or an error.
pub(crate) async fn observe<R: Reply>(
    provider: &dyn VisionProvider,
    plan: Plan,
    mut observer: impl CallObserver,
) -> Result<R> {
    match R::request(provider, plan).await {
        Ok(reply) => Ok(reply.observed(observer)),
        Err(error) => Err(observer.on_error(error)),
    }
}

struct Observed<O> {
    // Before the observer: what ends with the stream ends while it is still observed.
    stream: ChatStream,
    observer: O,
}

impl<O: CallObserver> Stream for Observed<O> {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, observer } = &mut *self;
        observer.poll(|| Pin::new(stream).poll_next(context)).map(|item| {
            item.map(|event| match event {
                Ok(mut event) => {
                    observer.on_event(&event);
                    if let StreamEvent::End(meta) = &mut event {
                        observer.on_end(meta);
                    }
                    Ok(event)
                }
                Err(error) => Err(observer.on_error(error)),
            })
        })
    }
}

/// Lists earlier failed attempts on whatever a call ends with.
pub(crate) struct EarlierAttempts(pub(crate) Vec<Attempt>);

impl CallObserver for EarlierAttempts {
    fn on_end(&mut self, meta: &mut ResponseMeta) {
        meta.attempts.splice(..0, std::mem::take(&mut self.0));
    }

    fn on_error(&mut self, error: Error) -> Error {
        error.with_earlier_attempts(std::mem::take(&mut self.0))
    }
}

/// A failure and the attempts before it, which took `duration` together: the time of those inside is listed with them.
pub(crate) fn attempts_of(error: Error, duration: Duration) -> Vec<Attempt> {
    let spent =
        |sum: Duration, inner: &Attempt| sum.saturating_add(inner.duration).saturating_add(inner.delay);
    let inside = error.attempts().iter().fold(Duration::ZERO, spent);
    // Where a provider lists more time than has passed, nothing is taken off.
    let own = duration.checked_sub(inside).unwrap_or(duration);
    error.into_attempts(own)
}

#[cfg(test)]
mod tests {
    use polysight_core::ErrorKind;

    use super::*;
    use crate::testing::mock;

    #[test]
    fn an_error_without_a_name_gets_that_of_its_provider_and_others_keep_theirs() {
        let error = || Error::new(ErrorKind::Server, "");
        assert_eq!(named(error(), &mock("a")).provider(), Some("a"));
        assert_eq!(named(error().with_provider("b"), &mock("a")).provider(), Some("b"));
        let attempts = attempts_of(named(error(), &mock("a")), Duration::ZERO);
        assert_eq!(attempts[0].provider.as_deref(), Some("a"));
    }
}
