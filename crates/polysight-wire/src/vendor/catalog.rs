//! Catalogues that come with a crate.

use std::sync::OnceLock;

use polysight_core::catalog::ModelRow;
use polysight_core::{Catalog, JsonValue, ModelCard, Result};
use serde_json::Map;

/// A catalogue that comes with a crate as TOML, read at its first use and once.
///
/// ```
/// # mod polysight { pub use polysight_core::*; pub use polysight_wire as wire; }
/// use polysight::wire::vendor::BundledCatalog;
///
/// static CATALOG: BundledCatalog = BundledCatalog::new("vendor = \"acme\"\n[[models]]\nid = \"acme-eye\"");
///
/// assert!(CATALOG.get().unwrap().find("acme-eye").is_some());
/// ```
#[derive(Debug)]
pub struct BundledCatalog {
    text: &'static str,
    read: OnceLock<Catalog>,
}

impl BundledCatalog {
    /// A catalogue of this text, as a rule `include_str!("../catalog/vendor.toml")`.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { text, read: OnceLock::new() }
    }

    /// The models.
    ///
    /// # Errors
    /// As [`Catalog::from_toml`]: none in practice, since each crate's tests read its catalogues.
    pub fn get(&self) -> Result<&Catalog> {
        if let Some(catalog) = self.read.get() {
            return Ok(catalog);
        }
        let catalog = Catalog::from_toml(self.text)?;
        Ok(self.read.get_or_init(|| catalog))
    }
}

/// A catalogue in which a field is replaced in the row of every model that is `selected`: for a site or a protocol that
/// departs from the next one in the same way for each model.
///
/// # Errors
/// [`Config`](polysight_core::ErrorKind::Config) for a field that a row does not have.
pub fn override_models(
    catalog: &Catalog,
    selected: impl Fn(&ModelCard) -> bool,
    field: &str,
    value: &JsonValue,
) -> Result<Catalog> {
    let cards = catalog.cards().iter().filter(|card| selected(card));
    let rows = cards.map(|card| {
        let row = Map::from_iter([
            ("id".to_owned(), JsonValue::from(card.id.clone())),
            (field.to_owned(), value.clone()),
        ]);
        ModelRow::new(row)
    });
    catalog.clone().with_models(rows.collect::<Result<Vec<_>>>()?)
}
