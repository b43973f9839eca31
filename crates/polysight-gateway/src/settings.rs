//! What can be set: the table `gateway` of the config file.

use std::fmt;
use std::time::Duration;

use polysight::layers::BudgetPolicy;
use polysight::{Error, ErrorKind, Polysight, Result, Url};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::models;

/// What the gateway does with fields of a request that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownFields {
    /// They are passed to the vendor as they are, and the answer's `polysight.notes` name them. The default.
    #[default]
    Pass,
    /// The request is refused, and the error names them.
    Refuse,
}

/// The table `gateway` of a config file. Sizes are in bytes; times are in seconds in the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Largest body of a request: 1,024 bytes or more, default 64 MiB.
    pub max_body: u64,
    /// Most bytes of bodies in memory, at least `max_body`; default 256 MiB. A request for which there is no room
    /// waits.
    pub max_bodies_in_flight: u64,
    /// How long a request waits for that room before it is refused with 503; default 10 s.
    #[serde(deserialize_with = "seconds")]
    pub max_wait: Duration,
    /// Longest pause while a body arrives, and the time in which each 64 KiB of it must have arrived; default 30 s.
    #[serde(deserialize_with = "seconds")]
    pub body_timeout: Duration,
    /// Longest time for the headers of a request, and for which a connection may be idle; default 30 s.
    #[serde(deserialize_with = "seconds")]
    pub header_timeout: Duration,
    /// Most headers of a request, 8 to 1,000; default 100.
    pub max_headers: usize,
    /// Most bytes of the headers of a request, 8,192 to 1 MiB; default 65,536.
    pub max_header_bytes: usize,
    /// Most open connections; default 4,096. Others wait until one of them ends.
    pub max_connections: usize,
    /// After so long without an event a stream gets a comment, so that nothing on the way takes it for dead; default 10 s.
    #[serde(deserialize_with = "seconds")]
    pub keep_alive: Duration,
    /// How long requests may go on after the shutdown began; default 30 s. Then they end with an error.
    #[serde(deserialize_with = "seconds")]
    pub shutdown_grace: Duration,
    /// What is done with fields of a request that the gateway does not know: `pass` or `refuse`.
    pub unknown_fields: UnknownFields,
    /// Whether a request may name a provider of the file and any of its models, as `provider/model`, besides the roles.
    /// Default: false.
    pub provider_models: bool,
    /// Origins of web pages that may call the gateway from a browser (CORS), such as `https://chat.h.example`. Default: none.
    pub origins: Vec<String>,
    /// Names under which the gateway is reached, besides loopback addresses and `localhost`: without keys a request whose
    /// `Host` is another one is refused, since it may come from a web page by way of DNS. Default: none.
    pub hosts: Vec<String>,
    /// Base URL of an OpenTelemetry collector that gets a span of each chat request by OTLP over HTTP, at `/v1/traces`, such as
    /// `http://127.0.0.1:4318`; it holds until a restart. Default: what `OTEL_EXPORTER_OTLP_ENDPOINT` says, else none. Needs the cargo
    /// feature `otlp`.
    pub otlp_endpoint: Option<String>,
    /// Who may call. Without any key the gateway listens on loopback only.
    pub keys: Vec<KeySettings>,
}

/// A key of the gateway's own, and what it may do.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeySettings {
    /// What it is called in logs, metrics and errors; unique.
    pub name: String,
    /// The key, as `${NAME}` from the environment, or `sha256:` and the 64 hex digits of its SHA-256.
    pub key: String,
    /// The roles that it may use; default: all.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// Requests a minute; default: no limit.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// Concurrent requests; default: no limit.
    #[serde(default)]
    pub concurrency: Option<u32>,
    /// How much money its calls may cost in a period; default: no limit. Each attempt reserves the most that it can cost, and is
    /// reconciled with what it cost.
    #[serde(default)]
    pub budget: Option<BudgetPolicy>,
}

impl fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySettings")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 64 << 20,
            max_bodies_in_flight: 256 << 20,
            max_wait: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            max_headers: 100,
            max_header_bytes: 64 << 10,
            max_connections: 4_096,
            keep_alive: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(30),
            unknown_fields: UnknownFields::Pass,
            provider_models: false,
            origins: Vec::new(),
            hosts: Vec::new(),
            otlp_endpoint: None,
            keys: Vec::new(),
        }
    }
}

impl Settings {
    /// The names of the time limits, with their values.
    fn times(&self) -> [(&'static str, Duration); 5] {
        [
            ("max_wait", self.max_wait),
            ("body_timeout", self.body_timeout),
            ("header_timeout", self.header_timeout),
            ("keep_alive", self.keep_alive),
            ("shutdown_grace", self.shutdown_grace),
        ]
    }

    /// Reads the table `gateway` out of the text of a config file; without one everything is at its default. `${NAME}` is
    /// looked up in the environment.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with every fault of the table.
    pub fn from_toml(text: &str) -> Result<Self> {
        let settings: Self = Polysight::read_table(text, "gateway")?.unwrap_or_default();
        settings.check()?;
        Ok(settings)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the first setting out of range, its value and the range.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("max_body", self.max_body, 1_024, MAX_BODY),
            ("max_bodies_in_flight", self.max_bodies_in_flight, self.max_body, MAX_BODIES),
            ("max_headers", self.max_headers as u64, 8, 1_000),
            ("max_header_bytes", self.max_header_bytes as u64, 8_192, 1 << 20),
            ("max_connections", self.max_connections as u64, 1, 1 << 20),
        ];
        for (name, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                return Err(wrong(name, format!("{value} is out of range (allowed: {low} to {high})")));
            }
        }
        for (name, time) in self.times() {
            if time > DAY || (time.is_zero() && name != "max_wait" && name != "shutdown_grace") {
                return Err(wrong(
                    name,
                    format!("{time:?} is out of range (allowed: more than 0, at most one day)"),
                ));
            }
        }
        self.origins.iter().try_for_each(|origin| check_origin(origin))?;
        self.otlp_endpoint.as_deref().map_or(Ok(()), check_collector)?;
        self.keys.iter().enumerate().try_for_each(|(index, key)| {
            let is_taken = self.keys.iter().take(index).any(|other| other.name == key.name);
            key.check(is_taken).map_err(|problem| wrong(&format!("keys[{index}]"), problem))
        })
    }

    /// Checks what the settings say of a config's roles: that those of each key are there, and that its budget can count their
    /// prices.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the first key that is wrong.
    pub fn check_roles(&self, polysight: &Polysight) -> Result<()> {
        let known: Vec<&str> = polysight.role_names().collect();
        self.keys.iter().enumerate().try_for_each(|(index, key)| {
            key.check_roles(&known, self.provider_models)
                .map_err(|problem| wrong(&format!("keys[{index}].roles"), problem))?;
            key.check_currency(polysight)
                .map_err(|error| wrong(&format!("keys[{index}].budget"), error.message()))
        })
    }
}

/// Most bytes of one body: 1 GiB.
const MAX_BODY: u64 = 1 << 30;
/// Most bytes of all bodies: 64 GiB. A permit counts 1,024 of them.
const MAX_BODIES: u64 = 64 << 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl KeySettings {
    /// A key that may use every role.
    #[must_use]
    pub fn new(name: impl Into<String>, key: impl Into<String>) -> Self {
        let (roles, requests_per_minute, concurrency, budget) = Default::default();
        Self { name: name.into(), key: key.into(), roles, requests_per_minute, concurrency, budget }
    }

    /// Whether it may use a role.
    pub(crate) fn may_use(&self, role: &str) -> bool {
        self.roles.as_ref().is_none_or(|roles| roles.iter().any(|allowed| allowed == role))
    }

    fn check_roles(&self, known: &[&str], provider_models: bool) -> Result<(), String> {
        let is_known =
            |role: &&String| known.contains(&role.as_str()) || (provider_models && role.contains('/'));
        match self.roles.iter().flatten().find(|role| !is_known(role)) {
            Some(role) => Err(models::unknown(role, known.iter().copied()).message().to_owned()),
            None => Ok(()),
        }
    }

    fn check_currency(&self, polysight: &Polysight) -> Result<()> {
        let Some(budget) = &self.budget else { return Ok(()) };
        polysight.check_currency(budget, polysight.role_names().filter(|role| self.may_use(role)))
    }

    fn check(&self, is_taken: bool) -> Result<(), String> {
        if self.name.trim().is_empty() || self.name.len() > 64 || is_taken {
            return Err("`name` must be unique, and have 1 to 64 characters".to_owned());
        }
        if self.requests_per_minute == Some(0) || self.concurrency == Some(0) {
            return Err("a limit of 0 would refuse everything: leave the key out instead".to_owned());
        }
        if let Some(Err(error)) = self.budget.as_ref().map(BudgetPolicy::check) {
            return Err(format!("budget: {}", error.message()));
        }
        match self.key.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()) => Ok(()),
            Some(_) => Err("`key`: 64 hex digits must follow `sha256:`".to_owned()),
            None if self.key.len() < MIN_KEY => {
                Err(format!("`key` is too short: at least {MIN_KEY} characters that cannot be guessed"))
            }
            None if !self.key.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("`key` holds a character that no HTTP header may hold, or white space".to_owned())
            }
            None => Ok(()),
        }
    }
}

/// Fewest characters of a key.
const MIN_KEY: usize = 8;

fn wrong(name: &str, problem: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("gateway.{name}: {problem}"))
}

/// An origin is what browsers send: a scheme and a host, without a path.
fn check_origin(origin: &str) -> Result<()> {
    let (scheme, host) = origin.split_once("://").unwrap_or_default();
    let is_origin = !scheme.is_empty() && !host.contains(['/', '*', ' ']);
    if is_origin && (!host.is_empty() || scheme == "file") {
        return Ok(());
    }
    let shown = polysight::redact_name(origin);
    Err(wrong(
        "origins",
        format!("`{shown}` is no origin: write it as browsers send it, such as https://h.example"),
    ))
}

fn check_collector(endpoint: &str) -> Result<()> {
    if !cfg!(feature = "otlp") {
        return Err(wrong("otlp_endpoint", "spans are not compiled in: enable the cargo feature `otlp`"));
    }
    match Url::parse(endpoint) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        _ => Err(wrong("otlp_endpoint", "it is no URL with http or https, such as http://127.0.0.1:4318")),
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| D::Error::custom(format!("{seconds} is no number of seconds")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Settings::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn every_setting_has_a_default() {
        assert_eq!(Settings::from_toml("[providers.a]\nbackend = \"x\"").unwrap(), Settings::default());
        assert_eq!(
            Settings::from_toml("[gateway]\nkeep_alive = 0.5").unwrap().keep_alive,
            Duration::from_millis(500)
        );
    }

    #[test]
    fn faults_name_place_and_range() {
        let text = problem("[gateway]\nmax_bodies = 1\nkeys = [{ name = \"a\" }]");
        assert!(
            text.contains("config:2: gateway.max_bodies: unknown key") && text.contains("`key` is missing"),
            "{text}"
        );
        assert!(problem("[gateway]\nmax_body = 1").contains("allowed: 1024 to"));
        assert!(problem("[gateway]\nkeep_alive = 0").contains("keep_alive"));
        assert!(problem("[gateway]\norigins = [\"https://h.example/\"]").contains("is no origin"));
        assert!(
            problem("[gateway]\nkeys = [{ name = \"a\", key = \"${NO_SUCH_VARIABLE_IS_SET}\" }]")
                .contains("is not set")
        );
    }

    #[test]
    fn keys_are_checked_and_never_shown() {
        for (key, words) in
            [("pw-1", "too short"), ("sha256:12", "64 hex digits"), ("canary canary", "white space")]
        {
            let text = problem(&format!("[gateway]\nkeys = [{{ name = \"a\", key = \"{key}\" }}]"));
            assert!(text.contains(words) && !text.contains(key.trim_start_matches("sha256:")), "{text}");
        }
        assert!(!format!("{:?}", KeySettings::new("a", "canary-canary")).contains("canary"));
    }
}
