//! Budgets: no more money than was set, and a ledger of what was spent.
//!
//! - **Where it stands**: inside retry, around each target, so that every attempt is paid for by itself. Outside of retry, as
//!   for a budget around a whole role, a call reserves one attempt; attempts that failed and may have been billed are counted
//!   when the call ends, so that a budget may be passed by what they cost.
//! - **Reserved** before the call is the most that it can cost by its plan ([`Estimate::cost`](polysight_core::Estimate::cost)).
//!   A call that does not fit with what is spent and reserved is refused with
//!   [`BudgetExceeded`](polysight_core::ErrorKind::BudgetExceeded), in one step, so that calls at the same time or in several
//!   processes never pass it together. What has no upper bound is decided by [`UnknownCost`].
//! - **Reconciled** after it with what the answer cost. Of a failed call, what surely was not billed costs nothing; what may
//!   have been billed costs what its usage says, and where that is unknown the whole reservation stays counted: the vendor
//!   may have charged it, and a budget that is too low for a while is better than one that was passed. The same holds for a
//!   call that was dropped on its way.
//! - **A process that is killed** leaves what it had reserved in a shared store: it stays counted until the period ends, and
//!   for a budget in total for good.
//! - **Periods** are calendar units in UTC by the clock of the process; a call belongs to the period in which it began.
//! - **A shared store that cannot be asked** lets no call go: a budget that cannot be counted is not spent.

mod ledger;
mod period;
mod policy;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use polysight_core::catalog::Money;
use polysight_core::{Attempt, Billed, Error, Plan, ResponseMeta, Result, Usage, VisionProvider};

pub use ledger::{Balance, Ledger, LedgerRow, LedgerSnapshot};
pub use period::{BudgetPeriod, BudgetWindow};
pub use policy::{BudgetPolicy, UnknownCost};
pub use store::{BudgetCounts, BudgetKey, BudgetStore, LocalBudgets};

use crate::call::{CallObserver, Reply, named, observe};
use crate::rate_limit::most_tokens;
use ledger::{Entry, Reservation};

/// Keeps the calls to a provider within a budget, and writes down what they cost.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use std::sync::Arc;
/// use polysight::{Result, VisionProvider};
/// use polysight::layers::budget::{Budget, BudgetPeriod, BudgetPolicy, Ledger};
///
/// /// Two providers that spend the same ten yuan a day.
/// fn limited(one: Arc<dyn VisionProvider>, other: Arc<dyn VisionProvider>) -> Result<[Budget; 2]> {
///     let ledger = Ledger::new("pictures", BudgetPolicy::new(10.0, "CNY", BudgetPeriod::Day))?;
///     Ok([Budget::new(one, ledger.clone()), Budget::new(other, ledger).with_role("other")])
/// }
/// ```
pub struct Budget {
    inner: Arc<dyn VisionProvider>,
    ledger: Ledger,
    role: Arc<str>,
}

show_as_wrapper!(Budget);

impl Budget {
    /// Spends from a ledger's budget.
    #[must_use]
    pub fn new(inner: Arc<dyn VisionProvider>, ledger: Ledger) -> Self {
        Self { inner, ledger, role: "".into() }
    }

    /// Names the role in the ledger's rows.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Arc<str>>) -> Self {
        self.role = role.into();
        self
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    async fn run<R: Reply>(&self, plan: Plan) -> Result<R> {
        let bound = upper_bound(&plan);
        let reserved = self.ledger.reserve(&plan, bound.as_ref()).await;
        let reservation = reserved.map_err(|error| named(error, &*self.inner))?;
        let charge = Charge {
            ledger: self.ledger.clone(),
            role: Arc::clone(&self.role),
            model: plan.model().to_owned(),
            most_tokens: most_tokens(&plan),
            bound,
            reservation,
            is_open: true,
        };
        observe(&*self.inner, plan, charge).await
    }
}

impl_layer!(Budget, inner, run);

/// The most that a call can cost; `None` where that is unknown.
fn upper_bound(plan: &Plan) -> Option<Money> {
    plan.estimate.cost.as_ref()?.most().filter(|cost| cost.amount.is_finite())
}

/// A call on its way to what it costs.
struct Charge {
    ledger: Ledger,
    role: Arc<str>,
    model: String,
    /// More tokens than that are a mistake of the server's.
    most_tokens: u64,
    bound: Option<Money>,
    reservation: Option<Reservation>,
    is_open: bool,
}

/// What one attempt cost.
enum Cost {
    Nothing,
    Known(Money),
    Unknown,
}

impl Cost {
    fn of(cost: Option<&Money>) -> Self {
        cost.map_or(Self::Unknown, |cost| Self::Known(cost.clone()))
    }

    fn of_failed(billed: Billed, cost: Option<&Money>) -> Self {
        if billed == Billed::No { Self::Nothing } else { Self::of(cost) }
    }
}

impl Charge {
    /// Counts the call, and the attempts inside it that failed before.
    fn settle(&mut self, own: Cost, usage: Option<Usage>, attempts: &[Attempt]) {
        self.is_open = false;
        let failed =
            attempts.iter().map(|attempt| (Cost::of_failed(attempt.billed, attempt.cost.as_ref()), None));
        let costs: Vec<_> =
            failed.chain([(own, usage)]).filter(|(cost, _)| !matches!(cost, Cost::Nothing)).collect();
        for (cost, usage) in &costs {
            let (cost, is_assumed) = match cost {
                Cost::Known(cost) => (Some(cost), false),
                _ => (self.bound.as_ref(), true),
            };
            self.ledger.write(&Entry {
                role: &self.role,
                model: &self.model,
                cost,
                is_assumed,
                usage: *usage,
            });
        }
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(costs.iter().map(|(cost, _)| match cost {
                Cost::Known(cost) => Some(cost),
                _ => None,
            }));
        }
    }

    /// Usage that a model can have had.
    fn is_likely(&self, usage: Option<&Usage>) -> bool {
        usage.is_none_or(|usage| {
            usage.input_tokens.saturating_add(usage.output_tokens).max(usage.total_tokens) <= self.most_tokens
        })
    }
}

impl CallObserver for Charge {
    fn on_end(&mut self, meta: &mut ResponseMeta) {
        let cost = match &meta.cost {
            _ if meta.cached => Cost::Nothing,
            cost if self.is_likely(meta.usage.as_ref()) => Cost::of(cost.as_ref()),
            _ => Cost::Unknown,
        };
        let usage = meta.usage.filter(|_| !matches!(cost, Cost::Unknown));
        self.settle(cost, usage, &meta.attempts);
    }

    fn on_error(&mut self, error: Error) -> Error {
        let usage = error.usage();
        let known = error.cost().filter(|_| self.is_likely(usage.as_ref()));
        self.settle(Cost::of_failed(error.billed(), known), usage, error.attempts());
        error
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.is_open {
            self.settle(Cost::Unknown, None, &[]);
        }
    }
}
