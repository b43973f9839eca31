//! Which crate may know which, and what must not come along.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(arguments)
        .arg("--locked")
        .arg("--offline")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// The platform that this runs on, such as `x86_64-unknown-linux-gnu`.
fn host() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc prints UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

/// The crates of this workspace that each of them depends on, tests left out.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version=1", "--no-deps"]))
        .expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let normal = dependencies.filter(|dependency| dependency["kind"] != "dev");
            let own = normal
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|name| names.contains(name));
            (package["name"].as_str().unwrap_or_default().to_owned(), own.map(str::to_owned).collect())
        })
        .collect()
}

const VENDORS: [&str; 3] = ["polysight-zhipu", "polysight-qwen-vl", "polysight-ernie"];

#[test]
fn no_crate_knows_what_it_must_not() {
    let arrows = arrows();
    for (from, targets) in &arrows {
        for to in targets {
            let allowed = match from.as_str() {
                "polysight-core" | "polysight-emulator" => false,
                "polysight-wire" | "polysight-layers" | "polysight-media" => to == "polysight-core",
                "polysight" => {
                    ["polysight-core", "polysight-layers", "polysight-wire"].contains(&to.as_str())
                        || VENDORS.contains(&to.as_str())
                }
                name if VENDORS.contains(&name) => to == "polysight-wire" || to == "polysight-core",
                "polysight-examples" => to == "polysight" || to == "polysight-emulator",
                "polysight-tests" | "polysight-bench" | "polysight-fuzz" => true,
                other => panic!("{other} has no place in the plan of the house yet"),
            };
            assert!(allowed, "{from} must not know {to}");
        }
    }
    assert!(arrows.contains_key("polysight-core"), "the house was read");
}

#[test]
fn the_core_holds_no_http_client_and_no_runtime() {
    let tree = cargo(&["tree", "-p", "polysight-core", "-e", "normal", "--prefix", "none"]);
    for heavy in ["tokio", "reqwest", "hyper", "rustls", "http"] {
        let found = tree.lines().any(|line| line.split(' ').next() == Some(heavy));
        assert!(!found, "polysight-core pulls in {heavy}");
    }
}

#[test]
fn no_dependency_brings_openssl() {
    let tree = cargo(&["tree", "--workspace", "-e", "normal,build", "--prefix", "none"]);
    for crate_name in ["openssl", "openssl-sys", "native-tls"] {
        assert!(!tree.lines().any(|line| line.split(' ').next() == Some(crate_name)), "{crate_name}");
    }
}

#[test]
fn no_dependency_asks_for_a_newer_compiler_than_we_promise() {
    // Without the filter cargo wants the sources of every platform's crates, which a build does not fetch.
    let metadata = cargo(&["metadata", "--format-version=1", "--filter-platform", &host()]);
    let metadata: Value = serde_json::from_str(&metadata).expect("metadata is JSON");
    let version = |text: &str| {
        let mut parts = text.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let packages = metadata["packages"].as_array().expect("there are packages");
    let promised = packages
        .iter()
        .find(|package| package["name"] == "polysight")
        .and_then(|package| package["rust_version"].as_str())
        .expect("the facade states its compiler");
    for package in packages {
        if let Some(wanted) = package["rust_version"].as_str() {
            assert!(version(wanted) <= version(promised), "{} wants Rust {wanted}", package["name"]);
        }
    }
}
