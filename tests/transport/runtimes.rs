//! Outside of a tokio runtime: an error that says so, and no panic.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use polysight::layers::{Retry, RetryPolicy};
use polysight::{
    Billed, Catalog, ChatRequest, ChatResponse, ChatStream, Error, ErrorKind, MockProvider, Plan, ProviderId,
    Result, Role, VisionProvider, VisionProviderExt as _,
};
use tokio::runtime::Runtime;

use super::server::{Script, Server};
use super::{hello, line, role, upload};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future without a runtime.
fn run<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn check(error: &Error) {
    let shown = line(error);
    assert!(shown.contains("no tokio runtime") && shown.contains("#[tokio::main]"), "{shown}");
    assert_eq!(error.kind(), ErrorKind::Config, "{shown}");
    assert_eq!(error.attempts().len(), 0, "{error:?}");
}

#[test]
fn a_call_says_that_it_needs_a_runtime() {
    for settings in
        ["", "rate_limit = true", "proxy = 'socks5h://127.0.0.1:9'", "http2 = true", "api_key_file = 'x'"]
    {
        // Without layers: the key file is missing, which is another error, but no panic.
        let Ok(role) = role("http://127.0.0.1:9/v1", settings) else { continue };
        let plan = role.plan(&hello()).unwrap();
        for error in [
            run(role.chat(hello())).unwrap_err(),
            run(role.chat(upload(100_000))).unwrap_err(),
            run(role.chat_stream(hello())).map(drop).unwrap_err(),
            run(role.stream_collected(hello())).unwrap_err(),
            run(role.send(plan.clone())).unwrap_err(),
            run(role.stream(plan)).map(drop).unwrap_err(),
        ] {
            check(&error);
            assert_eq!(error.billed(), Billed::No);
        }
    }
}

#[test]
fn every_layer_that_waits_says_so() {
    for layers in [
        "deadline = 5",
        "retry = false",
        "retry = 'patient'",
        "cache = true",
        "trace = true",
        "deadline = 5\nretry = false\ncache = true",
    ] {
        let text = format!(
            "[providers.p]\nbackend = 'openai'\nbase_url = 'https://127.0.0.1:9/v1'\nmodel = 'm'\nrate_limit = true\n\
             [roles.one]\nprovider = 'p'\n{layers}\n[roles.two]\nfallback = ['one']\n"
        );
        let polysight = polysight::Polysight::from_toml(&text).unwrap();
        for name in ["one", "two"] {
            let role = polysight.role(name).unwrap();
            check(&run(role.chat(hello())).unwrap_err());
            check(&run(role.chat_stream(hello())).map(drop).unwrap_err());
            let file = polysight_testkit::example_file("cat.jpg");
            let picture = polysight::Image::from_file(file).unwrap();
            check(&run(role.ask("What is it?", [picture])).unwrap_err());
        }
    }
}

/// A provider that needs no runtime, and is always busy.
struct Busy(Role);

impl std::fmt::Debug for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Busy")
    }
}

#[async_trait::async_trait]
impl VisionProvider for Busy {
    fn id(&self) -> &ProviderId {
        self.0.id()
    }

    fn catalog(&self) -> &Catalog {
        self.0.catalog()
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        self.0.plan(request)
    }

    async fn send(&self, _: Plan) -> Result<ChatResponse> {
        Err(Error::new(ErrorKind::Overloaded, "busy"))
    }

    async fn stream(&self, _: Plan) -> Result<ChatStream> {
        Err(Error::new(ErrorKind::Overloaded, "busy"))
    }
}

#[test]
fn a_retry_of_a_provider_that_needs_no_runtime_says_so_before_it_waits() {
    let busy = Busy(role("http://127.0.0.1:9/v1", "").unwrap());
    let retry = Retry::new(Arc::new(busy), RetryPolicy::default());
    for error in [run(retry.chat(hello())).map(drop), run(retry.chat_stream(hello())).map(drop)] {
        let error = error.unwrap_err();
        assert!(line(&error).contains("no tokio runtime"), "{error}");
        assert_eq!(error.attempts().len(), 1, "{error:?}");
    }
    let mock = MockProvider::new("mock").answer("A cat.");
    check(&run(mock.chat(hello())).unwrap_err());
    check(&run(mock.chat_stream(hello())).map(drop).unwrap_err());
}

#[test]
fn a_stream_that_leaves_its_runtime_ends_with_an_error() {
    let runtime = Runtime::new().unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2f\r\n\
                data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\r\n";
    let script = Script::Drip { reply: head.to_owned(), piece: "", pause: Duration::from_millis(50) };
    let server = runtime.block_on(Server::start(None, script));
    let role = role(&server.url(), "").unwrap();
    let mut stream = runtime.block_on(role.chat_stream(hello())).unwrap();
    let error = loop {
        if let Err(error) = run(stream.next_event()).unwrap() {
            break error;
        }
    };
    assert!(line(&error).contains("no tokio runtime"), "{error}");
    assert_eq!(error.billed(), Billed::Likely);
    assert!(run(stream.next_event()).is_none());
}
