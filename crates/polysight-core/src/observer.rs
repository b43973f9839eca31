//! What happens to a call while it runs, for programs that show it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::Money;
use crate::{Attempt, Error, Plan, ResponseMeta};

/// One thing that happens to a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallEvent<'a> {
    /// The call begins: this is what will be sent.
    Planned(&'a Plan),
    /// An attempt failed, and the call goes on.
    AttemptFailed {
        /// The attempt.
        attempt: &'a Attempt,
        /// How long is waited before the next one; zero where another target follows immediately.
        next_in: Duration,
    },
    /// The first piece of a streamed answer is there, so long after the beginning.
    FirstDelta(Duration),
    /// The call is over.
    Ended {
        /// How it ended.
        outcome: CallOutcome<'a>,
        /// What it cost, failed attempts of known cost included; `None` where the answer's cost is unknown.
        cost: Option<Money>,
        /// How long it took.
        duration: Duration,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum CallOutcome<'a> {
    /// With an answer.
    Answered(&'a ResponseMeta),
    /// With an error.
    Failed(&'a Error),
    /// The program gave it up: it dropped the future or the stream.
    Dropped,
}

/// Sees what happens to calls. A closure that takes a [`CallEvent`] is one.
///
/// It is called within the call, so it must not block: hand the event on and return. A panic in it is caught and ends
/// nothing. Events come from layers: a provider without any has none. A request that cannot be planned has no events, since
/// its error is there immediately.
///
/// ```
/// # use polysight_core as polysight;
/// use polysight::{CallEvent, ChatRequest, Message};
///
/// let request = ChatRequest::new([Message::user("What is it?")]).with_observer(|event: &CallEvent<'_>| {
///     if let CallEvent::AttemptFailed { attempt, next_in } = event {
///         println!("{}, again in {:.0?}", attempt.kind, next_in);
///     }
/// });
/// assert_eq!(request.observers.len(), 1);
/// ```
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: &CallEvent<'_>);
}

impl<F: Fn(&CallEvent<'_>) + Send + Sync> Observer for F {
    fn on_event(&self, event: &CallEvent<'_>) {
        self(event);
    }
}

/// Observers of one call, in the order in which they are called. Cloning shares them.
#[derive(Clone, Default)]
pub struct Observers(Vec<Arc<dyn Observer>>);

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observers({})", self.0.len())
    }
}

impl Observers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one at the end.
    #[must_use]
    pub fn with(mut self, observer: Arc<dyn Observer>) -> Self {
        self.0.push(observer);
        self
    }

    /// Adds others at the end.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Shows an event to all of them. One that panics is passed over.
    pub fn emit(&self, event: &CallEvent<'_>) {
        for observer in &self.0 {
            // Whatever a panic leaves half changed is the observer's own.
            let _: std::thread::Result<()> = catch_unwind(AssertUnwindSafe(|| observer.on_event(event)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_panic_ends_nothing_and_the_next_observer_is_called() {
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&seen);
        let observers = Observers::new()
            .with(Arc::new(|_: &CallEvent<'_>| panic!("shown by the test's own output")))
            .with(Arc::new(move |_: &CallEvent<'_>| {
                counter.fetch_add(1, Ordering::SeqCst);
            }));
        observers.emit(&CallEvent::FirstDelta(Duration::ZERO));
        assert_eq!((seen.load(Ordering::SeqCst), format!("{observers:?}")), (1, "Observers(2)".to_owned()));
    }
}
