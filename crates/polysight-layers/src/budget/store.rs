//! Where a budget is counted.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use polysight_core::Result;

use super::period::BudgetWindow;
use crate::lock;

/// Windows of one budget that are kept: the present one, and those of calls that still run.
const WINDOWS: usize = 4;

/// One window of one budget. Processes that share a store share the budgets of equal names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BudgetKey {
    /// The budget's name.
    pub budget: String,
    /// The window.
    pub window: BudgetWindow,
}

/// What is counted in a window, in billionths of the budget's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BudgetCounts {
    /// Of calls that have ended.
    pub spent: i64,
    /// Of calls that run, and of those of processes that have died.
    pub reserved: i64,
}

impl BudgetCounts {
    /// These amounts.
    #[must_use]
    pub fn new(spent: i64, reserved: i64) -> Self {
        Self { spent, reserved }
    }

    /// Both together.
    #[must_use]
    pub fn taken(&self) -> i64 {
        self.spent.saturating_add(self.reserved)
    }
}

/// Counts money. All or nothing: a call that is refused has reserved nothing.
///
/// Amounts are billionths of the budget's currency. A reservation never expires within its window: its process may have
/// spent it.
#[async_trait]
pub trait BudgetStore: Send + Sync + fmt::Debug {
    /// Reserves an amount if what is spent and reserved stays within `limit`, in one step; `Some` with what is counted where
    /// it does not. Asked again for a reservation that is held, it counts nothing twice.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn reserve(
        &self,
        key: &BudgetKey,
        limit: i64,
        reservation: &str,
        amount: i64,
    ) -> Result<Option<BudgetCounts>>;

    /// Ends a reservation and counts what was spent instead, also where that is more. Does nothing for a reservation that is
    /// not held. It must not block: a remote store does it in the background.
    fn reconcile(&self, key: &BudgetKey, reservation: &str, spent: i64);

    /// What is counted.
    ///
    /// # Errors
    /// When the store cannot be asked.
    async fn counts(&self, key: &BudgetKey) -> Result<BudgetCounts>;
}

// Ledgers hold stores behind `dyn`.
const _: fn(&dyn BudgetStore) = |_| {};

/// Counts in this process, by default for each ledger alone. Ledgers of one program that follow one another, as those of a config
/// that is read again, go on with what was counted when they share it. It keeps the last 4 windows of each budget.
#[derive(Default)]
pub struct LocalBudgets(Mutex<HashMap<String, BTreeMap<WindowName, Window>>>);

/// A window's end and name: the oldest sorts first, and one without an end last.
type WindowName = (u64, String);

#[derive(Debug, Default)]
struct Window {
    counts: BudgetCounts,
    reservations: HashMap<String, i64>,
}

fn name_of(window: &BudgetWindow) -> WindowName {
    (window.ends.unwrap_or(u64::MAX), window.name.clone())
}

impl LocalBudgets {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for LocalBudgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalBudgets({})", lock(&self.0).len())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl BudgetStore for LocalBudgets {
    async fn reserve(
        &self,
        key: &BudgetKey,
        limit: i64,
        reservation: &str,
        amount: i64,
    ) -> Result<Option<BudgetCounts>> {
        let mut budgets = lock(&self.0);
        let windows = budgets.entry(key.budget.clone()).or_default();
        let window = windows.entry(name_of(&key.window)).or_default();
        if window.reservations.contains_key(reservation) {
            return Ok(None);
        }
        let counts = window.counts;
        if counts.taken().saturating_add(amount) > limit {
            return Ok(Some(counts));
        }
        window.counts.reserved = counts.reserved.saturating_add(amount);
        window.reservations.insert(reservation.to_owned(), amount);
        while windows.len() > WINDOWS {
            windows.pop_first();
        }
        Ok(None)
    }

    fn reconcile(&self, key: &BudgetKey, reservation: &str, spent: i64) {
        if let Some(windows) = lock(&self.0).get_mut(&key.budget)
            && let Some(window) = windows.get_mut(&name_of(&key.window))
            && let Some(reserved) = window.reservations.remove(reservation)
        {
            window.counts.reserved -= reserved;
            window.counts.spent = window.counts.spent.saturating_add(spent);
        }
    }

    async fn counts(&self, key: &BudgetKey) -> Result<BudgetCounts> {
        let budgets = lock(&self.0);
        let window = budgets.get(&key.budget).and_then(|windows| windows.get(&name_of(&key.window)));
        Ok(window.map(|window| window.counts).unwrap_or_default())
    }
}
