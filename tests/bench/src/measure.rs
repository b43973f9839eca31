//! One case with one client, in a process of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cases::Case;
use crate::clients::{Client, Question, Sink};
use crate::{Result, alloc, tls, usage};

/// What a repetition took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    /// Requests or deltas.
    pub units: u64,
    /// Requests whose text was not the text that was sent.
    pub wrong: u64,
    pub cpu_us: u64,
    pub wall_us: u64,
    /// Peak of resident memory over what was resident before.
    pub peak_kib: u64,
    pub allocations: Option<u64>,
    pub allocated_bytes: Option<u64>,
    /// Median time from the server's write of the first delta to the caller.
    pub first_us: Option<f64>,
}

/// Runs a case's requests.
pub fn measure<C: Client>(case: &Case, base: &str, folder: &Path, counts: bool) -> Result<Sample> {
    let mut builder = if case.in_flight > 1 {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2);
        builder
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder.enable_all().build()?;
    let ca = base.starts_with("https").then(|| folder.join(tls::CA_FILE));
    let run = Run {
        client: C::new(&format!("{base}/{}/v4", case.scenario.segment()), ca.as_deref())?,
        warm_up: case.warm_up(folder),
        question: case.question(folder),
        expected: case.expected(),
        is_streamed: case.is_streamed(),
        left: AtomicUsize::new(case.requests),
    };
    runtime.block_on(run_case(case, Arc::new(run), counts))
}

struct Run<C> {
    client: C,
    warm_up: Question,
    question: Question,
    expected: Option<String>,
    is_streamed: bool,
    left: AtomicUsize,
}

/// What one request gave.
#[derive(Default)]
struct Outcome {
    deltas: u64,
    wrong: u64,
    first_us: Vec<f64>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.deltas += other.deltas;
        self.wrong += other.wrong;
        self.first_us.extend(other.first_us);
    }
}

async fn run_case<C: Client>(case: &Case, run: Arc<Run<C>>, counts: bool) -> Result<Sample> {
    // The connection, the blocks and what is made at the first use: not what is measured.
    for _ in 0..3 {
        run.once(&run.warm_up).await?;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let resident = usage::resident_kib()?;
    usage::forget_peak()?;
    if counts {
        alloc::start();
    }
    let (cpu, started) = (usage::cpu_us()?, Instant::now());
    let mut outcome = Outcome::default();
    if case.in_flight == 1 {
        outcome = run.several().await?;
    } else {
        let workers: Vec<_> = (0..case.in_flight)
            .map(|_| {
                let run = Arc::clone(&run);
                tokio::spawn(async move { run.several().await })
            })
            .collect();
        for worker in workers {
            outcome.add(worker.await??);
        }
    }
    let (cpu_us, wall) = (usage::cpu_us()? - cpu, started.elapsed());
    let (allocations, allocated_bytes) = counts.then(alloc::stop).unzip();
    outcome.first_us.sort_by(f64::total_cmp);
    Ok(Sample {
        units: if case.unit() == "delta" { outcome.deltas } else { case.requests as u64 },
        wrong: outcome.wrong,
        cpu_us,
        wall_us: wall.as_micros() as u64,
        peak_kib: usage::peak_kib()?.saturating_sub(resident),
        allocations,
        allocated_bytes,
        first_us: outcome.first_us.get(outcome.first_us.len() / 2).copied(),
    })
}

impl<C: Client> Run<C> {
    /// Requests until none is left.
    async fn several(&self) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        {
            outcome.add(self.once(&self.question).await?);
        }
        Ok(outcome)
    }

    async fn once(&self, question: &Question) -> Result<Outcome> {
        if !self.is_streamed {
            let text = self.client.ask(question).await?;
            let wrong = self.expected.as_ref().is_some_and(|expected| *expected != text);
            return Ok(Outcome { wrong: wrong.into(), ..Outcome::default() });
        }
        let mut sink = Comparing { expected: self.expected.as_deref(), ..Comparing::default() };
        self.client.stream(question, &mut sink).await?;
        Ok(sink.outcome())
    }
}

/// Holds the pieces against what was sent, without keeping them.
#[derive(Default)]
struct Comparing<'a> {
    expected: Option<&'a str>,
    at: usize,
    is_wrong: bool,
    deltas: u64,
    first_us: Option<f64>,
}

impl Sink for Comparing<'_> {
    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.deltas += 1;
        let Some(expected) = self.expected else {
            let sent: Option<u64> = text.parse().ok();
            self.first_us = sent.map(|sent| usage::now_ns().saturating_sub(sent) as f64 / 1_000.0);
            self.is_wrong = sent.is_none();
            return;
        };
        let end = self.at + text.len();
        self.is_wrong |= expected.as_bytes().get(self.at..end) != Some(text.as_bytes());
        self.at = end;
    }
}

impl Comparing<'_> {
    fn outcome(self) -> Outcome {
        let is_short = self.at != self.expected.map_or(0, str::len);
        Outcome {
            deltas: self.deltas,
            wrong: (self.is_wrong || is_short || self.deltas == 0).into(),
            first_us: self.first_us.into_iter().collect(),
        }
    }
}
