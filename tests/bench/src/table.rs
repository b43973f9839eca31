//! What was measured, as Markdown.

use crate::cases::{Case, Group};
use crate::drive::Measured;
use crate::measure::Sample;

/// The table of a group: ratios first, then what they are ratios of. Empty where none of its cases was measured.
pub fn markdown(group: Group, cases: &[&Case], measured: &[Measured]) -> String {
    let rows: String =
        cases.iter().filter(|case| case.group == group).map(|case| row(case, measured)).collect();
    if rows.is_empty() {
        return rows;
    }
    let clients = group.clients();
    let ratios: String = clients.iter().skip(1).map(|other| format!(" cost to {other} |")).collect();
    let names = clients.join(", ");
    let line = " ---: |".repeat(clients.len() + 4);
    format!(
        "| case |{ratios} cost, µs: {names} | peak over base, MiB | allocations a unit | bytes allocated a unit | \
         instructions a unit |\n| --- |{line}\n{rows}"
    )
}

fn row(case: &Case, measured: &[Measured]) -> String {
    let turns: Vec<_> = measured.iter().filter(|one| one.case == case.name).collect();
    let Some((own, others)) = turns.split_first() else { return String::new() };
    let cost = |sample: &Sample| case.group.cost(sample);
    let ratios: String = others.iter().map(|other| format!(" {:.2} |", ratio(own, other, cost))).collect();
    let all = |value: &dyn Fn(&Measured) -> String| {
        turns.iter().map(|one| value(one)).collect::<Vec<_>>().join(", ")
    };
    let counted = |count: fn(&Sample) -> Option<u64>| {
        all(&|one| {
            one.counted.as_ref().map_or("-".to_owned(), |sample| number(per_unit(sample, count(sample))))
        })
    };
    format!(
        "| {} ({}) |{ratios} {} | {} | {} | {} | {} |\n",
        case.name,
        case.unit(),
        all(&|one| number(median(one.samples.iter().map(cost)))),
        all(&|one| format!("{:.2}", peak_mib(one))),
        counted(|sample| sample.allocations),
        counted(|sample| sample.allocated_bytes),
        all(&|one| one.instructions.map_or("-".to_owned(), number)),
    )
}

/// The median of the ratios within each repetition.
fn ratio(own: &Measured, other: &Measured, cost: impl Fn(&Sample) -> f64) -> f64 {
    median(own.samples.iter().zip(&other.samples).map(|(own, other)| cost(own) / cost(other)))
}

/// The largest peak of all repetitions.
fn peak_mib(measured: &Measured) -> f64 {
    measured.samples.iter().map(|sample| sample.peak_kib).max().unwrap_or(0) as f64 / 1024.0
}

fn per_unit(sample: &Sample, count: Option<u64>) -> f64 {
    count.unwrap_or(0) as f64 / sample.units.max(1) as f64
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Three digits that matter.
pub fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median([4.0, 1.0, 3.0].into_iter()), 3.0);
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5);
    }

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        assert_eq!([0.154, 15.43, 1543.2].map(number), ["0.15", "15.4", "1543"]);
    }
}
