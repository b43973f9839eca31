//! The workspace itself: which crate depends on which, the licences of what comes along, the emulator's tables of models
//! beside the client's, and the programs as a user runs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod catalogues;
mod dependencies;
mod metadata;
mod programs;
mod third_party;
