//! Question and answer as the GenAI conventions write them into a span: texts and tool calls, never media.

use polysight_core::{ChatRequest, ChatResponse, Message, Part};
use serde_json::{Value, json};

/// What was asked, as JSON text.
pub(super) fn input(request: &ChatRequest) -> String {
    let message = |message: &Message| json!({ "role": message.role.name(), "parts": parts(message) });
    Value::from_iter(request.messages.iter().map(message)).to_string()
}

/// What was answered, as JSON text.
pub(super) fn output(response: &ChatResponse) -> String {
    let message = response.to_message();
    let finish = response.finish.kind.to_string();
    let message = json!({ "role": message.role.name(), "parts": parts(&message), "finish_reason": finish });
    Value::from_iter([message]).to_string()
}

fn parts(message: &Message) -> Value {
    message.parts.iter().map(part).collect()
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "content": text }),
        Part::Reasoning(text) => json!({ "type": "reasoning", "content": text }),
        Part::ToolCall(call) => {
            json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments })
        }
        Part::ToolResult(result) => {
            json!({ "type": "tool_call_response", "id": result.call_id, "response": result.content })
        }
        Part::Image(_) => json!({ "type": "image" }),
        Part::Video(_) => json!({ "type": "video" }),
        _ => json!({ "type": "other" }),
    }
}
