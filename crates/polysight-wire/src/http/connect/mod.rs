//! Opens connections: to a server itself or through a proxy, with TLS where the URL says so.

mod proxy;
mod stream;
mod tls;

use std::fmt;
use std::future::{Ready, poll_fn, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;

use super::failure::{NO_HOST, cause_of, host_and_port};
pub(crate) use proxy::{Proxies, check_proxy};
use stream::Socket;
pub(crate) use stream::Stream;
pub(crate) use tls::{TlsSettings, check_client_certificate, check_roots};

/// How often a silent connection is asked whether its peer is still there, and how often in vain before it counts as broken.
const KEEPALIVE: (Duration, u32) = (Duration::from_secs(15), 3);

/// How long a peer may leave what was sent unacknowledged.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct ConnectFailure {
    cause: String,
    /// The limit of time was met.
    pub(crate) is_timeout: bool,
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for ConnectFailure {}

type Connecting = Pin<Box<dyn Future<Output = Result<Stream, ConnectFailure>> + Send>>;

/// Makes the connections of a client.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Dialer>);

struct Dialer {
    tcp: HttpConnector,
    tls: Arc<ClientConfig>,
    /// TLS with a proxy, which speaks HTTP/1.1.
    proxy_tls: Arc<ClientConfig>,
    proxies: Proxies,
    limit: Duration,
}

impl Connector {
    /// Connects within a limit of time, TLS and proxy included.
    pub(crate) fn new(tls: ClientConfig, proxies: Proxies, limit: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE.0));
        tcp.set_keepalive_interval(Some(KEEPALIVE.0));
        tcp.set_keepalive_retries(Some(KEEPALIVE.1));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let proxy_tls = Arc::new(tls::over_http1(tls.clone()));
        Self(Arc::new(Dialer { tcp, tls: Arc::new(tls), proxy_tls, proxies, limit }))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectFailure;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let dialer = Arc::clone(&self.0);
        Box::pin(async move {
            match timeout(dialer.limit, dialer.connect(&uri)).await {
                Ok(connected) => connected.map_err(|cause| ConnectFailure { cause, is_timeout: false }),
                Err(_) => Err(ConnectFailure {
                    cause: format!("none within {} s", dialer.limit.as_secs_f32()),
                    is_timeout: true,
                }),
            }
        })
    }
}

impl Dialer {
    async fn connect(&self, uri: &Uri) -> Result<Stream, String> {
        match self.proxies.of(uri) {
            None => {
                let socket = self.tcp(uri.clone()).await?;
                self.finish(socket, uri).await
            }
            Some(proxy) => self.connect_through(&proxy, uri).await,
        }
    }

    async fn connect_through(&self, proxy: &Intercept, uri: &Uri) -> Result<Stream, String> {
        let scheme = proxy.uri().scheme_str().unwrap_or_default();
        let failed = |cause: String| format!("proxy {}: {cause}", host_and_port(proxy.uri()));
        let mut socket = self.tcp(with_port(proxy.uri())).await.map_err(failed)?;
        if scheme == "https" {
            let tls = secure(&self.proxy_tls, socket, proxy.uri()).await.map_err(failed)?;
            socket = Box::new(tls);
        }
        let tunnelled = match scheme {
            "http" | "https" if !is_tls(uri) => return Ok(Stream::new(socket, false).through_proxy()),
            "http" | "https" => tunnel(proxy, socket, uri).await,
            _ => socks(scheme, proxy, socket, uri).await,
        };
        self.finish(tunnelled.map_err(failed)?, uri).await
    }

    async fn tcp(&self, uri: Uri) -> Result<Socket, String> {
        let mut tcp = self.tcp.clone();
        let opened = async {
            poll_fn(|context| tcp.poll_ready(context)).await?;
            tcp.call(uri).await
        };
        let opened = opened.await.map_err(|error| {
            // The connector's own error of a name that cannot be looked up has no other mark.
            if error.to_string().starts_with("dns") { NO_HOST.to_owned() } else { cause_of(&error) }
        });
        Ok(Box::new(opened?.into_inner()))
    }

    /// Secures a connection where the URL says so.
    async fn finish(&self, socket: Socket, uri: &Uri) -> Result<Stream, String> {
        if !is_tls(uri) {
            return Ok(Stream::new(socket, false));
        }
        let tls = secure(&self.tls, socket, uri).await?;
        let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream::new(Box::new(tls), is_http2))
    }
}

fn is_tls(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}

async fn secure(
    config: &Arc<ClientConfig>,
    socket: Socket,
    uri: &Uri,
) -> Result<tokio_rustls::client::TlsStream<Socket>, String> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("TLS: {error}"))?;
    TlsConnector::from(Arc::clone(config)).connect(name, socket).await.map_err(|error| {
        let cause = cause_of(&error);
        if cause.starts_with("TLS") { cause } else { format!("TLS: {cause} in the handshake") }
    })
}

async fn tunnel(proxy: &Intercept, socket: Socket, uri: &Uri) -> Result<Socket, String> {
    let mut tunnel = Tunnel::new(proxy.uri().clone(), Opened::new(socket));
    if let Some(auth) = proxy.basic_auth() {
        tunnel = tunnel.with_auth(auth.clone());
    }
    opened(tunnel.call(uri.clone()).await)
}

async fn socks(scheme: &str, proxy: &Intercept, socket: Socket, uri: &Uri) -> Result<Socket, String> {
    let by_name = with_port(uri);
    let target = match scheme {
        "socks4" | "socks5" => resolved(by_name).await?,
        _ => by_name,
    };
    let (proxy_uri, inner) = (proxy.uri().clone(), Opened::new(socket));
    if scheme.starts_with("socks4") {
        return opened(SocksV4::new(proxy_uri, inner).call(target).await);
    }
    let mut socks = SocksV5::new(proxy_uri, inner);
    if let Some((user, password)) = proxy.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    opened(socks.call(target).await)
}

fn opened(result: Result<TokioIo<Socket>, impl fmt::Display>) -> Result<Socket, String> {
    result.map(TokioIo::into_inner).map_err(|error| error.to_string())
}

/// The address of a host, for proxies that are to be given one; the name where it has none of IPv4, which all of them know.
async fn resolved(uri: Uri) -> Result<Uri, String> {
    let address = host_and_port(&uri);
    let mut found = tokio::net::lookup_host(&address).await.map_err(|_| NO_HOST.to_owned())?;
    let address = found.find(std::net::SocketAddr::is_ipv4);
    Ok(address.and_then(|address| with_authority(&uri, &address.to_string())).unwrap_or(uri))
}

/// The URI with its port written out.
fn with_port(uri: &Uri) -> Uri {
    with_authority(uri, &host_and_port(uri)).unwrap_or_else(|| uri.clone())
}

fn with_authority(uri: &Uri, authority: &str) -> Option<Uri> {
    let scheme = uri.scheme_str().unwrap_or("http");
    Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build().ok()
}

/// A connection that is open already, as the connector that proxies take.
struct Opened(Option<TokioIo<Socket>>);

impl Opened {
    fn new(socket: Socket) -> Self {
        Self(Some(TokioIo::new(socket)))
    }
}

impl Service<Uri> for Opened {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Socket>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
