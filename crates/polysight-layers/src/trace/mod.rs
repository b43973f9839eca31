//! Spans of the `tracing` crate and metrics of the `metrics` crate.
//!
//! One span for each call and one for each attempt inside it, which live as long as the call or its stream does; no picture,
//! link, key or, unless [asked for](TracePolicy::content), text in any of them; labels of metrics out of small sets only.
//! Without a subscriber that is interested no span is made and nothing is formatted; with metrics off too, the layer does
//! nothing at all. A request that is refused when it is planned makes no call, and is not recorded.
//!
//! Spans are of the target `polysight`, level `INFO`. Their names and fields are those of OpenTelemetry's GenAI
//! conventions (released names, read on 2026-11-22), own ones start with `polysight.`:
//!
//! | span | fields |
//! | --- | --- |
//! | `chat {model}` | `gen_ai.operation.name`, `gen_ai.provider.name` (the vendor), `gen_ai.request.*`, `gen_ai.response.*`, `gen_ai.usage.*`, `error.type`, `polysight.{role, provider, request_id, attempts, cached, abandoned, adjustments}`, `polysight.media.{images, videos, bytes}`, `polysight.estimate.input_tokens.{min, max}`; with content also `gen_ai.input.messages` and `gen_ai.output.messages` |
//! | `attempt {model}` | `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.response.*`, `error.type`, `http.response.status_code`, `polysight.{provider, request_id, error.code, abandoned}` |
//!
//! `error.type` is an [`ErrorKind`](polysight_core::ErrorKind)'s name. A failed call is also an event of level `WARN`, a
//! failed attempt one of level `DEBUG`. An answer from a [cache](polysight_core::ResponseMeta::cached) has no usage, so that
//! sums over spans are what was billed.
//!
//! Metrics; a Prometheus exporter writes each `.` as `_`:
//!
//! | metric | labels |
//! | --- | --- |
//! | `gen_ai.client.operation.duration`, seconds | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `error.type` |
//! | `gen_ai.client.operation.time_to_first_chunk`, seconds | the first three |
//! | `gen_ai.client.token.usage` | the first three, `gen_ai.token.type` (`input`, `output`) |
//! | `polysight_calls_total` | `provider`, `model`, `outcome` (`ok`, `cached`, `abandoned`, or the kind of failure) |
//! | `polysight_retries_total`, `polysight_cache_hits_total` | `provider`, `model` |
//! | `polysight_attempts_total` | `provider`, `model`, `kind` (as `outcome`) |
//! | `polysight_attempt_duration_seconds` | `provider`, `model` |

mod metrics;
mod spans;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use polysight_core::{Plan, Result, VisionProvider};
use serde::Deserialize;
use tracing::Instrument as _;

use self::metrics::Models;
pub use self::metrics::describe_metrics;
use self::spans::SpanGuard;
use crate::call::{Reply, observe};

/// The target of all spans and events.
const TARGET: &str = "polysight";

/// What a [`Trace`] records.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracePolicy {
    /// Whether spans of calls hold the texts of question and answer, tool calls included. Pictures, videos and links are
    /// never in them. Default: `false`.
    pub content: bool,
    /// Whether metrics are counted. Default: `true`.
    pub metrics: bool,
}

impl Default for TracePolicy {
    fn default() -> Self {
        Self { content: false, metrics: true }
    }
}

/// Makes a span of each call, and counts it.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
///
/// use polysight::VisionProvider;
/// use polysight::layers::{Trace, TracePolicy};
///
/// fn traced(vendor: Arc<dyn VisionProvider>) -> Trace {
///     let attempts = Trace::attempt(vendor, TracePolicy::default());
///     // Retry, cache and other layers go here.
///     Trace::call(Arc::new(attempts), TracePolicy::default()).with_role("default")
/// }
/// ```
pub struct Trace {
    inner: Arc<dyn VisionProvider>,
    scope: Scope,
    policy: TracePolicy,
    role: Option<String>,
    models: Models,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Call,
    Attempt,
}

show_as_wrapper!(Trace);

impl Trace {
    /// Records a program's calls, outside all other layers.
    #[must_use]
    pub fn call(inner: Arc<dyn VisionProvider>, policy: TracePolicy) -> Self {
        Self::new(inner, Scope::Call, policy)
    }

    /// Records each attempt, inside the retry and around the rate limit: a wait for it is part of the attempt.
    #[must_use]
    pub fn attempt(inner: Arc<dyn VisionProvider>, policy: TracePolicy) -> Self {
        Self::new(inner, Scope::Attempt, policy)
    }

    fn new(inner: Arc<dyn VisionProvider>, scope: Scope, policy: TracePolicy) -> Self {
        Self { inner, scope, policy, role: None, models: Models::default() }
    }

    /// Names the role that the program uses.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    async fn run<R: Reply>(&self, plan: Plan) -> Result<R> {
        let Some(guard) = SpanGuard::begin(self, &plan, R::STREAMED) else {
            return R::request(&*self.inner, plan).await;
        };
        let span = guard.span.clone();
        observe(&*self.inner, plan, guard).instrument(span).await
    }
}

impl_layer!(Trace, inner, run);
