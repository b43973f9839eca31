//! How much of a stream came in how long: arithmetic without a clock.

use std::collections::VecDeque;
use std::time::Duration;

use polysight_core::{Error, ErrorKind, StreamEvent, TimeoutPhase};

use super::PacePolicy;

/// In which way a stream is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slow {
    First,
    Between,
    Rate,
}

/// What came and when, by a clock that runs only while somebody waits.
pub(super) struct Meter {
    policy: PacePolicy,
    provider: String,
    /// The meter's time.
    pub(super) waited: Duration,
    /// When the first piece came.
    pub(super) first: Option<Duration>,
    /// All characters so far.
    characters: u64,
    /// Those of the last window, with when they came.
    recent: VecDeque<(Duration, u64)>,
}

impl Meter {
    pub(super) fn new(policy: PacePolicy, provider: &str) -> Self {
        Self {
            policy,
            provider: provider.to_owned(),
            waited: Duration::ZERO,
            first: None,
            characters: 0,
            recent: VecDeque::new(),
        }
    }

    pub(super) fn piece(&mut self, characters: u64) {
        self.first.get_or_insert(self.waited);
        self.characters += characters;
        if self.policy.min_rate.is_none() {
            return;
        }
        match self.recent.back_mut() {
            Some((when, sum)) if *when == self.waited => *sum += characters,
            _ => self.recent.push_back((self.waited, characters)),
        }
        while self
            .recent
            .front()
            .is_some_and(|(when, _)| when.saturating_add(self.policy.window) <= self.waited)
        {
            self.recent.pop_front();
        }
    }

    /// When the stream is too slow if nothing more comes, and in which way.
    pub(super) fn limit(&self) -> Option<(Duration, Slow)> {
        let Some(first) = self.first else {
            return self.policy.first_byte.map(|wait| (wait, Slow::First));
        };
        let between = self.policy.idle.map(|wait| (self.waited.saturating_add(wait), Slow::Between));
        let rate = self.rate_limit(first).map(|limit| (limit, Slow::Rate));
        [between, rate].into_iter().flatten().min_by_key(|(limit, _)| *limit)
    }

    /// When the characters of the last window will be too few.
    fn rate_limit(&self, first: Duration) -> Option<Duration> {
        let least = self.policy.min_rate.filter(|rate| *rate > 0.0)? * self.policy.window.as_secs_f64();
        let mut left: u64 = self.recent.iter().map(|(_, characters)| characters).sum();
        let mut limit = first.saturating_add(self.policy.grace.max(self.policy.window));
        for (when, characters) in &self.recent {
            if (left as f64) < least {
                break;
            }
            left -= characters;
            limit = limit.max(when.saturating_add(self.policy.window));
        }
        Some(limit)
    }

    pub(super) fn error(&self, slow: Slow) -> Error {
        let (phase, message) = match slow {
            Slow::First => (TimeoutPhase::FirstByte, self.no_first_piece()),
            Slow::Between => (TimeoutPhase::Idle, self.no_next_piece()),
            Slow::Rate => (TimeoutPhase::Idle, self.trickle()),
        };
        Error::new(ErrorKind::Timeout(phase), message).with_provider(&self.provider)
    }

    fn no_first_piece(&self) -> String {
        let wait = self.policy.first_byte.unwrap_or_default();
        format!("no piece of the answer came within {wait:?}, the longest wait for the first")
    }

    fn no_next_piece(&self) -> String {
        let (so_far, wait) = (self.characters, self.policy.idle.unwrap_or_default());
        format!(
            "no piece of the answer came for {wait:?}, the longest wait between two, after {so_far} characters"
        )
    }

    fn trickle(&self) -> String {
        let (window, least) = (self.policy.window, self.policy.min_rate.unwrap_or_default());
        let limit = self.first.and_then(|first| self.rate_limit(first)).unwrap_or_default();
        let recent = self.recent.iter().filter(|(when, _)| when.saturating_add(window) > limit);
        let rate = recent.map(|(_, characters)| characters).sum::<u64>() as f64 / window.as_secs_f64();
        format!("{rate:.1} characters a second came in the last {window:?}, and {least} is the least")
    }
}

pub(super) fn characters(event: &StreamEvent) -> u64 {
    let text = match event {
        StreamEvent::Text(text) | StreamEvent::Reasoning(text) => text,
        StreamEvent::ToolCall(delta) => &delta.arguments,
        _ => return 0,
    };
    text.chars().count() as u64
}
