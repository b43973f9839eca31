//! The gateway over emulated vendors: HTTP by hand, as the clients of chat completions send it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: what cannot be made stops them, and indexing a JSON value gives null where there is nothing"
)]

mod access;
mod answers;
mod bad_input;
mod boxes;
mod budgets;
mod client;
mod complaints;
mod errors;
mod models;
mod otlp;
mod running;
