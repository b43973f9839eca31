//! What DashScope checks of thinking, streaming, the form of the output and tools.

use serde_json::Number;

use super::checks::refuse_if;
use super::inquiry::Inquiry;
use super::refusal::{Dialect, Refusal};
use crate::json::Json;
use crate::models::QwenThinking;

/// Only hybrid models may be told to think, and only they may be told not to.
pub(super) fn thinking(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    if let Some(value) = inquiry.field("enable_thinking") {
        let wanted = value.bool().ok_or_else(|| {
            Refusal::engine("The value of the enable_thinking parameter should be a boolean")
        })?;
        let impossible = match inquiry.thinking() {
            QwenThinking::None => wanted,
            QwenThinking::Always => !wanted,
            QwenThinking::Off | QwenThinking::On => false,
        };
        refuse_if(impossible, || {
            let restriction =
                if wanted { "does not support enable_thinking" } else { "restricts enable_thinking to True" };
            let message =
                format!("The value of the enable_thinking parameter is invalid: the model {restriction}.");
            Refusal::told("InvalidParameter.NotSupportEnableThinking", message)
        })?;
    }
    let Some(budget) = inquiry.field("thinking_budget") else { return Ok(()) };
    let most = inquiry.model.map_or(0, |model| model.thinking_budget);
    if most == 0 {
        return Ok(());
    }
    let fits = budget.number().and_then(Number::as_u64).is_some_and(|budget| (1..=most).contains(&budget));
    refuse_if(!fits, || {
        let rule = format!("must be a positive integer and not greater than {most}");
        Refusal::engine(format!("The thinking_budget parameter {rule}"))
    })
}

/// What may only be had in a stream.
pub(super) fn streaming(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let plain_allowed = inquiry.model.is_none_or(|model| model.plain_thinking);
    let refused = inquiry.thinks() && !inquiry.stream && !plain_allowed;
    refuse_if(refused, || match inquiry.thinking() {
        QwenThinking::Always => Refusal::parameter(
            "This model only support stream mode, please enable the stream parameter to access the model.",
        ),
        _ => Refusal::parameter("parameter.enable_thinking must be set to false for non-streaming calls"),
    })?;
    let snapshots = inquiry.dialect == Dialect::Native && inquiry.flag("incremental_output") == Some(false);
    refuse_if(snapshots && inquiry.thinks() && inquiry.stream, || {
        Refusal::parameter("parameter.incremental_output must be \"true\" when enable_thinking is true")
    })
}

/// The newest family alone looks at it.
pub(super) fn effort(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(value) = inquiry.field("reasoning_effort") else { return Ok(()) };
    if !inquiry.model.is_some_and(|model| model.effort) {
        return Ok(());
    }
    let known = matches!(value.text(), Some("none" | "low" | "medium" | "high" | "xhigh"));
    refuse_if(!known, || Refusal::engine("reasoning_effort should be one of none, low, medium and xhigh"))?;
    refuse_if(inquiry.field("thinking_budget").is_some(), || {
        Refusal::engine("reasoning_effort and thinking_budget cannot be set at the same time")
    })
}

pub(super) fn output_form(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(format) = inquiry.field("response_format") else { return Ok(()) };
    match format.get("type").and_then(Json::text) {
        Some("text") => Ok(()),
        Some("json_object" | "json_schema") => refuse_if(inquiry.thinks(), || {
            Refusal::engine("Json mode response is not supported when enable_thinking is true")
        }),
        _ => Err(Refusal::engine("response_format.type should be one of text, json_object and json_schema")),
    }
}

pub(super) fn tools(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(tools) = inquiry.field("tools") else { return Ok(()) };
    let tools = tools.list().ok_or_else(|| Refusal::engine("tools should be a list"))?;
    tools.iter().try_for_each(|tool| {
        let name = tool.get("function").and_then(|function| function.get("name")?.text());
        let is_function = tool.get("type").and_then(Json::text) == Some("function");
        let sound = is_function && name.is_some_and(|name| (1..=64).contains(&name.chars().count()));
        refuse_if(!sound, || {
            Refusal::engine("Invalid tools: a function with a name of 1 to 64 characters is required")
        })?;
        refuse_if(name == Some("search"), || Refusal::engine("Tool names are not allowed to be [search]"))
    })
}

pub(super) fn tool_choice(inquiry: &Inquiry<'_>) -> Result<(), Refusal> {
    let Some(choice) = inquiry.field("tool_choice") else { return Ok(()) };
    let forced = matches!(choice, Json::Object(_)) || choice.text() == Some("required");
    refuse_if(forced && inquiry.thinks(), || {
        Refusal::engine(
            "The tool_choice parameter does not support being set to required or object in thinking mode",
        )
    })?;
    let named = choice.get("function").and_then(|function| function.get("name")?.text()).is_some();
    let known = named || matches!(choice.text(), Some("auto" | "none"));
    refuse_if(!known, || {
        Refusal::engine("tool_choice is one of the strings that should be [\"none\", \"auto\"]")
    })
}
