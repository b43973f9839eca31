//! Everything that goes wrong between a client and a vendor, over real sockets: one table, plain and streamed.
//!
//! `cargo test -p polysight-tests faults -- --nocapture` prints it.

mod row;
mod rows;
mod target;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight::{
    ChatRequest, ChatResponse, Error, Image, Message, StreamEvent, ToolDefinition, VisionProvider,
    VisionProviderExt,
};
use polysight_emulator::{Emulator, Fault};
use polysight_tests::{Act, Server, bulky_png, noise};
use row::{Ask, Cause, Limits, Outcome, Reference, Row};
use target::{CANARY, Target, ZHIPU};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Rows that are tried at once, each lane of them on a thread and a runtime of its own, so that a row that floods or
/// computes takes no time from the limits of another. They mostly wait.
const LANES: usize = 8;
/// No row may take longer, whatever its limits.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn every_fault_ends_as_the_table_says() {
    let mut printed = String::new();
    let mut wrong = Vec::new();
    for target in [&ZHIPU] {
        for (row, findings) in try_all(target) {
            let mark = if findings.is_empty() { "  " } else { "! " };
            let name = target.name;
            let _ = writeln!(printed, "{mark}{name} | {:44} | {} | {}", row.name, row.plain, row.streamed);
            wrong.extend(findings.iter().map(|finding| format!("{name}: {}: {finding}", row.name)));
        }
    }
    println!("{printed}");
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong.join("\n"));
}

/// A new connection costs a round trip or three, and TLS.
#[tokio::test]
async fn good_replies_leave_the_connection_to_the_next_request() {
    for target in [&ZHIPU] {
        let server = Server::start().await.unwrap();
        let provider = target.provider(&target.base_url("http", server.address()), &Limits::default());
        for way in [Call::Plain, Call::Streamed, Call::Collected] {
            let reply = if way == Call::Plain { rows::kept_plain() } else { rows::kept_stream() };
            server.play(&[Act::Request, Act::Write(reply.clone()), Act::Request, Act::Write(reply)]);
            for _ in 0..2 {
                let got = call(&*provider, request(target, Ask::Hello), way, &mut Vec::new()).await;
                assert_eq!((got.text.as_str(), got.error.is_none()), ("onetwo", true));
            }
            assert_eq!((server.requests().len(), server.connections()), (2, 1), "{} {way:?}", target.name);
            time_to_hear_of_a_close().await;
        }
    }
}

/// Tries every row; gives them back in order with what was found wrong.
fn try_all(target: &Target) -> Vec<(Row, Vec<String>)> {
    let references = block_on(References::of(target));
    let waiting = Mutex::new(rows::rows(target).into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let lane = async || {
        let lane = Lane::new(target).await;
        loop {
            let next = waiting.lock().unwrap().next();
            let Some((place, row)) = next else { return };
            let findings = timeout(PATIENCE, lane.try_row(&row, &references)).await;
            let findings = findings.unwrap_or_else(|_| vec!["it hangs".to_owned()]);
            done.lock().unwrap().push((place, row, findings));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| block_on(lane()));
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, ..)| *place);
    done.into_iter().map(|(_, row, findings)| (row, findings)).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Plain,
    Streamed,
    Collected,
}

/// The answers without faults.
struct References(Vec<(Ask, Reference)>);

impl References {
    async fn of(target: &Target) -> Self {
        let emulator = Emulator::start().await.unwrap();
        let provider = target.provider(&emulator.base_url(target.surface), &Limits::default());
        // Nobody answers the large picture.
        let mut references = vec![(Ask::LargePicture, Reference::default())];
        for ask in [Ask::Hello, Ask::Reasoning, Ask::Tool, Ask::Picture] {
            let mut deltas = Vec::new();
            let mut stream = provider.stream(request(target, ask)).await.unwrap();
            while let Some(event) = stream.next_event().await {
                deltas.extend(Some(shown(&event.unwrap())).filter(|text| !text.is_empty()));
            }
            assert!(deltas.len() > 3 || ask == Ask::Tool, "{ask:?}: {deltas:?}");
            references.push((ask, Reference { deltas }));
        }
        Self(references)
    }

    fn of_ask(&self, ask: Ask) -> &Reference {
        &self.0.iter().find(|(known, _)| *known == ask).unwrap().1
    }
}

fn request(target: &Target, ask: Ask) -> ChatRequest {
    let hello = || ChatRequest::new([Message::user("Say hello, 你好, in five languages.")]);
    match ask {
        Ask::Hello => hello(),
        Ask::Reasoning => hello().with_model(target.reasoning_model),
        Ask::Tool => {
            let schema = serde_json::json!({"type": "object", "properties": {"city": {"type": "string"}}});
            let tool = ToolDefinition::new("get_weather", "Weather for a city", schema);
            hello().with_model(target.reasoning_model).with_tools([tool])
        }
        Ask::Picture => ChatRequest::ask("What is it?", [Image::from_bytes(noise(150, 150)).unwrap()]),
        Ask::LargePicture => {
            ChatRequest::ask("What is it?", [Image::from_bytes(bulky_png(4 << 20)).unwrap()])
        }
    }
}

/// What a reader of the stream has seen of the answer.
fn shown(event: &StreamEvent) -> String {
    match event {
        StreamEvent::Text(text) => text.clone(),
        StreamEvent::ToolCall(call) => {
            format!("{}{}", call.name.as_deref().unwrap_or_default(), call.arguments)
        }
        _ => String::new(),
    }
}

fn shown_of(response: &ChatResponse) -> String {
    let calls = response.tool_calls.iter().map(|call| format!("{}{}", call.name, call.arguments));
    std::iter::once(response.text.clone()).chain(calls).collect()
}

/// What a call came to: the text that was seen, and the error if there was one.
struct Got {
    text: String,
    error: Option<Error>,
}

async fn call(
    provider: &dyn VisionProvider,
    request: ChatRequest,
    call: Call,
    findings: &mut Vec<String>,
) -> Got {
    let result = match call {
        Call::Plain => provider.chat(request).await,
        Call::Collected => provider.stream_collected(request).await,
        Call::Streamed => return read_stream(provider, request, findings).await,
    };
    match result {
        Ok(response) => Got { text: shown_of(&response), error: None },
        Err(error) => {
            let text = error.partial().map(|partial| partial.text.clone()).unwrap_or_default();
            Got { text, error: Some(error) }
        }
    }
}

/// Reads a stream event by event, and on after its end.
async fn read_stream(provider: &dyn VisionProvider, request: ChatRequest, findings: &mut Vec<String>) -> Got {
    let mut got = Got { text: String::new(), error: None };
    let mut stream = match provider.stream(request).await {
        Ok(stream) => stream,
        Err(error) => return Got { error: Some(error), ..got },
    };
    let mut ends = 0;
    while let Some(event) = stream.next_event().await {
        if ends > 0 {
            findings.push(format!("something comes after the end: {event:?}"));
        }
        match event {
            Ok(StreamEvent::End(_)) => ends += 1,
            Ok(event) => got.text.push_str(&shown(&event)),
            Err(error) => {
                ends += 1;
                got.error = Some(error);
            }
        }
    }
    if ends != 1 || stream.next_event().await.is_some() {
        findings.push(format!("the stream ends {ends} times"));
    }
    got
}

fn judge(target: &Target, expected: &Outcome, got: &Got, reference: &Reference, findings: &mut Vec<String>) {
    let text = match (expected, &got.error) {
        (Outcome::Answer(text), None) => Some(text),
        (Outcome::Error(kinds, advice, text), Some(error)) => {
            (kinds.contains(&error.kind()) && advice.matches(error.retry())).then_some(text)
        }
        _ => None,
    };
    if !text.is_some_and(|text| reference.allows(text, &got.text)) {
        let came = match &got.error {
            None => "answer".to_owned(),
            Some(error) => format!("{:?}, {:?}, {error:?}", error.kind(), error.retry()),
        };
        findings.push(format!("expected {expected}, got {came} after {:?}", got.text));
    }
    if let Some(error) = &got.error {
        let shown = format!("{error}\n{error:?}");
        if shown.contains(CANARY) || shown.lines().count() != 2 || error.provider() != Some(target.name) {
            findings.push(format!("the error shows a key, has a line break or no provider: {shown}"));
        }
    }
}

/// Where rows are tried one after another.
struct Lane<'t> {
    target: &'t Target,
    emulator: Emulator,
    server: Server,
    /// Providers within long limits. Rows share them: a fault must not spoil the requests that follow.
    at_emulator: Arc<dyn VisionProvider>,
    at_server: Arc<dyn VisionProvider>,
}

impl<'t> Lane<'t> {
    async fn new(target: &'t Target) -> Self {
        let (emulator, server) = (Emulator::start().await.unwrap(), Server::start().await.unwrap());
        let provider = |address| target.provider(&target.base_url("http", address), &Limits::default());
        let (at_emulator, at_server) = (provider(emulator.address()), provider(server.address()));
        Self { target, emulator, server, at_emulator, at_server }
    }

    /// Tries a row in every way; says what is not as it must be.
    async fn try_row(&self, row: &Row, references: &References) -> Vec<String> {
        let (target, limits) = (self.target, &row.limits);
        let at = |scheme, address| target.provider(&target.base_url(scheme, address), limits);
        let usual = *limits == Limits::default();
        let full = if matches!(row.cause, Cause::QueueFull) { FullQueue::make().await } else { None };
        let provider = match &row.cause {
            Cause::Emulator(_) | Cause::Redirect if usual => Arc::clone(&self.at_emulator),
            Cause::Emulator(_) | Cause::Redirect => at("http", self.emulator.address()),
            Cause::Server { .. } | Cause::SecondRequest { .. } if usual => Arc::clone(&self.at_server),
            Cause::Server { .. } | Cause::SecondRequest { .. } => at("http", self.server.address()),
            Cause::Refused => at("http", unused_address()),
            Cause::QueueFull => match &full {
                Some(full) => at("http", full.listener.local_addr().unwrap()),
                None => {
                    println!("left out, since this machine's queue does not fill: {}", row.name);
                    return Vec::new();
                }
            },
            Cause::NoSuchHost => {
                target.provider(&format!("http://nonexistent.invalid{}", target.surface.prefix()), limits)
            }
            Cause::NoTls => at("https", self.emulator.address()),
        };
        let mut findings = Vec::new();
        for way in [Call::Plain, Call::Streamed, Call::Collected] {
            let mut found = Vec::new();
            let got = self.try_once(row, way, &*provider, &mut found).await;
            let expected = if way == Call::Plain { &row.plain } else { &row.streamed };
            judge(target, expected, &got, references.of_ask(row.ask), &mut found);
            findings.extend(found.into_iter().map(|finding| format!("{way:?}: {finding}")));
        }
        findings
    }

    /// Makes the fault happen and calls once.
    async fn try_once(
        &self,
        row: &Row,
        way: Call,
        provider: &dyn VisionProvider,
        findings: &mut Vec<String>,
    ) -> Got {
        match &row.cause {
            Cause::Emulator(faults) => self.with_faults(faults, row, way, provider, findings).await,
            Cause::Redirect => {
                let other = Server::start().await.unwrap();
                let fault = Fault::RedirectTo(self.target.base_url("http", other.address()));
                let got = self.with_faults(&[fault], row, way, provider, findings).await;
                if other.connections() != 0 {
                    findings.push("the redirect was followed".to_owned());
                }
                got
            }
            Cause::Server { plain, streamed } => {
                self.server.play(if way == Call::Plain { plain } else { streamed });
                let got = call(provider, request(self.target, row.ask), way, findings).await;
                self.count_requests(1, findings);
                got
            }
            Cause::SecondRequest { plain, streamed } => {
                self.server.play(if way == Call::Plain { plain } else { streamed });
                if let Some(error) = call(provider, request(self.target, row.ask), way, findings).await.error
                {
                    findings.push(format!("the first request fails: {error:?}"));
                }
                time_to_hear_of_a_close().await;
                let got = call(provider, request(self.target, row.ask), way, findings).await;
                self.count_requests(2, findings);
                time_to_hear_of_a_close().await;
                got
            }
            Cause::Refused | Cause::QueueFull | Cause::NoSuchHost | Cause::NoTls => {
                call(provider, request(self.target, row.ask), way, findings).await
            }
        }
    }

    /// Calls once with faults, and once more without.
    async fn with_faults(
        &self,
        faults: &[Fault],
        row: &Row,
        way: Call,
        provider: &dyn VisionProvider,
        findings: &mut Vec<String>,
    ) -> Got {
        self.emulator.clear_requests();
        self.emulator.script_together(faults.iter().cloned());
        let got = call(provider, request(self.target, row.ask), way, findings).await;
        let arrived = self.emulator.requests().len();
        if arrived != 1 {
            findings.push(format!("{arrived} requests arrived"));
        }
        let next = call(&*self.at_emulator, request(self.target, row.ask), way, findings).await;
        if let Some(error) = next.error {
            findings.push(format!("the next request fails too: {error:?}"));
        }
        got
    }

    /// So many requests must have arrived, or none where the server does not read.
    fn count_requests(&self, requests: usize, findings: &mut Vec<String>) {
        let arrived = self.server.requests().len();
        if arrived != requests && arrived != 0 {
            findings.push(format!("{arrived} requests arrived"));
        }
    }
}

async fn time_to_hear_of_a_close() {
    sleep(Duration::from_millis(30)).await;
}

/// An address of this machine at which nobody listens.
fn unused_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listener whose queue is full, so that no connection to it is ever made.
struct FullQueue {
    listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl FullQueue {
    async fn make() -> Option<Self> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        for _ in 0..8 {
            match timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
                Ok(Ok(stream)) => queued.push(stream),
                Ok(Err(_)) => return None,
                Err(_) => return Some(Self { listener, _queued: queued }),
            }
        }
        None
    }
}
