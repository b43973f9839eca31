//! The table `rate_limit_store`: where rate limits and budgets are counted for several processes.

use std::sync::Arc;

use polysight_layers::budget::BudgetStore;
use polysight_layers::rate_limit::RateLimitStore;
#[cfg(feature = "redis")]
use polysight_layers::rate_limit::{RedisSettings, RedisStore};

#[cfg(feature = "redis")]
use super::de::{Reader, Texts, read};
use super::expand::Variables;
use super::faults::{Fault, Faults};
use super::file::Table;

/// The table's name, and its path in faults.
pub(crate) const RATE_LIMIT_STORE: &str = "rate_limit_store";

/// One store in both its parts.
pub(crate) type Stores = (Arc<dyn RateLimitStore>, Arc<dyn BudgetStore>);

#[cfg(feature = "redis")]
#[derive(serde::Deserialize)]
struct Url {
    url: String,
}

/// Checks the table before its variables are looked up.
#[cfg(feature = "redis")]
pub(crate) fn check(line: usize, table: &Table, faults: &mut Faults) {
    let mut reader = Reader::new(table.clone(), RATE_LIMIT_STORE, Texts::Placeholders);
    reader.take::<Url>(faults);
    if let Some(Err(error)) = reader.take::<RedisSettings>(faults).map(|settings| settings.check()) {
        faults.push(Fault::new(RATE_LIMIT_STORE, error.message()).at(Some(line)));
    }
    reader.finish(faults);
}

/// Connects to the store.
#[cfg(feature = "redis")]
pub(crate) fn connect(table: &Table, variables: &Variables<'_>) -> Result<Stores, Fault> {
    let texts = Texts::LookedUp(variables);
    let Url { url } = read(table, RATE_LIMIT_STORE, texts)?;
    let store = RedisStore::new(&url, read::<RedisSettings>(table, RATE_LIMIT_STORE, texts)?);
    let store = store.map_err(|error| Fault::new(RATE_LIMIT_STORE, error.message()))?;
    let store = Arc::new(store);
    Ok((Arc::<RedisStore>::clone(&store), store))
}

#[cfg(not(feature = "redis"))]
fn missing() -> Fault {
    let problem = "a shared store is not compiled in: enable the cargo feature `redis` of polysight";
    Fault::new(RATE_LIMIT_STORE, problem)
}

/// Refuses the table: the feature is off.
#[cfg(not(feature = "redis"))]
pub(crate) fn check(line: usize, _: &Table, faults: &mut Faults) {
    faults.push(missing().at(Some(line)));
}

/// Refuses the table: the feature is off.
#[cfg(not(feature = "redis"))]
pub(crate) fn connect(_: &Table, _: &Variables<'_>) -> Result<Stores, Fault> {
    Err(missing())
}
