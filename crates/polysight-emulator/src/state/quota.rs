//! Quotas: requests and tokens in any minute, and requests at the same time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lock;
use crate::models::Quota;

const WINDOW: Duration = Duration::from_secs(60);

/// Which part of a quota is used up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Exceeded {
    Requests,
    Tokens,
    Concurrency,
}

/// What is left of a quota in this minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Left {
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
}

/// The use of every model by every account.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuotaUsage(Arc<Mutex<HashMap<String, ModelUsage>>>);

#[derive(Debug, Default)]
struct ModelUsage {
    /// When a request came, and what it has cost so far.
    spent: VecDeque<(Instant, u64)>,
    running: u64,
}

/// A request counted among the running ones, given back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    quota_usage: QuotaUsage,
    name: String,
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some(usage) = lock(&self.quota_usage.0).get_mut(&self.name) {
            usage.running = usage.running.saturating_sub(1);
        }
    }
}

impl QuotaUsage {
    /// Lets a request in, or says what is used up. A request that is not let in costs nothing.
    pub(crate) fn admit(
        &self,
        name: &str,
        quota: Quota,
        prompt: u64,
        now: Instant,
    ) -> Result<(Admission, Left), Exceeded> {
        let mut quota_usage = lock(&self.0);
        quota_usage.retain(|_, usage| usage.is_in_use(now));
        let usage = quota_usage.entry(name.to_owned()).or_default();
        let left = usage.check(quota, prompt)?;
        usage.spent.push_back((now, prompt));
        usage.running += 1;
        Ok((Admission { quota_usage: self.clone(), name: name.to_owned() }, left))
    }
}

impl Admission {
    /// Charges the answer to the request that was let in last.
    pub(crate) fn charge(&self, tokens: u64) {
        if let Some((_, spent)) =
            lock(&self.quota_usage.0).get_mut(&self.name).and_then(|usage| usage.spent.back_mut())
        {
            *spent += tokens;
        }
    }
}

impl ModelUsage {
    /// Forgets what is over a minute old.
    fn is_in_use(&mut self, now: Instant) -> bool {
        self.spent.retain(|(at, _)| now.saturating_duration_since(*at) < WINDOW);
        self.running > 0 || !self.spent.is_empty()
    }

    fn check(&self, quota: Quota, prompt: u64) -> Result<Left, Exceeded> {
        let requests = self.spent.len() as u64 + 1;
        let tokens = self.spent.iter().map(|(_, tokens)| tokens).sum::<u64>() + prompt;
        let over = |used: u64, most: Option<u64>| most.is_some_and(|most| used > most);
        if over(self.running + 1, quota.concurrent) {
            return Err(Exceeded::Concurrency);
        }
        if over(requests, quota.requests) {
            return Err(Exceeded::Requests);
        }
        if over(tokens, quota.tokens) {
            return Err(Exceeded::Tokens);
        }
        let left = |used: u64, most: Option<u64>| most.unwrap_or(u64::MAX).saturating_sub(used);
        Ok(Left { requests: left(requests, quota.requests), tokens: left(tokens, quota.tokens) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { requests: Some(2), tokens: Some(100), concurrent: Some(3) };

    #[test]
    fn counts_requests_for_a_minute() {
        let (quota_usage, start) = (QuotaUsage::default(), Instant::now());
        let ask = |seconds| {
            quota_usage.admit("a", QUOTA, 1, start + Duration::from_secs(seconds)).map(|(_, left)| left)
        };
        assert_eq!(ask(0), Ok(Left { requests: 1, tokens: 99 }));
        assert_eq!(ask(30), Ok(Left { requests: 0, tokens: 98 }));
        assert_eq!(ask(59), Err(Exceeded::Requests));
        assert_eq!(ask(60), Ok(Left { requests: 0, tokens: 98 }));
        assert!(quota_usage.admit("b", QUOTA, 1, start).is_ok());
    }

    #[test]
    fn counts_tokens_of_prompts_and_answers() {
        let (quota_usage, now) = (QuotaUsage::default(), Instant::now());
        let quota = Quota { requests: None, ..QUOTA };
        assert_eq!(quota_usage.admit("a", quota, 101, now).err(), Some(Exceeded::Tokens));
        let (admission, _) = quota_usage.admit("a", quota, 60, now).unwrap();
        admission.charge(30);
        assert_eq!(quota_usage.admit("a", quota, 11, now).err(), Some(Exceeded::Tokens));
        assert!(quota_usage.admit("a", quota, 10, now).is_ok());
    }

    #[test]
    fn counts_requests_that_run() {
        let (quota_usage, now) = (QuotaUsage::default(), Instant::now());
        let quota = Quota { requests: None, tokens: None, concurrent: Some(1) };
        let admission = quota_usage.admit("a", quota, 1, now).unwrap();
        assert_eq!(quota_usage.admit("a", quota, 1, now).err(), Some(Exceeded::Concurrency));
        drop(admission);
        assert!(quota_usage.admit("a", quota, 1, now).is_ok());
    }
}
