//! The counts of one key in this process, told the time by the caller.

use std::collections::HashMap;
use std::time::Duration;

use polysight_core::RateLimitScope;

use super::learn::Lessons;
use super::store::{Grant, Lease, QuotaLimits};
use super::window::{FINE_SLOTS, SLOTS, Window, micros};

/// How soon it is worth asking again for one of the calls at once: nobody can tell when a call will end.
pub(super) const POLL: Duration = Duration::from_millis(100);

/// Requests, tokens, calls at once and what was learnt of one key.
#[derive(Debug)]
pub(super) struct Meter {
    requests: Window,
    tokens: Window,
    burst: Window,
    places: HashMap<String, Place>,
    lessons: Lessons,
    last_used: u64,
}

/// Where a call's tokens are counted.
#[derive(Debug)]
struct Place {
    slot: u64,
    tokens: u64,
}

impl Meter {
    pub(super) fn new(window: Duration) -> Self {
        Self {
            requests: Window::new(window, SLOTS),
            tokens: Window::new(window, SLOTS),
            burst: Window::new(window / SLOTS as u32, FINE_SLOTS),
            places: HashMap::new(),
            lessons: Lessons::new(window),
            last_used: 0,
        }
    }

    pub(super) fn take(&mut self, now: u64, limits: &QuotaLimits, lease: &Lease) -> Grant {
        self.last_used = now;
        if self.places.contains_key(&lease.id) {
            return Grant::Granted;
        }
        let limits = self.lessons.limits(limits, now);
        let tokens = limits.tokens.map_or(lease.tokens, |limit| lease.tokens.min(limit));
        if let Some((wait, limit)) = self.longest_wait(now, &limits, tokens) {
            return Grant::Wait { after: Duration::from_micros(wait), limit };
        }
        self.requests.add(now, 1);
        self.burst.add(now, 1);
        let slot = self.tokens.add(now, tokens);
        self.places.insert(lease.id.clone(), Place { slot, tokens });
        Grant::Granted
    }

    fn longest_wait(&mut self, now: u64, limits: &QuotaLimits, tokens: u64) -> Option<(u64, RateLimitScope)> {
        let full = limits.concurrency.filter(|limit| self.places.len() as u64 >= *limit);
        let fits = |window: &mut Window, limit: Option<u64>, need, throttle| {
            limit.and_then(|limit| window.wait(now, limit, need)).map(|wait| (wait, throttle))
        };
        let waits = [
            self.lessons.pause(now),
            fits(&mut self.requests, limits.requests, 1, RateLimitScope::Requests),
            fits(&mut self.tokens, limits.tokens, tokens, RateLimitScope::Tokens),
            fits(&mut self.burst, limits.burst, 1, RateLimitScope::Burst),
            full.map(|_| (micros(POLL), RateLimitScope::Concurrency)),
        ];
        waits.into_iter().flatten().max_by_key(|(wait, _)| *wait)
    }

    pub(super) fn settle(&mut self, now: u64, lease: &Lease, used: Option<u64>) {
        self.last_used = now;
        let Some(place) = self.places.remove(&lease.id) else { return };
        let used = used.unwrap_or(place.tokens);
        if used > place.tokens {
            self.tokens.add(now, used - place.tokens);
        } else {
            self.tokens.take_back(place.slot, place.tokens - used);
        }
    }

    pub(super) fn throttled(
        &mut self,
        now: u64,
        limits: &QuotaLimits,
        met: Option<RateLimitScope>,
        pause: Option<Duration>,
    ) {
        self.last_used = now;
        let seen = QuotaLimits::default()
            .with_requests(self.requests.total(now))
            .with_tokens(self.tokens.total(now))
            .with_concurrency(self.places.len() as u64)
            .with_burst(self.burst.total(now));
        self.lessons.refused(now, limits, &seen, met, pause);
    }

    /// True when nobody has asked for so long and nothing would be lost with it.
    pub(super) fn is_idle(&self, now: u64, patience: u64) -> bool {
        now.saturating_sub(self.last_used) > patience && self.places.is_empty() && self.lessons.is_blank(now)
    }
}
