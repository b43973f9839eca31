//! The wire of this vendor without a socket: requests as they would go out, replies as they come.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod recorded_requests;
mod replies;
mod requests;

use std::sync::LazyLock;

use polysight_core::catalog::ModelRow;
use polysight_core::{ApiKey, ChatRequest, Result, VisionProvider as _};
use polysight_wire::{Mode, ProviderOptions, WireRequest};
use polysight_zhipu::{Zhipu, ZhipuSettings};
use serde_json::Value;

/// One provider for all tests: making one sets up TLS.
fn zhipu() -> &'static Zhipu {
    static ZHIPU: LazyLock<Zhipu> = LazyLock::new(|| with_models(Vec::new()));
    &ZHIPU
}

fn with_models(models: Vec<ModelRow>) -> Zhipu {
    let options =
        ProviderOptions::new("zhipu").with_api_key(ApiKey::new("id.secret").unwrap()).with_models(models);
    Zhipu::new(options, &ZhipuSettings::default()).unwrap()
}

/// The body that would go out.
fn body(request: ChatRequest, mode: Mode) -> Value {
    json(zhipu(), request, mode)
}

fn json(zhipu: &Zhipu, request: ChatRequest, mode: Mode) -> Value {
    let wire = preview(zhipu, request, mode).unwrap();
    let bytes = wire.body.to_vec().unwrap();
    assert_eq!(bytes.len() as u64, wire.body.len(), "the length promised is the length sent");
    serde_json::from_slice(&bytes).unwrap()
}

/// What would go out.
fn preview(zhipu: &Zhipu, request: ChatRequest, mode: Mode) -> Result<WireRequest> {
    zhipu.inner().preview(&zhipu.plan(&request)?, mode)
}

/// A PNG of 16 x 16 px, 79 bytes: the picture of the recorded bodies.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg==";
