//! The public surface of the core, used as other crates use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod catalog;
mod media;
mod plan;
mod provider;
mod samples;
mod stream;
