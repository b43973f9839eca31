//! Counters and histograms, through the `metrics` facade.

use std::collections::BTreeSet;
use std::sync::{Mutex, Once};
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use polysight_core::{ErrorKind, Usage};

use crate::sync::lock;

const DURATION: &str = "gen_ai.client.operation.duration";
const FIRST_CHUNK: &str = "gen_ai.client.operation.time_to_first_chunk";
const TOKENS: &str = "gen_ai.client.token.usage";
const CALLS: &str = "polysight_calls_total";
const RETRIES: &str = "polysight_retries_total";
const CACHE_HITS: &str = "polysight_cache_hits_total";
const ATTEMPTS: &str = "polysight_attempts_total";
const ATTEMPT_DURATION: &str = "polysight_attempt_duration_seconds";

/// Model names that are told apart; what comes later is `other`.
const MAX_MODELS: usize = 100;

/// Tells the recorder what each metric means. The first call does so by itself; a program that installs its recorder
/// later, or another one, calls this.
pub fn describe_metrics() {
    describe_histogram!(DURATION, Unit::Seconds, "Time of an operation, tries and waits included.");
    describe_histogram!(FIRST_CHUNK, Unit::Seconds, "Time to the first piece of a streamed answer.");
    describe_histogram!(TOKENS, Unit::Count, "Tokens of prompt and answer that the vendor counted.");
    describe_counter!(CALLS, Unit::Count, "Operations, by who answered and how they ended.");
    describe_counter!(RETRIES, Unit::Count, "Tries that failed before an operation's outcome.");
    describe_counter!(CACHE_HITS, Unit::Count, "Operations whose answer was made for another one.");
    describe_counter!(ATTEMPTS, Unit::Count, "Tries at a vendor, by how they ended.");
    describe_histogram!(ATTEMPT_DURATION, Unit::Seconds, "Time of one try at a vendor.");
}

pub(super) fn describe_once() {
    static DESCRIBED: Once = Once::new();
    DESCRIBED.call_once(describe_metrics);
}

/// Model names as labels: as many as a metrics store can bear, however many callers make up.
#[derive(Debug, Default)]
pub(super) struct Models(Mutex<BTreeSet<String>>);

impl Models {
    pub(super) fn label(&self, model: &str) -> String {
        let mut known = lock(&self.0);
        if !known.contains(model) {
            if known.len() >= MAX_MODELS {
                return "other".to_owned();
            }
            known.insert(model.to_owned());
        }
        model.to_owned()
    }
}

/// What the metrics of one call are told by.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) vendor: String,
    pub(super) model: String,
}

/// How a call ended, as far as it is counted.
pub(super) struct Ending<'a> {
    /// Name of the provider that answered or failed.
    pub(super) provider: &'a str,
    /// What went wrong; `None`: nothing, or the caller went away.
    pub(super) error: Option<ErrorKind>,
    pub(super) outcome: &'static str,
    pub(super) took: Duration,
}

impl Meters {
    pub(super) fn first_chunk(&self, after: Duration) {
        let labels = [
            ("gen_ai.operation.name", "chat".to_owned()),
            ("gen_ai.provider.name", self.vendor.clone()),
            ("gen_ai.request.model", self.model.clone()),
        ];
        histogram!(FIRST_CHUNK, &labels).record(after);
    }

    pub(super) fn operation(&self, ending: &Ending<'_>, retries: usize) {
        let model = || self.model.clone();
        let provider = || ending.provider.to_owned();
        counter!(CALLS, "provider" => provider(), "model" => model(), "outcome" => ending.outcome)
            .increment(1);
        if retries > 0 {
            counter!(RETRIES, "provider" => provider(), "model" => model()).increment(retries as u64);
        }
        let mut labels = vec![
            ("gen_ai.operation.name", "chat".to_owned()),
            ("gen_ai.provider.name", self.vendor.clone()),
            ("gen_ai.request.model", model()),
        ];
        labels.extend(ending.error.map(|kind| ("error.type", kind.name().to_owned())));
        histogram!(DURATION, &labels).record(ending.took);
    }

    pub(super) fn cache_hit(&self, provider: &str) {
        counter!(CACHE_HITS, "provider" => provider.to_owned(), "model" => self.model.clone()).increment(1);
    }

    pub(super) fn tokens(&self, usage: &Usage) {
        for (kind, tokens) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
            let labels = [
                ("gen_ai.operation.name", "chat".to_owned()),
                ("gen_ai.provider.name", self.vendor.clone()),
                ("gen_ai.request.model", self.model.clone()),
                ("gen_ai.token.type", kind.to_owned()),
            ];
            histogram!(TOKENS, &labels).record(tokens as f64);
        }
    }

    pub(super) fn attempt(&self, ending: &Ending<'_>) {
        let model = || self.model.clone();
        let provider = || ending.provider.to_owned();
        counter!(ATTEMPTS, "provider" => provider(), "model" => model(), "kind" => ending.outcome)
            .increment(1);
        histogram!(ATTEMPT_DURATION, "provider" => provider(), "model" => model()).record(ending.took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_model_names_do_not_flood_a_metrics_store() {
        let models = Models::default();
        for number in 0..1_000 {
            models.label(&number.to_string());
        }
        assert_eq!((models.label("5"), models.label("500")), ("5".to_owned(), "other".to_owned()));
    }
}
