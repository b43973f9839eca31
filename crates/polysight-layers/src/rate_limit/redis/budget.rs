//! Budgets that many processes share, over the connection and the task of the rate limits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use polysight_core::{Error, Result};
use redis::{Script, ScriptInvocation};
use tokio::sync::oneshot;

use super::connection::Command;
use super::{Failure, RedisStore, Shared, escaped};
use crate::budget::{BudgetCounts, BudgetKey, BudgetStore};

/// For how long a window is kept after its end: calls that began in it may still run.
const KEPT: Duration = Duration::from_secs(2 * 3_600);

/// The scripts of budgets.
#[derive(Debug)]
pub(super) struct BudgetScripts {
    reserve: Script,
    reconcile: Script,
    counts: Script,
}

impl BudgetScripts {
    pub(super) fn new() -> Self {
        Self {
            reserve: Script::new(include_str!("reserve.lua")),
            reconcile: Script::new(include_str!("reconcile.lua")),
            counts: Script::new(
                "local sums = redis.call('HMGET', KEYS[1], 'spent', 'reserved')\nreturn { sums[1] or '0', sums[2] or '0' }",
            ),
        }
    }
}

impl Shared {
    fn budget_call<'a>(&self, script: &'a Script, key: &BudgetKey) -> ScriptInvocation<'a> {
        let (prefix, budget) = (escaped(&self.settings.prefix), escaped(&key.budget));
        // The part in braces decides the cluster's slot.
        let name = format!("{prefix}:{{budget/{budget}/}}:{}", escaped(&key.window.name));
        let mut call = script.prepare_invoke();
        call.key(format!("{name}:sums")).key(format!("{name}:held"));
        call
    }

    /// The call that counts what was spent in place of a reservation.
    pub(super) fn reconcile_call(
        &self,
        key: &BudgetKey,
        reservation: &str,
        spent: i64,
    ) -> ScriptInvocation<'_> {
        let mut call = self.budget_call(&self.budget_scripts.reconcile, key);
        call.arg(reservation).arg(spent);
        call
    }
}

/// The milliseconds for which a window is kept from now on; nothing for one that does not end.
fn kept(key: &BudgetKey) -> String {
    let Some(ends) = key.window.ends else { return String::new() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Duration::from_secs(ends).saturating_sub(now) + KEPT).as_millis().to_string()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl BudgetStore for RedisStore {
    async fn reserve(
        &self,
        key: &BudgetKey,
        limit: i64,
        reservation: &str,
        amount: i64,
    ) -> Result<Option<BudgetCounts>> {
        let mut connection = self.connection()?;
        let shared = &self.shared;
        let mut call = shared.budget_call(&shared.budget_scripts.reserve, key);
        call.arg(limit).arg(reservation).arg(amount).arg(kept(key));
        let mut answer = shared.run(&mut connection.manager, &call).await;
        if matches!(&answer, Err(Failure::Broken(_))) {
            // The connection had broken while it was idle. A reservation is counted once, however often it is asked for.
            answer = shared.run(&mut connection.manager, &call).await;
        }
        let (is_reserved, spent, reserved): (u8, i64, i64) = answer.map_err(Error::from)?;
        Ok((is_reserved == 0).then(|| BudgetCounts::new(spent, reserved)))
    }

    fn reconcile(&self, key: &BudgetKey, reservation: &str, spent: i64) {
        self.queue(Command::Reconcile { key: key.clone(), reservation: reservation.to_owned(), spent });
    }

    /// Waits until everything that this store has queued is counted, so that a process that asks before it ends leaves no
    /// reservation behind.
    async fn counts(&self, key: &BudgetKey) -> Result<BudgetCounts> {
        let mut connection = self.connection()?;
        let (done, all_done) = oneshot::channel();
        let wait = async {
            connection.commands.send(Command::Flush(done)).await.ok()?;
            all_done.await.ok()
        };
        // What is not counted by then is read as reserved.
        let _: Result<_, _> = tokio::time::timeout(Duration::from_secs(5), wait).await;
        let shared = &self.shared;
        let call = shared.budget_call(&shared.budget_scripts.counts, key);
        let mut answer = shared.run(&mut connection.manager, &call).await;
        if matches!(&answer, Err(Failure::Broken(_))) {
            answer = shared.run(&mut connection.manager, &call).await;
        }
        let (spent, reserved): (i64, i64) = answer.map_err(Error::from)?;
        Ok(BudgetCounts::new(spent, reserved))
    }
}
