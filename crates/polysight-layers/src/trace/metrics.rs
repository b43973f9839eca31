//! Counters and histograms, through the `metrics` facade.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use metrics::{SharedString, Unit, counter, describe_counter, describe_histogram, histogram};
use polysight_core::{ErrorKind, Usage};

use super::Trace;
use crate::lock;

const DURATION: &str = "gen_ai.client.operation.duration";
const FIRST_CHUNK: &str = "gen_ai.client.operation.time_to_first_chunk";
const TOKENS: &str = "gen_ai.client.token.usage";
const CALLS: &str = "polysight_calls_total";
const RETRIES: &str = "polysight_retries_total";
const CACHE_HITS: &str = "polysight_cache_hits_total";
const ATTEMPTS: &str = "polysight_attempts_total";
const ATTEMPT_DURATION: &str = "polysight_attempt_duration_seconds";

/// Model names that get a label of their own; later ones are `other`.
const MAX_MODELS: usize = 100;

/// Describes each metric to the recorder. The first call does so by itself; a program that installs its recorder later, or
/// another one, calls this.
pub fn describe_metrics() {
    describe_histogram!(DURATION, Unit::Seconds, "Time of a call, attempts and waits included.");
    describe_histogram!(FIRST_CHUNK, Unit::Seconds, "Time to the first piece of a streamed answer.");
    describe_histogram!(TOKENS, Unit::Count, "Tokens of prompt and answer that the vendor counted.");
    describe_counter!(CALLS, Unit::Count, "Calls, by the provider that answered and how they ended.");
    describe_counter!(RETRIES, Unit::Count, "Attempts that failed before a call's outcome.");
    describe_counter!(CACHE_HITS, Unit::Count, "Calls whose answer was made for another one.");
    describe_counter!(ATTEMPTS, Unit::Count, "Attempts at a vendor, by how they ended.");
    describe_histogram!(ATTEMPT_DURATION, Unit::Seconds, "Time of one attempt at a vendor.");
}

fn describe_once() {
    static DESCRIBED: Once = Once::new();
    DESCRIBED.call_once(describe_metrics);
}

/// Model names as labels: as many as a metrics store can bear, however many callers make up.
#[derive(Debug, Default)]
pub(super) struct Models(Mutex<BTreeSet<Arc<str>>>);

impl Models {
    fn label(&self, model: &str) -> Arc<str> {
        let mut known = lock(&self.0);
        match known.get(model) {
            Some(label) => Arc::clone(label),
            None if known.len() >= MAX_MODELS => "other".into(),
            None => {
                let label: Arc<str> = model.into();
                known.insert(Arc::clone(&label));
                label
            }
        }
    }
}

/// The labels of one call's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    vendor: Arc<str>,
    model: Arc<str>,
}

/// How a call ended, as far as it is counted.
pub(super) struct Ending<'a> {
    /// Name of the provider that answered or failed.
    pub(super) provider: &'a str,
    /// The kind of failure; `None`: none, or the caller went away.
    pub(super) error: Option<ErrorKind>,
    pub(super) outcome: &'static str,
    pub(super) duration: Duration,
}

impl Metrics {
    pub(super) fn new(trace: &Trace, model: &str) -> Self {
        describe_once();
        Self { vendor: Arc::clone(&trace.inner.id().vendor), model: trace.models.label(model) }
    }

    pub(super) fn first_chunk(&self, after: Duration) {
        let labels = [
            ("gen_ai.operation.name", SharedString::const_str("chat")),
            ("gen_ai.provider.name", Arc::clone(&self.vendor).into()),
            ("gen_ai.request.model", Arc::clone(&self.model).into()),
        ];
        histogram!(FIRST_CHUNK, &labels).record(after);
    }

    pub(super) fn call(&self, ending: &Ending<'_>, retries: usize) {
        let model = || Arc::clone(&self.model);
        let provider = || ending.provider.to_owned();
        counter!(CALLS, "provider" => provider(), "model" => model(), "outcome" => ending.outcome)
            .increment(1);
        if retries > 0 {
            counter!(RETRIES, "provider" => provider(), "model" => model()).increment(retries as u64);
        }
        let mut labels = vec![
            ("gen_ai.operation.name", SharedString::const_str("chat")),
            ("gen_ai.provider.name", Arc::clone(&self.vendor).into()),
            ("gen_ai.request.model", Arc::clone(&self.model).into()),
        ];
        labels.extend(ending.error.map(|kind| ("error.type", SharedString::const_str(kind.name()))));
        histogram!(DURATION, &labels).record(ending.duration);
    }

    pub(super) fn cache_hit(&self, provider: &str) {
        counter!(CACHE_HITS, "provider" => provider.to_owned(), "model" => Arc::clone(&self.model))
            .increment(1);
    }

    pub(super) fn tokens(&self, usage: &Usage) {
        for (kind, tokens) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
            let labels = [
                ("gen_ai.operation.name", SharedString::const_str("chat")),
                ("gen_ai.provider.name", Arc::clone(&self.vendor).into()),
                ("gen_ai.request.model", Arc::clone(&self.model).into()),
                ("gen_ai.token.type", SharedString::const_str(kind)),
            ];
            histogram!(TOKENS, &labels).record(tokens as f64);
        }
    }

    pub(super) fn attempt(&self, ending: &Ending<'_>) {
        let model = || Arc::clone(&self.model);
        let provider = || ending.provider.to_owned();
        counter!(ATTEMPTS, "provider" => provider(), "model" => model(), "kind" => ending.outcome)
            .increment(1);
        histogram!(ATTEMPT_DURATION, "provider" => provider(), "model" => model()).record(ending.duration);
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
        assert_eq!((&*models.label("5"), &*models.label("500")), ("5", "other"));
    }
}
