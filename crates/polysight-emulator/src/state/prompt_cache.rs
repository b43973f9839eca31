//! Beginnings of prompts that are kept, as the marks in a request ask.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{keep, lock};
use crate::chat::prompt::CacheUse;

/// How long a beginning is kept after its last use. Alibaba's guide of 2026.
const LIFE: Duration = Duration::from_secs(300);
/// Tokens below which nothing is kept. Alibaba's guide of 2026.
const LEAST_TOKENS: u64 = 1024;
const KEPT: usize = 1000;

/// The beginning of a prompt, up to a mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix {
    /// Tells it from others: account, model and content.
    pub(crate) key: u64,
    pub(crate) tokens: u64,
}

/// The beginnings that are kept, and until when.
#[derive(Debug, Default)]
pub(crate) struct PromptCache(Mutex<VecDeque<(u64, Instant)>>);

impl PromptCache {
    /// Reads the longest prefix that is kept, and keeps all of them; the shortest comes first.
    pub(crate) fn take(&self, prefixes: &[Prefix], now: Instant) -> CacheUse {
        let long_enough = || prefixes.iter().filter(|prefix| prefix.tokens >= LEAST_TOKENS);
        let mut kept = lock(&self.0);
        kept.retain(|(_, expires)| now < *expires);
        let is_kept = |prefix: &&Prefix| kept.iter().any(|(key, _)| *key == prefix.key);
        let read = long_enough().filter(is_kept).map(|prefix| prefix.tokens).max().unwrap_or(0);
        let all = long_enough().map(|prefix| prefix.tokens).max().unwrap_or(0);
        for prefix in long_enough() {
            kept.retain(|(key, _)| *key != prefix.key);
            keep(&mut kept, (prefix.key, now + LIFE), KEPT);
        }
        CacheUse { read, written: all.saturating_sub(read) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_kept_for_five_minutes_after_its_last_use() {
        let cache = PromptCache::default();
        let start = Instant::now();
        let prefix = |key, tokens| Prefix { key, tokens };
        let long = [prefix(1, 2000)];
        let longer = [prefix(1, 2000), prefix(2, 3000)];
        for (seconds, prefixes, read, written) in [
            (0, &[][..], 0, 0),
            (0, &[prefix(9, 1023)], 0, 0),
            (1, &[prefix(9, 1023)], 0, 0),
            (1, &long, 0, 2000),
            (2, &longer, 2000, 1000),
            (301, &longer, 3000, 0),
            (600, &longer, 3000, 0),
            (900, &long, 0, 2000),
        ] {
            let used = cache.take(prefixes, start + Duration::from_secs(seconds));
            assert_eq!(used, CacheUse { read, written }, "{seconds} s, {prefixes:?}");
        }
    }
}
