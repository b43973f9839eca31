//! The config file: providers, roles, and defaults for all roles.
//!
//! The whole file is checked when it is read, and every fault is in the one error that comes of it. Only what environment
//! variables hold is looked up later.

mod backend;
mod budget;
mod de;
mod expand;
mod faults;
mod file;
mod layers;
mod provider;
mod role;
mod store;

use std::collections::BTreeMap;

use polysight_core::{Error, Result, redact_name};
use polysight_layers::BudgetPolicy;
use serde::de::DeserializeOwned;

pub(crate) use backend::{Backend, Backends};
pub(crate) use budget::{reached, wrong_currency};
pub(crate) use de::Texts;
use de::{Reader, join};
pub(crate) use expand::{Lookup, Variables};
pub(crate) use faults::Fault;
use faults::{Faults, one_fault, unknown};
pub(crate) use file::Source;
use file::{Table, Value, parse};
pub(crate) use provider::{Connecting, ProviderConfig, ProviderEntry};
pub(crate) use role::{RoleEntry, RoleTarget};
use role::{Roles, check_fallbacks};
use store::RATE_LIMIT_STORE;
pub(crate) use store::{Stores, connect as connect_store};

/// The table of the gateway, a program that serves the roles.
const GATEWAY: &str = "gateway";

/// A config file, read and checked, its variables not yet looked up.
pub(crate) struct Config {
    pub(crate) source: Source,
    pub(crate) providers: BTreeMap<String, ProviderEntry>,
    pub(crate) roles: BTreeMap<String, RoleEntry>,
    /// What is not wrong, but worth knowing.
    pub(crate) notes: Vec<String>,
    /// What all roles together may spend.
    pub(crate) budget: Option<BudgetPolicy>,
    /// Where rate limits and budgets are counted.
    pub(crate) rate_limit_store: Option<Table>,
}

impl Config {
    /// Reads and checks a config.
    pub(crate) fn read(text: &str, source: Source, backends: &Backends) -> Result<Self> {
        let mut faults = Faults::default();
        let root = parse(text, &mut faults);
        if !faults.is_empty() {
            // What follows a syntax error may be read otherwise than it was meant.
            return faults.into_result(&source, ()).and_then(|()| Self::read("", source, backends));
        }
        let mut reader = Reader::new(root, "", Texts::Literal);
        // What serves the roles reads its table by itself: `Polysight::read_table`.
        let keys = ["providers", "roles", "defaults", budget::BUDGET, RATE_LIMIT_STORE, GATEWAY];
        let mut tables: BTreeMap<&str, (usize, Table)> =
            reader.take_tables(keys, &mut faults).into_iter().collect();
        reader.finish(&mut faults);
        let mut take = |key| tables.remove(key).map(|(_, table)| table).unwrap_or_default();
        let (providers, roles, defaults) = (take("providers"), take("roles"), take("defaults"));
        let (provider_tables, role_tables) =
            (entries("providers", providers, &mut faults), entries("roles", roles, &mut faults));
        let mut providers = BTreeMap::new();
        for (name, (line, table)) in &provider_tables {
            let entry = ProviderEntry::check(name, *line, table.clone(), &source, backends, &mut faults);
            providers.extend(entry.map(|entry| (name.clone(), entry)));
        }
        let names = provider_tables.keys().map(String::as_str).collect();
        let reader = Roles::new(backends.extra_keys(), names, defaults, &mut faults);
        let roles = role_tables.iter().map(|(name, (line, table))| {
            (name.clone(), reader.check(name, *line, table.clone(), &mut faults))
        });
        let roles: BTreeMap<String, RoleEntry> = roles.collect();
        check_fallbacks(&roles, &mut faults);
        let budget =
            tables.remove(budget::BUDGET).and_then(|(line, table)| budget::read(line, table, &mut faults));
        budget::check_currencies(&providers, &roles, budget.as_ref(), &mut faults);
        let rate_limit_store = tables.remove(RATE_LIMIT_STORE).map(|(line, table)| {
            store::check(line, &table, &mut faults);
            table
        });
        let notes = notes(&source, &providers, &roles);
        faults
            .into_result(&source.clone(), Self { source, providers, roles, notes, budget, rate_limit_store })
    }

    /// The provider of this name.
    pub(crate) fn provider(&self, name: &str) -> Result<&ProviderEntry> {
        let known = self.providers.keys().map(String::as_str);
        self.providers
            .get(name)
            .ok_or_else(|| self.error(Fault::new("providers", unknown("provider", name, known))))
    }

    /// The role of this name.
    pub(crate) fn role(&self, name: &str) -> Result<&RoleEntry> {
        let known = self.roles.keys().map(String::as_str);
        self.roles.get(name).ok_or_else(|| self.error(Fault::new("roles", unknown("role", name, known))))
    }

    /// The error of a fault that was found when something was used.
    pub(crate) fn error(&self, fault: Fault) -> Error {
        one_fault(&self.source, fault)
    }
}

/// Reads one table of a config text, its variables looked up; `None` where the text has no such table.
pub(crate) fn read_table<T: DeserializeOwned>(
    text: &str,
    name: &str,
    variables: &Variables<'_>,
) -> Result<Option<T>> {
    let (source, mut faults) = (Source::text(), Faults::default());
    let node = parse(text, &mut faults).remove(name);
    let table = match node.map(|node| node.value) {
        None => return faults.into_result(&source, None),
        Some(Value::Table(table)) => table,
        Some(_) => {
            faults.push(Fault::new(name, "not a table").allowed("a table"));
            Table::new()
        }
    };
    let mut reader = Reader::new(table, name, Texts::LookedUp(variables));
    let read = reader.take::<T>(&mut faults);
    reader.finish(&mut faults);
    faults.without_values(variables).into_result(&source, read)
}

/// Names the roles whose models their vendors' catalogues do not know.
fn notes(
    source: &Source,
    providers: &BTreeMap<String, ProviderEntry>,
    roles: &BTreeMap<String, RoleEntry>,
) -> Vec<String> {
    let mut notes = Vec::new();
    for (role, entry) in roles {
        let RoleTarget::Provider { name, line } = &entry.target else { continue };
        let Some(provider) = providers.get(name) else { continue };
        let own = entry.defaults.model.as_deref().map(|model| (format!("roles.{role}.model"), model, *line));
        let default = provider
            .model
            .as_ref()
            .map(|(model, line)| (format!("providers.{name}.model"), model.as_str(), *line));
        let (Some(catalog), Some((path, model, line))) = (&provider.catalog, own.or(default)) else {
            continue;
        };
        if catalog.find(model).is_some() {
            continue;
        }
        let near =
            catalog.nearest(model).into_iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        let problem = format!(
            "the catalogue of {} does not know `{}`: it is sent without limits{}",
            catalog.vendor(),
            redact_name(model),
            if near.is_empty() { near } else { format!(", did you mean {near}?") }
        );
        let note = Fault::new(path, problem).at(Some(line)).show(source);
        // Several roles may use a provider's model.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

/// The tables in a table, with their lines.
fn entries(path: &str, table: Table, faults: &mut Faults) -> BTreeMap<String, (usize, Table)> {
    let mut entries = BTreeMap::new();
    for (name, node) in table {
        match node.value {
            Value::Table(inner) => {
                entries.insert(name, (node.line, inner));
            }
            _ => faults
                .push(Fault::new(join(path, &name), "not a table").at(Some(node.line)).allowed("a table")),
        }
    }
    entries
}

#[cfg(test)]
mod tests;
