//! Catalogues that come with a crate.

use std::sync::OnceLock;

use polysight_core::catalog::ModelRow;
use polysight_core::{Catalog, JsonValue, ModelCard, Result};

/// A catalogue that comes with a crate as TOML, read at its first use and once.
///
/// ```
/// use polysight_wire::vendor::BundledCatalog;
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

/// A catalogue in which these fields are replaced in the row of every model that is `wanted`: for a site or a protocol that
/// departs from the next one in the same way for each model.
///
/// # Errors
/// [`ErrorKind::Config`] for fields that a row does not have.
pub fn override_models(
    catalog: &Catalog,
    wanted: impl Fn(&ModelCard) -> bool,
    fields: &JsonValue,
) -> Result<Catalog> {
    let cards = catalog.cards().iter().filter(|card| wanted(card));
    let rows = cards.map(|card| {
        let mut row = fields.clone();
        row["id"] = card.id.clone().into();
        ModelRow::new(row)
    });
    catalog.clone().with_models(rows.collect::<Result<Vec<_>>>()?)
}
