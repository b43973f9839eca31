//! What is known of one request: a line of the access log, and counters, when it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::StatusCode;
use polysight::{ResponseMeta, Usage};

use super::access::Claim;
use super::metrics;
use crate::refusal::Refusal;

/// The status of a request whose client went away, as servers log it; it is never sent.
const CLIENT_CLOSED: u16 = 499;

/// One request on its way. It is logged when the last clone is dropped: at the end of a stream, of a whole answer, or when the client
/// goes away. It holds no prompt and no answer.
#[derive(Clone)]
pub(crate) struct Record(Arc<Mutex<Inner>>);

struct Inner {
    started: Instant,
    request_id: Arc<str>,
    method: String,
    route: &'static str,
    path: String,
    key: Option<String>,
    role: String,
    is_stream: bool,
    body_bytes: usize,
    status: Option<u16>,
    code: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    attempts: usize,
    /// Counts against the limits of the caller's key as long as the request is being answered.
    claim: Option<Claim>,
}

impl Record {
    /// A request to one of the few routes, which are counted, by a path, which is logged.
    pub(crate) fn new(
        request_id: &Arc<str>,
        method: &http::Method,
        route: &'static str,
        path: String,
    ) -> Self {
        metrics::began();
        Self(Arc::new(Mutex::new(Inner {
            started: Instant::now(),
            request_id: Arc::clone(request_id),
            method: method.to_string(),
            route,
            path,
            key: None,
            role: String::new(),
            is_stream: false,
            body_bytes: 0,
            status: None,
            code: None,
            provider: None,
            model: None,
            usage: None,
            attempts: 0,
            claim: None,
        })))
    }

    pub(crate) fn request_id(&self) -> Arc<str> {
        Arc::clone(&self.lock().request_id)
    }

    pub(crate) fn caller(&self, key: Option<&str>) {
        self.lock().key = key.map(str::to_owned);
    }

    pub(crate) fn claimed(&self, claim: Option<Claim>) {
        self.lock().claim = claim;
    }

    pub(crate) fn asked(&self, role: &str, is_stream: bool, body_bytes: usize) {
        let mut inner = self.lock();
        (inner.role, inner.is_stream, inner.body_bytes) =
            (polysight::redact_name(role), is_stream, body_bytes);
    }

    pub(crate) fn answered(&self, meta: &ResponseMeta) {
        let mut inner = self.lock();
        inner.status = Some(200);
        inner.provider = Some(meta.provider.clone());
        inner.model = Some(meta.model.clone());
        inner.usage = meta.usage;
        inner.attempts = meta.attempts.len() + 1;
    }

    pub(crate) fn failed(&self, refusal: &Refusal) {
        let mut inner = self.lock();
        inner.status = Some(refusal.status.as_u16());
        inner.code = Some(refusal.code().to_owned());
    }

    pub(crate) fn status(&self, status: StatusCode) {
        self.lock().status.get_or_insert(status.as_u16());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here is left half changed by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let inner = &*self;
        let status = inner.status.unwrap_or(CLIENT_CLOSED);
        let duration = inner.started.elapsed();
        metrics::ended(inner.route, &inner.role, status, duration);
        tracing::info!(
            target: "polysight_gateway::access",
            request_id = &*inner.request_id,
            method = inner.method,
            path = inner.path,
            status,
            code = inner.code,
            key = inner.key,
            role = inner.role,
            stream = inner.is_stream,
            body_bytes = inner.body_bytes,
            provider = inner.provider,
            model = inner.model,
            input_tokens = inner.usage.map(|usage| usage.input_tokens),
            output_tokens = inner.usage.map(|usage| usage.output_tokens),
            attempts = inner.attempts,
            duration_ms = duration.as_millis() as u64,
            "request"
        );
    }
}
