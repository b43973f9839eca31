//! Which roles of a config would take a request, with which changes and at what cost. Nothing is sent.
//!
//! ```text
//! compare_plans [PICTURE: FILE, URL or data URI]...
//! ```

use polysight::{ChatRequest, Media, Result};
use polysight_examples::{embedded, every_deployment, media, print_error};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            print_error("compare_plans", &error);
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let (_emulator, polysight) = embedded(every_deployment).await?;
    let locations: Vec<String> = std::env::args().skip(1).collect();
    let media = if locations.is_empty() {
        vec![Media::open(&media("cat.jpg").to_string_lossy())?]
    } else {
        locations.iter().map(|location| Media::open(location)).collect::<Result<Vec<_>>>()?
    };
    let request = ChatRequest::ask("What do you see?", media).with_temperature(0.125).with_max_tokens(500);
    let table = polysight.compare_plans(&request)?;
    print!("{table}");
    if let Some(name) = table.cheapest() {
        println!("cheapest of those whose whole cost is known: {name}");
    }
    Ok(())
}
