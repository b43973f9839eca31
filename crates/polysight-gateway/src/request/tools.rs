//! Functions that the model may call.

use polysight::{ChatRequest, JsonValue, ToolChoice, ToolDefinition};

use super::fields::{Fields, Reader};
use crate::json::Json;

/// Reads `tools`, `tool_choice` and `parallel_tool_calls`.
pub(super) fn read(root: &mut Fields<'_>, chat: &mut ChatRequest, reader: &mut Reader<'_>) {
    let tools = root.list("tools", reader).unwrap_or_default();
    let tools = tools.into_iter().enumerate().filter_map(|(index, tool)| definition(index, tool, reader));
    chat.tools = tools.collect();
    chat.tool_choice = choice(root, reader);
    chat.parallel_tool_calls = root.boolean("parallel_tool_calls", reader);
}

fn definition(index: usize, tool: Json<'_>, reader: &mut Reader<'_>) -> Option<ToolDefinition> {
    let mut tool = Fields::of(tool, format!("tools[{index}]"), reader)?;
    if let Some(kind) = tool.text("type", reader).filter(|kind| kind != "function") {
        let problem = format!("tools of type `{}` are not supported", polysight::redact_name(&kind));
        reader.reject(tool.path("type"), problem, "`function`", "leave the tool out");
        return None;
    }
    let Some(mut function) = tool.object("function", reader) else {
        reader.reject(tool.path("function"), "it is missing", "an object", "");
        return None;
    };
    let Some(name) = function.text("name", reader) else {
        reader.reject(function.path("name"), "it is missing", "a text", "");
        return None;
    };
    let description = function.text("description", reader).unwrap_or_default();
    if function.boolean("strict", reader) == Some(true) {
        reader.note(format!("{}: not passed on", function.path("strict")));
    }
    let parameters = function.take("parameters").map_or_else(no_parameters, Json::into_value);
    Some(ToolDefinition::new(name, description, parameters))
}

/// What a function without parameters is described by.
fn no_parameters() -> JsonValue {
    serde_json::json!({ "type": "object", "properties": {} })
}

fn choice(root: &mut Fields<'_>, reader: &mut Reader<'_>) -> ToolChoice {
    const ALLOWED: &str = "`auto`, `none`, `required`, or an object that names a function";
    match root.take("tool_choice") {
        None => ToolChoice::Auto,
        Some(Json::Text(word)) => match &*word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" | "any" => ToolChoice::Required,
            _ => {
                reader.reject("tool_choice", "it is unknown", ALLOWED, "");
                ToolChoice::Auto
            }
        },
        Some(other) => {
            let fields = Fields::of(other, "tool_choice".to_owned(), reader);
            let function = fields.and_then(|mut fields| fields.object("function", reader));
            match function.and_then(|mut function| function.text("name", reader)) {
                Some(name) => ToolChoice::Function(name.into_owned()),
                None => {
                    reader.reject("tool_choice", "it names no function", ALLOWED, "");
                    ToolChoice::Auto
                }
            }
        }
    }
}
