//! The connection, and the task that does what need not be waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use polysight_core::{Error, ErrorKind, RateLimitScope, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{Shared, with_limits};
use crate::quota::learn::{self, Dimension};
use crate::quota::store::{QuotaKey, QuotaLimits};
use crate::quota::window::micros;
use crate::sync::{First, first, lock};

/// Messages that may wait for the task.
const MESSAGES: usize = 1_024;
/// Leases that are kept alive by one script, so that none holds the server up.
const RENEW_AT_ONCE: usize = 500;

/// What the task is told.
#[derive(Debug)]
pub(super) enum Command {
    Settle {
        key: QuotaKey,
        lease: String,
        used: Option<u64>,
    },
    Throttled {
        key: QuotaKey,
        limits: QuotaLimits,
        met: Option<RateLimitScope>,
        pause: Option<Duration>,
    },
    /// Tests: everything before this is done.
    #[cfg(test)]
    Flush(tokio::sync::oneshot::Sender<()>),
}

/// A connection that opens itself, and the way to the task. Cloning shares both.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) manager: ConnectionManager,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Link {
    pub(super) fn begin(shared: &Arc<Shared>) -> Result<Self> {
        let Ok(runtime) = Handle::try_current() else {
            let message = "the quota store in Redis needs a Tokio runtime: ask from inside one";
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
        let link = Self { manager, commands };
        // The task must not hold a sender, or it would never see the last one go.
        runtime.spawn(work(Arc::clone(shared), link.manager.clone(), inbox));
        Ok(link)
    }

    /// False when the runtime that ran the task is gone.
    pub(super) fn is_alive(&self) -> bool {
        !self.commands.is_closed()
    }
}

async fn work(shared: Arc<Shared>, manager: ConnectionManager, mut inbox: mpsc::Receiver<Command>) {
    let interval = shared.settings.lease_time / 3;
    let mut next_renewal = shared.env.now() + interval;
    loop {
        let rest = next_renewal.saturating_duration_since(shared.env.now());
        // A busy inbox must not keep leases from being renewed.
        let next =
            if rest.is_zero() { First::Other(()) } else { first(inbox.recv(), shared.env.sleep(rest)).await };
        match next {
            First::One(Some(command)) => shared.carry_out(&manager, command).await,
            First::One(None) => return,
            First::Other(()) => {
                shared.renew(&manager).await;
                next_renewal = shared.env.now() + interval;
            }
        }
    }
}

impl Shared {
    /// Whatever fails here is made good by the lease's expiry or by the next refusal.
    async fn carry_out(&self, manager: &ConnectionManager, command: Command) {
        let mut call = match command {
            Command::Settle { key, lease, used } => {
                let mut call = self.call(&self.scripts.settle, &key);
                let used = used.map_or_else(String::new, |used| used.to_string());
                call.arg(micros(self.settings.window)).arg(lease).arg(used);
                call
            }
            Command::Throttled { key, limits, met, pause } => {
                let mut call = self.call(&self.scripts.throttled, &key);
                call.arg(micros(self.settings.window));
                with_limits(&mut call, &limits);
                let pause = learn::pause(met, pause, self.settings.window);
                call.arg(met.unwrap_or(RateLimitScope::Requests).to_string()).arg(micros(pause));
                for dimension in Dimension::met(met) {
                    call.arg(dimension.name()).arg(dimension.least());
                }
                call
            }
            #[cfg(test)]
            Command::Flush(done) => {
                let _: Result<(), ()> = done.send(());
                return;
            }
        };
        self.run_unheard(manager, &mut call).await;
    }

    /// Keeps the places of all running calls alive.
    pub(super) async fn renew(&self, manager: &ConnectionManager) {
        let mut by_key: HashMap<QuotaKey, Vec<String>> = HashMap::new();
        for (lease, key) in lock(&self.held).iter() {
            by_key.entry(key.clone()).or_default().push(lease.clone());
        }
        for (key, leases) in by_key {
            for some in leases.chunks(RENEW_AT_ONCE) {
                let mut call = self.call(&self.scripts.renew, &key);
                call.arg(micros(self.settings.lease_time)).arg(some);
                self.run_unheard(manager, &mut call).await;
            }
        }
    }

    async fn run_unheard(&self, manager: &ConnectionManager, call: &mut redis::ScriptInvocation<'_>) {
        let mut manager = manager.clone();
        let _: Result<u8, _> = self.run(&mut manager, call).await;
    }
}
