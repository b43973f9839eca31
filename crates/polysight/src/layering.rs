//! The layers of providers and roles, as the config file gives them.

use std::sync::Arc;
use std::time::Duration;

use polysight_core::Result;
#[cfg(feature = "cache")]
use polysight_layers::CachePolicy;
#[cfg(feature = "trace")]
use polysight_layers::TracePolicy;
use polysight_layers::quota::{QuotaPolicy, QuotaStore};
#[cfg(feature = "redis")]
use polysight_layers::quota::{RedisSettings, RedisStore};
use polysight_layers::{DeadlinePolicy, HedgePolicy, PacePolicy, RetryPolicy, RoutePolicy};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::config::{Place, RoleEntry, check_keys, expand_table, type_error, unknown};
use crate::fields::fields_of;

/// Keys of a role that are about layers and about who plays it.
pub(crate) const ROLE_KEYS: &[&str] = &["cache", "deadline", "fallback", "hedge", "retry", "route", "trace"];

/// Keys of a provider that are about layers.
pub(crate) const PROVIDER_KEYS: &[&str] = &["pace", "quota"];

/// Stands for the policy of a layer whose cargo feature is off.
#[cfg(not(all(feature = "cache", feature = "trace")))]
#[derive(Debug, Clone)]
pub(crate) enum Missing {}

#[cfg(not(feature = "cache"))]
type CachePolicy = Missing;
#[cfg(not(feature = "trace"))]
type TracePolicy = Missing;

/// The layers of a role, below those that only whoever is asked for has.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoleLayers {
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) hedge: Option<HedgePolicy>,
    pub(crate) deadline: Option<DeadlinePolicy>,
    pub(crate) cache: Option<CachePolicy>,
    pub(crate) trace: Option<TracePolicy>,
}

/// Who plays a role.
#[derive(Debug, Clone)]
pub(crate) enum Cast {
    /// One provider.
    Provider(String),
    /// Other roles, chosen by a route.
    Roles { roles: Vec<(String, f64)>, route: RoutePolicy },
}

/// The layers of a provider, which all its roles share.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProviderLayers {
    pub(crate) quota: Option<QuotaPolicy>,
    pub(crate) pace: Option<PacePolicy>,
}

/// A table of the file out of which the keys of layers are taken.
pub(crate) struct Keys<'a> {
    pub(crate) place: &'a Place,
    pub(crate) path: &'a str,
    pub(crate) table: &'a mut Table,
}

impl Keys<'_> {
    /// Takes a provider's layers.
    pub(crate) fn provider(&mut self) -> Result<ProviderLayers> {
        Ok(ProviderLayers {
            quota: self.policy("quota", QuotaPolicy::check)?,
            pace: self.policy("pace", PacePolicy::check)?,
        })
    }

    /// Takes a role's layers.
    pub(crate) fn role(&mut self) -> Result<RoleLayers> {
        Ok(RoleLayers {
            retry: self.policy("retry", RetryPolicy::check)?,
            hedge: self.policy("hedge", HedgePolicy::check)?,
            deadline: self.deadline()?,
            #[cfg(feature = "cache")]
            cache: self.policy("cache", CachePolicy::check)?,
            #[cfg(not(feature = "cache"))]
            cache: self.missing("cache")?,
            #[cfg(feature = "trace")]
            trace: self.policy("trace", |_| Ok(()))?,
            #[cfg(not(feature = "trace"))]
            trace: self.missing("trace")?,
        })
    }

    /// Takes the roles on which this one falls back, and how one of them is chosen.
    pub(crate) fn fallback(&mut self) -> Result<Option<Cast>> {
        let path = format!("{}.fallback", self.path);
        let Some(value) = self.table.remove("fallback") else {
            return match self.table.contains_key("route") {
                true => Err(self
                    .place
                    .error(self.path, "`route` chooses among the roles of `fallback`: name some")),
                false => Ok(None),
            };
        };
        if let Some(key) = ["retry", "hedge"].into_iter().find(|key| self.table.contains_key(*key)) {
            let problem = format!("`{key}` belongs to the roles that are named in `fallback`");
            return Err(self.place.error(self.path, problem));
        }
        let wanted = || self.place.error(&path, "a list of roles is wanted, each a name or { role, weight }");
        let Value::Array(items) = value else { return Err(wanted()) };
        let roles: Vec<_> =
            items.into_iter().map(|item| named(item).ok_or_else(wanted)).collect::<Result<_>>()?;
        if roles.is_empty() {
            return Err(wanted());
        }
        let route = self.policy("route", RoutePolicy::check)?.unwrap_or_default();
        Ok(Some(Cast::Roles { roles, route }))
    }

    /// Takes the layer of this key: `true` stands for its defaults, `false` for none, a table for its settings.
    fn policy<P: DeserializeOwned + Default>(
        &mut self,
        key: &str,
        check: fn(&P) -> Result<()>,
    ) -> Result<Option<P>> {
        let path = format!("{}.{key}", self.path);
        let policy = match self.table.remove(key) {
            None | Some(Value::Boolean(false)) => return Ok(None),
            Some(Value::Boolean(true)) => P::default(),
            Some(Value::Table(table)) => {
                check_keys(self.place, &path, &table, fields_of::<P>(), &[])?;
                table.try_into().map_err(|error| type_error(self.place, &path, &error))?
            }
            Some(_) => return Err(self.place.error(&path, "true, false or a table of settings is wanted")),
        };
        check(&policy).map_err(|error| self.place.error(&path, error.message()))?;
        Ok(Some(policy))
    }

    fn deadline(&mut self) -> Result<Option<DeadlinePolicy>> {
        let seconds = match self.table.remove("deadline") {
            None | Some(Value::Boolean(false)) => return Ok(None),
            Some(Value::Integer(seconds)) => seconds as f64,
            Some(Value::Float(seconds)) => seconds,
            Some(_) => f64::NAN,
        };
        let total = Duration::try_from_secs_f64(seconds).ok().filter(|total| !total.is_zero());
        let path = format!("{}.deadline", self.path);
        let total = total.ok_or_else(|| self.place.error(&path, "a number of seconds above 0 is wanted"))?;
        Ok(Some(DeadlinePolicy::new(total)))
    }

    #[cfg(not(all(feature = "cache", feature = "trace")))]
    fn missing(&mut self, key: &str) -> Result<Option<Missing>> {
        match self.table.remove(key) {
            None | Some(Value::Boolean(false)) => Ok(None),
            Some(_) => {
                let problem =
                    format!("this layer is not compiled in: enable the cargo feature `{key}` of polysight");
                Err(self.place.error(&format!("{}.{key}", self.path), problem))
            }
        }
    }
}

/// A role of a `fallback`, and its weight.
fn named(item: Value) -> Option<(String, f64)> {
    match item {
        Value::String(role) => Some((role, 1.0)),
        Value::Table(mut table) => {
            let Some(Value::String(role)) = table.remove("role") else { return None };
            let weight = match table.remove("weight") {
                None => 1.0,
                Some(Value::Integer(weight)) => weight as f64,
                Some(Value::Float(weight)) => weight,
                Some(_) => return None,
            };
            table.is_empty().then_some((role, weight))
        }
        _ => None,
    }
}

/// Refuses fallbacks on roles that do not exist, and those that come back to where they began.
pub(crate) fn check_fallbacks(place: &Place, roles: &[(String, RoleEntry)]) -> Result<()> {
    for (name, _) in roles {
        follow(place, roles, &mut vec![name])?;
    }
    Ok(())
}

fn follow<'a>(place: &Place, roles: &'a [(String, RoleEntry)], way: &mut Vec<&'a str>) -> Result<()> {
    let Some(name) = way.last().copied() else { return Ok(()) };
    let path = format!("roles.{name}.fallback");
    let Some((_, entry)) = roles.iter().find(|(known, _)| known == name) else { return Ok(()) };
    let Cast::Roles { roles: next, .. } = &entry.cast else { return Ok(()) };
    for (role, _) in next {
        let Some((role, _)) = roles.iter().find(|(known, _)| known == role) else {
            let known: Vec<&str> = roles.iter().map(|(known, _)| known.as_str()).collect();
            return Err(place.error(&path, unknown("role", role, &known)));
        };
        if way.contains(&role.as_str()) {
            let circle = way.iter().chain([&role.as_str()]).copied().collect::<Vec<_>>().join(" -> ");
            return Err(place.error(&path, format!("a role falls back on itself: {circle}")));
        }
        way.push(role);
        follow(place, roles, way)?;
        way.pop();
    }
    Ok(())
}

/// The store of the table `quota_store`.
pub(crate) fn quota_store(
    place: &Place,
    table: Table,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Arc<dyn QuotaStore>> {
    let mut value = Value::Table(table);
    expand_table(place, "quota_store", &mut value, lookup)?;
    let Value::Table(mut table) = value else { return Err(place.error("quota_store", "a table is wanted")) };
    let Some(Value::String(url)) = table.remove("url") else {
        return Err(place.error("quota_store", "`url` is missing, such as redis://host:6379"));
    };
    connect(place, &url, table)
}

#[cfg(feature = "redis")]
fn connect(place: &Place, url: &str, settings: Table) -> Result<Arc<dyn QuotaStore>> {
    check_keys(place, "quota_store", &settings, fields_of::<RedisSettings>(), &["url"])?;
    let settings: RedisSettings =
        settings.try_into().map_err(|error| type_error(place, "quota_store", &error))?;
    match RedisStore::new(url, settings) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(place.error("quota_store", error.message())),
    }
}

#[cfg(not(feature = "redis"))]
fn connect(place: &Place, _: &str, _: Table) -> Result<Arc<dyn QuotaStore>> {
    let problem = "a shared store is not compiled in: enable the cargo feature `redis` of polysight";
    Err(place.error("quota_store", problem))
}
