//! Who would take a request, with which changes and at what cost: asked of every role of a config, and nothing is sent.
//!
//! ```text
//! portability [PICTURE: FILE, URL or data URI]...
//! ```

use polysight::{ChatRequest, Media, Result};
use polysight_examples::{complain, embedded, every_place, media};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            complain("portability", &error);
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let (_emulator, sight) = embedded(every_place).await?;
    let locations: Vec<String> = std::env::args().skip(1).collect();
    let media = if locations.is_empty() {
        vec![Media::open(&media("cat.jpg").to_string_lossy())?]
    } else {
        locations.iter().map(|location| Media::open(location)).collect::<Result<Vec<_>>>()?
    };
    let request = ChatRequest::ask("What do you see?", media).with_temperature(0.125).with_max_tokens(500);
    let table = sight.compare_plans(&request)?;
    print!("{table}");
    if let Some(name) = table.cheapest() {
        println!("cheapest of those whose whole cost is known: {name}");
    }
    Ok(())
}
