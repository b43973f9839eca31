//! What several calls took together.

use polysight_core::catalog::Money;
use polysight_core::{Billed, ChatResponse, Error, Usage};

/// Tokens of all answers, and of the call that failed behind them; `None` where those of one are unknown.
pub(crate) fn usage(responses: &[ChatResponse], failed: Option<&Error>) -> Option<Usage> {
    let answers = responses.iter().map(|response| response.usage);
    let failed = failed.filter(|error| may_cost(error)).map(Error::usage);
    answers.chain(failed).reduce(|sum, next| Some(sum? + next?)).unwrap_or(Some(Usage::default()))
}

/// What they cost; `None` where that of one is unknown, for prices in two currencies, and where there is none.
pub(crate) fn cost(responses: &[ChatResponse], failed: Option<&Error>) -> Option<Money> {
    let answers = responses.iter().map(|response| response.cost.clone());
    let failed = failed.filter(|error| may_cost(error)).map(|error| error.cost().cloned());
    answers.chain(failed).reduce(|sum, next| sum?.checked_add(&next?))?
}

/// Likely as soon as the model has answered once, else what the failed call says.
pub(crate) fn billed(responses: &[ChatResponse], failed: Option<&Error>) -> Billed {
    failed.filter(|_| responses.is_empty()).map_or(Billed::Likely, Error::billed)
}

fn may_cost(error: &Error) -> bool {
    error.billed() != Billed::No || error.usage().is_some()
}
