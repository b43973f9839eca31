//! Three processes share one rate limit in one server, and one of them is killed.
//!
//! The test's own program is started again for each process; `WORKER` makes it one. The window is 3 s instead of a
//! minute, so that several pass.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes helpers of tests for production code; here a failure is to end the test"
)]

#[path = "../src/rate_limit/redis/server.rs"]
mod server;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use polysight_core::plan::PlanBuilder;
use polysight_core::{
    Catalog, ChatRequest, ChatResponse, ChatStream, Count, Error, ErrorKind, Estimate, FinishKind,
    FinishReason, Message, Plan, ProviderId, Result, VisionProvider, VisionProviderExt as _,
};
use polysight_layers::rate_limit::{RateLimit, RateLimitPolicy, RedisSettings, RedisStore, StoreFailure};
use server::Server;

const WORKER: &str = "POLYSIGHT_TEST_RATE_LIMIT_WORKER";
const REQUESTS: usize = 60;
const CONCURRENCY: usize = 5;
const WINDOW: Duration = Duration::from_secs(3);
const LEASE_TIME: Duration = Duration::from_secs(1);
/// The one that is killed holds so many leases, and would for ever.
const HELD: usize = 3;

#[test]
fn three_processes_keep_to_one_limit_and_a_killed_ones_leases_expire() {
    if let Ok(orders) = std::env::var(WORKER) {
        return work(&orders);
    }
    let Some(redis) = Server::start() else { return };
    let grants = watch_grants(&redis);
    let vendor = Vendor::start();
    let start = |name, calls, hold| Worker::start(&redis, &vendor, name, calls, hold);

    let mut victim = start("victim", HELD, 60_000);
    vendor.wait_until("the victim holds its leases", |seen| seen.open("victim") == HELD);
    let survivors = [start("left", 8, 100), start("right", 8, 100)];
    // Far longer than a lease: only renewal keeps the victim's leases.
    let renewed = vendor.count_for(3 * LEASE_TIME);
    assert_eq!(renewed.open("victim"), HELD);
    assert!(renewed.most_of_survivors <= CONCURRENCY - HELD, "{renewed:?}");

    victim.kill();
    let killed = Instant::now();
    let freed = |seen: &Seen| seen.open("left") + seen.open("right") > CONCURRENCY - HELD;
    vendor.wait_until("the dead one's leases expire", freed);
    let back = killed.elapsed();
    let seen = vendor.count_for(Duration::from_secs(4));
    drop(survivors);

    let grants = grants.lock().unwrap().clone();
    let busiest = busiest(&grants, WINDOW.as_micros() as u64);
    println!(
        "limits: {REQUESTS} requests in any {WINDOW:?}, {CONCURRENCY} concurrent\n\
         granted: {} in {:.1} s; most in any window: {busiest}; most that the vendor saw at once: {}\n\
         arrived at the vendor: {}; most in any window there: {}\n\
         the killed one's {HELD} leases expired after {back:.2?} (of {LEASE_TIME:?} each)",
        grants.len(),
        (grants.last().unwrap() - grants[0]) as f64 / 1e6,
        seen.most_at_once,
        seen.arrivals.len(),
        self::busiest(&seen.arrivals, WINDOW.as_micros() as u64),
    );
    assert!(busiest <= REQUESTS);
    assert!(seen.most_at_once <= CONCURRENCY);
    assert!(grants.len() > REQUESTS, "the limit was never put to the test");
    assert!(back < 10 * LEASE_TIME);
}

/// Most of these moments, which are in order, in any window of this length, its ends included.
fn busiest(moments: &[u64], window: u64) -> usize {
    let until = |first: u64| moments.partition_point(|at| *at <= first + window);
    moments.iter().enumerate().map(|(index, first)| until(*first) - index).max().unwrap_or(0)
}

/// The moment of each grant by the server's own clock, in microseconds, as its monitor shows.
fn watch_grants(redis: &Server) -> Arc<Mutex<Vec<u64>>> {
    let grants = Arc::new(Mutex::new(Vec::new()));
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    stream.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "+OK");
    let shared = Arc::clone(&grants);
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            if line.contains("\"HINCRBY\"") && line.contains(":counts\" \"r") {
                let moment = line.trim_start_matches('+').split(' ').next().unwrap().replace('.', "");
                shared.lock().unwrap().push(moment.parse().unwrap());
            }
        }
    });
    grants
}

/// A process that sends calls through a rate limit; killed on drop.
struct Worker(Child);

impl Worker {
    fn start(redis: &Server, vendor: &Vendor, name: &str, calls: usize, hold: u64) -> Self {
        let orders = format!("{name} {calls} {hold} {} {}", redis.url(), vendor.port);
        let this = "three_processes_keep_to_one_limit_and_a_killed_ones_leases_expire";
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(WORKER, orders)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn work(orders: &str) {
    let [name, calls, hold, redis, vendor] = orders.split(' ').collect::<Vec<_>>()[..] else { panic!() };
    let patient = Duration::from_secs(20);
    let settings = RedisSettings {
        window: WINDOW,
        lease_time: LEASE_TIME,
        connect_timeout: patient,
        command_timeout: patient,
        ..RedisSettings::default()
    };
    let policy = RateLimitPolicy {
        requests_per_minute: Some(REQUESTS as u64),
        concurrency: Some(CONCURRENCY as u64),
        on_store_failure: StoreFailure::Closed,
        ..RateLimitPolicy::default()
    };
    let caller = Caller {
        id: ProviderId::new(name, "fake").with_endpoint("here"),
        catalog: Catalog::from_toml("vendor = \"fake\"\nmodels = []").unwrap(),
        vendor: vendor.parse().unwrap(),
        hold: Duration::from_millis(hold.parse().unwrap()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = RedisStore::new(redis, settings).unwrap();
        let limit = RateLimit::new(Arc::new(caller), policy).with_account("key").with_store(Arc::new(store));
        let limit = Arc::new(limit);
        let callers: Vec<_> = (0..calls.parse().unwrap())
            .map(|_| {
                let limit = Arc::clone(&limit);
                tokio::spawn(async move {
                    while limit.chat(ChatRequest::new([Message::user("?")]).with_model("eye")).await.is_ok() {
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
    });
}

/// A provider whose calls are connections to the vendor below.
#[derive(Debug)]
struct Caller {
    id: ProviderId,
    catalog: Catalog,
    vendor: u16,
    hold: Duration,
}

#[async_trait]
impl VisionProvider for Caller {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn plan(&self, request: &ChatRequest) -> Result<Plan> {
        let plan = PlanBuilder::new(&self.id, request, self.catalog.card("eye"));
        plan.finish(Estimate::tokens(Count::exact(1), Count::exact(0), Count::exact(0)))
    }

    async fn send(&self, _: Plan) -> Result<ChatResponse> {
        let (name, vendor, hold) = (Arc::clone(&self.id.name), self.vendor, self.hold);
        let call = move || -> std::io::Result<()> {
            let mut stream = TcpStream::connect(("127.0.0.1", vendor))?;
            let mut answers = BufReader::new(stream.try_clone()?).lines();
            stream.write_all(format!("{name}\n").as_bytes())?;
            answers.next().transpose()?;
            std::thread::sleep(hold);
            stream.write_all(b"end\n")?;
            // The vendor has counted the end before this returns and the lease is released.
            answers.next().transpose().map(|_| ())
        };
        let called = tokio::task::spawn_blocking(call).await.unwrap();
        called.map_err(|error| Error::new(ErrorKind::Network, "the vendor is gone").with_source(error))?;
        Ok(ChatResponse::new(&*self.id.name, "eye", FinishReason::new(FinishKind::Stop, "stop")))
    }

    async fn stream(&self, _: Plan) -> Result<ChatStream> {
        Err(Error::new(ErrorKind::Unsupported, "not here"))
    }
}

/// Counts the calls that are open: a call begins with the caller's name and ends with a word or with the caller's death.
struct Vendor {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    open: HashMap<String, usize>,
    most_at_once: usize,
    most_of_survivors: usize,
    arrivals: Vec<u64>,
}

impl Seen {
    fn open(&self, name: &str) -> usize {
        self.open.get(name).copied().unwrap_or(0)
    }

    fn begin(&mut self, name: &str, at: Duration) {
        *self.open.entry(name.to_owned()).or_default() += 1;
        self.arrivals.push(at.as_micros() as u64);
        self.most_at_once = self.most_at_once.max(self.open.values().sum());
        self.most_of_survivors = self.most_of_survivors.max(self.open("left") + self.open("right"));
    }

    fn end(&mut self, name: &str) {
        *self.open.get_mut(name).unwrap() -= 1;
    }
}

impl Vendor {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let vendor = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let (seen, start) = (Arc::clone(&vendor.seen), Instant::now());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen) = (stream.unwrap(), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &seen, start));
            }
        });
        vendor
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        let start = Instant::now();
        while !holds(&self.seen.lock().unwrap()) {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "{what}: {:?}",
                self.seen.lock().unwrap().open
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn count_for(&self, time: Duration) -> Seen {
        std::thread::sleep(time);
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Seen>, start: Instant) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(name)) = lines.next() else { return };
    seen.lock().unwrap().begin(&name, start.elapsed());
    let _ = stream.write_all(b"go\n");
    let _ = lines.next();
    seen.lock().unwrap().end(&name);
    let _ = stream.write_all(b"done\n");
}
