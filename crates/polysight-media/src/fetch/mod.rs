//! Media behind URLs, fetched by this side.
//!
//! A URL in a request is somebody else's text: it may lead to the machine itself, to its network, or to a file without an
//! end. A [`Fetcher`] connects to public addresses alone, checks every redirect and every address again, and bounds size
//! and time. It sends no credentials, no cookies and no referer, and uses no proxy.

mod address;
mod body;
mod layer;
#[cfg(test)]
mod layer_tests;
mod policy;
mod resolve;
mod target;
#[cfg(test)]
mod tests;
mod upload;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use polysight_core::{Error, ErrorKind, Result, TimeoutPhase};
use reqwest::{Client, Response, header};
use tokio::time::{Instant, timeout_at};
use url::Url;

pub use body::Fetched;
pub use layer::Fetch;
pub use policy::{FetchMode, FetchPolicy};
pub use resolve::{Lookup, SystemLookup};
pub use upload::{Upload, Uploader};

use resolve::{GuardedResolver, Refused};
use target::refused;

/// Fetches media. Cloning shares connections.
///
/// ```no_run
/// use polysight_media::fetch::{FetchPolicy, Fetcher};
///
/// # async fn run() -> polysight_core::Result<()> {
/// let fetcher = Fetcher::new(FetchPolicy::new())?;
/// let fetched = fetcher.fetch(&Fetcher::parse("https://h.example/cat.jpg")?).await?;
/// println!("{} of {} bytes", fetched.media_type(), fetched.byte_len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Fetcher {
    client: Client,
    policy: Arc<FetchPolicy>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Makes a fetcher that asks the system for addresses.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what [`FetchPolicy::check`] finds, and when TLS cannot be set up.
    pub fn new(policy: FetchPolicy) -> Result<Self> {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// Makes a fetcher with a resolver of the program's own. What it answers is checked as the system's answers are.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_lookup(policy: FetchPolicy, lookup: Arc<dyn Lookup>) -> Result<Self> {
        policy.check()?;
        install_tls();
        let policy = Arc::new(policy);
        let client = Client::builder()
            .user_agent(concat!("polysight/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(GuardedResolver { lookup, policy: Arc::clone(&policy) }))
            // A proxy would look names up itself, behind the guard's back.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(policy.idle)
            .build();
        let wrong = |error: reqwest::Error| {
            Error::new(ErrorKind::Config, "the HTTP client cannot be set up").with_source(error.without_url())
        };
        Ok(Self { client: client.map_err(wrong)?, policy })
    }

    /// Parses a URL as strictly as redirects are parsed.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] for a text that is no absolute URL, or that holds a backslash or a control character.
    pub fn parse(text: &str) -> Result<Url> {
        target::parse(text)
    }

    /// Checks what can be checked of a URL without connecting: scheme, port, host. A name's addresses are checked when they
    /// are connected to.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] for a URL that is never fetched.
    pub fn check(&self, url: &Url) -> Result<()> {
        target::check_url(url, &self.policy).map_err(|error| at(url, error))
    }

    /// Fetches a picture or video.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMedia`] for a URL, a redirect or an address that is not fetched from, for what is larger than the
    /// policy allows, and for what is neither a picture nor a video; [`ErrorKind::MediaFetchFailed`] when the host cannot be
    /// reached, answers an error, or takes too long. All name the host alone, and [are local](Error::is_local).
    pub async fn fetch(&self, url: &Url) -> Result<Fetched> {
        let deadline = Instant::now() + self.policy.total;
        let fetched = timeout_at(deadline, self.fetch_all(url)).await;
        let late = || unreachable(format!("not complete within {:?}", self.policy.total));
        fetched.unwrap_or_else(|_| Err(late())).map_err(|error| at(url, error))
    }

    async fn fetch_all(&self, url: &Url) -> Result<Fetched> {
        let mut at = url.clone();
        for _ in 0..=self.policy.max_redirects {
            target::check_url(&at, &self.policy).map_err(|error| of_redirect(error, &at, url))?;
            let response = self.get(&at).await.map_err(|error| of_redirect(error, &at, url))?;
            match next(&response, &at)? {
                Some(next) => at = next,
                None => return body::read(response, &self.policy).await,
            }
        }
        Err(refused(format!("it redirects more than {} times", self.policy.max_redirects)))
    }

    async fn get(&self, url: &Url) -> Result<Response> {
        let request = self
            .client
            .get(url.clone())
            .header(header::ACCEPT, "image/*, video/*")
            .header(header::ACCEPT_ENCODING, "identity");
        let head = tokio::time::timeout(self.policy.idle, request.send()).await;
        let late = || unreachable(format!("no answer within {:?}", self.policy.idle));
        let response = head.map_err(|_| late())?.map_err(not_reached)?;
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(response);
        }
        Err(unreachable("the host answers an error").with_status(status.as_u16()))
    }
}

/// Where a reply redirects to; `None` where it does not.
fn next(response: &Response, base: &Url) -> Result<Option<Url>> {
    if !response.status().is_redirection() {
        return Ok(None);
    }
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location else { return Err(unreachable("it redirects to nowhere")) };
    if location.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(refused("it redirects to a URL with a backslash or a control character"));
    }
    let next = base.join(location);
    next.map(Some).map_err(|error| refused("it redirects to what is no URL").with_source(error))
}

/// Says that not the URL itself, but what it redirects to is refused.
fn of_redirect(error: Error, at: &Url, first: &Url) -> Error {
    if at == first {
        return error;
    }
    let mut redirected = Error::new(error.kind(), format!("it redirects: {}", error.message())).with_local();
    if let Some(status) = error.status() {
        redirected = redirected.with_status(status);
    }
    redirected
}

/// Names the host; an address is not named, as it may be one of the inside.
fn at(url: &Url, error: Error) -> Error {
    let host = url.domain().map_or("the URL", |host| host);
    let mut named = Error::new(error.kind(), format!("{host}: {}", error.message())).with_local();
    if let Some(status) = error.status() {
        named = named.with_status(status);
    }
    named
}

fn unreachable(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::MediaFetchFailed, problem).with_local()
}

/// The error of a request that got no reply. What the client says is left out: it names addresses.
fn not_reached(error: reqwest::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(Refused(what)) = inner.downcast_ref::<Refused>() {
            return target::not_fetched_from(what);
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        return unreachable(TimeoutPhase::Connect.to_string());
    }
    unreachable("the host cannot be reached: no such name, no connection, or no valid certificate")
}

/// Makes ring the TLS provider unless the program has chosen one.
fn install_tls() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Lost only to another thread that installed one in the meantime, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
