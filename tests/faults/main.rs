//! What goes wrong between a client and a vendor, over real sockets: the table of faults, fields in an unusual place, and the
//! errors and streams of self-hosted servers.
//!
//! `cargo test -p polysight-tests --test faults -- --nocapture` prints the tables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod misplaced_fields;
mod odd_shapes;
mod self_hosted;
mod table;
