//! The models, read once.

use std::sync::OnceLock;

use polysight_core::{Catalog, Result};

/// The catalogue that comes with this vendor.
///
/// # Errors
/// None in practice: a test reads it.
pub fn catalog() -> Result<&'static Catalog> {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    if let Some(catalog) = CATALOG.get() {
        return Ok(catalog);
    }
    let catalog = Catalog::from_toml(include_str!("catalog.toml"))?;
    Ok(CATALOG.get_or_init(|| catalog))
}
