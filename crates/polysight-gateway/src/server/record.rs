//! What is known of one request: a line of the access log, and counters, when it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::StatusCode;
use polysight::catalog::Money;
use polysight::{Error, FinishKind, ProviderId, ResponseMeta, Usage};

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
    /// Name and vendor of the provider that the request was planned for.
    planned: Option<(String, String)>,
    provider: Option<String>,
    model: Option<String>,
    finish: Option<FinishKind>,
    usage: Option<Usage>,
    cost: Option<Money>,
    attempts: usize,
    #[cfg(feature = "otlp")]
    trace: Option<super::traces::Trace>,
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
            planned: None,
            provider: None,
            model: None,
            finish: None,
            usage: None,
            cost: None,
            attempts: 0,
            #[cfg(feature = "otlp")]
            trace: None,
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

    /// The provider that the request goes to, or goes to first.
    pub(crate) fn planned(&self, id: &ProviderId) {
        self.lock().planned = Some((id.name.to_string(), id.vendor.to_string()));
    }

    #[cfg(feature = "otlp")]
    pub(super) fn traced(&self, trace: super::traces::Trace) {
        self.lock().trace = Some(trace);
    }

    pub(crate) fn answered(&self, meta: &ResponseMeta) {
        let mut inner = self.lock();
        inner.status = Some(200);
        inner.provider = Some(meta.provider.clone());
        inner.model = Some(meta.model.clone());
        inner.finish = Some(meta.finish.kind);
        inner.usage = meta.usage;
        inner.cost.clone_from(&meta.cost);
        inner.attempts = meta.attempts.len() + 1;
    }

    /// The vendor cut the answer at its own token limit, which is an answer to the client.
    pub(crate) fn cut(&self, error: &Error) {
        let mut inner = self.lock();
        inner.status = Some(200);
        inner.provider = error.provider().map(str::to_owned);
        inner.finish = Some(FinishKind::Length);
        inner.usage = error.usage();
        inner.cost = error.cost().cloned();
        inner.attempts = error.attempts().len() + 1;
    }

    pub(crate) fn failed(&self, refusal: &Refusal) {
        let mut inner = self.lock();
        inner.status = Some(refusal.status.as_u16());
        inner.code = Some(refusal.code().to_owned());
        inner.provider = refusal.provider().map(str::to_owned);
        inner.attempts = refusal.attempts();
    }

    pub(crate) fn status(&self, status: StatusCode) {
        self.lock().status.get_or_insert(status.as_u16());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here is left half changed by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a request at its end.
#[cfg(feature = "otlp")]
pub(super) struct Ended<'a> {
    pub(super) request_id: &'a str,
    pub(super) method: &'a str,
    pub(super) route: &'static str,
    pub(super) status: u16,
    pub(super) code: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) role: &'a str,
    pub(super) is_stream: bool,
    pub(super) vendor: Option<&'a str>,
    pub(super) provider: Option<&'a str>,
    pub(super) model: Option<&'a str>,
    pub(super) finish: Option<&'a str>,
    pub(super) usage: Option<Usage>,
    pub(super) cost: Option<&'a Money>,
    pub(super) attempts: usize,
}
impl Inner {
    #[cfg(feature = "otlp")]
    fn ended(&self, status: u16) -> Ended<'_> {
        // The vendor of another provider than the planned one is not known here.
        let vendor = match (&self.planned, &self.provider) {
            (Some((planned, vendor)), Some(provider)) if planned == provider => Some(&**vendor),
            (Some((_, vendor)), None) => Some(&**vendor),
            (_, provider) => provider.as_deref(),
        };
        Ended {
            request_id: &self.request_id,
            method: &self.method,
            route: self.route,
            status,
            code: self.code.as_deref().or((status == CLIENT_CLOSED).then_some("client_closed")),
            key: self.key.as_deref(),
            role: &self.role,
            is_stream: self.is_stream,
            vendor,
            provider: self.provider.as_deref(),
            model: self.model.as_deref(),
            finish: self.finish.map(Into::into),
            usage: self.usage,
            cost: self.cost.as_ref(),
            attempts: self.attempts,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let inner = &*self;
        let status = inner.status.unwrap_or(CLIENT_CLOSED);
        let duration = inner.started.elapsed();
        #[cfg(feature = "otlp")]
        if let Some(trace) = &inner.trace {
            trace.end(&inner.ended(status));
        }
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
            provider = inner.provider.as_ref().or(inner.planned.as_ref().map(|(name, _)| name)),
            model = inner.model,
            finish = inner.finish.map(<&str>::from),
            input_tokens = inner.usage.map(|usage| usage.input_tokens),
            output_tokens = inner.usage.map(|usage| usage.output_tokens),
            cost = inner.cost.as_ref().map(tracing::field::display),
            attempts = inner.attempts,
            duration_ms = duration.as_millis() as u64,
            "request"
        );
    }
}
