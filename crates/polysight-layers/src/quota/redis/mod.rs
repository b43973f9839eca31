//! Quotas that many processes share, counted in Redis or Valkey.

mod link;
mod scripts;
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
use redis::{Client, RedisError, ScriptInvocation};
use serde::Deserialize;
use tokio::sync::mpsc;

use self::link::{Command, Link};
use self::scripts::Scripts;
use super::store::{Grant, Lease, QuotaKey, QuotaLimits, QuotaStore};
use super::window::micros;
use crate::Env;
use crate::setting::require;
use crate::sync::{First, first, lock};

/// How a [`RedisStore`] counts and how long it waits for the server. All times are from 1 ms to a day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisSettings {
    /// What the names of all keys begin with; default `polysight`.
    pub prefix: String,
    /// The window in which requests and tokens are counted; default 60 s. The same in every process.
    #[serde(with = "crate::seconds")]
    pub window: Duration,
    /// After how long a place comes back whose process has died; default 30 s. Places of calls that live
    /// are kept alive three times as often.
    #[serde(with = "crate::seconds")]
    pub lease_time: Duration,
    /// Longest wait for a connection; default 1 s.
    #[serde(with = "crate::seconds")]
    pub connect_timeout: Duration,
    /// Longest wait for an answer; default 1 s.
    #[serde(with = "crate::seconds")]
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
    /// Windows of 60 s, places that come back after 30 s, a second of patience.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the names of all keys begin with.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets the window in which requests and tokens are counted.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets after how long a dead process' places come back.
    #[must_use]
    pub fn with_lease_time(mut self, lease_time: Duration) -> Self {
        self.lease_time = lease_time;
        self
    }

    /// Sets the longest wait for a connection.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the longest wait for an answer.
    #[must_use]
    pub fn with_command_timeout(mut self, timeout: Duration) -> Self {
        self.command_timeout = timeout;
        self
    }

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
/// - Each question is one script that runs as one step, by the server's own clock: no window is exceeded across processes,
///   whatever their clocks say.
/// - A call's place is a lease. A small task of this store keeps the leases of running calls alive and gives places back, one after
///   the other, so that `settle` and `throttled` never block. It holds up to 1,024 such messages; one more is dropped, and that
///   place comes back when its lease expires. The task ends with the store.
/// - What refusals teach is shared too.
/// - All keys of one meter have the same hash tag. Their names hold the deployment, the model and the account's
///   fingerprint; they expire by themselves.
///
/// The connection is opened by the first call, inside a Tokio runtime, and opened again when it broke. `rediss://` is not
/// built in: put a TLS tunnel before the server, or keep it in a private network.
///
/// ```
/// use std::sync::Arc;
/// use polysight_layers::quota::{QuotaStore, RedisSettings, RedisStore};
///
/// let settings = RedisSettings::new().with_prefix("pictures");
/// let store: Arc<dyn QuotaStore> = Arc::new(RedisStore::new("redis://127.0.0.1:6379/0", settings).unwrap());
/// assert!(RedisStore::new("http://127.0.0.1", RedisSettings::new()).is_err());
/// ```
pub struct RedisStore {
    shared: Arc<Shared>,
    link: Mutex<Option<Link>>,
}

/// What the store and its task both need.
struct Shared {
    client: Client,
    settings: RedisSettings,
    scripts: Scripts,
    env: Env,
    /// Places of running calls, by lease.
    held: Mutex<HashMap<String, QuotaKey>>,
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
            let form = "the quota store's URL is not of the form redis://user:password@host:port/db";
            Error::new(ErrorKind::Config, form)
        })?;
        let shared = Shared {
            client,
            settings,
            scripts: Scripts::new(),
            env: Env::default(),
            held: Mutex::default(),
            #[cfg(test)]
            now: std::sync::atomic::AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared), link: Mutex::default() })
    }

    /// The connection and its task, begun anew when the runtime that ran them is gone.
    fn link(&self) -> Result<Link> {
        let mut link = lock(&self.link);
        if let Some(link) = link.as_ref().filter(|link| link.is_alive()) {
            return Ok(link.clone());
        }
        let begun = Link::begin(&self.shared)?;
        *link = Some(begun.clone());
        Ok(begun)
    }

    /// Leaves a message for the task; without one no place is held either.
    fn tell(&self, command: Command) {
        let link = lock(&self.link).clone();
        if let Some(link) = link {
            // A full line: the lease expires by itself.
            let _: Result<(), mpsc::error::TrySendError<_>> = link.commands.try_send(command);
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl QuotaStore for RedisStore {
    async fn take(&self, key: &QuotaKey, limits: &QuotaLimits, lease: &Lease) -> Result<Grant> {
        let mut link = self.link()?;
        let shared = &self.shared;
        let mut call = shared.call(&shared.scripts.take, key);
        call.arg(micros(shared.settings.window));
        with_limits(&mut call, limits);
        call.arg(&lease.id).arg(lease.tokens).arg(micros(shared.settings.lease_time));
        let mut answer = shared.run(&mut link.manager, &call).await;
        if matches!(&answer, Err(Failure::Broken(_))) {
            // The connection had broken while nobody used it. A lease is counted once, however often it is asked for.
            answer = shared.run(&mut link.manager, &call).await;
        }
        let (granted, wait, limit): (u8, u64, String) = answer.map_err(Error::from)?;
        if granted == 1 {
            lock(&shared.held).insert(lease.id.clone(), key.clone());
            return Ok(Grant::Granted);
        }
        Ok(Grant::Wait { after: Duration::from_micros(wait), limit: throttle(&limit) })
    }

    fn settle(&self, key: &QuotaKey, lease: &Lease, used: Option<u64>) {
        lock(&self.shared.held).remove(&lease.id);
        self.tell(Command::Settle { key: key.clone(), lease: lease.id.clone(), used });
    }

    fn throttled(
        &self,
        key: &QuotaKey,
        limits: &QuotaLimits,
        met: Option<RateLimitScope>,
        pause: Option<Duration>,
    ) {
        // A program may learn before it has taken: by a call that its own store let go.
        if self.link().is_ok() {
            self.tell(Command::Throttled { key: key.clone(), limits: *limits, met, pause });
        }
    }
}

/// Why the server gave no answer.
enum Failure {
    TooLate(Duration),
    Broken(RedisError),
    Refused(RedisError),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let what = match &failure {
            Failure::TooLate(patience) => format!("it did not answer within {patience:?}"),
            Failure::Broken(error) => error.category().to_owned(),
            // A server's code, such as NOAUTH, says more; its words might repeat what it was sent.
            Failure::Refused(error) => error.code().unwrap_or(error.category()).to_owned(),
        };
        Self::new(ErrorKind::Network, format!("Redis: {what}")).with_billed(Billed::No)
    }
}

impl Shared {
    /// A script with the keys of a meter and the time.
    fn call<'a>(&self, script: &'a redis::Script, key: &QuotaKey) -> ScriptInvocation<'a> {
        let meter = meter(&self.settings.prefix, key);
        let mut call = script.prepare_invoke();
        for part in ["counts", "places", "tokens", "lessons"] {
            call.key(format!("{meter}:{part}"));
        }
        call.arg(self.now());
        call
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        manager: &mut redis::aio::ConnectionManager,
        call: &ScriptInvocation<'_>,
    ) -> Result<T, Failure> {
        let patience = self.settings.connect_timeout + self.settings.command_timeout;
        match first(call.invoke_async(manager), self.env.sleep(patience)).await {
            First::One(Ok(answer)) => Ok(answer),
            First::One(Err(error)) if error.is_timeout() => {
                Err(Failure::TooLate(self.settings.command_timeout))
            }
            First::One(Err(error)) if error.is_io_error() => Err(Failure::Broken(error)),
            First::One(Err(error)) => Err(Failure::Refused(error)),
            First::Other(()) => Err(Failure::TooLate(patience)),
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

fn with_limits(call: &mut ScriptInvocation<'_>, limits: &QuotaLimits) {
    for limit in [limits.requests, limits.tokens, limits.concurrency, limits.burst] {
        call.arg(limit.map_or_else(String::new, |limit| limit.to_string()));
    }
}

/// What all keys of a meter begin with. The part in braces decides the cluster's slot.
fn meter(prefix: &str, key: &QuotaKey) -> String {
    let mut name = format!("{}:{{", escaped(prefix));
    for part in [&key.deployment, &key.model, &key.account] {
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

fn throttle(name: &str) -> RateLimitScope {
    match name {
        "tokens" => RateLimitScope::Tokens,
        "concurrency" => RateLimitScope::Concurrency,
        "burst" => RateLimitScope::Burst,
        "account" => RateLimitScope::Account,
        "model" => RateLimitScope::Model,
        _ => RateLimitScope::Requests,
    }
}
