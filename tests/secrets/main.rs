//! No key and no picture is shown, whatever goes wrong: not in an error, a log, a span, a panic or any `Debug`. What is asked
//! stands in requests and answers, which are the program's own, and in errors and logs only where a vendor's own words repeat
//! it: the emulator repeats questions and no instructions, so that it is the instructions that are looked for.
//!
//! A test program of its own, since it collects what the whole process logs. Its keys, its picture and its question are made
//! of texts that stand nowhere else; everything that can be seen is recorded and searched at the end.
//! `cargo test -p polysight-tests --test secrets -- --nocapture` prints how much that was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that finds something else than it expects must stop, and the whole program is tests"
)]

mod call;
mod capture;
mod configs;
mod echo;
mod in_errors;
mod providers;
mod secret;

use std::path::Path;

use call::Caller;
use capture::Sort;
use echo::{Echo, Place};
use polysight::Role;
use polysight_emulator::{Emulator, Fault};
use polysight_testkit::calls::Way;
use providers::{SHORT, VENDORS, Vendor, emulator, host};
use secret::{ERNIE_KEY, PASSWORD, PICTURE};

/// An example of each fault that takes an argument; `CODE` is one of the vendor's. Waits are short.
const EXAMPLES: &[&str] = &[
    "status=400",
    "status=401:invalid_api_key:Incorrect API key provided",
    "status=429:1302:slow down|retry-after: 0",
    "status=503:busy:later|retry-after-ms: 2|x-should-retry: true",
    "code=CODE",
    "error-body-200=CODE",
    "flat-error-200=CODE",
    "redirect=http://127.0.0.1:1/?key=x",
    "huge-body=300000",
    "broken-json=fence",
    "delay=5",
    "delay-deltas=1",
    "slow-headers=1",
    "stall-between-deltas=1",
    "reset-during-upload=300",
    "reset-in-body=40",
    "truncate-after=60",
    "wrong-content-length=9",
    "wrong-content-length=-9",
    "split-every=40",
    "error-frame=data:0",
    "error-frame=data:2",
    "error-frame=event:1",
    "error-frame=bare:1",
    "huge-line=200000",
    "finish-reason=model_context_window_exceeded",
    "flag=1",
    "flag=3",
    "flag=4",
];

/// How many configs are refused, at least.
const BAD_CONFIGS: usize = 66;

/// All faults of the emulator, those that make a quota wait last.
fn faults(vendor: &Vendor) -> Vec<Fault> {
    let mut faults = Vec::new();
    for entry in Fault::catalogue() {
        let is_this = |example: &&&str| example.split('=').next() == Some(entry.name);
        let mut examples: Vec<String> =
            EXAMPLES.iter().filter(is_this).map(|example| example.replace("CODE", vendor.code)).collect();
        if entry.argument.is_empty() {
            examples.push(entry.name.to_owned());
        }
        assert!(!examples.is_empty(), "{}: no example", entry.name);
        faults.extend(examples.iter().map(|example| example.parse::<Fault>().unwrap()));
    }
    let teaches = |fault: &Fault| {
        matches!(
            fault,
            Fault::Code(_) | Fault::Status { .. } | Fault::ErrorBody200(_) | Fault::FlatError200(_)
        )
    };
    faults.sort_by_key(teaches);
    faults
}

/// How many of them a tour meets: bare in every way, and in one way behind layers.
fn faults_of_a_tour(vendor: &Vendor) -> usize {
    faults(vendor).len() * (Way::ALL.len() + 1)
}

/// What one vendor's tour came to.
#[derive(Default)]
struct Tour {
    faults: usize,
    answers: usize,
    failures: usize,
}

impl Tour {
    fn count(&mut self, good: bool) {
        if good { self.answers += 1 } else { self.failures += 1 }
    }
}

#[test]
fn no_key_and_no_picture_ever_shows() {
    capture::open();
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (tours, refused) = runtime.block_on(tours(folder.path()));
    drop(runtime);
    // From here on panics are the test's own.
    let _ = std::panic::take_hook();
    let search = capture::search();
    for (vendor, tour) in VENDORS.iter().zip(&tours) {
        let Tour { faults, answers, failures } = tour;
        println!("{:<15} {faults} faults: {answers} answers, {failures} failures", vendor.name);
        let wanted = faults_of_a_tour(vendor);
        assert!(faults * 4 > wanted * 3, "{}: {faults} of {wanted} faults were met", vendor.name);
        assert!(*answers > 20 && *failures > 100, "{}: {answers} answers, {failures} failures", vendor.name);
    }
    println!(
        "{} calls, {refused} bad configs; shown: {:?}; {} texts, {} lines, {} bytes apart from repetitions; {} found",
        call::calls(),
        search.times,
        search.texts,
        search.lines,
        search.bytes,
        search.found.len()
    );
    for sort in [Sort::Error, Sort::Panic, Sort::Setting, Sort::Request, Sort::Answer, Sort::Trace, Sort::Log]
    {
        assert!(search.times.contains_key(&sort), "{sort:?}: nothing was collected");
    }
    assert!(refused >= BAD_CONFIGS, "{refused} of {BAD_CONFIGS} bad configs were refused");
    assert!(search.found.is_empty(), "{} found:\n{}", search.found.len(), search.found.join("\n"));
}

/// All vendors at once, and configs that cannot be used.
async fn tours(folder: &Path) -> (Vec<Tour>, usize) {
    std::fs::write(folder.join("ernie.key"), format!("{ERNIE_KEY}\n")).unwrap();
    std::fs::write(folder.join("picture.png"), &*PICTURE).unwrap();
    let mut running = Vec::new();
    for vendor in &VENDORS {
        let folder = folder.to_path_buf();
        running.push(tokio::spawn(async move { tour(vendor, &folder).await }));
    }
    let refused = configs::read_bad_ones(folder);
    let mut tours = Vec::new();
    for tour in running {
        tours.push(tour.await.unwrap());
    }
    (tours, refused)
}

async fn tour(vendor: &Vendor, folder: &Path) -> Tour {
    let mut tour = Tour::default();
    let echo = Echo::start().await;
    for (role, layered) in [("bare", false), ("full", true)] {
        // One each, so that a fault that was left over teaches no quota.
        let good = emulator(true).await;
        let role = vendor.polysight(folder, &host(&good), &echo.url(), SHORT).role(role).unwrap();
        let caller = caller(&role, false, folder);
        ask_all_ways(vendor, "before all faults", &caller, &mut tour).await;
        with_faults(vendor, &good, &caller, layered, &mut tour).await;
        caller.refused(&format!("{}, refused", vendor.name)).await;
    }

    let other = emulator(false).await;
    let elsewhere = [
        ("wrong keys", host(&other), SHORT.to_owned()),
        ("no server", "http://127.0.0.1:1".to_owned(), SHORT.to_owned()),
        (
            "a proxy",
            "http://127.0.0.1:1".to_owned(),
            format!("{SHORT}\nproxy = \"http://me:{PASSWORD}@127.0.0.1:1\""),
        ),
    ];
    for (place, host, more) in elsewhere {
        let polysight = vendor.polysight(folder, &host, &echo.url(), &more);
        for role in ["bare", "full"] {
            let role = polysight.role(role).unwrap();
            ask_all_ways(vendor, place, &caller(&role, false, folder), &mut tour).await;
        }
    }

    let polysight = vendor.polysight(folder, &echo.url(), &echo.url(), SHORT);
    for role in ["bare", "full"] {
        let role = polysight.role(role).unwrap();
        let caller = caller(&role, true, folder);
        for place in Place::ALL {
            echo.at(place);
            ask_all_ways(vendor, &format!("{place:?} of an echo"), &caller, &mut tour).await;
        }
    }
    tour
}

fn caller<'c>(role: &'c Role, repeats: bool, folder: &Path) -> Caller<'c> {
    Caller { provider: role, repeats, file: folder.join("picture.png") }
}

async fn ask_all_ways(vendor: &Vendor, place: &str, caller: &Caller<'_>, tour: &mut Tour) {
    let place = format!("{}, {place}", vendor.name);
    for way in Way::ALL {
        tour.count(caller.call(&place, caller.question(), way).await);
    }
}

/// Meets every fault: bare in every way, behind layers in one way, twice for a layer that attempts again.
async fn with_faults(
    vendor: &Vendor,
    emulator: &Emulator,
    caller: &Caller<'_>,
    layered: bool,
    tour: &mut Tour,
) {
    for (number, fault) in faults(vendor).into_iter().enumerate() {
        let place = format!("{}, {fault}", vendor.name);
        let (ways, attempts) = match layered {
            false => (&Way::ALL[..], 1),
            true => (&Way::ALL[number % Way::ALL.len()..][..1], 2),
        };
        for way in ways {
            let wanted = emulator.load().faulty + attempts;
            (0..attempts).for_each(|_| emulator.script(fault.clone()));
            for _ in 0..attempts {
                if emulator.load().faulty < wanted {
                    tour.count(caller.call(&place, caller.question(), *way).await);
                }
            }
            tour.faults += usize::from(emulator.load().faulty == wanted);
        }
    }
}
