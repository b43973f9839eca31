//! One call from its beginning to whatever end it comes to.

use std::time::{Duration, Instant};

use polysight_core::{
    Adjustment, Attempt, ChatRequest, ChatResponse, Error, FinishReason, Plan, StreamCollector, StreamEnd,
    StreamEvent, Usage,
};
use tracing::Span;

use super::meters::{Ending, Meters, describe_once};
use super::{Scope, TARGET, Trace, content, spans};
use crate::Env;
use crate::route::SKIPPED;

/// A call under way. Dropped before its end, it was abandoned.
pub(super) struct Call {
    pub(super) span: Span,
    scope: Scope,
    env: Env,
    started: Instant,
    provider: String,
    request_id: Option<String>,
    meters: Option<Meters>,
    content: bool,
    /// The texts of a stream, when they are to be told.
    collector: Option<StreamCollector>,
    heard: bool,
    ended: bool,
}

impl Call {
    pub(super) fn begin(trace: &Trace, request: &ChatRequest, stream: bool) -> Self {
        let planned = request.model.is_none().then(|| plan(trace, request)).flatten();
        let model = request.model.as_deref().or(planned.as_ref().map(Plan::model)).unwrap_or("unknown");
        let span = match trace.scope {
            Scope::Operation => spans::operation(trace, request, model, stream),
            Scope::Attempt => spans::attempt(trace, model, stream),
        };
        let content = trace.scope == Scope::Operation && trace.policy.content && !span.is_disabled();
        let meters = trace.policy.metrics.then(|| {
            describe_once();
            Meters { vendor: trace.inner.id().vendor.clone(), model: trace.models.label(model) }
        });
        if content {
            span.record("gen_ai.input.messages", content::input(request));
        }
        if trace.scope == Scope::Operation && !span.is_disabled() {
            let plan = planned.or_else(|| plan(trace, request));
            let tokens = plan.and_then(|plan| plan.estimate.input_tokens());
            span.record("polysight.estimate.input_tokens", tokens);
        }
        Self {
            span,
            scope: trace.scope,
            env: trace.env.clone(),
            started: trace.env.now(),
            provider: trace.inner.id().name.clone(),
            request_id: request.request_id.clone(),
            meters,
            content,
            collector: (content && stream).then(StreamCollector::new),
            heard: false,
            ended: false,
        }
    }

    /// A streamed answer went on.
    pub(super) fn heard(&mut self, event: &StreamEvent) {
        if !self.heard {
            self.heard = true;
            let after = self.took();
            self.span.record("gen_ai.response.time_to_first_chunk", after.as_secs_f64());
            if let Some(meters) = self.meters.as_ref().filter(|_| self.scope == Scope::Operation) {
                meters.first_chunk(after);
            }
        }
        if let Some(collector) = &mut self.collector {
            collector.add(event.clone());
        }
    }

    /// A plain answer came.
    pub(super) fn answered(&mut self, response: &ChatResponse) {
        if self.content {
            self.span.record("gen_ai.output.messages", content::output(response));
        }
        self.succeeded(&Answer::from(response));
    }

    /// A streamed answer is complete.
    pub(super) fn completed(&mut self, end: &StreamEnd) {
        if let Some(collector) = self.collector.take() {
            let whole = collector.complete(end.clone());
            self.span.record("gen_ai.output.messages", content::output(&whole));
        }
        self.succeeded(&Answer::from(end));
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.ended = true;
        let kind = error.kind();
        let provider = error.provider().unwrap_or(&self.provider);
        let span = &self.span;
        if !span.is_disabled() {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.to_string());
            span.record("error.type", kind.name());
            span.record("http.response.status_code", error.status());
            span.record("polysight.error.code", error.code());
            span.record("polysight.provider", provider);
            span.record("polysight.request_id", error.request_id().or(self.request_id.as_deref()));
            span.record("polysight.attempts", tries(error.attempts()) + 1);
        }
        span.in_scope(|| match self.scope {
            Scope::Operation => tracing::warn!(target: TARGET, %error, "call failed"),
            Scope::Attempt => tracing::debug!(target: TARGET, %error, "attempt failed"),
        });
        let ending = Ending { provider, error: Some(kind), outcome: kind.name(), took: self.took() };
        self.count(&ending, tries(error.attempts()));
    }

    fn succeeded(&mut self, answer: &Answer<'_>) {
        self.ended = true;
        if !self.span.is_disabled() {
            answer.record(&self.span, self.request_id.as_deref());
        }
        let outcome = if answer.cached { "cached" } else { "ok" };
        let ending = Ending { provider: answer.provider, error: None, outcome, took: self.took() };
        self.count(&ending, tries(answer.attempts));
        let Some(meters) = self.meters.as_ref().filter(|_| self.scope == Scope::Operation) else { return };
        match &answer.usage {
            // It was counted with the call that made the answer.
            _ if answer.cached => meters.cache_hit(answer.provider),
            Some(usage) => meters.tokens(usage),
            None => {}
        }
    }

    fn count(&self, ending: &Ending<'_>, retries: usize) {
        match (&self.meters, self.scope) {
            (None, _) => {}
            (Some(meters), Scope::Operation) => meters.operation(ending, retries),
            (Some(meters), Scope::Attempt) => meters.attempt(ending),
        }
    }

    fn took(&self) -> Duration {
        self.env.now().saturating_duration_since(self.started)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.span.record("polysight.abandoned", true);
        self.span.record("polysight.provider", self.provider.as_str());
        self.span.record("polysight.request_id", self.request_id.as_deref());
        let outcome = "abandoned";
        let ending = Ending { provider: &self.provider, error: None, outcome, took: self.took() };
        self.count(&ending, 0);
    }
}

fn plan(trace: &Trace, request: &ChatRequest) -> Option<Plan> {
    trace.inner.plan(request.clone()).ok()
}

/// How many of them were tries: a target that was skipped was not asked.
fn tries(attempts: &[Attempt]) -> usize {
    attempts.iter().filter(|attempt| attempt.code.as_deref() != Some(SKIPPED)).count()
}

/// What is told of an answer, plain or streamed.
struct Answer<'a> {
    provider: &'a str,
    model: &'a str,
    id: Option<&'a str>,
    request_id: Option<&'a str>,
    finish: &'a FinishReason,
    usage: Option<Usage>,
    adjustments: &'a [Adjustment],
    attempts: &'a [Attempt],
    cached: bool,
}

macro_rules! answer_from {
    ($($type:ty),*) => {$(
        impl<'a> From<&'a $type> for Answer<'a> {
            fn from(from: &'a $type) -> Self {
                Self {
                    provider: &from.provider,
                    model: &from.model,
                    id: from.id.as_deref(),
                    request_id: from.request_id.as_deref(),
                    finish: &from.finish,
                    usage: from.usage,
                    adjustments: &from.adjustments,
                    attempts: &from.attempts,
                    cached: from.cached,
                }
            }
        }
    )*};
}

answer_from!(ChatResponse, StreamEnd);

impl Answer<'_> {
    fn record(&self, span: &Span, request_id: Option<&str>) {
        span.record("gen_ai.response.id", self.id);
        span.record("gen_ai.response.model", self.model);
        span.record("gen_ai.response.finish_reasons", format!("[\"{}\"]", self.finish.kind));
        span.record("polysight.provider", self.provider);
        span.record("polysight.request_id", self.request_id.or(request_id));
        span.record("polysight.adjustments", self.adjustments.len());
        span.record("polysight.cached", self.cached);
        if self.cached {
            return;
        }
        span.record("polysight.attempts", tries(self.attempts) + 1);
        if let Some(usage) = &self.usage {
            span.record("gen_ai.usage.input_tokens", usage.input_tokens);
            span.record("gen_ai.usage.output_tokens", usage.output_tokens);
            span.record("gen_ai.usage.cache_read.input_tokens", usage.details.cached);
            span.record("gen_ai.usage.reasoning.output_tokens", usage.details.reasoning);
        }
    }
}
