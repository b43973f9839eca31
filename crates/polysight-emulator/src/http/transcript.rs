//! The steps by which a reply goes out on a socket.

use std::time::Duration;

/// What the server does with the socket to deliver a reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Write(Vec<u8>),
    /// Writes bytes this many at a time, and lets other tasks run after each write.
    WriteSplit {
        bytes: Vec<u8>,
        length: usize,
    },
    /// Writes the same bytes again and again.
    Repeat {
        unit: Vec<u8>,
        times: u64,
    },
    /// Waits.
    Pause(Duration),
    /// Sends nothing more until the client goes away.
    Stall,
}

/// What becomes of the connection after the steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    KeepAlive,
    /// An orderly end (FIN).
    Close,
    /// A reset (RST).
    Reset,
}

/// A reply as the socket will see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transcript {
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
}
