//! What a call used, and what the account has left.

use std::ops::Add;

use serde::{Deserialize, Serialize};

/// Tokens that a call used, as the vendor counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt, media included.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
    /// Both together, as the vendor adds them up.
    pub total_tokens: u64,
    /// What they are made of, where the vendor tells.
    pub details: TokenDetails,
}

impl Usage {
    /// Counts of prompt and answer.
    #[must_use]
    pub fn new(input_tokens: u64, output_tokens: u64, total_tokens: u64) -> Self {
        Self { input_tokens, output_tokens, total_tokens, details: TokenDetails::default() }
    }
}

impl Add for Usage {
    type Output = Self;

    /// Both together; a detail is known where both tell it.
    fn add(self, other: Self) -> Self {
        let (mine, others) = (self.details, other.details);
        let both = |one: Option<u64>, two: Option<u64>| Some(one?.saturating_add(two?));
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            total_tokens: self.total_tokens.saturating_add(other.total_tokens),
            details: TokenDetails {
                cached: both(mine.cached, others.cached),
                cached_by_mark: both(mine.cached_by_mark, others.cached_by_mark),
                cache_creation: both(mine.cache_creation, others.cache_creation),
                text: both(mine.text, others.text),
                image: both(mine.image, others.image),
                video: both(mine.video, others.video),
                reasoning: both(mine.reasoning, others.reasoning),
            },
        }
    }
}

/// What the tokens of a call are made of; `None` where the vendor does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TokenDetails {
    /// Prompt tokens served from the vendor's cache.
    pub cached: Option<u64>,
    /// Those of them that [marks](crate::Part::CacheMark) had put there; priced apart.
    pub cached_by_mark: Option<u64>,
    /// Prompt tokens that the vendor put into its cache because the request asked for it.
    pub cache_creation: Option<u64>,
    /// Prompt tokens of text.
    pub text: Option<u64>,
    /// Prompt tokens of pictures.
    pub image: Option<u64>,
    /// Prompt tokens of videos.
    pub video: Option<u64>,
    /// Answer tokens spent on reasoning.
    pub reasoning: Option<u64>,
}

/// What the vendor's headers say about the account's limits; `None` where they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RateLimits {
    /// Requests allowed in the present window.
    pub limit_requests: Option<u64>,
    /// Requests left in it.
    pub remaining_requests: Option<u64>,
    /// Tokens allowed in the present window.
    pub limit_tokens: Option<u64>,
    /// Tokens left in it.
    pub remaining_tokens: Option<u64>,
    /// Prompt tokens allowed in the present window, where the vendor counts them apart.
    pub limit_input_tokens: Option<u64>,
    /// Prompt tokens left in it.
    pub remaining_input_tokens: Option<u64>,
    /// Answer tokens allowed in the present window, where the vendor counts them apart.
    pub limit_output_tokens: Option<u64>,
    /// Answer tokens left in it.
    pub remaining_output_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_of_a_sum_is_known_where_both_tell_it() {
        let mut one = Usage::new(10, 2, 12);
        (one.details.image, one.details.text) = (Some(6), Some(4));
        let mut two = Usage::new(5, 1, 6);
        two.details.text = Some(5);
        let sum = one + two;
        assert_eq!((sum.input_tokens, sum.output_tokens, sum.total_tokens), (15, 3, 18));
        assert_eq!((sum.details.text, sum.details.image), (Some(9), None));
        assert_eq!((Usage::new(u64::MAX, 0, 0) + one).input_tokens, u64::MAX);
    }
}
