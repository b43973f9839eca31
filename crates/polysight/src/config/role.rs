//! The table of a role: which provider and model it maps to, and defaults of its requests.

use std::collections::BTreeMap;
use std::fmt;

use polysight_core::{
    ChatRequest, Effort, JsonValue, RandomSampling, ResponseFormat, Result, Sampling, Thinking, Tolerance,
};
use polysight_layers::RouterPolicy;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Unexpected, Visitor};

use super::de::{Reader, Texts, join, read};
use super::faults::{Fault, Faults, unknown};
use super::file::{Table, merge};
use super::layers::{CALL_KEYS, RoleLayers, take_role_layers};

/// A role's settings, complete.
#[derive(Debug, Clone)]
pub(crate) struct RoleEntry {
    pub(crate) target: RoleTarget,
    pub(crate) layers: RoleLayers,
    pub(crate) defaults: ChatRequest,
}

/// What a role maps to.
#[derive(Debug, Clone)]
pub(crate) enum RoleTarget {
    /// A provider, and the line of the role's model.
    Provider { name: String, line: usize },
    /// Other roles with their weights, among which a router chooses.
    Roles { line: usize, roles: Vec<(String, f64)>, router: RouterPolicy },
}

/// Keys of a role: its provider or the roles that it falls back on, and defaults of its requests by their field names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RoleConfig {
    /// Name of the provider.
    provider: Option<String>,
    /// Other roles, tried in turn.
    fallback: Option<Vec<FallbackRole>>,
    /// The model; default: the provider's.
    model: Option<String>,
    /// What may be changed on the way out: `strict`, `lossless` or `lossy`.
    tolerance: Option<Tolerance>,
    /// Always the likeliest token.
    greedy: bool,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u32>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    repetition_penalty: Option<f64>,
    /// Most tokens of the answer.
    max_tokens: Option<u32>,
    /// Texts at which the answer ends.
    stop: Vec<String>,
    /// Seed of random sampling.
    seed: Option<i64>,
    /// Id of the end user.
    end_user_id: Option<String>,
    thinking: ThinkingSetting,
    response_format: Format,
    /// Whether several functions may be called in parallel.
    parallel_tool_calls: Option<bool>,
    /// Whether responses keep the vendor's raw JSON.
    keep_raw: bool,
}

/// The formats of an answer that a file can name.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Text,
    JsonObject,
}

/// A role of a `fallback`: its name, or its name and weight.
#[derive(Debug)]
struct FallbackRole {
    role: String,
    weight: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighted {
    role: String,
    #[serde(default = "one", deserialize_with = "weight")]
    weight: f64,
}

fn one() -> f64 {
    1.0
}

fn weight<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let weight = f64::deserialize(deserializer)?;
    if weight.is_finite() && weight >= 0.0 {
        return Ok(weight);
    }
    Err(serde::de::Error::invalid_value(Unexpected::Float(weight), &"a weight of 0 or more"))
}

impl<'de> Deserialize<'de> for FallbackRole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FallbackVisitor)
    }
}

struct FallbackVisitor;

impl<'de> Visitor<'de> for FallbackVisitor {
    type Value = FallbackRole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a role, or { role, weight } with a weight of 0 or more")
    }

    fn visit_str<E: serde::de::Error>(self, role: &str) -> Result<FallbackRole, E> {
        Ok(FallbackRole { role: role.to_owned(), weight: one() })
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<FallbackRole, A::Error> {
        let Weighted { role, weight } = Weighted::deserialize(MapAccessDeserializer::new(fields))?;
        Ok(FallbackRole { role, weight })
    }
}

/// `"on"`, `"off"`, an effort, or a budget of tokens.
#[derive(Debug, Default, Clone, Copy)]
struct ThinkingSetting(Thinking);

impl<'de> Deserialize<'de> for ThinkingSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ThinkingVisitor).map(Self)
    }
}

struct ThinkingVisitor;

impl Visitor<'_> for ThinkingVisitor {
    type Value = Thinking;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"on\", \"off\", \"low\", \"medium\", \"high\", \"max\" or a number of tokens")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Thinking, E> {
        Ok(if on { Thinking::On } else { Thinking::Off })
    }

    fn visit_i64<E: serde::de::Error>(self, tokens: i64) -> Result<Thinking, E> {
        let budget = u32::try_from(tokens).map(Thinking::Budget);
        budget.map_err(|_| E::invalid_value(Unexpected::Signed(tokens), &self))
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Thinking, E> {
        match word {
            "on" => Ok(Thinking::On),
            "off" => Ok(Thinking::Off),
            effort => {
                let effort = effort.parse::<Effort>().map(Thinking::Effort);
                effort.map_err(|_| E::invalid_value(Unexpected::Str(word), &self))
            }
        }
    }
}

impl RoleConfig {
    /// The defaults as a request without messages.
    fn request(&self) -> Result<ChatRequest, &'static str> {
        let mut request = ChatRequest::default();
        request.model.clone_from(&self.model);
        request.tolerance = self.tolerance;
        request.sampling = self.sampling()?;
        request.max_tokens = self.max_tokens;
        request.stop.clone_from(&self.stop);
        request.seed = self.seed;
        request.end_user_id.clone_from(&self.end_user_id);
        request.thinking = self.thinking.0;
        request.response_format = match self.response_format {
            Format::Text => ResponseFormat::Text,
            Format::JsonObject => ResponseFormat::JsonObject,
        };
        request.parallel_tool_calls = self.parallel_tool_calls;
        request.keep_raw = self.keep_raw;
        Ok(request)
    }

    fn sampling(&self) -> Result<Sampling, &'static str> {
        let mut random = RandomSampling::default();
        random.temperature = self.temperature;
        random.top_p = self.top_p;
        random.top_k = self.top_k;
        random.presence_penalty = self.presence_penalty;
        random.frequency_penalty = self.frequency_penalty;
        random.repetition_penalty = self.repetition_penalty;
        match (self.greedy, random == RandomSampling::default()) {
            (true, true) => Ok(Sampling::Greedy),
            (true, false) => Err("greedy sampling has no temperature or other random setting: drop either"),
            (false, true) => Ok(Sampling::Default),
            (false, false) => Ok(Sampling::Random(random)),
        }
    }
}

/// Where a role says what it maps to.
struct TargetLines {
    fallback: Option<usize>,
    provider: usize,
    model: usize,
}

/// Reads the tables of roles.
pub(crate) struct Roles<'a> {
    backends: Vec<&'a str>,
    providers: Vec<&'a str>,
    defaults: Table,
}

impl<'a> Roles<'a> {
    /// Checks the table `defaults`, which is for every role. `backends` are the vendors that a role may have options for,
    /// `providers` the names of the providers.
    pub(crate) fn new(
        backends: Vec<&'a str>,
        providers: Vec<&'a str>,
        mut defaults: Table,
        faults: &mut Faults,
    ) -> Self {
        const PATH: &str = "defaults";
        if let Some(node) = defaults.remove("fallback") {
            let problem = "a role cannot fall back on others by default: it would fall back on itself";
            faults.push(Fault::new(join(PATH, "fallback"), problem).at(Some(node.line)));
        }
        let mut reader = Reader::new(defaults, PATH, Texts::Literal);
        reader.take::<RoleConfig>(faults);
        let (_, wrong) = take_role_layers(&mut reader, PATH, faults);
        reader.take_tables(backends.iter().copied(), faults);
        let mut defaults = reader.finish(faults);
        defaults.retain(|key, _| !wrong.contains(&key.as_str()));
        Self { backends, providers, defaults }
    }

    /// Checks a role's table; what it does not say is taken from the defaults.
    pub(crate) fn check(&self, name: &str, line: usize, table: Table, faults: &mut Faults) -> RoleEntry {
        let path = format!("roles.{name}");
        let fallback = table.get("fallback").map(|node| node.line);
        if fallback.is_some() {
            for key in ["provider", "model", "retry", "oversize", "fetch", "video"] {
                if let Some(node) = table.get(key) {
                    let problem = format!(
                        "a role with `fallback` has no `{key}`: it belongs to the roles that are named there"
                    );
                    faults.push(Fault::new(join(&path, key), problem).at(Some(node.line)));
                }
            }
        } else if let Some(node) = table.get("router") {
            let problem = "a router chooses among the roles of `fallback`: name some";
            faults.push(Fault::new(join(&path, "router"), problem).at(Some(node.line)));
        }
        let table = merge(&self.defaults_for(&table), table);
        let line_of = |key: &str| table.get(key).map_or(line, |node| node.line);
        let lines = TargetLines { fallback, provider: line_of("provider"), model: line_of("model") };
        let mut reader = Reader::new(table, &path, Texts::Literal);
        let role = reader.take::<RoleConfig>(faults).unwrap_or_default();
        let (layers, _) = take_role_layers(&mut reader, &path, faults);
        let extras = reader.take_tables(self.backends.iter().copied(), faults);
        reader.finish(faults);
        let extras =
            extras.into_iter().filter_map(|(vendor, (_, table))| match read(&table, &path, Texts::Literal) {
                Ok(JsonValue::Object(fields)) => Some((vendor.to_owned(), fields)),
                _ => None,
            });
        let mut request = role.request();
        if let Ok(request) = &mut request {
            request.extras = extras.collect();
        }
        let defaults = request.unwrap_or_else(|problem| {
            faults.push(Fault::new(&path, problem).at(Some(line)));
            ChatRequest::default()
        });
        let target = self.target(&path, &lines, &role, &layers, faults);
        RoleEntry { target, layers, defaults }
    }

    fn target(
        &self,
        path: &str,
        lines: &TargetLines,
        role: &RoleConfig,
        layers: &RoleLayers,
        faults: &mut Faults,
    ) -> RoleTarget {
        if let Some(line) = lines.fallback {
            let roles = role.fallback.iter().flatten().map(|item| (item.role.clone(), item.weight));
            let roles: Vec<_> = roles.collect();
            if role.fallback.as_ref().is_some_and(Vec::is_empty) {
                let fault = Fault::new(join(path, "fallback"), "the list is empty: name at least one role");
                faults.push(fault.at(Some(line)));
            }
            return RoleTarget::Roles { line, roles, router: layers.router.clone().unwrap_or_default() };
        }
        let provider = |name: &str| RoleTarget::Provider { name: name.to_owned(), line: lines.model };
        let (path, problem) = match (&role.provider, self.providers.as_slice()) {
            (Some(name), known) if known.contains(&name.as_str()) => {
                return provider(name);
            }
            (None, [only]) => return provider(only),
            (Some(name), known) => (join(path, "provider"), unknown("provider", name, known.iter().copied())),
            (None, _) => (path.to_owned(), "`provider` is missing: it names one of the providers".to_owned()),
        };
        faults.push(Fault::new(path, problem).at(Some(lines.provider)));
        provider("")
    }

    /// What a role takes of the defaults. One that falls back on others takes only what is about the whole call: the others
    /// have the rest themselves, and what is filled in here would go before what they say.
    fn defaults_for(&self, role: &Table) -> Table {
        let mut defaults = self.defaults.clone();
        if role.contains_key("fallback") {
            defaults.retain(|key, _| CALL_KEYS.contains(&key.as_str()));
        } else {
            defaults.remove("router");
        }
        defaults
    }
}

/// Checks that every role of a `fallback` exists, and that none comes back to where it began.
pub(crate) fn check_fallbacks(roles: &BTreeMap<String, RoleEntry>, faults: &mut Faults) {
    let mut walk = Walk { roles, done: Vec::new(), faults };
    for name in roles.keys() {
        walk.follow(&mut vec![name]);
    }
}

struct Walk<'a, 'f> {
    roles: &'a BTreeMap<String, RoleEntry>,
    /// Roles that were followed before: there are more ways than roles by far where many fall back on the same ones.
    done: Vec<&'a str>,
    faults: &'f mut Faults,
}

impl<'a> Walk<'a, '_> {
    /// Follows all ways on from the last role of `way`.
    fn follow(&mut self, way: &mut Vec<&'a str>) {
        let Some(name) = way.last().copied().filter(|name| !self.done.contains(name)) else { return };
        let (line, next) = match self.roles.get(name).map(|entry| &entry.target) {
            Some(RoleTarget::Roles { line, roles, .. }) => (*line, roles.as_slice()),
            _ => return,
        };
        for (role, _) in next {
            if !self.roles.contains_key(role) {
                self.fault(name, line, unknown("role", role, self.roles.keys().map(String::as_str)));
            } else if way.contains(&role.as_str()) {
                let circle = way.iter().chain([&role.as_str()]).copied().collect::<Vec<_>>().join(" -> ");
                self.fault(name, line, format!("a role falls back on itself: {circle}"));
            } else {
                way.push(role);
                self.follow(way);
                way.pop();
            }
        }
        self.done.push(name);
    }

    fn fault(&mut self, role: &str, line: usize, problem: String) {
        self.faults.push(Fault::new(format!("roles.{role}.fallback"), problem).at(Some(line)));
    }
}
