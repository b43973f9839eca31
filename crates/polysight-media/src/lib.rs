#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "fetch", feature = "frames"))]
mod config;
#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(feature = "fit")]
pub mod fit;
#[cfg(feature = "frames")]
pub mod frames;
#[cfg(any(feature = "fetch", feature = "frames"))]
mod prepare;
#[cfg(any(feature = "fetch", feature = "fit", feature = "frames"))]
mod target;
#[cfg(feature = "video")]
pub mod video;
