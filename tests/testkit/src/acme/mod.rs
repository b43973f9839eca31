//! A fourth vendor that does not exist, written as CONTRIBUTING says, to see what a vendor costs.
//!
//! Its wire shares nothing with chat completions: other names, a header of its own for the key, numbers for errors, whole
//! tenths for the temperature. Outside this module a program says three things to have it, counted by a test:
//!
//! ```
//! use polysight_testkit::acme::{Acme, AcmeSettings};
//! use std::sync::Arc;
//!
//! let registry = polysight::Registry::new().with_backend("acme", |options, settings: AcmeSettings| {
//!     Ok(Arc::new(Acme::new(options, &settings)?))
//! });
//! assert!(registry.ids().any(|id| id == "acme"));
//! ```

mod decoder;
mod dialect;
mod errors;
mod facts;
mod reply;
mod server;
mod settings;

use std::sync::{Arc, OnceLock};

pub use dialect::AcmeDialect;
use polysight_core::{Catalog, ProviderId, Result};
use polysight_wire::{DialectProvider, ProviderOptions, forward_provider};
pub use server::{AcmeFault, AcmeRequest, AcmeServer, KEY};
pub use settings::AcmeSettings;

/// The models.
fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| Catalog::from_toml(include_str!("catalog.toml")).expect("a good catalogue"))
}

/// The vendor's id.
pub const VENDOR: &str = "acme";

/// Acme as a provider.
#[derive(Debug)]
pub struct Acme(DialectProvider<AcmeDialect>);

forward_provider!(impl for Acme, 0);

impl Acme {
    /// Makes a provider from options that all vendors share and settings of this one.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](polysight_core::ErrorKind::Config) without a key.
    pub fn new(options: ProviderOptions, settings: &AcmeSettings) -> Result<Self> {
        let base_url = match &options.base_url {
            Some(url) => url.clone(),
            None => "https://api.acme.example/v9".parse()?,
        };
        let key = settings::AcmeKey::new(options.require_key("ACME_KEY")?)?;
        let transport = options.transport()?;
        let dialect = AcmeDialect {
            catalog: options.catalog(catalog())?,
            model: options.model.clone().unwrap_or_else(|| "acme-eye".to_owned()),
            url: base_url.join("look")?,
            patience: settings.patience,
            id: ProviderId::new(options.name, VENDOR),
        };
        Ok(Self(DialectProvider::new(dialect, Arc::new(key), transport)))
    }
}
