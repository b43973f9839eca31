//! What calls cost, by role, model and day; and the budget that they must keep within.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use polysight_core::catalog::Money;
use polysight_core::{Billed, Error, ErrorKind, Plan, Result, RetryAdvice, Usage};
use serde::Serialize;

use super::period::{BudgetWindow, day_of, moment, seconds_of};
use super::policy::{BudgetPolicy, UnknownCost};
use super::store::{BudgetCounts, BudgetKey, BudgetStore, LocalBudgets};
use crate::lock;
use crate::names::CallNames;

/// Rows that a ledger keeps apart. Beyond them those of the oldest days are put together.
const MAX_ROWS: usize = 4_096;
/// Longest name of a role or a model that is kept, in bytes.
const MAX_NAME: usize = 128;

type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// Where the cost of calls is written down, and the budget that they keep within, if there is one. Cloning shares it: give
/// clones to all [`Budget`](super::Budget) layers that spend the same money.
///
/// Its rows are of this process alone, at most 4,096 of them: beyond that the oldest days are put together in a row without
/// a day. What the [budget](Self::balance) counts is shared by all processes that share its store.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    name: String,
    policy: Option<BudgetPolicy>,
    store: Arc<dyn BudgetStore>,
    book: Mutex<Book>,
    clock: Arc<Clock>,
    names: CallNames,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({})", self.0.name)
    }
}

/// What is counted of one budget now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Balance {
    /// What may be spent in the period.
    pub amount: Money,
    /// What calls cost that have ended, and what those may have cost whose cost is unknown.
    pub spent: Money,
    /// What calls may cost that run now. What a process had reserved that was killed stays here until the period ends.
    pub reserved: Money,
    /// When the budget begins anew, as `2026-11-28T00:00:00Z`; `None` for never.
    pub resets: Option<String>,
}

/// What the calls of one role to one model cost on one day.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LedgerRow {
    /// The day in UTC, as `2026-11-27`; empty for older days that were put together.
    pub day: String,
    /// The role; empty where the layer names none.
    pub role: String,
    /// The model.
    pub model: String,
    /// What the calls cost, and what those may have cost whose cost is unknown.
    pub cost: Money,
    /// The part of the cost that is not known but assumed: the upper bound of calls that failed or were dropped when they may
    /// have been billed.
    pub assumed: Money,
    /// Calls, failed ones that may have been billed included.
    pub calls: u64,
    /// Calls of unknown cost that no amount was assumed for.
    pub unknown: u64,
    /// Prompt tokens, as far as they are known.
    pub input_tokens: u64,
    /// Answer tokens, as far as they are known.
    pub output_tokens: u64,
}

/// Everything that a ledger has written down.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LedgerSnapshot {
    /// The ledger's name.
    pub name: String,
    /// The cost of all rows together, an amount for each currency.
    pub total: Vec<Money>,
    /// The rows, oldest day first.
    pub rows: Vec<LedgerRow>,
}

impl Ledger {
    /// A ledger that writes down what calls cost and refuses none.
    #[must_use]
    pub fn counting(name: impl Into<String>) -> Self {
        Self::make(name.into(), None)
    }

    /// A ledger with a budget, which is counted in this process. The name stands in errors, and is the budget's name in a
    /// shared store.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] as [`BudgetPolicy::check`].
    pub fn new(name: impl Into<String>, policy: BudgetPolicy) -> Result<Self> {
        policy.check()?;
        Ok(Self::make(name.into(), Some(policy)))
    }

    fn make(name: String, policy: Option<BudgetPolicy>) -> Self {
        let (book, names) = Default::default();
        let store = Arc::new(LocalBudgets::default());
        Self(Arc::new(Inner { name, policy, store, book, clock: Arc::new(SystemTime::now), names }))
    }

    /// The same ledger with its budget counted in a store that other ledgers or processes share, and with no rows yet.
    #[must_use]
    pub fn with_store(self, store: Arc<dyn BudgetStore>) -> Self {
        let Inner { name, policy, clock, .. } = &*self.0;
        let (book, names) = Default::default();
        let (name, policy, clock) = (name.clone(), policy.clone(), Arc::clone(clock));
        Self(Arc::new(Inner { name, policy, store, book, clock, names }))
    }

    /// The same ledger with another clock, and with no rows yet: for tests.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        let Inner { name, policy, store, .. } = &*self.0;
        let (book, names) = Default::default();
        let (name, policy, store) = (name.clone(), policy.clone(), Arc::clone(store));
        Self(Arc::new(Inner { name, policy, store, book, clock: Arc::new(clock), names }))
    }

    /// The ledger's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The budget; `None` where calls are only written down.
    #[must_use]
    pub fn policy(&self) -> Option<&BudgetPolicy> {
        self.0.policy.as_ref()
    }

    /// What all calls of this process cost together, an amount for each currency.
    #[must_use]
    pub fn total(&self) -> Vec<Money> {
        self.sums(|_| String::new()).into_values().next().unwrap_or_default()
    }

    /// The same by role.
    #[must_use]
    pub fn by_role(&self) -> BTreeMap<String, Vec<Money>> {
        self.sums(|key| key.role.clone())
    }

    /// The same by model.
    #[must_use]
    pub fn by_model(&self) -> BTreeMap<String, Vec<Money>> {
        self.sums(|key| key.model.clone())
    }

    /// The same by day in UTC, as `2026-11-27`.
    #[must_use]
    pub fn by_day(&self) -> BTreeMap<String, Vec<Money>> {
        self.sums(|key| key.day.clone())
    }

    /// All rows.
    #[must_use]
    pub fn snapshot(&self) -> LedgerSnapshot {
        let rows = lock(&self.0.book).rows.iter().map(|(key, row)| row.shown(key)).collect();
        LedgerSnapshot { name: self.0.name.clone(), total: self.total(), rows }
    }

    /// What is counted of the budget now, by all processes that share its store; `None` without a budget.
    ///
    /// # Errors
    /// When a shared store cannot be asked.
    pub async fn balance(&self) -> Result<Option<Balance>> {
        let Some(policy) = &self.0.policy else { return Ok(None) };
        let key = self.key(policy);
        let counts = self.0.store.counts(&key).await?;
        let money = |nanos| Money::from_nanos(&policy.currency, nanos);
        Ok(Some(Balance {
            amount: money(policy.nanos()),
            spent: money(counts.spent),
            reserved: money(counts.reserved),
            resets: key.window.ends.map(moment),
        }))
    }

    fn sums(&self, group: impl Fn(&RowKey) -> String) -> BTreeMap<String, Vec<Money>> {
        let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
        for (key, row) in &lock(&self.0.book).rows {
            let sum = sums.entry((group(key), key.currency.clone())).or_default();
            *sum = sum.saturating_add(row.nanos);
        }
        let mut groups: BTreeMap<String, Vec<Money>> = BTreeMap::new();
        for ((group, currency), nanos) in sums {
            let amounts = groups.entry(group).or_default();
            if !currency.is_empty() {
                amounts.push(Money::from_nanos(currency, nanos));
            }
        }
        groups
    }

    fn now(&self) -> u64 {
        seconds_of((self.0.clock)())
    }

    fn key(&self, policy: &BudgetPolicy) -> BudgetKey {
        // What was counted in one currency says nothing of another, when the budget changes.
        let budget = format!("{} {}", self.0.name, policy.currency);
        BudgetKey { budget, window: policy.per.window(self.now()) }
    }

    /// Reserves what a call may cost at most.
    pub(super) async fn reserve(&self, plan: &Plan, bound: Option<&Money>) -> Result<Option<Reservation>> {
        let Some(policy) = &self.0.policy else { return Ok(None) };
        let amount = match bound {
            Some(bound) => policy.convert(bound).map_err(|error| self.about(plan, &error))?,
            None => match policy.unknown {
                UnknownCost::Refuse => return Err(self.unknown(plan)),
                UnknownCost::Allow => 0,
            },
        };
        let key = self.key(policy);
        let mut reservation = Reservation { ledger: self.clone(), key, id: self.0.names.next(), spent: 0 };
        let Reservation { key, id, .. } = &reservation;
        let refused = self.0.store.reserve(key, policy.nanos(), id, amount).await;
        match refused.map_err(|error| self.failed(&error))? {
            None => reservation.spent = amount,
            Some(counts) => return Err(self.refused(policy, &key.window, counts, amount)),
        }
        Ok(Some(reservation))
    }

    fn refused(
        &self,
        policy: &BudgetPolicy,
        window: &BudgetWindow,
        counts: BudgetCounts,
        amount: i64,
    ) -> Error {
        let money = |nanos| Money::from_nanos(&policy.currency, nanos);
        let message = format!(
            "the budget `{}` of {} ({}) does not hold this call: {} are spent, {} are reserved, it may cost up to {}; \
             nothing was sent: {}raise `amount`, lower `max_tokens`, or use a cheaper model",
            self.0.name,
            money(policy.nanos()),
            match window.ends {
                Some(_) => format!("per {}, UTC", policy.per),
                None => "in total".to_owned(),
            },
            money(counts.spent),
            money(counts.reserved),
            money(amount),
            // A call that is larger than the whole budget never fits.
            if window.ends.is_some() && amount <= policy.nanos() { "wait until it resets, " } else { "" },
        );
        let error = Error::new(ErrorKind::BudgetExceeded, message).with_local();
        match window.ends {
            Some(ends) => error.with_quota_reset(moment(ends)),
            None => error,
        }
    }

    fn unknown(&self, plan: &Plan) -> Error {
        let model = polysight_core::redact_name(plan.model());
        let (why, way_out) = if plan.card.prices.is_empty() {
            (format!("no price of {model} is known"), "give its card `prices`")
        } else if plan.request.max_tokens.is_none() && plan.card.max_output.is_none() {
            ("its answer has no limit".to_owned(), "set `max_tokens`")
        } else if plan.estimate.input_tokens().at_most.is_none() {
            ("its prompt's tokens have no bound".to_owned(), "give its card `context`")
        } else {
            ("its reasoning has no limit".to_owned(), "switch thinking off, or give it a budget")
        };
        let message = format!(
            "the budget `{}` refuses a call whose cost has no upper bound: {why}; {way_out}, or allow such calls by \
             `unknown = \"allow\"`",
            self.0.name
        );
        Error::new(ErrorKind::BudgetExceeded, message).with_local()
    }

    fn about(&self, plan: &Plan, error: &Error) -> Error {
        let model = polysight_core::redact_name(plan.model());
        Error::new(error.kind(), format!("budget `{}`, model {model}: {}", self.0.name, error.message()))
            .with_local()
    }

    /// A budget that cannot be counted is not spent.
    fn failed(&self, error: &Error) -> Error {
        let message = format!(
            "the store of the budget `{}` cannot be asked ({}): nothing was sent",
            self.0.name,
            error.message()
        );
        Error::new(ErrorKind::Network, message)
            .with_local()
            .with_billed(Billed::No)
            .with_retry(RetryAdvice::After(None))
    }

    /// Writes down what one call cost.
    pub(super) fn write(&self, entry: &Entry<'_>) {
        lock(&self.0.book).add(day_of(self.now()), entry);
    }
}

/// What one call cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) role: &'a str,
    pub(super) model: &'a str,
    /// `None`: unknown.
    pub(super) cost: Option<&'a Money>,
    /// Whether the cost is an upper bound, since what it was is unknown.
    pub(super) is_assumed: bool,
    pub(super) usage: Option<Usage>,
}

/// What is reserved for a call. Dropped, it is reconciled with what it holds.
pub(super) struct Reservation {
    ledger: Ledger,
    key: BudgetKey,
    id: String,
    /// What is counted in its place; nothing until it is sure that the call goes out.
    spent: i64,
}

impl Reservation {
    /// Counts these amounts in its place.
    pub(super) fn settle<'a>(mut self, costs: impl IntoIterator<Item = Option<&'a Money>>) {
        let (ledger, reserved) = (self.ledger.clone(), self.spent);
        // A price whose currency has no rate was refused before; the reservation is what is known then.
        let convert =
            |cost: &Money| ledger.policy().and_then(|policy| policy.convert(cost).ok()).unwrap_or(reserved);
        let nanos = |cost: Option<&Money>| cost.map_or(reserved, convert);
        self.spent = costs.into_iter().fold(0, |sum: i64, cost| sum.saturating_add(nanos(cost)));
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ledger.0.store.reconcile(&self.key, &self.id, self.spent);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    day: String,
    role: String,
    model: String,
    currency: String,
}

#[derive(Debug, Default, Clone)]
struct Row {
    nanos: i64,
    assumed: i64,
    calls: u64,
    unknown: u64,
    input_tokens: u64,
    output_tokens: u64,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.assumed = self.assumed.saturating_add(other.assumed);
        self.calls = self.calls.saturating_add(other.calls);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }

    fn shown(&self, key: &RowKey) -> LedgerRow {
        let money = |nanos| Money::from_nanos(&key.currency, nanos);
        LedgerRow {
            day: key.day.clone(),
            role: key.role.clone(),
            model: key.model.clone(),
            cost: money(self.nanos),
            assumed: money(self.assumed),
            calls: self.calls,
            unknown: self.unknown,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
        }
    }
}

#[derive(Debug, Default)]
struct Book {
    rows: BTreeMap<RowKey, Row>,
}

impl Book {
    fn add(&mut self, day: String, entry: &Entry<'_>) {
        let nanos = entry.cost.map(|cost| cost.nanos().unwrap_or(i64::MAX));
        let usage = entry.usage.unwrap_or_default();
        let row = Row {
            nanos: nanos.unwrap_or(0),
            assumed: nanos.filter(|_| entry.is_assumed).unwrap_or(0),
            calls: 1,
            unknown: u64::from(nanos.is_none()),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
        };
        let currency = entry.cost.map(|cost| cost.currency.clone()).unwrap_or_default();
        let key = RowKey { day, role: short(entry.role), model: short(entry.model), currency };
        self.rows.entry(key).or_default().add(&row);
        while self.rows.len() > MAX_ROWS && self.put_oldest_together() {}
    }

    /// Moves the oldest row that has a day into the one for its currency that has none.
    fn put_oldest_together(&mut self) -> bool {
        let Some(oldest) = self.rows.keys().find(|key| !key.day.is_empty()).cloned() else { return false };
        let Some(row) = self.rows.remove(&oldest) else { return false };
        let (day, role, model) = Default::default();
        self.rows.entry(RowKey { day, role, model, ..oldest }).or_default().add(&row);
        true
    }
}

/// A name, cut to what is kept of it.
fn short(name: &str) -> String {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(role: &'a str, model: &'a str, cost: Option<&'a Money>) -> Entry<'a> {
        Entry { role, model, cost, is_assumed: false, usage: Some(Usage::new(100, 10, 110)) }
    }

    #[test]
    fn rows_add_up_by_role_model_and_day_in_each_currency() {
        let ledger = Ledger::counting("all");
        let (yuan, dollar) = (Money::new("CNY", 0.1), Money::new("USD", 0.2));
        for (role, model, cost) in
            [("a", "x", Some(&yuan)), ("a", "y", Some(&yuan)), ("b", "x", Some(&dollar)), ("b", "z", None)]
        {
            ledger.write(&entry(role, model, cost));
        }
        let shown = |amounts: &[Money]| amounts.iter().map(Money::to_string).collect::<Vec<_>>().join(" + ");
        assert_eq!(shown(&ledger.total()), "0.200000 CNY + 0.200000 USD");
        assert_eq!(shown(&ledger.by_role()["a"]), "0.200000 CNY");
        assert_eq!(shown(&ledger.by_model()["x"]), "0.100000 CNY + 0.200000 USD");
        assert_eq!((shown(&ledger.by_model()["z"]), ledger.by_day().len()), (String::new(), 1));
        let snapshot = ledger.snapshot();
        assert_eq!((snapshot.rows.len(), snapshot.rows.iter().map(|row| row.unknown).sum::<u64>()), (4, 1));
        assert_eq!(snapshot.rows.iter().map(|row| row.input_tokens).sum::<u64>(), 400);
        let json = serde_json::to_value(&snapshot).unwrap();
        assert_eq!(json["total"][0]["currency"], "CNY");
    }

    #[test]
    fn memory_is_bounded_and_the_total_stays_exact() {
        let ledger = Ledger::counting("all");
        let cost = Money::new("CNY", 0.01);
        let long = "m".repeat(100_000);
        for number in 0..10_000 {
            ledger.write(&entry("role", &format!("{number} {long}"), Some(&cost)));
        }
        let snapshot = ledger.snapshot();
        assert_eq!(snapshot.rows.len(), MAX_ROWS);
        assert_eq!(
            (snapshot.rows[0].day.as_str(), snapshot.rows[0].calls),
            ("", 10_000 - MAX_ROWS as u64 + 1)
        );
        assert!(snapshot.rows.iter().all(|row| row.model.len() <= MAX_NAME));
        assert_eq!(ledger.total(), [Money::new("CNY", 100.0)]);
    }
}
