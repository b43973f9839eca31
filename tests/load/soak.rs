//! Thousands of requests with pictures through rate limit, retry and fallback, to vendors that fail a fifth of the time: each is
//! accounted for, nothing is overrun, nothing is left. A test program of its own, since it reads the whole process's memory.
//!
//! `POLYSIGHT_SOAK=20000 cargo test --release -p polysight-tests --test soak -- --nocapture` runs the long form, in which
//! the limits of a minute bind too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod vendor_faults;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use image::ImageFormat;
use polysight::layers::rate_limit::LOCAL_RATE_LIMIT;
use polysight::layers::router::BREAKER_OPEN;
use polysight::{Billed, ChatRequest, Error, Image, Polysight, Role, StreamEvent};
use polysight_emulator::{Emulator, Load};
use polysight_testkit::{Wire, calls, picture, sha256};
use tokio::sync::Mutex;
use vendor_faults::faults;

/// Each vendor's wire, and a model.
const VENDORS: [(Wire, &str); 3] =
    [(Wire::Zhipu, "glm-4.6v"), (Wire::QwenVl, "qwen3-vl-plus"), (Wire::Ernie, "ernie-4.5-turbo-vl")];
/// Share of the requests that meet a fault.
const FAULTY: f64 = 0.2;
const WORKERS: usize = 48;
/// Concurrent requests that each vendor allows, and that each rate limit is set to.
const IN_FLIGHT: usize = 8;
/// From how many requests on the limits of a minute bind.
const LONG: usize = 10_000;
/// What the process may grow from a quarter of the run to its end.
const MOST_GROWTH_KIB: u64 = 24 << 10;

/// How much is asked, and how much each vendor allows in a minute.
struct Size {
    requests: usize,
    per_minute: usize,
}

impl Size {
    fn of_this_run() -> Self {
        let asked = std::env::var("POLYSIGHT_SOAK").ok();
        let requests = asked.map_or(1_200, |text| text.parse().expect("POLYSIGHT_SOAK is a number"));
        // In the long form the three vendors together allow three quarters of it in a minute.
        let per_minute = if requests >= LONG { requests / 4 } else { requests * 2 };
        Self { requests, per_minute }
    }
}

fn config(emulators: &[Emulator; 3], size: &Size) -> String {
    let mut config = String::new();
    for ((wire, model), emulator) in VENDORS.iter().zip(emulators) {
        let (name, backend, key) = (wire.name(), wire.config(), wire.key());
        let (base_url, per_minute) = (emulator.base_url(wire.surface()), size.per_minute);
        config.push_str(&format!(
            r#"
            [providers.{name}]
            {backend}
            base_url = "{base_url}"
            api_key = "{key}"
            timeouts = {{ connect = 5, first_byte = 20, idle = 20 }}
            rate_limit = {{ requests_per_minute = {per_minute}, tokens_per_minute = 100_000_000, concurrency = {IN_FLIGHT}, max_wait = 120 }}

            [roles.{name}]
            provider = "{name}"
            model = "{model}"
            retry = {{ max_attempts = 3, base_delay = 0.01, max_delay = 0.1 }}
            "#
        ));
    }
    config
        + r#"
        [roles.all]
        fallback = ["zhipu", "qwen-vl", "ernie"]
        router = { strategy = "least_connections" }
        deadline = 180
        "#
}

/// A picture in one of the forms in which programs have them.
struct Sample {
    image: Image,
    sha256: String,
}

fn samples(folder: &std::path::Path) -> Vec<Sample> {
    let sides = [(24, 20), (40, 32), (64, 48)];
    let make = |index: usize, (width, height): (u32, u32)| {
        let bytes = picture(ImageFormat::Png, width, height);
        let sha256 = sha256(&bytes);
        let image = if index == 0 {
            let path = folder.join("sample.png");
            std::fs::write(&path, &bytes).unwrap();
            Image::from_file(path).unwrap()
        } else {
            Image::from_bytes(bytes).unwrap()
        };
        Sample { image, sha256 }
    };
    sides.into_iter().enumerate().map(|(index, sides)| make(index, sides)).collect()
}

/// What became of the requests.
#[derive(Default)]
struct Ledger {
    answered: BTreeMap<String, u64>,
    failed: BTreeMap<&'static str, u64>,
    /// Answers that came after failed attempts.
    rescued: u64,
    /// Failures that may be billed, which are not repeated.
    billed: u64,
    /// Attempts that were sent to a vendor, failed ones included.
    sent: u64,
}

impl Ledger {
    fn answer(&mut self, provider: String, attempts: &[polysight::Attempt]) {
        *self.answered.entry(provider).or_default() += 1;
        self.rescued += u64::from(!attempts.is_empty());
        self.sent += 1 + sent(attempts);
    }

    fn failure(&mut self, error: &Error) {
        *self.failed.entry(error.kind().name()).or_default() += 1;
        self.billed += u64::from(error.billed() == Billed::Likely);
        self.sent += u64::from(!is_local(error.code())) + sent(error.attempts());
    }

    fn total(&self) -> u64 {
        self.answered.values().chain(self.failed.values()).sum()
    }
}

/// Whether it was refused before sending: by the rate limit, or by an open breaker.
fn is_local(code: Option<&str>) -> bool {
    matches!(code, Some(LOCAL_RATE_LIMIT | BREAKER_OPEN))
}

fn sent(attempts: &[polysight::Attempt]) -> u64 {
    attempts.iter().filter(|attempt| !is_local(attempt.code.as_deref())).count() as u64
}

/// One request, and the check that the answer is the answer to it.
async fn ask(role: &Role, number: usize, sample: &Sample, ledger: &Mutex<Ledger>) {
    let question = format!("request number {number} of the soak?");
    let request = ChatRequest::ask(&question, [sample.image.clone()]).with_max_tokens(800);
    let answer = if number.is_multiple_of(2) {
        calls::plain(role, request).await
    } else {
        streamed(role, request).await
    };
    let mut ledger = ledger.lock().await;
    match answer {
        Ok(answer) => {
            assert!(answer.text.contains(&question), "{number} got: {}", answer.text);
            assert!(answer.text.contains(&sample.sha256), "{number} got: {}", answer.text);
            ledger.answer(answer.meta.provider.clone(), &answer.attempts);
        }
        Err(error) => ledger.failure(&error),
    }
}

/// Reads event by event, as a program with a screen does, then puts it together.
async fn streamed(role: &Role, request: ChatRequest) -> polysight::Result<polysight::ChatResponse> {
    let mut stream = calls::open(role, request).await?;
    let mut collector = polysight::StreamCollector::new();
    while let Some(event) = stream.next_event().await {
        match event? {
            StreamEvent::End(end) => return Ok(collector.complete(*end)),
            event => collector.add(event),
        }
    }
    panic!("a stream ended without an end");
}

/// Memory that the process holds, in KiB; `None` on systems without `/proc`.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Files and sockets that are open; `None` on systems without `/proc`.
fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

async fn settle_down(emulators: &[Emulator; 3]) {
    for _ in 0..100 {
        if emulators.iter().all(|emulator| emulator.load().connections == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_accounted_for_and_nothing_is_left() {
    let size = Size::of_this_run();
    let mut emulators = Vec::new();
    for seed in 1..=VENDORS.len() {
        let emulator = Emulator::builder()
            .random_faults(FAULTY, seed as u64, faults())
            .max_in_flight(IN_FLIGHT)
            .max_requests(size.per_minute, Duration::from_secs(60))
            .kept_requests(10);
        emulators.push(emulator.start().await.unwrap());
    }
    let emulators: [Emulator; 3] = emulators.try_into().unwrap_or_else(|_| panic!("three were made"));
    let folder = tempfile::tempdir().unwrap();
    let samples = Arc::new(samples(folder.path()));
    let files_before = open_files();
    let tasks_before = tokio::runtime::Handle::current().metrics().num_alive_tasks();

    let polysight = Polysight::from_toml(&config(&emulators, &size)).unwrap();
    let role = polysight.role("all").unwrap();
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let next = Arc::new(AtomicUsize::new(0));
    let quarter = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let workers = (0..WORKERS).map(|_| {
        let (role, samples, ledger) = (role.clone(), Arc::clone(&samples), Arc::clone(&ledger));
        let (next, quarter, requests) = (Arc::clone(&next), Arc::clone(&quarter), size.requests);
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests {
                    return;
                }
                ask(&role, number, &samples[number % samples.len()], &ledger).await;
                if number == requests / 4 {
                    quarter.store(resident().unwrap_or(0), Ordering::Relaxed);
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let took = start.elapsed();
    let (begun, ended) = (quarter.load(Ordering::Relaxed), resident().unwrap_or(0));
    drop((role, polysight));
    settle_down(&emulators).await;

    let ledger = ledger.lock().await;
    let loads = emulators.each_ref().map(Emulator::load);
    report(&size, &ledger, &loads, took, begun, ended);
    assert_eq!(ledger.total(), size.requests as u64, "a request is lost or counted twice");
    assert_eq!(
        ledger.sent,
        loads.iter().map(|load| load.requests).sum::<u64>(),
        "attempts and arrivals differ"
    );
    for load in &loads {
        assert_eq!(load.over_limit, 0, "a rate limit was exceeded: {load:?}");
        assert!(load.most_in_flight <= IN_FLIGHT && load.most_in_window <= size.per_minute, "{load:?}");
        assert_eq!((load.in_flight, load.connections), (0, 0), "something is left: {load:?}");
    }
    let failed: u64 = ledger.failed.values().sum();
    assert!(ledger.rescued > 0, "retry and fallback rescue");
    assert_eq!(failed, ledger.billed, "what is not billed is repeated until it is answered");
    assert!(ended.saturating_sub(begun) < MOST_GROWTH_KIB, "memory grew from {begun} to {ended} KiB");
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), tasks_before, "tasks are left");
    if let (Some(before), Some(after)) = (files_before, open_files()) {
        assert!(after <= before, "{after} files and sockets are open, {before} were before");
    }
}

fn report(size: &Size, ledger: &Ledger, loads: &[Load; 3], took: Duration, begun: u64, ended: u64) {
    println!("{} requests with a picture each in {took:.1?}, {WORKERS} workers", size.requests);
    println!("answered by {:?}, {} of them after failed attempts", ledger.answered, ledger.rescued);
    println!("failed: {:?}, {} of them may be billed and were not repeated", ledger.failed, ledger.billed);
    println!("attempts that were sent: {}", ledger.sent);
    for ((wire, _), load) in VENDORS.iter().zip(loads) {
        let Load { requests, faulty, over_limit, most_in_flight, most_in_window, most_connections, .. } =
            *load;
        println!(
            "{}: {requests} arrived, {faulty} met a fault, {over_limit} over the limit; at most \
             {most_in_flight} of {IN_FLIGHT} at once, {most_in_window} of {} in any minute, {most_connections} connections",
            wire.name(),
            size.per_minute
        );
    }
    println!("memory: {begun} KiB after a quarter, {ended} KiB at the end");
}
