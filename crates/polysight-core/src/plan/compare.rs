//! Which providers would accept a request, before it is sent.

use std::fmt;

use crate::{ChatRequest, Plan, Result, VisionProvider};

/// What one provider says of a request.
#[derive(Debug)]
#[non_exhaustive]
pub struct Candidate {
    /// Name of the role or provider.
    pub name: String,
    /// The vendor's id.
    pub vendor: String,
    /// The plan, or every reason against it.
    pub outcome: Result<Plan>,
}

/// What several providers say of one request. `Display` is a table.
///
/// ```text
/// name     vendor   model          takes it  changes  input tokens  input cost
/// default  zhipu    glm-4.6v       yes       1        304 to 463    0.000061 to 0.000463 CNY
/// cheap    qwen-vl  qwen3-vl-plus  yes       0        310           0.000062 to 0.000310 CNY
/// default  changed  temperature: temperature 0.123 rounded to 0.12
/// ```
#[derive(Debug)]
pub struct PlanComparison {
    candidates: Vec<Candidate>,
}

/// Holds one request against several providers, sending nothing.
pub fn compare_plans<'a, P>(
    request: &ChatRequest,
    providers: impl IntoIterator<Item = (&'a str, &'a P)>,
) -> PlanComparison
where
    P: VisionProvider + ?Sized + 'a,
{
    let ask = |(name, provider): (&'a str, &'a P)| Candidate {
        name: name.to_owned(),
        vendor: provider.id().vendor.to_string(),
        outcome: provider.plan(request),
    };
    PlanComparison { candidates: providers.into_iter().map(ask).collect() }
}

impl PlanComparison {
    /// What each provider says, in the order given.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Those who would take the request.
    pub fn accepting(&self) -> impl Iterator<Item = (&str, &Plan)> {
        self.candidates
            .iter()
            .filter_map(|candidate| Some((candidate.name.as_str(), candidate.outcome.as_ref().ok()?)))
    }

    /// The taker that costs least by [`Plan::comparable_cost`], among those whose cost is known and in the currency of the first
    /// of them.
    #[must_use]
    pub fn cheapest(&self) -> Option<&str> {
        let known: Vec<_> =
            self.accepting().filter_map(|(name, plan)| Some((name, plan.comparable_cost()?))).collect();
        let currency = &known.first()?.1.currency;
        let same = known.iter().filter(|(_, cost)| cost.currency == *currency);
        same.min_by(|left, right| left.1.amount.total_cmp(&right.1.amount)).map(|(name, _)| *name)
    }
}

const HEADS: [&str; 7] = ["name", "vendor", "model", "takes it", "changes", "input tokens", "input cost"];

impl fmt::Display for PlanComparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<[String; 7]> = self.candidates.iter().map(row).collect();
        let heads = HEADS.map(str::to_owned);
        let mut widths = [0; 7];
        for row in std::iter::once(&heads).chain(&rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in std::iter::once(&heads).chain(&rows) {
            write_row(f, row, widths)?;
        }
        for candidate in &self.candidates {
            write_details(f, candidate)?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &[String; 7], widths: [usize; 7]) -> fmt::Result {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(&format!("{cell:width$}  "));
    }
    writeln!(f, "{}", line.trim_end())
}

fn row(candidate: &Candidate) -> [String; 7] {
    let unknown = || "unknown".to_owned();
    let (model, takes, changes, tokens, cost) = match &candidate.outcome {
        Ok(plan) => (
            plan.model().to_owned(),
            "yes".to_owned(),
            plan.adjustments.len().to_string(),
            plan.estimate.input_tokens().to_string(),
            plan.estimate.input_cost.as_ref().map_or_else(unknown, ToString::to_string),
        ),
        Err(_) => ("-".to_owned(), "no".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()),
    };
    [candidate.name.clone(), candidate.vendor.clone(), model, takes, changes, tokens, cost]
}

fn write_details(f: &mut fmt::Formatter<'_>, candidate: &Candidate) -> fmt::Result {
    let name = &candidate.name;
    match &candidate.outcome {
        Ok(plan) => {
            for adjustment in &plan.adjustments {
                writeln!(f, "{name}  changed  {adjustment}")?;
            }
            for note in &plan.notes {
                writeln!(f, "{name}  note     {note}")?;
            }
        }
        Err(error) => {
            for violation in error.violations() {
                writeln!(f, "{name}  against  {violation}")?;
            }
            if error.violations().is_empty() {
                writeln!(f, "{name}  against  {error}")?;
            }
        }
    }
    Ok(())
}
