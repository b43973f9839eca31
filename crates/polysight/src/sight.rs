//! From a config file to roles that answer.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use polysight_core::{ApiKey, ChatRequest, Error, ErrorKind, Portability, Result, VisionProvider, plan_all};
use polysight_wire::{ProviderOptions, Transport};
use toml::{Table, Value};

use crate::config::{Config, Place, ProviderConfig, ProviderEntry, expand_table, type_error, unknown};
use crate::fields::fields_of;
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
        Ok(Self { config, registry, lookup, providers: Mutex::default(), transports: Mutex::default() })
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

    /// The role of this name, ready to answer.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown role, and as [`provider`](Self::provider).
    pub fn role(&self, name: &str) -> Result<RoleProvider> {
        let found = self.config.roles.iter().find(|(known, _)| known == name);
        let Some((_, entry)) = found else {
            let known: Vec<&str> = self.role_names().collect();
            return Err(self.config.place.error("roles", unknown("role", name, &known)));
        };
        Ok(RoleProvider::new(name, self.provider(&entry.provider)?, entry.defaults.clone()))
    }

    /// Holds one request against every role that is ready to answer, sending nothing: who would take it, with which
    /// changes, at what cost.
    ///
    /// # Errors
    /// As [`role`](Self::role), for the first role that cannot be made ready.
    pub fn plan_all(&self, request: &ChatRequest) -> Result<Portability> {
        let names: Vec<&str> = self.role_names().collect();
        let roles = names.iter().map(|name| self.role(name)).collect::<Result<Vec<_>>>()?;
        Ok(plan_all(request, names.into_iter().zip(&roles)))
    }

    /// The provider of this name. It is made once, and all providers of the same proxy and connect limit share
    /// connections.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown provider, a missing environment variable or key file, a malformed key or
    /// URL, and whatever the vendor finds wrong with its settings.
    pub fn provider(&self, name: &str) -> Result<Arc<dyn VisionProvider>> {
        let mut made = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
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
        let common: ProviderConfig = common.try_into().map_err(|error| type_error(place, &path, &error))?;
        let placed = |error: Error| {
            let message = format!("{}: {path}: {}", place.name, error.message());
            Error::new(ErrorKind::Config, message)
        };
        let options = self.options(name, &common).map_err(placed)?;
        self.registry.build(&common.backend, options, own).map_err(placed)
    }

    fn options(&self, name: &str, common: &ProviderConfig) -> Result<ProviderOptions> {
        let mut options = ProviderOptions::new(name).with_models(common.models.clone());
        options.api_key = self.key(common)?;
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
        let mut made = self.transports.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn key(&self, common: &ProviderConfig) -> Result<Option<ApiKey>> {
        match (&common.api_key, &common.api_key_file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(Error::new(ErrorKind::Config, "api_key and api_key_file exclude each other: keep one"))
            }
            (Some(key), None) => ApiKey::new(key).map(Some),
            (None, Some(file)) => {
                let path = self.config.place.folder.join(file);
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    let message = format!("api_key_file {} cannot be read: {error}", path.display());
                    Error::new(ErrorKind::Config, message).with_source(error)
                })?;
                ApiKey::new(text).map(Some)
            }
        }
    }
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
