//! What DashScope checks, in the order in which it is checked here.
//!
//! The vendor documents what is wrong, not in which order it looks; the first row that finds something decides the code.

use serde_json::Number;

use super::inquiry::Inquiry;
use super::refusal::{Dialect, Refusal};
use super::{media_checks, message_checks, mode_checks};
use crate::json::Json;
use crate::keys::Verdict;

pub(super) type Check = fn(&Inquiry<'_>) -> Result<(), Refusal>;

/// The checks before quotas, first to last.
const FIRST: &[Check] = &[authenticated, is_json, synchronous, known_model, right_path, balance, concurrency];

/// The checks after quotas.
const THEN: &[Check] = &[
    temperature,
    top_p,
    top_k,
    penalties,
    lengths,
    seed,
    choices,
    log_probabilities,
    stop,
    mode_checks::thinking,
    mode_checks::streaming,
    mode_checks::effort,
    mode_checks::output_form,
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
pub(super) fn admission(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    FIRST.iter().try_for_each(|check| check(inquiry))
}

/// What is asked.
pub(super) fn content(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    THEN.iter().try_for_each(|check| check(inquiry))
}

fn authenticated(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    credential(&inquiry.credential).map(|_| ())
}

/// The account behind a credential.
pub(super) fn credential(verdict: &Verdict) -> Result<&str, Refusal> {
    match verdict {
        Verdict::Accepted { id, .. } => Ok(id),
        Verdict::Missing => Err(Refusal::told("InvalidApiKey", "No API-key provided.")),
        Verdict::Refused | Verdict::Expired => Err(Refusal::plain("InvalidApiKey")),
    }
}

fn is_json(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let sound = matches!(inquiry.json, Some(Json::Object(_)));
    refuse_if(!sound, || match inquiry.dialect {
        Dialect::Native => Refusal::plain("BadRequest.IllegalInput"),
        Dialect::Compatible => Refusal::told("invalid_request_error", "The request body is not valid JSON."),
    })
}

fn synchronous(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(inquiry.asynchronous, || {
        Refusal::told("AccessDenied", "current user api does not support asynchronous calls.")
    })
}

fn known_model(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    match inquiry.json.and_then(|json| json.get("model")?.text()).filter(|name| !name.is_empty()) {
        None if inquiry.dialect == Dialect::Native => Err(Refusal::plain("BadRequest.EmptyModel")),
        None => Err(Refusal::told("invalid_request_error", "you must provide a model parameter")),
        Some(_) if inquiry.model.is_some() => Ok(()),
        Some(name) => Err(Refusal::told(
            "ModelNotFound",
            format!("The model `{name}` does not exist or you do not have access to it."),
        )),
    }
}

/// Every model is bound to one native path.
fn right_path(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(inquiry.text_path, || Refusal::parameter("url error, please check url!"))
}

fn balance(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let broke = matches!(inquiry.credential, Verdict::Accepted { broke: true, .. });
    refuse_if(broke, || Refusal::plain("Arrearage"))
}

fn concurrency(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(inquiry.crowded, || Refusal::plain("Throttling.RateQuota"))
}

/// A number for which `fits` holds, or nothing at all.
fn number(
    inquiry: &Inquiry<'_>,
    name: &str,
    fits: impl Fn(f64) -> bool,
    message: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    let Some(value) = inquiry.field(name) else { return Ok(()) };
    let sound = value.number().and_then(Number::as_f64).is_some_and(fits);
    refuse_if(!sound, || Refusal::engine(message()))
}

fn temperature(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    number(
        inquiry,
        "temperature",
        |value| (0.0..2.0).contains(&value),
        || "Temperature should be in [0.0, 2.0)".to_owned(),
    )
}

fn top_p(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    number(
        inquiry,
        "top_p",
        |value| value > 0.0 && value <= 1.0,
        || "Range of top_p should be (0.0, 1.0]".to_owned(),
    )
}

/// More than 100 only switches it off.
fn top_k(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    number(
        inquiry,
        "top_k",
        |value| value >= 0.0 && value.fract() == 0.0,
        || "Parameter top_k be greater than or equal to 0".to_owned(),
    )
}

fn penalties(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    number(
        inquiry,
        "presence_penalty",
        |value| (-2.0..=2.0).contains(&value),
        || "Presence_penalty should be in [-2.0, 2.0]".to_owned(),
    )?;
    number(
        inquiry,
        "repetition_penalty",
        |value| value > 0.0,
        || "Repetition_penalty should be greater than 0.0".to_owned(),
    )
}

fn lengths(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let most = inquiry.model.map_or(u64::MAX, |model| model.max_output);
    whole(inquiry, "max_tokens", 1, most)?;
    // Older models do not look at it.
    let heeded = inquiry.model.is_some_and(|model| model.completion_limit);
    if heeded { whole(inquiry, "max_completion_tokens", 1, u64::MAX) } else { Ok(()) }
}

fn seed(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("seed") else { return Ok(()) };
    let (code, most) = match inquiry.dialect {
        Dialect::Compatible => ("invalid_value", (1 << 31) - 1),
        Dialect::Native => ("InvalidParameter", (1 << 63) - 1),
    };
    let fits = value.number().and_then(Number::as_u64).is_some_and(|seed| seed <= most);
    refuse_if(!fits, || Refusal::told(code, format!("Range of seed should be [0, {most}]")))
}

/// Vision models give one choice.
fn choices(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    whole(inquiry, "n", 1, 4)?;
    let several = inquiry.number("n").and_then(Number::as_u64).is_some_and(|count| count > 1);
    refuse_if(several, || Refusal::engine("n should be 1 for this model"))
}

fn log_probabilities(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    whole(inquiry, "top_logprobs", 0, 5)
}

fn whole(inquiry: &Inquiry<'_>, name: &str, least: u64, most: u64) -> Result<(), Refusal> {
    let Some(value) = inquiry.field(name) else { return Ok(()) };
    let fits = value.number().and_then(Number::as_u64).is_some_and(|value| (least..=most).contains(&value));
    refuse_if(!fits, || match most {
        u64::MAX => Refusal::engine(format!("{name} should be greater than or equal to {least}")),
        _ => Refusal::engine(format!("Range of {name} should be [{least}, {most}]")),
    })
}

/// A string, strings, token ids or lists of them, and never two kinds.
fn stop(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("stop") else { return Ok(()) };
    let all = |fits: fn(&Json) -> bool| value.list().is_some_and(|list| list.iter().all(fits));
    let is_id = |json: &Json| json.number().is_some_and(Number::is_u64);
    let is_ids = |json: &Json| json.list().is_some_and(|ids| ids.iter().all(|id| id.number().is_some()));
    let sound = value.text().is_some() || all(|word| word.text().is_some()) || all(is_id) || all(is_ids);
    refuse_if(!sound, || Refusal::engine("stop should be a string, strings, token ids or lists of token ids"))
}

fn audit(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let mut texts = inquiry.messages().iter().flat_map(|message| message.texts());
    let found = texts.any(|text| inquiry.forbidden.iter().any(|word| text.contains(word)));
    refuse_if(found, || Refusal::plain("DataInspectionFailed"))
}

pub(super) fn refuse_if(wrong: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal()) } else { Ok(()) }
}
