//! JSON of what `ask --json` prints: one object a role.

use polysight::catalog::Money;
use polysight::tasks::Extracted;
use polysight::{Attempt, Billed, ChatResponse, Error, Rung, Usage, Violation};
use serde::Serialize;
use serde_json::Value;

use super::ask::{Answer, Reply};

#[derive(Serialize)]
struct OfRole<'a, T> {
    role: &'a str,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct OfValue<'a> {
    provider: Option<&'a str>,
    model: Option<&'a str>,
    value: &'a Value,
    rung: Rung,
    repairs: Vec<String>,
    repair_turns: usize,
    usage: Option<Usage>,
    cost: Option<Money>,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: OfError<'a>,
}

#[derive(Serialize)]
struct OfError<'a> {
    kind: &'a str,
    message: String,
    provider: Option<&'a str>,
    status: Option<u16>,
    code: Option<&'a str>,
    request_id: Option<&'a str>,
    retryable: bool,
    billed: Billed,
    violations: &'a [Violation],
    attempts: &'a [Attempt],
    partial: Option<&'a str>,
}

/// One line for a role's answer or error.
pub(super) fn reply(role: &str, reply: &Reply) -> Result<String, std::io::Error> {
    Ok(match &reply.outcome {
        Ok(Answer::Text(response)) => {
            serde_json::to_string(&OfRole::<&ChatResponse> { role, rest: response })?
        }
        Ok(Answer::Value(extracted)) => serde_json::to_string(&OfRole { role, rest: of_value(extracted) })?,
        Err(error) => serde_json::to_string(&OfRole { role, rest: Failed { error: of_error(error) } })?,
    })
}

/// A value over several lines.
pub(super) fn pretty(value: &Value) -> Result<String, std::io::Error> {
    Ok(serde_json::to_string_pretty(value)?)
}

fn of_value(extracted: &Extracted<Value>) -> OfValue<'_> {
    let last = extracted.responses.last();
    OfValue {
        provider: last.map(|response| response.provider.as_str()),
        model: last.map(|response| response.model.as_str()),
        value: &extracted.value,
        rung: extracted.rung,
        repairs: extracted.repairs.iter().map(ToString::to_string).collect(),
        repair_turns: extracted.repair_turns(),
        usage: extracted.usage(),
        cost: extracted.cost(),
    }
}

fn of_error(error: &Error) -> OfError<'_> {
    OfError {
        kind: error.kind().name(),
        message: error.to_string(),
        provider: error.provider(),
        status: error.status(),
        code: error.code(),
        request_id: error.request_id(),
        retryable: error.is_retryable(),
        billed: error.billed(),
        violations: error.violations(),
        attempts: error.attempts(),
        partial: error.partial().map(|partial| partial.text.as_str()),
    }
}
