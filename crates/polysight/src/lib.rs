#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "config")]
mod client;
#[cfg(feature = "config")]
mod config;
#[cfg(feature = "config")]
mod registry;
mod role;
#[cfg(feature = "qwen-vl")]
mod uploads;

#[cfg(feature = "config")]
pub use client::Polysight;
pub use polysight_core::*;
#[cfg(feature = "ernie")]
pub use polysight_ernie as ernie;
#[cfg(feature = "config")]
pub use polysight_layers as layers;
#[cfg(feature = "testing")]
pub use polysight_layers::testing::MockProvider;
#[cfg(feature = "media")]
pub use polysight_media as media;
#[cfg(feature = "openai")]
pub use polysight_openai as openai;
#[cfg(feature = "qwen-vl")]
pub use polysight_qwen_vl as qwen_vl;
#[cfg(feature = "tasks")]
pub use polysight_tasks as tasks;
#[cfg(feature = "config")]
pub use polysight_wire as wire;
#[cfg(feature = "config")]
pub use polysight_wire::{
    BaseUrl, DialectProvider, Limits, Mode, ProviderOptions, Transport, TransportBuilder,
};
#[cfg(feature = "zhipu")]
pub use polysight_zhipu as zhipu;
#[cfg(feature = "config")]
pub use registry::Registry;
pub use role::Role;
