use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};
use futures_core::Stream;
use polysight_core::{
    ChatRequest, ChatStream, Error, ErrorKind, Image, Message, StreamEvent, Thinking, ToolCall, Video,
    VisionProviderExt as _,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Event, Level, Subscriber};

use super::*;
use crate::testing::{SECOND, mock};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x02\0\0\0";
const PNG_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA=";

/// Records spans and events.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    spans: Vec<SpanPage>,
    events: Vec<String>,
    entered: Vec<u64>,
    level: Option<Level>,
}

struct SpanPage {
    name: &'static str,
    parent: Option<u64>,
    fields: Fields,
    handles: usize,
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let before = self.0.insert(field.name(), format!("{value:?}"));
        assert_eq!(before, None, "{} is recorded twice", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Book {
    /// Opens a book for what this thread does from now on.
    fn open() -> (Self, DefaultGuard) {
        Self::open_for(Level::TRACE)
    }

    /// Opens a book for what is as weighty as this, and more.
    fn open_for(level: Level) -> (Self, DefaultGuard) {
        let book = Self::default();
        book.pages().level = Some(level);
        let guard = tracing::subscriber::set_default(book.clone());
        (book, guard)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page<T>(&self, span: &Id, look: impl FnOnce(&mut SpanPage) -> T) -> T {
        look(&mut self.pages().spans[span.into_u64() as usize - 1])
    }

    /// Everything, one line each: spans as `name <parent> field=value ..`, open ones marked.
    fn text(&self) -> String {
        let pages = self.pages();
        let spans = pages.spans.iter().map(|span| {
            let parent = span.parent.map_or("-", |parent| pages.spans[parent as usize - 1].name);
            let fields: Vec<_> =
                span.fields.0.iter().map(|(name, value)| format!("\n  {name} = {value}")).collect();
            let open = if span.handles > 0 { " (open)" } else { "" };
            format!("{} < {parent}{open}{}", span.name, fields.concat())
        });
        spans.chain(pages.events.iter().cloned()).collect::<Vec<_>>().join("\n")
    }

    fn field(&self, span: &str, field: &str) -> Option<String> {
        let pages = self.pages();
        let span = pages.spans.iter().find(|page| page.name == span).unwrap();
        span.fields.0.get(field).cloned()
    }
}

impl Subscriber for Book {
    // A lasting yes or no is kept for all threads. Each test here opens a book, so that none ever is.
    fn register_callsite(&self, _: &'static tracing::Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        self.pages().level.is_none_or(|level| *metadata.level() <= level)
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut pages = self.pages();
        let parent = attributes.parent().map(Id::into_u64);
        let parent = parent.or(pages.entered.last().copied().filter(|_| attributes.is_contextual()));
        pages.spans.push(SpanPage { name: attributes.metadata().name(), parent, fields, handles: 1 });
        Id::from_u64(pages.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.page(span, |page| values.record(&mut page.fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut pages = self.pages();
        let span = pages.entered.last().map_or("-", |span| pages.spans[*span as usize - 1].name);
        let fields: Vec<_> = fields.0.values().map(String::as_str).collect();
        let line = format!("{} in {span}: {}", event.metadata().level(), fields.join(" "));
        pages.events.push(line);
    }

    fn enter(&self, span: &Id) {
        self.pages().entered.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        assert_eq!(self.pages().entered.pop(), Some(span.into_u64()));
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.page(span, |page| page.handles += 1);
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        self.page(&span, |page| {
            page.handles -= 1;
            page.handles == 0
        })
    }
}

/// Records metrics.
#[derive(Default)]
struct Tally {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Values>>>,
    described: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Values(Mutex<Vec<f64>>);

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

fn name(key: &Key) -> String {
    let mut labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    labels.sort();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Tally {
    fn lines(&self) -> Vec<String> {
        let counters = self.counters.lock().unwrap();
        let counters =
            counters.iter().map(|(name, count)| format!("{name} {}", count.load(Ordering::SeqCst)));
        let histograms = self.histograms.lock().unwrap();
        let histograms = histograms.iter().map(|(name, all)| format!("{name} {:?}", all.0.lock().unwrap()));
        counters.chain(histograms).collect()
    }

    fn describe(&self, key: &KeyName, unit: Option<Unit>) {
        let unit = unit.map_or("", |unit| unit.as_str());
        self.described.lock().unwrap().push(format!("{} {unit}", key.as_str()));
    }
}

impl ::metrics::Recorder for Tally {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&key, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.counters.lock().unwrap().entry(name(key)).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(self.histograms.lock().unwrap().entry(name(key)).or_default()))
    }
}

/// Both traces around a provider.
fn traced(inner: impl VisionProvider + 'static, policy: TracePolicy) -> Trace {
    let attempts = Trace::attempt(Arc::new(inner), policy.clone());
    Trace::call(Arc::new(attempts), policy).with_role("careful")
}

fn ask(text: &str) -> ChatRequest {
    ChatRequest::ask(text, [Image::from_bytes(PNG).unwrap()])
}

fn busy() -> Error {
    Error::new(ErrorKind::Overloaded, "too busy").with_status(429).with_code("1305").with_request_id("v-1")
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_recorded_by_one_span_and_one_for_its_attempt() {
    let (book, _guard) = Book::open();
    let trace = traced(mock("zhipu-main"), TracePolicy::default());
    let request = ask("what?")
        .with_model("eye")
        .with_max_tokens(50)
        .with_temperature(0.2)
        .with_top_p(0.5)
        .with_seed(7)
        .with_request_id("r-1");
    trace.chat(request).await.unwrap();
    assert_eq!(
        book.text(),
        "\
chat < -
  gen_ai.operation.name = chat
  gen_ai.provider.name = fake
  gen_ai.request.max_tokens = 50
  gen_ai.request.model = eye
  gen_ai.request.seed = 7
  gen_ai.request.temperature = 0.2
  gen_ai.request.top_p = 0.5
  gen_ai.response.finish_reasons = [\"stop\"]
  gen_ai.response.model = eye
  gen_ai.usage.input_tokens = 100
  gen_ai.usage.output_tokens = 10
  otel.kind = client
  otel.name = chat eye
  polysight.adjustments = 1
  polysight.attempts = 1
  polysight.cached = false
  polysight.estimate.input_tokens.max = 100
  polysight.estimate.input_tokens.min = 100
  polysight.media.bytes = 29
  polysight.media.images = 1
  polysight.media.videos = 0
  polysight.provider = zhipu-main
  polysight.request_id = r-1
  polysight.role = careful
attempt < chat
  gen_ai.provider.name = fake
  gen_ai.request.model = eye
  gen_ai.response.model = eye
  otel.kind = client
  otel.name = attempt eye
  polysight.provider = zhipu-main
  polysight.request_id = r-1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_recorded_with_its_kind_and_in_two_events() {
    let (book, _guard) = Book::open();
    let earlier = busy().into_attempts(SECOND);
    let failing = mock("a").error(busy().with_earlier_attempts(earlier));
    traced(failing, TracePolicy::default()).chat(ask("what?")).await.unwrap_err();
    for span in ["chat", "attempt"] {
        assert_eq!(book.field(span, "error.type").unwrap(), "overloaded");
        assert_eq!(book.field(span, "otel.status_code").unwrap(), "ERROR");
        assert_eq!(book.field(span, "polysight.request_id").unwrap(), "v-1");
    }
    assert_eq!(book.field("chat", "polysight.attempts").unwrap(), "2");
    assert_eq!(book.field("attempt", "http.response.status_code").unwrap(), "429");
    assert_eq!(book.field("attempt", "polysight.error.code").unwrap(), "1305");
    let shown = "a: overloaded (HTTP 429, code 1305): too busy";
    let events = book.pages().events.clone();
    assert!(events[0].starts_with(&format!("DEBUG in attempt: {shown}")), "{events:?}");
    assert!(events[1].starts_with(&format!("WARN in chat: {shown}")), "{events:?}");
    assert_eq!(events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_streams_spans_live_until_its_end() {
    let (book, _guard) = Book::open();
    let mock = mock("a").deltas(["one", "two"]).after(SECOND);
    let mut stream = traced(mock, TracePolicy::default()).chat_stream(ask("what?")).await.unwrap();
    stream.next_event().await.unwrap().unwrap();
    for span in ["chat", "attempt"] {
        assert_eq!(book.field(span, "gen_ai.response.time_to_first_chunk").unwrap(), "1.0");
        assert!(book.text().contains(&format!("{span} < ")) && book.text().contains("(open)"));
    }
    assert!(book.pages().entered.is_empty(), "no span is entered between two polls");
    assert_eq!(book.field("chat", "gen_ai.request.stream").unwrap(), "true");
    stream.collect_response().await.unwrap();
    assert_eq!(book.field("chat", "gen_ai.usage.output_tokens").unwrap(), "10");
    assert!(!book.text().contains("(open)") && !book.text().contains("abandoned"), "{}", book.text());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_is_a_failure() {
    let (book, _guard) = Book::open();
    let mock = mock("a").interrupted(["one"], busy()).after(SECOND);
    let stream = traced(mock, TracePolicy::default()).chat_stream(ask("what?")).await.unwrap();
    stream.collect_response().await.unwrap_err();
    assert_eq!(book.field("chat", "error.type").unwrap(), "overloaded");
    assert_eq!(book.pages().events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_abandoned() {
    for stream in [false, true] {
        let (book, _guard) = Book::open();
        let mock = mock("a").deltas(["one", "two"]).after(SECOND);
        let trace = traced(mock, TracePolicy::default());
        if stream {
            let mut stream = trace.chat_stream(ask("what?")).await.unwrap();
            stream.next_event().await.unwrap().unwrap();
        } else {
            assert!(tokio::time::timeout(SECOND, trace.chat(ask("what?"))).await.is_err());
        }
        for span in ["chat", "attempt"] {
            assert_eq!(book.field(span, "polysight.abandoned").unwrap(), "true", "{}", book.text());
        }
        assert!(!book.text().contains("(open)"));
        assert!(book.pages().entered.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_does_is_done_within_its_span() {
    struct Chatty;
    impl Stream for Chatty {
        type Item = Result<StreamEvent>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            tracing::info!("hello");
            Poll::Ready(Some(Ok(StreamEvent::Text("a".to_owned()))))
        }
    }
    let (book, _guard) = Book::open();
    let trace = Trace::call(Arc::new(mock("a")), TracePolicy::default());
    let plan = trace.plan(&ask("what?")).unwrap();
    let guard = SpanGuard::begin(&trace, &plan, true).unwrap();
    let mut stream = ChatStream::new(Chatty).observed(guard);
    stream.next_event().await.unwrap().unwrap();
    assert_eq!(book.pages().events, ["INFO in chat: hello"]);
    assert!(book.pages().entered.is_empty());
}

/// A request with a canary wherever a caller can put one.
fn canaries() -> ChatRequest {
    let link = "https://canary.example/a.jpg?sign=canary";
    ask("canary question")
        .with_message(Message::assistant("canary answer").with(ToolCall::new(
            "c-1",
            "look",
            "{\"canary\":1}",
        )))
        .with_message(Message::tool_result("c-1", "canary result"))
        .with_message(
            Message::user("canary again")
                .with(Image::from_base64(PNG_BASE64).unwrap())
                .with(Image::from_url(link).unwrap())
                .with(Video::from_url(link).unwrap()),
        )
        .with_model("hostess")
        .with_end_user_id("canary-user")
        .with_stop(["canary"])
        .with_thinking(Thinking::On)
        .with_extra("fake", "canary", "canary")
}

async fn book_of_canaries(policy: TracePolicy) -> String {
    let (book, _guard) = Book::open();
    let failure = busy().with_vendor_message("bad https://me:canary@canary.example/a?sign=canary");
    let failure =
        failure.with_partial(polysight_core::Partial::new("canary partial".to_owned(), String::new()));
    let pieces = ["canary ", "piece"];
    let mock =
        mock("a").answer("canary plain").error(failure.clone()).deltas(pieces).interrupted(pieces, failure);
    let trace = traced(mock, policy);
    trace.chat(canaries()).await.unwrap();
    trace.chat(canaries()).await.unwrap_err();
    for _ in 0..2 {
        let _ = trace.chat_stream(canaries()).await.unwrap().collect_response().await;
    }
    format!("{}\n{trace:?}", book.text())
}

#[tokio::test(start_paused = true)]
async fn no_text_picture_or_secret_is_recorded() {
    // The vendor's own message names a host; what stands behind it is cut off.
    let text = book_of_canaries(TracePolicy::default()).await.replace("canary.example/a?..", "");
    assert!(!text.contains("canary") && !text.contains(&PNG_BASE64[..20]), "{text}");
    assert!(text.contains("polysight.media.images = 3") && text.contains("polysight.media.videos = 1"));
}

#[tokio::test(start_paused = true)]
async fn texts_are_recorded_when_asked_for_but_media_never() {
    let text = book_of_canaries(TracePolicy { content: true, ..TracePolicy::default() }).await;
    for recorded in [
        r#"{"content":"canary question","type":"text"}"#,
        r#"{"id":"c-1","response":"canary result","type":"tool_call_response"}"#,
        r#""arguments":"{\"canary\":1}""#,
        r#"{"content":"canary plain","type":"text"}"#,
        r#"{"content":"canary piece","type":"text"}"#,
        r#"{"type":"image"}"#,
        r#"{"type":"video"}"#,
    ] {
        assert!(text.contains(recorded), "{recorded}\n{text}");
    }
    for never in [&PNG_BASE64[..20], "sign=", "me:", "canary-user", "a.jpg"] {
        assert!(!text.contains(never), "{never}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_span_is_made_for_a_subscriber_that_is_not_interested() {
    let (book, _guard) = Book::open_for(Level::ERROR);
    let trace = traced(mock("a").error(busy()), TracePolicy { content: true, ..TracePolicy::default() });
    let plan = trace.plan(&canaries()).unwrap();
    let guard = SpanGuard::begin(&trace, &plan, true).unwrap();
    assert!(guard.span.is_disabled());
    drop(guard);
    let silent = traced(mock("a"), TracePolicy { content: true, metrics: false });
    assert!(SpanGuard::begin(&silent, &plan, true).is_none(), "without metrics the layer does nothing");
    trace.chat(ask("what?")).await.unwrap_err();
    trace.chat_stream(ask("what?")).await.unwrap().collect_response().await.unwrap();
    assert_eq!(book.text(), "");
}

#[tokio::test(start_paused = true)]
async fn a_warning_is_recorded_where_spans_are_not() {
    let (book, _guard) = Book::open_for(Level::WARN);
    traced(mock("a").error(busy()), TracePolicy::default()).chat(ask("?")).await.unwrap_err();
    assert!(book.text().starts_with("WARN in -: a: overloaded"), "{}", book.text());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_model_is_recorded_by_the_one_it_gets() {
    let (book, _guard) = Book::open();
    traced(mock("a"), TracePolicy::default()).chat(ask("?")).await.unwrap();
    assert_eq!(book.field("chat", "otel.name").unwrap(), "chat eye");
}

#[tokio::test(start_paused = true)]
async fn counts_calls_attempts_and_tokens() {
    let (_book, _guard) = Book::open();
    let tally = Tally::default();
    let _recorder = ::metrics::set_default_local_recorder(&tally);
    let mut earlier = busy().into_attempts(SECOND);
    earlier.extend(busy().with_code(crate::router::BREAKER_OPEN).into_attempts(Duration::ZERO));
    let mock = mock("a")
        .answer("ok")
        .after(SECOND)
        .error(busy().with_earlier_attempts(earlier))
        .after(2 * SECOND)
        .deltas(["one", "two"])
        .after(SECOND)
        .silence();
    let trace = traced(mock, TracePolicy::default());
    trace.chat(ask("?").with_request_id("canary")).await.unwrap();
    trace.chat(ask("?")).await.unwrap_err();
    trace.chat_stream(ask("?")).await.unwrap().collect_response().await.unwrap();
    assert!(tokio::time::timeout(5 * SECOND, trace.chat(ask("?"))).await.is_err());
    let own = "gen_ai.operation.name=chat,gen_ai.provider.name=fake,gen_ai.request.model=eye";
    let expected = [
        "polysight_attempts_total{kind=abandoned,model=eye,provider=a} 1".to_owned(),
        "polysight_attempts_total{kind=ok,model=eye,provider=a} 2".to_owned(),
        "polysight_attempts_total{kind=overloaded,model=eye,provider=a} 1".to_owned(),
        "polysight_calls_total{model=eye,outcome=abandoned,provider=a} 1".to_owned(),
        "polysight_calls_total{model=eye,outcome=ok,provider=a} 2".to_owned(),
        "polysight_calls_total{model=eye,outcome=overloaded,provider=a} 1".to_owned(),
        "polysight_retries_total{model=eye,provider=a} 1".to_owned(),
        format!("gen_ai.client.operation.duration{{error.type=overloaded,{own}}} [2.0]"),
        format!("gen_ai.client.operation.duration{{{own}}} [1.0, 3.0, 5.0]"),
        format!("gen_ai.client.operation.time_to_first_chunk{{{own}}} [1.0]"),
        format!("gen_ai.client.token.usage{{{own},gen_ai.token.type=input}} [100.0, 100.0]"),
        format!("gen_ai.client.token.usage{{{own},gen_ai.token.type=output}} [10.0, 10.0]"),
        "polysight_attempt_duration_seconds{model=eye,provider=a} [1.0, 2.0, 3.0, 5.0]".to_owned(),
    ];
    assert_eq!(tally.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn counts_nothing_when_switched_off() {
    let (_book, _guard) = Book::open();
    let tally = Tally::default();
    let _recorder = ::metrics::set_default_local_recorder(&tally);
    traced(mock("a"), TracePolicy { metrics: false, ..TracePolicy::default() }).chat(ask("?")).await.unwrap();
    assert!(tally.lines().is_empty());
}

#[test]
fn every_metric_can_be_described() {
    let tally = Tally::default();
    ::metrics::with_local_recorder(&tally, describe_metrics);
    let described = tally.described.lock().unwrap();
    assert_eq!(described.len(), 8);
    assert!(described.contains(&"gen_ai.client.operation.duration seconds".to_owned()), "{described:?}");
}

#[cfg(feature = "cache")]
#[tokio::test(start_paused = true)]
async fn an_answer_from_a_cache_is_recorded_without_tokens() {
    use crate::cache::{Cache, CachePolicy};

    let (book, _guard) = Book::open();
    let tally = Tally::default();
    let _recorder = ::metrics::set_default_local_recorder(&tally);
    let attempts = Trace::attempt(Arc::new(mock("a")), TracePolicy::default());
    let cache = Cache::new(Arc::new(attempts), CachePolicy::default());
    let trace = Trace::call(Arc::new(cache), TracePolicy::default());
    trace.chat(ask("?").with_greedy()).await.unwrap();
    trace.chat_stream(ask("?").with_greedy()).await.unwrap().collect_response().await.unwrap();
    let text = book.text();
    assert_eq!(text.matches("attempt < chat").count(), 1);
    assert_eq!(text.matches("polysight.cached = true").count(), 1);
    assert_eq!(text.matches("gen_ai.usage.input_tokens").count(), 1);
    let lines = tally.lines();
    assert!(lines.contains(&"polysight_cache_hits_total{model=eye,provider=a} 1".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("gen_ai.token.type=input") && line.ends_with("[100.0]")));
}
