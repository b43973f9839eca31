//! The wire of this vendor without a socket: requests as they would go out, replies as they come.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod replies;
mod requests;
mod support;
