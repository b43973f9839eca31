//! The providers of the table, and what of a fault is a vendor's own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polysight::{Polysight, Transport, VisionProvider};
use polysight_emulator::{Fault, Surface};
use polysight_testkit::{Codes, Framing, Wire};
use serde_json::{Value, json};

use super::codes::{self, Coded};
use super::row::{Limits, Outcome};

/// One provider: a part of the table.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// The emulator's surface that speaks its wire.
    pub(super) surface: Surface,
    /// How bytes are put together that the emulator does not send.
    pub(super) wire: Wire,
    /// Where it is served, if not by the vendor.
    deployment: Option<&'static str>,
    /// A model that answers at once, one that reasons before, and one that calls tools.
    pub(super) model: &'static str,
    pub(super) reasoning_model: Option<&'static str>,
    pub(super) tool_model: Option<&'static str>,
    /// What its codes stand for, written apart from the table in its crate.
    pub(super) code_table: &'static [&'static [Coded]],
    /// The codes for what every vendor refuses; each stands in `code_table` too.
    pub(super) codes: Codes,
    /// Whether the emulator opens its streams with a chunk that holds the role and no text.
    pub(super) opens_with_role: bool,
}

impl Target {
    /// At the vendor itself.
    const fn vendor(wire: Wire, model: &'static str, code_table: &'static [&'static [Coded]]) -> Self {
        Self {
            name: wire.name(),
            surface: wire.surface(),
            wire,
            deployment: None,
            model,
            reasoning_model: Some(model),
            tool_model: Some(model),
            code_table,
            codes: wire.codes(),
            opens_with_role: false,
        }
    }
}

pub(super) static TARGETS: [Target; 5] = [
    Target {
        reasoning_model: Some("glm-4.6v"),
        tool_model: Some("glm-4.6v"),
        ..Target::vendor(Wire::Zhipu, "glm-4v-plus", &[codes::ZHIPU])
    },
    Target {
        reasoning_model: Some("qwen3.7-plus"),
        opens_with_role: true,
        ..Target::vendor(Wire::QwenVl, "qwen3-vl-plus", &[codes::DASHSCOPE_COMPATIBLE, codes::DASHSCOPE])
    },
    Target::vendor(Wire::QwenVlNative, "qwen3-vl-plus", &[codes::DASHSCOPE_NATIVE, codes::DASHSCOPE]),
    Target {
        reasoning_model: Some("ernie-5.0-thinking-preview"),
        tool_model: Some("ernie-5.0"),
        ..Target::vendor(Wire::Ernie, "ernie-4.5-turbo-vl", &[codes::QIANFAN, codes::QIANFAN_V1])
    },
    // Its errors are OpenAI's, whatever model is behind it.
    Target {
        name: "gateway",
        surface: Surface::Gateway,
        wire: Wire::QwenVl,
        deployment: Some("gateway"),
        model: "Qwen2.5-VL-72B-Instruct",
        reasoning_model: None,
        tool_model: None,
        code_table: &[codes::GATEWAY],
        codes: Codes {
            rate_limited: "rate_limit_exceeded",
            overloaded: "overloaded_error",
            no_balance: "insufficient_quota",
            refused: "content_filter",
            failed: "server_error",
        },
        opens_with_role: false,
    },
];

impl Target {
    /// A provider of this vendor that talks to the server `host` within `limits`.
    pub(super) fn provider(&self, host: &str, limits: &Limits) -> Arc<dyn VisionProvider> {
        if self.wire == Wire::Zhipu {
            return self.provider_by_config(host, limits);
        }
        let mut options = self.wire.options(host, transport(limits)).with_model(self.model);
        options.name = self.name.to_owned();
        if let Some(deployment) = self.deployment {
            let base_url = format!("{host}{}", self.surface.prefix());
            options = options.with_deployment(deployment).with_base_url(base_url.parse().unwrap());
        }
        self.wire.provider(options)
    }

    /// From a config, so that the limits of one are tested too.
    fn provider_by_config(&self, host: &str, limits: &Limits) -> Arc<dyn VisionProvider> {
        let Self { name, model, .. } = self;
        let config = format!(
            "[providers.{name}]\n{}base_url = \"{host}{}\"\napi_key = \"{}\"\nmodel = \"{model}\"\n{}\n",
            self.wire.config(),
            self.surface.prefix(),
            self.wire.key(),
            limits.to_toml()
        );
        let polysight = Polysight::from_toml(&config).unwrap();
        polysight.provider(name).unwrap_or_else(|error| panic!("{error}: {config}"))
    }

    /// Where its paths begin on a server that is not the emulator.
    pub(super) fn base_url(&self, address: SocketAddr) -> String {
        format!("http://{address}{}", self.surface.prefix())
    }

    fn coded(&self, code: &str) -> &Coded {
        self.find(code).unwrap_or_else(|| panic!("{}: no {code}", self.name))
    }

    /// A code in the vendor's tables.
    pub(super) fn find(&self, code: &str) -> Option<&Coded> {
        self.code_table.iter().copied().flatten().find(|known| known.code == code)
    }

    /// What a code of the vendor must come to.
    pub(super) fn of_code(&self, code: &str) -> Outcome {
        self.coded(code).outcome()
    }

    /// The fault that sends a code as the vendor does.
    pub(super) fn fault_of(&self, code: &str) -> Fault {
        self.coded(code).fault().unwrap()
    }

    /// DashScope's own protocol: every event has a name, no mark ends a stream, and what refuses a stream is an event of it
    /// under HTTP 200.
    pub(super) fn is_native(&self) -> bool {
        self.wire == Wire::QwenVlNative
    }

    /// Events with these data.
    pub(super) fn frames(&self, frames: &[Value]) -> String {
        Framing::of(self.wire).write(self.wire, frames)
    }

    /// A delta for each of these texts.
    pub(super) fn deltas(&self, texts: &[&str]) -> Vec<Value> {
        texts.iter().map(|text| self.wire.delta(text)).collect()
    }

    /// A stream of these texts, to its end.
    pub(super) fn stream(&self, texts: &[&str]) -> String {
        let frames = [self.deltas(texts), self.wire.ending()].concat();
        self.frames(&frames) + &self.done()
    }

    pub(super) fn done(&self) -> String {
        Framing::of(self.wire).done(self.wire)
    }

    /// A plain reply.
    pub(super) fn reply(&self, text: &str) -> String {
        let content = if self.is_native() { json!([{"text": text}]) } else { text.into() };
        self.wire.reply(&content).to_string()
    }

    /// A stream of one text and an error in this vendor's own form.
    pub(super) fn stream_that_fails(&self, text: &str, code: &str) -> String {
        let error = self.wire.error(code, "no");
        self.frames(&self.deltas(&[text])) + &Framing::of(self.wire).event(self.wire, 2, "error", &error)
    }
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
