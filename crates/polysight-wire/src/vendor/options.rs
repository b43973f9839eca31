//! What every vendor's provider is made with.

use std::sync::Arc;

use polysight_core::catalog::ModelRow;
use polysight_core::{ApiKey, Catalog, Error, ErrorKind, Result};

use super::{BearerKey, Credentials, NoKey};
use crate::{BaseUrl, Transport};

/// Settings that providers of all vendors share; each vendor's crate adds its own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderOptions {
    /// Name of the provider in responses and errors.
    pub name: String,
    /// The key.
    pub api_key: Option<ApiKey>,
    /// Prefix of all paths; `None`: the vendor's own.
    pub base_url: Option<BaseUrl>,
    /// Where the models are served: `None` or `vendor` for the vendor itself, else a deployment that the vendor's crate
    /// knows.
    pub deployment: Option<String>,
    /// Model for requests that name none.
    pub model: Option<String>,
    /// Models that extend or override the catalogue.
    pub models: Vec<ModelRow>,
    /// How requests are sent; `None`: a transport of its own with default limits.
    pub transport: Option<Transport>,
}

impl ProviderOptions {
    /// Options with nothing but a name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            api_key: None,
            base_url: None,
            deployment: None,
            model: None,
            models: Vec::new(),
            transport: None,
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_api_key(mut self, key: ApiKey) -> Self {
        self.api_key = Some(key);
        self
    }

    /// Sets the prefix of all paths.
    #[must_use]
    pub fn with_base_url(mut self, url: BaseUrl) -> Self {
        self.base_url = Some(url);
        self
    }

    /// Names a deployment.
    #[must_use]
    pub fn with_deployment(mut self, deployment: impl Into<String>) -> Self {
        self.deployment = Some(deployment.into());
        self
    }

    /// Sets the model for requests that name none.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Extends or overrides the catalogue.
    #[must_use]
    pub fn with_models(mut self, models: Vec<ModelRow>) -> Self {
        self.models = models;
        self
    }

    /// Sets how requests are sent, to share connections or limits.
    #[must_use]
    pub fn with_transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// The key, or an error that tells where one is expected.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without a key.
    pub fn require_key(&self, variable: &str) -> Result<&ApiKey> {
        self.api_key.as_ref().ok_or_else(|| {
            let message = format!("there is no api_key: give one, for example from {variable}");
            self.fault(message)
        })
    }

    /// The prefix of all paths, or an error that says what needs it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without one.
    pub fn require_base_url(&self, what: &str) -> Result<&BaseUrl> {
        self.base_url
            .as_ref()
            .ok_or_else(|| self.fault(format!("{what} needs a base_url, such as https://host.example/v1")))
    }

    /// An error of this provider's configuration.
    pub(crate) fn fault(&self, message: String) -> Error {
        Error::new(ErrorKind::Config, message).with_provider(self.name.as_str())
    }

    /// The key as a bearer, or no credentials where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a key that cannot stand in a header.
    pub fn bearer_or_none(&self) -> Result<Arc<dyn Credentials>> {
        Ok(match &self.api_key {
            Some(key) => Arc::new(BearerKey::new(key)?),
            None => Arc::new(NoKey),
        })
    }

    /// Where requests are counted. With a key that is the host; without one a path may lead to a server of its own.
    #[must_use]
    pub fn endpoint(&self, base_url: &BaseUrl) -> String {
        if self.api_key.is_some() { base_url.endpoint() } else { base_url.to_string() }
    }

    /// The given transport, or a new one with default limits.
    ///
    /// # Errors
    /// As [`TransportBuilder::build`](crate::TransportBuilder::build).
    pub fn transport(&self) -> Result<Transport> {
        match &self.transport {
            Some(transport) => Ok(transport.clone()),
            None => Transport::builder().build(),
        }
    }

    /// A vendor's catalogue with the models of these options laid over it.
    ///
    /// # Errors
    /// As [`Catalog::with_models`].
    pub fn catalog(&self, own: &Catalog) -> Result<Catalog> {
        own.clone().with_models(self.models.iter().cloned())
    }
}
