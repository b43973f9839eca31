//! What DashScope checks of thinking, streaming, the form of the output and tools.

use super::error_body::{engine, parameter};
use super::parsed_request::{Dialect, Request, thinking_of, thinks};
use crate::json::Json;
use crate::models::QwenThinking;
use crate::refusal::{Refusal, refuse_if};
use crate::vendors::parsed_request::function_name;

/// Only hybrid models take both values.
pub(super) fn thinking(request: &Request<'_>) -> Result<(), Refusal> {
    if let Some(value) = request.field("enable_thinking") {
        let wanted = value
            .bool()
            .ok_or_else(|| engine("The value of the enable_thinking parameter should be a boolean"))?;
        let impossible = match thinking_of(request) {
            QwenThinking::None => wanted,
            QwenThinking::Always => !wanted,
            QwenThinking::Off | QwenThinking::On => false,
        };
        refuse_if(impossible, || {
            let restriction =
                if wanted { "does not support enable_thinking" } else { "restricts enable_thinking to True" };
            let message =
                format!("The value of the enable_thinking parameter is invalid: the model {restriction}.");
            Refusal::with_message("InvalidParameter.NotSupportEnableThinking", message)
        })?;
    }
    let most = request.model.map_or(0, |model| model.thinking_budget);
    if most == 0 {
        return Ok(());
    }
    refuse_if(!request.whole_fits("thinking_budget", &(1..=most)), || {
        let rule = format!("must be a positive integer and not greater than {most}");
        engine(format!("The thinking_budget parameter {rule}"))
    })
}

/// What may only be had in a stream.
pub(super) fn streaming(request: &Request<'_>) -> Result<(), Refusal> {
    let plain_allowed = request.model.is_none_or(|model| model.plain_thinking);
    let refused = thinks(request) && !request.extra.stream && !plain_allowed;
    refuse_if(refused, || match thinking_of(request) {
        QwenThinking::Always => parameter(
            "This model only support stream mode, please enable the stream parameter to access the model.",
        ),
        _ => parameter("parameter.enable_thinking must be set to false for non-streaming calls"),
    })?;
    let snapshots =
        request.extra.dialect == Dialect::Native && request.flag("incremental_output") == Some(false);
    refuse_if(snapshots && thinks(request) && request.extra.stream, || {
        parameter("parameter.incremental_output must be \"true\" when enable_thinking is true")
    })
}

/// The newest family alone looks at it.
pub(super) fn effort(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(value) = request.field("reasoning_effort") else { return Ok(()) };
    if !request.model.is_some_and(|model| model.effort) {
        return Ok(());
    }
    let known = matches!(value.text(), Some("none" | "low" | "medium" | "high" | "xhigh"));
    refuse_if(!known, || engine("reasoning_effort should be one of none, low, medium and xhigh"))?;
    refuse_if(request.field("thinking_budget").is_some(), || {
        engine("reasoning_effort and thinking_budget cannot be set at the same time")
    })
}

pub(super) fn output_form(request: &Request<'_>) -> Result<(), Refusal> {
    if request.field("response_format").is_none() {
        return Ok(());
    }
    match request.type_of("response_format") {
        Some("text") => Ok(()),
        Some("json_object" | "json_schema") => refuse_if(thinks(request), || {
            engine("Json mode response is not supported when enable_thinking is true")
        }),
        _ => Err(engine("response_format.type should be one of text, json_object and json_schema")),
    }
}

/// What an OCR model may be asked to do.
const OCR_TASKS: [&str; 7] = [
    "text_recognition",
    KEY_INFORMATION,
    "table_parsing",
    "document_parsing",
    "formula_recognition",
    "multi_lan",
    "advanced_recognition",
];
const KEY_INFORMATION: &str = "key_information_extraction";
/// Deepest nesting of a form.
const OCR_LEVELS: usize = 3;

/// Only OCR models look at it, on the native path alone.
pub(super) fn ocr(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(options) = ocr_options(request) else { return Ok(()) };
    let task = options.get("task").and_then(Json::text);
    refuse_if(!task.is_some_and(|task| OCR_TASKS.contains(&task)), || {
        engine(format!("ocr_options.task should be one of {}", OCR_TASKS.join(", ")))
    })?;
    let form = options.get("task_config").and_then(|config| config.get("result_schema"));
    refuse_if(form.is_some_and(|form| levels(form) > OCR_LEVELS), || {
        engine(format!("result_schema supports at most {OCR_LEVELS} levels of nesting"))
    })
}

fn ocr_options<'r>(request: &Request<'r>) -> Option<&'r Json> {
    let is_ocr = request.model.is_some_and(|model| model.id.starts_with("qwen-vl-ocr"));
    request.field("ocr_options").filter(|_| is_ocr && request.extra.dialect == Dialect::Native)
}

/// The form that an OCR model is to fill in.
pub(super) fn ocr_form<'r>(request: &Request<'r>) -> Option<&'r Json> {
    let options = ocr_options(request)?;
    let is_form = options.get("task").and_then(Json::text) == Some(KEY_INFORMATION);
    options.get("task_config")?.get("result_schema").filter(|_| is_form)
}

fn levels(form: &Json) -> usize {
    match form {
        Json::Object(fields) => 1 + fields.iter().map(|(_, value)| levels(value)).max().unwrap_or(0),
        Json::List(items) => items.iter().map(levels).max().unwrap_or(0),
        _ => 0,
    }
}

pub(super) fn tools(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(tools) = request.field("tools") else { return Ok(()) };
    let tools = tools.list().ok_or_else(|| engine("tools should be a list"))?;
    tools.iter().try_for_each(|tool| {
        let name = function_name(tool);
        let sound = name.is_some_and(|name| (1..=64).contains(&name.chars().count()));
        refuse_if(!sound, || {
            engine("Invalid tools: a function with a name of 1 to 64 characters is required")
        })?;
        refuse_if(name == Some("search"), || engine("Tool names are not allowed to be [search]"))
    })
}

pub(super) fn tool_choice(request: &Request<'_>) -> Result<(), Refusal> {
    let Some(choice) = request.field("tool_choice") else { return Ok(()) };
    let forced = matches!(choice, Json::Object(_)) || choice.text() == Some("required");
    refuse_if(forced && thinks(request), || {
        engine("The tool_choice parameter does not support being set to required or object in thinking mode")
    })?;
    let named = choice.get("function").and_then(|function| function.get("name")?.text()).is_some();
    let known = named || matches!(choice.text(), Some("auto" | "none"));
    refuse_if(!known, || engine("tool_choice is one of the strings that should be [\"none\", \"auto\"]"))
}
