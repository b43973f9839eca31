//! What the checks found: violations, changes, notes.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

use super::Limit;
use crate::catalog::Status;
use crate::error::OneLine;
use crate::{Catalog, ModelCard};

/// What may be changed in a request on its way out. Media is never dropped, under any tolerance.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, Display, EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Tolerance {
    /// Nothing: whatever the vendor would not take as it stands is a violation.
    Strict,
    /// What does not change the meaning: form of base64, order of parts where one is demanded, spelling of greedy
    /// sampling, rounding to the decimals that the vendor takes, streaming where a model demands it, and leaving out empty texts
    /// and hints how closely to look at a picture where the model takes none.
    #[default]
    Lossless,
    /// Also: numbers brought into range, settings dropped that the vendor does not have.
    Lossy,
}

/// One rule that a request breaks, or one fault of a config file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Violation {
    /// Where: a path such as `messages[0].parts[2]` or `temperature`.
    pub path: String,
    /// What is wrong, with the actual value.
    pub problem: String,
    /// What would be taken.
    pub limit: String,
    /// The way out.
    pub fix: String,
    /// The document that states the limit, and the day it was read.
    pub source: Option<String>,
    /// The limit as numbers, where it is one: of pictures, videos, counts and settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_value: Option<Limit>,
}

impl Violation {
    /// A broken rule without a documented source; `limit` and `fix` may be empty.
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        problem: impl Into<String>,
        limit: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            limit: limit.into(),
            fix: fix.into(),
            source: None,
            limit_value: None,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut OneLine(f);
        write!(f, "{}: {}", self.path, self.problem)?;
        if !self.limit.is_empty() {
            write!(f, " (allowed: {})", self.limit)?;
        }
        if !self.fix.is_empty() {
            write!(f, ": {}", self.fix)?;
        }
        match &self.source {
            Some(source) => write!(f, " [{source}]"),
            None => Ok(()),
        }
    }
}

/// One change made to a request on its way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Adjustment {
    /// Where: a path such as `messages[0].parts[2]` or `temperature`.
    pub path: String,
    /// What was done.
    pub change: String,
    /// True when the request means the same as before.
    pub lossless: bool,
}

impl Adjustment {
    /// A change, and whether the request means the same as before.
    #[must_use]
    pub fn new(path: impl Into<String>, change: impl Into<String>, lossless: bool) -> Self {
        Self { path: path.into(), change: change.into(), lossless }
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.lossless { "" } else { " (lossy)" };
        write!(OneLine(f), "{}: {}{mark}", self.path, self.change)
    }
}

/// Whether a model has what was wanted.
type HasWanted = fn(&ModelCard) -> bool;

/// Collects what the checks find, and knows what the caller tolerates.
#[derive(Debug)]
pub struct Findings {
    pub(super) violations: Vec<Violation>,
    pub(super) adjustments: Vec<Adjustment>,
    pub(super) notes: Vec<String>,
    tolerance: Tolerance,
    model: String,
    card: Arc<ModelCard>,
    /// Violations of which other models are free: their places, and what such a model has.
    wanted: Vec<(usize, HasWanted)>,
}

impl Findings {
    pub(super) fn new(tolerance: Tolerance, model: String, card: Arc<ModelCard>) -> Self {
        let (violations, adjustments, notes, wanted) = Default::default();
        Self { violations, adjustments, notes, tolerance, model, card, wanted }
    }

    /// What the caller tolerates.
    #[must_use]
    pub fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// The model's id, as it may be shown in messages.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// True when nothing was violated so far.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Records that a rule is broken. The source is that of the model's card.
    pub fn reject(
        &mut self,
        path: impl Into<String>,
        problem: impl Into<String>,
        limit: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let violation = Violation::new(path, problem, limit, fix);
        self.violations.push(Violation { source: self.card.citation(), ..violation });
    }

    /// The same for a rule that is a number, so that a program can read it.
    pub fn reject_limit(
        &mut self,
        path: impl Into<String>,
        problem: impl Into<String>,
        value: Limit,
        limit: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.reject(path, problem, limit, fix);
        if let Some(violation) = self.violations.last_mut() {
            violation.limit_value = Some(value);
        }
    }

    /// Records that the model is the wrong one. Which others have what is wanted is said by [`name_models`](Self::name_models).
    pub(super) fn reject_model(
        &mut self,
        path: impl Into<String>,
        problem: impl Into<String>,
        limit: impl Into<String>,
        has: HasWanted,
    ) {
        self.wanted.push((self.violations.len(), has));
        self.reject(path, problem, limit, "choose a model that does");
    }

    /// Names models that have what this one has not.
    pub(super) fn name_models(&mut self, catalog: &Catalog) {
        /// So many are named.
        const SOME: usize = 3;
        for (place, has) in &self.wanted {
            let live = catalog.cards().iter().filter(|card| card.status == Status::Live && has(card));
            let names: Vec<&str> = live.map(|card| card.id.as_str()).take(SOME).collect();
            if let Some(violation) = self.violations.get_mut(*place).filter(|_| !names.is_empty()) {
                violation.fix = format!("{}, such as {}", violation.fix, names.join(", "));
            }
        }
    }

    /// Records something the caller should know.
    pub fn warn(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Records a change that keeps the meaning, if the caller tolerates such; says whether to make it.
    #[must_use = "make the change only if it is allowed, else record a violation"]
    pub fn lossless(&mut self, path: impl Into<String>, change: impl Into<String>) -> bool {
        self.allow(Tolerance::Lossless, path, change)
    }

    /// Records a change that does not keep the meaning, if the caller tolerates such; says whether to make it.
    #[must_use = "make the change only if it is allowed, else record a violation"]
    pub fn lossy(&mut self, path: impl Into<String>, change: impl Into<String>) -> bool {
        self.allow(Tolerance::Lossy, path, change)
    }

    /// Records a change that was decided already; `tolerance` is what it needed.
    pub(super) fn record(&mut self, tolerance: Tolerance, path: &str, change: impl Into<String>) {
        let lossless = tolerance != Tolerance::Lossy;
        self.adjustments.push(Adjustment { path: path.to_owned(), change: change.into(), lossless });
    }

    pub(super) fn allow(
        &mut self,
        needed: Tolerance,
        path: impl Into<String>,
        change: impl Into<String>,
    ) -> bool {
        let allowed = self.tolerance >= needed;
        if allowed {
            let lossless = needed == Tolerance::Lossless;
            self.adjustments.push(Adjustment { path: path.into(), change: change.into(), lossless });
        }
        allowed
    }
}
