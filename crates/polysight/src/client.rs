//! From a config file to roles that answer.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polysight_core::{
    ApiKey, ChatRequest, Error, ErrorKind, Estimate, Observer, Observers, PlanComparison, Result,
    VisionProvider, compare_plans,
};
use polysight_layers::budget::{BudgetStore, LocalBudgets};
use polysight_layers::rate_limit::{LocalStore, RateLimitStore};
use polysight_layers::{BudgetPolicy, KeyPool, Ledger, RetryBudget, Router, RouterPolicy, Stack, Target};
use polysight_wire::Transport;
use ring::digest::{SHA256, digest};
use serde::de::DeserializeOwned;

use crate::config::{
    Config, Connecting, Fault, Lookup, ProviderConfig, ProviderEntry, RoleEntry, RoleTarget, Source, Stores,
    Texts, Variables, connect_store, reached, read_table, wrong_currency,
};
use crate::{Registry, Role};

/// The ledger of all roles, by the name of its table.
const ALL_ROLES: &str = "budget";
/// Roles that are made, each once for the ledgers around it.
const MAX_READY_ROLES: usize = 10_000;

fn ledger_name(role: &str) -> String {
    format!("roles.{role}")
}

/// Providers and roles of one config file.
///
/// The whole file is checked when it is read: syntax, keys, types, names, URLs, regions, deployments and layers, of every
/// table, whether or not it is used. Every fault is an item of the error's [`violations`](crate::Error::violations).
/// Environment variables and key files are looked up when a provider is first used, so that a file may name vendors that
/// this machine has no key for.
///
/// ```no_run
/// use polysight::{Image, Polysight, VisionProviderExt};
///
/// # async fn run() -> polysight::Result<()> {
/// let polysight = Polysight::from_file("polysight.toml")?;
/// let role = polysight.role("default")?;
/// let answer = role.ask("What is in this picture?", [Image::from_file("cat.jpg")?]).await?;
/// println!("{}", answer.text);
/// # Ok(())
/// # }
/// ```
pub struct Polysight {
    config: Config,
    lookup: Lookup,
    observers: Observers,
    ready: Mutex<Ready>,
}

/// What was made already, each thing once.
#[derive(Default)]
struct Ready {
    providers: HashMap<String, Arc<dyn VisionProvider>>,
    /// By name and by the ledgers of the roles around it, which pay for its attempts too.
    roles: HashMap<(String, Vec<String>), ReadyRole>,
    /// By name: of all roles, and of each role with a budget.
    ledgers: HashMap<String, Ledger>,
    /// What pays for the retries of all roles of a provider: an outage is one for all of them.
    budgets: HashMap<String, RetryBudget>,
    stores: Option<Stores>,
    /// Count in this process, where the file names no store.
    local_limits: Arc<LocalStore>,
    local_budgets: Arc<LocalBudgets>,
    /// What the pictures of all roles may take that are fitted at once.
    #[cfg(feature = "media")]
    fit_pool: polysight_media::fit::FitPool,
    /// By what transports that share connections must have alike.
    transports: HashMap<Connecting, Transport>,
}

/// A role in both its places.
#[derive(Clone)]
struct ReadyRole {
    /// Asked for by the program.
    role: Role,
    /// A target of other roles: without cache and trace, which belong to the role that the program asked for.
    target: Role,
}

impl Polysight {
    /// Reads a config file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when the file cannot be read or anything in it is wrong, with every
    /// fault as one of its [`violations`](crate::Error::violations): file, line, key, and what is allowed.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_file_with(path, Registry::new())
    }

    /// Reads a config file that may name vendors of the program's own.
    ///
    /// # Errors
    /// As [`from_file`](Self::from_file).
    pub fn from_file_with(path: impl AsRef<Path>, registry: Registry) -> Result<Self> {
        let source = Source::file(path.as_ref());
        let text = std::fs::read_to_string(path.as_ref()).map_err(|error| source.unreadable(error))?;
        Self::read(&text, source, &registry)
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
        Self::read(text, Source::text(), &registry)
    }

    /// Reads one table of a config text for a program that keeps its settings in the same file, such as `[gateway]`;
    /// `${NAME}` is looked up in the environment. `None` where the text has no such table.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) with every fault of the table, as [`from_file`](Self::from_file): unknown
    /// keys, wrong types, variables that are not set.
    pub fn read_table<T: DeserializeOwned>(text: &str, name: &str) -> Result<Option<T>> {
        let lookup: Lookup = Arc::new(|name| std::env::var(name).ok());
        read_table(text, name, &Variables::new(&lookup))
    }

    fn read(text: &str, source: Source, registry: &Registry) -> Result<Self> {
        let config = Config::read(text, source, &registry.backends)?;
        let lookup: Lookup = Arc::new(|name| std::env::var(name).ok());
        Ok(Self { config, lookup, observers: Observers::new(), ready: Mutex::default() })
    }

    /// Looks `${NAME}` up elsewhere than in the environment.
    #[must_use]
    pub fn with_variables(mut self, lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.lookup = Arc::new(lookup);
        self
    }

    /// Goes on with what another config of this process has counted in memory, such as the one that this one replaces: its rate
    /// limits, and what was spent of budgets that have the same name, currency and period. Call it before roles are made.
    #[must_use]
    pub fn continuing(self, before: &Self) -> Self {
        let (limits, budgets) = {
            let before = before.ready();
            (Arc::clone(&before.local_limits), Arc::clone(&before.local_budgets))
        };
        let mut ready = self.ready();
        (ready.local_limits, ready.local_budgets) = (limits, budgets);
        drop(ready);
        self
    }

    /// Shows what happens to the calls of all roles to an [`Observer`], such as a closure: give it before roles are made.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observers = self.observers.with(Arc::new(observer));
        self
    }

    /// What is not wrong, but worth knowing: roles whose model the vendor's catalogue does not know. Their requests are sent
    /// without limits of the model.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.config.notes
    }

    /// Names of the roles, in alphabetical order.
    pub fn role_names(&self) -> impl Iterator<Item = &str> {
        self.config.roles.keys().map(String::as_str)
    }

    /// Names of the providers, in alphabetical order.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.config.providers.keys().map(String::as_str)
    }

    /// The role of this name, ready to answer, with its layers. It is made once: all who ask for it share what its layers
    /// have learned.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an unknown role, and as [`provider`](Self::provider).
    pub fn role(&self, name: &str) -> Result<Role> {
        Ok(self.make_role(&mut self.ready(), name, &[])?.role)
    }

    /// The same role, each attempt of which is paid from this ledger too, such as that of one user: it has the name's layers, but a
    /// cache and routers of its own. Ledgers are told apart by their names.
    ///
    /// # Errors
    /// As [`role`](Self::role).
    pub fn role_paid_from(&self, name: &str, ledger: &Ledger) -> Result<Role> {
        let ready = &mut self.ready();
        let paying = ledger.name().to_owned();
        ready.ledgers.entry(paying.clone()).or_insert_with(|| ledger.clone());
        Ok(self.make_role(ready, name, &[paying])?.role)
    }

    /// A ledger with a budget of the program's own, made once for each name. It is counted where the file's budgets are.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) as [`BudgetPolicy::check`], and as [`ledger`](Self::ledger).
    pub fn make_ledger(&self, name: &str, budget: &BudgetPolicy) -> Result<Ledger> {
        self.ledger_of(&mut self.ready(), name, Some(budget))
    }

    /// Checks that a budget of the program's own can count the prices of these roles, and of those that they fall back on, as far as
    /// the catalogues know them. Unknown roles are passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) that names the first role whose price has another currency, and no rate.
    pub fn check_currency<'a>(
        &'a self,
        budget: &BudgetPolicy,
        roles: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let (providers, all) = (&self.config.providers, &self.config.roles);
        let spenders = roles.into_iter().flat_map(|name| reached(all, name));
        match wrong_currency(providers, all, budget, spenders) {
            Some(problem) => Err(Error::new(ErrorKind::Config, problem)),
            None => Ok(()),
        }
    }

    /// What the calls of all roles cost, by role, model and day, with the file's `budget` where it has one. Written down is every
    /// attempt, under the role that sent it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a missing variable of the shared store.
    pub fn ledger(&self) -> Result<Ledger> {
        self.ledger_of(&mut self.ready(), ALL_ROLES, self.config.budget.as_ref())
    }

    /// The ledger of a role's own budget, of which the roles that it falls back on spend too; `None` where it has no budget.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an unknown role, and as [`ledger`](Self::ledger).
    pub fn role_ledger(&self, name: &str) -> Result<Option<Ledger>> {
        let Some(policy) = &self.config.role(name)?.layers.budget else { return Ok(None) };
        self.ledger_of(&mut self.ready(), &ledger_name(name), Some(policy)).map(Some)
    }

    /// The provider of this name. It is made once, and all providers that connect alike (proxy, protocol, certificates,
    /// connect limit) share connections.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for an unknown provider, a missing environment variable or key file,
    /// a missing or malformed key, and what is wrong with the value of a variable. No such value is shown.
    pub fn provider(&self, name: &str) -> Result<Arc<dyn VisionProvider>> {
        self.make_provider(&mut self.ready(), name)
    }

    /// Plans one request for every role, sending nothing: which would take it, with which changes, at what cost.
    ///
    /// # Errors
    /// As [`role`](Self::role), for the first role that cannot be made.
    pub fn compare_plans(&self, request: &ChatRequest) -> Result<PlanComparison> {
        let names: Vec<&str> = self.role_names().collect();
        let roles = names.iter().map(|name| self.role(name)).collect::<Result<Vec<_>>>()?;
        Ok(compare_plans(request, names.into_iter().zip(&roles)))
    }

    /// What a call to a role will take, whichever target of its `fallback` answers: bounds that hold for all that take the
    /// request, each of which plans it once. They are those of one attempt: what failed attempts are billed comes on top.
    ///
    /// # Errors
    /// As [`role`](Self::role); where no target takes the request, the refusal of the first.
    pub fn estimate(&self, role: &str, request: &ChatRequest) -> Result<Estimate> {
        let (mut next, mut seen) = (vec![(role, request.clone())], BTreeSet::new());
        let (mut covering, mut refusal): (Option<Estimate>, _) = (None, None);
        while let Some((name, request)) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            let role = self.role(name)?;
            if let RoleTarget::Roles { roles, .. } = &self.config.role(name)?.target {
                let request = role.complete(request);
                next.extend(roles.iter().rev().map(|(target, _)| (target.as_str(), request.clone())));
                continue;
            }
            match role.plan(&request) {
                Ok(plan) => {
                    let both = covering.map(|covering| covering.covering(&plan.estimate));
                    covering = Some(both.unwrap_or(plan.estimate));
                }
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        let none = || self.config.error(Fault::new(format!("roles.{role}"), "it has no target"));
        covering.ok_or_else(|| refusal.unwrap_or_else(none))
    }

    /// Where rate limits are counted: in the file's `rate_limit_store`, which several processes may share, else in this process.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) for a missing environment variable, and an address that is none.
    pub fn rate_limit_store(&self) -> Result<Arc<dyn RateLimitStore>> {
        self.make_store(&mut self.ready()).map_err(|fault| self.config.error(fault))
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A role; `outer` are the names of the ledgers of the roles that fall back on it.
    fn make_role(&self, ready: &mut Ready, name: &str, outer: &[String]) -> Result<ReadyRole> {
        let key = (name.to_owned(), outer.to_vec());
        if let Some(made) = ready.roles.get(&key) {
            return Ok(made.clone());
        }
        let entry = self.config.role(name)?;
        if ready.roles.len() >= MAX_READY_ROLES {
            let problem =
                "the budgets of roles that fall back on it combine in too many ways: give fewer of them one";
            return Err(self.config.error(Fault::new(format!("roles.{name}"), problem)));
        }
        let role = |provider| Role::new(name, provider, entry.defaults.clone());
        let ledgers = self.ledgers_of(ready, name, entry, outer)?;
        let target = self.make_target(ready, name, entry, &ledgers)?;
        let outer = Stack {
            #[cfg(feature = "cache")]
            cache: entry.layers.cache.clone(),
            #[cfg(feature = "trace")]
            trace: entry.layers.trace.clone(),
            role: Some(name.to_owned()),
            observers: Some(self.observers.clone()),
            ..Stack::default()
        };
        let made = ReadyRole { role: role(outer.build(Arc::clone(&target))?), target: role(target) };
        ready.roles.insert(key, made.clone());
        Ok(made)
    }

    /// The names of the ledgers that pay for a role's attempts, besides that of all roles.
    fn ledgers_of(
        &self,
        ready: &mut Ready,
        name: &str,
        entry: &RoleEntry,
        outer: &[String],
    ) -> Result<Vec<String>> {
        let mut names = outer.to_vec();
        if let Some(policy) = &entry.layers.budget {
            let own = ledger_name(name);
            self.ledger_of(ready, &own, Some(policy))?;
            names.push(own);
            names.sort_unstable();
            names.dedup();
        }
        Ok(names)
    }

    fn ledger_of(&self, ready: &mut Ready, name: &str, policy: Option<&BudgetPolicy>) -> Result<Ledger> {
        if let Some(made) = ready.ledgers.get(name) {
            return Ok(made.clone());
        }
        let ledger = match policy {
            None => Ledger::counting(name),
            Some(policy) => {
                let store = self.make_budget_store(ready).map_err(|fault| self.config.error(fault))?;
                Ledger::new(name, policy.clone())?.with_store(store)
            }
        };
        ready.ledgers.insert(name.to_owned(), ledger.clone());
        Ok(ledger)
    }

    /// What a role maps to, with the layers that it has everywhere.
    fn make_target(
        &self,
        ready: &mut Ready,
        name: &str,
        entry: &RoleEntry,
        ledgers: &[String],
    ) -> Result<Arc<dyn VisionProvider>> {
        let target = match &entry.target {
            RoleTarget::Provider { name: provider, .. } => {
                let mut paying = vec![self.ledger_of(ready, ALL_ROLES, self.config.budget.as_ref())?];
                paying.extend(ledgers.iter().filter_map(|name| ready.ledgers.get(name)).cloned());
                let stack = Stack {
                    ledgers: paying,
                    role: Some(name.to_owned()),
                    retry: entry.layers.retry(),
                    retry_budget: Some(ready.budgets.entry(provider.clone()).or_default().clone()),
                    #[cfg(feature = "trace")]
                    attempt_trace: entry.layers.trace.clone(),
                    ..Stack::default()
                };
                let retrying = stack.build(self.make_provider(ready, provider)?)?;
                #[cfg(feature = "media")]
                let retrying = entry.layers.preparing(entry.layers.fitting(retrying, &ready.fit_pool)?)?;
                retrying
            }
            RoleTarget::Roles { roles, router, .. } => {
                self.make_router(ready, name, roles, router, ledgers)?
            }
        };
        Stack { deadline: entry.layers.deadline.clone(), ..Stack::default() }.build(target)
    }

    fn make_router(
        &self,
        ready: &mut Ready,
        name: &str,
        roles: &[(String, f64)],
        policy: &RouterPolicy,
        ledgers: &[String],
    ) -> Result<Arc<dyn VisionProvider>> {
        let targets = roles.iter().map(|(role, weight)| {
            let target = self.make_role(ready, role, ledgers)?.target;
            Ok(Target::new(Arc::new(target)).with_name(role.as_str()).with_weight(*weight))
        });
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let router = Router::new(name, targets, policy.clone());
        let path = || format!("roles.{name}.fallback");
        Ok(Arc::new(router.map_err(|error| self.config.error(Fault::new(path(), error.message())))?))
    }

    fn make_provider(&self, ready: &mut Ready, name: &str) -> Result<Arc<dyn VisionProvider>> {
        if let Some(made) = ready.providers.get(name) {
            return Ok(Arc::clone(made));
        }
        let entry = self.config.provider(name)?;
        let variables = Variables::new(&self.lookup);
        let made = self.build(ready, name, entry, &variables);
        let made = made.map_err(|fault| self.config.error(fault.without_values(&variables)))?;
        ready.providers.insert(name.to_owned(), Arc::clone(&made));
        Ok(made)
    }

    fn build(
        &self,
        ready: &mut Ready,
        name: &str,
        entry: &ProviderEntry,
        variables: &Variables<'_>,
    ) -> Result<Arc<dyn VisionProvider>, Fault> {
        let path = &*format!("providers.{name}");
        let fault = |error: Error| Fault::new(path, error.message());
        let config = entry.config(path, variables)?;
        let options = config
            .options(name)
            .map_err(fault)?
            .with_transport(make_transport(ready, &config, &self.config.source, variables).map_err(fault)?);
        let limited = |key: Option<ApiKey>| {
            let account = key.as_ref().map(fingerprint).unwrap_or_default();
            let mut options = options.clone();
            options.api_key = key;
            let provider = entry.backend.build(options, entry.own(), path, Texts::LookedUp(variables))?;
            let store = match &entry.layers.rate_limit {
                Some(_) => Some(self.make_store(ready)?),
                None => None,
            };
            let stack = Stack {
                rate_limit: entry.layers.rate_limit.clone(),
                rate_limit_store: store,
                account,
                ..Stack::default()
            };
            stack.build(provider).map_err(fault)
        };
        let keys = self.keys(&config).map_err(fault)?;
        let providers = keys.into_iter().map(limited).collect::<Result<Vec<_>, Fault>>()?;
        match <[_; 1]>::try_from(providers) {
            Ok([only]) => Ok(only),
            Err(several) => {
                let policy = entry.layers.key_pool.clone().unwrap_or_default();
                Ok(Arc::new(KeyPool::new(several, policy).map_err(fault)?))
            }
        }
    }

    /// Where rate limits are counted: as the file says, else in this process, for all providers together.
    fn make_store(&self, ready: &mut Ready) -> Result<Arc<dyn RateLimitStore>, Fault> {
        if let Some((shared, _)) = self.shared_stores(ready)? {
            return Ok(shared);
        }
        Ok(Arc::<LocalStore>::clone(&ready.local_limits))
    }

    /// Where budgets are counted: as the file says, else in this process.
    fn make_budget_store(&self, ready: &mut Ready) -> Result<Arc<dyn BudgetStore>, Fault> {
        if let Some((_, shared)) = self.shared_stores(ready)? {
            return Ok(shared);
        }
        Ok(Arc::<LocalBudgets>::clone(&ready.local_budgets))
    }

    /// The store that the file names, connected to once.
    fn shared_stores(&self, ready: &mut Ready) -> Result<Option<Stores>, Fault> {
        let Some(table) = &self.config.rate_limit_store else { return Ok(None) };
        if ready.stores.is_none() {
            let variables = Variables::new(&self.lookup);
            ready.stores =
                Some(connect_store(table, &variables).map_err(|fault| fault.without_values(&variables))?);
        }
        Ok(ready.stores.clone())
    }

    /// The keys: one, several, or none at all.
    fn keys(&self, config: &ProviderConfig) -> Result<Vec<Option<ApiKey>>> {
        let one = match (&config.api_key, &config.api_key_file) {
            (Some(key), _) => Some(ApiKey::new(key)?),
            (None, Some(file)) => {
                let home = (self.lookup)("HOME").or_else(|| (self.lookup)("USERPROFILE"));
                Some(self.config.source.key_in(file, home.as_deref())?)
            }
            (None, None) => None,
        };
        match &config.api_keys {
            None => Ok(vec![one]),
            Some(keys) => keys.iter().map(|key| ApiKey::new(key).map(Some)).collect(),
        }
    }
}

/// A transport with a provider's own headers and limits, over connections that are made once.
fn make_transport(
    ready: &mut Ready,
    config: &ProviderConfig,
    source: &Source,
    variables: &Variables<'_>,
) -> Result<Transport> {
    let (connecting, transport) = (config.connecting(), config.transport(variables.secrets()));
    if let Some(other) = ready.transports.get(&connecting) {
        return transport.sharing(other).build();
    }
    let transport = connecting.apply(transport, source)?.build()?;
    ready.transports.insert(connecting, transport.clone());
    Ok(transport)
}

/// What a key is called where it must not be shown: the beginning of its digest, the same in every process.
fn fingerprint(key: &ApiKey) -> String {
    let sum = digest(&SHA256, key.expose().as_bytes());
    sum.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Polysight {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polysight")
            .field("file", &self.config.source.name)
            .field("providers", &self.provider_names().collect::<Vec<_>>())
            .field("roles", &self.role_names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_has_one_fingerprint() {
        let key = |text: &str| fingerprint(&ApiKey::new(text).unwrap());
        assert_eq!(key("one"), key("one"));
        assert_ne!(key("one"), key("two"));
        assert!(!key("one").contains("one"));
    }

    #[cfg(feature = "ernie")]
    #[test]
    fn one_account_has_one_endpoint_whatever_the_region_is_called() {
        let text = "[providers.a]\nbackend = \"ernie\"\napi_key = \"k\"\n\
             [providers.b]\nbackend = \"ernie\"\napi_key = \"k\"\nregion = \"mainland\"\n\
             [providers.c]\nbackend = \"ernie\"\napi_key = \"k\"\nregion = \"beijing\"\n\
             [providers.d]\nbackend = \"ernie\"\napi_key = \"k\"\nregion = \"international\"\n";
        let polysight = Polysight::from_toml(text).unwrap();
        let endpoint = |name| polysight.provider(name).unwrap().id().endpoint.to_string();
        assert_eq!(endpoint("a"), endpoint("b"));
        assert_eq!(endpoint("a"), endpoint("c"));
        assert_ne!(endpoint("a"), endpoint("d"));
    }

    #[cfg(feature = "zhipu")]
    #[test]
    fn what_is_made_shows_itself_in_one_line() {
        let text = "[providers.a]\nbackend = \"zhipu\"\napi_keys = [\"canary.1\", \"canary.2\"]\nrate_limit = true\n\
             [roles.one]\nmodel = \"glm-4.6v\"\n[roles.two]\nfallback = [\"one\"]\ndeadline = 9\n";
        let polysight = Polysight::from_toml(text).unwrap();
        let role = polysight.role("two").unwrap();
        let provider = polysight.provider("a").unwrap();
        for shown in [format!("{polysight:?}"), format!("{role:?}"), format!("{provider:?}")] {
            assert!(shown.len() < 300 && !shown.contains('\n') && !shown.contains("canary"), "{shown}");
        }
    }

    #[cfg(feature = "zhipu")]
    #[test]
    fn a_model_that_the_catalogue_does_not_know_is_a_note() {
        let text = "[providers.a]\nbackend = \"zhipu\"\napi_key = \"k.1\"\n[roles.one]\nmodel = \"glm-4.6w\"\n\
             [roles.two]\nmodel = \"glm-4.6v\"";
        let polysight = Polysight::from_toml(text).unwrap();
        let [note] = polysight.notes() else { panic!("{:?}", polysight.notes()) };
        assert!(
            note.starts_with("config:5: roles.one.model: ") && note.contains("did you mean `glm-4.6v"),
            "{note}"
        );
    }

    #[cfg(feature = "zhipu")]
    #[test]
    fn notes_are_of_every_way_to_name_a_model() {
        let notes = |provider: &str, role: &str| {
            let text = format!(
                "[providers.a]\nbackend = \"zhipu\"\napi_key = \"k.1\"\n{provider}\n[roles.one]\n{role}\n[roles.two]\n{role}"
            );
            Polysight::from_toml(&text).unwrap().notes().to_vec()
        };
        let default = notes("model = \"glm-4.6w\"", "");
        assert!(default.len() == 1 && default[0].contains("config:4: providers.a.model: "), "{default:?}");
        assert_eq!(notes("", "model = \"glm-4.6w\"").len(), 2);
        assert_eq!(notes("base_url = \"https://h.example/v1\"", "model = \"glm-4.6w\"").len(), 2);
        assert_eq!(notes("model = \"glm-4.6w\"", "model = \"GLM-4.6V\""), Vec::<String>::new());
        assert_eq!(notes("model = \"${MODEL}\"", ""), Vec::<String>::new());
        assert_eq!(
            notes("deployment = \"vllm\"\nbase_url = \"http://h.example\"", "model = \"glm-4.6w\""),
            Vec::<String>::new()
        );
        let far = notes("", "model = \"zzzz\"");
        assert!(far[0].ends_with("does not know `zzzz`: it is sent without limits"), "{far:?}");
    }

    #[cfg(feature = "openai")]
    #[test]
    fn a_server_of_the_chat_completions_shape_needs_a_base_url() {
        let error = Polysight::from_toml("[providers.a]\nbackend = \"openai\"").unwrap_err();
        assert!(error.to_string().contains("base_url"), "{error}");
    }
}
