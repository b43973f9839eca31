//! A picture read into a struct of the program's, by whichever means of structured output each vendor's model has.

use polysight::tasks::{Extracted, Extractor};
use polysight::{ChatRequest, Image, Polysight, Result};
use polysight_emulator::{Emulator, Fault, JsonBreak};
use polysight_examples::{embedded, every_deployment, media};
use schemars::JsonSchema;
use serde::Deserialize;

/// What the program wants to know. The comments of the fields are read by the model.
#[derive(Debug, Deserialize, JsonSchema)]
struct Receipt {
    /// Name of the shop, as printed.
    shop: String,
    /// Sum that was paid.
    total: f64,
    /// How it was paid.
    paid_by: PaidBy,
    /// Of the picture, in pixels.
    width: u32,
    height: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PaidBy {
    Card,
    Cash,
}

#[tokio::main]
async fn main() -> Result<()> {
    let (emulator, polysight) = embedded(with_more_means).await?;
    for role in ["default", "qwen", "qwen-max", "qwen-ocr", "ernie", "ernie-5"] {
        // The emulator knows the size of the picture and makes up the rest. Its JSON is broken as models break it.
        emulator.script(Fault::BrokenJson(JsonBreak::TrailingComma));
        show(role, &read(&polysight, role).await?);
    }
    // A value of the wrong type: the model is asked once more, with what is wrong.
    emulator.script(Fault::BrokenJson(JsonBreak::WrongType));
    show("default, asked again", &read(&polysight, "default").await?);
    Ok(())
}

/// One more role for each means that the models of [`every_deployment`] do not have.
fn with_more_means(emulator: &Emulator) -> String {
    every_deployment(emulator)
        + r#"
[roles.qwen-max]
provider = "alibaba"
model = "qwen3.8-max"

[roles.qwen-ocr]
provider = "alibaba-native"
model = "qwen-vl-ocr"

[roles.ernie-5]
provider = "baidu"
model = "ernie-5.0"
"#
}

async fn read(polysight: &Polysight, role: &str) -> Result<Extracted<Receipt>> {
    let request = ChatRequest::ask("Read this receipt.", [Image::from_file(media("coffee.jpg"))?]);
    Ok(Extractor::of::<Receipt>()?.extract_as(&polysight.role(role)?, request).await?)
}

fn show(role: &str, extracted: &Extracted<Receipt>) {
    let Receipt { shop, total, paid_by, width, height } = &extracted.value;
    println!("-- {role}: asked by {}, {} repair turns", extracted.rung, extracted.repair_turns());
    println!("  {shop}, {total:.2}, {paid_by:?}, {width} x {height} px");
    for repair in &extracted.repairs {
        println!("  repaired: {repair}");
    }
    if let Some(usage) = extracted.usage() {
        println!("  {} tokens in, {} out, all turns", usage.input_tokens, usage.output_tokens);
    }
    if let Some(cost) = extracted.cost() {
        println!("  cost {cost}");
    }
}
