//! The command, run as a user runs it.

mod ask;
mod configs;
mod pages;
mod program;
#[cfg(unix)]
mod servers;
