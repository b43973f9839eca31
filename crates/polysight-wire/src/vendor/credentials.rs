//! How a request shows who sends it.

use std::fmt;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header};
use polysight_core::{ApiKey, Error, ErrorKind, Result};

use crate::Transport;

/// Puts credentials on requests, and makes them anew when the vendor says that they have expired.
#[async_trait]
pub trait Credentials: Send + Sync + fmt::Debug {
    /// Adds what the vendor wants to the headers: a secret in another one than `Authorization` is to be
    /// [marked as sensitive](HeaderValue::set_sensitive), so that no error shows it. A token that must be fetched first goes through `transport`.
    ///
    /// # Errors
    /// Whatever fails while making a token.
    async fn authorize(&self, transport: &Transport, headers: &mut HeaderMap) -> Result<()>;

    /// Forgets the token that was refused, so that the next request makes a new one; false when there is nothing to make
    /// anew. `refused` is the `Authorization` header of the refused request: where it is not the present token's, another
    /// request has made a new one since, which must be kept.
    fn renew(&self, refused: Option<&HeaderValue>) -> bool;

    /// Secrets that stand in no header as they are, such as the one that a token was signed with: no error shows them.
    /// Default: none.
    fn secrets(&self) -> Vec<ApiKey> {
        Vec::new()
    }
}

/// `Authorization: Bearer <key>`, the form that every vendor takes.
#[derive(Debug, Clone)]
pub struct BearerKey {
    value: HeaderValue,
}

impl BearerKey {
    /// Prepares the header once.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the key cannot stand in a header.
    pub fn new(key: &ApiKey) -> Result<Self> {
        Ok(Self { value: bearer(key.expose())? })
    }
}

/// No credentials at all, as self-hosted servers without a key want it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoKey;

#[async_trait]
impl Credentials for NoKey {
    async fn authorize(&self, _: &Transport, _: &mut HeaderMap) -> Result<()> {
        Ok(())
    }

    fn renew(&self, _: Option<&HeaderValue>) -> bool {
        false
    }
}

/// The value of an `Authorization: Bearer` header, marked so that nothing prints it.
///
/// # Errors
/// [`ErrorKind::Config`] when the token cannot stand in a header.
pub fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
        Error::new(ErrorKind::Config, "the key holds characters that no HTTP header may hold")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[async_trait]
impl Credentials for BearerKey {
    async fn authorize(&self, _: &Transport, headers: &mut HeaderMap) -> Result<()> {
        headers.insert(header::AUTHORIZATION, self.value.clone());
        Ok(())
    }

    fn renew(&self, _: Option<&HeaderValue>) -> bool {
        false
    }
}
