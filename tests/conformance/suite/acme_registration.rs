//! All that a program says to have a vendor that comes with no feature; a test counts the lines.

use std::sync::Arc;

use polysight::Registry;
use polysight_testkit::acme::{Acme, AcmeSettings};

pub(crate) fn registry() -> Registry {
    Registry::new()
        .with_backend("acme", |options, settings: AcmeSettings| Ok(Arc::new(Acme::new(options, &settings)?)))
}
