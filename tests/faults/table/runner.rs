//! Where rows are tried one after another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight::VisionProvider;
use polysight_emulator::{Emulator, Fault};
use polysight_tests::Server;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::call::{Cell, Got, References, Way, call, judge, request};
use super::row::{Ask, Cause, Limits, Row};
use super::target::Target;

/// Rows of one provider that are tried at once, each lane of them on a thread and a runtime of its own, so that a row
/// that floods or computes takes no time from the limits of another. They mostly wait.
const LANES: usize = 6;
/// No row may take longer, whatever its limits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A row that was tried.
pub(super) struct Tried {
    pub(super) row: Row,
    pub(super) plain: Cell,
    pub(super) streamed: Cell,
    /// Ways that came to what they must.
    pub(super) as_expected: usize,
    pub(super) findings: Vec<String>,
    /// Why it was left out, here and now.
    pub(super) left_out: Option<&'static str>,
}

/// Tries rows in every way; gives them back in order with what came.
pub(super) fn try_all(target: &Target, rows: Vec<Row>) -> Vec<Tried> {
    let references = block_on(References::of(target));
    let waiting = Mutex::new(rows.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let lane = async || {
        let lane = Lane::new(target).await;
        loop {
            let next = waiting.lock().unwrap().next();
            let Some((place, row)) = next else { return };
            let tried = lane.try_row(row, &references).await;
            done.lock().unwrap().push((place, tried));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| block_on(lane()));
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, tried)| tried).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

struct Lane<'t> {
    target: &'t Target,
    emulator: Emulator,
    server: Server,
    /// Providers within long limits. Rows share them: a fault must not spoil the requests that follow.
    at_emulator: Arc<dyn VisionProvider>,
    at_server: Arc<dyn VisionProvider>,
    /// Bound and not listening, so that nobody else gets its port.
    unused: TcpSocket,
}

impl<'t> Lane<'t> {
    async fn new(target: &'t Target) -> Self {
        let (emulator, server) = (Emulator::start().await.unwrap(), Server::start().await.unwrap());
        let provider = |address| target.provider(&target.base_url("http", address), &Limits::default());
        let (at_emulator, at_server) = (provider(emulator.address()), provider(server.address()));
        let unused = TcpSocket::new_v4().unwrap();
        unused.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { target, emulator, server, at_emulator, at_server, unused }
    }

    async fn try_row(&self, row: Row, references: &References) -> Tried {
        let mut tried = Tried {
            row,
            plain: Cell::default(),
            streamed: Cell::default(),
            as_expected: 0,
            findings: Vec::new(),
            left_out: None,
        };
        if tried.row.not_offered.is_some() {
            return tried;
        }
        if timeout(PATIENCE, self.fill_in(&mut tried, references)).await.is_err() {
            tried.findings.push("it hangs".to_owned());
        }
        tried
    }

    /// Tries a row in every way; says what is not as it must be.
    async fn fill_in(&self, tried: &mut Tried, references: &References) {
        let row = &tried.row;
        let full = if matches!(row.cause, Cause::QueueFull) { FullQueue::make().await } else { None };
        let Some(provider) = self.provider(row, full.as_ref()) else {
            tried.left_out = Some("this machine's queue does not fill");
            return;
        };
        for way in Way::ALL {
            let mut found = Vec::new();
            let got = self.try_once(row, way, &provider, &mut found).await;
            let expected = if way == Way::Plain { &row.plain } else { &row.streamed };
            let cell = judge(self.target, expected, &got, references.of_ask(row.ask), &mut found);
            match way {
                Way::Plain => tried.plain = cell,
                Way::Streamed => tried.streamed = cell,
                Way::Collected => {}
            }
            tried.as_expected += usize::from(found.is_empty());
            tried.findings.extend(found.into_iter().map(|finding| format!("{way:?}: {finding}")));
        }
    }

    /// The provider whose server makes the row's fault; `None` where this machine cannot.
    fn provider(&self, row: &Row, full: Option<&FullQueue>) -> Option<Arc<dyn VisionProvider>> {
        let (target, limits) = (self.target, &row.limits);
        let at = |scheme, address| target.provider(&target.base_url(scheme, address), limits);
        let usual = *limits == Limits::default();
        Some(match &row.cause {
            Cause::Emulator(_) | Cause::Redirect if usual => Arc::clone(&self.at_emulator),
            Cause::Emulator(_) | Cause::Redirect => at("http", self.emulator.address()),
            Cause::Server { .. } | Cause::SecondRequest { .. } if usual => Arc::clone(&self.at_server),
            Cause::Server { .. } | Cause::SecondRequest { .. } => at("http", self.server.address()),
            Cause::Refused => at("http", self.unused.local_addr().unwrap()),
            Cause::QueueFull => at("http", full?.listener.local_addr().unwrap()),
            Cause::NoSuchHost => {
                target.provider(&format!("http://nonexistent.invalid{}", target.surface.prefix()), limits)
            }
            Cause::NoTls(_) => at("https", self.server.address()),
        })
    }

    /// Makes the fault happen and calls once.
    async fn try_once(
        &self,
        row: &Row,
        way: Way,
        provider: &Arc<dyn VisionProvider>,
        findings: &mut Vec<String>,
    ) -> Got {
        match &row.cause {
            Cause::Emulator(faults) => self.with_faults(faults, row.ask, way, provider, findings).await,
            Cause::Redirect => {
                let other = Server::start().await.unwrap();
                let fault = Fault::RedirectTo(self.target.base_url("http", other.address()));
                let got = self.with_faults(&[fault], row.ask, way, provider, findings).await;
                if other.connections() != 0 {
                    findings.push("the redirect was followed".to_owned());
                }
                got
            }
            Cause::Server { plain, streamed } => {
                self.server.play(if way == Way::Plain { plain } else { streamed });
                let got = call(provider, request(self.target, row.ask), way, findings).await;
                self.count_requests(1, findings);
                got
            }
            Cause::SecondRequest { plain, streamed } => {
                self.server.play(if way == Way::Plain { plain } else { streamed });
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
            Cause::NoTls(acts) => {
                self.server.play(acts);
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
    ) -> Got {
        self.emulator.clear_requests();
        self.emulator.script_together(faults.iter().cloned());
        let got = call(provider, request(self.target, ask), way, findings).await;
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

pub(super) async fn time_to_hear_of_a_close() {
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
