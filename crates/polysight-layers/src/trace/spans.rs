//! The two kinds of spans and their fields.

use polysight_core::media::VideoSource;
use polysight_core::{ChatRequest, Part, RandomSampling, ResponseFormat, Sampling};
use tracing::Span;
use tracing::field::Empty;

use super::{TARGET, Trace};

/// A span of what the program asked for.
pub(super) fn operation(trace: &Trace, request: &ChatRequest, model: &str, stream: bool) -> Span {
    let id = trace.inner.id();
    let span = tracing::info_span!(
        target: TARGET,
        "chat",
        otel.name = format!("chat {model}").as_str(),
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = id.vendor.as_str(),
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
        polysight.estimate.input_tokens = Empty,
        polysight.adjustments = Empty,
        polysight.attempts = Empty,
        polysight.cached = Empty,
        polysight.abandoned = Empty,
    );
    if !span.is_disabled() {
        sampling(&span, &request.sampling);
        media(&span, request);
    }
    span
}

/// A span of one try at a vendor. It holds no usage, which would be counted twice beside the operation's.
pub(super) fn attempt(trace: &Trace, model: &str, stream: bool) -> Span {
    let id = trace.inner.id();
    tracing::info_span!(
        target: TARGET,
        "attempt",
        otel.name = format!("attempt {model}").as_str(),
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        gen_ai.provider.name = id.vendor.as_str(),
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
