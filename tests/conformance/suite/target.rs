//! Every provider, at every deployment that serves it.

use polysight_emulator::Surface;
use polysight_testkit::{Codes, Wire, acme};

/// A provider at one deployment.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// What its config says besides address, key and deployment.
    config: &'static str,
    /// The interface of the emulator that answers; `None`: Acme's own server.
    pub(crate) surface: Option<Surface>,
    /// Where it is served, if the config must say so.
    deployment: Option<&'static str>,
    pub(crate) key: &'static str,
    /// A key of the same form that the server does not know.
    pub(crate) wrong_key: &'static str,
    pub(crate) models: Models,
    pub(crate) codes: Codes,
    /// Whether answers name the caller's id of the request; Baidu's name one of its own.
    pub(crate) echoes_ids: bool,
}

/// The model of each role.
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

    /// Each role and its model.
    pub(crate) fn roles(&self) -> [(&'static str, &'static str); 5] {
        [
            ("text", self.text),
            ("vision", self.vision),
            ("video", self.video),
            ("thinking", self.thinking),
            ("tools", self.tools),
        ]
    }
}

const fn vendor(wire: Wire, key: &'static str, wrong_key: &'static str, models: Models) -> Target {
    Target {
        name: wire.name(),
        config: wire.config(),
        surface: Some(wire.surface()),
        deployment: None,
        key,
        wrong_key,
        models,
        codes: wire.codes(),
        echoes_ids: true,
    }
}

/// The models of a vendor behind a gateway.
const fn gateway(
    wire: Wire,
    name: &'static str,
    deployment: Option<&'static str>,
    codes: Codes,
    models: Models,
) -> Target {
    let (key, wrong_key) = ("sk-gateway", "sk-wrong");
    Target {
        name,
        surface: Some(Surface::Gateway),
        deployment,
        codes,
        ..vendor(wire, key, wrong_key, models)
    }
}

/// A server of the chat-completions shape, by its base URL alone: the file says what its model can do.
const OPENAI: &str = r#"backend = "openai"
models = [{ id = "any-vision-1", tools = true, stop = { count = 4 }, thinking = { mode = "none" } }]
"#;

pub(crate) static TARGETS: [Target; 9] = [
    vendor(
        Wire::Zhipu,
        "good.key",
        "wrong.key",
        Models {
            text: "glm-4-air",
            vision: "glm-4.6v-flash",
            video: "glm-4v-plus",
            thinking: "glm-4.6v",
            tools: "glm-4.6v",
        },
    ),
    vendor(
        Wire::QwenVl,
        "sk-good",
        "sk-wrong",
        Models { thinking: "qwen3.7-plus", ..Models::all("qwen3-vl-plus") },
    ),
    // It thinks in streams alone: a plain call that thinks must become one.
    vendor(Wire::QwenVlNative, "sk-good", "sk-wrong", Models::all("qwen3-vl-plus")),
    Target {
        echoes_ids: false,
        ..vendor(
            Wire::Ernie,
            "bce-v3/ALTAK-a/0f",
            "bce-v3/ALTAK-a/00",
            Models {
                text: "ernie-4.5-turbo-128k",
                vision: "ernie-4.5-turbo-vl",
                video: "ernie-4.5-turbo-vl",
                thinking: "ernie-5.0-thinking-preview",
                tools: "ernie-5.0",
            },
        )
    },
    gateway(
        Wire::QwenVl,
        "gateway qwen-vl",
        Some("gateway"),
        Wire::QwenVlNative.codes(),
        Models::all("Qwen2.5-VL-72B-Instruct"),
    ),
    gateway(
        Wire::Ernie,
        "gateway ernie",
        Some("gateway"),
        Wire::Ernie.codes(),
        Models::all("ERNIE-4.5-Turbo-32K"),
    ),
    // Zhipu behind a proxy is Zhipu at another address, with ids in capitals.
    gateway(
        Wire::Zhipu,
        "gateway zhipu",
        None,
        Wire::Zhipu.codes(),
        Models {
            text: "GLM-4-AIR",
            vision: "GLM-4.6V-FLASH",
            video: "GLM-4V-PLUS",
            thinking: "GLM-4.6V",
            tools: "GLM-4.6V",
        },
    ),
    Target {
        config: OPENAI,
        ..gateway(
            Wire::QwenVl,
            "openai",
            None,
            Codes {
                rate_limited: "rate_limit_exceeded",
                overloaded: "overloaded_error",
                no_balance: "billing_not_active",
                refused: "content_policy_violation",
                failed: "server_error",
            },
            Models::all("any-vision-1"),
        )
    },
    Target {
        name: "acme",
        config: "backend = \"acme\"\npatience = 3\n",
        surface: None,
        deployment: None,
        key: acme::KEY,
        wrong_key: "acme-000",
        models: Models { text: "acme-ear", ..Models::all("acme-eye") },
        codes: Codes { rate_limited: "5", overloaded: "7", no_balance: "6", refused: "4", failed: "8" },
        echoes_ids: true,
    },
];

impl Target {
    /// What the config says of the provider, besides its address and key.
    fn settings(&self) -> String {
        let deployment = self.deployment.map(|name| format!("deployment = \"{name}\"\n"));
        self.config.to_owned() + &deployment.unwrap_or_default()
    }

    /// Whether it is a server of which nothing is known but what the config says.
    pub(crate) fn is_openai(&self) -> bool {
        self.config == OPENAI
    }

    /// A config with this provider as `it`, and a role for each kind of task.
    pub(crate) fn config(&self, base_url: &str, key: &str, more: &str) -> String {
        let mut text = format!(
            "[providers.it]\nbase_url = \"{base_url}\"\napi_key = \"{key}\"\n{}\
             timeouts = {{ first_byte = 5, idle = 5, total = 8 }}\n{more}\n",
            self.settings()
        );
        for (role, model) in self.models.roles() {
            text.push_str(&format!(
                "[roles.{role}]\nprovider = \"it\"\nmodel = \"{model}\"\nretry = false\n"
            ));
        }
        text
    }
}
