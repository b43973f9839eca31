//! Config files: what is wrong in one, the layers that it sets, the connections that its providers share.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod accounts;
mod budgets;
mod connections;
mod faults;
mod file;
mod keys;
mod layers;
