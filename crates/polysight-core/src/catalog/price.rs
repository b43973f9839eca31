//! Prices and quotas.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Usage;

/// A price tier of a model, per million tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Price {
    /// Currency code: `CNY`, `USD`.
    pub currency: String,
    /// Price of a million prompt tokens.
    pub input: f64,
    /// Price of a million answer tokens.
    pub output: f64,
    /// Price of a million prompt tokens that the vendor had cached; `None`: as [`input`](Self::input).
    #[serde(default)]
    pub cached_input: Option<f64>,
    /// Price of a million prompt tokens that the vendor had cached because [marks](crate::Part::CacheMark) asked for it;
    /// `None`: as [`cached_input`](Self::cached_input). It and the next are filled in by
    /// [`cache_mark_rates`](super::ModelCard::cache_mark_rates).
    #[serde(default)]
    pub marked_cached_input: Option<f64>,
    /// Price of a million prompt tokens that the vendor keeps in its cache because marks ask for it; `None`: as
    /// [`input`](Self::input).
    #[serde(default)]
    pub cache_creation_input: Option<f64>,
    /// Price of a million answer tokens of a call that reasons; `None`: as [`output`](Self::output).
    #[serde(default)]
    pub thinking_output: Option<f64>,
    /// The tier holds for prompts of more than this many tokens, and then for *all* tokens of the call.
    #[serde(default)]
    pub above_input_tokens: u64,
}

/// What tokens cost that [marks](crate::Part::CacheMark) put into a prompt cache, in parts of the price of other prompt tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CacheMarkRates {
    /// Of tokens that the cache keeps from now on: 1.25 is a quarter more.
    pub creation: f64,
    /// Of tokens that the cache had: 0.1 is a tenth.
    pub cached: f64,
}

impl CacheMarkRates {
    /// Rates of tokens that the cache keeps from now on, and of those that it had.
    #[must_use]
    pub fn new(creation: f64, cached: f64) -> Self {
        Self { creation, cached }
    }
}

/// Published quotas, per account and model.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Quotas {
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute.
    pub tokens_per_minute: Option<u64>,
    /// Requests in flight.
    pub concurrency: Option<u64>,
}

impl Quotas {
    /// No quota is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the requests a minute.
    #[must_use]
    pub fn with_requests_per_minute(mut self, requests: u64) -> Self {
        self.requests_per_minute = Some(requests);
        self
    }

    /// Sets the tokens a minute.
    #[must_use]
    pub fn with_tokens_per_minute(mut self, tokens: u64) -> Self {
        self.tokens_per_minute = Some(tokens);
        self
    }

    /// Sets the requests in flight.
    #[must_use]
    pub fn with_concurrency(mut self, requests: u64) -> Self {
        self.concurrency = Some(requests);
        self
    }
}

/// Billionths of a unit that a money amount is counted in where amounts are added up.
const NANOS: f64 = 1e9;
/// Largest amount that can be counted exactly: 9,000,000 units. The billionths of it are whole numbers in an `f64` too.
const MAX_NANOS: i64 = 9_000_000_000_000_000;

/// An amount of money; an estimate, not an invoice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Money {
    /// Currency code.
    pub currency: String,
    /// Amount in units of the currency.
    pub amount: f64,
}

impl Money {
    /// An amount of a currency.
    #[must_use]
    pub fn new(currency: impl Into<String>, amount: f64) -> Self {
        Self { currency: currency.into(), amount }
    }

    /// A whole number of billionths of a currency's unit.
    #[must_use]
    pub fn from_nanos(currency: impl Into<String>, nanos: i64) -> Self {
        Self::new(currency, nanos as f64 / NANOS)
    }

    /// The amount in billionths of the unit, rounded to the nearest; `None` for what is no number, and beyond 9,000,000 units
    /// to either side.
    #[must_use]
    pub fn nanos(&self) -> Option<i64> {
        let nanos = (self.amount * NANOS).round();
        (nanos.abs() <= MAX_NANOS as f64).then_some(nanos as i64)
    }

    /// Both amounts together, exact to a billionth of the unit; `None` for amounts of two currencies, and where
    /// [`nanos`](Self::nanos) of one or of the sum is unknown.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        let sum = self.nanos()?.checked_add(other.nanos()?)?;
        (sum.abs() <= MAX_NANOS).then(|| Self::from_nanos(&self.currency, sum))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6} {}", self.amount, self.currency)
    }
}

impl Price {
    /// A price in a currency, per million prompt and answer tokens, for prompts of any length.
    #[must_use]
    pub fn new(currency: impl Into<String>, input: f64, output: f64) -> Self {
        Self {
            currency: currency.into(),
            input,
            output,
            cached_input: None,
            marked_cached_input: None,
            cache_creation_input: None,
            thinking_output: None,
            above_input_tokens: 0,
        }
    }

    /// Sets the price of a million prompt tokens that the vendor had cached.
    #[must_use]
    pub fn with_cached_input(mut self, price: f64) -> Self {
        self.cached_input = Some(price);
        self
    }

    /// Sets the prices of a million prompt tokens that marks put into the vendor's cache, where they are not set.
    #[must_use]
    pub fn with_cache_mark_rates(mut self, rates: CacheMarkRates) -> Self {
        self.cache_creation_input.get_or_insert(self.input * rates.creation);
        self.marked_cached_input.get_or_insert(self.input * rates.cached);
        self
    }

    /// Sets the price of a million answer tokens of a call that reasons.
    #[must_use]
    pub fn with_thinking_output(mut self, price: f64) -> Self {
        self.thinking_output = Some(price);
        self
    }

    /// Makes it the tier for prompts of more than this many tokens.
    #[must_use]
    pub fn with_above_input_tokens(mut self, tokens: u64) -> Self {
        self.above_input_tokens = tokens;
        self
    }

    /// The tier of `prices` that holds for a prompt of this length; the first currency listed wins.
    #[must_use]
    pub fn tier(prices: &[Self], input_tokens: u64) -> Option<&Self> {
        let currency = &prices.first()?.currency;
        prices
            .iter()
            .filter(|price| price.currency == *currency)
            .filter(|price| price.above_input_tokens == 0 || input_tokens > price.above_input_tokens)
            .max_by_key(|price| price.above_input_tokens)
    }

    /// The lowest and the highest price of prompt tokens, in a request with or without marks for a cache.
    pub(crate) fn input_bounds(&self, has_marks: bool) -> (f64, f64) {
        let marked = [self.marked_cached_input, self.cache_creation_input].into_iter().flatten();
        let prices = || self.cached_input.into_iter().chain(marked.clone().filter(|_| has_marks));
        (prices().fold(self.input, f64::min), prices().fold(self.input, f64::max))
    }

    pub(crate) fn highest_output(&self) -> f64 {
        self.thinking_output.map_or(self.output, |thinking| thinking.max(self.output))
    }

    /// What a call costs, from its usage.
    #[must_use]
    pub fn of(prices: &[Self], usage: &Usage) -> Option<Money> {
        let tier = Self::tier(prices, usage.input_tokens)?;
        let details = &usage.details;
        let cached = details.cached.unwrap_or(0).min(usage.input_tokens);
        let marked = details.cached_by_mark.unwrap_or(0).min(cached);
        let created = details.cache_creation.unwrap_or(0).min(usage.input_tokens - cached);
        let fresh = usage.input_tokens - cached - created;
        let has_reasoned = details.reasoning.is_some_and(|tokens| tokens > 0);
        let output = tier.thinking_output.filter(|_| has_reasoned).unwrap_or(tier.output);
        let cached_input = tier.cached_input.unwrap_or(tier.input);
        let amount = fresh as f64 * tier.input
            + (cached - marked) as f64 * cached_input
            + marked as f64 * tier.marked_cached_input.unwrap_or(cached_input)
            + created as f64 * tier.cache_creation_input.unwrap_or(tier.input)
            + usage.output_tokens as f64 * output;
        Some(Money::new(&tier.currency, amount / 1e6))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Vec<Price> {
        vec![Price::new("CNY", 1.0, 3.0), Price::new("CNY", 2.0, 6.0).with_above_input_tokens(32_000)]
    }

    #[test]
    fn a_tier_holds_for_the_whole_call_and_is_not_sliced() {
        let usage = Usage::new(40_000, 1_000, 41_000);
        assert_eq!(Price::of(&prices(), &usage).unwrap().amount, (80_000.0 + 6_000.0) / 1e6);
        let usage = Usage::new(32_000, 1_000, 33_000);
        assert_eq!(Price::of(&prices(), &usage).unwrap().amount, (32_000.0 + 3_000.0) / 1e6);
    }

    #[test]
    fn amounts_add_up_to_a_billionth_and_never_across_currencies() {
        let tenth = Money::new("CNY", 0.1);
        let sum = (0..9).try_fold(tenth.clone(), |sum, _| sum.checked_add(&tenth)).unwrap();
        assert_eq!((sum.amount, sum.nanos()), (1.0, Some(1_000_000_000)));
        assert_eq!(tenth.checked_add(&Money::new("USD", 0.1)), None);
        let most = Money::new("CNY", 9e6);
        assert_eq!(most.checked_add(&Money::from_nanos("CNY", 1)), None);
        for bad in [f64::NAN, f64::INFINITY, -1e300, 9.1e6] {
            assert_eq!(Money::new("CNY", bad).nanos(), None, "{bad}");
        }
    }

    #[test]
    fn no_price_is_no_cost_rather_than_zero() {
        assert_eq!(Price::of(&[], &Usage::new(1, 1, 2)), None);
    }

    #[test]
    fn tokens_of_a_cache_and_of_reasoning_have_prices_of_their_own() {
        let price = Price::new("CNY", 10.0, 2.0)
            .with_cached_input(1.0)
            .with_cache_mark_rates(CacheMarkRates::new(1.25, 0.05))
            .with_thinking_output(8.0);
        let cost =
            |usage: &Usage| (Price::of(std::slice::from_ref(&price), usage).unwrap().amount * 1e6).round();
        let mut usage = Usage::new(1_000, 100, 1_100);
        assert_eq!(cost(&usage), 10_000.0 + 200.0);
        (usage.details.cached, usage.details.cache_creation) = (Some(600), Some(300));
        assert_eq!(cost(&usage), 1_000.0 + 600.0 + 3_750.0 + 200.0);
        usage.details.cached_by_mark = Some(400);
        assert_eq!(cost(&usage), 1_000.0 + 200.0 + 200.0 + 3_750.0 + 200.0);
        usage.details.cached_by_mark = None;
        usage.details.reasoning = Some(1);
        assert_eq!(cost(&usage), 1_000.0 + 600.0 + 3_750.0 + 800.0);
        usage.details.cached = Some(5_000);
        assert_eq!(cost(&usage), 1_000.0 + 800.0, "no more than there are");
    }
}
