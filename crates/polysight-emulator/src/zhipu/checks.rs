//! What Zhipu checks, in the order in which it is checked here.
//!
//! The vendor does not document the order. It matters where a request is wrong in two ways: the first row that finds
//! something decides the code.

use serde_json::Number;

use super::media_checks;
use super::refusal::Refusal;
use crate::chat::completion::prompt_tokens;
use crate::chat::message::{Message, Part, Role};
use crate::json::{Json, decimals};
use crate::keys::Verdict;
use crate::models::{ModelLimits, Thinking};

/// All that a check may look at.
#[derive(Debug)]
pub(crate) struct Inquiry<'r> {
    pub(crate) credential: Verdict,
    pub(crate) json: Option<&'r Json>,
    pub(crate) model: Option<&'static ModelLimits>,
    /// `None` where `messages` cannot be read as such.
    pub(crate) messages: Option<&'r [Message<'r>]>,
    pub(crate) forbidden: &'r [String],
    /// Whether more requests are in flight, or came within the window, than are allowed.
    pub(crate) crowded: bool,
}

type Check = fn(&Inquiry<'_>) -> Result<(), Refusal>;

/// The checks, first to last.
const CHECKS: &[Check] = &[
    authenticated,
    balance,
    is_json,
    known_model,
    messages_present,
    messages_well_formed,
    tool_messages_have_their_call,
    media_checks::part_types,
    media_checks::counts,
    media_checks::mixing,
    media_checks::pictures,
    media_checks::videos,
    max_tokens,
    temperature,
    top_p,
    stop,
    thinking,
    reasoning_effort,
    tools,
    tool_choice,
    ids,
    prompt_length,
    content_audit,
    concurrency,
];

/// Runs all checks.
pub(crate) fn check(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    CHECKS.iter().try_for_each(|check| check(inquiry))
}

impl<'r> Inquiry<'r> {
    fn field(&self, name: &str) -> Option<&'r Json> {
        self.json?.get(name)
    }

    pub(super) fn messages(&self) -> &'r [Message<'r>] {
        self.messages.unwrap_or_default()
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = Part<'r>> + use<'r> {
        self.messages.unwrap_or_default().iter().flat_map(|message| message.parts.iter().copied())
    }
}

fn authenticated(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    credential(&inquiry.credential)
}

/// Whether a credential is good; needed for requests without a body too.
pub(super) fn credential(verdict: &Verdict) -> Result<(), Refusal> {
    match verdict {
        Verdict::Accepted { .. } => Ok(()),
        Verdict::Missing => Err(Refusal::plain("1001")),
        Verdict::Refused => Err(Refusal::plain("1000")),
        Verdict::Expired => Err(Refusal::plain("1003")),
    }
}

/// An account without money is still served by free models.
fn balance(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let broke = matches!(inquiry.credential, Verdict::Accepted { broke: true, .. });
    let free = inquiry.model.is_some_and(|model| model.free);
    refuse_if(broke && !free, || Refusal::plain("1113"))
}

fn is_json(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(!matches!(inquiry.json, Some(Json::Object(_))), || Refusal::plain("1210"))
}

fn known_model(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    match inquiry.field("model") {
        None => Err(missing("model")),
        Some(Json::Text(_)) if inquiry.model.is_some() => Ok(()),
        Some(Json::Text(_)) => Err(Refusal::plain("1211")),
        Some(_) => Err(invalid("model")),
    }
}

fn messages_present(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(inquiry.field("messages").is_none(), || missing("messages"))
}

/// A list with a user's turn in it, where nobody says nothing.
fn messages_well_formed(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let sound = inquiry.messages.is_some_and(|messages| {
        messages.iter().any(|message| message.role == Role::User) && messages.iter().all(says_something)
    });
    refuse_if(!sound, || invalid("messages"))
}

fn says_something(message: &Message<'_>) -> bool {
    let only_text = || message.parts.iter().all(|part| matches!(part, Part::Text(_)));
    match message.role {
        Role::User => !message.is_empty(),
        Role::System => !message.is_empty() && only_text(),
        Role::Assistant => (!message.is_empty() || !message.calls.is_empty()) && only_text(),
        // A tool may well return nothing.
        Role::Tool => only_text(),
    }
}

/// A tool message must follow the assistant's message with its call, other results in between allowed.
fn tool_messages_have_their_call(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let mut open: &[&str] = &[];
    for message in inquiry.messages() {
        match message.role {
            Role::Assistant => open = &message.calls,
            Role::Tool if message.call_id.is_some_and(|id| open.contains(&id)) => {}
            Role::Tool => return Err(invalid("messages")),
            Role::User | Role::System => open = &[],
        }
    }
    Ok(())
}

fn max_tokens(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("max_tokens") else { return Ok(()) };
    let cap = inquiry.model.map_or(u64::MAX, |model| model.max_output);
    let fits = value.number().and_then(Number::as_u64).is_some_and(|count| (1..=cap).contains(&count));
    refuse_if(!fits, || {
        Refusal::told(
            "1210",
            format!("max_tokens参数非法：限制数值范围[1,{cap}]"),
            format!("max_tokens is invalid: it must be within [1,{cap}]"),
        )
    })
}

fn temperature(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    sampling(inquiry, "temperature", 0.0)
}

fn top_p(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    sampling(inquiry, "top_p", 0.01)
}

/// A number up to 1 with at most two decimals.
fn sampling(inquiry: &Inquiry<'_>, name: &str, least: f64) -> Result<(), Refusal> {
    let Some(value) = inquiry.field(name) else { return Ok(()) };
    let number = value.number().ok_or_else(|| invalid(name))?;
    refuse_if(decimals(number) > 2, || {
        Refusal::told(
            "1210",
            format!("{name} 参数非法：限制小数点[2]位"),
            format!("{name} is invalid: at most 2 decimals"),
        )
    })?;
    let in_range = number.as_f64().is_some_and(|value| (least..=1.0).contains(&value));
    refuse_if(!in_range, || {
        Refusal::told(
            "1210",
            format!("{name} 参数非法：限制数值范围[{least},1]"),
            format!("{name} is invalid: it must be within [{least},1]"),
        )
    })
}

/// A list of up to four strings; a bare string is no list.
fn stop(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("stop") else { return Ok(()) };
    let sound =
        value.list().is_some_and(|words| words.len() <= 4 && words.iter().all(|word| word.text().is_some()));
    refuse_if(!sound, || invalid("stop"))
}

fn thinking(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("thinking") else { return Ok(()) };
    let forced = inquiry.model.is_some_and(|model| model.thinking == Thinking::Forced);
    match value.get("type").and_then(Json::text) {
        Some("enabled") => Ok(()),
        Some("disabled") if !forced => Ok(()),
        Some("disabled") => Err(Refusal::told(
            "1210",
            "thinking 参数非法：该模型不支持关闭思考",
            "thinking is invalid: this model cannot stop thinking",
        )),
        _ => Err(Refusal::plain("1210")),
    }
}

/// Only the models that always think look at it; the others ignore whatever it says.
fn reasoning_effort(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("reasoning_effort") else { return Ok(()) };
    let heeded = inquiry.model.is_some_and(|model| model.thinking == Thinking::Forced);
    let known = matches!(value.text(), Some("low" | "high" | "max"));
    refuse_if(heeded && !known, || {
        Refusal::told(
            "1210",
            "reasoning_effort 参数非法：取值范围 low、high、max",
            "reasoning_effort is invalid: low, high or max",
        )
    })
}

/// Up to 128 tools; of functions the name is checked.
fn tools(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("tools") else { return Ok(()) };
    let vision = inquiry.model.is_some_and(|model| model.pictures > 0);
    let sound = value
        .list()
        .is_some_and(|tools| tools.len() <= 128 && tools.iter().all(|tool| is_sound_tool(tool, vision)));
    refuse_if(!sound, || invalid("tools"))
}

fn is_sound_tool(tool: &Json, functions_only: bool) -> bool {
    match tool.get("type").and_then(Json::text) {
        Some("function") => tool
            .get("function")
            .and_then(|function| function.get("name")?.text())
            .is_some_and(is_function_name),
        Some(_) => !functions_only,
        None => false,
    }
}

fn is_function_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(legal)
}

/// The model alone decides whether to call; `none` is let through because clients send it.
fn tool_choice(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("tool_choice") else { return Ok(()) };
    refuse_if(!matches!(value.text(), Some("auto" | "none")), || {
        Refusal::told(
            "1210",
            "tool_choice 参数非法：仅支持 auto",
            "tool_choice is invalid: only auto is supported",
        )
    })
}

fn ids(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    for (name, longest) in [("request_id", 64), ("user_id", 128)] {
        // A number in place of a string is taken: the vendor's own tests send one.
        let text = inquiry.field(name).and_then(Json::text);
        let fits = text.is_none_or(|text| (6..=longest).contains(&text.chars().count()));
        refuse_if(!fits, || {
            Refusal::told(
                "1214",
                format!("{name} 参数非法：长度限制[6,{longest}]"),
                format!("{name} is invalid: its length must be within [6,{longest}]"),
            )
        })?;
    }
    Ok(())
}

fn prompt_length(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let context = inquiry.model.map_or(u64::MAX, |model| model.context);
    refuse_if(prompt_tokens(inquiry.messages()) > context, || Refusal::plain("1261"))
}

fn content_audit(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let texts = || inquiry.messages().iter().flat_map(Message::texts);
    let unsafe_word = inquiry.forbidden.iter().any(|word| texts().any(|text| text.contains(word)));
    refuse_if(unsafe_word, || Refusal::plain("1301"))
}

fn concurrency(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    refuse_if(inquiry.crowded, || Refusal::plain("1302"))
}

pub(super) fn refuse_if(wrong: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if wrong { Err(refusal()) } else { Ok(()) }
}

fn missing(field: &str) -> Refusal {
    Refusal::told(
        "1213",
        format!("缺少必填参数 {field}。"),
        format!("The required parameter {field} is missing."),
    )
}

pub(super) fn invalid(field: &str) -> Refusal {
    Refusal::told(
        "1214",
        format!("{field} 参数非法。请检查文档。"),
        format!("The parameter {field} is invalid, please check the documentation."),
    )
}
