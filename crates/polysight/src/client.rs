//! From a config file to roles that answer.

mod making;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use making::{Ready, ledger_name};
use polysight_core::{
    ChatRequest, Error, ErrorKind, Estimate, Observer, Observers, PlanComparison, Result, VisionProvider,
    compare_plans,
};
use polysight_layers::rate_limit::RateLimitStore;
use polysight_layers::{BudgetPolicy, Ledger};
use serde::de::DeserializeOwned;

use crate::config::{
    Config, Fault, Lookup, RoleTarget, Source, Variables, reached, read_table, wrong_currency,
};
use crate::{Registry, Role};

/// The ledger of all roles, by the name of its table.
const ALL_ROLES: &str = "budget";
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
    /// cache and routers of its own. Ledgers of one name are one.
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
