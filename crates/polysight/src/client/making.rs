//! Roles, and what they stand on: each thing is made when it is first asked for, and once.

use std::collections::HashMap;
use std::sync::Arc;

use polysight_core::{ApiKey, Error, Result, VisionProvider};
use polysight_layers::budget::{BudgetStore, LocalBudgets};
use polysight_layers::rate_limit::{LocalStore, RateLimitStore};
use polysight_layers::{BudgetPolicy, KeyPool, Ledger, RetryBudget, Router, RouterPolicy, Stack, Target};
use polysight_wire::Transport;
use ring::digest::{SHA256, digest};

use super::{ALL_ROLES, Polysight};
use crate::Role;
use crate::config::{
    Connecting, Fault, ProviderConfig, ProviderEntry, RoleEntry, RoleTarget, Source, Stores, Texts,
    Variables, connect_store,
};

/// Roles that are made, each once for the ledgers around it.
const MAX_READY_ROLES: usize = 10_000;

/// The ledger of a role's own budget.
pub(super) fn ledger_name(role: &str) -> String {
    format!("roles.{role}")
}

/// What was made already, each thing once.
#[derive(Default)]
pub(super) struct Ready {
    providers: HashMap<String, Arc<dyn VisionProvider>>,
    /// By name and by the ledgers of the roles around it, which pay for its attempts too.
    roles: HashMap<(String, Vec<String>), ReadyRole>,
    /// By name: of all roles, and of each role with a budget.
    pub(super) ledgers: HashMap<String, Ledger>,
    /// What pays for the retries of all roles of a provider: an outage is one for all of them.
    budgets: HashMap<String, RetryBudget>,
    stores: Option<Stores>,
    /// Count in this process, where the file names no store.
    pub(super) local_limits: Arc<LocalStore>,
    pub(super) local_budgets: Arc<LocalBudgets>,
    /// What the pictures of all roles may take that are fitted at the same time.
    #[cfg(feature = "media")]
    fit_pool: polysight_media::fit::FitPool,
    /// By what transports that share connections must have alike.
    transports: HashMap<Connecting, Transport>,
}

/// A role in both its places.
#[derive(Clone)]
pub(super) struct ReadyRole {
    /// Asked for by the program.
    pub(super) role: Role,
    /// A target of other roles: without cache and trace, which belong to the role that the program asked for.
    target: Role,
}

impl Polysight {
    /// A role; `outer` are the names of the ledgers of the roles that fall back on it.
    pub(super) fn make_role(&self, ready: &mut Ready, name: &str, outer: &[String]) -> Result<ReadyRole> {
        let key = (name.to_owned(), outer.to_vec());
        if let Some(made) = ready.roles.get(&key) {
            return Ok(made.clone());
        }
        let entry = self.config.role(name)?;
        if ready.roles.len() >= MAX_READY_ROLES {
            let problem = "the budgets of roles that fall back on it, and of keys, combine in too many ways: give fewer of them one";
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

    pub(super) fn ledger_of(
        &self,
        ready: &mut Ready,
        name: &str,
        policy: Option<&BudgetPolicy>,
    ) -> Result<Ledger> {
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

    pub(super) fn make_provider(&self, ready: &mut Ready, name: &str) -> Result<Arc<dyn VisionProvider>> {
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
    pub(super) fn make_store(&self, ready: &mut Ready) -> Result<Arc<dyn RateLimitStore>, Fault> {
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
}
