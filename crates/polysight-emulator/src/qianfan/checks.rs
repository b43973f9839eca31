//! What Qianfan checks, in the order in which it is checked here.
//!
//! The vendor documents neither the order nor most of the words; codes and limits are its own.

use serde_json::Number;

use super::refusal::Refusal;
use super::{media_checks, option_checks, tokens};
use crate::chat::message::{Message, Part, Role};
use crate::json::Json;
use crate::keys::Verdict;
use crate::models::{ErnieLimits, is_retired};

/// All that a check may look at.
#[derive(Debug)]
pub(crate) struct Inquiry<'r> {
    pub(crate) credential: Verdict,
    pub(crate) app: Option<&'r str>,
    pub(crate) json: Option<&'r Json>,
    pub(crate) model: Option<&'static ErnieLimits>,
    /// `None` where `messages` cannot be read as such.
    pub(crate) messages: Option<Vec<Message<'r>>>,
    pub(crate) forbidden: &'r [String],
    pub(crate) crowded: bool,
}

type Check = fn(&Inquiry<'_>) -> Result<(), Refusal>;

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
pub(super) fn check(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    CHECKS.iter().try_for_each(|check| check(inquiry))
}

impl<'r> Inquiry<'r> {
    pub(super) fn field(&self, name: &str) -> Option<&'r Json> {
        self.json?.get(name)
    }

    pub(super) fn number(&self, name: &str) -> Option<Option<&'r Number>> {
        self.field(name).map(Json::number)
    }

    pub(super) fn messages(&self) -> &[Message<'r>] {
        self.messages.as_deref().unwrap_or_default()
    }

    /// Whether the model will think.
    pub(super) fn thinks(&self) -> bool {
        let Some(model) = self.model.filter(|model| model.thinking) else { return false };
        self.field("enable_thinking").and_then(Json::bool).unwrap_or(model.thinks_by_default)
    }
}

fn is_json(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(!matches!(inquiry.json, Some(Json::Object(_))), || Refusal::plain("malformed_json"))
}

fn model_named(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let named = inquiry.field("model").and_then(Json::text).is_some_and(|name| !name.is_empty());
    // The same code comes with another status where the model is named but not known.
    refuse_if(!named, || Refusal { status: 400, ..Refusal::told("invalid_model", "model is empty") })
}

fn authenticated(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    credential(&inquiry.credential).map(|_| ())
}

/// The account behind a credential. Nothing is told apart here: not a missing key, not an expired one.
pub(super) fn credential(verdict: &Verdict) -> Result<&str, Refusal> {
    match verdict {
        Verdict::Accepted { id, .. } => Ok(id),
        _ => Err(Refusal::plain("invalid_iam_token")),
    }
}

/// An application id may be left out, or empty.
fn application(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let sound = inquiry.app.is_none_or(|id| id.is_empty() || id.starts_with("app-"));
    refuse_if(!sound, || Refusal::plain("invalid_appid"))
}

fn balance(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let broke = matches!(inquiry.credential, Verdict::Accepted { broke: true, .. });
    refuse_if(broke, || Refusal::plain("account_overdue"))
}

fn known_model(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let name = inquiry.field("model").and_then(Json::text).unwrap_or_default();
    refuse_if(is_retired(name), || Refusal::plain("model_offline"))?;
    refuse_if(inquiry.model.is_none(), || Refusal::plain("invalid_model"))
}

fn messages_present(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let list = inquiry.field("messages").and_then(Json::list);
    refuse_if(list.is_none_or(|list| list.is_empty()), || Refusal::messages("messages is empty"))
}

fn messages_well_formed(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(inquiry.messages.is_none(), || Refusal::messages("the role of a message is invalid"))?;
    refuse_if(!inquiry.messages().iter().all(says_something), || {
        Refusal::messages("the content of a message is empty")
    })
}

fn says_something(message: &Message<'_>) -> bool {
    match message.role {
        Role::User | Role::System => !message.is_empty(),
        Role::Assistant => !message.is_empty() || !message.calls.is_empty(),
        Role::Tool => true,
    }
}

/// The last word is a user's or a tool's, and more than white space.
fn last_message(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(last) = inquiry.messages().last() else { return Ok(()) };
    let spoken = matches!(last.role, Role::User | Role::Tool);
    refuse_if(!spoken, || Refusal::messages("the role of the last message must be user or tool"))?;
    let blank = last.parts.iter().all(|part| matches!(part, Part::Text(text) if text.trim().is_empty()));
    refuse_if(blank && last.role == Role::User, || {
        Refusal::messages("the content of the last message is empty")
    })
}

fn prompt_length(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let most = inquiry.model.map_or(u64::MAX, |model| model.max_input);
    refuse_if(tokens::prompt(inquiry.messages()).total() > most, || Refusal::plain("tokens_too_long"))
}

fn audit(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let found = |message: &&Message<'_>| {
        message.texts().any(|text| inquiry.forbidden.iter().any(|word| text.contains(word)))
    };
    match inquiry.messages().iter().find(found).map(|message| message.role) {
        None => Ok(()),
        Some(Role::System) => Err(Refusal::plain("system_unsafe")),
        Some(_) => Err(Refusal::plain("user_setting_unsafe")),
    }
}

fn concurrency(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(inquiry.crowded, || Refusal::plain("user_rate_limit_exceeded"))
}

pub(super) fn refuse_if(wrong: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal()) } else { Ok(()) }
}
