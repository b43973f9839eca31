//! The command, run as a user runs it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails panics, and helpers are part of tests"
)]

mod ask;
mod configs;
mod pages;
mod program;
#[cfg(unix)]
mod servers;
