//! How many retries a program can afford.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use polysight_core::{Error, ErrorKind};

/// What a retry costs.
const RETRY: u32 = 5;
/// What a retry costs after a time limit or a broken connection: these hold resources longest.
const RETRY_AFTER_SILENCE: u32 = 10;
/// What a call earns that succeeds at its first try.
const EARNED: u32 = 1;

/// A bucket of tokens that retries are paid from, so that a vendor's bad hour is not made worse by everybody asking
/// three times. Cloning shares the bucket: give clones to all layers that talk to the same vendor.
///
/// A retry costs 5 tokens, and 10 after a timeout or a broken connection. One that succeeds gives its cost back, and so
/// does one that is given up before it was sent; a call that succeeds at its first try earns 1. When the bucket does not
/// hold the cost, errors are handed out as they are. So with the default of 500 tokens a program can afford 100 retries in
/// vain, and from then on one for each five calls that go well.
///
/// ```
/// use polysight_layers::RetryBudget;
///
/// let shared = RetryBudget::default();
/// assert_eq!(shared.available(), 500);
/// assert_eq!(RetryBudget::new(100).capacity(), 100);
/// ```
#[derive(Debug, Clone)]
pub struct RetryBudget(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    capacity: u32,
    tokens: AtomicU32,
}

impl Default for RetryBudget {
    /// A full bucket of 500 tokens.
    fn default() -> Self {
        Self::new(500)
    }
}

impl RetryBudget {
    /// A full bucket of this many tokens; with fewer than 5 nothing is ever tried again.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        Self(Arc::new(Bucket { capacity, tokens: AtomicU32::new(capacity) }))
    }

    /// Most tokens that it holds.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.0.capacity
    }

    /// Tokens that are left now.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.0.tokens.load(Ordering::Relaxed)
    }

    /// Pays for a retry after this error; `None` when there is too little left.
    pub(super) fn pay(&self, error: &Error) -> Option<Payment> {
        let cost = match error.kind() {
            ErrorKind::Timeout(_) | ErrorKind::Network => RETRY_AFTER_SILENCE,
            _ => RETRY,
        };
        let take = |tokens: u32| tokens.checked_sub(cost);
        self.0.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Payment { budget: self.clone(), cost, sent: false })
    }

    /// Notes a call that went well at once.
    pub(super) fn earn(&self) {
        self.put(EARNED);
    }

    fn put(&self, tokens: u32) {
        let add = |held: u32| Some(held.saturating_add(tokens).min(self.0.capacity));
        let _ = self.0.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// What was paid for one retry. It goes back to the bucket when the retry is dropped before it was sent.
#[derive(Debug)]
pub(super) struct Payment {
    budget: RetryBudget,
    cost: u32,
    sent: bool,
}

impl Payment {
    /// The retry goes out: from here on only success gives the cost back.
    pub(super) fn sent(&mut self) {
        self.sent = true;
    }

    /// The retry succeeded.
    pub(super) fn refund(mut self) {
        self.sent = false;
    }
}

impl Drop for Payment {
    fn drop(&mut self) {
        if !self.sent {
            self.budget.put(self.cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use polysight_core::TimeoutPhase;

    use super::*;

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "")
    }

    fn lose(budget: &RetryBudget, kind: ErrorKind) -> bool {
        budget.pay(&error(kind)).map(|mut payment| payment.sent()).is_some()
    }

    #[test]
    fn a_retry_after_silence_costs_double() {
        let budget = RetryBudget::new(30);
        assert!(lose(&budget, ErrorKind::Server));
        assert_eq!(budget.available(), 25);
        assert!(lose(&budget, ErrorKind::Network));
        assert_eq!(budget.available(), 15);
        assert!(lose(&budget, ErrorKind::Timeout(TimeoutPhase::Connect)));
        assert_eq!(budget.available(), 5);
        assert!(!lose(&budget, ErrorKind::Network));
        assert!(lose(&budget, ErrorKind::RateLimited));
        assert_eq!(budget.available(), 0);
    }

    #[test]
    fn what_was_not_sent_or_went_well_is_given_back() {
        let budget = RetryBudget::new(10);
        drop(budget.pay(&error(ErrorKind::Server)));
        assert_eq!(budget.available(), 10);
        let mut payment = budget.pay(&error(ErrorKind::Server)).unwrap();
        payment.sent();
        assert_eq!(budget.available(), 5);
        payment.refund();
        assert_eq!(budget.available(), 10);
    }

    #[test]
    fn never_holds_more_than_its_capacity() {
        let budget = RetryBudget::new(7);
        budget.earn();
        assert_eq!(budget.available(), 7);
        assert!(lose(&budget.clone(), ErrorKind::Server));
        budget.earn();
        assert_eq!(budget.available(), 3);
    }
}
