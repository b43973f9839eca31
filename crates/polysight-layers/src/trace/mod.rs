//! Spans of the `tracing` crate and metrics of the `metrics` crate.
//!
//! What is promised: one span for each operation and one for each try beneath it, which live as long as the call or its
//! stream does; no picture, link, key or, unless [asked for](TracePolicy::content), text in any of them; labels of
//! metrics out of small sets only. Without a subscriber that is interested no span is made up, nothing is formatted.
//!
//! Spans are of the target `polysight`, level `INFO`. Their names and fields are those of OpenTelemetry's GenAI
//! conventions (released names, read on 2026-11-22), own ones start with `polysight.`:
//!
//! | span | fields |
//! | --- | --- |
//! | `chat {model}` | `gen_ai.operation.name`, `gen_ai.provider.name` (the vendor), `gen_ai.request.*`, `gen_ai.response.*`, `gen_ai.usage.*`, `error.type`, `polysight.{role, provider, request_id, attempts, cached, abandoned, adjustments}`, `polysight.media.{images, videos, bytes}`, `polysight.estimate.input_tokens`; with content also `gen_ai.input.messages` and `gen_ai.output.messages` |
//! | `attempt {model}` | `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.response.*`, `error.type`, `http.response.status_code`, `polysight.{provider, request_id, error.code, abandoned}` |
//!
//! `error.type` is an [`ErrorKind`](polysight_core::ErrorKind)'s name. A failed operation is also an event of level
//! `WARN`, a failed try one of level `DEBUG`. An answer from a [cache](polysight_core::ChatResponse::cached) has no
//! usage, so that sums over spans are what was billed.
//!
//! Metrics; a Prometheus exporter writes each `.` as `_`:
//!
//! | metric | labels |
//! | --- | --- |
//! | `gen_ai.client.operation.duration`, seconds | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `error.type` |
//! | `gen_ai.client.operation.time_to_first_chunk`, seconds | the first three |
//! | `gen_ai.client.token.usage` | the first three, `gen_ai.token.type` (`input`, `output`) |
//! | `polysight_calls_total` | `provider`, `model`, `outcome` (`ok`, `cached`, `abandoned`, or what went wrong) |
//! | `polysight_retries_total`, `polysight_cache_hits_total` | `provider`, `model` |
//! | `polysight_attempts_total` | `provider`, `model`, `kind` (as `outcome`) |
//! | `polysight_attempt_duration_seconds` | `provider`, `model` |

mod call;
mod content;
mod meters;
mod policy;
mod spans;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use futures_core::Stream;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Plan, ProviderId, Result, StreamEvent, VisionProvider,
};
use tracing::Instrument as _;

use self::call::Call;
use self::meters::Models;
pub use self::meters::describe_metrics;
pub use self::policy::TracePolicy;
use crate::Env;

/// The target of all spans and events.
const TARGET: &str = "polysight";

/// Makes a span of each call, and counts it.
///
/// ```
/// use std::sync::Arc;
///
/// use polysight_core::VisionProvider;
/// use polysight_layers::trace::{Trace, TracePolicy};
///
/// fn traced(vendor: Arc<dyn VisionProvider>) -> Trace {
///     let tries = Trace::attempt(vendor, TracePolicy::default());
///     // Retry, cache and other layers go here.
///     Trace::operation(Arc::new(tries), TracePolicy::default()).with_role("default")
/// }
/// ```
#[derive(Debug)]
pub struct Trace {
    inner: Arc<dyn VisionProvider>,
    scope: Scope,
    policy: TracePolicy,
    role: Option<String>,
    env: Env,
    models: Models,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Operation,
    Attempt,
}

impl Trace {
    /// Traces what a program asks for, outside all other layers.
    #[must_use]
    pub fn operation(inner: Arc<dyn VisionProvider>, policy: TracePolicy) -> Self {
        Self::new(inner, Scope::Operation, policy)
    }

    /// Traces each try, inside of what tries again and around the quota: a wait in its line is part of the try.
    #[must_use]
    pub fn attempt(inner: Arc<dyn VisionProvider>, policy: TracePolicy) -> Self {
        Self::new(inner, Scope::Attempt, policy)
    }

    fn new(inner: Arc<dyn VisionProvider>, scope: Scope, policy: TracePolicy) -> Self {
        Self { inner, scope, policy, role: None, env: Env::default(), models: Models::default() }
    }

    /// Names the role under which the program asks.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
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
impl VisionProvider for Trace {
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
        let mut call = Call::begin(self, &request, false);
        let outcome = self.inner.chat(request).instrument(call.span.clone()).await;
        match &outcome {
            Ok(response) => call.answered(response),
            Err(error) => call.failed(error),
        }
        outcome
    }

    async fn stream(&self, request: ChatRequest) -> Result<ChatStream> {
        let mut call = Call::begin(self, &request, true);
        match self.inner.stream(request).instrument(call.span.clone()).await {
            Ok(stream) => Ok(stream.map_stream(|stream| Traced { stream, call })),
            Err(error) => {
                call.failed(&error);
                Err(error)
            }
        }
    }
}

/// A stream within its span.
struct Traced {
    // Before the call: what ends with the stream ends within the span.
    stream: ChatStream,
    call: Call,
}

impl Stream for Traced {
    type Item = Result<StreamEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, call } = &mut *self;
        let item = ready!(call.span.in_scope(|| Pin::new(stream).poll_next(context)));
        match &item {
            Some(Ok(event)) => {
                call.heard(event);
                if let StreamEvent::End(end) = event {
                    call.completed(end);
                }
            }
            Some(Err(error)) => call.failed(error),
            None => {}
        }
        Poll::Ready(item)
    }
}
