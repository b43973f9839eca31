//! What Qianfan checks of parameters.

use std::ops::RangeInclusive;

use serde_json::Number;

use super::error_body::argument;
use super::parsed_request::Request;
use crate::json::Json;
use crate::refusal::{Refusal, refuse_if};
use crate::vendors::parsed_request::function_name;

const BUDGET: RangeInclusive<u64> = 100..=61_440;

/// Ranges of the vendor's pages; a temperature of 0 was once refused and is taken since.
pub(super) fn sampling(request: &Request<'_>) -> Result<(), Refusal> {
    for (name, range) in [
        ("temperature", 0.0..=1.0),
        ("top_p", 0.0..=1.0),
        ("penalty_score", 1.0..=2.0),
        ("frequency_penalty", -2.0..=2.0),
        ("presence_penalty", -2.0..=2.0),
    ] {
        refuse_if(!request.number_fits(name, |value| range.contains(&value)), || {
            outside(name, range.start(), range.end())
        })?;
    }
    Ok(())
}

fn outside(name: &str, least: impl std::fmt::Display, most: impl std::fmt::Display) -> Refusal {
    argument(format!("{name} should be in [{least}, {most}]"))
}

fn whole(request: &Request<'_>, name: &str, range: RangeInclusive<u64>) -> Result<(), Refusal> {
    refuse_if(!request.whole_fits(name, &range), || outside(name, range.start(), range.end()))
}

pub(super) fn lengths(request: &Request<'_>) -> Result<(), Refusal> {
    let (least, most) = request.model.map_or((1, u64::MAX), |model| model.output);
    whole(request, "max_tokens", least..=most)?;
    whole(request, "max_completion_tokens", least..=most)
}

pub(super) fn seed(request: &Request<'_>) -> Result<(), Refusal> {
    whole(request, "seed", 1..=2_147_483_646)
}

/// A list of up to four strings of up to twenty characters; a bare string is not documented.
pub(super) fn stop(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("stop") else { return Ok(()) };
    let short = |word: &Json| word.text().is_some_and(|word| word.chars().count() <= 20);
    let sound = value.list().is_some_and(|words| words.len() <= 4 && words.iter().all(short));
    refuse_if(!sound, || argument("stop should be at most 4 strings of at most 20 characters"))
}

/// `user` and `metadata`.
pub(super) fn labels(request: &Request<'_>) -> Result<(), Refusal> {
    let user = request.field("user").is_none_or(|user| user.text().is_some());
    refuse_if(!user, || argument("user should be a string"))?;
    let sound = match request.field("metadata") {
        None => true,
        Some(Json::Object(pairs)) => {
            pairs.len() <= 16 && pairs.iter().all(|(_, value)| value.text().is_some())
        }
        Some(_) => false,
    };
    refuse_if(!sound, || argument("metadata should be at most 16 pairs of strings"))
}

/// `false` is taken by models that cannot think.
pub(super) fn thinking(request: &Request<'_>) -> Result<(), Refusal> {
    let able = request.model.is_some_and(|model| model.thinking);
    if let Some(value) = request.field("enable_thinking") {
        let wanted = value.bool().ok_or_else(|| argument("enable_thinking should be a boolean"))?;
        refuse_if(wanted && !able, || argument("enable_thinking is not supported by this model"))?;
    }
    if able { whole(request, "thinking_budget", BUDGET) } else { Ok(()) }
}

pub(super) fn output_form(request: &Request<'_>) -> Result<(), Refusal> {
    let known = matches!(request.type_of("response_format"), Some("text" | "json_object" | "json_schema"));
    refuse_if(request.field("response_format").is_some() && !known, || {
        argument("response_format.type should be text, json_object or json_schema")
    })
}

pub(super) fn tools(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(tools) = request.field("tools") else { return Ok(()) };
    let able = request.model.is_some_and(|model| model.tools);
    refuse_if(!able, || argument("tools is not supported by this model"))?;
    let sound = tools.list().is_some_and(|tools| tools.iter().all(|tool| function_name(tool).is_some()));
    refuse_if(!sound, || argument("tools should be a list of functions with names"))?;
    let Some(choice) = request.field("tool_choice") else { return Ok(()) };
    let function = choice.get("function").and_then(|function| function.get("name")?.text());
    let known = function.is_some() || matches!(choice.text(), Some("none" | "auto" | "required"));
    refuse_if(!known, || argument("tool_choice should be none, auto, required or a function"))
}

/// `search_mode` is for models of others.
pub(super) fn web_search(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(search) = request.field("web_search") else { return Ok(()) };
    refuse_if(!matches!(search, Json::Object(_)), || argument("web_search should be an object"))?;
    for name in ["enable", "enable_citation", "enable_trace", "enable_status"] {
        let sound = search.get(name).is_none_or(|value| value.bool().is_some());
        refuse_if(!sound, || argument(format!("web_search.{name} should be a boolean")))?;
    }
    refuse_if(search.get("search_mode").is_some(), || {
        argument("web_search.search_mode is not supported by this model")
    })?;
    let number = |name: &str| search.get(name).map(|value| value.number().and_then(Number::as_u64));
    let (found, cited) = (number("search_number"), number("reference_number"));
    for value in [found, cited].into_iter().flatten() {
        let fits = value.is_some_and(|value| (1..=28).contains(&value));
        refuse_if(!fits, || outside("web_search.search_number", 1, 28))?;
    }
    let too_many = matches!((found, cited), (Some(found), Some(cited)) if cited > found);
    refuse_if(too_many, || argument("web_search.reference_number is over search_number"))
}
