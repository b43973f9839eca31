use std::sync::atomic::Ordering;

use super::server::Server;
use super::*;
use crate::rate_limit::conformance::{self, Bench};

/// Any moment: the tests' time of the server.
const START: u64 = 1_800_000_000_000_000;

struct Redis(Arc<RedisStore>);

#[async_trait]
impl Bench for Redis {
    fn store(&self) -> Arc<dyn RateLimitStore> {
        Arc::<RedisStore>::clone(&self.0)
    }
    async fn advance(&self, by: Duration) {
        self.0.shared.now.fetch_add(micros(by), Ordering::SeqCst);
    }
    async fn settled(&self) {
        let (done, heard) = tokio::sync::oneshot::channel();
        let commands = self.0.connection().unwrap().commands;
        commands.send(Command::Flush(done)).await.unwrap();
        heard.await.unwrap();
    }
}

/// A store whose time the test sets.
fn store(server: &Server) -> RedisStore {
    let patient = Duration::from_secs(20);
    let settings =
        RedisSettings { connect_timeout: patient, command_timeout: patient, ..RedisSettings::default() };
    let store = RedisStore::new(&server.url(), settings).unwrap();
    store.shared.now.store(START, Ordering::SeqCst);
    store
}

fn key() -> RateLimitKey {
    RateLimitKey::new("somewhere", "eye", "account")
}

fn one_at_once() -> Limits {
    Limits { concurrency: Some(1), ..Limits::default() }
}

async fn ask(store: &RedisStore, id: &str) -> Grant {
    store.acquire(&key(), &one_at_once(), &Lease::new(id, 1)).await.unwrap()
}

async fn raw<T: redis::FromRedisValue>(store: &RedisStore, command: &[&str]) -> T {
    let mut manager = store.connection().unwrap().manager;
    let (name, arguments) = command.split_first().unwrap();
    redis::cmd(name).arg(arguments).query_async(&mut manager).await.unwrap()
}

#[tokio::test]
async fn does_what_every_store_must() {
    let Some(server) = Server::start() else { return };
    conformance::check(&Redis(Arc::new(store(&server))), 450).await;
}

#[tokio::test]
async fn two_stores_share_one_limit_and_what_was_learned() {
    let Some(server) = Server::start() else { return };
    let (here, there) = (store(&server), store(&server));
    assert_eq!(ask(&here, "a").await, Grant::Granted);
    assert!(matches!(ask(&there, "b").await, Grant::Wait { limit: RateLimitScope::Concurrency, .. }));
    let bench = Redis(Arc::new(here));
    bench.0.release(&key(), &Lease::new("a", 1), None);
    bench.0.record_rejection(
        &key(),
        &one_at_once(),
        Some(RateLimitScope::Account),
        Some(Duration::from_secs(9)),
    );
    bench.settled().await;
    let wait = ask(&there, "b").await;
    let expected = Grant::Wait { after: Duration::from_secs(9), limit: RateLimitScope::Account };
    assert_eq!(wait, expected);
}

#[tokio::test]
async fn the_lease_of_a_dead_process_expires_and_a_running_calls_is_kept() {
    let Some(server) = Server::start() else { return };
    let living = store(&server);
    assert_eq!(ask(&living, "living").await, Grant::Granted);
    for _ in 0..5 {
        living.shared.now.fetch_add(20_000_000, Ordering::SeqCst);
        living.shared.renew(&living.connection().unwrap().manager).await;
    }
    let other = store(&server);
    other.shared.now.store(living.shared.now(), Ordering::SeqCst);
    assert!(matches!(ask(&other, "b").await, Grant::Wait { .. }), "renewed");
    other.shared.now.fetch_add(30_000_000, Ordering::SeqCst);
    assert_eq!(ask(&other, "b").await, Grant::Granted, "it was not renewed");
}

#[tokio::test]
async fn a_released_lease_is_not_renewed() {
    let Some(server) = Server::start() else { return };
    let bench = Redis(Arc::new(store(&server)));
    assert_eq!(ask(&bench.0, "a").await, Grant::Granted);
    bench.0.release(&key(), &Lease::new("a", 1), None);
    bench.settled().await;
    bench.0.shared.renew(&bench.0.connection().unwrap().manager).await;
    assert_eq!(ask(&bench.0, "b").await, Grant::Granted);
}

#[tokio::test]
async fn a_lease_is_taken_again_when_the_server_has_lost_its_memory() {
    let Some(server) = Server::start() else { return };
    let living = store(&server);
    assert_eq!(ask(&living, "a").await, Grant::Granted);
    let _: String = raw(&living, &["FLUSHALL"]).await;
    let _: String = raw(&living, &["SCRIPT", "FLUSH"]).await;
    living.shared.renew(&living.connection().unwrap().manager).await;
    assert!(matches!(ask(&living, "b").await, Grant::Wait { .. }));
}

#[tokio::test]
async fn keys_share_a_hash_tag_and_expire() {
    let Some(server) = Server::start() else { return };
    let store = Arc::new(store(&server));
    let bench = Redis(Arc::clone(&store));
    store.shared.now.store(0, Ordering::SeqCst);
    assert_eq!(ask(&store, "a").await, Grant::Granted);
    store.record_rejection(&key(), &one_at_once(), None, None);
    bench.settled().await;
    let mut keys: Vec<String> = raw(&store, &["KEYS", "*"]).await;
    keys.sort();
    let expected = ["counts", "learned", "leases", "tokens"];
    assert_eq!(keys, expected.map(|part| format!("polysight:{{somewhere/eye/account/}}:{part}")));
    for key in keys {
        let left: i64 = raw(&store, &["TTL", &key]).await;
        assert!((60..=2_000).contains(&left), "{key}: {left} s");
    }
}

#[tokio::test]
async fn slots_from_a_clock_that_was_set_back_do_not_stay() {
    let Some(server) = Server::start() else { return };
    let store = store(&server);
    let limits = Limits { requests: Some(1), ..Limits::default() };
    let ask = async |id| store.acquire(&key(), &limits, &Lease::new(id, 1)).await.unwrap();
    assert_eq!(ask("a").await, Grant::Granted);
    store.shared.now.store(START - 10_000_000, Ordering::SeqCst);
    assert!(matches!(ask("b").await, Grant::Wait { .. }), "a little: it counts");
    store.shared.now.store(START - 3_600_000_000, Ordering::SeqCst);
    assert_eq!(ask("b").await, Grant::Granted, "an hour: it does not");
}

#[tokio::test]
async fn a_broken_connection_is_opened_again_within_the_call() {
    let Some(server) = Server::start() else { return };
    let store = store(&server);
    assert_eq!(ask(&store, "a").await, Grant::Granted);
    let port = server.port;
    drop(server);
    let error = store.acquire(&key(), &one_at_once(), &Lease::new("b", 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.billed()), (ErrorKind::Network, Billed::No));
    let Some(_server) = Server::start_at(Some(port)) else { return };
    // The manager opens the connection after a call that failed, which is why a call asks twice.
    assert_eq!(ask(&store, "b").await, Grant::Granted, "a new server knows of no lease");
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_no_more_than_the_time_limits() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let short = Duration::from_millis(20);
    let settings =
        RedisSettings { connect_timeout: short, command_timeout: short, ..RedisSettings::default() };
    let store = RedisStore::new(&format!("redis://{}", silent.local_addr().unwrap()), settings).unwrap();
    let error = store.acquire(&key(), &one_at_once(), &Lease::new("a", 1)).await.unwrap_err();
    assert_eq!((error.kind(), error.billed()), (ErrorKind::Network, Billed::No), "{error}");
}

#[tokio::test]
async fn the_urls_password_is_shown_nowhere() {
    let url = "redis://user:canary@127.0.0.1:1/0";
    let store = RedisStore::new(url, RedisSettings::default()).unwrap();
    let error = store.acquire(&key(), &one_at_once(), &Lease::new("a", 1)).await.unwrap_err();
    let bad = RedisStore::new("redis://user:canary@[nowhere", RedisSettings::default()).unwrap_err();
    let shown = format!("{store:?} {error} {error:?} {bad} {bad:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn the_task_ends_with_the_store_after_its_last_message() {
    let Some(server) = Server::start() else { return };
    let first = store(&server);
    assert_eq!(ask(&first, "a").await, Grant::Granted);
    let shared = Arc::downgrade(&first.shared);
    first.release(&key(), &Lease::new("a", 1), None);
    drop(first);
    while shared.strong_count() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ask(&store(&server), "b").await, Grant::Granted);
}

#[test]
fn outlives_the_runtime_in_which_it_was_first_used() {
    let Some(server) = Server::start() else { return };
    let store = store(&server);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime().block_on(ask(&store, "a")), Grant::Granted);
    assert!(matches!(runtime().block_on(ask(&store, "b")), Grant::Wait { .. }));
}

#[test]
fn names_the_setting_that_is_out_of_range() {
    let settings = RedisSettings { lease_time: Duration::ZERO, ..RedisSettings::default() };
    let error = RedisStore::new("redis://127.0.0.1", settings).unwrap_err();
    assert!(error.to_string().contains("`lease_time` is 0ns"), "{error}");
}

#[test]
fn a_keys_parts_cannot_run_into_each_other() {
    let name = |endpoint, model| key_name("p", &RateLimitKey::new(endpoint, model, "x"));
    assert_eq!(name("a b{", "c/d"), "p:{a%20b%7b/c%2fd/x/}");
    assert_ne!(name("a/b", "c"), name("a", "b/c"));
}

/// A window of a budget that has just begun.
fn window(budget: &str) -> crate::budget::BudgetKey {
    use crate::budget::{BudgetKey, BudgetWindow};
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let window = BudgetWindow { name: "2026-11-27".to_owned(), ends: Some(now + 3_600) };
    BudgetKey { budget: budget.to_owned(), window }
}

#[tokio::test]
async fn two_stores_share_one_budget_and_count_each_reservation_once() {
    use crate::budget::{BudgetCounts, BudgetStore as _};
    let Some(server) = Server::start() else { return };
    let (here, there, key) = (store(&server), store(&server), window("roles.default"));
    assert_eq!(here.reserve(&key, 100, "a", 60).await.unwrap(), None);
    assert_eq!(here.reserve(&key, 100, "a", 60).await.unwrap(), None, "it is held already");
    assert_eq!(there.reserve(&key, 100, "b", 41).await.unwrap(), Some(BudgetCounts::new(0, 60)));
    assert_eq!(there.reserve(&key, 100, "b", 40).await.unwrap(), None);
    here.reconcile(&key, "a", 15);
    here.reconcile(&key, "a", 15);
    here.reconcile(&key, "never reserved", 1);
    assert_eq!(here.counts(&key).await.unwrap(), BudgetCounts::new(15, 40), "all that was queued is counted");
    assert_eq!(there.reserve(&key, 100, "c", 45).await.unwrap(), None);
    let other = window("roles.default/");
    assert_eq!(there.counts(&other).await.unwrap(), BudgetCounts::default(), "another budget");
}

#[tokio::test]
async fn amounts_of_budgets_are_whole_numbers_and_their_windows_expire() {
    use crate::budget::{BudgetCounts, BudgetStore as _};
    let Some(server) = Server::start() else { return };
    let (store, key) = (store(&server), window("b"));
    let most = 1_000_000_000_000_000;
    assert_eq!(store.reserve(&key, most, "a", most - 1).await.unwrap(), None);
    store.reconcile(&key, "a", most - 1);
    assert_eq!(store.counts(&key).await.unwrap(), BudgetCounts::new(most - 1, 0));
    assert!(store.reserve(&key, most, "b", 2).await.unwrap().is_some());
    assert_eq!(store.reserve(&key, most, "b", 1).await.unwrap(), None);
    let keys: Vec<String> = raw(&store, &["KEYS", "*"]).await;
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in keys {
        assert!(key.starts_with("polysight:{budget/b/}:2026-11-27:"), "{key}");
        let left: i64 = raw(&store, &["TTL", &key]).await;
        assert!((3_600..=4 * 3_600).contains(&left), "{key}: {left} s");
    }
}

#[tokio::test]
async fn a_budget_whose_server_is_gone_lets_no_call_go() {
    use crate::budget::{Budget, BudgetPeriod, BudgetPolicy, Ledger};
    use polysight_core::VisionProviderExt as _;
    let Some(server) = Server::start() else { return };
    let shared = Arc::new(store(&server));
    drop(server);
    let policy = BudgetPolicy::new(1.0, "CNY", BudgetPeriod::Day);
    let ledger = Ledger::new("b", policy).unwrap().with_store(shared);
    let mock = crate::testing::mock("a");
    let layer = Budget::new(Arc::new(mock.clone()), ledger);
    let error = layer.chat(crate::testing::request().with_max_tokens(9)).await.unwrap_err();
    assert_eq!((error.kind(), error.is_local(), error.billed()), (ErrorKind::Network, true, Billed::No));
    assert!(error.message().contains("store of the budget `b`"), "{error}");
    assert_eq!(mock.call_count(), 0);
}
