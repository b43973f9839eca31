//! The contract, used as programs use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod catalog;
mod headers;
mod media;
mod plan;
mod provider;
mod samples;
mod storage;
mod stream;
