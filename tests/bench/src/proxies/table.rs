//! What was measured, as Markdown: medians, and the medians of ratios within one repetition.

use super::Sample;
use super::cases::CASES;
use crate::table::{median, number};

const OWN: &str = "polysight";

pub fn line(sample: &Sample) -> String {
    let added =
        sample.added_ms.map_or(String::new(), |(p50, p99)| format!(", added {p50:.2} and {p99:.2} ms"));
    format!(
        "{} {}: {} us of CPU, {:.1} MiB, {:.2} bodies, {:.0} requests a second{added}",
        sample.case,
        sample.proxy,
        number(sample.cpu_us),
        sample.peak_kib as f64 / 1024.0,
        sample.bodies,
        sample.requests_per_second
    )
}

pub fn markdown(samples: &[Sample]) -> String {
    let head = "| case | proxy | CPU a request, µs | Polysight's to it | added p50, p99, ms | peak over base, MiB | bodies a request in flight |\n\
                | --- | --- | ---: | ---: | ---: | ---: | ---: |\n";
    let rows = CASES.iter().flat_map(|case| {
        let of_case: Vec<&Sample> = samples.iter().filter(|sample| sample.case == case.name).collect();
        let mut proxies: Vec<&str> = of_case.iter().map(|sample| sample.proxy).collect();
        proxies.sort_unstable_by_key(|proxy| (*proxy != OWN, *proxy));
        proxies.dedup();
        proxies.into_iter().map(move |proxy| row(case.what, proxy, &of_case)).collect::<Vec<_>>()
    });
    head.to_owned() + &rows.collect::<String>()
}

fn row(what: &str, proxy: &str, samples: &[&Sample]) -> String {
    let of = |name: &'static str| samples.iter().filter(move |sample| sample.proxy == name);
    let its: Vec<&&Sample> = samples.iter().filter(|sample| sample.proxy == proxy).collect();
    let all = |value: &dyn Fn(&Sample) -> f64| median(its.iter().map(|sample| value(sample)));
    let ratio = median(of(OWN).zip(&its).map(|(own, other)| own.cpu_us / other.cpu_us));
    let added =
        |pick: fn((f64, f64)) -> f64| median(its.iter().filter_map(|sample| sample.added_ms.map(pick)));
    let added = match its.iter().any(|sample| sample.added_ms.is_some()) {
        true => format!("{:.2}, {:.2}", added(|pair| pair.0), added(|pair| pair.1)),
        false => "-".to_owned(),
    };
    format!(
        "| {what} | {proxy} | {} | {ratio:.2} | {added} | {:.1} | {:.2} |\n",
        number(all(&|sample| sample.cpu_us)),
        all(&|sample| sample.peak_kib as f64 / 1024.0),
        all(&|sample| sample.bodies)
    )
}
