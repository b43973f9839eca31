//! The table of a provider.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use polysight_core::catalog::ModelRow;
use polysight_core::{ApiKey, Catalog, Error, Result};
use polysight_wire::{BaseUrl, Limits, ProviderOptions, Transport, TransportBuilder};
use serde::Deserialize;
use serde::de::{Deserializer, Unexpected, Visitor};

use super::backend::{Backend, Backends};
use super::de::{Reader, Texts, join, read};
use super::expand::{Variables, has_variable};
use super::faults::{Fault, Faults};
use super::file::{Node, Source, Table, Value};
use super::layers::{ProviderLayers, take_provider_layers};

/// Keys of a provider that hold for every vendor.
#[derive(Default, Deserialize)] // no Debug: it holds the key
#[serde(default)]
pub(crate) struct ProviderConfig {
    /// The vendor's id: `zhipu`, `qwen-vl`, `ernie`, `openai`, or one that the program registered.
    backend: Option<String>,
    /// Prefix of all paths; default: the vendor's own.
    base_url: Option<String>,
    /// Where the models are served; default: `vendor`.
    deployment: Option<String>,
    /// The key, usually `${NAME_OF_AN_ENVIRONMENT_VARIABLE}`.
    pub(crate) api_key: Option<String>,
    /// Several keys, among which calls are spread.
    pub(crate) api_keys: Option<Vec<String>>,
    /// A file that holds the key, relative to the config file.
    pub(crate) api_key_file: Option<PathBuf>,
    /// Headers for every request.
    headers: BTreeMap<String, String>,
    /// Time limits, in seconds.
    timeouts: Timeouts,
    /// Size limits, in bytes.
    sizes: Sizes,
    /// Proxy, such as `http://proxy.example:3128`, or `none`; default: the environment's.
    pub(crate) proxy: Option<String>,
    /// HTTP/2 with servers that offer it; default: HTTP/1.1.
    http2: bool,
    /// A PEM file of certificates that are trusted beside the system's.
    ca_file: Option<PathBuf>,
    /// A PEM file of this side's certificate, and of its key where `client_key_file` names none.
    client_cert_file: Option<PathBuf>,
    /// A PEM file of the private key.
    client_key_file: Option<PathBuf>,
    /// Model for requests and roles that name none.
    model: Option<String>,
    /// Models that extend or override the vendor's catalogue.
    models: Vec<ModelRow>,
}

/// Time limits in seconds; see [`Limits`] for what each is and its default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Timeouts {
    connect: Option<Seconds>,
    first_byte: Option<Seconds>,
    idle: Option<Seconds>,
    /// Bytes a second; 0: any rate.
    min_rate: Option<u32>,
    total: Option<Seconds>,
    drain_timeout: Option<Seconds>,
}

/// Size limits in bytes; see [`Limits`] for what each is and its default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sizes {
    max_reply: Option<usize>,
    max_line: Option<usize>,
    max_error: Option<usize>,
}

/// A time limit.
#[derive(Clone, Copy)]
struct Seconds(Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_f64(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds above 0, at most a year")
    }

    fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Seconds, E> {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let limit =
            Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero() && *limit <= YEAR);
        limit.map(Seconds).ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &self))
    }

    fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Seconds, E> {
        self.visit_f64(seconds as f64)
    }
}

impl ProviderConfig {
    /// The limits that the config sets, over the defaults.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        let (times, sizes) = (&self.timeouts, &self.sizes);
        let set =
            |limit: &mut Duration, seconds: Option<Seconds>| *limit = seconds.map_or(*limit, |time| time.0);
        set(&mut limits.connect, times.connect);
        set(&mut limits.first_byte, times.first_byte);
        set(&mut limits.idle, times.idle);
        set(&mut limits.drain_timeout, times.drain_timeout);
        limits.total = times.total.map(|time| time.0).or(limits.total);
        if let Some(rate) = times.min_rate {
            limits.min_rate = Some(rate).filter(|rate| *rate > 0);
        }
        limits.max_reply_bytes = sizes.max_reply.unwrap_or(limits.max_reply_bytes);
        limits.max_error_bytes = sizes.max_error.unwrap_or(limits.max_error_bytes);
        limits.max_line_bytes = sizes.max_line.unwrap_or(limits.max_line_bytes);
        limits
    }

    /// What providers must have alike to share connections.
    pub(crate) fn connecting(&self) -> Connecting {
        Connecting {
            timeout: self.limits().connect,
            proxy: self.proxy.clone(),
            http2: self.http2,
            ca_file: self.ca_file.clone(),
            client_cert_file: self.client_cert_file.clone(),
            client_key_file: self.client_key_file.clone(),
        }
    }

    /// A transport's settings without its connections.
    pub(crate) fn transport(&self, secrets: Vec<ApiKey>) -> TransportBuilder {
        let builder = Transport::builder().limits(self.limits());
        let builder = secrets.into_iter().fold(builder, TransportBuilder::secret);
        self.headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value))
    }

    /// What the vendor gets, but for the key and the transport.
    pub(crate) fn options(&self, name: &str) -> Result<ProviderOptions> {
        let mut options = ProviderOptions::new(name).with_models(self.models.clone());
        options.base_url = self.base_url.as_deref().map(str::parse).transpose()?;
        options.deployment.clone_from(&self.deployment);
        options.model.clone_from(&self.model);
        Ok(options)
    }
}

/// How connections are made.
#[derive(Clone, PartialEq, Eq, Hash)] // no Debug: a proxy may hold a password
pub(crate) struct Connecting {
    timeout: Duration,
    proxy: Option<String>,
    http2: bool,
    ca_file: Option<PathBuf>,
    client_cert_file: Option<PathBuf>,
    client_key_file: Option<PathBuf>,
}

impl Connecting {
    /// Sets up a transport that connects so.
    pub(crate) fn apply(&self, mut transport: TransportBuilder, source: &Source) -> Result<TransportBuilder> {
        if let Some(proxy) = &self.proxy {
            transport = transport.proxy(proxy);
        }
        if let Some(file) = &self.ca_file {
            transport = transport.root_certificates(source.pem_in("ca_file", file)?);
        }
        if let Some(pem) = self.client_certificate(source)? {
            transport = transport.client_certificate(pem);
        }
        Ok(transport.http2(self.http2))
    }

    /// This side's certificate and its key, of one file or two.
    fn client_certificate(&self, source: &Source) -> Result<Option<Vec<u8>>> {
        let Some(file) = &self.client_cert_file else { return Ok(None) };
        let mut pem = source.pem_in("client_cert_file", file)?;
        if let Some(file) = &self.client_key_file {
            pem.push(b'\n');
            pem.extend(source.pem_in("client_key_file", file)?);
        }
        Ok(Some(pem))
    }
}

/// A provider, checked, its variables not yet looked up.
#[derive(Clone)]
pub(crate) struct ProviderEntry {
    pub(crate) layers: ProviderLayers,
    pub(crate) backend: Backend,
    /// The models that the vendor serves itself, where that is known.
    pub(crate) catalog: Option<Catalog>,
    /// The model for roles that name none, with its line, unless it is a variable.
    pub(crate) model: Option<(String, usize)>,
    table: Table,
    /// The vendor's own keys.
    own: Table,
}

impl ProviderEntry {
    /// Checks the table of a provider; `None` when it names no known vendor.
    pub(crate) fn check(
        name: &str,
        line: usize,
        table: Table,
        source: &Source,
        backends: &Backends,
        faults: &mut Faults,
    ) -> Option<Self> {
        let path = format!("providers.{name}");
        let original = table.clone();
        let mut reader = Reader::new(table, &path, Texts::Placeholders);
        let config = reader.take::<ProviderConfig>(faults).unwrap_or_default();
        let layers = take_provider_layers(&mut reader, &path, original.contains_key("api_keys"), faults);
        let known = reader.known().to_vec();
        let own_keys = |table: &Table| {
            let own = table.iter().filter(|(key, _)| !known.contains(&key.as_str()));
            own.map(|(key, node)| (key.clone(), node.clone())).collect::<Table>()
        };
        let check = Check { path: &path, line, table: &original, source };
        let config = check.values(config, faults);
        let backend = check.backend(&config, backends, faults)?;
        let is_complete = backend.take(&mut reader, faults);
        let good = reader.finish(faults);
        if is_complete && !original.get("deployment").is_some_and(Node::has_variable) {
            match config.options(name) {
                Ok(options) => check.vendor(backend, &options, &own_keys(&good), faults),
                Err(error) => faults.push(check.fault("", error.message())),
            }
        }
        let own = own_keys(&original);
        let catalog = if config.deployment.is_some() { None } else { backend.catalog() };
        let catalog = catalog.and_then(|catalog| catalog.clone().with_models(config.models).ok());
        let line_of_model = original.get("model").filter(|node| !node.has_variable()).map(|node| node.line);
        let model = config.model.zip(line_of_model);
        Some(Self { layers, backend: backend.clone(), catalog, model, table: original, own })
    }

    /// The settings of all vendors, with variables looked up.
    pub(crate) fn config(&self, path: &str, variables: &Variables<'_>) -> Result<ProviderConfig, Fault> {
        variables.look_up(&self.table);
        let config: ProviderConfig = read(&self.table, path, Texts::LookedUp(variables))?;
        let raw = self.table.get("base_url").map(|node| &node.value);
        if let (Some(Value::Text(raw)), Some(Ok(url))) =
            (raw, config.base_url.as_deref().map(str::parse::<BaseUrl>))
            && let Some(name) = variables.key_in_host(raw, url.as_url().host_str().unwrap_or_default())
        {
            let problem = format!("the value of ${{{name}}} looks like a key, which belongs into api_key");
            return Err(Fault::new(join(path, "base_url"), problem).allowed("the address of a server"));
        }
        Ok(config)
    }

    /// The vendor's own keys.
    pub(crate) fn own(&self) -> &Table {
        &self.own
    }
}

/// Stands for a base URL that is not known yet, or wrong: the vendor's check is about the rest then.
const PLACEHOLDER_URL: &str = "https://unknown.invalid/v1";

/// Checks of values whose types are right.
struct Check<'a> {
    path: &'a str,
    line: usize,
    table: &'a Table,
    source: &'a Source,
}

impl Check<'_> {
    /// The vendor that the table names.
    fn backend<'b>(
        &self,
        config: &ProviderConfig,
        backends: &'b Backends,
        faults: &mut Faults,
    ) -> Option<&'b Backend> {
        let found = match (&config.backend, self.table.get("backend")) {
            (None, None) => Err(self.fault("", "`backend` is missing: it names the vendor")),
            // Said already.
            (None, Some(_)) => return None,
            (Some(_), Some(node)) if node.has_variable() => {
                Err(self.fault("backend", "the vendor cannot be a variable: write its id"))
            }
            (Some(id), _) => backends.find(id).map_err(|problem| self.fault("backend", problem)),
        };
        found.map_err(|fault| faults.push(fault)).ok()
    }

    /// Checks each value alone, and leaves those out that are wrong.
    fn values(&self, mut config: ProviderConfig, faults: &mut Faults) -> ProviderConfig {
        if let Some(url) = &mut config.base_url {
            let waits = self.table.get("base_url").is_some_and(Node::has_variable);
            let parsed = if waits { None } else { Some(url.parse::<BaseUrl>()) };
            if let Some(Err(error)) = &parsed {
                faults.push(self.fault("base_url", error.message()));
            }
            if !matches!(parsed, Some(Ok(_))) {
                PLACEHOLDER_URL.clone_into(url);
            }
        }
        self.keys(&config, faults);
        self.transport(&config, faults);
        let mut index = 0;
        config.models.retain(|row| {
            let checked =
                Catalog::from_toml("vendor = \"any\"").and_then(|any| any.with_models([row.clone()]));
            if let Err(error) = &checked {
                faults.push(self.fault(&format!("models[{index}]"), error.message()));
            }
            index += 1;
            checked.is_ok()
        });
        config
    }

    fn keys(&self, config: &ProviderConfig, faults: &mut Faults) {
        let ways =
            ["api_key", "api_keys", "api_key_file"].into_iter().filter(|key| self.table.contains_key(*key));
        if ways.count() > 1 {
            faults.push(self.fault("", "api_key, api_key_file and api_keys exclude each other: keep one"));
        }
        if config.api_keys.as_ref().is_some_and(Vec::is_empty) {
            faults.push(self.fault("api_keys", "the list is empty: name at least one key"));
        }
        let one = config.api_key.iter().map(|key| ("api_key".to_owned(), key));
        let several = config.api_keys.iter().flatten().enumerate();
        let several = several.map(|(index, key)| (format!("api_keys[{index}]"), key));
        for (name, key) in one.chain(several) {
            // A key with a variable in it is made when the variable is known.
            if let (false, Err(error)) = (has_variable(key), ApiKey::new(key)) {
                faults.push(self.fault(&name, error.message()));
            }
        }
    }

    fn transport(&self, config: &ProviderConfig, faults: &mut Faults) {
        for (name, value) in &config.headers {
            for error in Transport::builder().header(name, value).check() {
                faults.push(self.fault("headers", error.message()));
            }
        }
        let proxy = config.proxy.iter().filter(|proxy| !has_variable(proxy));
        for error in proxy.flat_map(|proxy| Transport::builder().proxy(proxy).check()) {
            faults.push(self.fault("proxy", error.message()));
        }
        self.certificates(config, faults);
    }

    /// Reads the files of certificates whose paths are known already.
    fn certificates(&self, config: &ProviderConfig, faults: &mut Faults) {
        let is_known = |key: &str| !self.table.get(key).is_some_and(Node::has_variable);
        let connecting = config.connecting();
        if let Some(file) = config.ca_file.as_ref().filter(|_| is_known("ca_file")) {
            let pem = self.source.pem_in("ca_file", file);
            self.check_pem("ca_file", file, pem, TransportBuilder::root_certificates, faults);
        }
        match &config.client_cert_file {
            None if self.table.contains_key("client_key_file") => {
                let missing = "a key without a certificate: client_cert_file is missing";
                faults.push(self.fault("client_key_file", missing));
            }
            Some(file) if is_known("client_cert_file") && is_known("client_key_file") => {
                let pem = connecting.client_certificate(self.source).map(Option::unwrap_or_default);
                let set = TransportBuilder::client_certificate;
                self.check_pem("client_cert_file", file, pem, set, faults);
            }
            _ => {}
        }
    }

    fn check_pem(
        &self,
        key: &str,
        file: &Path,
        pem: Result<Vec<u8>>,
        set: fn(TransportBuilder, Vec<u8>) -> TransportBuilder,
        faults: &mut Faults,
    ) {
        match pem {
            Err(error) => faults.push(self.fault(key, error.message())),
            Ok(pem) => {
                for error in set(Transport::builder(), pem).check() {
                    faults.push(self.fault(key, format!("{}: {}", file.display(), error.message())));
                }
            }
        }
    }

    /// Adds what the vendor finds wrong, at the key without which it would be right, if there is one.
    fn vendor(&self, backend: &Backend, options: &ProviderOptions, own: &Table, faults: &mut Faults) {
        let names =
            |errors: &[Error], error: &Error| errors.iter().any(|other| other.message() == error.message());
        let mut elsewhere = options.clone();
        elsewhere.deployment = None;
        for error in backend.check(options, own) {
            let of_own = own.keys().find(|key| {
                let mut without = own.clone();
                without.remove(*key);
                !names(&backend.check(options, &without), &error)
            });
            let key = match of_own {
                Some(key) => key,
                None if options.deployment.is_some() && !names(&backend.check(&elsewhere, own), &error) => {
                    "deployment"
                }
                None => "",
            };
            faults.push(self.fault(key, error.message()));
        }
    }

    fn fault(&self, key: &str, problem: impl Into<String>) -> Fault {
        let node = self.table.get(key.split('[').next().unwrap_or(key));
        let line = node.map_or(self.line, |node| node.line);
        let path = if key.is_empty() { self.path.to_owned() } else { join(self.path, key) };
        Fault::new(path, problem).at(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::faults_of;

    #[test]
    fn values_of_the_wrong_type_are_named_and_keys_are_not_shown() {
        for (line, allowed) in [
            ("api_key = 7702166553344551", "a text"),
            ("api_key = 7702166553344551.5", "a text"),
            ("headers = '7702166553344551, expected `nothing`'", "a table"),
            ("headers = { x-key = 7702 }", "a text"),
            ("models = '7702166553344551'", "a list"),
            ("timeouts = '7702166553344551'", "a table of settings"),
            ("timeouts = { idle = '7702166553344551' }", "a number of seconds above 0, at most a year"),
            ("api_keys = ['k', 7702]", "a text"),
        ] {
            let faults = faults_of(&format!("[providers.p]\nbackend = \"b\"\n{line}"));
            let [fault] = faults.as_slice() else { panic!("{line}: {faults:?}") };
            assert!(fault.starts_with("config:3: providers.p.") && !fault.contains("7702"), "{fault}");
            assert!(fault.ends_with(&format!("(allowed: {allowed})")), "{fault}");
        }
    }
}
