//! Providers with keys that must not show, as a config file has them, bare and behind all layers.

use std::path::Path;

use polysight::Polysight;
use polysight_emulator::{Emulator, Surface};
use polysight_testkit::Wire;

use crate::capture::{Sort, note, note_debug};
use crate::secret::{ACCESS_KEY, ERNIE_KEY, HEADER, QWEN_KEY, SECRET_KEY, ZHIPU_KEY};

/// A provider, and where it is served.
pub(crate) struct Vendor {
    pub(crate) name: &'static str,
    wire: Wire,
    surface: Surface,
    model: &'static str,
    /// Its own lines in the config; `IAM` stands for the address of the IAM.
    settings: &'static str,
    /// A code of this vendor's.
    pub(crate) code: &'static str,
}

const fn vendor(
    name: &'static str,
    wire: Wire,
    model: &'static str,
    settings: &'static str,
    code: &'static str,
) -> Vendor {
    Vendor { name, wire, surface: wire.surface(), model, settings, code }
}

pub(crate) const VENDORS: [Vendor; 7] = [
    vendor("zhipu", Wire::Zhipu, "glm-4.6v", "api_key = \"${ZHIPU}\"", "1301"),
    vendor("zhipu-jwt", Wire::Zhipu, "glm-4v-plus", "api_key = \"${ZHIPU}\"\nauth = \"jwt\"", "1302"),
    vendor("qwen-vl", Wire::QwenVl, "qwen3-vl-plus", "api_key = \"${QWEN}\"", "data_inspection_failed"),
    vendor(
        "qwen-vl-native",
        Wire::QwenVlNative,
        "qwen3-vl-plus",
        "api_key = \"${QWEN}\"",
        "Throttling.RateQuota",
    ),
    vendor("ernie", Wire::Ernie, "ernie-4.5-turbo-vl", "api_key_file = \"ernie.key\"", "account_overdue"),
    vendor(
        "ernie-iam",
        Wire::Ernie,
        "ernie-4.5-turbo-vl",
        "auth = \"iam\"\naccess_key = \"${ACCESS}\"\nsecret_key = \"${SECRET}\"\niam_url = \"IAM\"",
        "rpm_rate_limit_exceeded",
    ),
    Vendor {
        surface: Surface::Gateway,
        ..vendor(
            "gateway",
            Wire::QwenVl,
            "Qwen2.5-VL-72B-Instruct",
            "api_key = \"${QWEN}\"\ndeployment = \"gateway\"",
            "insufficient_quota",
        )
    },
];

/// A policy that hardly waits, and gives up where a longer wait is needed.
const RETRY: &str =
    "retry = { max_attempts = 2, base_delay = 0.001, max_delay = 0.002, max_retry_after = 0.01 }";

/// What limits a call.
pub(crate) const SHORT: &str = "timeouts = { connect = 1, first_byte = 0.2, idle = 0.2, total = 1 }\n\
                                sizes = { max_reply = 100_000, max_line = 50_000 }";

impl Vendor {
    /// The table of a provider of this vendor.
    fn provider(&self, name: &str, host: &str, iam: &str, more: &str) -> String {
        let base_url = format!("{host}{}", self.surface.prefix());
        let table = self.wire.config().to_owned() + &self.settings.replace("IAM", iam);
        format!(
            "[providers.{name}]\nbase_url = \"{base_url}\"\n{table}\nheaders = {{ x-canary = \"{HEADER}\" }}\n{more}\n"
        )
    }

    /// Providers of this vendor and another one at a host: the role `bare` has no layers but a trace, `full` has all.
    pub(crate) fn polysight(&self, folder: &Path, host: &str, iam: &str, more: &str) -> Polysight {
        let at = VENDORS.iter().position(|vendor| vendor.name == self.name).unwrap();
        let next = &VENDORS[(at + 2) % VENDORS.len()];
        let limited = format!("rate_limit = {{ concurrency = 8, max_wait = 0.1 }}\n{more}");
        let config = [
            self.provider("one", host, iam, more),
            self.provider("two", host, iam, &limited),
            next.provider("three", host, iam, &limited),
            format!(
                "[roles.bare]\nprovider = \"one\"\nmodel = \"{}\"\ntrace = true\nretry = false\n",
                self.model
            ),
            format!("[roles.first]\nprovider = \"two\"\nmodel = \"{}\"\ntrace = true\n{RETRY}\n", self.model),
            format!(
                "[roles.second]\nprovider = \"three\"\nmodel = \"{}\"\ntrace = true\n{RETRY}\n",
                next.model
            ),
            "[roles.full]\nfallback = [\"first\", \"second\"]\nrouter = { breaker = false }\ngreedy = true\n\
             cache = { time_to_live = 60 }\ndeadline = 4\ntrace = true\n"
                .to_owned(),
        ];
        let path = folder.join(format!("{}.toml", self.name));
        std::fs::write(&path, config.concat()).unwrap();
        let polysight = Polysight::from_file(&path).unwrap().with_variables(variable);
        note(Sort::Setting, "a provider", format!("{:?}", polysight.provider("one").unwrap()));
        note(Sort::Setting, "a role", format!("{:?}", polysight.role("full").unwrap()));
        note_debug(Sort::Setting, "a config", &polysight);
        polysight
    }
}

pub(crate) fn variable(name: &str) -> Option<String> {
    let value = match name {
        "ZHIPU" => ZHIPU_KEY,
        "QWEN" => QWEN_KEY,
        "ERNIE" => ERNIE_KEY,
        "ACCESS" => ACCESS_KEY,
        "SECRET" => SECRET_KEY,
        _ => return None,
    };
    Some(value.to_owned())
}

/// An emulator that knows these keys, or only others.
pub(crate) async fn emulator(knows_them: bool) -> Emulator {
    let (zhipu, other) = (Emulator::builder().key(ZHIPU_KEY), Emulator::builder().key("other.key"));
    let builder = if knows_them {
        zhipu.key(QWEN_KEY).key(ERNIE_KEY).key(crate::secret::SHORT_KEY)
    } else {
        other.key("sk-other").key("bce-v3/ALTAK-other/key")
    };
    builder.start().await.unwrap()
}

/// The host of an emulator, of all surfaces.
pub(crate) fn host(emulator: &Emulator) -> String {
    format!("http://{}", emulator.address())
}
