//! The scripts that run as one step in the server.

use redis::Script;

use crate::rate_limit::adaptive::{CLIMB, CUT, FORGET, QUIET, STEPS};
use crate::rate_limit::local::POLL;
use crate::rate_limit::window::{MARGIN, SLOTS, micros};

/// The scripts, with the same numbers as the store of one process.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) acquire: Script,
    pub(super) release: Script,
    pub(super) record_rejection: Script,
    pub(super) renew: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let numbers = format!(
            "local SLOTS, MARGIN, POLL = {SLOTS}, {MARGIN}, {poll}\n\
             local CUT, CLIMB, STEPS, QUIET, FORGET = {CUT}, {CLIMB}, {STEPS}, {QUIET}, {FORGET}\n",
            poll = micros(POLL)
        );
        let script = |body: &str| Script::new(&[&numbers, include_str!("common.lua"), body].concat());
        Self {
            acquire: script(include_str!("acquire.lua")),
            release: script(include_str!("release.lua")),
            record_rejection: script(include_str!("record_rejection.lua")),
            renew: script(include_str!("renew.lua")),
        }
    }
}
