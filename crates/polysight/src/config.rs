//! The config file: providers, roles, and defaults for all roles.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use polysight_core::catalog::ModelRow;
use polysight_core::{
    ChatRequest, Effort, Error, ErrorKind, RandomSampling, ResponseFormat, Result, Sampling, Thinking,
    Tolerance,
};
use polysight_wire::Limits;
use serde::Deserialize;
use toml::{Table, Value};

use crate::fields::fields_of;
use crate::layering::{Cast, FALLBACK_KEYS, Keys, PROVIDER_KEYS, ProviderLayers, ROLE_KEYS, RoleLayers};

/// Keys of a provider that hold for every vendor.
#[derive(Clone, Deserialize)] // no Debug: it holds the key
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderConfig {
    /// The vendor's id: `zhipu`, `qwen-vl`, `ernie`, or one that the program registered.
    pub(crate) backend: String,
    /// Prefix of all paths; default: the vendor's own.
    pub(crate) base_url: Option<String>,
    /// Where the models are served; default: `vendor`.
    pub(crate) deployment: Option<String>,
    /// The key, usually `${NAME_OF_AN_ENVIRONMENT_VARIABLE}`.
    pub(crate) api_key: Option<String>,
    /// Several keys, among which calls are spread.
    pub(crate) api_keys: Option<Vec<String>>,
    /// A file that holds the key, relative to the config file.
    pub(crate) api_key_file: Option<PathBuf>,
    /// Headers for every request.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// Time limits, in seconds.
    #[serde(default)]
    pub(crate) timeouts: Timeouts,
    /// Size limits, in bytes.
    #[serde(default)]
    pub(crate) sizes: Sizes,
    /// Proxy, such as `http://proxy.example:3128`; default: the environment's.
    pub(crate) proxy: Option<String>,
    /// Model for requests and roles that name none.
    pub(crate) model: Option<String>,
    /// Models that extend or override the vendor's catalogue.
    #[serde(default)]
    pub(crate) models: Vec<ModelRow>,
}

/// Time limits in seconds; see [`Limits`] for what each is and its default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// [`Limits::connect`].
    pub(crate) connect: Option<f64>,
    /// [`Limits::first_byte`].
    pub(crate) first_byte: Option<f64>,
    /// [`Limits::idle`].
    pub(crate) idle: Option<f64>,
    /// [`Limits::min_rate`], in bytes a second; 0: none.
    pub(crate) min_rate: Option<u32>,
    /// [`Limits::total`].
    pub(crate) total: Option<f64>,
    /// [`Limits::after_finish`].
    pub(crate) after_finish: Option<f64>,
}

/// Size limits in bytes; see [`Limits`] for what each is and its default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sizes {
    /// [`Limits::max_reply_bytes`].
    pub(crate) max_reply: Option<usize>,
    /// [`Limits::max_line_bytes`].
    pub(crate) max_line: Option<usize>,
    /// [`Limits::max_error_bytes`].
    pub(crate) max_error: Option<usize>,
}

impl ProviderConfig {
    /// The limits that the config sets, over the defaults.
    pub(crate) fn limits(&self) -> Result<Limits> {
        let mut limits = Limits::default();
        let seconds = |name: &str, value: f64| {
            Duration::try_from_secs_f64(value).map_err(|error| {
                let message = format!("timeouts.{name} is {value}: a number of seconds is wanted");
                Error::new(ErrorKind::Config, message).with_source(error)
            })
        };
        if let Some(value) = self.timeouts.connect {
            limits.connect = seconds("connect", value)?;
        }
        if let Some(value) = self.timeouts.first_byte {
            limits.first_byte = seconds("first_byte", value)?;
        }
        if let Some(value) = self.timeouts.idle {
            limits.idle = seconds("idle", value)?;
        }
        if let Some(rate) = self.timeouts.min_rate {
            limits.min_rate = Some(rate).filter(|rate| *rate > 0);
        }
        if let Some(value) = self.timeouts.after_finish {
            limits.after_finish = seconds("after_finish", value)?;
        }
        if let Some(value) = self.timeouts.total {
            limits.total = Some(seconds("total", value)?);
        }
        limits.max_reply_bytes = self.sizes.max_reply.unwrap_or(limits.max_reply_bytes);
        limits.max_error_bytes = self.sizes.max_error.unwrap_or(limits.max_error_bytes);
        limits.max_line_bytes = self.sizes.max_line.unwrap_or(limits.max_line_bytes);
        Ok(limits)
    }
}

/// Keys of a role: who plays it, and defaults of its requests by their field names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RoleConfig {
    /// Name of the provider.
    pub(crate) provider: Option<String>,
    /// The model; default: the provider's.
    pub(crate) model: Option<String>,
    /// What may be changed on the way out: `strict`, `lossless` or `lossy`.
    pub(crate) tolerance: Option<Tolerance>,
    /// Always the likeliest token.
    pub(crate) greedy: Option<bool>,
    /// Temperature of random sampling.
    pub(crate) temperature: Option<f64>,
    /// `top_p` of random sampling.
    pub(crate) top_p: Option<f64>,
    /// `top_k` of random sampling.
    pub(crate) top_k: Option<u32>,
    /// Presence penalty.
    pub(crate) presence_penalty: Option<f64>,
    /// Frequency penalty.
    pub(crate) frequency_penalty: Option<f64>,
    /// Repetition penalty.
    pub(crate) repetition_penalty: Option<f64>,
    /// Most tokens of the answer.
    pub(crate) max_tokens: Option<u32>,
    /// Texts at which the answer ends.
    pub(crate) stop: Option<Vec<String>>,
    /// Seed of random sampling.
    pub(crate) seed: Option<i64>,
    /// Id of the end user.
    pub(crate) end_user_id: Option<String>,
    /// `"on"`, `"off"`, an effort (`"low"`, `"medium"`, `"high"`, `"max"`), or a budget of tokens.
    pub(crate) thinking: Option<Value>,
    /// `"text"` or `"json_object"`.
    pub(crate) response_format: Option<String>,
    /// Whether several functions may be called at once.
    pub(crate) parallel_tool_calls: Option<bool>,
    /// Whether responses keep the vendor's raw JSON.
    pub(crate) keep_raw: Option<bool>,
}

impl RoleConfig {
    /// The defaults as a request without messages; the problem if they contradict each other.
    fn request(&self) -> std::result::Result<ChatRequest, String> {
        let mut request = ChatRequest::default();
        request.model.clone_from(&self.model);
        request.tolerance = self.tolerance;
        request.sampling = self.sampling()?;
        request.max_tokens = self.max_tokens;
        request.stop = self.stop.clone().unwrap_or_default();
        request.seed = self.seed;
        request.end_user_id.clone_from(&self.end_user_id);
        request.thinking = self.thinking.as_ref().map_or(Ok(Thinking::Default), thinking)?;
        request.response_format = match self.response_format.as_deref() {
            None | Some("text") => ResponseFormat::Text,
            Some("json_object") => ResponseFormat::JsonObject,
            Some(other) => {
                return Err(format!("response_format is `{other}`: `text` or `json_object` is wanted"));
            }
        };
        request.parallel_tool_calls = self.parallel_tool_calls;
        request.keep_raw = self.keep_raw.unwrap_or(false);
        Ok(request)
    }

    fn sampling(&self) -> std::result::Result<Sampling, String> {
        let mut random = RandomSampling::default();
        random.temperature = self.temperature;
        random.top_p = self.top_p;
        random.top_k = self.top_k;
        random.presence_penalty = self.presence_penalty;
        random.frequency_penalty = self.frequency_penalty;
        random.repetition_penalty = self.repetition_penalty;
        match (self.greedy.unwrap_or(false), random == RandomSampling::default()) {
            (true, true) => Ok(Sampling::Greedy),
            (true, false) => {
                Err("greedy sampling has no temperature or other random setting: drop either".to_owned())
            }
            (false, true) => Ok(Sampling::Default),
            (false, false) => Ok(Sampling::Random(random)),
        }
    }
}

fn thinking(value: &Value) -> std::result::Result<Thinking, String> {
    let wanted = || "thinking: \"on\", \"off\", an effort or a number of tokens is wanted".to_owned();
    match value {
        Value::Boolean(true) => Ok(Thinking::On),
        Value::Boolean(false) => Ok(Thinking::Off),
        Value::Integer(tokens) => u32::try_from(*tokens).map(Thinking::Budget).map_err(|_| wanted()),
        Value::String(word) => match word.as_str() {
            "on" => Ok(Thinking::On),
            "off" => Ok(Thinking::Off),
            effort => effort.parse::<Effort>().map(Thinking::Effort).map_err(|_| wanted()),
        },
        _ => Err(wanted()),
    }
}

/// A provider's table: the keys of all vendors, and what is left for its own.
#[derive(Debug, Clone)]
pub(crate) struct ProviderEntry {
    pub(crate) table: Table,
    pub(crate) backend: String,
    pub(crate) layers: ProviderLayers,
}

/// A role's settings, complete.
#[derive(Debug, Clone)]
pub(crate) struct RoleEntry {
    pub(crate) cast: Cast,
    pub(crate) layers: RoleLayers,
    pub(crate) defaults: ChatRequest,
}

/// A config file, read and checked, keys not yet looked up.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) place: Place,
    pub(crate) providers: BTreeMap<String, ProviderEntry>,
    pub(crate) roles: Vec<(String, RoleEntry)>,
    /// The table of the quota store, keys not yet looked up.
    pub(crate) quota_store: Option<Table>,
}

/// Where a config came from, for messages and relative paths.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

impl Place {
    pub(crate) fn error(&self, key: &str, problem: impl AsRef<str>) -> Error {
        let separator = if key.is_empty() { "" } else { ": " };
        Error::new(ErrorKind::Config, format!("{}: {key}{separator}{}", self.name, problem.as_ref()))
    }

    pub(crate) fn of(path: &Path) -> Self {
        Self {
            name: path.display().to_string(),
            folder: path.parent().map(Path::to_path_buf).unwrap_or_default(),
        }
    }
}

impl Config {
    /// Reads a config; `backend_keys` tells the keys that a backend has for itself, `None` for an unknown backend.
    pub(crate) fn read(
        text: &str,
        place: Place,
        backends: &[&str],
        backend_keys: impl Fn(&str) -> Option<&'static [&'static str]>,
    ) -> Result<Self> {
        let mut root: Table = toml::from_str(text).map_err(|error| syntax(&place, text, &error))?;
        check_keys(&place, "", &root, &["providers", "roles", "defaults", "quota_store"], &[])?;
        let providers = tables(&place, &mut root, "providers")?;
        let roles = tables(&place, &mut root, "roles")?;
        let defaults = table(&place, &mut root, "defaults")?.unwrap_or_default();
        let quota_store = table(&place, &mut root, "quota_store")?;
        let providers = providers
            .into_iter()
            .map(|(name, table)| {
                let entry = read_provider(&place, &format!("providers.{name}"), table, &backend_keys)?;
                Ok((name, entry))
            })
            .collect::<Result<BTreeMap<_, _>>>()?;
        if let Some(table) = &quota_store {
            crate::layering::check_quota_store(&place, table)?;
        }
        let own: Vec<&str> = ROLE_KEYS.iter().chain(backends).copied().collect();
        if defaults.contains_key("fallback") {
            let problem = "a role cannot fall back on others by default: it would fall back on itself";
            return Err(place.error("defaults.fallback", problem));
        }
        check_keys(&place, "defaults", &defaults, fields_of::<RoleConfig>(), &own)?;
        let roles = roles
            .into_iter()
            .map(|(name, table)| {
                let path = format!("roles.{name}");
                check_keys(&place, &path, &table, fields_of::<RoleConfig>(), &own)?;
                let table = laid_over(&defaults_of(&defaults, &table), table);
                let entry = read_role(&place, &path, table, backends, &providers)?;
                Ok((name, entry))
            })
            .collect::<Result<Vec<_>>>()?;
        crate::layering::check_fallbacks(&place, &roles)?;
        Ok(Self { place, providers, roles, quota_store })
    }

    /// The role of this name.
    pub(crate) fn role(&self, name: &str) -> Result<&RoleEntry> {
        let found = self.roles.iter().find(|(known, _)| known == name);
        found.map(|(_, entry)| entry).ok_or_else(|| {
            let known: Vec<&str> = self.roles.iter().map(|(known, _)| known.as_str()).collect();
            self.place.error("roles", unknown("role", name, &known))
        })
    }
}

fn syntax(place: &Place, text: &str, error: &toml::de::Error) -> Error {
    let line =
        error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
    let at = line.map(|line| format!("line {line}")).unwrap_or_default();
    place.error(&at, error.message().trim())
}

/// What a role takes of the defaults. One that falls back on others takes only what is about the whole call: the others
/// have the rest themselves, and what is filled in here would go before what they say.
fn defaults_of(defaults: &Table, role: &Table) -> Table {
    let mut defaults = defaults.clone();
    if role.contains_key("fallback") {
        defaults.retain(|key, _| FALLBACK_KEYS.contains(&key));
    } else {
        defaults.remove("route");
    }
    defaults
}

/// The table under a key, if there is one.
fn table(place: &Place, root: &mut Table, key: &str) -> Result<Option<Table>> {
    match root.remove(key) {
        None => Ok(None),
        Some(Value::Table(table)) => Ok(Some(table)),
        Some(_) => Err(place.error(key, "a table is wanted")),
    }
}

/// The tables under a key, in the order of their names in the file.
fn tables(place: &Place, root: &mut Table, key: &str) -> Result<Vec<(String, Table)>> {
    let Some(value) = root.remove(key) else { return Ok(Vec::new()) };
    let Value::Table(entries) = value else { return Err(place.error(key, "a table of tables is wanted")) };
    entries
        .into_iter()
        .map(|(name, entry)| match entry {
            Value::Table(table) => Ok((name, table)),
            _ => Err(place.error(&format!("{key}.{name}"), "a table is wanted")),
        })
        .collect()
}

fn read_provider(
    place: &Place,
    path: &str,
    mut table: Table,
    backend_keys: &impl Fn(&str) -> Option<&'static [&'static str]>,
) -> Result<ProviderEntry> {
    let Some(backend) = table.get("backend").and_then(Value::as_str).map(str::to_owned) else {
        return Err(place.error(path, "`backend` is missing: it names the vendor"));
    };
    if let Some(own) = backend_keys(&backend) {
        let own: Vec<&str> = PROVIDER_KEYS.iter().chain(own).copied().collect();
        check_keys(place, path, &table, fields_of::<ProviderConfig>(), &own)?;
    }
    for (key, known) in [("timeouts", fields_of::<Timeouts>()), ("sizes", fields_of::<Sizes>())] {
        if let Some(Value::Table(inner)) = table.get(key) {
            check_keys(place, &format!("{path}.{key}"), inner, known, &[])?;
        }
    }
    let layers = Keys { place, path, table: &mut table }.provider()?;
    Ok(ProviderEntry { table, backend, layers })
}

fn read_role(
    place: &Place,
    path: &str,
    mut table: Table,
    backends: &[&str],
    providers: &BTreeMap<String, ProviderEntry>,
) -> Result<RoleEntry> {
    let mut extras = BTreeMap::new();
    for backend in backends {
        match table.remove(*backend) {
            None => {}
            Some(Value::Table(fields)) => {
                let fields = fields.into_iter().map(|(key, value)| (key, json(value))).collect();
                extras.insert((*backend).to_owned(), fields);
            }
            Some(_) => return Err(place.error(&format!("{path}.{backend}"), "a table of options is wanted")),
        }
    }
    let mut keys = Keys { place, path, table: &mut table };
    let (fallback, layers) = (keys.fallback()?, keys.role()?);
    let role: RoleConfig = table.try_into().map_err(|error| type_error(place, path, &error))?;
    let cast = match fallback {
        Some(_) if role.provider.is_some() || role.model.is_some() => {
            let problem =
                "`fallback` names other roles, which have a provider and a model of their own: drop either";
            return Err(place.error(path, problem));
        }
        Some(fallback) => fallback,
        None => Cast::Provider(provider_of(place, path, &role, providers)?),
    };
    let mut defaults = role.request().map_err(|problem| place.error(path, problem))?;
    defaults.extras = extras;
    Ok(RoleEntry { cast, layers, defaults })
}

fn provider_of(
    place: &Place,
    path: &str,
    role: &RoleConfig,
    providers: &BTreeMap<String, ProviderEntry>,
) -> Result<String> {
    let provider = match (&role.provider, providers.len()) {
        (Some(name), _) => name.clone(),
        (None, 1) => providers.keys().next().cloned().unwrap_or_default(),
        (None, _) => return Err(place.error(path, "`provider` is missing: it names one of the providers")),
    };
    if !providers.contains_key(&provider) {
        let known: Vec<&str> = providers.keys().map(String::as_str).collect();
        let problem = unknown("provider", &provider, &known);
        return Err(place.error(&format!("{path}.provider"), problem));
    }
    Ok(provider)
}

/// Reads a value whose keys were checked before; only types can be wrong.
pub(crate) fn type_error(place: &Place, path: &str, error: &toml::de::Error) -> Error {
    place.error(path, told(error))
}

/// What a settings type says against a table, on one line and without the value.
pub(crate) fn told(error: &toml::de::Error) -> String {
    let text = error.to_string();
    without_value(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Takes the value out of `invalid type: string "..", expected ..`: it may be a key in the wrong place.
fn without_value(text: &str) -> String {
    let is_about_value = text.starts_with("invalid type: ") || text.starts_with("invalid value: ");
    match text.split_once(['"', '`']).zip(text.rsplit_once(", expected ")) {
        Some(((before, _), (_, expected))) if is_about_value => {
            format!("{}, expected {expected}", before.trim_end())
        }
        _ => text.to_owned(),
    }
}

/// Takes the value out of `unknown variant ..`, unless the file shows it as it is: it may have come out of a variable.
pub(crate) fn without_looked_up(text: &str, file: &Table) -> String {
    let Some(rest) = text.strip_prefix("unknown variant `") else { return text.to_owned() };
    match rest.rsplit_once("`, expected ") {
        Some((value, _)) if file.values().any(|known| holds(known, value)) => text.to_owned(),
        Some((_, expected)) => format!("unknown variant, expected {expected}"),
        None => "unknown variant".to_owned(),
    }
}

/// Whether a text stands somewhere in a value.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(own) => own == text,
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Table(fields) => fields.values().any(|field| holds(field, text)),
        _ => false,
    }
}

fn laid_over(base: &Table, over: Table) -> Table {
    let mut merged = base.clone();
    for (key, value) in over {
        let value = match (merged.remove(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => Value::Table(laid_over(&below, above)),
            (_, value) => value,
        };
        merged.insert(key, value);
    }
    merged
}

fn json(value: Value) -> polysight_core::JsonValue {
    use polysight_core::JsonValue;
    match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Boolean(truth) => truth.into(),
        Value::Datetime(time) => time.to_string().into(),
        Value::Array(items) => JsonValue::Array(items.into_iter().map(json).collect()),
        Value::Table(fields) => {
            JsonValue::Object(fields.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}

/// Refuses keys that are in neither list, all at once, naming for each the nearest that is.
pub(crate) fn check_keys(
    place: &Place,
    path: &str,
    table: &Table,
    known: &[&str],
    own: &[&str],
) -> Result<()> {
    let all: Vec<&str> = known.iter().chain(own).copied().collect();
    let problems = table.keys().filter(|key| !all.contains(&key.as_str())).map(|key| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        format!("{path}: {}", unknown("key", key, &all))
    });
    let problems: Vec<String> = problems.collect();
    if problems.is_empty() { Ok(()) } else { Err(place.error("", problems.join("; "))) }
}

/// Says that a name is unknown, and which known one is nearest.
pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((_, candidate)) => format!("unknown {what} `{name}`, did you mean `{candidate}`?"),
        None if known.is_empty() => format!("unknown {what} `{name}`: there is none"),
        None => format!("unknown {what} `{name}`, known: {}", known.join(", ")),
    }
}

/// Replaces `${NAME}` by environment variables; `$${` stands for `${` itself.
pub(crate) fn expand(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> std::result::Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        let after = from.strip_prefix("${").unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (name, behind) = after.split_once('}').ok_or("`${` is not closed by `}`")?;
        let value = lookup(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Expands every text in a table.
pub(crate) fn expand_table(
    place: &Place,
    path: &str,
    value: &mut Value,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<()> {
    match value {
        Value::String(text) => {
            *text = expand(text, lookup).map_err(|problem| place.error(path, problem))?;
        }
        Value::Array(items) => {
            for item in items {
                expand_table(place, path, item, lookup)?;
            }
        }
        Value::Table(fields) => {
            for (key, value) in fields.iter_mut() {
                expand_table(place, &format!("{path}.{key}"), value, lookup)?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "KEY").then(|| "secret".to_owned())
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_shown() {
        let place = Place { name: "config".to_owned(), folder: PathBuf::new() };
        let problem = |line: &str| {
            let table: Table = toml::from_str(&format!("backend = \"x\"\n{line}")).unwrap();
            let Err(error) = table.try_into::<ProviderConfig>() else { panic!("{line} is taken") };
            type_error(&place, "providers.a", &error).to_string()
        };
        for line in [
            "api_key = 7702166553344551",
            "api_key = 7702166553344551.5",
            "headers = '7702166553344551, expected `nothing`'",
            "models = '7702166553344551'",
            "timeouts = { idle = '7702166553344551' }",
        ] {
            let shown = problem(line);
            assert!(!shown.contains("7702"), "{shown}");
            assert!(shown.contains("invalid type: ") && shown.contains(", expected "), "{shown}");
        }
        assert!(problem("api_key = 77").ends_with("invalid type: integer, expected a string in `api_key`"));
    }

    #[test]
    fn variables_are_replaced_anywhere_in_a_text() {
        assert_eq!(expand("${KEY}", &env).unwrap(), "secret");
        assert_eq!(expand("a-${KEY}-${KEY}", &env).unwrap(), "a-secret-secret");
        assert_eq!(expand("$${KEY} $5", &env).unwrap(), "${KEY} $5");
        assert!(expand("${NONE}", &env).unwrap_err().contains("NONE is not set"));
        assert!(expand("${KEY", &env).unwrap_err().contains("not closed"));
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        assert_eq!(
            unknown("key", "api_kei", &["api_key", "proxy"]),
            "unknown key `api_kei`, did you mean `api_key`?"
        );
        assert_eq!(unknown("key", "zzz", &["api_key", "proxy"]), "unknown key `zzz`, known: api_key, proxy");
    }
}
