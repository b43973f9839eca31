//! Limits of time for any provider: the whole call's, and how fast a stream must come.

mod deadline;
mod pace;

use std::time::{Duration, Instant};

pub(crate) use self::deadline::ended_by;
pub use self::deadline::{Deadline, DeadlinePolicy};
pub use self::pace::{Pace, PacePolicy};
use crate::Env;
use crate::sync::{First, first};

/// The moment that is so far away; `None` when no clock will ever show it.
pub(crate) fn moment_in(env: &Env, time: Duration) -> Option<Instant> {
    env.now().checked_add(time)
}

/// What comes out of some work, or `None` when it is not done by `end`. The work is dropped then.
pub(crate) async fn done_by<T: Send>(
    env: &Env,
    end: Instant,
    work: impl Future<Output = T> + Send,
) -> Option<T> {
    match first(work, env.sleep(end.saturating_duration_since(env.now()))).await {
        First::One(done) => Some(done),
        First::Other(()) => None,
    }
}
