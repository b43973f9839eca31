//! What goes wrong between a client and a vendor, over real sockets: the table of faults, malformed replies and streams,
//! fields in the wrong place, and the errors of servers that one runs oneself.
//!
//! `cargo test -p polysight-tests --test faults -- --nocapture` prints the tables.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod malformed;
mod misplaced_fields;
mod report;
mod self_hosted;
mod table;

use std::time::Duration;

use polysight::{ChatRequest, Limits, Message, Transport};
use polysight_testkit::CANARY;

fn question() -> ChatRequest {
    ChatRequest::new([Message::user(format!("What does the {CANARY} in the picture sing?"))])
}

// Long enough that a busy machine does not meet it, and short enough to wait for.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(80);

/// A transport whose limits are long but for what is changed.
fn transport(change: impl Fn(&mut Limits)) -> Transport {
    let mut limits = Limits::default().with_first_byte(LONG).with_idle(LONG);
    limits.after_finish = LONG;
    change(&mut limits);
    Transport::builder().limits(limits).build().unwrap()
}

/// Transports with one short limit at most, shared by the cases of a test: each takes its time to make.
#[derive(Debug, Clone)]
struct Transports {
    long: Transport,
    short_first_byte: Transport,
    short_idle: Transport,
    short_after_finish: Transport,
}

impl Transports {
    fn new() -> Self {
        Self {
            long: transport(|_| {}),
            short_first_byte: transport(|limits| limits.first_byte = SHORT),
            short_idle: transport(|limits| limits.idle = SHORT),
            short_after_finish: transport(|limits| limits.after_finish = SHORT),
        }
    }
}
