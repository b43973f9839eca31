#![doc = include_str!("../README.md")]

mod env;
#[cfg(test)]
mod fake;
pub mod hedge;
pub mod quota;
mod reply;
pub mod route;
mod watch;

pub use env::{Clock, Env, Randomness, Sleep, SystemClock};
