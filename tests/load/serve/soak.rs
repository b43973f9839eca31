//! Two replicas of `polysight serve` on one Redis, before vendors that fail a fifth of the time: one of them is killed and started
//! again, and both read their config again ten times. Every request is accounted for, and no limit and no budget is passed.
//!
//! `POLYSIGHT_SOAK=20000 cargo test -p polysight-tests --test serve -- --nocapture` runs the long form, in which the limits of a
//! minute bind too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use image::ImageFormat;
use polysight::catalog::{Money, Price};
use polysight::layers::budget::Balance;
use polysight::{Catalog, ChatRequest, Image, Polysight, Usage, VisionProvider as _};
use polysight_emulator::{Emulator, Load, Surface};
use polysight_testkit::picture;
use tokio::sync::Mutex;

use crate::replica::{self, Replica};
use crate::server::Server;
use crate::tally::{self, Outcome, Tally, ask};
use crate::vendor_faults::faults;

const MODEL: &str = "qwen3-vl-235b-a22b-instruct";
/// Share of the vendor's answers that fail.
const FAULTY: f64 = 0.2;
const WORKERS: usize = 24;
/// From how many requests on the limits of a minute bind.
const LONG: usize = 10_000;
const RELOADS: usize = 10;
/// A gateway's key may send so many requests a minute.
const NARROW: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);

struct Size {
    requests: usize,
    /// Requests that each vendor allows in a minute.
    per_minute: usize,
    /// Concurrent requests that each vendor allows.
    in_flight: usize,
}

impl Size {
    fn of_this_run() -> Self {
        let asked = std::env::var("POLYSIGHT_SOAK").ok();
        let requests = asked.map_or(800, |text| text.parse().expect("POLYSIGHT_SOAK is a number"));
        // Either limit binds, the one of concurrent requests in the short form: it holds up all the others.
        let (per_minute, in_flight) = if requests >= LONG { (requests / 8, 16) } else { (requests * 2, 6) };
        Self { requests, per_minute, in_flight }
    }

    /// What the role with a budget may spend: a third of what its requests may cost at most.
    fn budget(&self) -> f64 {
        let requests = self.requests / 2;
        (requests as f64 * bound() / 3.0 * 1e6).round() / 1e6
    }
}

/// A vendor for each role. The reload changes how many attempts a call may make, and nothing that is counted.
fn config(vendors: &[Emulator; 2], redis: &Server, size: &Size, reload: usize) -> String {
    let attempts = 2 + reload % 2;
    let (store, budget) = (redis.url(), size.budget());
    let Size { per_minute, in_flight, .. } = *size;
    let provider = |name: &str, vendor: &Emulator| {
        let base_url = vendor.base_url(Surface::DashScopeCompatible);
        format!(
            r#"
            [providers.{name}]
            backend = "qwen-vl"
            base_url = "{base_url}"
            api_key = "sk-0123456789abcdef0123456789abcdef"
            timeouts = {{ connect = 5, first_byte = 20, idle = 20 }}
            rate_limit = {{ requests_per_minute = {per_minute}, concurrency = {in_flight}, max_wait = 120 }}

            [roles.{name}]
            provider = "{name}"
            model = "{MODEL}"
            max_tokens = 200
            retry = {{ max_attempts = {attempts}, base_delay = 0.01, max_delay = 0.1 }}
            "#
        )
    };
    format!(
        r#"
        [gateway]
        keys = [
            {{ name = "wide", key = "wide-canary-key" }},
            {{ name = "narrow", key = "narrow-canary-key", requests_per_minute = {NARROW} }},
        ]

        [rate_limit_store]
        url = "{store}"
        connect_timeout = 20
        command_timeout = 20
        lease_time = 10
        {}{}
        budget = {{ amount = {budget}, currency = "CNY", per = "total" }}
        "#,
        provider("free", &vendors[0]),
        provider("paid", &vendors[1]),
    )
}

/// Written beside it first: a config is never half there.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

pub(crate) fn sample() -> Vec<u8> {
    picture(ImageFormat::Png, 40, 32)
}

/// What one attempt can cost at most, in yuan.
fn bound() -> f64 {
    let text = format!(
        "[providers.a]\nbackend = \"qwen-vl\"\napi_key = \"sk-0123456789abcdef\"\n[roles.a]\nprovider = \"a\"\nmodel = \"{MODEL}\""
    );
    let role = Polysight::from_toml(&text).unwrap().role("a").unwrap();
    let request = ChatRequest::ask(tally::question(99_999), [Image::from_bytes(sample()).unwrap()]);
    let plan = role.plan(&request.with_max_tokens(200)).unwrap();
    plan.estimate.cost.unwrap().most().unwrap().amount
}

#[test]
fn two_replicas_account_for_every_request_and_pass_no_limit() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(redis) = Server::start() else { return };
        soak(&redis, &Size::of_this_run()).await;
    });
}

async fn soak(redis: &Server, size: &Size) {
    let vendors = [vendor(1, size).await, vendor(2, size).await];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("polysight.toml");
    write(&path, &config(&vendors, redis, size, 0));
    let program = replica::program();
    let mut replicas = [Replica::start(&program, &path, 0), Replica::start(&program, &path, 0)];
    let ports = [replicas[0].port, replicas[1].port];

    let (next, tally) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Tally::default())));
    let started = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(Arc::clone(&next), size.requests, ports, Arc::clone(&tally))))
        .collect();
    for step in 1..=RELOADS {
        until(&next, size.requests * step / (RELOADS + 2)).await;
        write(&path, &config(&vendors, redis, size, step));
        replicas.iter_mut().for_each(Replica::reload);
        if step == RELOADS / 2 {
            replicas[0].kill();
            until(&next, next.load(Ordering::Relaxed) + WORKERS).await;
            replicas[0] = Replica::start(&program, &path, ports[0]);
        }
    }
    for worker in workers {
        worker.await.unwrap();
    }
    let took = started.elapsed();
    let tally = tally.lock().await;
    let counted = replicas[1].counted(tally.replies[1].values().sum()).await;
    let memory = replicas.each_ref().map(Replica::peak_kib);
    replicas.into_iter().for_each(Replica::stop);

    let watched = Polysight::from_toml(&config(&vendors, redis, size, 0)).unwrap();
    let balance = watched.role_ledger("paid").unwrap().unwrap().balance().await.unwrap().unwrap();
    let loads = vendors.each_ref().map(Emulator::load);
    report(size, &tally, &loads, &balance, took, memory);
    check_requests(size, &tally, &loads, &counted);
    check_limits(size, &tally, &loads, took);
    check_budget(&tally, &loads[1], &balance);
}

async fn vendor(seed: u64, size: &Size) -> Emulator {
    let emulator = Emulator::builder().random_faults(FAULTY, seed, faults()).max_in_flight(size.in_flight);
    emulator.max_requests(size.per_minute, MINUTE).kept_requests(10).start().await.unwrap()
}

async fn until(next: &AtomicUsize, number: usize) {
    while next.load(Ordering::Relaxed) < number {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sends requests to both replicas in turns, and to the other one where one does not listen.
async fn work(next: Arc<AtomicUsize>, requests: usize, ports: [u16; 2], tally: Arc<Mutex<Tally>>) {
    let sample = sample();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return;
        }
        let mut replica = (number / 4) % 2;
        let outcome = loop {
            match ask(ports[replica], number, &sample).await {
                Outcome::NotConnected => {
                    tally.lock().await.moved += 1;
                    replica = 1 - replica;
                }
                outcome => break outcome,
            }
        };
        tally.lock().await.add(number, replica, outcome);
    }
}

/// Every request has one outcome, and every attempt that a gateway names arrived.
fn check_requests(size: &Size, tally: &Tally, loads: &[Load; 2], counted: &BTreeMap<u16, u64>) {
    assert_eq!(tally.total(), size.requests as u64, "a request is lost or counted twice: {tally:?}");
    // Requests on their way through the replica that was killed: their connections broke, and nothing else is lost. Nothing is
    // known of their attempts, of which each makes three at most.
    assert_eq!(tally.lost[1], 0, "the other replica broke no connection: {tally:?}");
    assert!((1..=WORKERS as u64).contains(&tally.lost[0]), "{tally:?}");
    let arrived = loads.iter().map(|load| load.requests).sum::<u64>();
    let most = tally.sent + 3 * tally.lost[0];
    assert!((tally.sent..=most).contains(&arrived), "{} attempts, {arrived} arrived: {tally:?}", tally.sent);
    assert_eq!(*counted, tally.replies[1], "the counters of the replica that was never killed");
    assert!(tally.moved > 0, "no request met the gap between end and restart");
    assert!(tally.rescued > 0, "a failed attempt is repeated");
    assert!(tally.answered > size.requests as u64 / 2, "{tally:?}");
}

/// No vendor was asked more than it allows by both replicas together, and no key asked more than it may.
fn check_limits(size: &Size, tally: &Tally, loads: &[Load; 2], took: Duration) {
    for load in loads {
        assert_eq!(load.over_limit, 0, "a rate limit was exceeded: {load:?}");
        assert!(load.most_in_flight <= size.in_flight && load.most_in_window <= size.per_minute, "{load:?}");
    }
    let minutes = took.as_secs() / MINUTE.as_secs() + 1;
    let most = NARROW as u64 * minutes;
    assert!((1..=most).contains(&tally.narrow), "{} of {most} requests with the narrow key", tally.narrow);
    assert!(tally.refused.contains_key("key_rate_limit"), "the key's limit was never put to the test");
}

/// What the vendor counted is covered by what was spent and reserved, and that is within the budget.
fn check_budget(tally: &Tally, load: &Load, balance: &Balance) {
    let (spent, reserved) = (balance.spent.amount, balance.reserved.amount);
    assert!(tally.refused.contains_key("budget_exceeded"), "the budget was never put to the test: {tally:?}");
    assert!(spent + reserved <= balance.amount.amount + 1e-9, "{balance:?}");
    assert!(charged(load) <= spent + reserved + 1e-9, "{} charged, {balance:?}", charged(load));
    // A killed process leaves what the calls on their way had reserved, and what had not yet been reconciled.
    let most = WORKERS as f64 * bound();
    assert!(reserved <= most + 1e-9, "{reserved} of at most {most}: {balance:?}");
}

/// What the tokens of the vendor's own count cost, in yuan. All calls are in one tier.
fn charged(load: &Load) -> f64 {
    let catalog = Catalog::from_toml(include_str!("../../../crates/polysight-qwen-vl/catalog/vendor.toml"));
    let card = catalog.unwrap().card(MODEL);
    let tier = Price::tier(&card.prices, 1_000).unwrap();
    let usage = Usage::new(load.input_tokens, load.output_tokens, 0);
    let amount = (usage.input_tokens as f64 * tier.input + usage.output_tokens as f64 * tier.output) / 1e6;
    Money::new(&tier.currency, amount).amount
}

fn report(size: &Size, tally: &Tally, loads: &[Load; 2], balance: &Balance, took: Duration, kib: [u64; 2]) {
    println!("{} requests with a picture each in {took:.1?}, {WORKERS} workers, two replicas", size.requests);
    println!("{} answered, {} of them after failed attempts", tally.answered, tally.rescued);
    println!("refused by the gateway: {:?}; failed at the vendor: {:?}", tally.refused, tally.failed);
    println!(
        "lost on the way by SIGKILL: {}; sent to the other replica while one was down: {}",
        tally.lost[0], tally.moved
    );
    println!("attempts that the gateways name: {}", tally.sent);
    for (name, load) in ["free", "paid"].iter().zip(loads) {
        println!(
            "{name}: {} arrived, {} met a fault, {} over the limit; at most {} of {} in flight, {} of {} in any minute",
            load.requests,
            load.faulty,
            load.over_limit,
            load.most_in_flight,
            size.in_flight,
            load.most_in_window,
            size.per_minute
        );
    }
    println!(
        "budget {}: spent {}, reserved {}; the vendor's count {:.6}",
        balance.amount,
        balance.spent,
        balance.reserved,
        charged(&loads[1])
    );
    println!("narrow key: {} requests passed; peak memory {kib:?} KiB", tally.narrow);
}
