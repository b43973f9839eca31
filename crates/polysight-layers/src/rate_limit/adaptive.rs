//! Limits learned from a vendor's rejections (additive increase, multiplicative decrease): pure arithmetic on times and
//! numbers.
//!
//! A rejection pauses all calls for a while and cuts the limit that was met by 30 %. After that the limit climbs by 5 % of
//! the original with each half minute without a rejection, until it is the original again. Where no original is known it
//! starts from what was seen in the last minute, climbs on, and is forgotten at twice what was seen.
//!
//! All times are shares of the store's window, here given for a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use polysight_core::RateLimitScope;

use super::store::Limits;
use super::window::micros;

/// What remains of a limit after a rejection.
pub(super) const CUT: f64 = 0.7;
/// By how much of the original it climbs with each step.
pub(super) const CLIMB: f64 = 0.05;
/// Steps in a window.
pub(super) const STEPS: u64 = 2;
/// Rejections within the twelfth of a window (5 s) are one event: the calls were under way together.
pub(super) const QUIET: u64 = 12;
/// An unknown limit is forgotten at so many times what was seen.
pub(super) const FORGET: f64 = 2.0;
/// Longest pause, whatever the vendor asks for.
const MAX_PAUSE: Duration = Duration::from_secs(120);

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    Requests,
    Tokens,
    Concurrency,
}

impl Dimension {
    const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Concurrency];

    /// What is cut when the vendor names this limit. A model that is too busy for all accounts is no limit of this one: it is
    /// only waited for.
    pub(super) fn met(scope: Option<RateLimitScope>) -> &'static [Self] {
        match scope {
            Some(RateLimitScope::Tokens) => &[Self::Tokens],
            Some(RateLimitScope::Concurrency) => &[Self::Concurrency],
            Some(RateLimitScope::Account) => &[Self::Requests, Self::Concurrency],
            Some(RateLimitScope::Model) => &[],
            _ => &[Self::Requests],
        }
    }

    /// Its name in a shared store.
    #[cfg(feature = "redis")]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrency => "concurrency",
        }
    }

    pub(super) fn of(self, limits: &Limits) -> Option<u64> {
        match self {
            Self::Requests => limits.requests,
            Self::Tokens => limits.tokens,
            Self::Concurrency => limits.concurrency,
        }
    }

    fn set(self, limits: &mut Limits, value: u64) {
        let limit = match self {
            Self::Requests => &mut limits.requests,
            Self::Tokens => &mut limits.tokens,
            Self::Concurrency => &mut limits.concurrency,
        };
        *limit = Some(value);
    }

    /// Least that an unknown limit is taken for: a first call that is rejected since others use the account too would
    /// otherwise teach one request a minute.
    pub(super) fn least(self) -> u64 {
        match self {
            Self::Requests => 10,
            Self::Tokens => 10_000,
            Self::Concurrency => 1,
        }
    }
}

/// How long all calls pause after a rejection: as long as its cause lasts, at most two minutes; a second where that is
/// unknown.
pub(super) fn pause(wait: Option<Duration>, window: Duration) -> Duration {
    wait.unwrap_or(window / 60).min(MAX_PAUSE)
}

/// One limit as the last rejection left it.
#[derive(Debug, Clone, Copy)]
struct AdaptiveLimit {
    value: f64,
    base: f64,
    known: bool,
    at: u64,
}

impl AdaptiveLimit {
    fn current(&self, now: u64, step: u64) -> Option<f64> {
        let steps = now.saturating_sub(self.at) / step;
        let grown = self.value + steps as f64 * CLIMB * self.base;
        let end = if self.known { self.base } else { self.base * FORGET };
        (grown < end).then_some(grown)
    }
}

/// Everything that rejections have taught about one key.
#[derive(Debug)]
pub(super) struct AdaptiveLimits {
    window: Duration,
    learned: BTreeMap<Dimension, AdaptiveLimit>,
    paused_until: u64,
    scope: RateLimitScope,
}

impl AdaptiveLimits {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, learned: BTreeMap::new(), paused_until: 0, scope: RateLimitScope::Requests }
    }

    /// How long all calls have to pause, and since which limit was met.
    pub(super) fn pause(&self, now: u64) -> Option<(u64, RateLimitScope)> {
        (self.paused_until > now).then(|| (self.paused_until - now, self.scope))
    }

    /// The limits that hold at this moment.
    pub(super) fn limits(&self, limits: &Limits, now: u64) -> Limits {
        let mut current = *limits;
        for dimension in Dimension::ALL {
            if let Some(learned) = self.current(dimension, now) {
                // Limits are far below 2^53.
                let learned = (learned as u64).max(1);
                dimension.set(&mut current, dimension.of(limits).map_or(learned, |limit| limit.min(learned)));
            }
        }
        current
    }

    /// Learns from a rejection; `seen` are the requests, tokens and concurrent requests of this moment.
    pub(super) fn on_rejection(
        &mut self,
        now: u64,
        limits: &Limits,
        seen: &Limits,
        scope: Option<RateLimitScope>,
        wait: Option<Duration>,
    ) {
        let until = now.saturating_add(micros(pause(wait, self.window)));
        if until > self.paused_until {
            self.paused_until = until;
            self.scope = scope.unwrap_or(RateLimitScope::Requests);
        }
        for dimension in Dimension::met(scope) {
            self.decrease(*dimension, now, limits, seen);
        }
    }

    fn decrease(&mut self, dimension: Dimension, now: u64, limits: &Limits, seen: &Limits) {
        let quiet = micros(self.window) / QUIET;
        let earlier = self.learned.get(&dimension).copied();
        if earlier.is_some_and(|learned| now.saturating_sub(learned.at) < quiet) {
            return;
        }
        let current = self.current(dimension, now);
        let limit = dimension.of(limits).map(|limit| limit as f64);
        let seen = dimension.of(seen).unwrap_or(0).max(dimension.least()) as f64;
        let base = limit.unwrap_or(match (earlier, current) {
            (Some(learned), Some(_)) => learned.base,
            _ => seen,
        });
        let value = (current.unwrap_or(base).min(base) * CUT).max(1.0);
        self.learned.insert(dimension, AdaptiveLimit { value, base, known: limit.is_some(), at: now });
    }

    /// True when nothing learned holds any more.
    pub(super) fn is_default(&self, now: u64) -> bool {
        self.pause(now).is_none()
            && Dimension::ALL.iter().all(|dimension| self.current(*dimension, now).is_none())
    }

    fn current(&self, dimension: Dimension, now: u64) -> Option<f64> {
        self.learned.get(&dimension)?.current(now, (micros(self.window) / STEPS).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seconds(seconds: u64) -> u64 {
        seconds * 1_000_000
    }

    fn limits() -> Limits {
        Limits { requests: Some(100), concurrency: Some(10), ..Limits::default() }
    }

    fn seen(requests: u64) -> Limits {
        Limits { requests: Some(requests), ..Limits::default() }
    }

    fn requests_at(learned: &AdaptiveLimits, limits: &Limits, times: &[u64]) -> Vec<Option<u64>> {
        times.iter().map(|at| learned.limits(limits, seconds(*at)).requests).collect()
    }

    #[test]
    fn a_known_limit_is_cut_by_three_tenths_and_climbs_back_by_a_twentieth_each_half_minute() {
        let mut learned = AdaptiveLimits::new(MINUTE);
        learned.on_rejection(seconds(0), &limits(), &limits(), Some(RateLimitScope::Requests), None);
        let table = requests_at(&learned, &limits(), &[0, 29, 30, 60, 90, 120, 150, 179, 180, 600]);
        assert_eq!(table, [70, 70, 75, 80, 85, 90, 95, 95, 100, 100].map(Some));
        assert!(!learned.is_default(seconds(179)) && learned.is_default(seconds(180)));
    }

    #[test]
    fn many_rejections_within_seconds_are_one_event_and_a_later_one_cuts_again() {
        let mut learned = AdaptiveLimits::new(MINUTE);
        for at in [0, 1, 2, 4] {
            learned.on_rejection(seconds(at), &limits(), &limits(), None, None);
        }
        assert_eq!(requests_at(&learned, &limits(), &[4]), [Some(70)]);
        learned.on_rejection(seconds(5), &limits(), &limits(), None, None);
        assert_eq!(requests_at(&learned, &limits(), &[5, 35]), [Some(49), Some(54)]);
    }

    #[test]
    fn an_unknown_limit_starts_from_what_was_seen_and_is_forgotten_when_that_has_doubled() {
        let mut learned = AdaptiveLimits::new(MINUTE);
        let none = Limits::default();
        learned.on_rejection(0, &none, &seen(40), None, None);
        // 28 of 40, and two more each half minute, up to below 80.
        let table = requests_at(&learned, &none, &[0, 30, 180, 750, 780]);
        assert_eq!(table, [Some(28), Some(30), Some(40), Some(78), None]);
    }

    #[test]
    fn a_first_rejected_call_does_not_teach_one_request_a_minute() {
        let mut learned = AdaptiveLimits::new(MINUTE);
        learned.on_rejection(0, &Limits::default(), &seen(1), None, None);
        assert_eq!(learned.limits(&Limits::default(), 1).requests, Some(7));
    }

    #[test]
    fn never_cuts_below_one() {
        let mut learned = AdaptiveLimits::new(MINUTE);
        for event in 0..40 {
            learned.on_rejection(
                seconds(event * 5),
                &limits(),
                &limits(),
                Some(RateLimitScope::Account),
                None,
            );
        }
        let current = learned.limits(&limits(), seconds(195));
        assert_eq!((current.requests, current.concurrency), (Some(1), Some(1)));
    }

    #[test]
    fn each_rejection_cuts_the_limit_that_it_names() {
        let cuts = |scope| {
            let mut learned = AdaptiveLimits::new(MINUTE);
            let limits = Limits { tokens: Some(1_000), ..limits() };
            learned.on_rejection(0, &limits, &limits, scope, None);
            let now = learned.limits(&limits, 0);
            [now.requests, now.tokens, now.concurrency].map(Option::unwrap)
        };
        assert_eq!(cuts(None), [70, 1_000, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Requests)), [70, 1_000, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Burst)), [70, 1_000, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Tokens)), [100, 700, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Concurrency)), [100, 1_000, 7]);
        assert_eq!(cuts(Some(RateLimitScope::Account)), [70, 1_000, 7]);
        assert_eq!(cuts(Some(RateLimitScope::Model)), [100, 1_000, 10]);
    }

    #[test]
    fn all_calls_pause_as_long_as_the_vendor_asks_but_not_for_ever() {
        let pause = |wait| {
            let mut learned = AdaptiveLimits::new(MINUTE);
            learned.on_rejection(0, &limits(), &limits(), None, wait);
            learned.pause(0).unwrap().0
        };
        assert_eq!(pause(Some(Duration::from_secs(7))), seconds(7));
        assert_eq!(pause(Some(Duration::from_secs(86_400))), seconds(120));
        assert_eq!(pause(None), seconds(1));

        let mut learned = AdaptiveLimits::new(MINUTE);
        let tokens = Some(RateLimitScope::Tokens);
        learned.on_rejection(0, &limits(), &limits(), tokens, Some(Duration::from_secs(9)));
        learned.on_rejection(seconds(1), &limits(), &limits(), None, None);
        let longer = Some((seconds(7), RateLimitScope::Tokens));
        assert_eq!(learned.pause(seconds(2)), longer, "the longer one holds");
        assert_eq!(learned.pause(seconds(9)), None);
    }
}
