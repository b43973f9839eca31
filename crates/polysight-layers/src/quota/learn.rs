//! What a vendor's refusals teach: pure arithmetic on times and numbers.
//!
//! A refusal pauses everybody for a while and cuts the limit that was met by 30 %. After that the limit climbs by 5 %
//! of the original with each half minute without a refusal, until it is the original again. Where no original is known
//! it starts from what was seen in the last minute, climbs on, and is forgotten at twice what was seen.
//!
//! All times are shares of the store's window, here told for a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use polysight_core::RateLimitScope;

use super::store::QuotaLimits;
use super::window::micros;

/// What remains of a limit after a refusal.
pub(super) const CUT: f64 = 0.7;
/// By how much of the original it climbs with each step.
pub(super) const CLIMB: f64 = 0.05;
/// Steps in a window.
pub(super) const STEPS: u64 = 2;
/// A dozen refusals in the twelfth of a window (5 s) are one event: the calls were under way together.
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
    Burst,
}

impl Dimension {
    const ALL: [Self; 4] = [Self::Requests, Self::Tokens, Self::Concurrency, Self::Burst];

    /// What is cut when the vendor names this limit. A model that is too busy for everybody is not a limit of ours:
    /// it is only waited for.
    pub(super) fn met(throttle: Option<RateLimitScope>) -> &'static [Self] {
        match throttle {
            Some(RateLimitScope::Tokens) => &[Self::Tokens],
            Some(RateLimitScope::Concurrency) => &[Self::Concurrency],
            Some(RateLimitScope::Burst) => &[Self::Burst],
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
            Self::Burst => "burst",
        }
    }

    pub(super) fn of(self, limits: &QuotaLimits) -> Option<u64> {
        match self {
            Self::Requests => limits.requests,
            Self::Tokens => limits.tokens,
            Self::Concurrency => limits.concurrency,
            Self::Burst => limits.burst,
        }
    }

    fn set(self, limits: &mut QuotaLimits, value: Option<u64>) {
        match self {
            Self::Requests => limits.requests = value,
            Self::Tokens => limits.tokens = value,
            Self::Concurrency => limits.concurrency = value,
            Self::Burst => limits.burst = value,
        }
    }

    /// Least that an unknown limit is taken for: a first call that is refused since others use the account too would
    /// otherwise teach one request a minute.
    pub(super) fn least(self) -> u64 {
        match self {
            Self::Requests => 10,
            Self::Tokens => 10_000,
            Self::Concurrency | Self::Burst => 1,
        }
    }
}

/// How long everybody stays away after a refusal: as the vendor asks, at most two minutes; else a second, or ten where
/// the limit's window lasts minutes.
pub(super) fn pause(met: Option<RateLimitScope>, asked: Option<Duration>, window: Duration) -> Duration {
    let share = if met.is_some_and(RateLimitScope::lasts_minutes) { 6 } else { 60 };
    asked.unwrap_or(window / share).min(MAX_PAUSE)
}

/// One limit as the last refusal left it.
#[derive(Debug, Clone, Copy)]
struct Lesson {
    value: f64,
    base: f64,
    known: bool,
    at: u64,
}

impl Lesson {
    fn present(&self, now: u64, step: u64) -> Option<f64> {
        let steps = now.saturating_sub(self.at) / step;
        let grown = self.value + steps as f64 * CLIMB * self.base;
        let end = if self.known { self.base } else { self.base * FORGET };
        (grown < end).then_some(grown)
    }
}

/// Everything that refusals have taught about one key.
#[derive(Debug)]
pub(super) struct Lessons {
    window: Duration,
    learnt: BTreeMap<Dimension, Lesson>,
    paused_until: u64,
    met: RateLimitScope,
}

impl Lessons {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, learnt: BTreeMap::new(), paused_until: 0, met: RateLimitScope::Requests }
    }

    /// How long everybody has to stay away, and since what was met.
    pub(super) fn pause(&self, now: u64) -> Option<(u64, RateLimitScope)> {
        (self.paused_until > now).then(|| (self.paused_until - now, self.met))
    }

    /// The limits that hold at this moment.
    pub(super) fn limits(&self, limits: &QuotaLimits, now: u64) -> QuotaLimits {
        let mut present = *limits;
        for dimension in Dimension::ALL {
            if let Some(learnt) = self.present(dimension, now) {
                // Limits are far below 2^53.
                let learnt = (learnt as u64).max(1);
                let value = dimension.of(limits).map_or(learnt, |limit| limit.min(learnt));
                dimension.set(&mut present, Some(value));
            }
        }
        present
    }

    /// Learns from a refusal; `seen` are the requests, tokens and calls at once of this moment.
    pub(super) fn refused(
        &mut self,
        now: u64,
        limits: &QuotaLimits,
        seen: &QuotaLimits,
        met: Option<RateLimitScope>,
        asked: Option<Duration>,
    ) {
        let until = now.saturating_add(micros(pause(met, asked, self.window)));
        if until > self.paused_until {
            self.paused_until = until;
            self.met = met.unwrap_or(RateLimitScope::Requests);
        }
        for dimension in Dimension::met(met) {
            self.cut(*dimension, now, limits, seen);
        }
    }

    fn cut(&mut self, dimension: Dimension, now: u64, limits: &QuotaLimits, seen: &QuotaLimits) {
        let quiet = micros(self.window) / QUIET;
        let earlier = self.learnt.get(&dimension).copied();
        if earlier.is_some_and(|lesson| now.saturating_sub(lesson.at) < quiet) {
            return;
        }
        let present = self.present(dimension, now);
        let limit = dimension.of(limits).map(|limit| limit as f64);
        let seen = dimension.of(seen).unwrap_or(0).max(dimension.least()) as f64;
        let base = limit.unwrap_or(match (earlier, present) {
            (Some(lesson), Some(_)) => lesson.base,
            _ => seen,
        });
        let value = (present.unwrap_or(base).min(base) * CUT).max(1.0);
        self.learnt.insert(dimension, Lesson { value, base, known: limit.is_some(), at: now });
    }

    /// True when nothing is known any more that would be lost.
    pub(super) fn is_blank(&self, now: u64) -> bool {
        self.pause(now).is_none()
            && Dimension::ALL.iter().all(|dimension| self.present(*dimension, now).is_none())
    }

    fn present(&self, dimension: Dimension, now: u64) -> Option<f64> {
        self.learnt.get(&dimension)?.present(now, (micros(self.window) / STEPS).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seconds(seconds: u64) -> u64 {
        seconds * 1_000_000
    }

    fn limits() -> QuotaLimits {
        QuotaLimits::default().with_requests(100).with_concurrency(10)
    }

    fn requests_at(lessons: &Lessons, limits: &QuotaLimits, times: &[u64]) -> Vec<Option<u64>> {
        times.iter().map(|at| lessons.limits(limits, seconds(*at)).requests).collect()
    }

    #[test]
    fn a_known_limit_is_cut_by_three_tenths_and_climbs_back_by_a_twentieth_each_half_minute() {
        let mut lessons = Lessons::new(MINUTE);
        lessons.refused(seconds(0), &limits(), &limits(), Some(RateLimitScope::Requests), None);
        let table = requests_at(&lessons, &limits(), &[0, 29, 30, 60, 90, 120, 150, 179, 180, 600]);
        assert_eq!(table, [70, 70, 75, 80, 85, 90, 95, 95, 100, 100].map(Some));
        assert!(!lessons.is_blank(seconds(179)) && lessons.is_blank(seconds(180)));
    }

    #[test]
    fn a_burst_of_refusals_is_one_event_and_a_later_one_cuts_again() {
        let mut lessons = Lessons::new(MINUTE);
        for at in [0, 1, 2, 4] {
            lessons.refused(seconds(at), &limits(), &limits(), None, None);
        }
        assert_eq!(requests_at(&lessons, &limits(), &[4]), [Some(70)]);
        lessons.refused(seconds(5), &limits(), &limits(), None, None);
        assert_eq!(requests_at(&lessons, &limits(), &[5, 35]), [Some(49), Some(54)]);
    }

    #[test]
    fn an_unknown_limit_starts_from_what_was_seen_and_is_forgotten_when_that_has_doubled() {
        let mut lessons = Lessons::new(MINUTE);
        let none = QuotaLimits::default();
        lessons.refused(0, &none, &QuotaLimits::default().with_requests(40), None, None);
        // 28 of 40, and two more each half minute, up to below 80.
        let table = requests_at(&lessons, &none, &[0, 30, 180, 750, 780]);
        assert_eq!(table, [Some(28), Some(30), Some(40), Some(78), None]);
    }

    #[test]
    fn a_first_refused_call_does_not_teach_one_request_a_minute() {
        let mut lessons = Lessons::new(MINUTE);
        let none = QuotaLimits::default();
        lessons.refused(0, &none, &QuotaLimits::default().with_requests(1), None, None);
        assert_eq!(lessons.limits(&none, 1).requests, Some(7));
    }

    #[test]
    fn never_cuts_below_one() {
        let mut lessons = Lessons::new(MINUTE);
        for event in 0..40 {
            lessons.refused(seconds(event * 5), &limits(), &limits(), Some(RateLimitScope::Account), None);
        }
        let present = lessons.limits(&limits(), seconds(195));
        assert_eq!((present.requests, present.concurrency), (Some(1), Some(1)));
    }

    #[test]
    fn each_throttle_cuts_what_it_names() {
        let cuts = |met| {
            let mut lessons = Lessons::new(MINUTE);
            let limits = limits().with_tokens(1_000).with_burst(10);
            lessons.refused(0, &limits, &limits, met, None);
            let now = lessons.limits(&limits, 0);
            [now.requests, now.tokens, now.concurrency, now.burst].map(Option::unwrap)
        };
        assert_eq!(cuts(None), [70, 1_000, 10, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Requests)), [70, 1_000, 10, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Tokens)), [100, 700, 10, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Concurrency)), [100, 1_000, 7, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Burst)), [100, 1_000, 10, 7]);
        assert_eq!(cuts(Some(RateLimitScope::Account)), [70, 1_000, 7, 10]);
        assert_eq!(cuts(Some(RateLimitScope::Model)), [100, 1_000, 10, 10]);
    }

    #[test]
    fn everybody_pauses_as_long_as_the_vendor_asks_but_not_for_ever() {
        let told = |met, asked| {
            let mut lessons = Lessons::new(MINUTE);
            lessons.refused(0, &limits(), &limits(), met, asked);
            lessons.pause(0).unwrap().0
        };
        assert_eq!(told(None, Some(Duration::from_secs(7))), seconds(7));
        assert_eq!(told(None, Some(Duration::from_secs(86_400))), seconds(120));
        assert_eq!(told(None, None), seconds(1));
        assert_eq!(told(Some(RateLimitScope::Account), None), seconds(10));

        let mut lessons = Lessons::new(MINUTE);
        lessons.refused(0, &limits(), &limits(), Some(RateLimitScope::Tokens), Some(Duration::from_secs(9)));
        lessons.refused(seconds(1), &limits(), &limits(), None, None);
        assert_eq!(
            lessons.pause(seconds(2)),
            Some((seconds(7), RateLimitScope::Tokens)),
            "the longer one holds"
        );
        assert_eq!(lessons.pause(seconds(9)), None);
    }
}
