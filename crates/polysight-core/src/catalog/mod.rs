//! Models as data: what each can do, where that is written, and when it was read.
//!
//! A catalogue is a TOML text: the vendor, defaults for every model (known or not), and one table a model.
//! Users extend and override it from their config file, field by field.
//!
//! ```
//! # use polysight_core as polysight;
//! use polysight::Catalog;
//!
//! let catalog = Catalog::from_toml(r#"
//! vendor = "acme"
//! [defaults]
//! source = "Acme API reference"
//! as_of = "2026-11-21"
//! [defaults.sampling]
//! temperature = "[0, 1]"
//! [[models]]
//! id = "acme-eye"
//! context = 8192
//! image = { count = 5, max_bytes = 5_242_880 }
//! "#).unwrap();
//!
//! let card = catalog.card("Acme-Eye");
//! assert!(card.known);
//! assert_eq!(card.image.limits().unwrap().count, Some(5));
//! assert!(!catalog.card("acme-next").known, "an unknown id passes, without limits of its own");
//! ```

mod card;
mod grounding;
mod json;
mod price;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

pub use card::{
    GreedyForm, IdLength, ImageCard, ModelCard, NumberRange, SamplingCard, Status, StopCard, ThinkingCard,
    ThinkingMode, ToolsCard, VideoCard,
};
pub use grounding::Grounding;
pub use price::{CacheMarkRates, Money, Price, Quotas};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{Error, ErrorKind, Result, redact_name};

/// One model's row of a catalogue: what a config file or a program says about a model. Its fields are those of
/// [`ModelCard`]; unknown ones are refused when the row is added to a catalogue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ModelRow(Value);

impl ModelRow {
    /// Makes a row of anything that serializes to a table, such as a JSON object.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is no table, or holds a null.
    pub fn new(fields: impl Serialize) -> Result<Self> {
        let row = Value::try_from(fields).map_err(|error| {
            Error::new(ErrorKind::Config, "model row: not a table of fields").with_source(error)
        })?;
        Ok(Self(row))
    }
}

/// The models of one vendor or deployment.
#[derive(Clone)]
pub struct Catalog {
    vendor: String,
    defaults: Table,
    cards: Vec<Arc<ModelCard>>,
    rows: Vec<Table>,
    by_name: HashMap<String, usize>,
    unknown: Arc<ModelCard>,
}

impl fmt::Debug for Catalog {
    /// One line, since providers show it in their own `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalog({}, {} models)", self.vendor, self.cards.len())
    }
}

impl Catalog {
    /// Reads a catalogue.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the line of malformed TOML, and the model of unknown fields, ranges that are no
    /// intervals, and names that two models share.
    pub fn from_toml(text: &str) -> Result<Self> {
        let mut table: Table = toml::from_str(text).map_err(|error| bad(text, &error))?;
        let vendor = match table.remove("vendor") {
            Some(Value::String(vendor)) => vendor,
            _ => return Err(Error::new(ErrorKind::Config, "model catalogue: `vendor` is missing")),
        };
        let defaults = match table.remove("defaults") {
            Some(Value::Table(defaults)) => defaults,
            None => Table::new(),
            Some(_) => {
                return Err(Error::new(ErrorKind::Config, "model catalogue: `defaults` is not a table"));
            }
        };
        let rows = match table.remove("models") {
            Some(Value::Array(rows)) => rows,
            None => Vec::new(),
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    "model catalogue: `models` is not a list of tables",
                ));
            }
        };
        if let Some(key) = table.keys().next() {
            return Err(Error::new(
                ErrorKind::Config,
                format!("model catalogue: unknown key `{}`", redact_name(key)),
            ));
        }
        let mut catalog = Self::empty(vendor, defaults)?;
        for row in rows {
            let (id, row) = named(row)?;
            if catalog.by_name.contains_key(&id.to_lowercase()) {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("two models are called `{}`", redact_name(&id)),
                ));
            }
            catalog.put(&id, row)?;
        }
        Ok(catalog)
    }

    fn empty(vendor: String, defaults: Table) -> Result<Self> {
        let unknown = Arc::new(read_card(&defaults, Table::new())?);
        Ok(Self { vendor, defaults, cards: Vec::new(), rows: Vec::new(), by_name: HashMap::new(), unknown })
    }

    /// Adds or overrides models: a row with the id or an alias of a known model replaces the fields that it names, but
    /// not the id; any other row adds a model.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the model, for a row without `id`, unknown fields and malformed values.
    pub fn with_models(mut self, rows: impl IntoIterator<Item = ModelRow>) -> Result<Self> {
        for row in rows {
            let (id, row) = named(row.0)?;
            self.put(&id, row)?;
        }
        Ok(self)
    }

    fn put(&mut self, id: &str, mut row: Table) -> Result<()> {
        let known = self.by_name.get(&id.to_lowercase()).copied();
        if let Some(index) = known {
            row.remove("id");
            self.by_name.retain(|_, named| *named != index);
        }
        let base = known.and_then(|index| self.rows.get(index)).cloned().unwrap_or_default();
        let row = merged(base, row);
        let card = read_card(&self.defaults, row.clone()).map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("model `{}` of the {} catalogue: {}", redact_name(id), self.vendor, error.message()),
            )
        })?;
        let index = known.unwrap_or(self.cards.len());
        for name in std::iter::once(&card.id).chain(&card.aliases) {
            let before = self.by_name.insert(name.to_lowercase(), index);
            if before.is_some_and(|before| before != index) {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("two models are called `{}`", redact_name(name)),
                ));
            }
        }
        let card = Arc::new(ModelCard { known: true, ..card });
        match (self.cards.get_mut(index), self.rows.get_mut(index)) {
            (Some(old), Some(old_row)) => (*old, *old_row) = (card, row),
            _ => {
                self.cards.push(card);
                self.rows.push(row);
            }
        }
        Ok(())
    }

    /// Keeps the prices of one currency, for a vendor whose sites have price lists of their own. A model without a price in
    /// it has none then: unknown is better than another site's.
    #[must_use]
    pub fn in_currency(mut self, currency: &str) -> Self {
        for card in &mut self.cards {
            Arc::make_mut(card).prices.retain(|price| price.currency == currency);
        }
        for row in &mut self.rows {
            if let Some(Value::Array(prices)) = row.get_mut("prices") {
                prices.retain(|price| price.get("currency").and_then(Value::as_str) == Some(currency));
            }
        }
        self
    }

    /// The vendor whose models these are.
    #[must_use]
    pub fn vendor(&self) -> &str {
        &self.vendor
    }

    /// The cards, in the catalogue's order.
    #[must_use]
    pub fn cards(&self) -> &[Arc<ModelCard>] {
        &self.cards
    }

    /// The card of a model by id or alias, upper and lower case alike; for an unknown id the vendor's defaults, which
    /// say [`known: false`](ModelCard::known).
    #[must_use]
    pub fn card(&self, model: &str) -> Arc<ModelCard> {
        self.find(model).unwrap_or_else(|| Arc::clone(&self.unknown))
    }

    /// Ids of the models that are most like this name, the nearest first, at most three; none where the model is known or no
    /// other is like it.
    #[must_use]
    pub fn nearest(&self, model: &str) -> Vec<&str> {
        /// Names that are longer are none of a model; comparing takes time.
        const LONGEST: usize = 100;
        const SOME: usize = 3;
        if model.is_empty() || model.len() > LONGEST || self.find(model).is_some() {
            return Vec::new();
        }
        // Not the names of owners, which many models share.
        let bare = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
        let model = bare(model);
        let likeness = |card: &ModelCard| {
            let names = std::iter::once(&card.id).chain(&card.aliases);
            names.map(|name| strsim::jaro_winkler(&model, &bare(name))).fold(0.0, f64::max)
        };
        let known = self.cards.iter().map(|card| (likeness(card), card));
        let mut near: Vec<_> = known.filter(|(likeness, _)| *likeness > 0.85).collect();
        near.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        near.into_iter().map(|(_, card)| card.id.as_str()).take(SOME).collect()
    }

    /// The card of a known model.
    #[must_use]
    pub fn find(&self, model: &str) -> Option<Arc<ModelCard>> {
        let exact = self.by_name.get(model);
        let index = exact.or_else(|| self.by_name.get(&model.to_lowercase()))?;
        self.cards.get(*index).map(Arc::clone)
    }
}

/// A row and its id.
fn named(row: Value) -> Result<(String, Table)> {
    let Value::Table(row) = row else {
        return Err(Error::new(ErrorKind::Config, "model catalogue: a model is not a table"));
    };
    match row.get("id").and_then(Value::as_str).map(str::to_owned) {
        Some(id) if !id.trim().is_empty() => Ok((id, row)),
        _ => Err(Error::new(ErrorKind::Config, "model catalogue: a model has no `id`")),
    }
}

fn read_card(defaults: &Table, row: Table) -> Result<ModelCard> {
    ModelCard::read(merged(defaults.clone(), row)).map_err(|error| bad("", &error))
}

fn bad(text: &str, error: &toml::de::Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line =
        before.map(|before| format!(" in line {}", before.matches('\n').count() + 1)).unwrap_or_default();
    Error::new(ErrorKind::Config, format!("model catalogue{line}: {}", error.message().trim()))
}

/// Lays `over` on `base`, table by table.
fn merged(mut base: Table, over: Table) -> Table {
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => Value::Table(merged(below, above)),
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}
