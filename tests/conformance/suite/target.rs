//! Who must keep the contract: every provider, at every place that serves it.

use polysight_emulator::Surface;

/// A provider at one place.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// The interface of the emulator that answers; `None`: the toy vendor's own server.
    pub(crate) surface: Option<Surface>,
    /// What the config says of the provider, besides its address and key.
    settings: &'static str,
    pub(crate) key: &'static str,
    /// A key of the same form that the server does not know.
    pub(crate) wrong_key: &'static str,
    pub(crate) models: Models,
    pub(crate) codes: Codes,
    /// Whether answers name the caller's id of the request; Baidu's name one of its own.
    pub(crate) echoes_ids: bool,
}

/// Which model plays which part.
#[derive(Clone, Copy)]
pub(crate) struct Models {
    /// One for words alone, where there is such a model.
    pub(crate) text: &'static str,
    pub(crate) vision: &'static str,
    pub(crate) video: &'static str,
    pub(crate) thinking: &'static str,
    pub(crate) tools: &'static str,
}

impl Models {
    const fn all(id: &'static str) -> Self {
        Self { text: id, vision: id, video: id, thinking: id, tools: id }
    }

    /// Each part and its model.
    pub(crate) fn parts(&self) -> [(&'static str, &'static str); 5] {
        [
            ("text", self.text),
            ("vision", self.vision),
            ("video", self.video),
            ("thinking", self.thinking),
            ("tools", self.tools),
        ]
    }
}

/// The vendor's own words for what is refused everywhere.
pub(crate) struct Codes {
    pub(crate) rate_limited: &'static str,
    pub(crate) overloaded: &'static str,
    pub(crate) no_balance: &'static str,
    pub(crate) refused: &'static str,
    pub(crate) failed: &'static str,
}

const ZHIPU: Codes =
    Codes { rate_limited: "1302", overloaded: "1305", no_balance: "1113", refused: "1301", failed: "1234" };

const DASHSCOPE: Codes = Codes {
    rate_limited: "Throttling.RateQuota",
    overloaded: "Throttling.ServiceOverloaded",
    no_balance: "Arrearage",
    refused: "DataInspectionFailed",
    failed: "InternalError",
};

const QIANFAN: Codes = Codes {
    rate_limited: "rpm_rate_limit_exceeded",
    overloaded: "cluster_rate_limit_exceeded",
    no_balance: "account_overdue",
    refused: "user_setting_unsafe",
    failed: "internal_error",
};

pub(crate) static TARGETS: [Target; 8] = [
    Target {
        name: "zhipu",
        surface: Some(Surface::Zhipu),
        settings: r#"backend = "zhipu""#,
        key: "good.key",
        wrong_key: "wrong.key",
        models: Models {
            text: "glm-4-air",
            vision: "glm-4.6v-flash",
            video: "glm-4v-plus",
            thinking: "glm-4.6v",
            tools: "glm-4.6v",
        },
        codes: ZHIPU,
        echoes_ids: true,
    },
    Target {
        name: "qwen compatible",
        surface: Some(Surface::DashScopeCompatible),
        settings: r#"backend = "qwen-vl""#,
        key: "sk-good",
        wrong_key: "sk-wrong",
        models: Models { thinking: "qwen3.7-plus", ..Models::all("qwen3-vl-plus") },
        codes: Codes {
            rate_limited: "limit_requests",
            refused: "data_inspection_failed",
            failed: "internal_error",
            ..DASHSCOPE
        },
        echoes_ids: true,
    },
    Target {
        name: "qwen native",
        surface: Some(Surface::DashScopeNative),
        settings: "backend = \"qwen-vl\"\nprotocol = \"native\"",
        key: "sk-good",
        wrong_key: "sk-wrong",
        // It thinks in streams alone: a plain call that thinks must become one.
        models: Models::all("qwen3-vl-plus"),
        codes: DASHSCOPE,
        echoes_ids: true,
    },
    Target {
        name: "ernie",
        surface: Some(Surface::Qianfan),
        settings: r#"backend = "ernie""#,
        key: "bce-v3/ALTAK-a/0f",
        wrong_key: "bce-v3/ALTAK-a/00",
        models: Models {
            text: "ernie-4.5-turbo-128k",
            vision: "ernie-4.5-turbo-vl",
            video: "ernie-4.5-turbo-vl",
            thinking: "ernie-5.0-thinking-preview",
            tools: "ernie-5.0",
        },
        codes: QIANFAN,
        echoes_ids: false,
    },
    Target {
        name: "gateway qwen",
        surface: Some(Surface::Gateway),
        settings: "backend = \"qwen-vl\"\ndeployment = \"gateway\"",
        key: "sk-gateway",
        wrong_key: "sk-wrong",
        models: Models::all("Qwen2.5-VL-72B-Instruct"),
        codes: DASHSCOPE,
        echoes_ids: true,
    },
    Target {
        name: "gateway ernie",
        surface: Some(Surface::Gateway),
        settings: "backend = \"ernie\"\ndeployment = \"gateway\"",
        key: "sk-gateway",
        wrong_key: "sk-wrong",
        models: Models::all("ERNIE-4.5-Turbo-32K"),
        codes: QIANFAN,
        echoes_ids: true,
    },
    // Zhipu behind a proxy is Zhipu at another address, with ids in capitals.
    Target {
        name: "gateway zhipu",
        surface: Some(Surface::Gateway),
        settings: r#"backend = "zhipu""#,
        key: "sk-gateway",
        wrong_key: "sk-wrong",
        models: Models {
            text: "GLM-4-AIR",
            vision: "GLM-4.6V-FLASH",
            video: "GLM-4V-PLUS",
            thinking: "GLM-4.6V",
            tools: "GLM-4.6V",
        },
        codes: ZHIPU,
        echoes_ids: true,
    },
    Target {
        name: "acme",
        surface: None,
        settings: "backend = \"acme\"\npatience = 3",
        key: polysight_tests::toy::KEY,
        wrong_key: "acme-000",
        models: Models { text: "acme-ear", ..Models::all("acme-eye") },
        codes: Codes { rate_limited: "5", overloaded: "7", no_balance: "6", refused: "4", failed: "8" },
        echoes_ids: true,
    },
];

impl Target {
    /// A config with this provider as `it`, and a role for each part.
    pub(crate) fn config(&self, base_url: &str, key: &str, more: &str) -> String {
        let mut text = format!(
            "[providers.it]\nbase_url = \"{base_url}\"\napi_key = \"{key}\"\n{}\n\
             timeouts = {{ first_byte = 5, idle = 5, total = 8 }}\n{more}\n",
            self.settings
        );
        for (part, model) in self.models.parts() {
            text.push_str(&format!("[roles.{part}]\nprovider = \"it\"\nmodel = \"{model}\"\n"));
        }
        text
    }
}
