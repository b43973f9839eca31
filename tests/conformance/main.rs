//! What a provider must do: one suite for every provider, what is refused before it is sent, and what is one vendor's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod ernie_calls;
mod invalid_requests;
mod qwen_vl_cache;
mod qwen_vl_calls;
mod qwen_vl_uploads;
mod smoke;
mod suite;
mod swap;
mod unknown_models;
mod zhipu_counter;
mod zhipu_tokens;
mod zhipu_tools;
