//! What Qianfan checks, in the order in which it is checked here.
//!
//! The vendor documents neither the order nor most of the words; codes and limits are its own.

use super::error_body::messages;
use super::parsed_request::Request;
use super::{media_checks, option_checks};
use crate::auth::Authentication;
use crate::chat::message::{Message, Part, Role};
use crate::json::Json;
use crate::models::is_retired;
use crate::refusal::{Refusal, refuse_if};
use crate::tokens::ernie;

type Check = fn(&Request<'_>) -> Result<(), Refusal>;

/// The checks, first to last.
const CHECKS: &[Check] = &[
    is_json,
    model_named,
    authenticated,
    application,
    balance,
    known_model,
    messages_present,
    messages_well_formed,
    last_message,
    media_checks::kinds,
    media_checks::counts,
    media_checks::each,
    option_checks::sampling,
    option_checks::lengths,
    option_checks::seed,
    option_checks::stop,
    option_checks::labels,
    option_checks::thinking,
    option_checks::output_form,
    option_checks::tools,
    option_checks::web_search,
    prompt_length,
    audit,
    concurrency,
];

/// Runs all checks.
pub(super) fn check(request: &Request<'_>) -> Result<(), Refusal> {
    CHECKS.iter().try_for_each(|check| check(request))
}

fn is_json(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(!request.is_object(), || Refusal::plain("malformed_json"))
}

fn model_named(request: &Request<'_>) -> Result<(), Refusal> {
    // The same code comes with another status where the model is named but not known.
    refuse_if(request.model_name().is_none(), || {
        Refusal::with_message("invalid_model", "model is empty").with_status(400)
    })
}

fn authenticated(request: &Request<'_>) -> Result<(), Refusal> {
    credential(&request.authentication).map(|_| ())
}

/// The account behind a credential. A missing, a wrong and an expired key get the same error.
pub(super) fn credential(authentication: &Authentication) -> Result<&str, Refusal> {
    match authentication {
        Authentication::Accepted { id, .. } => Ok(id),
        _ => Err(Refusal::plain("invalid_iam_token")),
    }
}

/// An application id may be left out, or empty.
fn application(request: &Request<'_>) -> Result<(), Refusal> {
    let sound = request.extra.is_none_or(|id| id.is_empty() || id.starts_with("app-"));
    refuse_if(!sound, || Refusal::plain("invalid_appid"))
}

fn balance(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.without_balance(), || Refusal::plain("account_overdue"))
}

fn known_model(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.model_name().is_some_and(is_retired), || Refusal::plain("model_offline"))?;
    refuse_if(request.model.is_none(), || Refusal::plain("invalid_model"))
}

fn messages_present(request: &Request<'_>) -> Result<(), Refusal> {
    let list = request.raw_messages.and_then(Json::list);
    refuse_if(list.is_none_or(|list| list.is_empty()), || messages("messages is empty"))
}

fn messages_well_formed(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.messages.is_none(), || messages("the role of a message is invalid"))?;
    refuse_if(!request.messages().iter().all(Message::says_something), || {
        messages("the content of a message is empty")
    })
}

/// The last word is a user's or a tool's, and more than white space.
fn last_message(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(last) = request.messages().last() else { return Ok(()) };
    let spoken = matches!(last.role, Role::User | Role::Tool);
    refuse_if(!spoken, || messages("the role of the last message must be user or tool"))?;
    let blank = last.parts.iter().all(|part| matches!(part, Part::Text(text) if text.trim().is_empty()));
    refuse_if(blank && last.role == Role::User, || messages("the content of the last message is empty"))
}

fn prompt_length(request: &Request<'_>) -> Result<(), Refusal> {
    let most = request.model.map_or(u64::MAX, |model| model.max_input);
    refuse_if(ernie::prompt(request.messages()).total() > most, || Refusal::plain("tokens_too_long"))
}

fn audit(request: &Request<'_>) -> Result<(), Refusal> {
    match request.forbidden_in() {
        None => Ok(()),
        Some(Role::System) => Err(Refusal::plain("system_unsafe")),
        Some(_) => Err(Refusal::plain("user_setting_unsafe")),
    }
}

fn concurrency(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.over_limit, || Refusal::plain("user_rate_limit_exceeded"))
}
