//! The layers of providers and roles, as the config file gives them.

use std::collections::BTreeSet;
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
use polysight_layers::route::KeyPoolPolicy;
use polysight_layers::{DeadlinePolicy, HedgePolicy, PacePolicy, RetryPolicy, RoutePolicy};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::config::{Place, RoleEntry, check_keys, expand_table, type_error, unknown};
use crate::fields::fields_of;

/// Keys of a role that are about layers and about who plays it.
pub(crate) const ROLE_KEYS: &[&str] = &["cache", "deadline", "fallback", "hedge", "retry", "route", "trace"];

/// Those of them that a role which falls back on others may have.
pub(crate) const FALLBACK_KEYS: &[&str] = &["cache", "deadline", "route", "trace"];

/// Keys of a provider that are about layers.
pub(crate) const PROVIDER_KEYS: &[&str] = &["key_pool", "pace", "quota"];

/// The layers of a role, below those that only whoever is asked for has.
#[derive(Debug, Clone, Default)]
pub(crate) struct RoleLayers {
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) hedge: Option<HedgePolicy>,
    pub(crate) deadline: Option<DeadlinePolicy>,
    #[cfg(feature = "cache")]
    pub(crate) cache: Option<CachePolicy>,
    #[cfg(feature = "trace")]
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
    pub(crate) key_pool: KeyPoolPolicy,
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
            key_pool: self.key_pool()?,
        })
    }

    fn key_pool(&mut self) -> Result<KeyPoolPolicy> {
        let path = format!("{}.key_pool", self.path);
        match self.table.get("key_pool") {
            None => return Ok(KeyPoolPolicy::default()),
            Some(Value::Table(_)) => {}
            Some(_) => return Err(self.place.error(&path, "a table of settings is wanted")),
        }
        if !self.table.contains_key("api_keys") {
            return Err(self.place.error(&path, "it chooses among several keys: name them in `api_keys`"));
        }
        Ok(self.policy("key_pool", KeyPoolPolicy::check)?.unwrap_or_default())
    }

    /// Takes a role's layers.
    pub(crate) fn role(&mut self) -> Result<RoleLayers> {
        #[cfg(not(feature = "cache"))]
        self.missing("cache")?;
        #[cfg(not(feature = "trace"))]
        self.missing("trace")?;
        Ok(RoleLayers {
            retry: self.policy("retry", RetryPolicy::check)?,
            hedge: self.policy("hedge", HedgePolicy::check)?,
            deadline: self.deadline()?,
            #[cfg(feature = "cache")]
            cache: self.policy("cache", CachePolicy::check)?,
            #[cfg(feature = "trace")]
            trace: self.policy("trace", |_| Ok(()))?,
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
        let wanted = || {
            let form =
                "a list of roles is wanted, each a name or { role, weight } with a weight of 0 or more";
            self.place.error(&path, form)
        };
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

    /// Refuses the key of a layer whose cargo feature is off.
    #[cfg(not(all(feature = "cache", feature = "trace")))]
    fn missing(&mut self, key: &str) -> Result<()> {
        match self.table.remove(key) {
            None | Some(Value::Boolean(false)) => Ok(()),
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
            (table.is_empty() && weight.is_finite() && weight >= 0.0).then_some((role, weight))
        }
        _ => None,
    }
}

/// Refuses fallbacks on roles that do not exist, and those that come back to where they began.
pub(crate) fn check_fallbacks(place: &Place, roles: &[(String, RoleEntry)]) -> Result<()> {
    let mut done = BTreeSet::new();
    roles.iter().try_for_each(|(name, _)| follow(place, roles, &mut vec![name], &mut done))
}

/// Follows all ways on from the last role of `way`. Roles that are `done` were followed before: there are more ways than
/// roles by far where many roles fall back on the same ones.
fn follow<'a>(
    place: &Place,
    roles: &'a [(String, RoleEntry)],
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Result<()> {
    let Some(name) = way.last().copied().filter(|name| !done.contains(name)) else { return Ok(()) };
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
        follow(place, roles, way, done)?;
        way.pop();
    }
    done.insert(name);
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
    let Value::Table(table) = value else { return Err(place.error("quota_store", "a table is wanted")) };
    connect(place, table)
}

/// Checks the table `quota_store` before its variables are looked up.
pub(crate) fn check_quota_store(place: &Place, table: &Table) -> Result<()> {
    redis_settings(place, table.clone()).map(drop)
}

#[cfg(feature = "redis")]
fn connect(place: &Place, table: Table) -> Result<Arc<dyn QuotaStore>> {
    let (url, settings) = redis_settings(place, table)?;
    match RedisStore::new(&url, settings) {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(place.error("quota_store", error.message())),
    }
}

#[cfg(feature = "redis")]
fn redis_settings(place: &Place, mut table: Table) -> Result<(String, RedisSettings)> {
    let placed = |problem: &str| place.error("quota_store", problem);
    check_keys(place, "quota_store", &table, fields_of::<RedisSettings>(), &["url"])?;
    let url = match table.remove("url") {
        Some(Value::String(url)) => url,
        _ => return Err(placed("`url` is wanted, a text such as redis://host:6379")),
    };
    let settings: RedisSettings =
        table.try_into().map_err(|error| type_error(place, "quota_store", &error))?;
    settings.check().map_err(|error| placed(error.message()))?;
    Ok((url, settings))
}

#[cfg(not(feature = "redis"))]
fn connect(place: &Place, table: Table) -> Result<Arc<dyn QuotaStore>> {
    redis_settings(place, table).map(|never| match never {})
}

#[cfg(not(feature = "redis"))]
fn redis_settings(place: &Place, _: Table) -> Result<std::convert::Infallible> {
    let problem = "a shared store is not compiled in: enable the cargo feature `redis` of polysight";
    Err(place.error("quota_store", problem))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use polysight_core::Sampling;

    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Config> {
        let place = Place { name: "config".to_owned(), folder: PathBuf::new() };
        let keys: fn(&str) -> Option<&'static [&'static str]> = |_| Some(&[]);
        Config::read(&format!("[providers.p]\nbackend = \"b\"\n{text}"), place, &["b"], keys)
    }

    fn wrong(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn defaults_do_not_speak_for_the_roles_on_which_one_falls_back() {
        let config = read(
            "[defaults]\nretry = true\ndeadline = 9\ntemperature = 0.2\nmax_tokens = 5\nb = { x = 1 }\n\
             route = { order = \"fastest\" }\n[roles.warm]\ntemperature = 0.9\n[roles.any]\nfallback = [\"warm\"]",
        )
        .unwrap();
        let any = config.role("any").unwrap();
        assert_eq!((any.defaults.sampling, any.defaults.max_tokens), (Sampling::Default, None));
        assert!(any.defaults.extras.is_empty());
        assert!(any.layers.retry.is_none() && any.layers.deadline.is_some());
        let Cast::Roles { route, .. } = &any.cast else { panic!("{:?}", any.cast) };
        assert_eq!(route.order, polysight_layers::route::Order::Fastest);
        let warm = config.role("warm").unwrap();
        assert!(warm.layers.retry.is_some() && warm.defaults.max_tokens == Some(5));
    }

    #[test]
    fn a_role_lays_its_settings_over_those_of_the_defaults() {
        let config = read(
            "[defaults]\nretry = { attempts = 5, factor = 3 }\nhedge = true\n\
             [roles.a]\nretry = { attempts = 2 }\nhedge = { max_rate = 0.5 }\n[roles.b]\nretry = false",
        )
        .unwrap();
        let a = &config.role("a").unwrap().layers;
        let retry = a.retry.as_ref().unwrap();
        assert_eq!((retry.attempts, retry.factor), (2, 3.0));
        assert_eq!(a.hedge.as_ref().unwrap().max_rate, 0.5);
        assert!(config.role("b").unwrap().layers.retry.is_none());
    }

    #[test]
    fn no_role_falls_back_by_default() {
        let told = wrong("[defaults]\nfallback = [\"a\"]\n[roles.a]\n");
        assert!(told.contains("defaults.fallback: a role cannot"), "{told}");
    }

    #[test]
    fn fallbacks_that_meet_again_and_again_are_followed_once() {
        let mut text = String::new();
        for number in 0..60 {
            let next = number + 1;
            text += &format!("[roles.r{number}]\nfallback = [\"r{next}\", \"r{next}\"]\n");
        }
        assert!(read(&format!("{text}[roles.r60]\n")).is_ok());
        let told = wrong(&format!("{text}[roles.r60]\nfallback = [\"r58\"]\n"));
        assert!(told.contains("r58 -> r59 -> r60 -> r58"), "{told}");
    }

    #[test]
    fn what_is_wrong_is_told_when_the_file_is_read() {
        for (text, words) in [
            ("[roles.a]\n[roles.c]\nfallback = [{ role = \"a\", weight = -1 }]", "a weight of 0 or more"),
            ("key_pool = true", "providers.p.key_pool: a table of settings"),
            ("key_pool = { order = \"given\" }", "name them in `api_keys`"),
            ("api_keys = [\"k\"]\nkey_pool = { order = \"cheapest\" }", "providers.p.key_pool: `order`"),
            #[cfg(feature = "redis")]
            ("[quota_store]\nurl = \"${URL}\"\nwindoww = 9", "quota_store.windoww: unknown key"),
            #[cfg(feature = "redis")]
            ("[quota_store]\nurl = \"${URL}\"\nwindow = 0", "quota_store: `window` is 0ns"),
            #[cfg(feature = "redis")]
            ("[quota_store]\nurl = 7702166553344551", "quota_store: `url` is wanted, a text"),
            #[cfg(not(feature = "redis"))]
            ("[quota_store]\nurl = \"redis://a\"", "enable the cargo feature `redis`"),
        ] {
            let told = wrong(text);
            assert!(told.contains(words) && !told.contains("7702"), "{told}");
        }
        let pooled = read("api_keys = [\"k\"]\nkey_pool = { order = \"given\", rest_for = 9 }").unwrap();
        assert_eq!(pooled.providers["p"].layers.key_pool.rest_for, Duration::from_secs(9));
    }
}
