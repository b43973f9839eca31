//! What a call will cost, before and after: tokens and money of one picture with one question, for every role of a config.
//!
//! ```text
//! estimate [PICTURE: FILE or data URI]
//! ```
//!
//! Bounds hold for the vendors' own counts. The embedded emulator counts pictures by formulas of its own, and words by a rule of
//! its own that is close to a tokenizer's. Below stand counts that the vendor reported, and ours beside them.

use std::sync::Arc;

use polysight::catalog::Price;
use polysight::qwen_vl::{Look, TokenFormula};
use polysight::{ChatRequest, Count, Media, Message, Polysight, Result, VisionProvider};
use polysight_examples::{embedded, every_deployment, media, print_error};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            print_error("estimate", &error);
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let (_emulator, polysight) = embedded(every_deployment).await?;
    let location = std::env::args().nth(1).unwrap_or_else(|| media("cat.jpg").to_string_lossy().into_owned());
    let request = ChatRequest::ask("What do you see?", [Media::open(&location)?]).with_max_tokens(500);
    for name in polysight.role_names() {
        call(&polysight, name, &request).await?;
    }
    vectors(&polysight)
}

/// Plans, shows the plan's estimate, sends the plan, and shows what it took.
async fn call(polysight: &Polysight, name: &str, request: &ChatRequest) -> Result<()> {
    let role = polysight.role(name)?;
    let plan = role.plan(request)?;
    let (card, estimate) = (Arc::clone(&plan.card), &plan.estimate);
    let unknown = || "unknown: the catalogue has no price".to_owned();
    println!("{name}: {}", plan.model());
    println!("  before  text {}, picture {}", estimate.text_tokens, estimate.image_tokens);
    println!("          prompt {} tokens", estimate.input_tokens());
    println!("          {}", estimate.cost.as_ref().map_or_else(unknown, ToString::to_string));
    let response = role.send(plan).await?;
    if let Some(usage) = response.usage {
        let cost = Price::of(&card.prices, &usage).map_or_else(unknown, |cost| cost.to_string());
        println!("  after   prompt {} tokens, answer {} tokens", usage.input_tokens, usage.output_tokens);
        println!("          {cost}");
    }
    Ok(())
}

/// Counts that the vendor's pages and recorded answers report. The first two pictures were counted without their two marks.
fn vectors(polysight: &Polysight) -> Result<()> {
    let own = Look::new();
    let high = Look::new().with_high_resolution(true);
    println!("\n{:62}  vendor  ours", "reported by the vendor");
    for (what, model, look, vendor) in [
        ("2048 x 1365 px, qwen-vl-plus in 2024, and 2 marks", "qwen-vl-plus-2025-01-25", own, 1_247 + 2),
        ("the same in high resolution, and 2 marks", "qwen-vl-plus-2025-01-25", high, 3_577 + 2),
        ("2048 x 1365 px, qwen3.6-plus in 2026", "qwen3.6-plus", own, 2_503),
        ("2048 x 1365 px, qwen3.7-plus in 2026", "qwen3.7-plus", own, 2_503),
    ] {
        let card = polysight.role("qwen")?.catalog().card(model);
        let ours = TokenFormula::of(&card).and_then(|formula| formula.image_tokens(2_048, 1_365, &look));
        print_row(what, vendor, ours.map_or_else(Count::default, Count::exact));
    }
    let messages = [Message::system("You are a helpful assistant."), Message::user("你是谁？")];
    let plan = polysight.role("qwen")?.plan(&ChatRequest::new(messages))?;
    print_row("a text of the chat API's page, without thinking", 26, plan.estimate.text_tokens);
    Ok(())
}

fn print_row(what: &str, vendor: u64, ours: Count) {
    println!("{what:62}  {vendor:>6}  {ours}");
}
