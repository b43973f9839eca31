//! Spans of requests, sent to an OpenTelemetry collector by OTLP over HTTP.
//!
//! They are sent in batches by a thread of their own, out of a queue of bounded length: where the collector is slow or away, spans
//! are lost, and requests are not held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use polysight::wire::{Limits, WireBody, WireRequest};
use polysight::{Transport, Url};
use tokio::runtime::Handle;

use super::record::Ended;

/// The service, unless `OTEL_SERVICE_NAME` says another one; and the scope of the spans.
const NAME: &str = "polysight-gateway";
/// How long one batch may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last batch may take when the gateway ends.
const LAST_BATCH: Duration = Duration::from_secs(2);
/// The standard's variables for the collector's address.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Sends spans. Dropped, it sends what is left without being waited for.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Starts to send to the collector at a base URL, or to that which the environment names; `None` where neither does.
    pub(crate) fn start(endpoint: Option<&str>) -> std::io::Result<Option<Arc<Self>>> {
        let is_set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
        if endpoint.is_none() && !VARIABLES.iter().any(|name| is_set(name)) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().with_http_client(Client::new()?);
        let exporter = exporter.with_protocol(Protocol::HttpBinary).with_timeout(TIMEOUT);
        let exporter = match endpoint {
            Some(base) => exporter.with_endpoint(format!("{}/v1/traces", base.trim_end_matches('/'))),
            None => exporter,
        };
        let exporter = exporter.build().map_err(std::io::Error::other)?;
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
        Ok(Some(Arc::new(Self { tracer: provider.tracer(NAME), provider })))
    }

    /// Begins the trace of a request: one that the client's `traceparent` names is continued.
    pub(crate) fn trace(self: &Arc<Self>, headers: &HeaderMap) -> Trace {
        let propagator = TraceContextPropagator::new();
        let parent = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
        Trace { traces: Arc::clone(self), parent, began: SystemTime::now() }
    }

    /// Sends what is left.
    pub(crate) async fn shut_down(&self) {
        let provider = self.provider.clone();
        // It blocks until the thread has sent it.
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_BATCH)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last spans could not be sent");
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        let provider = self.provider.clone();
        // On a thread of its own, since it blocks. Where none can be had, the provider's own drop does it.
        let _ = std::thread::Builder::new().spawn(move || provider.shutdown_with_timeout(LAST_BATCH));
    }
}

fn resource() -> Resource {
    let resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(_) => resource.build(),
        Err(_) => resource.with_service_name(NAME).build(),
    }
}

/// A request that is traced.
pub(super) struct Trace {
    traces: Arc<Traces>,
    parent: Context,
    began: SystemTime,
}

impl Trace {
    /// Queues the span of a request that has ended.
    pub(super) fn end(&self, ended: &Ended<'_>) {
        let tracer = &self.traces.tracer;
        let name = if ended.role.is_empty() { "chat".to_owned() } else { format!("chat {}", ended.role) };
        let builder = tracer.span_builder(name).with_kind(SpanKind::Server).with_start_time(self.began);
        let mut span = builder.with_attributes(attributes(ended)).start_with_context(tracer, &self.parent);
        if ended.status >= 500 {
            span.set_status(Status::error(ended.code.unwrap_or_default().to_owned()));
        }
        span.end();
    }
}

/// Names are those of the semantic conventions for HTTP and generative AI where there are such, else begin with `polysight`.
fn attributes(ended: &Ended<'_>) -> Vec<KeyValue> {
    let text = |name, value: Option<&str>| value.map(|value| KeyValue::new(name, value.to_owned()));
    let number =
        |name, value: Option<u64>| Some(KeyValue::new(name, i64::try_from(value?).unwrap_or(i64::MAX)));
    let optional = [
        text("gen_ai.request.model", Some(ended.role).filter(|role| !role.is_empty())),
        text("gen_ai.provider.name", ended.vendor),
        text("gen_ai.response.model", ended.model),
        ended.finish.map(|finish| KeyValue::new("gen_ai.response.finish_reasons", list(finish))),
        number("gen_ai.usage.input_tokens", ended.usage.map(|usage| usage.input_tokens)),
        number("gen_ai.usage.output_tokens", ended.usage.map(|usage| usage.output_tokens)),
        text("error.type", ended.code),
        text("polysight.role", Some(ended.role).filter(|role| !role.is_empty())),
        text("polysight.provider", ended.provider),
        text("polysight.key", ended.key),
        number("polysight.attempts", Some(ended.attempts as u64).filter(|attempts| *attempts > 0)),
        ended.cost.map(|cost| KeyValue::new("polysight.cost", cost.amount)),
        text("polysight.cost.currency", ended.cost.map(|cost| &*cost.currency)),
    ];
    let always = [
        KeyValue::new("http.request.method", ended.method.to_owned()),
        KeyValue::new("http.route", ended.route),
        KeyValue::new("http.response.status_code", i64::from(ended.status)),
        KeyValue::new("gen_ai.operation.name", "chat"),
        KeyValue::new("gen_ai.request.stream", ended.is_stream),
        KeyValue::new("polysight.request_id", ended.request_id.to_owned()),
    ];
    always.into_iter().chain(optional.into_iter().flatten()).collect()
}

fn list(text: &str) -> Value {
    Value::Array(Array::String(vec![StringValue::from(text.to_owned())]))
}

/// Posts batches by the transport that calls to vendors go by: its TLS and its proxies.
#[derive(Debug)]
struct Client {
    transport: Transport,
    /// Where it sends: the thread of the batches has no runtime.
    runtime: Handle,
    is_failing: AtomicBool,
}

impl Client {
    fn new() -> std::io::Result<Self> {
        let limits =
            Limits::default().with_connect(TIMEOUT).with_first_byte(TIMEOUT).with_total(Some(TIMEOUT));
        let transport = Transport::builder().limits(limits).build().map_err(std::io::Error::other)?;
        let runtime = Handle::try_current().map_err(std::io::Error::other)?;
        Ok(Self { transport, runtime, is_failing: AtomicBool::new(false) })
    }

    /// The log says once that sending fails, and once that it works again.
    fn note(&self, failure: Option<String>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(problem) if !was_failing => tracing::warn!(problem, "spans cannot be sent"),
            None if was_failing => tracing::info!("spans are sent again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(post(self.transport.clone(), request)).await;
        let reply = sent.map_err(HttpError::from).and_then(|reply| reply);
        self.note(match &reply {
            Ok(reply) if reply.status().is_success() => None,
            Ok(reply) => Some(format!("the collector answers with status {}", reply.status())),
            Err(error) => Some(error.to_string()),
        });
        reply
    }
}

async fn post(transport: Transport, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string())?;
    let mut request = WireRequest::new(url, WireBody::from_bytes(body));
    request.headers = parts.headers;
    let reply = transport.post(request).await?;
    let mut response = Response::builder().status(reply.head.status);
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(&reply.head.headers);
    }
    let (_, body) = reply.into_error_bytes().await;
    Ok(response.body(body)?)
}
