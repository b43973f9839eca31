//! A function that the model calls, its result sent back, and the answer made of it: plain and streamed.

use polysight::{
    ChatRequest, ChatResponse, Conversation, Error, ErrorKind, JsonValue, Message, Result, RoleProvider,
    ToolDefinition, VisionProvider, VisionProviderExt,
};
use polysight_examples::{config, embedded};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let (_emulator, sight) = embedded(config).await?;
    let model = sight.role("default")?;
    for streamed in [false, true] {
        println!("-- {}", if streamed { "streamed" } else { "plain" });
        let answer = round_trip(&model, streamed).await?;
        println!("{}", answer.text);
    }
    Ok(())
}

async fn round_trip(model: &RoleProvider, streamed: bool) -> Result<ChatResponse> {
    let mut talk = Conversation::new().with_system("Use the tools for anything about the weather.");
    talk.push(Message::user("What is the weather in \"Beijing\"?"));

    let asked = ask(model, talk.request(), streamed).await?;
    talk.push_response(&asked);
    for call in &asked.tool_calls {
        println!("the model calls {}({})", call.name, call.arguments);
        let arguments: JsonValue = call.parse().map_err(|error| {
            Error::new(ErrorKind::Protocol, "the model wrote arguments that are no JSON").with_source(error)
        })?;
        let city = arguments.get("city").and_then(JsonValue::as_str).unwrap_or_default();
        let result = weather(city);
        talk.push(Message::tool_result(&call.id, result.to_string()));
    }
    ask(model, talk.request(), streamed).await
}

async fn ask(model: &RoleProvider, request: ChatRequest, streamed: bool) -> Result<ChatResponse> {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    });
    let tool = ToolDefinition::new("get_weather", "Weather of a city, now", schema);
    let request = request.with_tools([tool]);
    if streamed { model.stream_collected(request).await } else { model.chat(request).await }
}

fn weather(city: &str) -> JsonValue {
    json!({"city": city, "temperature": 21, "sky": "clear"})
}
