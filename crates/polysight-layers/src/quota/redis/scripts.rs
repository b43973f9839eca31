//! The scripts that run as one step in the server.

use redis::Script;

use crate::quota::learn::{CLIMB, CUT, FORGET, QUIET, STEPS};
use crate::quota::meter::POLL;
use crate::quota::window::{FINE_SLOTS, MARGIN, SLOTS, micros};

/// The scripts, with the same numbers as the store of one process.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) take: Script,
    pub(super) settle: Script,
    pub(super) throttled: Script,
    pub(super) renew: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let numbers = format!(
            "local SLOTS, FINE_SLOTS, MARGIN, POLL = {SLOTS}, {FINE_SLOTS}, {MARGIN}, {poll}\n\
             local CUT, CLIMB, STEPS, QUIET, FORGET = {CUT}, {CLIMB}, {STEPS}, {QUIET}, {FORGET}\n",
            poll = micros(POLL)
        );
        let script = |body: &str| Script::new(&[&numbers, include_str!("common.lua"), body].concat());
        Self {
            take: script(include_str!("take.lua")),
            settle: script(include_str!("settle.lua")),
            throttled: script(include_str!("throttled.lua")),
            renew: script(include_str!("renew.lua")),
        }
    }
}
