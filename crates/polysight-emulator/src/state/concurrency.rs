//! How much arrives: requests at once, requests in any window, and what is allowed of both.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lock;

/// The load of an emulator since it was started; see [`Emulator::load`](crate::Emulator::load).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Load {
    /// Chat requests that arrived.
    pub requests: u64,
    /// Those that met a fault, by script, by header or at random.
    pub faulty: u64,
    /// Those that were over [`max_in_flight`](crate::EmulatorBuilder::max_in_flight) or
    /// [`max_requests`](crate::EmulatorBuilder::max_requests).
    pub over_limit: u64,
    /// Chat requests that are being answered now.
    pub in_flight: usize,
    /// Most of them at once.
    pub most_in_flight: usize,
    /// Most that arrived within the window of [`max_requests`](crate::EmulatorBuilder::max_requests), wherever it begins;
    /// without one, within a minute.
    pub most_in_window: usize,
    /// Prompt tokens of all answers, as their usage says.
    pub input_tokens: u64,
    /// Answer tokens of all answers, as their usage says.
    pub output_tokens: u64,
    /// Connections that are open now.
    pub connections: usize,
    /// Most of them at once.
    pub most_connections: usize,
}

/// What is allowed. `None` is without limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    pub(crate) in_flight: Option<usize>,
    pub(crate) in_window: Option<usize>,
    pub(crate) window: Duration,
}

impl Default for Allowed {
    fn default() -> Self {
        Self { in_flight: None, in_window: None, window: Duration::from_secs(60) }
    }
}

/// Counts chat requests and connections.
#[derive(Clone, Default)]
pub(crate) struct Concurrency(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    load: Load,
    arrivals: VecDeque<Instant>,
}

/// A request that is being answered; it leaves when dropped.
pub(crate) struct InFlight {
    concurrency: Concurrency,
    /// Whether it is one too many.
    pub(crate) over_limit: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.concurrency.0).load.in_flight -= 1;
    }
}

/// An open connection; closed when dropped.
pub(crate) struct Connection(Concurrency);

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.0.0).load.connections -= 1;
    }
}

impl Concurrency {
    pub(crate) fn load(&self) -> Load {
        lock(&self.0).load
    }

    pub(crate) fn arrive(&self, allowed: &Allowed, faulty: bool, now: Instant) -> InFlight {
        let mut counts = lock(&self.0);
        let Counts { load, arrivals } = &mut *counts;
        arrivals.push_back(now);
        while arrivals.front().is_some_and(|first| now.saturating_duration_since(*first) >= allowed.window) {
            arrivals.pop_front();
        }
        load.requests += 1;
        load.faulty += u64::from(faulty);
        load.in_flight += 1;
        load.most_in_flight = load.most_in_flight.max(load.in_flight);
        load.most_in_window = load.most_in_window.max(arrivals.len());
        let over = |count: usize, most: Option<usize>| most.is_some_and(|most| count > most);
        let over_limit = over(load.in_flight, allowed.in_flight) || over(arrivals.len(), allowed.in_window);
        load.over_limit += u64::from(over_limit);
        InFlight { concurrency: self.clone(), over_limit }
    }

    /// Counts the tokens of an answer.
    pub(crate) fn answer(&self, input_tokens: u64, output_tokens: u64) {
        let load = &mut lock(&self.0).load;
        load.input_tokens += input_tokens;
        load.output_tokens += output_tokens;
    }

    pub(crate) fn connect(&self) -> Connection {
        let mut counts = lock(&self.0);
        counts.load.connections += 1;
        counts.load.most_connections = counts.load.most_connections.max(counts.load.connections);
        Connection(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_in_flight_and_what_came_within_a_window() {
        let (concurrency, start) = (Concurrency::default(), Instant::now());
        let allowed = Allowed { in_flight: Some(2), in_window: Some(3), window: Duration::from_secs(10) };
        let arrive = |second| concurrency.arrive(&allowed, false, start + Duration::from_secs(second));
        let (first, second) = (arrive(0), arrive(1));
        assert!(!first.over_limit && !second.over_limit);
        assert!(arrive(2).over_limit, "three at once");
        drop((first, second));
        assert!(arrive(9).over_limit, "four within ten seconds");
        assert!(!arrive(12).over_limit, "two of them are too long ago");
        let load = concurrency.load();
        assert_eq!((load.requests, load.over_limit, load.in_flight), (5, 2, 0));
        assert_eq!((load.most_in_flight, load.most_in_window), (3, 4));
    }

    #[test]
    fn counts_connections() {
        let concurrency = Concurrency::default();
        let open = (concurrency.connect(), concurrency.connect());
        drop(open);
        let load = concurrency.load();
        assert_eq!((load.connections, load.most_connections), (0, 2));
    }
}
