//! Which proxy a connection goes through. A proxy that was named and cannot be used is an error: nothing goes out without it.

use std::env;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use polysight_core::{Error, ErrorKind, Result};

/// In place of a proxy's URL: connections go to the servers themselves, whatever the environment says.
const NONE: &str = "none";

/// The proxies of a client. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Proxies(Option<Arc<Matcher>>);

impl Proxies {
    /// One proxy for every connection; none at all for [`NONE`].
    ///
    /// # Errors
    /// As [`check_proxy`].
    pub(crate) fn one(url: &str) -> Result<Self> {
        if is_none(url) {
            return Ok(Self::default());
        }
        check_proxy(url)?;
        Ok(Self(Some(Arc::new(Matcher::builder().all(normal(url)).build()))))
    }

    /// The proxies that the environment names, else the system's.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the variable whose proxy cannot be used.
    pub(crate) fn of_environment() -> Result<Self> {
        let http = match env::var_os("REQUEST_METHOD") {
            None => variable("HTTP_PROXY")?,
            // In a CGI program a request's header `Proxy` would be this variable.
            Some(_) => named("http_proxy")?,
        };
        let (https, all) = (variable("HTTPS_PROXY")?, variable("ALL_PROXY")?);
        if [&http, &https, &all].iter().all(|value| value.is_empty()) {
            // Only other systems have settings besides the environment.
            let matcher = (!cfg!(target_os = "linux")).then(|| Arc::new(Matcher::from_system()));
            return Ok(Self(matcher));
        }
        let exceptions = exceptions();
        if exceptions.split(',').any(|host| host.trim() == "*") {
            // The matcher takes it for all names, but for no address.
            return Ok(Self::default());
        }
        let matcher = Matcher::builder().http(http).https(https).all(all).no(exceptions).build();
        Ok(Self(Some(Arc::new(matcher))))
    }

    /// The proxy for a connection to this URL.
    pub(super) fn of(&self, uri: &Uri) -> Option<Intercept> {
        self.0.as_ref()?.intercept(uri)
    }

    /// What a request must show to a proxy that reads it, which is one of plain HTTP.
    pub(crate) fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        if uri.scheme_str() == Some("https") {
            return None;
        }
        self.of(uri)?.basic_auth().cloned()
    }
}

/// Says whether a URL is that of a proxy that can be used.
///
/// # Errors
/// [`ErrorKind::Config`] that names the scheme, and nothing else of the URL, which may hold a password.
pub(crate) fn check_proxy(url: &str) -> Result<()> {
    if is_none(url) {
        return Ok(());
    }
    problem_of(url)
        .map_or(Ok(()), |problem| Err(Error::new(ErrorKind::Config, format!("the proxy {problem}"))))
}

/// What is wrong with the URL of a proxy.
fn problem_of(url: &str) -> Option<String> {
    let url = normal(url);
    let matcher = Matcher::builder().all(url.as_str()).build();
    if matcher.intercept(&Uri::from_static("https://h.example")).is_some_and(|proxy| has_host(proxy.uri())) {
        return None;
    }
    let known = "http, https, socks4, socks4a, socks5 or socks5h";
    Some(match url.split_once("://") {
        Some((scheme, _)) if is_known(scheme) => {
            format!("has the scheme `{scheme}` and no host and port to use")
        }
        Some((scheme, _)) if is_scheme(scheme) => format!("has the scheme `{scheme}`: it must be {known}"),
        _ => format!("is not a URL, such as http://proxy.example:3128; its scheme is {known}"),
    })
}

fn is_none(url: &str) -> bool {
    url.trim() == NONE
}

/// A URL without white space around it, its scheme in lower case.
fn normal(url: &str) -> String {
    match url.trim().split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => url.trim().to_owned(),
    }
}

fn has_host(uri: &Uri) -> bool {
    uri.host().is_some_and(|host| !host.is_empty())
}

fn is_known(scheme: &str) -> bool {
    ["http", "https", "socks4", "socks4a", "socks5", "socks5h"]
        .contains(&scheme.to_ascii_lowercase().as_str())
}

/// Short enough, and of letters that a password seldom has alone.
fn is_scheme(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

/// The proxy in a variable, by its name in upper or lower case; empty where there is none.
fn variable(name: &str) -> Result<String> {
    let upper = named(name)?;
    if upper.is_empty() { named(&name.to_ascii_lowercase()) } else { Ok(upper) }
}

fn named(name: &str) -> Result<String> {
    let Some(value) = env::var_os(name) else { return Ok(String::new()) };
    let value = value.to_str().map(str::trim);
    if value == Some("") {
        return Ok(String::new());
    }
    match value.map_or(Some("is not a text".to_owned()), problem_of) {
        None => Ok(normal(value.unwrap_or_default())),
        Some(problem) => {
            let message = format!("the proxy of the environment variable {name} {problem}");
            Err(Error::new(ErrorKind::Config, message))
        }
    }
}

/// The hosts that are reached without a proxy.
fn exceptions() -> String {
    ["NO_PROXY", "no_proxy"].iter().find_map(|name| env::var(name).ok()).unwrap_or_default()
}
