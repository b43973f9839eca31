//! The vendors that a config file can name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use polysight_core::{Error, ErrorKind, Result, VisionProvider};
use polysight_wire::ProviderOptions;
use serde::de::DeserializeOwned;
use toml::Table;

use crate::config::told;
use crate::fields::fields_of;

type Build = Arc<dyn Fn(ProviderOptions, Table) -> Result<Arc<dyn VisionProvider>> + Send + Sync>;

/// The vendors that a config file can name by `backend`: those of the enabled cargo features, and the program's own.
///
/// ```
/// use std::sync::Arc;
/// use polysight::{Error, ErrorKind, Registry};
///
/// # #[derive(serde::Deserialize)]
/// # struct AcmeSettings {}
/// let registry = Registry::new().with_backend("acme", |options, settings: AcmeSettings| {
///     // Make a provider of the options and the settings here.
///     Err(Error::new(ErrorKind::Unsupported, options.name))
/// });
/// ```
#[derive(Clone)]
pub struct Registry {
    backends: BTreeMap<String, Backend>,
}

#[derive(Clone)]
struct Backend {
    keys: &'static [&'static str],
    build: Build,
}

/// Vendors with a cargo feature each, whether or not it is enabled.
const FEATURES: [&str; 3] = ["zhipu", "qwen-vl", "ernie"];

impl Registry {
    /// The vendors of the enabled cargo features.
    #[must_use]
    pub fn new() -> Self {
        let registry = Self { backends: BTreeMap::new() };
        #[cfg(feature = "zhipu")]
        let registry = registry.with_backend("zhipu", |options, settings| {
            Ok(Arc::new(polysight_zhipu::Zhipu::new(options, &settings)?))
        });
        #[cfg(feature = "qwen-vl")]
        let registry = registry.with_backend("qwen-vl", |options, settings| {
            Ok(Arc::new(polysight_qwen_vl::QwenVl::new(options, &settings)?))
        });
        #[cfg(feature = "ernie")]
        let registry = registry.with_backend("ernie", |options, settings| {
            Ok(Arc::new(polysight_ernie::Ernie::new(options, &settings)?))
        });
        registry
    }

    /// Adds a vendor, or replaces one: `build` makes a provider of what all vendors share and the settings of its own.
    #[must_use]
    pub fn with_backend<S, B>(mut self, id: impl Into<String>, build: B) -> Self
    where
        S: DeserializeOwned,
        B: Fn(ProviderOptions, S) -> Result<Arc<dyn VisionProvider>> + Send + Sync + 'static,
    {
        let build: Build = Arc::new(move |options, table| {
            let settings =
                S::deserialize(table).map_err(|error| Error::new(ErrorKind::Config, told(&error)))?;
            build(options, settings)
        });
        self.backends.insert(id.into(), Backend { keys: fields_of::<S>(), build });
        self
    }

    /// Ids of the vendors.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.backends.keys().map(String::as_str)
    }

    /// Ids under which a role may carry options: also those of vendors whose feature is off, so that one file serves
    /// builds with different features.
    pub(crate) fn extra_keys(&self) -> Vec<&str> {
        let off = FEATURES.into_iter().filter(|id| !self.backends.contains_key(*id));
        self.ids().chain(off).collect()
    }

    pub(crate) fn keys(&self, id: &str) -> Option<&'static [&'static str]> {
        self.backends.get(id).map(|backend| backend.keys)
    }

    pub(crate) fn build(
        &self,
        id: &str,
        options: ProviderOptions,
        own: Table,
    ) -> Result<Arc<dyn VisionProvider>> {
        let backend = self.backends.get(id).ok_or_else(|| Error::new(ErrorKind::Config, self.missing(id)))?;
        (backend.build)(options, own)
    }

    /// Why there is no such backend.
    pub(crate) fn missing(&self, id: &str) -> String {
        if FEATURES.contains(&id) {
            return format!(
                "backend `{id}` is not compiled in: enable the cargo feature `{id}` of polysight"
            );
        }
        crate::config::unknown("backend", id, &self.extra_keys())
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ids()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_backend_is_no_feature_that_is_off() {
        let registry = Registry::new();
        assert!(registry.missing("acme").contains("unknown backend `acme`"));
        assert!(registry.missing("zipu").contains("did you mean `zhipu`?"));
    }

    #[cfg(not(feature = "ernie"))]
    #[test]
    fn a_vendor_whose_feature_is_off_is_named_with_its_feature() {
        let text = "[providers.a]\nbackend = \"ernie\"\n[roles.default]\n";
        let error = crate::Polysight::from_toml(text).unwrap_err().to_string();
        assert!(error.contains("providers.a.backend"), "{error}");
        assert!(error.contains("enable the cargo feature `ernie` of polysight"), "{error}");
    }
}
