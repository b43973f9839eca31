//! Equal requests at the same time share one call.
//!
//! The map's own `try_get_with` is not used: it panics when two hundred callers in a row are dropped while they lead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use polysight_core::{ChatResponse, Result};
use tokio::sync::OnceCell;

use super::key::Key;
use crate::sync::lock;

type Outcome = Result<Arc<ChatResponse>>;
type Flight = Arc<OnceCell<Outcome>>;

/// Calls that are under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Key, Flight>>);

impl Flights {
    /// Waits for the call of this key that is under way, or makes it. When the caller who makes it is dropped, the
    /// next one makes it.
    pub(super) async fn share(&self, key: Key, call: impl Future<Output = Outcome> + Send) -> Outcome {
        let seat = self.board(key);
        let landing = async {
            let outcome = call.await;
            // Whoever comes from now on looks into the store, and does not get this failure.
            self.land(&key, &seat.flight);
            outcome
        };
        seat.flight.get_or_init(|| landing).await.clone()
    }

    fn board(&self, key: Key) -> Seat<'_> {
        let flight = Arc::clone(self.lock().entry(key).or_default());
        Seat { flights: self, key, flight }
    }

    fn land(&self, key: &Key, flight: &Flight) {
        let mut flights = self.lock();
        if flights.get(key).is_some_and(|present| Arc::ptr_eq(present, flight)) {
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

/// One caller's part in a call. The last one out leaves nothing behind.
struct Seat<'a> {
    flights: &'a Flights,
    key: Key,
    flight: Flight,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        let is_mine = flights.get(&self.key).is_some_and(|present| Arc::ptr_eq(present, &self.flight));
        // The map's and this one; new ones are made only while the map is locked.
        if is_mine && Arc::strong_count(&self.flight) <= 2 {
            flights.remove(&self.key);
        }
    }
}
