//! The gateway beside other reverse proxies: CPU a request, latency added, peak memory, each proxy in a process of its own.

mod cases;
mod load;
mod process;
mod reverse;
mod table;
mod targets;

use std::path::PathBuf;

use cases::{CASES, Case};
use load::Load;
use targets::{Kind, Target};

use crate::{Result, corpus, drive};

pub use reverse::serve;

/// What to run.
#[derive(Default)]
pub struct Options {
    /// Names of cases, separated by commas; default: all.
    pub cases: Option<String>,
    pub repetitions: usize,
    /// The command `polysight`.
    pub polysight: PathBuf,
    /// The command `litellm`; without it LiteLLM is left out.
    pub litellm: Option<PathBuf>,
}

/// What a repetition of one case through one proxy took.
pub struct Sample {
    case: &'static str,
    proxy: &'static str,
    /// Of the proxy's processes, a request, in microseconds.
    cpu_us: f64,
    /// Peak of resident memory over what was resident before, of all its processes.
    peak_kib: u64,
    /// So many bodies of a request that is in flight are that.
    bodies: f64,
    /// Time of a request over that of one straight to the upstream, p50 and p99, in milliseconds; at half of the proxy's load.
    added_ms: Option<(f64, f64)>,
    requests_per_second: f64,
}

/// Measures and prints.
pub fn drive(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let upstream = drive::Server::start(folder.path())?;
    let chosen = |case: &&Case| {
        options.cases.as_ref().is_none_or(|names| names.split(',').any(|name| name == case.name))
    };
    let mut samples = Vec::new();
    for repetition in 0..options.repetitions {
        for case in CASES.iter().filter(chosen) {
            let mut kinds = Kind::all(options);
            let first = repetition % kinds.len();
            kinds.rotate_left(first);
            for kind in kinds {
                let target = Target::start(kind, case, upstream.plain(), folder.path(), options)?;
                let sample = measure(case, &target, upstream.plain())?;
                eprintln!("{}", table::line(&sample));
                samples.push(sample);
            }
        }
    }
    print!("{}", table::markdown(&samples));
    Ok(())
}

fn measure(case: &'static Case, target: &Target, upstream: &str) -> Result<Sample> {
    let body = case.body(&corpus::jpeg(case.picture_bytes));
    let through = Load::new(&target.address, &target.path, &body);
    let direct = Load::new(upstream, &format!("/{}/chat/completions", case.segment()), &body);
    let requests = if target.kind == Kind::LiteLlm { case.few } else { case.requests };
    // Connections and what is made at the first use.
    through.closed(case.in_flight.min(4), case.in_flight.min(8))?;
    let before = target.usage()?;
    target.forget_peak();
    let took = through.closed(case.in_flight, requests)?;
    let after = target.usage()?;
    let requests_per_second = requests as f64 / took.as_secs_f64();
    let added_ms = if case.is_paced {
        let rate = requests_per_second / 2.0;
        let (own, without) = (through.paced(rate, requests)?, direct.paced(rate, requests)?);
        Some((own.0 - without.0, own.1 - without.1))
    } else {
        None
    };
    let peak_kib = after.peak_kib.saturating_sub(before.resident_kib);
    Ok(Sample {
        case: case.name,
        proxy: target.kind.name(),
        cpu_us: (after.cpu_us - before.cpu_us) as f64 / requests as f64,
        peak_kib,
        bodies: peak_kib as f64 * 1024.0 / (body.len() * case.in_flight.min(requests)) as f64,
        added_ms,
        requests_per_second,
    })
}
