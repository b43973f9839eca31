//! The connection, and the task that does what need not be waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use polysight_core::{Error, ErrorKind, RateLimitScope, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{Shared, with_limits};
use crate::budget::BudgetKey;
use crate::lock;
use crate::rate_limit::adaptive::{self, Dimension};
use crate::rate_limit::store::{Limits, RateLimitKey};
use crate::rate_limit::window::micros;

/// Messages that may wait for the task.
const MESSAGES: usize = 1_024;
/// Leases that are kept alive by one script, so that none holds the server up.
const RENEW_AT_ONCE: usize = 500;

/// What the task has to do.
#[derive(Debug)]
pub(super) enum Command {
    Release {
        key: RateLimitKey,
        lease: String,
        used: Option<u64>,
    },
    RecordRejection {
        key: RateLimitKey,
        limits: Limits,
        scope: Option<RateLimitScope>,
        wait: Option<Duration>,
    },
    /// Counts what a call cost in place of what it had reserved of a budget.
    Reconcile {
        key: BudgetKey,
        reservation: String,
        spent: i64,
    },
    /// Everything before this is done.
    Flush(tokio::sync::oneshot::Sender<()>),
}

/// A connection that opens itself, and the way to the task. Cloning shares both.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) manager: ConnectionManager,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Connection {
    pub(super) fn open(shared: &Arc<Shared>) -> Result<Self> {
        let Ok(runtime) = Handle::try_current() else {
            let message = "the rate limit store in Redis needs a Tokio runtime: call from inside one";
            return Err(Error::new(ErrorKind::Config, message));
        };
        let settings = &shared.settings;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(settings.connect_timeout))
            .set_response_timeout(Some(settings.command_timeout))
            .set_number_of_retries(0);
        let manager = ConnectionManager::new_lazy_with_config(shared.client.clone(), config)
            .map_err(|error| Error::new(ErrorKind::Config, format!("Redis: {}", error.category())))?;
        let (commands, inbox) = mpsc::channel(MESSAGES);
        let connection = Self { manager, commands };
        // The task must not hold a sender, or it would never see the last one go.
        runtime.spawn(work(Arc::clone(shared), connection.manager.clone(), inbox));
        Ok(connection)
    }

    /// False when the runtime that ran the task is gone.
    pub(super) fn is_alive(&self) -> bool {
        !self.commands.is_closed()
    }
}

async fn work(shared: Arc<Shared>, manager: ConnectionManager, mut inbox: mpsc::Receiver<Command>) {
    let interval = shared.settings.lease_time / 3;
    let mut next_renewal = Instant::now() + interval;
    loop {
        // A busy inbox must not keep leases from being renewed.
        let is_due = Instant::now() >= next_renewal;
        let next = if is_due { None } else { timeout_at(next_renewal, inbox.recv()).await.ok() };
        match next {
            Some(Some(command)) => shared.carry_out(&manager, command).await,
            Some(None) => return,
            None => {
                shared.renew(&manager).await;
                next_renewal = Instant::now() + interval;
            }
        }
    }
}

impl Shared {
    /// Whatever fails here is made good by the lease's expiry or by the next rejection.
    async fn carry_out(&self, manager: &ConnectionManager, command: Command) {
        let mut call = match command {
            Command::Release { key, lease, used } => {
                let mut call = self.call(&self.scripts.release, &key);
                let used = used.map_or_else(String::new, |used| used.to_string());
                call.arg(micros(self.settings.window)).arg(lease).arg(used);
                call
            }
            Command::RecordRejection { key, limits, scope, wait } => {
                let mut call = self.call(&self.scripts.record_rejection, &key);
                call.arg(micros(self.settings.window));
                with_limits(&mut call, &limits);
                let pause = adaptive::pause(wait, self.settings.window);
                call.arg(scope.unwrap_or(RateLimitScope::Requests).to_string()).arg(micros(pause));
                for dimension in Dimension::met(scope) {
                    call.arg(dimension.name()).arg(dimension.least());
                }
                call
            }
            Command::Reconcile { key, reservation, spent } => self.reconcile_call(&key, &reservation, spent),
            Command::Flush(done) => {
                let _: Result<(), ()> = done.send(());
                return;
            }
        };
        self.run_unanswered(manager, &mut call).await;
    }

    /// Keeps the leases of all running calls alive.
    pub(super) async fn renew(&self, manager: &ConnectionManager) {
        let mut by_key: HashMap<RateLimitKey, Vec<String>> = HashMap::new();
        for (lease, key) in lock(&self.held).iter() {
            by_key.entry(key.clone()).or_default().push(lease.clone());
        }
        for (key, leases) in by_key {
            for some in leases.chunks(RENEW_AT_ONCE) {
                let mut call = self.call(&self.scripts.renew, &key);
                call.arg(micros(self.settings.lease_time)).arg(some);
                self.run_unanswered(manager, &mut call).await;
            }
        }
    }

    async fn run_unanswered(&self, manager: &ConnectionManager, call: &mut redis::ScriptInvocation<'_>) {
        let mut manager = manager.clone();
        let _: Result<u8, _> = self.run(&mut manager, call).await;
    }
}
