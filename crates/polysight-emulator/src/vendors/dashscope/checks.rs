//! What DashScope checks, in the order in which it is checked here.
//!
//! The vendor documents what is wrong, not in which order it looks; the first row that finds something decides the code.

use serde_json::Number;

use super::error_body::{engine, parameter};
use super::parsed_request::{Dialect, Request};
use super::{media_checks, message_checks, mode_checks};
use crate::auth::Authentication;
use crate::json::Json;
use crate::refusal::{Refusal, refuse_if};

type Check = fn(&Request<'_>) -> Result<(), Refusal>;

/// The checks before quotas, first to last.
const FIRST: &[Check] = &[authenticated, is_json, synchronous, known_model, right_path, balance, concurrency];

/// The checks after quotas.
const THEN: &[Check] = &[
    sampling,
    lengths,
    seed,
    choices,
    log_probabilities,
    stop,
    mode_checks::thinking,
    mode_checks::streaming,
    mode_checks::effort,
    mode_checks::output_form,
    mode_checks::ocr,
    mode_checks::tools,
    mode_checks::tool_choice,
    message_checks::present,
    message_checks::readable,
    message_checks::parts,
    message_checks::last,
    message_checks::json_is_named,
    media_checks::counts,
    media_checks::each,
    audit,
];

/// Who asks, and for what.
pub(super) fn admission(request: &Request<'_>) -> Result<(), Refusal> {
    FIRST.iter().try_for_each(|check| check(request))
}

/// What is asked.
pub(super) fn content(request: &Request<'_>) -> Result<(), Refusal> {
    THEN.iter().try_for_each(|check| check(request))
}

fn authenticated(request: &Request<'_>) -> Result<(), Refusal> {
    credential(&request.authentication).map(|_| ())
}

/// The account behind a credential.
pub(super) fn credential(authentication: &Authentication) -> Result<&str, Refusal> {
    match authentication {
        Authentication::Accepted { id, .. } => Ok(id),
        Authentication::Missing => Err(Refusal::with_message("InvalidApiKey", "No API-key provided.")),
        Authentication::Refused | Authentication::Expired => Err(Refusal::plain("InvalidApiKey")),
    }
}

fn is_json(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(!request.is_object(), || match request.extra.dialect {
        Dialect::Native => Refusal::plain("BadRequest.IllegalInput"),
        Dialect::Compatible => {
            Refusal::with_message("invalid_request_error", "The request body is not valid JSON.")
        }
    })
}

fn synchronous(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.extra.asynchronous, || {
        Refusal::with_message("AccessDenied", "current user api does not support asynchronous calls.")
    })
}

fn known_model(request: &Request<'_>) -> Result<(), Refusal> {
    match request.model_name() {
        None if request.extra.dialect == Dialect::Native => Err(Refusal::plain("BadRequest.EmptyModel")),
        None => Err(Refusal::with_message("invalid_request_error", "you must provide a model parameter")),
        Some(_) if request.model.is_some() => Ok(()),
        Some(name) => Err(Refusal::with_message(
            "ModelNotFound",
            format!("The model `{name}` does not exist or you do not have access to it."),
        )),
    }
}

/// Every model is bound to one native path.
fn right_path(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.extra.text_path, || parameter("url error, please check url!"))
}

fn balance(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.without_balance(), || Refusal::plain("Arrearage"))
}

fn concurrency(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.over_limit, || Refusal::plain("Throttling.RateQuota"))
}

/// Parameters that are numbers: what fits, and what is said of the rest. A `top_k` over 100 only switches it off.
type Range = (&'static str, fn(f64) -> bool, &'static str);
const RANGES: &[Range] = &[
    ("temperature", |value| (0.0..2.0).contains(&value), "Temperature should be in [0.0, 2.0)"),
    ("top_p", |value| value > 0.0 && value <= 1.0, "Range of top_p should be (0.0, 1.0]"),
    ("top_k", |value| value >= 0.0 && value.fract() == 0.0, "Parameter top_k be greater than or equal to 0"),
    ("presence_penalty", |value| (-2.0..=2.0).contains(&value), "Presence_penalty should be in [-2.0, 2.0]"),
    ("repetition_penalty", |value| value > 0.0, "Repetition_penalty should be greater than 0.0"),
];

fn sampling(request: &Request<'_>) -> Result<(), Refusal> {
    RANGES
        .iter()
        .try_for_each(|(name, fits, message)| refuse_if(!request.number_fits(name, fits), || engine(message)))
}

fn lengths(request: &Request<'_>) -> Result<(), Refusal> {
    let most = request.model.map_or(u64::MAX, |model| model.max_output);
    whole(request, "max_tokens", 1, most)?;
    // Older models do not look at it.
    let heeded = request.model.is_some_and(|model| model.completion_limit);
    if heeded { whole(request, "max_completion_tokens", 1, u64::MAX) } else { Ok(()) }
}

fn seed(request: &Request<'_>) -> Result<(), Refusal> {
    let (code, most) = match request.extra.dialect {
        Dialect::Compatible => ("invalid_value", (1 << 31) - 1),
        Dialect::Native => ("InvalidParameter", (1 << 63) - 1),
    };
    refuse_if(!request.whole_fits("seed", &(0..=most)), || {
        Refusal::with_message(code, format!("Range of seed should be [0, {most}]"))
    })
}

/// Vision models give one choice.
fn choices(request: &Request<'_>) -> Result<(), Refusal> {
    whole(request, "n", 1, 4)?;
    refuse_if(!request.whole_fits("n", &(1..=1)), || engine("n should be 1 for this model"))
}

fn log_probabilities(request: &Request<'_>) -> Result<(), Refusal> {
    whole(request, "top_logprobs", 0, 5)
}

fn whole(request: &Request<'_>, name: &str, least: u64, most: u64) -> Result<(), Refusal> {
    refuse_if(!request.whole_fits(name, &(least..=most)), || match most {
        u64::MAX => engine(format!("{name} should be greater than or equal to {least}")),
        _ => engine(format!("Range of {name} should be [{least}, {most}]")),
    })
}

/// A string, strings, token ids or lists of them, and never two kinds.
fn stop(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("stop") else { return Ok(()) };
    let all = |fits: fn(&Json) -> bool| value.list().is_some_and(|list| list.iter().all(fits));
    let is_id = |json: &Json| json.number().is_some_and(Number::is_u64);
    let is_ids = |json: &Json| json.list().is_some_and(|ids| ids.iter().all(|id| id.number().is_some()));
    let sound = value.text().is_some() || all(|word| word.text().is_some()) || all(is_id) || all(is_ids);
    refuse_if(!sound, || engine("stop should be a string, strings, token ids or lists of token ids"))
}

fn audit(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.forbidden_in().is_some(), || Refusal::plain("DataInspectionFailed"))
}
