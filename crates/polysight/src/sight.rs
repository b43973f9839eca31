//! From a config file to roles that answer.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use polysight_core::{
    ApiKey, ChatRequest, Error, ErrorKind, PlanComparison, Result, VisionProvider, compare_plans,
};
use polysight_layers::quota::{LocalStore, QuotaStore};
use polysight_layers::route::{KeyPool, Route, RoutePolicy, Target};
use polysight_layers::{RetryBudget, Stack};
use polysight_wire::{BaseUrl, ProviderOptions, Transport};
use ring::digest::{SHA256, digest};
use toml::{Table, Value};

use crate::config::{
    Config, Place, ProviderConfig, ProviderEntry, RoleEntry, expand_table, told, unknown, without_looked_up,
};
use crate::fields::fields_of;
use crate::layering::Cast;
use crate::{Registry, RoleProvider};

type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Providers and roles of one config file.
///
/// The file is checked as a whole when it is read: unknown keys, wrong types and roles of no provider are errors.
/// Keys are looked up when a provider is first used, so that a file may name vendors that this machine has no key for.
///
/// ```no_run
/// use polysight::{Image, Polysight, VisionProviderExt};
///
/// # async fn run() -> polysight::Result<()> {
/// let sight = Polysight::from_file("polysight.toml")?;
/// let eye = sight.role("default")?;
/// let answer = eye.ask("What is in this picture?", [Image::from_file("cat.jpg")?]).await?;
/// println!("{}", answer.text);
/// # Ok(())
/// # }
/// ```
pub struct Polysight {
    config: Config,
    registry: Registry,
    lookup: Lookup,
    providers: Mutex<HashMap<String, Arc<dyn VisionProvider>>>,
    /// Roles without the layers that only whoever is asked for has.
    played: Mutex<HashMap<String, Arc<dyn VisionProvider>>>,
    roles: Mutex<HashMap<String, RoleProvider>>,
    /// What the retries of all roles of a provider are paid from: its bad hour is one for all of them.
    budgets: Mutex<HashMap<String, RetryBudget>>,
    store: Mutex<Option<Arc<dyn QuotaStore>>>,
    transports: Mutex<HashMap<Connecting, Transport>>,
}

/// What providers that share connections must have alike: connect limit and proxy.
type Connecting = (Duration, Option<String>);

impl Polysight {
    /// Reads a config file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the file cannot be read or anything in it is wrong; the message names file and key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_file_with(path, Registry::new())
    }

    /// Reads a config file that may name vendors of the program's own.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn from_file_with(path: impl AsRef<Path>, registry: Registry) -> Result<Self> {
        let place = Place::of(path.as_ref());
        let text = std::fs::read_to_string(path.as_ref())
            .map_err(|error| place.error("", format!("it cannot be read: {error}")).with_source(error))?;
        Self::read(&text, place, registry)
    }

    /// Reads a config from a text; relative paths in it start at the current folder.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::from_toml_with(text, Registry::new())
    }

    /// Reads a config from a text that may name vendors of the program's own.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn from_toml_with(text: &str, registry: Registry) -> Result<Self> {
        Self::read(text, Place { name: "config".to_owned(), folder: PathBuf::new() }, registry)
    }

    fn read(text: &str, place: Place, registry: Registry) -> Result<Self> {
        let config = Config::read(text, place, &registry.extra_keys(), |id| registry.keys(id))?;
        for (name, entry) in &config.providers {
            if registry.keys(&entry.backend).is_none() {
                let path = format!("providers.{name}.backend");
                return Err(config.place.error(&path, registry.missing(&entry.backend)));
            }
        }
        let lookup: Lookup = Arc::new(|name| std::env::var(name).ok());
        Ok(Self {
            config,
            registry,
            lookup,
            providers: Mutex::default(),
            played: Mutex::default(),
            roles: Mutex::default(),
            budgets: Mutex::default(),
            store: Mutex::default(),
            transports: Mutex::default(),
        })
    }

    /// Looks `${NAME}` up elsewhere than in the environment.
    #[must_use]
    pub fn with_variables(mut self, lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.lookup = Arc::new(lookup);
        self
    }

    /// Names of the roles, in alphabetical order.
    pub fn role_names(&self) -> impl Iterator<Item = &str> {
        self.config.roles.iter().map(|(name, _)| name.as_str())
    }

    /// Names of the providers, in alphabetical order.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.config.providers.keys().map(String::as_str)
    }

    /// The role of this name, ready to answer, behind its layers. It is made once: whoever asks for it shares what its
    /// layers have learnt.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown role, and as [`provider`](Self::provider).
    pub fn role(&self, name: &str) -> Result<RoleProvider> {
        if let Some(role) = lock(&self.roles).get(name) {
            return Ok(role.clone());
        }
        let entry = self.config.role(name)?;
        let stack = Stack::new(self.played(name, entry)?);
        #[cfg(feature = "cache")]
        let stack = stack.with_cache(entry.layers.cache.clone());
        #[cfg(feature = "trace")]
        let stack = match &entry.layers.trace {
            Some(policy) => stack.with_trace(policy.clone(), Some(name.to_owned())),
            None => stack,
        };
        let role = RoleProvider::new(name, stack.build()?, entry.defaults.clone());
        Ok(lock(&self.roles).entry(name.to_owned()).or_insert(role).clone())
    }

    /// Who plays a role, with its own layers.
    fn played(&self, name: &str, entry: &RoleEntry) -> Result<Arc<dyn VisionProvider>> {
        if let Some(played) = lock(&self.played).get(name) {
            return Ok(Arc::clone(played));
        }
        let layers = &entry.layers;
        let stack = match &entry.cast {
            Cast::Provider(provider) => {
                let budget = lock(&self.budgets).entry(provider.clone()).or_default().clone();
                Stack::new(self.provider(provider)?).with_retry_budget(budget)
            }
            Cast::Roles { roles, route } => Stack::new(self.route(name, roles, route)?),
        };
        let stack = stack
            .with_retry(layers.retry.clone())
            .with_hedge(layers.hedge.clone())
            .with_deadline(layers.deadline.clone());
        #[cfg(feature = "trace")]
        let stack = match entry.cast {
            Cast::Provider(_) => stack.with_attempt_trace(layers.trace.clone()),
            Cast::Roles { .. } => stack,
        };
        let played = stack.build()?;
        Ok(Arc::clone(lock(&self.played).entry(name.to_owned()).or_insert(played)))
    }

    fn route(
        &self,
        name: &str,
        roles: &[(String, f64)],
        policy: &RoutePolicy,
    ) -> Result<Arc<dyn VisionProvider>> {
        let targets = roles.iter().map(|(role, weight)| {
            let entry = self.config.role(role)?;
            let played = RoleProvider::new(role, self.played(role, entry)?, entry.defaults.clone());
            Ok(Target::new(Arc::new(played)).with_name(role).with_weight(*weight))
        });
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let placed = |error: Error| self.config.place.error(&format!("roles.{name}"), error.message());
        Ok(Arc::new(Route::new(name, targets, policy.clone()).map_err(placed)?))
    }

    /// Holds one request against every role that is ready to answer, sending nothing: who would take it, with which
    /// changes, at what cost.
    ///
    /// # Errors
    /// As [`role`](Self::role), for the first role that cannot be made ready.
    pub fn compare_plans(&self, request: &ChatRequest) -> Result<PlanComparison> {
        let names: Vec<&str> = self.role_names().collect();
        let roles = names.iter().map(|name| self.role(name)).collect::<Result<Vec<_>>>()?;
        Ok(compare_plans(request, names.into_iter().zip(&roles)))
    }

    /// The provider of this name. It is made once, and all providers of the same proxy and connect limit share
    /// connections.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown provider, a missing environment variable or key file, a malformed key or
    /// URL, and whatever the vendor finds wrong with its settings.
    pub fn provider(&self, name: &str) -> Result<Arc<dyn VisionProvider>> {
        let mut made = lock(&self.providers);
        if let Some(provider) = made.get(name) {
            return Ok(Arc::clone(provider));
        }
        let Some(entry) = self.config.providers.get(name) else {
            let known: Vec<&str> = self.provider_names().collect();
            return Err(self.config.place.error("providers", unknown("provider", name, &known)));
        };
        let provider = self.build(name, entry)?;
        made.insert(name.to_owned(), Arc::clone(&provider));
        Ok(provider)
    }

    fn build(&self, name: &str, entry: &ProviderEntry) -> Result<Arc<dyn VisionProvider>> {
        let place = &self.config.place;
        let path = format!("providers.{name}");
        let mut value = Value::Table(entry.table.clone());
        expand_table(place, &path, &mut value, &*self.lookup)?;
        let Value::Table(table) = value else { return Err(place.error(&path, "a table is wanted")) };
        let (common, own) = split(table);
        let common: ProviderConfig = common
            .try_into()
            .map_err(|error| place.error(&path, without_looked_up(&told(&error), &entry.table)))?;
        let placed = |error: Error| {
            let message =
                format!("{}: {path}: {}", place.name, without_looked_up(error.message(), &entry.table));
            Error::new(ErrorKind::Config, message)
        };
        let options = self.options(name, &common).map_err(placed)?;
        let behind_quota = |key: Option<ApiKey>| {
            let account = key.as_ref().map(fingerprint).unwrap_or_default();
            let deployment = deployment(&common, &own, options.base_url.as_ref(), key.is_some());
            let mut options = options.clone();
            options.api_key = key;
            let provider = self.registry.build(&common.backend, options, own.clone())?;
            let stack = Stack::new(provider)
                .with_pace(entry.layers.pace.clone())
                .with_quota(entry.layers.quota.clone())
                .with_account(deployment, account);
            match entry.layers.quota {
                Some(_) => stack.with_quota_store(self.store()?).build(),
                None => stack.build(),
            }
        };
        let keys = self.keys(&common).map_err(placed)?;
        let providers = keys.into_iter().map(behind_quota).collect::<Result<Vec<_>>>().map_err(placed)?;
        match <[_; 1]>::try_from(providers) {
            Ok([only]) => Ok(only),
            Err(several) => {
                Ok(Arc::new(KeyPool::new(several, entry.layers.key_pool.clone()).map_err(placed)?))
            }
        }
    }

    /// Where quotas are counted: as the file says, else in this process, for all providers together.
    fn store(&self) -> Result<Arc<dyn QuotaStore>> {
        let mut made = lock(&self.store);
        if let Some(store) = &*made {
            return Ok(Arc::clone(store));
        }
        let store: Arc<dyn QuotaStore> = match &self.config.quota_store {
            None => Arc::new(LocalStore::new()),
            Some(table) => crate::layering::quota_store(&self.config.place, table.clone(), &*self.lookup)?,
        };
        Ok(Arc::clone(made.insert(store)))
    }

    fn options(&self, name: &str, common: &ProviderConfig) -> Result<ProviderOptions> {
        let mut options = ProviderOptions::new(name).with_models(common.models.clone());
        options.base_url = common.base_url.as_deref().map(str::parse).transpose()?;
        options.deployment.clone_from(&common.deployment);
        options.model.clone_from(&common.model);
        Ok(options.with_transport(self.transport(common)?))
    }

    /// A transport with a provider's own headers and limits, over connections that are made once.
    fn transport(&self, common: &ProviderConfig) -> Result<Transport> {
        let limits = common.limits()?;
        let connecting = (limits.connect, common.proxy.clone());
        let headers = common.headers.iter();
        let transport = headers.fold(Transport::builder().limits(limits), |transport, (name, value)| {
            transport.header(name, value)
        });
        let mut made = lock(&self.transports);
        if let Some(other) = made.get(&connecting) {
            return transport.sharing(other).build();
        }
        let transport = match &common.proxy {
            Some(proxy) => transport.proxy(proxy).build()?,
            None => transport.build()?,
        };
        made.insert(connecting, transport.clone());
        Ok(transport)
    }

    /// The keys: one, several, or none at all.
    fn keys(&self, common: &ProviderConfig) -> Result<Vec<Option<ApiKey>>> {
        match (&common.api_key, &common.api_key_file, &common.api_keys) {
            (None, None, None) => Ok(vec![None]),
            (Some(key), None, None) => Ok(vec![Some(ApiKey::new(key)?)]),
            (None, Some(file), None) => Ok(vec![Some(self.key_in(file)?)]),
            (None, None, Some(keys)) if keys.is_empty() => {
                Err(Error::new(ErrorKind::Config, "api_keys is empty: name at least one key"))
            }
            (None, None, Some(keys)) => keys.iter().map(|key| ApiKey::new(key).map(Some)).collect(),
            _ => {
                let message = "api_key, api_key_file and api_keys exclude each other: keep one";
                Err(Error::new(ErrorKind::Config, message))
            }
        }
    }

    fn key_in(&self, file: &Path) -> Result<ApiKey> {
        let path = self.config.place.folder.join(file);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("api_key_file {} cannot be read: {error}", path.display());
            Error::new(ErrorKind::Config, message).with_source(error)
        })?;
        ApiKey::new(text)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a key is called where it must not be shown: the beginning of its digest, the same in every process.
fn fingerprint(key: &ApiKey) -> String {
    let sum = digest(&SHA256, key.expose().as_bytes());
    sum.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// What is counted together besides the key: where the models are served, not by which protocol, which is what the path
/// of a URL tells. Without a key a path may lead to a server of its own.
fn deployment(common: &ProviderConfig, own: &Table, base_url: Option<&BaseUrl>, keyed: bool) -> String {
    let place = match (base_url, own.get("region").and_then(Value::as_str)) {
        (Some(url), _) if keyed => url.as_url().origin().ascii_serialization(),
        (Some(url), _) => url.to_string(),
        (None, region) => region.unwrap_or("default").to_owned(),
    };
    let deployment = common.deployment.as_deref().unwrap_or("vendor");
    format!("{} {deployment} {place}", common.backend)
}

/// Parts the keys that all vendors share from a vendor's own.
fn split(table: Table) -> (Table, Table) {
    let shared = fields_of::<ProviderConfig>();
    table.into_iter().partition(|(key, _)| shared.contains(&key.as_str()))
}

impl fmt::Debug for Polysight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polysight")
            .field("file", &self.config.place.name)
            .field("providers", &self.provider_names().collect::<Vec<_>>())
            .field("roles", &self.role_names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_is_counted_together_under_whatever_name_and_path() {
        let place = |lines: &str, keyed| {
            let table: Table = toml::from_str(&format!("backend = \"b\"\n{lines}")).unwrap();
            let (common, own) = split(table);
            let common: ProviderConfig = common.try_into().unwrap();
            let url = common.base_url.as_deref().map(|url| url.parse().unwrap());
            deployment(&common, &own, url.as_ref(), keyed)
        };
        let native = place("base_url = \"https://H.example/api/v1/\"", true);
        assert_eq!(native, place("base_url = \"https://h.example:443/compatible-mode/v1\"", true));
        assert_ne!(native, place("base_url = \"https://other.example/api/v1\"", true));
        assert_ne!(place("region = \"a\"", true), place("region = \"b\"", true));
        assert_ne!(
            place("base_url = \"http://h:8000/one\"", false),
            place("base_url = \"http://h:8000/two\"", false),
            "servers without keys"
        );
        let key = |text: &str| fingerprint(&ApiKey::new(text).unwrap());
        assert_eq!(key("one"), key("one"));
        assert_ne!(key("one"), key("two"));
    }

    #[test]
    fn a_variables_value_is_shown_in_no_complaint_about_it() {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Region {
            North,
        }
        #[derive(serde::Deserialize)]
        struct Settings {
            #[allow(dead_code, reason = "only its type matters")]
            region: Region,
        }
        let registry = Registry::new().with_backend("acme", |options, settings: Settings| {
            let Region::North = settings.region;
            Err(Error::new(ErrorKind::Unsupported, options.name))
        });
        let text = "[providers.p]\nbackend = \"acme\"\nregion = \"${REGION}\"";
        let sight = Polysight::from_toml_with(text, registry).unwrap();
        let sight = sight.with_variables(|_| Some("canary".to_owned()));
        let told = sight.provider("p").unwrap_err().to_string();
        assert!(told.contains("providers.p: unknown variant, expected `north`"), "{told}");
        let told = without_looked_up(
            "unknown variant `norht`, expected `north`",
            &text.replace("${REGION}", "norht").parse::<Table>().unwrap(),
        );
        assert_eq!(told, "unknown variant `norht`, expected `north`", "what the file shows");
    }
}
