//! The vendors that a config file can name.

use std::fmt;
use std::sync::Arc;

use polysight_core::{Error, Result, VisionProvider};
use polysight_wire::ProviderOptions;
use serde::de::DeserializeOwned;

use crate::config::{Backend, Backends};

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
/// assert!(registry.ids().any(|id| id == "acme"));
/// ```
#[derive(Clone)]
pub struct Registry {
    pub(crate) backends: Backends,
}

impl Registry {
    /// The vendors of the enabled cargo features.
    #[must_use]
    pub fn new() -> Self {
        #[allow(unused_mut, reason = "without a vendor's feature there is none to add")]
        let mut backends = Backends::default();
        #[cfg(feature = "zhipu")]
        {
            let build = |options, settings| Ok(shared(polysight_zhipu::Zhipu::new(options, &settings)?));
            let backend = Backend::new(polysight_zhipu::Zhipu::check, build);
            backends.insert("zhipu", backend.with_catalog(polysight_zhipu::catalog));
        }
        #[cfg(feature = "qwen-vl")]
        {
            let backend = Backend::new(crate::uploads::check, crate::uploads::build);
            backends.insert("qwen-vl", backend.with_catalog(polysight_qwen_vl::catalog));
        }
        #[cfg(feature = "ernie")]
        {
            let build = |options, settings| Ok(shared(polysight_ernie::Ernie::new(options, &settings)?));
            let backend = Backend::new(polysight_ernie::Ernie::check, build);
            backends.insert("ernie", backend.with_catalog(polysight_ernie::catalog));
        }
        #[cfg(feature = "openai")]
        {
            let build = |options, settings| Ok(shared(polysight_openai::OpenAi::new(options, &settings)?));
            backends.insert("openai", Backend::new(polysight_openai::OpenAi::check, build));
        }
        Self { backends }
    }

    /// Adds a vendor, or replaces one: `build` makes a provider of what all vendors share and the settings of its own.
    ///
    /// The settings are read when the config is read, so that unknown keys and wrong types are faults of the file. A struct
    /// gets the keys that are its fields; a map gets every key that no other setting has.
    #[must_use]
    pub fn with_backend<S, B>(self, id: impl Into<String>, build: B) -> Self
    where
        S: DeserializeOwned,
        B: Fn(ProviderOptions, S) -> Result<Arc<dyn VisionProvider>> + Send + Sync + 'static,
    {
        self.with_checked_backend(id, |_, _| Vec::new(), build)
    }

    /// The same for a vendor whose options and settings can be wrong together: `check` gives every fault when the config is
    /// read. Its options have neither key nor transport, and a text with an environment variable stands as it is in the file.
    #[must_use]
    pub fn with_checked_backend<S, C, B>(mut self, id: impl Into<String>, check: C, build: B) -> Self
    where
        S: DeserializeOwned,
        C: Fn(&ProviderOptions, &S) -> Vec<Error> + Send + Sync + 'static,
        B: Fn(ProviderOptions, S) -> Result<Arc<dyn VisionProvider>> + Send + Sync + 'static,
    {
        self.backends.insert(id, Backend::new(check, build));
        self
    }

    /// Ids of the vendors.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.backends.ids()
    }
}

#[cfg(any(feature = "ernie", feature = "openai", feature = "zhipu"))]
fn shared(provider: impl VisionProvider + 'static) -> Arc<dyn VisionProvider> {
    Arc::new(provider)
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
