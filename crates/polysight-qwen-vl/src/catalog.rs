//! The models, read once.

use std::sync::OnceLock;

use polysight_core::catalog::ModelRow;
use polysight_core::{Catalog, Error, ErrorKind, Result};
use serde_json::json;

use crate::deployment::Deployment;
use crate::settings::Protocol;

/// The catalogue that comes with this crate: the models as the vendor itself serves them.
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

/// The models as a deployment serves them over one of the vendor's protocols.
pub(crate) fn of_deployment(deployment: &Deployment, protocol: Protocol) -> Result<Catalog> {
    let catalog = if deployment.is_vendor { catalog()?.clone() } else { deployment.catalog()? };
    if protocol == Protocol::Native {
        return Ok(catalog);
    }
    // Only the native protocol has a limit of frames (vendor's page of visual understanding).
    let limited = catalog
        .cards()
        .iter()
        .filter(|card| card.video.limits().is_some_and(|video| video.max_frames.is_yes()));
    let rows = limited.map(|card| row_without_frame_limit(&card.id)).collect::<Result<Vec<_>>>()?;
    catalog.with_models(rows)
}

fn row_without_frame_limit(id: &str) -> Result<ModelRow> {
    ModelRow::try_from(json!({"id": id, "video": {"max_frames": false}}))
        .map_err(|error| Error::new(ErrorKind::Config, "no row of a catalogue").with_source(error))
}

#[cfg(test)]
mod tests {
    use polysight_core::catalog::{Status, ThinkingMode};

    use super::*;
    use crate::tokens::TokenFormula;

    #[test]
    fn every_row_is_well_formed_and_names_its_source_day_and_formula() {
        let catalog = catalog().unwrap();
        assert_eq!(catalog.vendor(), "qwen-vl");
        assert_eq!(catalog.cards().len(), 41);
        for card in catalog.cards() {
            assert!(!card.source.is_empty(), "{}", card.id);
            assert_eq!(card.as_of.len(), "2026-11-21".len(), "{}", card.id);
            assert_eq!(card.id, card.id.to_lowercase());
            assert!(TokenFormula::of(card).is_some(), "{}", card.id);
            assert!(card.image.is_yes(), "{}", card.id);
            if let Some(newer) = &card.replacement {
                assert!(catalog.find(newer).is_some_and(|card| card.status == Status::Live));
            }
        }
    }

    #[test]
    fn the_default_model_is_live_and_sees() {
        let card = catalog().unwrap().find(crate::DEFAULT_MODEL).unwrap();
        assert_eq!(card.status, Status::Live);
        assert!(card.video.is_yes());
        assert_eq!(card.thinking.mode, Some(ThinkingMode::Switchable));
    }

    #[test]
    fn a_limit_of_frames_is_offered_by_the_native_protocol_only() {
        let vendor = Deployment::named(None).unwrap();
        let limit = |protocol| {
            let catalog = of_deployment(vendor, protocol).unwrap();
            catalog.card("qwen3-vl-plus").video.limits().unwrap().max_frames
        };
        assert!(limit(Protocol::Native).is_yes());
        assert!(limit(Protocol::Compatible).is_no());
        let catalog = of_deployment(vendor, Protocol::Compatible).unwrap();
        assert_eq!(catalog.card("qwen3-vl-plus-2025-12-19").id, "qwen3-vl-plus");
        assert_eq!(catalog.card("qwen3-vl-plus").image.limits().unwrap().inline_count, Some(250));
    }
}
