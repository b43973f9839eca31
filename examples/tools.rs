//! A function that the model calls, its result sent back, and the answer made of it: plain and streamed.

use polysight::{
    ChatRequest, ChatResponse, Conversation, Error, ErrorKind, JsonValue, Message, Result, Role,
    ToolDefinition, VisionProviderExt,
};
use polysight_examples::{config, embedded};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let (_emulator, polysight) = embedded(config).await?;
    let role = polysight.role("default")?;
    for streamed in [false, true] {
        println!("-- {}", if streamed { "streamed" } else { "plain" });
        let answer = round_trip(&role, streamed).await?;
        println!("{}", answer.text);
    }
    Ok(())
}

async fn round_trip(role: &Role, streamed: bool) -> Result<ChatResponse> {
    let mut conversation = Conversation::new().with_system("Use the tools for anything about the weather.");
    conversation.push(Message::user("What is the weather in \"Beijing\"?"));

    let asked = ask(role, conversation.request(), streamed).await?;
    conversation.push_response(&asked);
    for call in &asked.tool_calls {
        println!("the model calls {}({})", call.name, call.arguments);
        let arguments: JsonValue = call.parse().map_err(|error| {
            Error::new(ErrorKind::Protocol, "the model wrote arguments that are not JSON").with_source(error)
        })?;
        let city = arguments.get("city").and_then(JsonValue::as_str).unwrap_or_default();
        let result = weather(city);
        conversation.push(Message::tool_result(&call.id, result.to_string()));
    }
    ask(role, conversation.request(), streamed).await
}

async fn ask(role: &Role, request: ChatRequest, streamed: bool) -> Result<ChatResponse> {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    });
    let tool = ToolDefinition::new("get_weather", "Weather of a city, now", schema);
    let request = request.with_tools([tool]);
    if streamed { role.stream_collected(request).await } else { role.chat(request).await }
}

fn weather(city: &str) -> JsonValue {
    json!({"city": city, "temperature": 21, "sky": "clear"})
}
