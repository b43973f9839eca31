//! Every target under plain `cargo test`: the same inputs on each run, mutated from the seeds in `corpus`.
//!
//! `POLYSIGHT_FUZZ_CASES` replaces how many inputs each target runs, `POLYSIGHT_FUZZ_SEED` which ones.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says so when something is wrong"
)]

mod mutation;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use polysight_fuzz::{TARGETS, Target, find};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

const CASES: &str = "POLYSIGHT_FUZZ_CASES";
const SEED: &str = "POLYSIGHT_FUZZ_SEED";

macro_rules! targets {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            run(find(stringify!($name)).expect("a target of this name"));
        })*
    };
}

targets! {
    sse zhipu_stream qwen_stream qwen_native_stream ernie_stream zhipu_reply qwen_reply qwen_native_reply ernie_reply
    stream_endings tool_call_pieces base64 picture video heif_items jpeg_segments mp4_boxes config interval zhipu_token
    ernie_signature redact plan client almost_json
}

#[test]
fn every_target_is_run_here_and_by_the_guided_fuzzer() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, TESTED);
    let manifest = fs::read_to_string(home().join("guided/Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"main.rs\"")), "{name}");
    }
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`: a number is wanted")))
}

/// The seeds of a target, in the order of their names; those of the folder of another target where it has none.
fn seeds(target: Target) -> Vec<Vec<u8>> {
    let folder = home().join("corpus").join(target.name);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no seed", target.name);
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn run(target: Target) {
    let seeds = seeds(target);
    for seed in &seeds {
        (target.check)(seed);
    }
    let cases = number(CASES).map_or(target.cases, |cases| cases.try_into().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let mut start = [7; 32];
    start[..8].copy_from_slice(&number(SEED).unwrap_or(0).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &start));
    let bytes = Cell::new(0);
    let result = runner.run(&mutation::inputs(seeds.len()), |input| {
        let data = input.apply(&seeds);
        bytes.set(bytes.get() + data.len());
        (target.check)(&data);
        Ok::<(), TestCaseError>(())
    });
    match result {
        Ok(()) => println!("{}: {} seeds, {cases} cases, {} bytes", target.name, seeds.len(), bytes.get()),
        Err(TestError::Fail(reason, input)) => {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.failed", target.name));
            let data = input.apply(&seeds);
            fs::write(&path, &data).unwrap();
            panic!(
                "{reason}\n{} bytes in {}: {}\n{input:?}",
                data.len(),
                path.display(),
                data.escape_ascii()
            );
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
