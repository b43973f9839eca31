#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "fetch")]
pub mod fetch;
#[cfg(feature = "video")]
pub mod video;
