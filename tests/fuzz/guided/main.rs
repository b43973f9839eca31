//! One target under libFuzzer: the one that the binary is named after.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use polysight_fuzz::Target;

static TARGET: LazyLock<Target> =
    LazyLock::new(|| polysight_fuzz::find(env!("CARGO_BIN_NAME")).expect("a target of this name"));

fuzz_target!(|data: &[u8]| (TARGET.check)(data));
