#![doc = include_str!("../README.md")]

#[cfg(feature = "config")]
mod config;
#[cfg(feature = "config")]
mod fields;
#[cfg(feature = "config")]
mod layering;
#[cfg(feature = "config")]
mod registry;
mod role;
#[cfg(feature = "config")]
mod sight;

pub use polysight_core::*;
#[cfg(feature = "ernie")]
pub use polysight_ernie as ernie;
#[cfg(feature = "config")]
pub use polysight_layers as layers;
#[cfg(feature = "qwen-vl")]
pub use polysight_qwen_vl as qwen_vl;
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
pub use role::RoleProvider;
#[cfg(feature = "config")]
pub use sight::Polysight;
