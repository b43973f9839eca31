//! What crosses crates, in one test program so that it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod arrows;
mod bad_input;
mod config;
mod contract;
mod echoes;
mod faults;
mod first_light;
mod jwt;
mod layers;
mod odd;
mod programs;
mod sharing;
mod strays;
mod swap;
mod tables;
mod tongues;
mod tools;
