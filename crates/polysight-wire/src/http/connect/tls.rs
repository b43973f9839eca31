//! Which certificates are trusted, and which one is shown.

use std::sync::Arc;

use polysight_core::{Error, ErrorKind, Result};
use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// What TLS is set up with; both texts are PEM.
#[derive(Clone, Copy)]
pub(crate) struct TlsSettings<'a> {
    pub(crate) roots: Option<&'a [u8]>,
    pub(crate) client_certificate: Option<&'a [u8]>,
    pub(crate) http2: bool,
}

impl TlsSettings<'_> {
    /// Sets TLS up: reads the system's certificates.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for certificates that are none, and where there is none to trust.
    pub(crate) fn config(self) -> Result<ClientConfig> {
        let provider = provider();
        let mut roots = self.roots.map(check_roots).transpose()?.unwrap_or_default();
        roots.extend(bundled_roots());
        let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(no_roots)?;
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| unusable("TLS cannot be set up", error))?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.client_certificate.map(client_certificate).transpose()? {
            None => config.with_no_client_auth(),
            Some((chain, key)) => config.with_client_auth_cert(chain, key).map_err(mismatch)?,
        };
        if self.http2 {
            config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
            return Ok(config);
        }
        Ok(over_http1(config))
    }
}

/// The same with a peer that speaks HTTP/1.1.
pub(super) fn over_http1(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"http/1.1".into()];
    config
}

/// The certificates of a PEM text that are to be trusted.
///
/// # Errors
/// [`ErrorKind::Config`] when there is none, or one that cannot be used.
pub(crate) fn check_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let what = "no certificate to trust in PEM form (root_certificates, ca_file)";
    let roots = certificates(pem, what)?;
    for root in &roots {
        RootCertStore::empty().add(root.clone()).map_err(|error| unusable(what, error))?;
    }
    Ok(roots)
}

/// Says whether a PEM text holds a certificate and the private key that belongs to it.
///
/// # Errors
/// [`ErrorKind::Config`] when it does not.
pub(crate) fn check_client_certificate(pem: &[u8]) -> Result<()> {
    let (chain, key) = client_certificate(pem)?;
    CertifiedKey::from_der(chain, key, &provider()).map(drop).map_err(mismatch)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(pem: &[u8]) -> Result<Identity> {
    let chain =
        certificates(pem, "no client certificate in PEM form (client_certificate, client_cert_file)")?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let what = "no private key in PEM form without a password (client_certificate, client_key_file)";
        unusable(what, error)
    })?;
    Ok((chain, key))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| unusable(what, error))?;
    if found.is_empty() { Err(Error::new(ErrorKind::Config, what)) } else { Ok(found) }
}

fn mismatch(error: rustls::Error) -> Error {
    unusable("the client certificate and its private key cannot be used together", error)
}

/// The error of a PEM text. Its cause is said by its kind alone: what the text holds may be a key.
fn unusable(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Config, what).with_source(error)
}

fn no_roots(error: rustls::Error) -> Error {
    let message = "TLS cannot be set up: this system has no certificates to trust. Install them (on Linux the package \
                   `ca-certificates`), name a file by `ca_file` or SSL_CERT_FILE, or build with the cargo feature \
                   `bundled-roots`";
    Error::new(ErrorKind::Config, message).with_source(error)
}

/// Mozilla's list, where it is compiled in.
fn bundled_roots() -> impl Iterator<Item = CertificateDer<'static>> {
    #[cfg(feature = "bundled-roots")]
    return webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned();
    #[cfg(not(feature = "bundled-roots"))]
    std::iter::empty()
}

/// The program's own TLS provider, else ring.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}
