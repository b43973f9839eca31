//! Rate limits and budgets that many processes share, counted in Redis or Valkey.

mod budget;
mod connection;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use polysight_core::{Billed, Error, ErrorKind, RateLimitScope, Result};
use redis::{Client, RedisError, Script, ScriptInvocation};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::budget::BudgetScripts;
use self::connection::{Command, Connection};
use super::adaptive::{CLIMB, CUT, FORGET, QUIET, STEPS};
use super::local::POLL;
use super::store::{Grant, Lease, Limits, RateLimitKey, RateLimitStore};
use super::window::{MARGIN, SLOTS, micros};
use crate::config::{require, seconds};
use crate::lock;

/// How a [`RedisStore`] counts and how long it waits for the server. Times are from 1 ms to a day, in seconds in a config
/// file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// What the names of all keys begin with; default `polysight`.
    pub prefix: String,
    /// The window in which requests and tokens are counted; default 60 s. The same in every process.
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// After how long the lease of a process expires that has died; default 30 s. Leases of running calls are renewed three
    /// times as often.
    #[serde(deserialize_with = "seconds")]
    pub lease_time: Duration,
    /// Longest wait for a connection; default 1 s.
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    /// Longest wait for an answer; default 1 s.
    #[serde(deserialize_with = "seconds")]
    pub command_timeout: Duration,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            prefix: "polysight".to_owned(),
            window: Duration::from_secs(60),
            lease_time: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_secs(1),
        }
    }
}

impl RedisSettings {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the first field out of range, its value and the range.
    pub fn check(&self) -> Result<()> {
        let (millisecond, day) = (Duration::from_millis(1), Duration::from_secs(86_400));
        let durations = [
            ("window", self.window),
            ("lease_time", self.lease_time),
            ("connect_timeout", self.connect_timeout),
            ("command_timeout", self.command_timeout),
        ];
        for (name, value) in durations {
            require((millisecond..=day).contains(&value), name, value, "from 1 ms to a day")?;
        }
        Ok(())
    }
}

/// Counts in Redis (6 or later) or Valkey, so that all processes together stay within the limits.
///
/// - Each request is one script that runs as one step, by the server's own clock: no window is exceeded across processes,
///   whatever their clocks say.
/// - A call holds a lease. A small task of this store renews the leases of running calls and releases those that ended, one
///   after the other, so that `release` and `record_rejection` never block. It holds up to 1,024 such messages; one more is
///   dropped, and that lease expires. The task ends with the store.
/// - What is learned from rejections is shared too.
/// - A server that loses its keys (`FLUSHALL`, a restart without persistence, eviction) forgets the counts of the last minute,
///   the leases of running calls and what was learned: up to twice a minute's limit may be sent in the minute around it, and
///   the concurrent requests that were running then are not counted until they end. The vendor's rejections are learned anew.
///   Give it `maxmemory-policy noeviction`.
/// - It counts [budgets](crate::budget) too, over the same connection.
/// - All keys of one limit have the same hash tag. Their names hold the endpoint, the model and the account's fingerprint; they
///   expire by themselves.
///
/// The connection is opened by the first call, inside a Tokio runtime, and opened again when it broke. `rediss://` is not
/// built in: put a TLS tunnel before the server, or keep it in a private network.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::layers::rate_limit::{RateLimitStore, RedisSettings, RedisStore};
///
/// let settings = RedisSettings { prefix: "pictures".to_owned(), ..RedisSettings::default() };
/// let store: Arc<dyn RateLimitStore> = Arc::new(RedisStore::new("redis://127.0.0.1:6379/0", settings).unwrap());
/// assert!(RedisStore::new("http://127.0.0.1", RedisSettings::default()).is_err());
/// ```
pub struct RedisStore {
    shared: Arc<Shared>,
    connection: Mutex<Option<Connection>>,
}

/// What the store and its task both need.
struct Shared {
    client: Client,
    settings: RedisSettings,
    scripts: Scripts,
    budget_scripts: BudgetScripts,
    /// Leases of running calls.
    held: Mutex<HashMap<String, RateLimitKey>>,
    /// Microseconds that tests take for the server's time; 0: the server's own.
    #[cfg(test)]
    now: std::sync::atomic::AtomicU64,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client holds the URL, and that may hold a password.
        f.debug_struct("RedisStore").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Prepares a store; `url` is `redis://[user[:password]@]host[:port][/db]` and is shown nowhere.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a URL that is none, and for settings out of range.
    pub fn new(url: &str, settings: RedisSettings) -> Result<Self> {
        settings.check()?;
        let client = Client::open(url).map_err(|_| {
            let form = "the rate limit store's URL is not of the form redis://user:password@host:port/db";
            Error::new(ErrorKind::Config, form)
        })?;
        let shared = Shared {
            client,
            settings,
            scripts: Scripts::new(),
            budget_scripts: BudgetScripts::new(),
            held: Mutex::default(),
            #[cfg(test)]
            now: std::sync::atomic::AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared), connection: Mutex::default() })
    }

    /// The connection and its task, begun anew when the runtime that ran them is gone.
    fn connection(&self) -> Result<Connection> {
        let mut connection = lock(&self.connection);
        if let Some(connection) = connection.as_ref().filter(|connection| connection.is_alive()) {
            return Ok(connection.clone());
        }
        let opened = Connection::open(&self.shared)?;
        *connection = Some(opened.clone());
        Ok(opened)
    }

    /// Leaves a message for the task; without one no lease is held either.
    fn queue(&self, command: Command) {
        let connection = lock(&self.connection).clone();
        if let Some(connection) = connection {
            // Where the channel is full the lease expires by itself.
            let _: Result<(), mpsc::error::TrySendError<_>> = connection.commands.try_send(command);
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RateLimitStore for RedisStore {
    async fn acquire(&self, key: &RateLimitKey, limits: &Limits, lease: &Lease) -> Result<Grant> {
        let mut connection = self.connection()?;
        let shared = &self.shared;
        let mut call = shared.call(&shared.scripts.acquire, key);
        call.arg(micros(shared.settings.window));
        with_limits(&mut call, limits);
        call.arg(&lease.id).arg(lease.tokens).arg(micros(shared.settings.lease_time));
        let mut answer = shared.run(&mut connection.manager, &call).await;
        if matches!(&answer, Err(Failure::Broken(_))) {
            // The connection had broken while it was idle. A lease is counted once, however often it is asked for.
            answer = shared.run(&mut connection.manager, &call).await;
        }
        let (granted, wait, limit): (u8, u64, String) = answer.map_err(Error::from)?;
        if granted == 1 {
            lock(&shared.held).insert(lease.id.clone(), key.clone());
            return Ok(Grant::Granted);
        }
        Ok(Grant::Wait { after: Duration::from_micros(wait), limit: scope_of(&limit) })
    }

    fn release(&self, key: &RateLimitKey, lease: &Lease, used: Option<u64>) {
        lock(&self.shared.held).remove(&lease.id);
        self.queue(Command::Release { key: key.clone(), lease: lease.id.clone(), used });
    }

    fn record_rejection(
        &self,
        key: &RateLimitKey,
        limits: &Limits,
        scope: Option<RateLimitScope>,
        wait: Option<Duration>,
    ) {
        // A process may learn before it acquires anything here: by a call that its own store let go.
        if self.connection().is_ok() {
            self.queue(Command::RecordRejection { key: key.clone(), limits: *limits, scope, wait });
        }
    }
}

/// Why the server gave no answer.
enum Failure {
    Timeout(Duration),
    Broken(RedisError),
    Rejected(RedisError),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let what = match &failure {
            Failure::Timeout(limit) => format!("it did not answer within {limit:?}"),
            Failure::Broken(error) => error.category().to_owned(),
            // A server's code, such as NOAUTH, says more; its words might repeat what it was sent.
            Failure::Rejected(error) => error.code().unwrap_or(error.category()).to_owned(),
        };
        Self::new(ErrorKind::Network, format!("Redis: {what}")).with_billed(Billed::No)
    }
}

impl Shared {
    /// A script with the keys of a limit and the time.
    fn call<'a>(&self, script: &'a Script, key: &RateLimitKey) -> ScriptInvocation<'a> {
        let name = key_name(&self.settings.prefix, key);
        let mut call = script.prepare_invoke();
        for part in ["counts", "leases", "tokens", "learned"] {
            call.key(format!("{name}:{part}"));
        }
        call.arg(self.now());
        call
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        manager: &mut redis::aio::ConnectionManager,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, Failure> {
        let limit = self.settings.connect_timeout + self.settings.command_timeout;
        match timeout(limit, call.invoke_async(manager)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.is_timeout() => Err(Failure::Timeout(self.settings.command_timeout)),
            Ok(Err(error)) if error.is_io_error() => Err(Failure::Broken(error)),
            Ok(Err(error)) => Err(Failure::Rejected(error)),
            Err(_) => Err(Failure::Timeout(limit)),
        }
    }

    #[cfg(not(test))]
    fn now(&self) -> u64 {
        0
    }

    #[cfg(test)]
    fn now(&self) -> u64 {
        self.now.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// The scripts, with the same numbers as the store of one process.
#[derive(Debug)]
struct Scripts {
    acquire: Script,
    release: Script,
    record_rejection: Script,
    renew: Script,
}

impl Scripts {
    fn new() -> Self {
        let numbers = format!(
            "local SLOTS, MARGIN, POLL = {SLOTS}, {MARGIN}, {poll}\n\
             local CUT, CLIMB, STEPS, QUIET, FORGET = {CUT}, {CLIMB}, {STEPS}, {QUIET}, {FORGET}\n",
            poll = micros(POLL)
        );
        let script = |body: &str| Script::new(&[&numbers, include_str!("common.lua"), body].concat());
        Self {
            acquire: script(include_str!("acquire.lua")),
            release: script(include_str!("release.lua")),
            record_rejection: script(include_str!("record_rejection.lua")),
            renew: script(include_str!("renew.lua")),
        }
    }
}

fn with_limits(call: &mut ScriptInvocation<'_>, limits: &Limits) {
    for limit in [limits.requests, limits.tokens, limits.concurrency] {
        call.arg(limit.map_or_else(String::new, |limit| limit.to_string()));
    }
}

/// What all keys of a limit begin with. The part in braces decides the cluster's slot.
fn key_name(prefix: &str, key: &RateLimitKey) -> String {
    let mut name = format!("{}:{{", escaped(prefix));
    for part in [&key.endpoint, &key.model, &key.account] {
        name.push_str(&escaped(part));
        name.push('/');
    }
    name.push('}');
    name
}

/// Braces would move the hash tag and slashes would make two keys one.
fn escaped(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte) {
            name.push(char::from(byte));
        } else {
            // A `String` takes everything.
            let _: std::fmt::Result = write!(name, "%{byte:02x}");
        }
    }
    name
}

fn scope_of(name: &str) -> RateLimitScope {
    match name {
        "tokens" => RateLimitScope::Tokens,
        "concurrency" => RateLimitScope::Concurrency,
        "burst" => RateLimitScope::Burst,
        "account" => RateLimitScope::Account,
        "model" => RateLimitScope::Model,
        _ => RateLimitScope::Requests,
    }
}
