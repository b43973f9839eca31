//! What a budget holds.

use std::collections::BTreeMap;

use polysight_core::catalog::Money;
use polysight_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::period::BudgetPeriod;
use crate::config::require;

/// Largest amount of a budget, in units of its currency.
const MAX_AMOUNT: f64 = 1e6;

/// Currencies of ISO 4217 that a budget or a rate can be in.
const CURRENCIES: &str = "AED ARS AUD BDT BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR ISK JPY KES KRW KZT LKR \
     MAD MMK MOP MXN MYR NGN NOK NPR NZD PEN PHP PKR PLN QAR RON RUB SAR SEK SGD THB TRY TWD UAH USD UYU VND ZAR";

/// What happens with a call whose cost has no upper bound: no price is known, the prompt's tokens are unknown, or the answer
/// has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownCost {
    /// It is refused, with the way out: set `max_tokens`, or give the model's card a price. The default.
    #[default]
    Refuse,
    /// It goes out, and only what it cost in the end is counted: a budget may then be passed.
    Allow,
}

/// How much money calls may cost in a period.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_layers as layers; }
/// use polysight::layers::budget::{BudgetPeriod, BudgetPolicy};
///
/// let policy = BudgetPolicy::new(10.0, "CNY", BudgetPeriod::Day).with_rate("USD", 7.1);
/// assert!(policy.check().is_ok());
/// assert!(BudgetPolicy::new(0.0, "CNY", BudgetPeriod::Day).check().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetPolicy {
    /// How much may be spent in a period, in units of the currency: above 0, at most 1,000,000.
    pub amount: f64,
    /// The currency's code of three capital letters, such as `CNY` or `USD`.
    pub currency: String,
    /// When it begins anew: `minute`, `hour`, `day`, `month` (calendar units in UTC), or `total` for never.
    pub per: BudgetPeriod,
    /// What happens with a call whose cost has no upper bound: `refuse` (default) or `allow`.
    #[serde(default)]
    pub unknown: UnknownCost,
    /// Exchange rates: units of the budget's currency for one of another. Without one a price in another currency is an error,
    /// since rates are never guessed. Default: none.
    #[serde(default)]
    pub rates: BTreeMap<String, f64>,
}

impl BudgetPolicy {
    /// An amount of a currency in a period; calls without an upper bound are refused.
    #[must_use]
    pub fn new(amount: f64, currency: impl Into<String>, per: BudgetPeriod) -> Self {
        let (unknown, rates) = Default::default();
        Self { amount, currency: currency.into(), per, unknown, rates }
    }

    /// Says what happens with calls whose cost has no upper bound.
    #[must_use]
    pub fn with_unknown(mut self, unknown: UnknownCost) -> Self {
        self.unknown = unknown;
        self
    }

    /// Adds an exchange rate: units of the budget's currency for one of this currency.
    #[must_use]
    pub fn with_rate(mut self, currency: impl Into<String>, rate: f64) -> Self {
        self.rates.insert(currency.into(), rate);
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the first field that is wrong, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let fits = self.amount > 0.0 && self.amount <= MAX_AMOUNT && self.nanos() > 0;
        require(fits, "amount", self.amount, "above 0 and at most 1000000")?;
        check_currency("currency", &self.currency)?;
        for (currency, rate) in &self.rates {
            check_currency("rates", currency)?;
            let fits = *rate > 0.0 && *rate <= MAX_AMOUNT;
            require(fits, &format!("rates.{currency}"), rate, "above 0 and at most 1000000")?;
            require(*currency != self.currency, "rates", currency, "of another currency than the budget's")?;
        }
        Ok(())
    }

    /// The amount in billionths of the unit.
    pub(super) fn nanos(&self) -> i64 {
        Money::new("", self.amount).nanos().unwrap_or(0)
    }

    /// An amount in billionths of the budget's currency, rounded up.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a currency without a rate.
    pub(super) fn convert(&self, money: &Money) -> Result<i64> {
        let rate = match self.rates.get(&money.currency) {
            _ if money.currency == self.currency => 1.0,
            Some(rate) => *rate,
            None => return Err(self.no_rate(&money.currency)),
        };
        let nanos = (money.amount * 1e9 * rate).max(0.0);
        // What is a whole number but for the last digits of a float is that number.
        let whole = nanos.round();
        let up = if (nanos - whole).abs() < 1e-3 { whole } else { nanos.ceil() };
        Ok(up.min(MAX_AMOUNT * 1e9) as i64)
    }

    /// Checks that a price's currency can be counted.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names both currencies and the way out.
    pub fn check_price(&self, currency: &str) -> Result<()> {
        self.convert(&Money::new(currency, 0.0)).map(drop)
    }

    fn no_rate(&self, currency: &str) -> Error {
        let own = &self.currency;
        let message = format!(
            "the budget is in {own} and the model's price in {currency}: give the rate as \
             `rates = {{ {currency} = .. }}` ({own} for one {currency}), or make it a budget in {currency}"
        );
        Error::new(ErrorKind::Config, message)
    }
}

fn check_currency(field: &str, currency: &str) -> Result<()> {
    let is_known = CURRENCIES.split_whitespace().any(|known| known == currency);
    let shown: String = currency.chars().take(8).collect();
    require(is_known, field, shown, "a currency's code in capitals, such as CNY or USD")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> BudgetPolicy {
        BudgetPolicy::new(1.0, "CNY", BudgetPeriod::Day)
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        let bad = |change: &dyn Fn(&mut BudgetPolicy)| {
            let mut policy = policy();
            change(&mut policy);
            let error = policy.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            error.message().to_owned()
        };
        for amount in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7, 1e-12] {
            let error = bad(&|policy| policy.amount = amount);
            assert!(error.starts_with("`amount` is ") && error.contains("above 0"), "{error}");
        }
        for currency in ["", "cny", "yuan", "XXX", "CNY USD"] {
            let error = bad(&|policy| currency.clone_into(&mut policy.currency));
            assert!(error.starts_with("`currency` is "), "{error}");
        }
        for (currency, rate) in [("USD", 0.0), ("USD", f64::NAN), ("usd", 7.0), ("CNY", 1.0)] {
            let error = bad(&|policy| {
                policy.rates.insert(currency.to_owned(), rate);
            });
            assert!(error.contains("rates"), "{error}");
        }
        assert!(policy().with_rate("USD", 7.1).check().is_ok());
    }

    #[test]
    fn amounts_are_converted_upwards_and_only_by_a_rate_that_is_given() {
        assert_eq!(policy().convert(&Money::new("CNY", 0.1 + 0.2)).unwrap(), 300_000_000);
        assert_eq!(policy().convert(&Money::new("CNY", 1.2e-9)).unwrap(), 2);
        assert_eq!(policy().with_rate("USD", 7.1).convert(&Money::new("USD", 0.01)).unwrap(), 71_000_000);
        let error = policy().convert(&Money::new("USD", 1.0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("rates = { USD = .. }"), "{error}");
        assert_eq!(policy().convert(&Money::new("CNY", f64::NAN)).unwrap(), 0);
    }
}
