//! The two kinds of spans, and a call's way from its beginning to whatever end it comes to.

use std::sync::Arc;

use polysight_core::media::VideoSource;
use polysight_core::{
    Attempt, ChatRequest, ChatResponse, Error, Message, Part, Plan, RandomSampling, ResponseFormat,
    ResponseMeta, Sampling, StreamCollector, StreamEvent,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use super::metrics::{Ending, Metrics};
use super::{Scope, TARGET, Trace};
use crate::call::CallObserver;
use crate::router::BREAKER_OPEN;

/// A call under way. Dropped before its end, it was abandoned.
pub(super) struct SpanGuard {
    pub(super) span: Span,
    scope: Scope,
    started: Instant,
    provider: Arc<str>,
    request_id: Option<String>,
    metrics: Option<Metrics>,
    /// The texts of the answer, when they are recorded.
    content: Option<StreamCollector>,
    has_begun: bool,
    has_ended: bool,
}

impl SpanGuard {
    /// `None` when there is nothing to record.
    pub(super) fn begin(trace: &Trace, plan: &Plan, stream: bool) -> Option<Self> {
        let span = match trace.scope {
            Scope::Call => call_span(trace, plan, stream),
            Scope::Attempt => attempt_span(trace, plan, stream),
        };
        let is_recorded = !span.is_disabled();
        // An error is an event of its own, which may be wanted where spans are not.
        let wants_events = match trace.scope {
            Scope::Call => tracing::enabled!(target: TARGET, tracing::Level::WARN),
            Scope::Attempt => tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
        };
        if !is_recorded && !wants_events && !trace.policy.metrics {
            return None;
        }
        let metrics = trace.policy.metrics.then(|| Metrics::new(trace, plan.model()));
        let content = is_recorded && trace.policy.content && trace.scope == Scope::Call;
        Some(Self {
            span,
            scope: trace.scope,
            started: Instant::now(),
            provider: Arc::clone(&trace.inner.id().name),
            request_id: request_id(plan).filter(|_| is_recorded).map(str::to_owned),
            metrics,
            content: content.then(StreamCollector::new),
            has_begun: false,
            has_ended: false,
        })
    }

    fn failed(&mut self, error: &Error) {
        self.has_ended = true;
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
            span.record("polysight.attempts", sent(error.attempts()) + 1);
        }
        span.in_scope(|| match self.scope {
            Scope::Call => tracing::warn!(target: TARGET, %error, "call failed"),
            Scope::Attempt => tracing::debug!(target: TARGET, %error, "attempt failed"),
        });
        let ending =
            Ending { provider, error: Some(kind), outcome: kind.name(), duration: self.started.elapsed() };
        self.count(&ending, sent(error.attempts()));
    }

    fn succeeded(&mut self, meta: &ResponseMeta) {
        self.has_ended = true;
        if !self.span.is_disabled() {
            record_answer(&self.span, meta, self.request_id.as_deref());
        }
        let outcome = if meta.cached { "cached" } else { "ok" };
        let ending =
            Ending { provider: &meta.provider, error: None, outcome, duration: self.started.elapsed() };
        self.count(&ending, sent(&meta.attempts));
        let Some(metrics) = self.metrics.as_ref().filter(|_| self.scope == Scope::Call) else { return };
        match &meta.usage {
            // It was counted with the call that made the answer.
            _ if meta.cached => metrics.cache_hit(&meta.provider),
            Some(usage) => metrics.tokens(usage),
            None => {}
        }
    }

    fn count(&self, ending: &Ending<'_>, retries: usize) {
        match (&self.metrics, self.scope) {
            (None, _) => {}
            (Some(metrics), Scope::Call) => metrics.call(ending, retries),
            (Some(metrics), Scope::Attempt) => metrics.attempt(ending),
        }
    }
}

impl CallObserver for SpanGuard {
    fn on_event(&mut self, event: &StreamEvent) {
        if !self.has_begun {
            self.has_begun = true;
            let after = self.started.elapsed();
            self.span.record("gen_ai.response.time_to_first_chunk", after.as_secs_f64());
            if let Some(metrics) = self.metrics.as_ref().filter(|_| self.scope == Scope::Call) {
                metrics.first_chunk(after);
            }
        }
        if let Some(collector) = &mut self.content {
            collector.add(event.clone());
        }
    }

    fn on_response(&mut self, response: &mut ChatResponse) {
        if self.content.take().is_some() {
            self.span.record("gen_ai.output.messages", output_messages(response));
        }
        self.succeeded(&response.meta);
    }

    fn on_end(&mut self, meta: &mut ResponseMeta) {
        if let Some(collector) = self.content.take() {
            let whole = collector.complete(meta.clone());
            self.span.record("gen_ai.output.messages", output_messages(&whole));
        }
        self.succeeded(meta);
    }

    fn on_error(&mut self, error: Error) -> Error {
        self.failed(&error);
        error
    }

    fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.span.in_scope(poll)
    }
}

impl Drop for SpanGuard {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        self.span.record("polysight.abandoned", true);
        self.span.record("polysight.provider", &*self.provider);
        self.span.record("polysight.request_id", self.request_id.as_deref());
        let ending = Ending {
            provider: &self.provider,
            error: None,
            outcome: "abandoned",
            duration: self.started.elapsed(),
        };
        self.count(&ending, 0);
    }
}

/// The id that is sent, or the caller's where the vendor takes none.
fn request_id(plan: &Plan) -> Option<&str> {
    plan.request.request_id.as_deref().or(plan.original().request_id.as_deref())
}

/// How many attempts sent something: a target that was skipped did not.
fn sent(attempts: &[Attempt]) -> usize {
    attempts.iter().filter(|attempt| attempt.code.as_deref() != Some(BREAKER_OPEN)).count()
}

fn record_answer(span: &Span, meta: &ResponseMeta, request_id: Option<&str>) {
    span.record("gen_ai.response.id", meta.id.as_deref());
    span.record("gen_ai.response.model", meta.model.as_str());
    span.record("gen_ai.response.finish_reasons", format!("[\"{}\"]", meta.finish.kind));
    span.record("polysight.provider", meta.provider.as_str());
    span.record("polysight.request_id", meta.request_id.as_deref().or(request_id));
    span.record("polysight.adjustments", meta.adjustments.len());
    span.record("polysight.cached", meta.cached);
    if meta.cached {
        return;
    }
    span.record("polysight.attempts", sent(&meta.attempts) + 1);
    if let Some(usage) = &meta.usage {
        span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        span.record("gen_ai.usage.output_tokens", usage.output_tokens);
        span.record("gen_ai.usage.cache_read.input_tokens", usage.details.cached);
        span.record("gen_ai.usage.reasoning.output_tokens", usage.details.reasoning);
    }
}

/// A span of a call.
fn call_span(trace: &Trace, plan: &Plan, stream: bool) -> Span {
    let (request, model) = (&plan.request, plan.model());
    let span = tracing::info_span!(
        target: TARGET,
        "chat",
        otel.name = format!("chat {model}").as_str(),
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = &*trace.inner.id().vendor,
        gen_ai.request.model = model,
        gen_ai.request.stream = stream.then_some(true),
        gen_ai.request.max_tokens = request.max_tokens,
        gen_ai.request.seed = request.seed,
        gen_ai.request.temperature = Empty,
        gen_ai.request.top_p = Empty,
        gen_ai.request.top_k = Empty,
        gen_ai.output.type = output_type(&request.response_format),
        gen_ai.input.messages = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        gen_ai.output.messages = Empty,
        error.type = Empty,
        polysight.role = trace.role.as_deref(),
        polysight.provider = Empty,
        polysight.request_id = Empty,
        polysight.media.images = Empty,
        polysight.media.videos = Empty,
        polysight.media.bytes = Empty,
        polysight.estimate.input_tokens.min = Empty,
        polysight.estimate.input_tokens.max = Empty,
        polysight.adjustments = Empty,
        polysight.attempts = Empty,
        polysight.cached = Empty,
        polysight.abandoned = Empty,
    );
    if !span.is_disabled() {
        sampling(&span, &request.sampling);
        media(&span, request);
        let input = plan.estimate.input_tokens();
        span.record("polysight.estimate.input_tokens.min", input.at_least);
        span.record("polysight.estimate.input_tokens.max", input.at_most);
        if trace.policy.content {
            span.record("gen_ai.input.messages", input_messages(request));
        }
    }
    span
}

/// A span of one attempt. It holds no usage, which would be counted twice beside the call's.
fn attempt_span(trace: &Trace, plan: &Plan, stream: bool) -> Span {
    let model = plan.model();
    tracing::info_span!(
        target: TARGET,
        "attempt",
        otel.name = format!("attempt {model}").as_str(),
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        gen_ai.provider.name = &*trace.inner.id().vendor,
        gen_ai.request.model = model,
        gen_ai.request.stream = stream.then_some(true),
        gen_ai.response.id = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        error.type = Empty,
        http.response.status_code = Empty,
        polysight.provider = Empty,
        polysight.request_id = Empty,
        polysight.error.code = Empty,
        polysight.abandoned = Empty,
    )
}

fn output_type(format: &ResponseFormat) -> Option<&'static str> {
    match format {
        ResponseFormat::Text => None,
        _ => Some("json"),
    }
}

fn sampling(span: &Span, sampling: &Sampling) {
    if let Sampling::Random(RandomSampling { temperature, top_p, top_k, .. }) = sampling {
        span.record("gen_ai.request.temperature", temperature);
        span.record("gen_ai.request.top_p", top_p);
        span.record("gen_ai.request.top_k", top_k);
    }
}

fn media(span: &Span, request: &ChatRequest) {
    let (mut images, mut videos, mut bytes) = (0u64, 0u64, 0u64);
    let mut add = |len: Option<u64>| bytes = bytes.saturating_add(len.unwrap_or_default());
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        match part {
            Part::Image(image) => {
                images += 1;
                add(image.source().byte_len());
            }
            Part::Video(video) => {
                videos += 1;
                match video.source() {
                    VideoSource::Whole(source) => add(source.byte_len()),
                    VideoSource::Frames(frames) => {
                        frames.iter().for_each(|frame| add(frame.source().byte_len()));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    span.record("polysight.media.images", images);
    span.record("polysight.media.videos", videos);
    span.record("polysight.media.bytes", bytes);
}

/// The texts and tool calls of the question, never its media, as the GenAI conventions write them: JSON text.
fn input_messages(request: &ChatRequest) -> String {
    let message = |message: &Message| json!({ "role": message.role.name(), "parts": parts(message) });
    Value::from_iter(request.messages.iter().map(message)).to_string()
}

/// The answer in the same form.
fn output_messages(response: &ChatResponse) -> String {
    let message = response.to_message();
    let finish = response.finish.kind.to_string();
    let message = json!({ "role": message.role.name(), "parts": parts(&message), "finish_reason": finish });
    Value::from_iter([message]).to_string()
}

fn parts(message: &Message) -> Value {
    message.parts.iter().map(part).collect()
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "content": text }),
        Part::Reasoning(text) => json!({ "type": "reasoning", "content": text }),
        Part::ToolCall(call) => {
            json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments })
        }
        Part::ToolResult(result) => {
            json!({ "type": "tool_call_response", "id": result.call_id, "response": result.content })
        }
        Part::Image(_) => json!({ "type": "image" }),
        Part::Video(_) => json!({ "type": "video" }),
        _ => json!({ "type": "other" }),
    }
}
