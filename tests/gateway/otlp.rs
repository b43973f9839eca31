//! Spans of requests, as an OpenTelemetry collector gets them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use polysight_gateway::Settings;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::client::{LONG, Served, about_picture, and, question};

/// A collector on a free port, and what it got.
struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let seen = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&seen)));
            }
        });
        Self { url, bodies }
    }

    /// The resource's attributes as text, and all spans, in the order in which they ended.
    fn spans(&self) -> (String, Vec<Span>) {
        let bodies = self.bodies.lock().unwrap();
        let requests = bodies.iter().map(|body| ExportTraceServiceRequest::decode(&**body).unwrap());
        let all: Vec<_> = requests.flat_map(|request| request.resource_spans).collect();
        let resource = format!("{:?}", all.first().map(|spans| &spans.resource));
        let spans =
            all.into_iter().flat_map(|spans| spans.scope_spans).flat_map(|scope| scope.spans).collect();
        (resource, spans)
    }
}

/// Answers every request of a connection with 200.
async fn take(mut stream: TcpStream, bodies: Arc<Mutex<Vec<Vec<u8>>>>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
        let length = head.and_then(|end| {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            assert!(
                head.starts_with("post /v1/traces ") && head.contains("application/x-protobuf"),
                "{head}"
            );
            let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.parse().ok()?;
            (bytes.len() >= end + length).then_some((end, length))
        });
        if let Some((end, length)) = length {
            let rest = bytes.split_off(end + length);
            bodies.lock().unwrap().push(bytes.split_off(end));
            bytes = rest;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.ok()?;
        } else if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn attribute(span: &Span, name: &str) -> Option<Value> {
    span.attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value
}

fn text(span: &Span, name: &str) -> Option<String> {
    match attribute(span, name)? {
        Value::StringValue(text) => Some(text),
        Value::ArrayValue(array) => match array.values.first()?.value.clone()? {
            Value::StringValue(text) => Some(format!("[{text}]")),
            _ => None,
        },
        _ => None,
    }
}

fn number(span: &Span, name: &str) -> Option<f64> {
    match attribute(span, name)? {
        Value::IntValue(number) => Some(number as f64),
        Value::DoubleValue(number) => Some(number),
        _ => None,
    }
}

/// Stops the gateway, which sends what is left.
async fn stop(mut served: Served) {
    served.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(LONG, &mut served.server).await.unwrap().unwrap().unwrap();
}

async fn served(collector: &str) -> Served {
    let keys = "[[gateway.keys]]\nname = \"ann\"\nkey = \"gateway-key-of-ann\"";
    Served::start(&format!("[gateway]\notlp_endpoint = \"{collector}\"\n{keys}")).await
}

const KEY: &str = "X-Api-Key: gateway-key-of-ann\r\n";

#[tokio::test]
async fn each_chat_request_is_a_span_with_what_is_known_of_it() {
    let collector = Collector::start().await;
    let served = served(&collector.url).await;
    let png = polysight_testkit::picture(image::ImageFormat::Png, 64, 48);
    let asked = about_picture("default", &png);
    let answer = served.post(&asked.to_string(), &format!("{KEY}X-Request-Id: mine-1\r\n")).await.json();
    served.emulator.script(polysight_emulator::Fault::Empty500);
    let streamed = and(question("steady"), "stream", true).to_string();
    assert_eq!(served.post(&streamed, KEY).await.status, 200);
    assert_eq!(served.post(&question("no-such-role").to_string(), KEY).await.status, 404);
    served.emulator.script(polysight_emulator::Fault::Empty500);
    assert_eq!(served.post(&question("default").to_string(), KEY).await.status, 502);
    for path in ["/healthz", "/", "/v1/models"] {
        served.get(path, KEY).await;
    }
    stop(served).await;

    let (resource, spans) = collector.spans();
    assert!(resource.contains("service.name") && resource.contains("polysight-gateway"), "{resource}");
    let [plain, streamed, unknown, failed] = &spans[..] else { panic!("{spans:#?}") };
    let expected = [
        ("http.request.method", "POST"),
        ("http.route", "/v1/chat/completions"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "zhipu"),
        ("gen_ai.request.model", "default"),
        ("gen_ai.response.model", "glm-4.6v"),
        ("gen_ai.response.finish_reasons", "[stop]"),
        ("polysight.provider", "zhipu"),
        ("polysight.role", "default"),
        ("polysight.key", "ann"),
        ("polysight.cost.currency", "CNY"),
        ("polysight.request_id", "mine-1"),
    ];
    for (name, value) in expected {
        assert_eq!(text(plain, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!((plain.name.as_str(), plain.kind), ("chat default", 2), "a span of a server");
    assert_eq!(number(plain, "http.response.status_code"), Some(200.0));
    assert_eq!(number(plain, "gen_ai.usage.input_tokens"), answer["usage"]["prompt_tokens"].as_f64());
    assert_eq!(number(plain, "gen_ai.usage.output_tokens"), answer["usage"]["completion_tokens"].as_f64());
    assert_eq!(number(plain, "polysight.attempts"), Some(1.0));
    assert!(number(plain, "polysight.cost").unwrap() > 0.0);
    assert!(plain.end_time_unix_nano > plain.start_time_unix_nano && plain.parent_span_id.is_empty());

    assert_eq!(attribute(streamed, "gen_ai.request.stream"), Some(Value::BoolValue(true)));
    assert_eq!(
        (number(streamed, "polysight.attempts"), number(streamed, "gen_ai.usage.output_tokens").is_some()),
        (Some(2.0), true)
    );
    assert_eq!(text(streamed, "polysight.provider").as_deref(), Some("alibaba"));
    assert_eq!(
        (number(unknown, "http.response.status_code"), text(unknown, "error.type").as_deref()),
        (Some(404.0), Some("model_not_found"))
    );
    assert_eq!(
        (number(failed, "http.response.status_code"), text(failed, "error.type").as_deref()),
        (Some(502.0), Some("upstream_failure"))
    );
    assert_eq!(
        (failed.status.as_ref().unwrap().code, unknown.status.clone().unwrap_or_default().code),
        (2, 0)
    );
}

#[tokio::test]
async fn nothing_of_prompt_picture_answer_or_key_is_in_a_span() {
    let collector = Collector::start().await;
    let served = served(&collector.url).await;
    let png = polysight_testkit::picture(image::ImageFormat::Png, 64, 48);
    served.emulator.answer("canary-answer").unwrap();
    served.post(&about_picture("default", &png).to_string(), KEY).await;
    served.post(&and(question("default"), "temperature", "canary-hot").to_string(), KEY).await;
    served.post("{\"canary", KEY).await;
    stop(served).await;
    let bodies = collector.bodies.lock().unwrap().concat();
    let sent = String::from_utf8_lossy(&bodies);
    assert!(sent.contains("gen_ai.operation.name"));
    let picture = polysight_testkit::base64(&png);
    for secret in ["canary", "What is it", &picture[..24], "gateway-key", "id.secret"] {
        assert!(!sent.contains(secret), "{secret}: {sent}");
    }
}

#[tokio::test]
async fn the_trace_of_the_client_is_continued_and_its_sampling_kept() {
    let collector = Collector::start().await;
    let served = served(&collector.url).await;
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let body = question("default").to_string();
    for (parent, flags) in [(span, "01"), ("00f067aa0ba902b8", "00")] {
        let headers = format!("{KEY}traceparent: 00-{trace}-{parent}-{flags}\r\n");
        assert_eq!(served.post(&body, &headers).await.status, 200);
    }
    assert_eq!(served.post(&body, &format!("{KEY}traceparent: garbage\r\n")).await.status, 200);
    stop(served).await;
    let (_, spans) = collector.spans();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let [continued, own] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(
        (hex(&continued.trace_id), hex(&continued.parent_span_id)),
        (trace.to_owned(), span.to_owned())
    );
    assert!(hex(&own.trace_id) != trace && own.parent_span_id.is_empty());
}

#[tokio::test]
async fn a_collector_that_is_away_or_silent_holds_up_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), free] {
        let served = served(&format!("http://{address}")).await;
        let began = Instant::now();
        for _ in 0..50 {
            assert_eq!(served.post(&question("default").to_string(), KEY).await.status, 200);
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        let began = Instant::now();
        stop(served).await;
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "the last batch is waited for only so long: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_collector_without_an_address_is_a_fault_of_the_config() {
    for wrong in ["collector:4318", "ftp://h.example", ""] {
        let text = format!("[gateway]\notlp_endpoint = \"{wrong}\"");
        let error = Settings::from_toml(&text).unwrap_err().to_string();
        assert!(
            error.contains("gateway.otlp_endpoint") && error.contains("http://127.0.0.1:4318"),
            "{error}"
        );
    }
}
