//! The table `budget`: what all roles together may spend; and the currencies of all budgets.

use std::collections::{BTreeMap, BTreeSet};

use polysight_layers::BudgetPolicy;

use super::de::{Reader, Texts};
use super::faults::{Fault, Faults};
use super::file::Table;
use super::{ProviderEntry, RoleEntry, RoleTarget};

/// The table's name, and its path in faults.
pub(crate) const BUDGET: &str = "budget";

/// Reads and checks the table.
pub(crate) fn read(line: usize, table: Table, faults: &mut Faults) -> Option<BudgetPolicy> {
    let mut reader = Reader::new(table, BUDGET, Texts::Literal);
    let policy = reader.take::<BudgetPolicy>(faults);
    reader.finish(faults);
    let policy = policy?;
    match policy.check() {
        Ok(()) => Some(policy),
        Err(error) => {
            faults.push(Fault::new(BUDGET, error.message()).at(Some(line)));
            None
        }
    }
}

/// Checks that every budget can count the prices of the models that spend it.
pub(crate) fn check_currencies(
    providers: &BTreeMap<String, ProviderEntry>,
    roles: &BTreeMap<String, RoleEntry>,
    all: Option<&BudgetPolicy>,
    faults: &mut Faults,
) {
    let own = roles.iter().filter_map(|(name, entry)| {
        let policy = entry.layers.budget.as_ref()?;
        Some((format!("roles.{name}.budget"), policy, reached(roles, name)))
    });
    let all = all.map(|policy| (BUDGET.to_owned(), policy, roles.keys().map(String::as_str).collect()));
    for (path, policy, spenders) in own.chain(all) {
        if let Some(problem) = wrong_currency(providers, roles, policy, spenders) {
            faults.push(Fault::new(path, problem));
        }
    }
}

/// What is wrong with the currency of a budget that these roles spend. One price is enough to see what is missing.
pub(crate) fn wrong_currency<'a>(
    providers: &BTreeMap<String, ProviderEntry>,
    roles: &BTreeMap<String, RoleEntry>,
    policy: &BudgetPolicy,
    spenders: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    spenders.into_iter().find_map(|role| {
        let error = policy.check_price(&currency(providers, roles.get(role)?)?).err()?;
        Some(format!("role `{role}`: {}", error.message()))
    })
}

/// A role and all that it falls back on.
pub(crate) fn reached<'a>(roles: &'a BTreeMap<String, RoleEntry>, name: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![name]);
    while let Some(name) = next.pop() {
        if reached.insert(name)
            && let Some(RoleTarget::Roles { roles, .. }) = roles.get(name).map(|entry| &entry.target)
        {
            next.extend(roles.iter().map(|(role, _)| role.as_str()));
        }
    }
    reached
}

/// The currency in which a role's own model is priced, where the catalogue says.
fn currency(providers: &BTreeMap<String, ProviderEntry>, entry: &RoleEntry) -> Option<String> {
    let RoleTarget::Provider { name, .. } = &entry.target else { return None };
    let provider = providers.get(name)?;
    let default = provider.model.as_ref().map(|(model, _)| model.as_str());
    let model = entry.defaults.model.as_deref().or(default)?;
    let card = provider.catalog.as_ref()?.find(model)?;
    Some(card.prices.first()?.currency.clone())
}
