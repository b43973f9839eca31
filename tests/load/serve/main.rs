//! The command `polysight serve` as a process: two replicas of it under load, and what hostile clients do to its memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod bad_input;
#[allow(dead_code, reason = "the gateway's suite uses all of it")]
#[path = "../../gateway/client.rs"]
mod client;
mod replica;
#[path = "../../../crates/polysight-layers/src/rate_limit/redis/server.rs"]
mod server;
mod soak;
mod tally;
#[path = "../vendor_faults.rs"]
mod vendor_faults;
