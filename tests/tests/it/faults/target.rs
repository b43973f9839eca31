//! Who is put to the test: one vendor's provider, and what of a fault is that vendor's own.

use std::net::SocketAddr;

use polysight::{ErrorKind, Polysight, VisionProvider};
use polysight_emulator::Surface;

use super::row::{Advice, Limits};

/// A secret that no error may show.
pub(super) const CANARY: &str = "canary";

/// One vendor: a column of the table.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// The emulator's surface that speaks its wire.
    pub(super) surface: Surface,
    /// Its keys of a provider table, base URL and limits left out.
    pub(super) settings: &'static str,
    /// A model that answers at once, and one that reasons before.
    pub(super) model: &'static str,
    pub(super) reasoning_model: &'static str,
    /// What its codes stand for, held apart from the table in its crate.
    pub(super) codes: &'static [(&'static str, ErrorKind, Advice)],
}

pub(super) const ZHIPU: Target = Target {
    name: "zhipu",
    surface: Surface::Zhipu,
    settings: r#"backend = "zhipu"
        api_key = "id.canary""#,
    model: "glm-4v-plus",
    reasoning_model: "glm-4.6v",
    codes: &[
        ("500", ErrorKind::Server, Advice::Later),
        ("1000", ErrorKind::Authentication, Advice::Never),
        ("1001", ErrorKind::Authentication, Advice::Never),
        ("1002", ErrorKind::Authentication, Advice::Never),
        // A plain key cannot be made anew.
        ("1003", ErrorKind::Authentication, Advice::Never),
        ("1110", ErrorKind::Permission, Advice::Never),
        ("1111", ErrorKind::Permission, Advice::Never),
        ("1112", ErrorKind::Permission, Advice::Never),
        ("1113", ErrorKind::Billing, Advice::Never),
        ("1120", ErrorKind::Server, Advice::Later),
        ("1121", ErrorKind::Permission, Advice::Never),
        ("1210", ErrorKind::InvalidRequest, Advice::Never),
        ("1211", ErrorKind::ModelNotFound, Advice::Never),
        ("1214", ErrorKind::InvalidRequest, Advice::Never),
        ("1220", ErrorKind::Permission, Advice::Never),
        ("1234", ErrorKind::Server, Advice::Later),
        ("1261", ErrorKind::ContextTooLong, Advice::Never),
        ("1301", ErrorKind::ContentRefused, Advice::Never),
        ("1302", ErrorKind::RateLimited, Advice::Later),
        ("1303", ErrorKind::RateLimited, Advice::Later),
        ("1304", ErrorKind::QuotaExhausted, Advice::Never),
        ("1305", ErrorKind::Overloaded, Advice::Later),
        ("1308", ErrorKind::QuotaExhausted, Advice::Never),
        ("1309", ErrorKind::Billing, Advice::Never),
        ("1310", ErrorKind::QuotaExhausted, Advice::Never),
        ("1311", ErrorKind::Permission, Advice::Never),
        ("1312", ErrorKind::Overloaded, Advice::Later),
        ("1313", ErrorKind::RateLimited, Advice::Never),
        ("1314", ErrorKind::Permission, Advice::Never),
        ("1315", ErrorKind::Permission, Advice::Never),
        ("1316", ErrorKind::QuotaExhausted, Advice::Never),
        ("1317", ErrorKind::QuotaExhausted, Advice::Never),
        ("1318", ErrorKind::QuotaExhausted, Advice::Never),
        ("1319", ErrorKind::QuotaExhausted, Advice::Never),
        ("1320", ErrorKind::QuotaExhausted, Advice::Never),
        ("1321", ErrorKind::QuotaExhausted, Advice::Never),
    ],
};

impl Target {
    /// A provider of this vendor that talks to `base_url` within `limits`.
    pub(super) fn provider(&self, base_url: &str, limits: &Limits) -> std::sync::Arc<dyn VisionProvider> {
        let (name, settings, model, limits) = (self.name, self.settings, self.model, limits.to_toml());
        let config = format!(
            "[providers.{name}]\nbase_url = \"{base_url}\"\nmodel = \"{model}\"\n{settings}\n{limits}\n"
        );
        let sight = Polysight::from_toml(&config).unwrap();
        sight.provider(name).unwrap_or_else(|error| panic!("{error}: {config}"))
    }

    /// Where its paths begin on a server that is not the emulator.
    pub(super) fn base_url(&self, scheme: &str, address: SocketAddr) -> String {
        format!("{scheme}://{address}{}", self.surface.prefix())
    }
}
