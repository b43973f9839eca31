//! The models of the gateway, as its page names them.

use super::ernie::ErnieLimits;
use super::qwen::QwenLimits;
use super::zhipu::zhipu;
use super::{ModelLimits, Quota, ernie_model, qwen_model, zhipu_model};

/// A model that the gateway sells under a name and with limits of its own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GatewayModel {
    /// The name on the gateway's page; requests may write it in any case.
    pub id: &'static str,
    /// Prompt and answer together, in tokens.
    pub context: u64,
    /// How much of it one key may use.
    pub quota: Quota,
    /// The vendor's id of the model that answers.
    pub vendor_id: &'static str,
}

const fn model(id: &'static str, vendor_id: &'static str, context: u64, quota: Quota) -> GatewayModel {
    GatewayModel { id, context, quota, vendor_id }
}

const KI: u64 = 1024;

/// The page writes contexts as 128K, 32K, 8K and 4K; a K is taken for 1,024.
const GATEWAY: &[GatewayModel] = &[
    model("Qwen2.5-VL-72B-Instruct", "qwen2.5-vl-72b-instruct", 128 * KI, Quota::per_minute(120, 500_000)),
    model("Qwen2.5-VL-32B-Instruct", "qwen2.5-vl-32b-instruct", 128 * KI, Quota::per_minute(60, 100_000)),
    model("Qwen2.5-VL-7B-Instruct", "qwen2.5-vl-7b-instruct", 128 * KI, Quota::per_minute(1200, 1_000_000)),
    model("Qwen2.5-VL-3B-Instruct", "qwen2.5-vl-3b-instruct", 128 * KI, Quota::per_minute(1200, 1_000_000)),
    model("GLM-4V-Flash", "glm-4v-flash", 4 * KI, Quota::at_once(30)),
    model("GLM-4V", "glm-4v", 8 * KI, Quota::at_once(30)),
    model("GLM-4V-Plus", "glm-4v-plus", 8 * KI, Quota::at_once(10)),
    // Without "VL" on the page; its price and quota are those of the vision model, and it stands among vision models.
    model("ERNIE-4.5-Turbo-32K", "ernie-4.5-turbo-vl-32k", 32 * KI, Quota::per_minute(1000, 200_000)),
];

/// The eight vision models of the gateway's page.
pub fn gateway() -> &'static [GatewayModel] {
    GATEWAY
}

/// What the gateway serves under a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// As the list of models spells it.
    pub(crate) id: &'static str,
    pub(crate) context: u64,
    pub(crate) quota: Quota,
    pub(crate) behind: Behind,
}

/// The model behind the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behind {
    Zhipu(&'static ModelLimits),
    Qwen(&'static QwenLimits),
    Ernie(&'static ErnieLimits),
    /// A model that is not known, where any is served.
    Unknown,
}

impl Served {
    /// A model that is not known: text, pictures, videos and tools, and no limit that a test would meet.
    pub(crate) const UNKNOWN: Self =
        Self { id: "unknown", context: 1 << 30, quota: Quota::NONE, behind: Behind::Unknown };

    /// Highest `max_tokens`.
    pub(crate) fn most_output(self) -> u64 {
        match self.behind {
            Behind::Zhipu(limits) => limits.max_output,
            Behind::Qwen(limits) => limits.max_output,
            Behind::Ernie(limits) => limits.output.1,
            Behind::Unknown => 1 << 30,
        }
    }

    fn of_page(model: &'static GatewayModel) -> Option<Self> {
        let behind = zhipu_model(model.vendor_id)
            .map(Behind::Zhipu)
            .or_else(|| qwen_model(model.vendor_id).map(Behind::Qwen))
            .or_else(|| ernie_model(model.vendor_id).map(Behind::Ernie))?;
        Some(Self { id: model.id, context: model.context, quota: model.quota, behind })
    }

    /// Zhipu's other models, which proxies of the same kind pass on.
    fn passed_on(model: &'static ModelLimits) -> Self {
        Self { id: model.id, context: model.context, quota: Quota::NONE, behind: Behind::Zhipu(model) }
    }

    /// All that the gateway serves, the models of its page first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let on_page = |id: &str| GATEWAY.iter().any(|model| model.vendor_id == id);
        let others = zhipu().iter().filter(move |model| !on_page(model.id)).map(Self::passed_on);
        GATEWAY.iter().filter_map(Self::of_page).chain(others)
    }
}

/// The model of this id in any case, as gateways take it.
pub(crate) fn gateway_model(id: &str) -> Option<Served> {
    Served::all().find(|model| model.id.eq_ignore_ascii_case(id))
}
