//! Where a vendor's models are served, and what each place wants otherwise.

use std::sync::Arc;

use polysight_core::{Catalog, Error, ErrorKind, ProviderId, Result, redact_name};

use super::{BundledCatalog, Credentials, ProviderOptions};
use crate::BaseUrl;

/// A place where a vendor's models are served: the vendor itself, a gateway, or a server of one's own. It is data: what is not
/// promised there is not written, and what cannot be said there is refused before sending.
#[derive(Debug)]
pub struct Deployment<W: 'static> {
    /// Its name in configuration.
    pub name: &'static str,
    /// Whether it is the vendor itself: its sites, its forms of keys, its headers.
    pub is_vendor: bool,
    /// Whether it answers no request without a key.
    pub needs_key: bool,
    /// Where it listens unless the options say otherwise; the vendor's own sites depend on settings.
    pub base_url: Option<&'static str>,
    /// Model for requests that name none.
    pub model: Option<&'static str>,
    /// The models as they are served there.
    pub catalog: &'static BundledCatalog,
    /// How its wire departs from the vendor's.
    pub wire: W,
}

/// The deployments of a vendor, its own service first.
#[derive(Debug)]
pub struct Deployments<W: 'static> {
    vendor: &'static str,
    all: &'static [Deployment<W>],
}

impl<W> Deployments<W> {
    /// The deployments of a vendor; the first one serves where the options name none.
    #[must_use]
    pub const fn new(vendor: &'static str, all: &'static [Deployment<W>]) -> Self {
        Self { vendor, all }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &'static [Deployment<W>] {
        self.all
    }

    /// The deployment that the options name, else the vendor itself.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that lists the known ones.
    pub fn find(&self, options: &ProviderOptions) -> Result<&'static Deployment<W>> {
        let found = match options.deployment.as_deref() {
            None => self.all.first(),
            Some(name) => self.all.iter().find(|known| known.name == name),
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.all.iter().map(|known| known.name).collect();
            let message = format!(
                "{} has no deployment `{}`; known: {}",
                self.vendor,
                redact_name(options.deployment.as_deref().unwrap_or_default()),
                known.join(", ")
            );
            options.fault(message)
        })
    }
}

impl<W> Deployment<W> {
    /// Where requests go: as the options say, else where the deployment listens, and for the vendor itself where its `site` is.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a deployment without an address of its own, and as `site`.
    pub fn base_url(
        &self,
        options: &ProviderOptions,
        site: impl FnOnce() -> Result<BaseUrl>,
    ) -> Result<BaseUrl> {
        match (&options.base_url, self.base_url) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(url)) => url.parse(),
            (None, None) if self.is_vendor => site(),
            (None, None) => options.require_base_url(&format!("deployment `{}`", self.name)).cloned(),
        }
    }

    /// The provider's identity. With a key it is counted by the host that it asks; without one a path may lead to a server of
    /// its own.
    #[must_use]
    pub fn id(&self, options: &ProviderOptions, vendor: &'static str, base_url: &BaseUrl) -> ProviderId {
        let endpoint = if self.needs_key { base_url.endpoint() } else { options.endpoint(base_url) };
        ProviderId::new(options.name.as_str(), vendor).with_endpoint(endpoint)
    }

    /// The models, those of the options laid over them.
    ///
    /// # Errors
    /// As [`Catalog::with_models`].
    pub fn catalog(&self, options: &ProviderOptions) -> Result<Catalog> {
        options.catalog(self.catalog.get()?)
    }

    /// The model for requests that name none.
    #[must_use]
    pub fn model(&self, options: &ProviderOptions) -> Option<String> {
        options.model.clone().or_else(|| self.model.map(str::to_owned))
    }

    /// The key as a bearer, or no credentials where none is given and none is needed. `variable` is where keys usually are.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without a key that is needed, or for one that cannot stand in a header.
    pub fn credentials(&self, options: &ProviderOptions, variable: &str) -> Result<Arc<dyn Credentials>> {
        if self.needs_key {
            options.require_key(variable)?;
        }
        options.bearer_or_none()
    }

    /// Refuses settings that only the vendor itself has; `given` says which of them are set.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names them.
    pub fn refuse_settings(&self, given: &[(&str, bool)]) -> Result<()> {
        let given = given.iter().filter(|(_, is_given)| *is_given && !self.is_vendor);
        let names: Vec<String> = given.map(|(name, _)| format!("`{name}`")).collect();
        if names.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{}: of the vendor's own service, and not supported for deployment `{}`: leave it out",
            names.join(", "),
            self.name
        );
        Err(Error::new(ErrorKind::Config, message))
    }
}
