//! The one place that talks to the network.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use polysight_core::{ApiKey, Error, ErrorKind, Result, TimeoutPhase, redact_name};
use tokio::time::{Instant, timeout_at};

use super::chunks::timed_out;
use super::connect::{Connector, Proxies, TlsSettings, check_client_certificate, check_proxy, check_roots};
use super::failure::{require_runtime, unsent};
use super::reply::ReplyBody;
use crate::body::{BufferPool, SendProgress, StreamedBody};
use crate::vendor::Faults;
use crate::{Limits, WireBody, WireReply, WireRequest};

/// Sends requests and hands out replies, within [`Limits`]. Cloning shares connections and memory.
///
/// Redirects are never followed: a key must not reach another host.
#[derive(Clone)]
pub struct Transport {
    client: HttpClient,
    limits: Arc<Limits>,
    headers: Arc<HeaderMap>,
    secrets: Arc<[ApiKey]>,
    pool: BufferPool,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Transport")
            .field("limits", &self.limits)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Transport`].
#[derive(Default)]
pub struct TransportBuilder {
    limits: Limits,
    headers: Vec<(String, String)>,
    secrets: Vec<ApiKey>,
    proxy: Option<String>,
    certificates: Option<Vec<u8>>,
    client_certificate: Option<Vec<u8>>,
    http2: bool,
    shared: Option<Transport>,
}

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl TransportBuilder {
    /// Sets the limits of time and size.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Keeps a text out of everything that providers with this transport show, such as the value of an environment variable.
    /// Headers and keys are kept out without it; what has fewer than 8 characters is no secret.
    #[must_use]
    pub fn secret(mut self, text: ApiKey) -> Self {
        self.secrets.push(text);
        self
    }

    /// Sends everything through a proxy, such as `http://user:password@proxy.example:3128`: of the schemes `http`, `https`,
    /// `socks4`, `socks4a`, `socks5` and `socks5h`. With `socks4` and `socks5` names are looked up here, with `socks4a` and
    /// `socks5h` by the proxy. `none` sends everything to the servers themselves, whatever the environment says.
    ///
    /// Without it the environment's `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` hold, in upper or lower case. One that
    /// cannot be used is an error of [`build`](Self::build): nothing goes out past a proxy that was named.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Trusts the certificates of a PEM text too, such as those of a company's own authority, beside the system's.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates = Some(pem.into());
        self
    }

    /// Shows servers and gateways that ask for one a certificate of this side: a PEM text of the certificate, those that vouch
    /// for it, and its private key, in any order. Default: none.
    #[must_use]
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.client_certificate = Some(pem.into());
        self
    }

    /// Speaks HTTP/2 to servers that offer it over TLS. Default: off. Large uploads are slow over HTTP/2 where a server keeps
    /// to the usual window of 64 KB, and many calls share one connection; the vendors' own SDKs speak HTTP/1.1.
    #[must_use]
    pub fn http2(mut self, on: bool) -> Self {
        self.http2 = on;
        self
    }

    /// Shares the connections of another transport, and with them its proxy, its certificates, its protocol and its connect
    /// limit; headers and all other limits are this one's own. A transport of one's own takes tens of milliseconds to make, since
    /// the system's certificates are read for it.
    #[must_use]
    pub fn sharing(mut self, other: &Transport) -> Self {
        self.shared = Some(other.clone());
        self
    }

    /// Every fault of these settings, without making a client or reading the system's certificates.
    #[must_use]
    pub fn check(&self) -> Vec<Error> {
        let limits = self.limits.check().err();
        let headers = self.headers.iter().filter_map(|(name, value)| header_of(name, value).err());
        let proxy = self.proxy.as_deref().and_then(|url| check_proxy(url).err());
        let certificates = self.certificates.as_deref().and_then(|pem| check_roots(pem).err());
        let client = self.client_certificate.as_deref().and_then(|pem| check_client_certificate(pem).err());
        let own = self.certificates.is_some()
            || self.client_certificate.is_some()
            || self.proxy.is_some()
            || self.http2;
        let shared = self.shared.as_ref().filter(|_| own).map(|_| {
            let message =
                "a transport that shares connections has its proxy, certificates and protocol from there";
            Error::new(ErrorKind::Config, message)
        });
        limits
            .into_iter()
            .chain(headers)
            .chain(proxy)
            .chain(certificates)
            .chain(client)
            .chain(shared)
            .collect()
    }

    fn tls(&self) -> TlsSettings<'_> {
        let (roots, client_certificate) = (self.certificates.as_deref(), self.client_certificate.as_deref());
        TlsSettings { roots, client_certificate, http2: self.http2 }
    }

    /// Makes the transport.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what [`check`](Self::check) finds: limits that cannot be kept; a malformed proxy, certificate or
    /// header; a header that says how the body goes out (`Content-Type` and the like); a proxy, certificates or protocol of its own
    /// where it shares connections. And when TLS cannot be set up.
    pub fn build(self) -> Result<Transport> {
        Faults::from(self.check()).into_result()?;
        let headers = self.headers.iter().map(|(name, value)| header_of(name, value));
        let headers = Arc::new(headers.collect::<Result<HeaderMap>>()?);
        let (client, pool) = match &self.shared {
            Some(Transport { client, pool, .. }) => (client.clone(), pool.clone()),
            None => (HttpClient::new(&self)?, BufferPool::default()),
        };
        Ok(Transport { client, limits: Arc::new(self.limits), headers, secrets: self.secrets.into(), pool })
    }
}

/// A header as it goes out, marked so that nothing prints it.
fn header_of(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let (Ok(key), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
        let message = format!("`{}` is not a header to send", redact_name(name));
        return Err(Error::new(ErrorKind::Config, message));
    };
    // These say how the body goes out, which is the transport's to say.
    if matches!(key.as_str(), "content-type" | "content-length" | "transfer-encoding" | "host") {
        let message = format!("the header `{key}` is the transport's own: leave it out");
        return Err(Error::new(ErrorKind::Config, message));
    }
    value.set_sensitive(true);
    Ok((key, value))
}

/// The HTTP client below a transport. Cloning shares its connections.
#[derive(Clone)]
struct HttpClient {
    requests: legacy::Client<Connector, StreamedBody>,
    proxies: Proxies,
}

impl HttpClient {
    fn new(settings: &TransportBuilder) -> Result<Self> {
        let proxies = match &settings.proxy {
            Some(url) => Proxies::one(url)?,
            None => Proxies::of_environment()?,
        };
        let connector = Connector::new(settings.tls().config()?, proxies.clone(), settings.limits.connect);
        let requests = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { requests, proxies })
    }
}

/// A request on its way.
struct Sent {
    response: legacy::ResponseFuture,
    uri: Uri,
    deadline: Option<Instant>,
    progress: Arc<SendProgress>,
}

impl Transport {
    /// Starts to set up a transport.
    #[must_use]
    pub fn builder() -> TransportBuilder {
        TransportBuilder::default()
    }

    /// The limits of time and size.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The headers that go along with every request.
    pub(crate) fn headers(&self) -> &Arc<HeaderMap> {
        &self.headers
    }

    /// What must not be shown, besides headers and keys.
    pub(crate) fn secrets(&self) -> &Arc<[ApiKey]> {
        &self.secrets
    }

    /// Posts a body, JSON unless its headers name another type, and waits for the reply's head.
    ///
    /// # Errors
    /// [`ErrorKind::Network`], [`ErrorKind::Timeout`], and [`ErrorKind::InvalidMedia`] when a file broke off while it was
    /// being sent. A reply of any status is no error here.
    pub async fn post(&self, request: WireRequest) -> Result<WireReply> {
        let sent = self.send(&self.headers, Method::POST, request);
        self.replied(sent?).await
    }

    /// Posts a body to a host that is not the provider's own, such as a vendor's file store: without the headers that
    /// this transport adds to every request, since they may hold secrets.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn post_elsewhere(&self, request: WireRequest) -> Result<WireReply> {
        let sent = self.send(&HeaderMap::new(), Method::POST, request);
        self.replied(sent?).await
    }

    /// Gets a document, for the few calls that vendors want besides chat.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn get(&self, url: url::Url, headers: HeaderMap) -> Result<WireReply> {
        let request = WireRequest { url, headers, body: WireBody::default() };
        let sent = self.send(&self.headers, Method::GET, request);
        self.replied(sent?).await
    }

    /// Gets a document from a host that is not the provider's own, such as a vendor's key service: without the headers
    /// that this transport adds to every request.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn get_elsewhere(&self, url: url::Url, headers: HeaderMap) -> Result<WireReply> {
        let request = WireRequest { url, headers, body: WireBody::default() };
        let sent = self.send(&HeaderMap::new(), Method::GET, request);
        self.replied(sent?).await
    }

    /// Begins to send. No request is kept beside the one that the client keeps: what waits for the reply stays small.
    fn send(&self, own: &HeaderMap, method: Method, request: WireRequest) -> Result<Sent> {
        require_runtime()?;
        let WireRequest { url, headers, body } = request;
        let uri = uri_of(&url)?;
        let progress = Arc::<SendProgress>::default();
        let body = StreamedBody::new(body, self.pool.clone(), Arc::clone(&progress));
        let mut wire = http::Request::new(body);
        *wire.headers_mut() = headers;
        complete(wire.headers_mut(), &method);
        for (name, value) in own {
            wire.headers_mut().insert(name.clone(), value.clone());
        }
        if let Some(value) = self.client.proxies.authorization(&uri) {
            wire.headers_mut().insert(header::PROXY_AUTHORIZATION, value);
        }
        (*wire.method_mut(), *wire.uri_mut()) = (method, uri.clone());
        let deadline = self.limits.total.map(|total| Instant::now() + total);
        Ok(Sent { response: self.client.requests.request(wire), uri, deadline, progress })
    }

    async fn replied(&self, sent: Sent) -> Result<WireReply> {
        let Sent { response, uri, deadline, progress } = sent;
        match self.first_byte(response, deadline, &progress).await? {
            Ok(response) => Ok(WireReply::new(
                response.map(|body| ReplyBody::Wire(Box::new(body))),
                &self.limits,
                deadline,
            )
            .of(uri)),
            Err(error) => Err(progress.take_failure().unwrap_or_else(|| unsent(&error, &uri))),
        }
    }

    /// Waits for the head; the limit starts anew with every block of the request that the connection took.
    async fn first_byte<T>(
        &self,
        sent: impl Future<Output = T>,
        deadline: Option<Instant>,
        progress: &SendProgress,
    ) -> Result<T> {
        let mut sent = std::pin::pin!(sent);
        loop {
            let blocks = progress.blocks();
            let limit = Instant::now() + self.limits.first_byte;
            let until = deadline.map_or(limit, |deadline| deadline.min(limit));
            if let Ok(response) = timeout_at(until, &mut sent).await {
                return Ok(response);
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(timed_out(TimeoutPhase::Total));
            }
            if blocks == progress.blocks() {
                return Err(timed_out(TimeoutPhase::FirstByte));
            }
        }
    }
}

fn uri_of(url: &url::Url) -> Result<Uri> {
    url.as_str().parse().map_err(|error: http::uri::InvalidUri| {
        let message = "the URL of a request cannot be sent: it is too long, or not of HTTP";
        Error::new(ErrorKind::InvalidRequest, message).with_source(error)
    })
}

/// Adds what every request says of itself.
fn complete(headers: &mut HeaderMap, method: &Method) {
    let mut usual = |name, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    usual(header::ACCEPT, "*/*");
    usual(header::USER_AGENT, concat!("polysight/", env!("CARGO_PKG_VERSION")));
    if method == Method::POST {
        usual(header::CONTENT_TYPE, "application/json");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_before_a_client_is_made() {
        let bad = Transport::builder()
            .limits(Limits::default().with_idle(std::time::Duration::ZERO))
            .header("content-length", "1")
            .header("a b", "c")
            .proxy("::");
        assert_eq!(bad.check().len(), 4, "{:?}", bad.check());
        let error = bad.build().unwrap_err().to_string();
        assert!(error.contains("`idle`") && error.contains("proxy"), "{error}");
        assert!(Transport::builder().check().is_empty());
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        for pem in ["", "no certificate"] {
            let error = Transport::builder().root_certificates(pem).build().unwrap_err();
            assert!(error.to_string().contains("root_certificates"), "{error}");
        }
    }
}
