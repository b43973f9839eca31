//! Every behaviour for every target, and what came of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::capability::{Feature, Support};
use super::fixture::Fixture;
use super::target::{TARGETS, Target};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that must hold wherever it is offered; it panics where it does not.
pub(crate) struct Behaviour {
    pub(crate) name: &'static str,
    pub(crate) feature: Feature,
    pub(crate) run: fn(Arc<Fixture>) -> Running,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    NotOffered,
    Unknown,
    Failed(String),
}

/// What came of each behaviour, by its place in the list and that of the target.
pub(crate) struct Matrix {
    behaviours: &'static [Behaviour],
    outcomes: Vec<[Outcome; TARGETS.len()]>,
}

impl Matrix {
    /// All targets at once, each behaviour after the other.
    pub(crate) async fn of(behaviours: &'static [Behaviour]) -> Self {
        let mut running = JoinSet::new();
        for (column, target) in TARGETS.iter().enumerate() {
            running.spawn(async move { (column, outcomes(behaviours, target).await) });
        }
        let nothing = || std::array::from_fn(|_| Outcome::Failed("it did not run".to_owned()));
        let mut all: Vec<[Outcome; TARGETS.len()]> = behaviours.iter().map(|_| nothing()).collect();
        while let Some(done) = running.join_next().await {
            let (column, outcomes) = done.unwrap();
            for (row, outcome) in all.iter_mut().zip(outcomes) {
                row[column] = outcome;
            }
        }
        Self { behaviours, outcomes: all }
    }

    fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str, &Outcome)> {
        self.behaviours.iter().zip(&self.outcomes).flat_map(|(behaviour, row)| {
            TARGETS.iter().zip(row).map(|(target, outcome)| (behaviour.name, target.name, outcome))
        })
    }

    /// Each failure on lines of its own.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.cells()
            .filter_map(|(behaviour, target, outcome)| match outcome {
                Outcome::Failed(why) => Some(format!("{target}: {behaviour}: {why}")),
                _ => None,
            })
            .collect()
    }

    /// The cells that did not run, as `behaviour: target, target?`; a question mark where the card is silent.
    pub(crate) fn not_run(&self) -> Vec<String> {
        let marks = |(target, outcome): (&Target, &Outcome)| match outcome {
            Outcome::NotOffered => Some(target.name.to_owned()),
            Outcome::Unknown => Some(format!("{}?", target.name)),
            Outcome::Passed | Outcome::Failed(_) => None,
        };
        let rows = self.behaviours.iter().zip(&self.outcomes);
        let lists = rows.map(|(behaviour, row)| {
            (behaviour.name, TARGETS.iter().zip(row).filter_map(marks).collect::<Vec<_>>())
        });
        lists
            .filter(|(_, targets)| !targets.is_empty())
            .map(|(name, targets)| format!("{name}: {}", targets.join(", ")))
            .collect()
    }
}

/// One fixture serves all behaviours, and another one follows whenever a failure may have left something behind.
async fn outcomes(behaviours: &'static [Behaviour], target: &'static Target) -> Vec<Outcome> {
    let mut fixture = Arc::new(Fixture::of(target).await);
    let mut outcomes = Vec::new();
    for behaviour in behaviours {
        let outcome = outcome(behaviour, Arc::clone(&fixture)).await;
        fixture.clear();
        if matches!(outcome, Outcome::Failed(_)) {
            fixture = Arc::new(Fixture::of(target).await);
        }
        outcomes.push(outcome);
    }
    outcomes
}

async fn outcome(behaviour: &'static Behaviour, fixture: Arc<Fixture>) -> Outcome {
    match behaviour.feature.support(&fixture) {
        Support::No => return Outcome::NotOffered,
        Support::Unknown => return Outcome::Unknown,
        Support::Yes => {}
    }
    match tokio::spawn((behaviour.run)(fixture)).await {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(match error.try_into_panic() {
            Ok(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default()
            }
            Err(error) => error.to_string(),
        }),
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.behaviours.iter().map(|behaviour| behaviour.name.len()).max().unwrap_or_default();
        write!(f, "{:width$}", "")?;
        for target in &TARGETS {
            write!(f, "  {}", target.name)?;
        }
        writeln!(f)?;
        for (behaviour, row) in self.behaviours.iter().zip(&self.outcomes) {
            write!(f, "{:width$}", behaviour.name)?;
            for (target, outcome) in TARGETS.iter().zip(row) {
                let mark = match outcome {
                    Outcome::Passed => "ok",
                    Outcome::NotOffered => "-",
                    Outcome::Unknown => "?",
                    Outcome::Failed(_) => "FAILED",
                };
                write!(f, "  {mark:column$}", column = target.name.len())?;
            }
            writeln!(f)?;
        }
        writeln!(f, "-: not offered, by the card; ?: the card does not say")
    }
}
