//! Starts the server and the clients, one process a case, in turns.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Serialize;

use crate::cases::{self, CASES, Case, Group};
use crate::measure::Sample;
use crate::{Result, table};

/// What to run.
pub struct Options {
    pub cases: Option<String>,
    pub repetitions: usize,
    pub json: Option<PathBuf>,
    pub instructions: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { cases: None, repetitions: 7, json: None, instructions: false }
    }
}

/// What was measured of one case with one client.
#[derive(Serialize)]
pub struct Measured {
    pub case: &'static str,
    pub unit: &'static str,
    pub client: &'static str,
    /// One a repetition; the same place is the same repetition for every client.
    pub samples: Vec<Sample>,
    /// A repetition of its own, with counting switched on.
    pub counted: Option<Sample>,
    /// Instructions a unit.
    pub instructions: Option<f64>,
}

/// Measures and prints.
pub fn drive(options: &Options) -> Result<()> {
    let chosen = chosen(options.cases.as_deref())?;
    if chosen.is_empty() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    cases::write_files(folder.path())?;
    let server = Server::start(folder.path())?;
    let run =
        |case: &Case, client: &str, more: &[&str]| one(server.base(case), folder.path(), case, client, more);
    let mut measured = Vec::new();
    for case in &chosen {
        eprintln!("{}: {}", case.name, case.what);
        for client in case.group.clients() {
            // What waits for its line is not worth a repetition of its own.
            let counted =
                if case.group == Group::Tls { None } else { Some(run(case, client, &["--counts"])?) };
            let instructions = if options.instructions && counted.is_some() && case.in_flight == 1 {
                instructions(server.base(case), folder.path(), case, client)
            } else {
                None
            };
            let (case, unit, samples) = (case.name, case.unit(), Vec::new());
            measured.push(Measured { case, unit, client, samples, counted, instructions });
        }
    }
    for repetition in 0..options.repetitions {
        eprintln!("repetition {} of {}", repetition + 1, options.repetitions);
        for case in &chosen {
            let mut turns: Vec<_> = measured.iter_mut().filter(|one| one.case == case.name).collect();
            // Who goes first changes.
            let first = repetition % turns.len();
            turns.rotate_left(first);
            for one in turns {
                one.samples.push(run(case, one.client, &[])?);
            }
        }
    }
    for group in Group::ALL {
        print!("{}", table::markdown(group, &chosen, &measured));
    }
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&measured)?)?;
    }
    Ok(())
}

fn chosen(names: Option<&str>) -> Result<Vec<&'static Case>> {
    match names {
        None => Ok(of_group(Group::Main)),
        Some("list") => {
            for case in CASES {
                println!("{:10} {}", case.name, case.what);
            }
            Ok(Vec::new())
        }
        Some(names) => match Group::ALL.into_iter().find(|group| group.name() == names) {
            Some(group) => Ok(of_group(group)),
            None => names.split(',').map(of_name).collect(),
        },
    }
}

fn of_group(group: Group) -> Vec<&'static Case> {
    CASES.iter().filter(|case| case.group == group).collect()
}

fn of_name(name: &str) -> Result<&'static Case> {
    cases::named(name).ok_or_else(|| format!("no case {name}: see --cases list").into())
}

/// The server that every client talks to.
pub struct Server {
    process: Child,
    plain: String,
    tls: String,
}

impl Server {
    pub fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = command.arg("--folder").arg(folder).arg("serve").stdout(Stdio::piped()).spawn()?;
        let mut ports = String::new();
        BufReader::new(process.stdout.take().ok_or("the server has no output")?).read_line(&mut ports)?;
        let (plain, tls) = ports.trim().split_once(' ').ok_or("the server names no ports")?;
        let (plain, tls) = (format!("http://127.0.0.1:{plain}"), format!("https://localhost:{tls}"));
        Ok(Self { process, plain, tls })
    }

    /// Where it speaks without TLS.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Where a case is answered.
    fn base(&self, case: &Case) -> &str {
        if case.group == Group::Tls { &self.tls } else { &self.plain }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn arguments(command: &mut Command, base: &str, folder: &Path, case: &Case, client: &str) {
    command.args([client, case.name, "--base", base]).arg("--folder").arg(folder).stderr(Stdio::piped());
}

/// One repetition. Text that is not what was sent ends the run.
fn one(base: &str, folder: &Path, case: &Case, client: &str, more: &[&str]) -> Result<Sample> {
    let mut command = Command::new(std::env::current_exe()?);
    arguments(&mut command, base, folder, case, client);
    let output = command.args(more).output()?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{client} fails at {}: {problem}", case.name).into());
    }
    let sample: Sample = serde_json::from_slice(&output.stdout)?;
    if sample.wrong > 0 {
        return Err(format!("{client} hands out another text than was sent in {}", case.name).into());
    }
    Ok(sample)
}

/// Instructions a unit by callgrind: the difference between a run and one of twice its length.
fn instructions(base: &str, folder: &Path, case: &Case, client: &str) -> Option<f64> {
    let requests = (case.requests / 4).max(1);
    let (few, few_units) = callgrind(base, folder, case, client, requests)?;
    let (many, many_units) = callgrind(base, folder, case, client, 2 * requests)?;
    Some(many.checked_sub(few)? as f64 / many_units.checked_sub(few_units)?.max(1) as f64)
}

fn callgrind(base: &str, folder: &Path, case: &Case, client: &str, requests: usize) -> Option<(u64, u64)> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe().ok()?);
    arguments(&mut command, base, folder, case, client);
    let output = command.arg("--requests").arg(requests.to_string()).output().ok()?;
    let sample: Sample = serde_json::from_slice(&output.stdout).ok()?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = log.split("Collected :").nth(1)?.split_whitespace().next()?.parse().ok()?;
    Some((collected, sample.units))
}
