//! The wire without a socket: requests as they would go out, replies as they come.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod replies;
mod requests;

use polysight_core::catalog::ModelRow;
use polysight_core::{ApiKey, ChatRequest, Image, Plan, VisionProvider as _};
use polysight_openai::{OpenAi, OpenAiSettings};
use polysight_wire::{Mode, ProviderOptions};
use serde_json::Value;

/// A PNG of 16 x 16 px, 79 bytes.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg==";

fn options() -> ProviderOptions {
    ProviderOptions::new("gateway")
        .with_base_url("https://gateway.example/v1".parse().unwrap())
        .with_api_key(ApiKey::new("sk-0123456789").unwrap())
        .with_model("eye-1")
}

fn provider(settings: &OpenAiSettings) -> OpenAi {
    OpenAi::new(options(), settings).unwrap()
}

fn model(toml: &str) -> ModelRow {
    ModelRow::new(toml::from_str::<toml::Table>(toml).unwrap()).unwrap()
}

fn plan(provider: &OpenAi, request: &ChatRequest) -> Plan {
    provider.plan(request).unwrap()
}

/// The body that would go out, of the length that was promised.
fn body(provider: &OpenAi, request: &ChatRequest, mode: Mode) -> Value {
    let wire = provider.inner().preview(&plan(provider, request), mode).unwrap();
    let bytes = wire.body.to_vec().unwrap();
    assert_eq!(bytes.len() as u64, wire.body.len());
    serde_json::from_slice(&bytes).unwrap()
}

fn picture() -> Image {
    Image::from_base64(PNG).unwrap()
}
