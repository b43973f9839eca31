//! Why no value came out of a call.

use std::error::Error as StdError;
use std::fmt;

use polysight_core::catalog::Money;
use polysight_core::{Billed, ChatResponse, Error, ErrorKind, Partial, RetryAdvice, Usage};

use super::turn::said;
use crate::json::{Unreadable, Verdict};
use crate::{SchemaFault, spent};

/// Why no value came out, with every answer that was given and paid.
///
/// It becomes an [`Error`] by `?`: a failed call its own, an answer that was cut one of the kind [`ErrorKind::Interrupted`],
/// any other one of the kind [`ErrorKind::Protocol`], with the text as its partial and the `ExtractError` as its source.
#[derive(Debug)]
#[non_exhaustive]
pub struct ExtractError {
    /// What went wrong in the last turn.
    pub fault: ExtractFault,
    /// Every answer that was given, oldest first; the last one is that of the fault, unless the call itself failed.
    pub responses: Vec<ChatResponse>,
    /// Name of the function that takes an answer where one is called.
    function: String,
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
        matches!(self, Self::Unreadable(why) if *why != Unreadable::TooLong)
            || matches!(self, Self::Schema(_))
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
    pub(crate) fn new(fault: ExtractFault, responses: Vec<ChatResponse>, function: &str) -> Self {
        Self { fault, responses, function: function.to_owned() }
    }

    /// What the model said last: the arguments where the answer is a call, else the text; of a call that failed what had
    /// arrived.
    #[must_use]
    pub fn text(&self) -> &str {
        if let ExtractFault::Call(error) = &self.fault
            && let Some(partial) = error.partial()
        {
            return &partial.text;
        }
        self.responses.last().map_or("", |response| said(response, &self.function))
    }

    /// Tokens of all turns together, a failed call among them; `None` where the vendor did not say them for each, as of a stream
    /// that was cut off.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        spent::usage(&self.responses, self.failed_call())
    }

    /// What all turns cost together, a failed call among them; `None` where that of one is unknown, or they have prices in two
    /// currencies.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        spent::cost(&self.responses, self.failed_call())
    }

    /// Whether it may cost money: likely as soon as the model has answered once, else what the failed call says.
    #[must_use]
    pub fn billed(&self) -> Billed {
        spent::billed(&self.responses, self.failed_call())
    }

    fn failed_call(&self) -> Option<&Error> {
        match &self.fault {
            ExtractFault::Call(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)?;
        let turns = match self.responses.len() {
            0 => return Ok(()),
            1 => "1 answer".to_owned(),
            turns => format!("{turns} answers"),
        };
        match self.usage() {
            Some(usage) => write!(f, " (after {turns}, {} tokens)", usage.total_tokens),
            None => write!(f, " (after {turns})"),
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
        let (message, billed) = (error.to_string(), error.billed());
        let kind = match error.fault {
            ExtractFault::Call(error) => return error.with_billed(billed),
            ExtractFault::Truncated | ExtractFault::CutOff(_) => ErrorKind::Interrupted,
            _ => ErrorKind::Protocol,
        };
        let last = error.responses.last();
        let mut made = Self::new(kind, message)
            .with_retry(RetryAdvice::Never)
            .with_billed(billed)
            .with_partial(last.and_then(|last| {
                Partial::new(said(last, &error.function).to_owned(), last.reasoning.clone())
            }));
        if let Some(last) = last {
            made = made.with_provider(&last.provider);
            made = last.request_id.iter().fold(made, |made, id| made.with_request_id(id));
        }
        made.with_source(error)
    }
}
