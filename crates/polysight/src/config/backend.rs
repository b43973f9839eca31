//! What a config needs to know of a vendor: how its settings are read and checked, and how a provider is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use polysight_core::{Catalog, Error, Result, VisionProvider};
use polysight_wire::ProviderOptions;
use serde::de::DeserializeOwned;

use super::de::{Reader, Texts, read};
use super::faults::{Fault, Faults, unknown};
use super::file::Table;

/// Vendors with a cargo feature each, whether or not it is enabled.
const FEATURES: [&str; 4] = ["ernie", "openai", "qwen-vl", "zhipu"];

type Take = dyn Fn(&mut Reader<'_>, &mut Faults) -> bool + Send + Sync;
type Check = dyn Fn(&ProviderOptions, &Table) -> Vec<Error> + Send + Sync;
type Build =
    dyn Fn(ProviderOptions, &Table, &str, Texts<'_>) -> Result<Arc<dyn VisionProvider>, Fault> + Send + Sync;

/// The catalogue that comes with a vendor's crate.
type BundledCatalog = fn() -> Result<&'static Catalog>;

/// A vendor, its type of settings erased.
#[derive(Clone)]
pub(crate) struct Backend {
    take: Arc<Take>,
    check: Arc<Check>,
    build: Arc<Build>,
    catalog: Option<BundledCatalog>,
}

impl Backend {
    /// A vendor with settings `S`, a check of options and settings that needs neither key nor network, and a constructor.
    pub(crate) fn new<S, C, B>(check: C, build: B) -> Self
    where
        S: DeserializeOwned,
        C: Fn(&ProviderOptions, &S) -> Vec<Error> + Send + Sync + 'static,
        B: Fn(ProviderOptions, S) -> Result<Arc<dyn VisionProvider>> + Send + Sync + 'static,
    {
        Self {
            take: Arc::new(|reader, faults| reader.take::<S>(faults).is_some()),
            check: Arc::new(move |options, own| match read::<S>(own, "", Texts::Placeholders) {
                Ok(settings) => check(options, &settings),
                // Named already, when the settings were taken.
                Err(_) => Vec::new(),
            }),
            build: Arc::new(move |options, own, path, texts| {
                build(options, read(own, path, texts)?).map_err(|error| Fault::new(path, error.message()))
            }),
            catalog: None,
        }
    }

    /// Names the catalogue that comes with the vendor's crate.
    #[cfg(any(feature = "ernie", feature = "qwen-vl", feature = "zhipu"))]
    pub(crate) fn with_catalog(mut self, catalog: BundledCatalog) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// The models that the vendor serves itself, where that is known.
    pub(crate) fn catalog(&self) -> Option<&'static Catalog> {
        self.catalog.and_then(|catalog| catalog().ok())
    }

    /// Takes the vendor's settings from a table; false when they are incomplete.
    pub(crate) fn take(&self, reader: &mut Reader<'_>, faults: &mut Faults) -> bool {
        (self.take)(reader, faults)
    }

    /// What the vendor finds wrong with options and settings that are right one by one. What a variable stands for is not
    /// known yet: faults that go when its key is left out are passed over.
    pub(crate) fn check(&self, options: &ProviderOptions, own: &Table) -> Vec<Error> {
        let mut errors = (self.check)(options, own);
        for (key, _) in own.iter().filter(|(_, node)| node.has_variable()) {
            if errors.is_empty() {
                break;
            }
            let mut without = own.clone();
            without.remove(key);
            let left = (self.check)(options, &without);
            errors.retain(|error| left.iter().any(|left| left.message() == error.message()));
        }
        errors
    }

    /// Makes a provider.
    pub(crate) fn build(
        &self,
        options: ProviderOptions,
        own: &Table,
        path: &str,
        texts: Texts<'_>,
    ) -> Result<Arc<dyn VisionProvider>, Fault> {
        (self.build)(options, own, path, texts)
    }
}

/// Vendors by their ids.
#[derive(Clone, Default)]
pub(crate) struct Backends(BTreeMap<String, Backend>);

impl Backends {
    pub(crate) fn insert(&mut self, id: impl Into<String>, backend: Backend) {
        self.0.insert(id.into(), backend);
    }

    /// Ids of the vendors.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Ids under which a role may carry options: also those of vendors whose feature is off, so that one file serves
    /// builds with different features.
    pub(crate) fn extra_keys(&self) -> Vec<&str> {
        let off = FEATURES.into_iter().filter(|id| !self.0.contains_key(*id));
        self.ids().chain(off).collect()
    }

    /// The vendor of this id, or why there is none.
    pub(crate) fn find(&self, id: &str) -> Result<&Backend, String> {
        self.0.get(id).ok_or_else(|| match FEATURES.contains(&id) {
            true => {
                format!("backend `{id}` is not compiled in: enable the cargo feature `{id}` of polysight")
            }
            false => unknown("backend", id, self.extra_keys()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_backend_is_no_feature_that_is_off() {
        let problem = |id| Backends::default().find(id).err().unwrap();
        assert!(problem("acme").contains("unknown backend `acme`"));
        assert!(problem("zipu").contains("did you mean `zhipu`?"));
        assert!(problem("ernie").contains("enable the cargo feature `ernie` of polysight"));
    }
}
