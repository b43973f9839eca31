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
mod stack;
mod switch;
mod sync;
mod time;
#[cfg(feature = "trace")]
pub mod trace;
mod watch;

#[cfg(feature = "cache")]
pub use cache::{Cache, CachePolicy};
pub use env::{Clock, Env, Randomness, Sleep, SystemClock};
pub use hedge::{Hedge, HedgePolicy};
pub use manual::ManualClock;
pub use quota::{Quota, QuotaPolicy};
pub use retry::{Jitter, Retry, RetryBudget, RetryPolicy};
pub use route::{BreakerPolicy, KeyPool, KeyPoolPolicy, Route, RoutePolicy, Target};
pub use stack::Stack;
pub use time::{Deadline, DeadlinePolicy, Pace, PacePolicy};
#[cfg(feature = "trace")]
pub use trace::{Trace, TracePolicy};
