//! What Zhipu checks, in the order in which it is checked here.
//!
//! The vendor does not document the order. It matters where a request is wrong in two ways: the first row that finds
//! something decides the code.

use super::error_body::parameter;
use super::media_checks;
use super::parsed_request::Request;
use crate::auth::Authentication;
use crate::chat::message::{Message, Part, Role};
use crate::json::{Json, decimals};
use crate::models::Thinking;
use crate::refusal::{Refusal, refuse_if};
use crate::tokens::zhipu::prompt;
use crate::vendors::parsed_request::function_name;

type Check = fn(&Request<'_>) -> Result<(), Refusal>;

/// The checks, first to last.
const CHECKS: &[Check] = &[
    authenticated,
    balance,
    is_json,
    known_model,
    messages_present,
    messages_well_formed,
    no_empty_text_parts,
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

/// The checks of a question for the number of tokens.
const COUNTED: &[Check] = &[
    authenticated,
    is_json,
    known_model,
    messages_present,
    messages_well_formed,
    media_checks::part_types,
    media_checks::pictures,
    media_checks::videos,
];

/// Runs the checks of a question for the number of tokens.
pub(crate) fn check_counted(request: &Request<'_>) -> Result<(), Refusal> {
    COUNTED.iter().try_for_each(|check| check(request))
}

/// Runs all checks.
pub(crate) fn check(request: &Request<'_>) -> Result<(), Refusal> {
    CHECKS.iter().try_for_each(|check| check(request))
}

fn authenticated(request: &Request<'_>) -> Result<(), Refusal> {
    credential(&request.authentication).map(|_| ())
}

/// The account behind a credential.
pub(super) fn credential(authentication: &Authentication) -> Result<&str, Refusal> {
    match authentication {
        Authentication::Accepted { id, .. } => Ok(id),
        Authentication::Missing => Err(Refusal::plain("1001")),
        Authentication::Refused => Err(Refusal::plain("1000")),
        Authentication::Expired => Err(Refusal::plain("1003")),
    }
}

/// An account without money is still served by free models.
fn balance(request: &Request<'_>) -> Result<(), Refusal> {
    let free = request.model.is_some_and(|model| model.free);
    refuse_if(request.without_balance() && !free, || Refusal::plain("1113"))
}

fn is_json(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(!request.is_object(), || Refusal::plain("1210"))
}

fn known_model(request: &Request<'_>) -> Result<(), Refusal> {
    match request.field("model") {
        None => Err(missing("model")),
        Some(Json::Text(_)) if request.model.is_some() => Ok(()),
        Some(Json::Text(_)) => Err(Refusal::plain("1211")),
        Some(_) => Err(invalid("model")),
    }
}

fn messages_present(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.raw_messages.is_none(), || missing("messages"))
}

/// A list with a user's turn in it, where no message is empty.
fn messages_well_formed(request: &Request<'_>) -> Result<(), Refusal> {
    let sound = request.messages.as_ref().is_some_and(|messages| {
        messages.iter().any(|message| message.role == Role::User) && messages.iter().all(is_sound)
    });
    refuse_if(!sound, || invalid("messages"))
}

/// A text part without text is refused, also beside a picture.
fn no_empty_text_parts(request: &Request<'_>) -> Result<(), Refusal> {
    let is_empty = |part: &Part<'_>| matches!(part, Part::Text(text) if text.is_empty());
    let has_empty = |message: &Message<'_>| message.role == Role::User && message.parts.iter().any(is_empty);
    refuse_if(request.messages().iter().any(has_empty), || Refusal::plain("1210"))
}

/// Only users send more than text.
fn is_sound(message: &Message<'_>) -> bool {
    let only_text = message.parts.iter().all(|part| matches!(part, Part::Text(_)));
    message.says_something() && (only_text || message.role == Role::User)
}

/// A tool message must follow the assistant's message with its call, other results in between allowed.
fn tool_messages_have_their_call(request: &Request<'_>) -> Result<(), Refusal> {
    let mut open: &[&str] = &[];
    for message in request.messages() {
        match message.role {
            Role::Assistant => open = &message.calls,
            Role::Tool if message.call_id.is_some_and(|id| open.contains(&id)) => {}
            Role::Tool => return Err(invalid("messages")),
            Role::User | Role::System => open = &[],
        }
    }
    Ok(())
}

fn max_tokens(request: &Request<'_>) -> Result<(), Refusal> {
    let cap = request.model.map_or(u64::MAX, |model| model.max_output);
    refuse_if(!request.whole_fits("max_tokens", &(1..=cap)), || {
        parameter(
            format!("max_tokens参数非法：限制数值范围[1,{cap}]"),
            format!("max_tokens is invalid: it must be within [1,{cap}]"),
        )
    })
}

fn temperature(request: &Request<'_>) -> Result<(), Refusal> {
    sampling(request, "temperature", 0.0)
}

fn top_p(request: &Request<'_>) -> Result<(), Refusal> {
    sampling(request, "top_p", 0.01)
}

/// A number up to 1 with at most two decimals.
fn sampling(request: &Request<'_>, name: &str, least: f64) -> Result<(), Refusal> {
    let Some(value) = request.field(name) else { return Ok(()) };
    let number = value.number().ok_or_else(|| invalid(name))?;
    refuse_if(decimals(number) > 2, || {
        parameter(
            format!("{name} 参数非法：限制小数点[2]位"),
            format!("{name} is invalid: at most 2 decimals"),
        )
    })?;
    let in_range = number.as_f64().is_some_and(|value| (least..=1.0).contains(&value));
    refuse_if(!in_range, || {
        parameter(
            format!("{name} 参数非法：限制数值范围[{least},1]"),
            format!("{name} is invalid: it must be within [{least},1]"),
        )
    })
}

/// A list of up to four strings; a bare string is no list.
fn stop(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("stop") else { return Ok(()) };
    let sound =
        value.list().is_some_and(|words| words.len() <= 4 && words.iter().all(|word| word.text().is_some()));
    refuse_if(!sound, || invalid("stop"))
}

fn thinking(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("thinking") else { return Ok(()) };
    let forced = request.model.is_some_and(|model| model.thinking == Thinking::Forced);
    match value.get("type").and_then(Json::text) {
        Some("enabled") => Ok(()),
        Some("disabled") if !forced => Ok(()),
        Some("disabled") => Err(parameter(
            "thinking 参数非法：该模型不支持关闭思考",
            "thinking is invalid: this model cannot stop thinking",
        )),
        _ => Err(Refusal::plain("1210")),
    }
}

/// Only the models that always think look at it; the others ignore whatever it says.
fn reasoning_effort(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("reasoning_effort") else { return Ok(()) };
    let heeded = request.model.is_some_and(|model| model.thinking == Thinking::Forced);
    let known = matches!(value.text(), Some("low" | "high" | "max"));
    refuse_if(heeded && !known, || {
        parameter(
            "reasoning_effort 参数非法：取值范围 low、high、max",
            "reasoning_effort is invalid: low, high or max",
        )
    })
}

/// Up to 128 tools; of functions the name is checked.
fn tools(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("tools") else { return Ok(()) };
    let vision = request.model.is_some_and(|model| model.pictures > 0);
    let sound = value
        .list()
        .is_some_and(|tools| tools.len() <= 128 && tools.iter().all(|tool| is_sound_tool(tool, vision)));
    refuse_if(!sound, || invalid("tools"))
}

fn is_sound_tool(tool: &Json, functions_only: bool) -> bool {
    match tool.get("type").and_then(Json::text) {
        Some("function") => function_name(tool).is_some_and(is_function_name),
        Some(_) => !functions_only,
        None => false,
    }
}

fn is_function_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(legal)
}

/// The model alone decides whether to call; `none` is let through because clients send it.
fn tool_choice(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("tool_choice") else { return Ok(()) };
    refuse_if(!matches!(value.text(), Some("auto" | "none")), || {
        parameter("tool_choice 参数非法：仅支持 auto", "tool_choice is invalid: only auto is supported")
    })
}

fn ids(request: &Request<'_>) -> Result<(), Refusal> {
    for (name, longest) in [("request_id", 64), ("user_id", 128)] {
        // A number in place of a string is taken: the vendor's own tests send one.
        let text = request.field(name).and_then(Json::text);
        let fits = text.is_none_or(|text| (6..=longest).contains(&text.chars().count()));
        refuse_if(!fits, || {
            Refusal::bilingual(
                "1214",
                format!("{name} 参数非法：长度限制[6,{longest}]"),
                format!("{name} is invalid: its length must be within [6,{longest}]"),
            )
        })?;
    }
    Ok(())
}

fn prompt_length(request: &Request<'_>) -> Result<(), Refusal> {
    let context = request.model.map_or(u64::MAX, |model| model.context);
    refuse_if(prompt(request.messages(), request.model) > context, || Refusal::plain("1261"))
}

fn content_audit(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.forbidden_in().is_some(), || Refusal::plain("1301"))
}

fn concurrency(request: &Request<'_>) -> Result<(), Refusal> {
    refuse_if(request.over_limit, || Refusal::plain("1302"))
}

fn missing(field: &str) -> Refusal {
    Refusal::bilingual(
        "1213",
        format!("缺少必填参数 {field}。"),
        format!("The required parameter {field} is missing."),
    )
}

pub(super) fn invalid(field: &str) -> Refusal {
    Refusal::bilingual(
        "1214",
        format!("{field} 参数非法。请检查文档。"),
        format!("The parameter {field} is invalid, please check the documentation."),
    )
}
