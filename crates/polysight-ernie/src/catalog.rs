//! The models of each deployment, read once.

use std::sync::OnceLock;

use polysight_core::catalog::ModelRow;
use polysight_core::{Catalog, Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::json;

/// The vendor's catalogue that comes with this crate.
///
/// # Errors
/// None in practice: a test reads it.
pub fn catalog() -> Result<&'static Catalog> {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    read(&CATALOG, include_str!("catalog.toml"))
}

/// Models behind a gateway.
pub(crate) fn gateway() -> Result<&'static Catalog> {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    read(&CATALOG, include_str!("gateway.toml"))
}

/// Open weights served by FastDeploy.
pub(crate) fn fastdeploy() -> Result<&'static Catalog> {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    read(&CATALOG, include_str!("fastdeploy.toml"))
}

/// Open weights served by vLLM.
pub(crate) fn vllm() -> Result<&'static Catalog> {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    read(&CATALOG, include_str!("vllm.toml"))
}

fn read(cell: &'static OnceLock<Catalog>, text: &str) -> Result<&'static Catalog> {
    if let Some(catalog) = cell.get() {
        return Ok(catalog);
    }
    let catalog = Catalog::from_toml(text)?;
    Ok(cell.get_or_init(|| catalog))
}

/// The same models without prices: for sites whose prices are others.
pub(crate) fn without_prices(catalog: &Catalog) -> Result<Catalog> {
    let row = |id: &str| {
        ModelRow::deserialize(json!({"id": id, "prices": []})).map_err(|error| {
            Error::new(ErrorKind::Config, "the catalogue cannot be stripped of its prices").with_source(error)
        })
    };
    let rows = catalog.cards().iter().map(|card| row(&card.id)).collect::<Result<Vec<_>>>()?;
    catalog.clone().with_models(rows)
}

#[cfg(test)]
mod tests {
    use polysight_core::catalog::Status;

    use super::*;

    #[test]
    fn every_row_is_well_formed_and_names_its_source_and_day() {
        for (catalog, models) in [(catalog(), 29), (gateway(), 1), (fastdeploy(), 3), (vllm(), 3)] {
            let catalog = catalog.unwrap();
            assert_eq!(catalog.vendor(), "ernie");
            assert_eq!(catalog.cards().len(), models);
            for card in catalog.cards() {
                assert!(!card.source.is_empty(), "{}", card.id);
                assert_eq!(card.as_of.len(), "2026-11-21".len(), "{}", card.id);
                if let Some(newer) = &card.replacement {
                    assert!(catalog.find(newer).is_some_and(|card| card.status == Status::Live), "{newer}");
                }
            }
        }
    }

    #[test]
    fn the_name_that_lost_its_vl_sees_behind_the_gateway_and_not_at_the_vendor() {
        assert!(gateway().unwrap().card("ERNIE-4.5-Turbo-32K").image.is_yes());
        assert!(gateway().unwrap().card("ernie-4.5-turbo-vl-32k").image.is_yes());
        assert!(catalog().unwrap().card("ERNIE-4.5-Turbo-32K").image.is_no());
        let (sold, own) = (
            gateway().unwrap().card("ERNIE-4.5-Turbo-32K"),
            catalog().unwrap().card("ernie-4.5-turbo-vl-32k"),
        );
        let quota = |quotas: Option<polysight_core::catalog::Quotas>| {
            quotas.map(|quotas| (quotas.requests_per_minute, quotas.tokens_per_minute))
        };
        assert_eq!(quota(sold.quotas), quota(own.quotas));
        assert_eq!(sold.prices[0].input, 4.29);
        assert_eq!(own.prices[0].input, 3.0);
    }

    #[test]
    fn a_site_with_other_prices_lists_none() {
        let stripped = without_prices(catalog().unwrap()).unwrap();
        assert_eq!(stripped.cards().len(), catalog().unwrap().cards().len());
        assert!(stripped.cards().iter().all(|card| card.prices.is_empty()));
        assert_eq!(stripped.card("ernie-4.5-turbo-vl").max_output, Some(16_384));
    }
}
