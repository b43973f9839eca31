//! Providers without a server.

use std::sync::LazyLock;

use polysight_core::{ApiKey, ChatRequest, Image, Plan, VisionProvider as _};
use polysight_ernie::{Ernie, ErnieSettings};
use polysight_wire::{Mode, ProviderOptions};
use serde_json::Value;

/// A PNG of 16 x 16 pixels, as base64.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR42mM4ISdHEmIY1TCqYfhqAADkYgQQ6ZuA8QAAAABJRU5ErkJggg==";

pub(crate) const KEY: &str = "bce-v3/ALTAK-0123456789/0123456789abcdef";

pub(crate) fn options() -> ProviderOptions {
    ProviderOptions::new("ernie").with_api_key(ApiKey::new(KEY).unwrap())
}

/// The vendor itself, made once: reading the system's certificates takes a while.
pub(crate) fn vendor() -> &'static Ernie {
    static VENDOR: LazyLock<Ernie> = LazyLock::new(|| Ernie::new(options(), &ErnieSettings::new()).unwrap());
    &VENDOR
}

/// Another deployment.
pub(crate) fn deployed(deployment: &str) -> Ernie {
    let url = "http://server.example/v1".parse().unwrap();
    Ernie::new(options().with_deployment(deployment).with_base_url(url), &ErnieSettings::new()).unwrap()
}

pub(crate) fn picture() -> Image {
    Image::from_bytes(base64_simd::STANDARD.decode_to_vec(PNG).unwrap()).unwrap()
}

pub(crate) fn linked(name: &str) -> Image {
    Image::from_url(&format!("https://img.example.com/{name}")).unwrap()
}

/// The body that a request becomes.
pub(crate) fn body(ernie: &Ernie, request: ChatRequest, mode: Mode) -> Value {
    let wire = ernie.inner().preview(&planned(ernie, request), mode).unwrap();
    let bytes = wire.body.to_vec().unwrap();
    assert_eq!(bytes.len() as u64, wire.body.len(), "the length promised is the length sent");
    serde_json::from_slice(&bytes).unwrap()
}

pub(crate) fn planned(ernie: &Ernie, request: ChatRequest) -> Plan {
    ernie.plan(&request).unwrap()
}
