//! Whether a URL may be fetched at all, before anything is connected to.

use polysight_core::{Error, ErrorKind, Result};
use url::{Host, Url};

use super::FetchPolicy;
use super::resolve::check;

/// Longest URL, in bytes.
const MAX_URL: usize = 8 * 1_024;

/// Parses a URL strictly: what URL parsers disagree about is refused.
pub(super) fn parse(text: &str) -> Result<Url> {
    if text.len() > MAX_URL {
        return Err(refused(format!(
            "the URL is {} bytes long, and at most {MAX_URL} are taken",
            text.len()
        )));
    }
    if text.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(refused("the URL holds a backslash or a control character"));
    }
    Url::parse(text).map_err(|error| refused("it is not an absolute URL").with_source(error))
}

/// Checks scheme, user, host and port, and the address where the host is one: such a host is never looked up.
pub(super) fn check_url(url: &Url, policy: &FetchPolicy) -> Result<()> {
    if url.as_str().len() > MAX_URL {
        return Err(refused(format!("the URL is longer than {MAX_URL} bytes")));
    }
    if !matches!(url.scheme(), "http" | "https") {
        let problem = "the URL is neither http nor https: only those are fetched";
        return Err(refused(problem));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("the URL holds a user or a password: leave them out, none is ever sent"));
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if !policy.ports.contains(&port) {
        let problem = format!("port {port} is not fetched from: if it is meant, add it to `ports`");
        return Err(refused(problem));
    }
    match url.host() {
        Some(Host::Domain(name)) => check_name(name),
        Some(Host::Ipv4(address)) => check_address(address.into(), policy),
        Some(Host::Ipv6(address)) => check_address(address.into(), policy),
        None => Err(refused("the URL names no host")),
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.ends_with('.') {
        return Err(refused("the host ends in a dot: leave it out"));
    }
    // What is left of a host after the URL's own checks, and still no name of the DNS.
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > 253 || !name.chars().all(is_name) {
        return Err(refused("the host is not a name of the DNS"));
    }
    Ok(())
}

fn check_address(address: std::net::IpAddr, policy: &FetchPolicy) -> Result<()> {
    if policy.allows_host(&address.to_string()) {
        return Ok(());
    }
    check(address, policy).map_err(not_fetched_from)
}

/// The error of a host whose address is not public; the address itself is not named.
pub(super) fn not_fetched_from(what: &str) -> Error {
    refused(format!(
        "the host has {what} address, which is not fetched from: if it is meant, add it to `allow_networks` or \
         `allow_hosts`"
    ))
}

pub(super) fn refused(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidMedia, problem).with_local()
}
