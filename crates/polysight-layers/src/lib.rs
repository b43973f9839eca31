#![doc = include_str!("../README.md")]

#[cfg(feature = "cache")]
pub mod cache;
mod env;
#[cfg(test)]
mod fake;
pub mod quota;
#[cfg(feature = "trace")]
pub mod trace;
mod watch;

pub use env::{Clock, Env, Randomness, SystemClock};
