//! Why no value came out of a call.

use std::error::Error as StdError;
use std::fmt;

use polysight_core::catalog::Money;
use polysight_core::{ChatResponse, Error, ErrorKind, Partial, Usage};

use crate::SchemaFault;
use crate::json::{Unreadable, Verdict};

/// Why no value came out, with every answer that was given and paid.
///
/// It becomes an [`Error`] by `?`: a failed call its own, any other one of the kind [`ErrorKind::Protocol`] with the text as
/// its partial.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExtractError {
    /// What went wrong in the last turn.
    pub fault: ExtractFault,
    /// Every answer that was given, oldest first; the last one is that of the fault, unless the call itself failed.
    pub responses: Vec<ChatResponse>,
}

/// What was wrong with an answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExtractFault {
    /// The call failed.
    Call(Box<Error>),
    /// The answer was cut at the token limit: raise `max_tokens`, or ask for less.
    Truncated,
    /// The model wrote nothing but blanks or digits, or more than 1 MiB, and was cut off.
    CutOff(Verdict),
    /// There is no JSON that can be read.
    Unreadable(Unreadable),
    /// The JSON does not fit the schema.
    Schema(Vec<SchemaFault>),
}

impl ExtractFault {
    /// What the caller's type says of a value that its schema allows.
    pub(super) fn of_type(error: &serde_path_to_error::Error<serde_json::Error>) -> Self {
        let path = error.path().to_string();
        Self::Schema(vec![SchemaFault { path, problem: error.inner().to_string() }])
    }

    /// Whether asking again with the fault can help.
    pub(super) fn is_repairable(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Schema(_))
    }
}

impl fmt::Display for ExtractFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Truncated => {
                f.write_str("the answer was cut at the token limit: raise max_tokens, or ask for less")
            }
            Self::CutOff(Verdict::Digits) => f.write_str("the model wrote endless digits and was cut off"),
            Self::CutOff(Verdict::TooLong) => f.write_str("the answer was longer than 1 MiB and was cut off"),
            Self::CutOff(_) => f.write_str("the model wrote endless blanks and was cut off"),
            Self::Unreadable(why) => why.fmt(f),
            Self::Schema(faults) => {
                f.write_str("the answer does not fit the schema")?;
                faults.iter().enumerate().try_for_each(|(index, fault)| {
                    write!(f, "{}{fault}", if index == 0 { ": " } else { "; " })
                })
            }
        }
    }
}

impl ExtractError {
    pub(crate) fn new(fault: ExtractFault, responses: Vec<ChatResponse>) -> Self {
        Self { fault, responses }
    }

    /// The text of the last answer.
    #[must_use]
    pub fn text(&self) -> &str {
        self.responses.last().map_or("", |response| &response.text)
    }

    /// Tokens of all turns together; `None` where the vendor did not say them for each.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        super::total_usage(&self.responses)
    }

    /// What all turns cost together; `None` where that of one is unknown, or they have prices in two currencies.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        super::total_cost(&self.responses)
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        match self.responses.len() {
            0 | 1 => Ok(()),
            turns => write!(f, " (after {turns} answers)"),
        }
    }
}

impl StdError for ExtractError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.fault {
            ExtractFault::Call(error) => error.source(),
            _ => None,
        }
    }
}

impl From<ExtractError> for Error {
    fn from(error: ExtractError) -> Self {
        let message = error.to_string();
        match error.fault {
            ExtractFault::Call(error) => *error,
            _ => {
                let Some(last) = error.responses.into_iter().next_back() else {
                    return Self::new(ErrorKind::Protocol, message);
                };
                Self::new(ErrorKind::Protocol, message)
                    .with_provider(last.meta.provider)
                    .with_billed(polysight_core::Billed::Likely)
                    .with_partial(Partial::new(last.text, last.reasoning))
            }
        }
    }
}
