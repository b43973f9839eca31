//! The errors of connections: which host, and what broke, in a few words.

use std::error::Error as StdError;
use std::io;

use http::Uri;
use hyper_util::client::legacy;
use polysight_core::{Billed, Error, ErrorKind, Result, TimeoutPhase};
use tokio::runtime::Handle;
use tokio_rustls::rustls::{self, CertificateError};

use super::connect::ConnectFailure;

/// The cause where a name cannot be looked up.
pub(super) const NO_HOST: &str = "no such host, or no name server answers";

/// The longest cause that is shown, in characters: a certificate may have hundreds of names.
const MAX_CAUSE: usize = 300;

/// The error of a request that got no reply.
pub(super) fn unsent(error: &legacy::Error, uri: &Uri) -> Error {
    let (place, cause) = (host_and_port(uri), cause_of(error));
    if !error.is_connect() {
        let billed = if is_refused_by_tls(error) { Billed::No } else { Billed::Perhaps };
        return network(format!("no reply from {place}: {cause}"), billed);
    }
    let failure = error.source().and_then(|source| source.downcast_ref::<ConnectFailure>());
    let message = format!("no connection to {place}: {cause}");
    if failure.is_some_and(|failure| failure.is_timeout) {
        return Error::new(ErrorKind::Timeout(TimeoutPhase::Connect), message);
    }
    network(message, Billed::No)
}

/// The error of a reply that broke off.
pub(super) fn broken(error: &Dyn, uri: Option<&Uri>) -> Error {
    let cause = cause_of(error);
    let message = match uri {
        Some(uri) => format!("the reply of {} broke off: {cause}", host_and_port(uri)),
        None => format!("the reply broke off: {cause}"),
    };
    network(message, Billed::Likely)
}

fn network(message: String, billed: Billed) -> Error {
    Error::new(ErrorKind::Network, message).with_billed(billed)
}

/// Says in words what would be a panic of the runtime's own.
pub(super) fn require_runtime() -> Result<()> {
    Handle::try_current().map(drop).map_err(|_| {
        let message = "no tokio runtime is running here: call it in one, such as under #[tokio::main]";
        Error::new(ErrorKind::Config, message)
    })
}

/// The host and the port of a URL, the port of its scheme where it names none.
pub(super) fn host_and_port(uri: &Uri) -> String {
    let port = match uri.scheme_str() {
        Some("https") => 443,
        Some(scheme) if scheme.starts_with("socks") => 1080,
        _ => 80,
    };
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(port))
}

/// What broke, without what merely passes it on.
pub(super) fn cause_of(error: &Dyn) -> String {
    let cause = chain(error)
        .find_map(known)
        .unwrap_or_else(|| chain(error).last().map(ToString::to_string).unwrap_or_default());
    cause.chars().take(MAX_CAUSE).collect()
}

type Dyn = dyn StdError + 'static;

/// An error and its sources, those that an I/O error wraps included.
fn chain(error: &Dyn) -> impl Iterator<Item = &Dyn> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below(error: &Dyn) -> Option<&Dyn> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &Dyn).or_else(|| error.source())
}

fn known(error: &Dyn) -> Option<String> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_cause(tls));
    }
    if let Some(failure) = error.downcast_ref::<ConnectFailure>() {
        return Some(failure.to_string());
    }
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        return http_cause(http).map(str::to_owned);
    }
    let io = error.downcast_ref::<io::Error>()?;
    match io.get_ref() {
        Some(inner) if inner.is::<rustls::Error>() => None,
        wrapped => io_cause(io.kind()).or_else(|| wrapped.is_none().then(|| io.to_string())),
    }
}

fn tls_cause(error: &rustls::Error) -> String {
    let way_out = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            ", an authority that is not trusted here: `ca_file` can name it"
        }
        _ => "",
    };
    format!("TLS: {error}{way_out}")
}

fn http_cause(error: &hyper::Error) -> Option<&'static str> {
    if error.is_incomplete_message() {
        Some("connection closed")
    } else if error.is_parse() {
        let is_large = error.to_string().contains("too large");
        Some(if is_large { "its head is larger than 400 KiB or 100 headers" } else { "its head is not HTTP" })
    } else {
        None
    }
}

fn io_cause(kind: io::ErrorKind) -> Option<String> {
    let cause = match kind {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset => "connection reset",
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof => {
            "connection closed"
        }
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        _ => return None,
    };
    Some(cause.to_owned())
}

/// The peer has refused the connection after this side took it for secured, as one does that wants another certificate.
fn is_refused_by_tls(error: &Dyn) -> bool {
    let is_alert = |error: &rustls::Error| matches!(error, rustls::Error::AlertReceived(_));
    chain(error).filter_map(|error| error.downcast_ref()).any(is_alert)
}
