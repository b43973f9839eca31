//! Runs the rows, several concurrently.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight::VisionProvider;
use polysight_emulator::{Emulator, Fault};
use polysight_testkit::MockServer;
use polysight_testkit::calls::Way;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::case::{Cell, Observed, References, call, judge, request};
use super::row::{Ask, Cause, Limits, Row};
use super::target::Target;

/// Rows of one provider that run concurrently, each on a thread and a runtime of its own, so that a row that floods or computes
/// takes no time from the limits of another. They mostly wait.
const RUNNERS: usize = 6;
/// No row may take longer, whatever its limits.
const ROW_TIMEOUT: Duration = Duration::from_secs(20);

/// What came of a row.
pub(super) struct RowResult {
    pub(super) row: Row,
    pub(super) plain: Cell,
    pub(super) streamed: Cell,
    /// Ways with the expected outcome.
    pub(super) as_expected: usize,
    pub(super) findings: Vec<String>,
    /// Why it was left out, here and now.
    pub(super) left_out: Option<&'static str>,
}

/// Runs rows in every way; gives them back in order with what came.
pub(super) fn run_all(target: &Target, rows: Vec<Row>) -> Vec<RowResult> {
    let references = block_on(References::of(target));
    let waiting = Mutex::new(rows.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let runner = async || {
        let runner = Runner::new(target).await;
        loop {
            let next = waiting.lock().unwrap().next();
            let Some((place, row)) = next else { return };
            let result = runner.run_row(row, &references).await;
            done.lock().unwrap().push((place, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..RUNNERS {
            scope.spawn(|| block_on(runner()));
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

struct Runner<'t> {
    target: &'t Target,
    emulator: Emulator,
    server: MockServer,
    /// Providers within long limits. Rows share them: a fault must not spoil the requests that follow.
    at_emulator: Arc<dyn VisionProvider>,
    at_server: Arc<dyn VisionProvider>,
    /// Bound and not listening, so that no other process gets its port.
    unused: TcpSocket,
}

impl<'t> Runner<'t> {
    async fn new(target: &'t Target) -> Self {
        let (emulator, server) = (Emulator::start().await.unwrap(), MockServer::start().await);
        let provider = |address| target.provider(&format!("http://{address}"), &Limits::default());
        let (at_emulator, at_server) = (provider(emulator.address()), provider(server.address()));
        let unused = TcpSocket::new_v4().unwrap();
        unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { target, emulator, server, at_emulator, at_server, unused }
    }

    async fn run_row(&self, row: Row, references: &References) -> RowResult {
        let mut result = RowResult {
            row,
            plain: Cell::default(),
            streamed: Cell::default(),
            as_expected: 0,
            findings: Vec::new(),
            left_out: None,
        };
        if result.row.not_offered.is_some() {
            return result;
        }
        if timeout(ROW_TIMEOUT, self.fill_in(&mut result, references)).await.is_err() {
            result.findings.push("it hangs".to_owned());
        }
        result
    }

    /// Runs a row in every way; notes what is not as expected.
    async fn fill_in(&self, result: &mut RowResult, references: &References) {
        let row = &result.row;
        let full = if matches!(row.cause, Cause::QueueFull) { FullQueue::make().await } else { None };
        let Some(provider) = self.provider(row, full.as_ref()) else {
            result.left_out = Some("this machine's queue does not fill");
            return;
        };
        for way in Way::ALL {
            let mut found = Vec::new();
            let observed = self.run_once(row, way, &provider, &mut found).await;
            let expected = if way == Way::Plain { &row.plain } else { &row.streamed };
            let cell =
                judge(self.target, row.ask, expected, &observed, references.of_ask(row.ask), &mut found);
            match way {
                Way::Plain => result.plain = cell,
                Way::Streamed => result.streamed = cell,
                Way::Collected => {}
            }
            result.as_expected += usize::from(found.is_empty());
            result.findings.extend(found.into_iter().map(|finding| format!("{way:?}: {finding}")));
        }
    }

    /// The provider whose server makes the row's fault; `None` where this machine cannot.
    fn provider(&self, row: &Row, full: Option<&FullQueue>) -> Option<Arc<dyn VisionProvider>> {
        let (target, limits) = (self.target, &row.limits);
        let at = |scheme, address| target.provider(&format!("{scheme}://{address}"), limits);
        let usual = *limits == Limits::default();
        Some(match &row.cause {
            Cause::Emulator(_) | Cause::Redirect if usual => Arc::clone(&self.at_emulator),
            Cause::Emulator(_) | Cause::Redirect => at("http", self.emulator.address()),
            Cause::Server { .. } | Cause::SecondRequest { .. } if usual => Arc::clone(&self.at_server),
            Cause::Server { .. } | Cause::SecondRequest { .. } => at("http", self.server.address()),
            Cause::Refused => at("http", self.unused.local_addr().unwrap()),
            Cause::QueueFull => at("http", full?.listener.local_addr().unwrap()),
            Cause::NoSuchHost => target.provider("http://nonexistent.invalid", limits),
            Cause::NoTls(_) => at("https", self.server.address()),
        })
    }

    /// Makes the fault happen and calls once.
    async fn run_once(
        &self,
        row: &Row,
        way: Way,
        provider: &Arc<dyn VisionProvider>,
        findings: &mut Vec<String>,
    ) -> Observed {
        match &row.cause {
            Cause::Emulator(faults) => self.with_faults(faults, row.ask, way, provider, findings).await,
            Cause::Redirect => {
                let other = MockServer::start().await;
                let fault = Fault::RedirectTo(self.target.base_url(other.address()));
                let observed = self.with_faults(&[fault], row.ask, way, provider, findings).await;
                if other.connections() != 0 {
                    findings.push("the redirect was followed".to_owned());
                }
                observed
            }
            Cause::Server { plain, streamed } => {
                self.server.play(if way == Way::Plain { plain } else { streamed });
                let observed = call(provider, request(self.target, row.ask), way, findings).await;
                self.count_requests(1, findings);
                observed
            }
            Cause::SecondRequest { plain, streamed } => {
                self.server.play(if way == Way::Plain { plain } else { streamed });
                if let Some(error) = call(provider, request(self.target, row.ask), way, findings).await.error
                {
                    findings.push(format!("the first request fails: {error:?}"));
                }
                let_the_close_arrive().await;
                let observed = call(provider, request(self.target, row.ask), way, findings).await;
                self.count_requests(2, findings);
                let_the_close_arrive().await;
                observed
            }
            Cause::NoTls(steps) => {
                self.server.play(steps);
                call(provider, request(self.target, row.ask), way, findings).await
            }
            Cause::Refused | Cause::QueueFull | Cause::NoSuchHost => {
                call(provider, request(self.target, row.ask), way, findings).await
            }
        }
    }

    /// Calls with faults; after the last way once more without, in long limits.
    async fn with_faults(
        &self,
        faults: &[Fault],
        ask: Ask,
        way: Way,
        provider: &Arc<dyn VisionProvider>,
        findings: &mut Vec<String>,
    ) -> Observed {
        self.emulator.clear_requests();
        self.emulator.script_together(faults.iter().cloned());
        let observed = call(provider, request(self.target, ask), way, findings).await;
        let arrived = self.emulator.requests().len();
        if arrived != 1 {
            findings.push(format!("{arrived} requests arrived"));
        }
        if way == Way::Collected {
            let next = call(&self.at_emulator, request(self.target, ask), way, findings).await;
            if let Some(error) = next.error {
                findings.push(format!("the next request fails too: {error:?}"));
            }
        }
        observed
    }

    /// So many requests must have arrived, or none where the server does not read.
    fn count_requests(&self, requests: usize, findings: &mut Vec<String>) {
        let arrived = self.server.requests().len();
        if arrived != requests && arrived != 0 {
            findings.push(format!("{arrived} requests arrived"));
        }
    }
}

pub(super) async fn let_the_close_arrive() {
    sleep(Duration::from_millis(30)).await;
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
