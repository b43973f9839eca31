//! A picture read into a struct of the program's, by whichever means of structured output each vendor's model has.

use polysight::tasks::{Extracted, TasksExt};
use polysight::{ChatRequest, Error, ErrorKind, Image, Polysight, Result};
use polysight_emulator::Emulator;
use polysight_examples::{config, embedded, media};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// What the program wants to know. The comments of the fields are read by the model.
#[derive(Debug, Deserialize, JsonSchema)]
struct Receipt {
    /// Name of the shop, as printed.
    shop: String,
    /// Sum that was paid.
    total: f64,
    /// ISO 4217 code, such as CNY.
    currency: String,
    items: Vec<Item>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Item {
    name: String,
    price: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let (emulator, polysight) = embedded(config).await?;
    for role in ["default", "qwen", "ernie"] {
        prepare_answers(&emulator).map_err(|error| {
            Error::new(ErrorKind::Protocol, "the emulator takes no such answer").with_source(error)
        })?;
        show(role, &read(&polysight, role).await?);
    }
    Ok(())
}

async fn read(polysight: &Polysight, role: &str) -> Result<Extracted<Receipt>> {
    let request = ChatRequest::ask("Read this receipt.", [Image::from_file(media("coffee.jpg"))?]);
    Ok(polysight.role(role)?.extract::<Receipt>(request).await?)
}

/// What the emulator answers, since it cannot read. Its first answer has the total as a text, as models do: it is asked again.
fn prepare_answers(emulator: &Emulator) -> std::result::Result<(), polysight_emulator::InvalidAnswer> {
    let items = json!([{ "name": "Oolong", "price": 15.0 }, { "name": "Sesame cake", "price": 8.5 }]);
    emulator.answer_json(
        json!({ "shop": "Jade Tea House", "total": "23.50", "currency": "CNY", "items": items }),
    )?;
    let good = json!({ "shop": "Jade Tea House", "total": 23.5, "currency": "CNY", "items": items });
    emulator.answer(format!("Here is the receipt:\n```json\n{good:#}\n```"))
}

fn show(role: &str, extracted: &Extracted<Receipt>) {
    let Receipt { shop, total, currency, items } = &extracted.value;
    println!("-- {role}: asked by {}, {} repair turn", extracted.rung, extracted.repair_turns());
    println!("{shop}, {total:.2} {currency}");
    for Item { name, price } in items {
        println!("  {name:<12} {price:>6.2}");
    }
    if let Some(usage) = extracted.usage() {
        println!("  {} tokens in, {} out, both turns", usage.input_tokens, usage.output_tokens);
    }
    if let Some(cost) = extracted.cost() {
        println!("  cost {cost}");
    }
}
