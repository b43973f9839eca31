//! What was measured, as Markdown.

use std::fmt::Write as _;

use crate::cases::Case;
use crate::clients::{Client as _, Facade, Limit, Naive};
use crate::drive::Measured;
use crate::measure::Sample;

/// One table: ratios first, then what they are ratios of. Empty without cases outside the grid.
pub fn markdown(cases: &[&Case], measured: &[Measured]) -> String {
    let mut text = String::new();
    for case in cases.iter().filter(|case| !case.in_grid) {
        if text.is_empty() {
            text.push_str(
                "| case | CPU to naive | CPU to limit | CPU a unit, µs: polysight, limit, naive | \
                 peak over base, MiB | allocations a unit | bytes allocated a unit | instructions a unit |\n\
                 | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
            );
        }
        let of = |client: &str| {
            measured.iter().find(|measured| measured.case == case.name && measured.client == client)
        };
        let (Some(own), Some(limit), Some(naive)) = (of(Facade::NAME), of(Limit::NAME), of(Naive::NAME))
        else {
            continue;
        };
        let three = |value: &dyn Fn(&Measured) -> String| [own, limit, naive].map(value).join(", ");
        // For what waits, time is what counts.
        let cost: fn(&Sample) -> f64 = if own.samples.iter().any(|sample| sample.first_us.is_some()) {
            |sample| sample.first_us.unwrap_or(f64::NAN)
        } else {
            |sample| sample.cpu_us as f64 / sample.units.max(1) as f64
        };
        let _ = writeln!(
            text,
            "| {} ({}) | {:.2} | {:.2} | {} | {} | {} | {} | {} |",
            case.name,
            case.unit(),
            ratio(own, naive, cost),
            ratio(own, limit, cost),
            three(&|one| number(median(one.samples.iter().map(cost)))),
            three(&|one| format!("{:.2}", peak_mib(one))),
            three(&|one| number(per_unit(&one.counted, one.counted.allocations))),
            three(&|one| number(per_unit(&one.counted, one.counted.allocated_bytes))),
            three(&|one| one.instructions.map_or("-".to_owned(), number)),
        );
    }
    text
}

/// The table of the grid: what a request costs and holds, by the size of its picture and the number in flight. Empty
/// without points of the grid.
pub fn grid(cases: &[&Case], measured: &[Measured]) -> String {
    let mut text = String::new();
    for case in cases.iter().filter(|case| case.in_grid) {
        let of = |client: &str| {
            measured.iter().find(|measured| measured.case == case.name && measured.client == client)
        };
        let (Some(own), Some(limit)) = (of(Facade::NAME), of(Limit::NAME)) else { continue };
        if text.is_empty() {
            text.push_str(
                "| point | CPU to limit | CPU a request, µs: polysight, limit | peak over base, MiB: polysight, limit | \
                 peak a request in flight, KiB: polysight, limit |\n| --- | ---: | ---: | ---: | ---: |\n",
            );
        }
        let cost = |sample: &Sample| sample.cpu_us as f64 / sample.units.max(1) as f64;
        let two = |value: &dyn Fn(&Measured) -> String| [own, limit].map(value).join(", ");
        let _ = writeln!(
            text,
            "| {} | {:.2} | {} | {} | {} |",
            case.name,
            ratio(own, limit, cost),
            two(&|one| number(median(one.samples.iter().map(cost)))),
            two(&|one| format!("{:.2}", peak_mib(one))),
            two(&|one| number(peak_mib(one) * 1024.0 / case.in_flight as f64)),
        );
    }
    text
}

/// The median of the ratios within each repetition.
fn ratio(own: &Measured, other: &Measured, cost: fn(&Sample) -> f64) -> f64 {
    median(own.samples.iter().zip(&other.samples).map(|(own, other)| cost(own) / cost(other)))
}

/// The largest peak of all repetitions.
fn peak_mib(measured: &Measured) -> f64 {
    measured.samples.iter().map(|sample| sample.peak_kib).max().unwrap_or(0) as f64 / 1024.0
}

fn per_unit(sample: &Sample, count: Option<u64>) -> f64 {
    count.unwrap_or(0) as f64 / sample.units.max(1) as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
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
fn number(value: f64) -> String {
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
