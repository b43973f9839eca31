//! A sliding window of counts in constant memory.

use std::collections::VecDeque;
use std::time::Duration;

/// Slots of a window: seconds of a minute.
pub(super) const SLOTS: u64 = 60;

/// A slot that counts longer than it must: what was granted here in one window may arrive at the vendor in the next, when
/// an earlier call was long on its way and a later one was not.
pub(super) const MARGIN: u64 = 1;
const COUNTED: u64 = SLOTS + MARGIN;

/// Counts in slots of time. A slot counts until all of it is older than the window by a slot, so a limit that is held
/// against the total is never exceeded in any window, wherever that begins, not even by a count of calls that arrive up to a
/// slot late; the price is a wait of up to two slots more.
///
/// Times are microseconds since any moment, and never go back.
#[derive(Debug)]
pub(super) struct Window {
    slot: u64,
    counts: VecDeque<(u64, u64)>,
}

impl Window {
    /// A window of this length.
    pub(super) fn new(length: Duration) -> Self {
        Self { slot: micros(length).div_ceil(SLOTS).max(1), counts: VecDeque::new() }
    }

    /// What is counted at this moment.
    pub(super) fn total(&mut self, now: u64) -> u64 {
        let present = now / self.slot;
        while self.counts.front().is_some_and(|(slot, _)| slot + COUNTED < present) {
            self.counts.pop_front();
        }
        self.counts.iter().fold(0, |total, (_, count)| total.saturating_add(*count))
    }

    /// Counts more, and gives the slot.
    pub(super) fn add(&mut self, now: u64, count: u64) -> u64 {
        let present = now / self.slot;
        match self.counts.back_mut().filter(|(slot, _)| *slot == present) {
            Some((_, total)) => *total = total.saturating_add(count),
            None => self.counts.push_back((present, count)),
        }
        present
    }

    /// Takes back what was counted too much in a slot, where that still counts.
    pub(super) fn take_back(&mut self, slot: u64, count: u64) {
        if let Some((_, total)) = self.counts.iter_mut().find(|(index, _)| *index == slot) {
            *total = total.saturating_sub(count);
        }
    }

    /// How long until `need` more fit below the limit; `None`: they fit now.
    pub(super) fn wait(&mut self, now: u64, limit: u64, need: u64) -> Option<u64> {
        let mut total = self.total(now);
        if total.saturating_add(need) <= limit {
            return None;
        }
        for (slot, count) in &self.counts {
            total = total.saturating_sub(*count);
            if total.saturating_add(need) <= limit {
                return Some((slot + COUNTED + 1).saturating_mul(self.slot).saturating_sub(now));
            }
        }
        Some((COUNTED + 1).saturating_mul(self.slot))
    }
}

/// Microseconds of a duration.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn no_window_of_a_minute_holds_more_than_the_limit_whatever_the_arrivals() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let limit = random.u64(1..200);
            let pace = random.u64(1_000..20_000_000);
            let mut window = Window::new(MINUTE);
            let mut granted: VecDeque<(u64, u64)> = VecDeque::new();
            let mut now = random.u64(0..10_000_000);
            for _ in 0..4_000 {
                now += random.u64(0..pace);
                let need = random.u64(1..=limit.min(9));
                match window.wait(now, limit, need) {
                    // A call that comes back in time is let in, if no other came before.
                    Some(wait) if random.bool() => {
                        now += wait;
                        assert_eq!(window.wait(now, limit, need), None, "seed {seed}");
                    }
                    Some(_) => continue,
                    None => {}
                }
                window.add(now, need);
                granted.push_back((now, need));
                while granted.front().is_some_and(|(at, _)| at + micros(MINUTE) < now) {
                    granted.pop_front();
                }
                let last_minute: u64 = granted.iter().map(|(_, count)| count).sum();
                assert!(last_minute <= limit, "seed {seed}: {last_minute} of {limit} at {now}");
            }
            assert!(window.counts.len() <= SLOTS as usize + 2, "{}", window.counts.len());
        }
    }

    #[test]
    fn a_slot_is_given_back_when_all_of_it_is_older_than_the_window_and_a_slot() {
        let mut window = Window::new(MINUTE);
        window.add(1_999_999, 1);
        assert_eq!(window.wait(30_000_000, 1, 1), Some(33_000_000));
        assert_eq!((window.total(62_999_999), window.total(63_000_000)), (1, 0));
    }

    #[test]
    fn what_was_reserved_too_much_comes_back_at_once() {
        let mut window = Window::new(MINUTE);
        let slot = window.add(0, 100);
        window.take_back(slot, 90);
        window.take_back(slot + 5, 90);
        assert_eq!((window.wait(1, 100, 90), window.total(1)), (None, 10));
    }
}
