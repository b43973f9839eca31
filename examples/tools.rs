//! A function that the model calls, its result sent back, and the answer made of it: plain and streamed.

use polysight::tasks::{JsonSchema, Tool, ToolLoop};
use polysight::{ChatRequest, Error, ErrorKind, Message, Result, StreamEvent};
use polysight_examples::{config, embedded};
use serde::Deserialize;
use serde_json::json;

/// Arguments of the tool: the model sees their schema, the handler gets them checked.
#[derive(Deserialize, JsonSchema)]
struct Place {
    /// Name of the city
    city: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let (_emulator, polysight) = embedded(config).await?;
    let role = polysight.role("default")?;
    let weather = Tool::new("get_weather", "Weather of a city, now", |Place { city }: Place| async move {
        println!("the model calls get_weather({})", json!({ "city": city }));
        Ok(json!({"city": city, "temperature": 21, "sky": "clear"}).to_string())
    })?;
    let plain = ToolLoop::new([weather]);
    let streamed = plain.clone().with_events(|event| {
        if let StreamEvent::Text(text) = event {
            print!("{text}");
        }
    });
    for (name, tools) in [("plain", plain), ("streamed", streamed)] {
        println!("-- {name}");
        let run = tools.run(&role, question()).await.map_err(|error| {
            Error::new(ErrorKind::Protocol, "the tool loop gave no answer").with_source(error)
        })?;
        if name == "plain" {
            println!("{}", run.text());
        } else {
            println!("\n({} answers of the model)", run.responses.len());
        }
    }
    Ok(())
}

fn question() -> ChatRequest {
    ChatRequest::new([
        Message::system("Use the tools for anything about the weather."),
        Message::user("What is the weather in \"Beijing\"?"),
    ])
}
