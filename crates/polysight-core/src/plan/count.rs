//! A number of tokens, or bounds of it.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// A number of tokens that is known, or bounds of it. The default says nothing: at least 0.
///
/// Equal bounds that are not [`exact`](Self::exact) come from a formula that the one who counts has not promised, such as that
/// of open weights for the same model in the vendor's cloud.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::Count;
///
/// let prompt = Count::exact(28) + Count::between(72, 172);
/// assert_eq!(prompt, Count::between(100, 200));
/// assert_eq!(prompt.to_string(), "100 to 200");
/// assert_eq!(Count::exact(128).to_string(), "128");
/// assert_eq!(Count::by_formula(128).to_string(), "about 128");
/// assert_eq!(Count::at_least(100).to_string(), "at least 100");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Count {
    /// Fewest tokens.
    pub at_least: u64,
    /// Most tokens; `None`: no bound is known.
    pub at_most: Option<u64>,
    /// Whether the number is the one that will be counted.
    pub exact: bool,
}

impl Count {
    /// This number, as it will be counted.
    #[must_use]
    pub fn exact(tokens: u64) -> Self {
        Self { at_least: tokens, at_most: Some(tokens), exact: true }
    }

    /// This number by a formula that the one who counts has not promised.
    #[must_use]
    pub fn by_formula(tokens: u64) -> Self {
        Self { exact: false, ..Self::exact(tokens) }
    }

    /// A number within these bounds, both of which belong to it; bounds in the wrong order are exchanged.
    #[must_use]
    pub fn between(one: u64, other: u64) -> Self {
        Self { at_least: one.min(other), at_most: Some(one.max(other)), exact: false }
    }

    /// A number without an upper bound.
    #[must_use]
    pub fn at_least(tokens: u64) -> Self {
        Self { at_least: tokens, at_most: None, exact: false }
    }

    /// The one number, exact or by a formula; `None` for bounds.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.at_most.filter(|most| *most == self.at_least)
    }

    /// This number of times as many.
    #[must_use]
    pub fn times(self, factor: u64) -> Self {
        Self {
            at_least: self.at_least.saturating_mul(factor),
            at_most: self.at_most.and_then(|most| most.checked_mul(factor)),
            ..self
        }
    }

    /// Bounds that hold for both.
    #[must_use]
    pub fn covering(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        let at_most = self.at_most.zip(other.at_most).map(|(one, two)| one.max(two));
        Self { at_least: self.at_least.min(other.at_least), at_most, exact: false }
    }

    /// The same with an upper bound of at most this many, where that is not below the lower one.
    pub(super) fn limited(self, most: Option<u64>) -> Self {
        let Some(most) = most.filter(|most| *most >= self.at_least) else { return self };
        Self { at_most: Some(self.at_most.map_or(most, |own| own.min(most))), ..self }
    }
}

/// Bounds are added; the sum is exact where both are. A sum beyond all numbers has no upper bound.
impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let at_least = self.at_least.saturating_add(other.at_least);
        let at_most = self.at_most.zip(other.at_most).and_then(|(one, two)| one.checked_add(two));
        Self { at_least, at_most, exact: self.exact && other.exact && at_most.is_some() }
    }
}

impl Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::exact(0), Self::add)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_most {
            Some(most) if most == self.at_least && self.exact => write!(f, "{most}"),
            Some(most) if most == self.at_least => write!(f, "about {most}"),
            Some(most) => write!(f, "{} to {most}", self.at_least),
            None => write!(f, "at least {}", self.at_least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_exact_and_bounded_where_all_its_parts_are() {
        let exact: Count = [Count::exact(1), Count::exact(2)].into_iter().sum();
        assert_eq!(exact, Count::exact(3));
        assert_eq!(exact + Count::by_formula(4), Count::by_formula(7));
        assert_eq!(exact + Count::between(9, 4), Count::between(7, 12));
        assert_eq!(exact + Count::default(), Count::at_least(3));
        assert_eq!(Count::exact(u64::MAX) + Count::exact(1), Count::at_least(u64::MAX));
        assert_eq!(Vec::<Count>::new().into_iter().sum::<Count>(), Count::exact(0));
    }

    #[test]
    fn covering_bounds_hold_for_both() {
        assert_eq!(Count::exact(5).covering(Count::exact(5)), Count::exact(5));
        assert_eq!(Count::exact(5).covering(Count::between(7, 9)), Count::between(5, 9));
        assert_eq!(Count::exact(5).covering(Count::at_least(1)), Count::at_least(1));
    }

    #[test]
    fn a_limit_lowers_the_upper_bound_alone() {
        assert_eq!(Count::at_least(5).limited(Some(9)), Count::between(5, 9));
        assert_eq!(Count::between(5, 7).limited(Some(9)), Count::between(5, 7));
        assert_eq!(Count::between(5, 12).limited(Some(9)), Count::between(5, 9));
        assert_eq!(Count::exact(5).limited(Some(4)), Count::exact(5));
        assert_eq!(Count::at_least(5).limited(None), Count::at_least(5));
    }
}
