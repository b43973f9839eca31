#![doc = include_str!("../README.md")]

#[cfg(feature = "cache")]
pub mod cache;
mod env;
#[cfg(test)]
mod fake;
pub mod hedge;
mod manual;
pub mod quota;
mod reply;
mod retry;
pub mod route;
mod seconds;
mod setting;
mod time;
#[cfg(feature = "trace")]
pub mod trace;
mod watch;

pub use env::{Clock, Env, Randomness, Sleep, SystemClock};
pub use manual::ManualClock;
pub use retry::{Jitter, Retry, RetryBudget, RetryPolicy};
pub use time::{Deadline, DeadlinePolicy, Pace, PacePolicy};
