//! What the checks found: violations, changes, notes.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

use crate::ModelCard;
use crate::error::OneLine;

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
    /// sampling, rounding to the decimals that the vendor takes, streaming where a model demands it.
    #[default]
    Lossless,
    /// Also: numbers brought into range, settings dropped that the vendor does not have.
    Lossy,
}

/// One rule that a request breaks, or one fault of a config file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.lossless { "" } else { " (lossy)" };
        write!(OneLine(f), "{}: {}{mark}", self.path, self.change)
    }
}

/// Collects what the checks find, and knows what the caller tolerates.
#[derive(Debug)]
pub struct Findings {
    pub(super) violations: Vec<Violation>,
    pub(super) adjustments: Vec<Adjustment>,
    pub(super) notes: Vec<String>,
    tolerance: Tolerance,
    model: String,
    card: Arc<ModelCard>,
}

impl Findings {
    pub(super) fn new(tolerance: Tolerance, model: String, card: Arc<ModelCard>) -> Self {
        Self { violations: Vec::new(), adjustments: Vec::new(), notes: Vec::new(), tolerance, model, card }
    }

    /// What the caller tolerates.
    #[must_use]
    pub fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// The model's id, for messages.
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
        self.violations.push(Violation {
            path: path.into(),
            problem: problem.into(),
            limit: limit.into(),
            fix: fix.into(),
            source: self.card.citation(),
        });
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
