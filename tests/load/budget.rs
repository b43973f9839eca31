//! Three processes describe 500 pictures by eight workers each and spend one budget, which is counted in Redis: it is never
//! passed, and every ledger adds up with what the vendor counted.
//!
//! The test's own program is started again for each process; `WORKER` makes it one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

#[path = "../../crates/polysight-layers/src/rate_limit/redis/server.rs"]
mod server;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::ImageFormat;
use polysight::catalog::{Money, Price};
use polysight::{Catalog, ChatRequest, ErrorKind, Image, Polysight, Usage, VisionProvider as _};
use polysight_emulator::{Emulator, Surface};
use polysight_testkit::{calls, picture};
use server::Server;

const WORKER: &str = "POLYSIGHT_TEST_BUDGET_WORKER";
const CONFIG: &str = "POLYSIGHT_TEST_BUDGET_CONFIG";
const MODEL: &str = "qwen3-vl-235b-a22b-instruct";
const PICTURES: usize = 500;
const PROCESSES: usize = 3;
const WORKERS: usize = 8;
/// In yuan.
const AMOUNT: f64 = 1.0;
/// Makes a call cost so much that the budget does not hold all of them, and its upper bound far more than what it costs.
const WORDS: usize = 2_000;

fn config(emulator: &Emulator, redis: &Server) -> String {
    let (base_url, store) = (emulator.base_url(Surface::DashScopeCompatible), redis.url());
    format!(
        r#"
        [rate_limit_store]
        url = "{store}"
        connect_timeout = 20
        command_timeout = 20

        [providers.qwen]
        backend = "qwen-vl"
        base_url = "{base_url}"
        api_key = "sk-0123456789abcdef0123456789abcdef"

        [roles.default]
        provider = "qwen"
        model = "{MODEL}"
        max_tokens = 100
        budget = {{ amount = {AMOUNT}, currency = "CNY", per = "total" }}
        "#
    )
}

fn question(number: usize) -> ChatRequest {
    let side = 32 + (number % 97) as u32;
    let image = Image::from_bytes(picture(ImageFormat::Png, side, 40)).unwrap();
    ChatRequest::ask("look ".repeat(WORDS), [image])
}

#[test]
fn three_processes_never_pass_one_budget_and_their_ledgers_add_up() {
    if let Ok(orders) = std::env::var(WORKER) {
        return work(&orders);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(redis) = Server::start() else { return };
        let emulator = Emulator::start().await.unwrap();
        let config = config(&emulator, &redis);
        let watched = Polysight::from_toml(&config).unwrap();
        let ledger = watched.role_ledger("default").unwrap().unwrap();
        let share = PICTURES.div_ceil(PROCESSES);
        let children: Vec<_> = (0..PROCESSES)
            .map(|process| (process * share, ((process + 1) * share).min(PICTURES)))
            .map(|(from, to)| start(&format!("{from} {to}"), &config))
            .collect();
        let outputs = tokio::task::spawn_blocking(|| {
            children.into_iter().map(|child| child.wait_with_output().unwrap()).collect::<Vec<_>>()
        });
        let mut most_taken = 0;
        let outputs = {
            let mut outputs = std::pin::pin!(outputs);
            loop {
                tokio::select! {
                    done = &mut outputs => break done.unwrap(),
                    () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {
                        let balance = ledger.balance().await.unwrap().unwrap();
                        let taken = balance.spent.nanos().unwrap() + balance.reserved.nanos().unwrap();
                        most_taken = most_taken.max(taken);
                    }
                }
            }
        };
        let reports: Vec<Report> = outputs.iter().map(Report::read).collect();
        check(&reports, &emulator, &ledger.balance().await.unwrap().unwrap(), most_taken);
    });
}

fn check(
    reports: &[Report],
    emulator: &Emulator,
    balance: &polysight::layers::budget::Balance,
    most_taken: i64,
) {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let (answered, refused) = (sum(|report| report.answered), sum(|report| report.refused));
    let seen = emulator.load();
    let card = Catalog::from_toml(include_str!("../../crates/polysight-qwen-vl/catalog/vendor.toml"))
        .unwrap()
        .card(MODEL);
    let usage = Usage::new(seen.input_tokens, seen.output_tokens, seen.input_tokens + seen.output_tokens);
    let each = Usage::new(seen.input_tokens / answered, seen.output_tokens / answered, 0);
    // All calls are in one tier: the tokens of all together cost what the calls cost.
    let tier = Price::tier(&card.prices, each.input_tokens).unwrap();
    let counted = Money::new(
        &tier.currency,
        (usage.input_tokens as f64 * tier.input + usage.output_tokens as f64 * tier.output) / 1e6,
    );
    println!(
        "{PICTURES} pictures, {PROCESSES} processes with {WORKERS} workers each, budget {}:\n\
         {answered} answered, {refused} refused; spent {}, reserved {}, most of both at any look {:.6}\n\
         ledgers {:.9}, the vendor's count of {} and {} tokens {counted}; a call may cost up to {:.6}",
        balance.amount,
        balance.spent,
        balance.reserved,
        most_taken as f64 / 1e9,
        sum(|report| report.nanos) as f64 / 1e9,
        usage.input_tokens,
        usage.output_tokens,
        reports[0].bound as f64 / 1e9,
    );
    assert_eq!(answered + refused, PICTURES as u64);
    assert_eq!(seen.requests, answered, "nothing that was refused was sent");
    assert!(refused > 0, "the budget was never put to the test");
    assert!(most_taken as f64 <= AMOUNT * 1e9 && balance.spent.amount <= AMOUNT);
    assert_eq!(balance.reserved.nanos(), Some(0));
    assert_eq!(balance.spent.nanos(), Some(sum(|report| report.nanos) as i64), "the ledgers add up");
    assert_eq!(counted.nanos(), balance.spent.nanos(), "and with the vendor's own count");
    assert_eq!(sum(|report| report.input_tokens), usage.input_tokens);
    let left = AMOUNT - balance.spent.amount;
    let bound = reports[0].bound as f64 / 1e9;
    assert!(
        left < bound * (PROCESSES * WORKERS) as f64,
        "{left} are left, though a call needs {bound} at most"
    );
}

fn start(orders: &str, config: &str) -> Child {
    let test = "three_processes_never_pass_one_budget_and_their_ledgers_add_up";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(WORKER, orders)
        .env(CONFIG, config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What one process did.
struct Report {
    answered: u64,
    refused: u64,
    nanos: u64,
    input_tokens: u64,
    bound: u64,
}

impl Report {
    fn read(output: &std::process::Output) -> Self {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line =
            text.lines().find_map(|line| line.split_once("REPORT ")).map(|(_, report)| report.to_owned());
        let line = line.unwrap_or_else(|| panic!("no report: {output:?}"));
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [answered, refused, nanos, input_tokens, bound] = numbers[..] else { panic!("{line}") };
        Self { answered, refused, nanos, input_tokens, bound }
    }
}

/// One process: describes its share of the pictures, and says what its ledger holds.
fn work(orders: &str) {
    let (from, to) = orders.split_once(' ').unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let polysight = Polysight::from_toml(&std::env::var(CONFIG).unwrap()).unwrap();
        let role = polysight.role("default").unwrap();
        let plan = role.plan(&question(from)).unwrap();
        let bound = plan.estimate.cost.unwrap().most().unwrap().nanos().unwrap();
        let next = Arc::new(AtomicUsize::new(from));
        let workers = (0..WORKERS).map(|_| {
            let (role, next) = (role.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let (mut answered, mut refused) = (0, 0);
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= to {
                        return (answered, refused);
                    }
                    match calls::plain(&role, question(number)).await {
                        Ok(answer) => {
                            assert!(answer.cost.is_some());
                            answered += 1;
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::BudgetExceeded, "{error}");
                            refused += 1;
                        }
                    }
                }
            })
        });
        let (mut answered, mut refused) = (0, 0);
        for worker in workers.collect::<Vec<_>>() {
            let (more_answered, more_refused) = worker.await.unwrap();
            answered += more_answered;
            refused += more_refused;
        }
        let ledger = polysight.role_ledger("default").unwrap().unwrap();
        // Waits until everything is reconciled.
        ledger.balance().await.unwrap();
        let nanos: i64 = ledger.total().iter().map(|total| total.nanos().unwrap()).sum();
        let input: u64 = ledger.snapshot().rows.iter().map(|row| row.input_tokens).sum();
        println!("\nREPORT {answered} {refused} {nanos} {input} {bound}");
    });
}
