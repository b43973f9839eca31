//! What can be set for this vendor alone, and how requests show its key.

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};
use polysight_core::{ApiKey, Error, ErrorKind, Result};
use polysight_wire::{Credentials, Transport};
use serde::Deserialize;

/// Settings of this vendor, beside those that all vendors share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcmeSettings {
    /// How long a request may wait in the vendor's queue, in seconds.
    pub patience: Option<u32>,
}

/// The key, in a header of its own.
#[derive(Debug)]
pub(super) struct AcmeKey(HeaderValue);

impl AcmeKey {
    pub(super) fn new(key: &ApiKey) -> Result<Self> {
        let mut value = HeaderValue::from_str(key.expose())
            .map_err(|_| Error::new(ErrorKind::Config, "the key cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

#[async_trait]
impl Credentials for AcmeKey {
    async fn authorize(&self, _: &Transport, headers: &mut HeaderMap) -> Result<()> {
        headers.insert("x-acme-key", self.0.clone());
        Ok(())
    }

    fn renew(&self, _: Option<&HeaderValue>) -> bool {
        false
    }
}
