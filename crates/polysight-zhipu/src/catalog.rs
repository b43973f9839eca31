//! The models, read once.

use std::sync::OnceLock;

use polysight_core::{Catalog, Result};

/// The catalogue that comes with this crate.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed_and_names_its_source_and_day() {
        let catalog = catalog().unwrap();
        assert_eq!(catalog.vendor(), "zhipu");
        assert_eq!(catalog.cards().len(), 20);
        for card in catalog.cards() {
            assert!(!card.source.is_empty(), "{}", card.id);
            assert_eq!(card.as_of.len(), "2026-11-21".len(), "{}", card.id);
            assert_eq!(card.id, card.id.to_lowercase());
            if let Some(newer) = &card.replacement {
                assert!(
                    catalog
                        .find(newer)
                        .is_some_and(|card| card.status == polysight_core::catalog::Status::Live)
                );
            }
        }
    }

    #[test]
    fn a_model_is_found_in_any_case() {
        assert_eq!(catalog().unwrap().card("GLM-4V-Plus").id, "glm-4v-plus");
    }
}
