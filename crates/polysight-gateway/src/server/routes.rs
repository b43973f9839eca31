//! Which request goes where.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::header::{ALLOW, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::access::Caller;
use super::record::Record;
use super::{Body, Server, chat, metrics, origin, page};
use crate::gateway::State;
use crate::models;
use crate::refusal::Refusal;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A place of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Chat,
    Models,
    Model(String),
    Health,
    Ready,
    Metrics,
    Asset,
}

impl Route {
    /// The place that a path means. Clients put `/v1` into their base URL or not, some of them twice, and slashes at the end.
    fn of(path: &str) -> Self {
        let mut rest = path.trim_end_matches('/');
        while let Some(inner) =
            rest.strip_prefix("/v1").filter(|inner| inner.is_empty() || inner.starts_with('/'))
        {
            rest = inner;
        }
        match rest {
            "/chat/completions" => Self::Chat,
            "/models" => Self::Models,
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            _ => match rest.strip_prefix("/models/").and_then(decoded) {
                Some(id) => Self::Model(id),
                None => Self::Asset,
            },
        }
    }

    /// The path as it is counted: one of few.
    fn name(&self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Models => "/v1/models",
            Self::Model(_) => "/v1/models/{id}",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Asset => "/",
        }
    }

    /// The path as it is logged: that of a file of the page, or of what is not there, as the client wrote it.
    fn logged(&self, path: &str) -> String {
        if *self == Self::Asset { polysight::redact_name(path) } else { self.name().to_owned() }
    }

    fn method(&self) -> Method {
        if *self == Self::Chat { Method::POST } else { Method::GET }
    }
}

/// The id of a model in a path: `provider/model` may come with its slash encoded.
fn decoded(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// Answers a request, whatever it is.
pub(crate) async fn answer(server: Server, request: Request<Incoming>) -> Response<Body> {
    let state = server.gateway.state();
    let request_id = request_id(request.headers());
    let origin = request.headers().get(ORIGIN).cloned();
    let route = Route::of(request.uri().path());
    let path = route.logged(request.uri().path());
    let record = Record::new(&request_id, request.method(), route.name(), path);
    #[cfg(feature = "otlp")]
    if let (Route::Chat, Some(traces)) = (&route, &server.traces) {
        record.traced(traces.trace(request.headers()));
    }
    let mut response = match dispatch(&server, &state, route, request, &record).await {
        Ok(response) => response,
        Err(refusal) => {
            record.failed(&refusal);
            refusal.into()
        }
    };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&request_id).ok().map(|id| (X_REQUEST_ID, id)));
    origin::allow(origin.as_ref(), &state.settings, headers);
    response
}

async fn dispatch(
    server: &Server,
    state: &Arc<State>,
    route: Route,
    request: Request<Incoming>,
    record: &Record,
) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let (headers, settings) = (&parts.headers, &state.settings);
    if let Some(response) = origin::preflight(headers, &parts.method, settings) {
        record.status(response.status());
        return Ok(response);
    }
    if server.is_loopback {
        origin::check(headers, &parts.method, settings)?;
    }
    let is_head = parts.method == Method::HEAD && route.method() == Method::GET;
    if parts.method != route.method() && !is_head {
        return Ok(wrong_method(&route, record));
    }
    if let Some(response) = open_to_all(server, &route, parts.uri.path(), headers) {
        record.status(response.status());
        return Ok(response);
    }
    let caller = state.keys.caller(headers)?;
    record.caller(caller.name());
    if route == Route::Chat {
        return chat::answer(server, state, caller, headers, body, record).await;
    }
    let response = read_only(state, caller, &route, parts.uri.path())?;
    record.status(response.status());
    Ok(response)
}

/// What needs no key.
fn open_to_all(server: &Server, route: &Route, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    match route {
        Route::Health => Some(text("ok\n".to_owned())),
        Route::Ready if server.draining.load(Ordering::Relaxed) => Some(Refusal::shutting_down().into()),
        Route::Ready => Some(text("ready\n".to_owned())),
        Route::Asset => page::asset(path, headers),
        _ => None,
    }
}

fn read_only(
    state: &State,
    caller: Caller<'_>,
    route: &Route,
    path: &str,
) -> Result<Response<Body>, Refusal> {
    let visible = || state.roles.iter().filter(|role| caller.may_use(role.name()));
    match route {
        Route::Models => Ok(json(&models::list(visible(), state.since))),
        Route::Model(id) => {
            let role = state.role(id, caller)?;
            Ok(json(&models::object(&role, state.since)))
        }
        Route::Metrics => match metrics::text() {
            Some(all) => Ok(text(all)),
            None => Err(not_found("/metrics", "the program exports its counters by means of its own")),
        },
        _ => {
            Err(not_found(path, "there are /v1/chat/completions, /v1/models, /healthz, /readyz and /metrics"))
        }
    }
}

fn not_found(path: &str, hint: &str) -> Refusal {
    let shown = polysight::redact_name(path);
    Refusal::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at `{shown}`: {hint}"))
}

fn wrong_method(route: &Route, record: &Record) -> Response<Body> {
    let (name, method) = (route.name(), route.method());
    let refusal =
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("{name} takes {method}"));
    record.failed(&refusal);
    let mut response = Response::from(refusal);
    response.headers_mut().extend(HeaderValue::from_str(method.as_str()).ok().map(|method| (ALLOW, method)));
    response
}

/// The id that the client gave, where it is one; else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let is_id = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    let given = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_id);
    given.map_or_else(|| format!("req-{}", uuid::Uuid::new_v4().simple()).into(), Into::into)
}

pub(super) fn json(value: &polysight::JsonValue) -> Response<Body> {
    whole(value.to_string().into_bytes(), "application/json")
}

fn text(text: String) -> Response<Body> {
    whole(text.into_bytes(), "text/plain; charset=utf-8")
}

pub(super) fn whole(bytes: Vec<u8>, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_understood_as_clients_put_them_together() {
        for path in
            ["/v1/chat/completions", "/chat/completions", "/v1/v1/chat/completions", "/v1/chat/completions/"]
        {
            assert_eq!(Route::of(path), Route::Chat, "{path}");
        }
        assert_eq!(Route::of("/v1/models/"), Route::Models);
        assert_eq!(Route::of("/models/a%2Fb"), Route::Model("a/b".to_owned()));
        assert_eq!(Route::of("/v1/models/a/b"), Route::Model("a/b".to_owned()));
        for path in ["/", "/v1", "/v12/models", "/../etc/passwd", "/v1/embeddings", ""] {
            assert_eq!(Route::of(path), Route::Asset, "{path}");
        }
        assert_eq!(Route::of("/v1/v1/models/").logged("/v1/v1/models/"), "/v1/models");
        assert_eq!(Route::of("/boxes.js").logged("/boxes.js"), "/boxes.js");
        let long = format!("/{}", "x".repeat(5_000));
        assert!(Route::of(&long).logged(&long).len() < 200);
    }
}
