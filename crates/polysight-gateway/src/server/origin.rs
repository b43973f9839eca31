//! Requests that web pages make: only those of listed origins, and of the gateway's own page.

use std::net::IpAddr;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::Body;
use crate::refusal::Refusal;
use crate::settings::Settings;

/// Refuses what a page of another site makes a browser send to a gateway without keys: by its own name for a loopback
/// address (DNS rebinding), or without asking whether it may (a form).
pub(crate) fn check(headers: &HeaderMap, method: &Method, settings: &Settings) -> Result<(), Refusal> {
    if !settings.keys.is_empty() {
        return Ok(());
    }
    let forbidden = |code, message: String| Err(Refusal::new(StatusCode::FORBIDDEN, code, message));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_own_host(host, settings) {
        let shown = polysight::redact_name(host);
        return forbidden(
            "foreign_host",
            format!("`{shown}` is no name of this gateway: add it to gateway.hosts, or call 127.0.0.1"),
        );
    }
    let Some(origin) = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()) else { return Ok(()) };
    let is_site = origin.starts_with("http://") || origin.starts_with("https://");
    let is_own = origin.split_once("://").is_some_and(|(_, origin)| origin.eq_ignore_ascii_case(host));
    if is_site && !is_own && !is_listed(origin, settings) {
        let shown = polysight::redact_name(origin);
        return forbidden(
            "foreign_origin",
            format!("pages of `{shown}` may not call this gateway: list them in gateway.origins"),
        );
    }
    let is_json =
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if *method == Method::POST && !is_json {
        return forbidden("not_json", "a browser must send `Content-Type: application/json`".to_owned());
    }
    Ok(())
}

/// Loopback addresses, `localhost`, and the names of the settings; the port does not count.
fn is_own_host(host: &str, settings: &Settings) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        || settings.hosts.iter().any(|own| own.eq_ignore_ascii_case(name) || own.eq_ignore_ascii_case(host))
}

fn is_listed(origin: &str, settings: &Settings) -> bool {
    settings.origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin))
}

/// Answers a browser that asks before it sends a request; `None` for any other request.
pub(crate) fn preflight(headers: &HeaderMap, method: &Method, settings: &Settings) -> Option<Response<Body>> {
    let origin = headers.get(ORIGIN).filter(|_| *method == Method::OPTIONS)?;
    headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    if !origin.to_str().is_ok_and(|origin| is_listed(origin, settings)) {
        let message = "pages of this origin may not call the gateway: list it in gateway.origins";
        return Some(Refusal::new(StatusCode::FORBIDDEN, "foreign_origin", message).into());
    }
    let mut response = Response::new(Body::from(&b""[..]));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    // Mirrored: clients send headers of their own.
    if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    Some(response)
}

/// Lets the page of a listed origin read the reply.
pub(crate) fn allow(origin: Option<&HeaderValue>, settings: &Settings, reply: &mut HeaderMap) {
    if settings.origins.is_empty() {
        return;
    }
    reply.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) =
        origin.filter(|origin| origin.to_str().is_ok_and(|origin| is_listed(origin, settings)))
    {
        reply.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let exposed = "x-request-id, x-polysight-provider, x-polysight-cost, retry-after, x-should-retry";
        reply.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }
}
