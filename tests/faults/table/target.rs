//! Who is put to the test: a vendor's provider over one of its protocols, and what of a fault is that vendor's own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight::ernie::{Ernie, ErnieSettings};
use polysight::qwen_vl::{Protocol, QwenVl, QwenVlSettings};
use polysight::{ApiKey, Polysight, ProviderOptions, Transport, VisionProvider};
use polysight_emulator::{Fault, Surface};
use serde_json::{Value, json};

use super::codes::{self, Coded};
use super::row::{Limits, Outcome};
use crate::tongues::{Framing, Tongue};

/// A secret that no error may show.
pub(super) const CANARY: &str = "canary";

/// One provider: a part of the table.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// The emulator's surface that speaks its wire.
    pub(super) surface: Surface,
    /// How bytes are put together that the emulator does not send.
    pub(super) tongue: Tongue,
    key: &'static str,
    make: fn(&Self, &str, &Limits) -> Arc<dyn VisionProvider>,
    /// A model that answers at once, one that reasons before, and one that calls tools.
    pub(super) model: &'static str,
    pub(super) reasoning_model: Option<&'static str>,
    pub(super) tool_model: Option<&'static str>,
    /// What its codes stand for, held apart from the table in its crate.
    pub(super) codes: &'static [&'static [Coded]],
    pub(super) words: Words,
    /// Whether the emulator opens its streams with a chunk that holds the role and no text.
    pub(super) opens_with_role: bool,
}

/// The vendor's codes for what every vendor says; each stands in [`Target::codes`] too.
pub(super) struct Words {
    pub(super) throttled: &'static str,
    pub(super) no_money: &'static str,
    pub(super) unfit: &'static str,
    pub(super) failed: &'static str,
}

pub(super) static TARGETS: [Target; 5] = [
    Target {
        name: "zhipu",
        surface: Surface::Zhipu,
        tongue: Tongue::Zhipu,
        key: "id.canary",
        make: zhipu_by_config,
        model: "glm-4v-plus",
        reasoning_model: Some("glm-4.6v"),
        tool_model: Some("glm-4.6v"),
        codes: &[codes::ZHIPU],
        words: Words { throttled: "1302", no_money: "1113", unfit: "1301", failed: "500" },
        opens_with_role: false,
    },
    Target {
        name: "qwen-vl",
        surface: Surface::DashScopeCompatible,
        tongue: Tongue::Compatible,
        key: "sk-canary0123456789",
        make: |target, base_url, limits| qwen_vl(target.options(base_url, limits), Protocol::Compatible),
        model: "qwen3-vl-plus",
        reasoning_model: Some("qwen3.7-plus"),
        tool_model: Some("qwen3-vl-plus"),
        codes: &[codes::DASHSCOPE_COMPATIBLE, codes::DASHSCOPE],
        words: Words {
            throttled: "limit_requests",
            no_money: "Arrearage",
            unfit: "data_inspection_failed",
            failed: "internal_error",
        },
        opens_with_role: true,
    },
    Target {
        name: "qwen-vl-native",
        surface: Surface::DashScopeNative,
        tongue: Tongue::Native,
        key: "sk-canary0123456789",
        make: |target, base_url, limits| qwen_vl(target.options(base_url, limits), Protocol::Native),
        model: "qwen3-vl-plus",
        reasoning_model: Some("qwen3-vl-plus"),
        tool_model: Some("qwen3-vl-plus"),
        codes: &[codes::DASHSCOPE_NATIVE, codes::DASHSCOPE],
        words: Words {
            throttled: "Throttling.RateQuota",
            no_money: "Arrearage",
            unfit: "DataInspectionFailed",
            failed: "InternalError",
        },
        opens_with_role: false,
    },
    Target {
        name: "ernie",
        surface: Surface::Qianfan,
        tongue: Tongue::Ernie,
        key: "bce-v3/ALTAK-canary/0123456789",
        make: |target, base_url, limits| {
            Arc::new(Ernie::new(target.options(base_url, limits), &ErnieSettings::default()).unwrap())
        },
        model: "ernie-4.5-turbo-vl",
        reasoning_model: Some("ernie-5.0-thinking-preview"),
        tool_model: Some("ernie-5.0"),
        codes: &[codes::QIANFAN, codes::QIANFAN_V1],
        words: Words {
            throttled: "rpm_rate_limit_exceeded",
            no_money: "account_overdue",
            unfit: "user_setting_unsafe",
            failed: "internal_error",
        },
        opens_with_role: false,
    },
    // It words what goes wrong as OpenAI does, whatever model is behind it.
    Target {
        name: "gateway",
        surface: Surface::Gateway,
        tongue: Tongue::Compatible,
        key: "sk-canary0123456789",
        make: |target, base_url, limits| {
            let options = target.options(base_url, limits).with_deployment("gateway");
            qwen_vl(options, Protocol::Compatible)
        },
        model: "Qwen2.5-VL-72B-Instruct",
        reasoning_model: None,
        tool_model: None,
        codes: &[codes::GATEWAY],
        words: Words {
            throttled: "rate_limit_exceeded",
            no_money: "insufficient_quota",
            unfit: "content_filter",
            failed: "server_error",
        },
        opens_with_role: false,
    },
];

impl Target {
    /// A provider of this vendor that talks to `base_url` within `limits`.
    pub(super) fn provider(&self, base_url: &str, limits: &Limits) -> Arc<dyn VisionProvider> {
        (self.make)(self, base_url, limits)
    }

    fn options(&self, base_url: &str, limits: &Limits) -> ProviderOptions {
        ProviderOptions::new(self.name)
            .with_model(self.model)
            .with_api_key(ApiKey::new(self.key).unwrap())
            .with_base_url(base_url.parse().unwrap())
            .with_transport(transport(limits))
    }

    /// Where its paths begin on a server that is not the emulator.
    pub(super) fn base_url(&self, scheme: &str, address: SocketAddr) -> String {
        format!("{scheme}://{address}{}", self.surface.prefix())
    }

    fn coded(&self, code: &str) -> &Coded {
        let known = self.codes.iter().copied().flatten().find(|known| known.code == code);
        known.unwrap_or_else(|| panic!("{}: no {code}", self.name))
    }

    /// What a code of the vendor must come to.
    pub(super) fn of_code(&self, code: &str) -> Outcome {
        self.coded(code).outcome()
    }

    /// The fault that tells a code as the vendor does.
    pub(super) fn fault_of(&self, code: &str) -> Fault {
        self.coded(code).fault().unwrap()
    }

    /// DashScope's own protocol: every event has a name, no mark ends a stream, and what refuses a stream is an event of it
    /// under HTTP 200.
    pub(super) fn is_native(&self) -> bool {
        self.tongue == Tongue::Native
    }

    /// Events with these data.
    pub(super) fn frames(&self, frames: &[Value]) -> String {
        Framing::of(self.tongue).write(self.tongue, frames)
    }

    /// A delta for each of these texts.
    pub(super) fn deltas(&self, texts: &[&str]) -> Vec<Value> {
        texts.iter().map(|text| self.tongue.delta(text)).collect()
    }

    /// A stream of these texts, to its end.
    pub(super) fn stream(&self, texts: &[&str]) -> String {
        let frames = [self.deltas(texts), self.tongue.ending()].concat();
        self.frames(&frames) + &self.done()
    }

    pub(super) fn done(&self) -> String {
        Framing::of(self.tongue).done(self.tongue)
    }

    /// A plain reply.
    pub(super) fn reply(&self, text: &str) -> String {
        let content = if self.is_native() { json!([{"text": text}]) } else { text.into() };
        self.tongue.reply(&content).to_string()
    }

    /// A stream of one text and an error in this vendor's own form.
    pub(super) fn stream_that_fails(&self, text: &str, code: &str) -> String {
        let error = self.tongue.error(code, "no");
        self.frames(&self.deltas(&[text])) + &Framing::of(self.tongue).event(self.tongue, 2, "error", &error)
    }
}

/// From a config, so that the limits of one are tried too.
fn zhipu_by_config(target: &Target, base_url: &str, limits: &Limits) -> Arc<dyn VisionProvider> {
    let Target { name, key, model, .. } = target;
    let limits = limits.to_toml();
    let config = format!(
        "[providers.{name}]\nbackend = \"zhipu\"\nbase_url = \"{base_url}\"\napi_key = \"{key}\"\n\
         model = \"{model}\"\n{limits}\n"
    );
    let sight = Polysight::from_toml(&config).unwrap();
    sight.provider(name).unwrap_or_else(|error| panic!("{error}: {config}"))
}

fn qwen_vl(options: ProviderOptions, protocol: Protocol) -> Arc<dyn VisionProvider> {
    Arc::new(QwenVl::new(options, &QwenVlSettings::new().with_protocol(protocol)).unwrap())
}

/// The transport of these limits, made once: reading the system's certificates takes longer than a row.
fn transport(limits: &Limits) -> Transport {
    static MADE: Mutex<Vec<(Limits, Transport)>> = Mutex::new(Vec::new());
    let mut made = MADE.lock().unwrap();
    if let Some((_, transport)) = made.iter().find(|(known, _)| known == limits) {
        return transport.clone();
    }
    let seconds = Duration::from_secs_f64;
    let mut wanted = polysight::Limits::default()
        .with_connect(seconds(limits.connect))
        .with_first_byte(seconds(limits.first_byte))
        .with_idle(seconds(limits.idle))
        .with_total(Some(seconds(limits.total)));
    (wanted.max_reply_bytes, wanted.max_line_bytes) = (limits.max_reply, limits.max_line);
    let transport = Transport::builder().limits(wanted).build().unwrap();
    made.push((limits.clone(), transport.clone()));
    transport
}
