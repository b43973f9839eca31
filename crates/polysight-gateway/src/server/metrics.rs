//! Counters of the process in Prometheus' text form, those of the layers among them.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const REQUESTS: &str = "polysight_gateway_requests_total";
const IN_FLIGHT: &str = "polysight_gateway_requests_in_flight";
const DURATION: &str = "polysight_gateway_request_duration_seconds";

/// Upper ends of the buckets of times, in seconds.
const BUCKETS: [f64; 12] = [0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// `None` inside: the program exports its counters by means of its own.
static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Counts from now on, unless the program has a recorder already.
pub(crate) fn install() {
    HANDLE.get_or_init(|| {
        let builder =
            PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS);
        let recorder = builder.ok()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok()?;
        metrics::describe_counter!(REQUESTS, "Requests that have ended, by path, role and status");
        metrics::describe_gauge!(IN_FLIGHT, "Requests that are being answered");
        metrics::describe_histogram!(
            DURATION,
            metrics::Unit::Seconds,
            "Time from a request to the end of its answer"
        );
        Some(handle)
    });
}

/// All counters; `None` where the program exports them by means of its own.
pub(crate) fn text() -> Option<String> {
    let handle = HANDLE.get()?.as_ref()?;
    handle.run_upkeep();
    Some(handle.render())
}

pub(crate) fn began() {
    metrics::gauge!(IN_FLIGHT).increment(1);
}

pub(crate) fn ended(path: &'static str, role: &str, status: u16, duration: Duration) {
    metrics::gauge!(IN_FLIGHT).decrement(1);
    let labels = [("path", path.to_owned()), ("role", role.to_owned()), ("status", status.to_string())];
    metrics::counter!(REQUESTS, &labels).increment(1);
    metrics::histogram!(DURATION, "path" => path).record(duration);
}
