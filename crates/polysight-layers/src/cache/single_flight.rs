//! Equal requests at the same time share one call.
//!
//! The map's own `try_get_with` is not used: it panics when two hundred callers in a row are dropped while they lead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use polysight_core::{ChatResponse, Result};
use tokio::sync::OnceCell;

use super::key::Key;
use crate::lock;

type Outcome = Result<Arc<ChatResponse>>;
type Flight = Arc<OnceCell<Outcome>>;

/// Calls that are under way.
#[derive(Debug, Default)]
pub(super) struct SingleFlight(Mutex<HashMap<Key, Flight>>);

impl SingleFlight {
    /// Waits for the call of this key that is under way, or makes it. When the caller that makes it is dropped, the next one
    /// makes it.
    pub(super) async fn run(&self, key: Key, call: impl Future<Output = Outcome> + Send) -> Outcome {
        let waiter = self.join(key);
        let leading = async {
            let outcome = call.await;
            // A later caller looks into the cache, and does not get this failure.
            self.complete(&key, &waiter.flight);
            outcome
        };
        waiter.flight.get_or_init(|| leading).await.clone()
    }

    fn join(&self, key: Key) -> Waiter<'_> {
        let flight = Arc::clone(self.lock().entry(key).or_default());
        Waiter { flights: self, key, flight }
    }

    fn complete(&self, key: &Key, flight: &Flight) {
        let mut flights = self.lock();
        if flights.get(key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            flights.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        lock(&self.0)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// One caller's part in a call. The last one leaves nothing behind.
struct Waiter<'a> {
    flights: &'a SingleFlight,
    key: Key,
    flight: Flight,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        let is_mine = flights.get(&self.key).is_some_and(|current| Arc::ptr_eq(current, &self.flight));
        // The map's and this one; new ones are made only while the map is locked.
        if is_mine && Arc::strong_count(&self.flight) <= 2 {
            flights.remove(&self.key);
        }
    }
}
