//! Allowed dependencies between the crates of the workspace.

use std::collections::{BTreeMap, BTreeSet};

use crate::metadata::{cargo, members};

const VENDORS: [&str; 4] = ["polysight-zhipu", "polysight-qwen-vl", "polysight-ernie", "polysight-openai"];

/// Whether a crate of the workspace may depend on another one, dev-dependencies apart.
fn is_allowed(from: &str, to: &str) -> bool {
    match from {
        "polysight-core" | "polysight-emulator" => false,
        "polysight-wire" | "polysight-layers" | "polysight-media" | "polysight-tasks" => {
            to == "polysight-core"
        }
        vendor if VENDORS.contains(&vendor) => ["polysight-wire", "polysight-core"].contains(&to),
        "polysight" => {
            let shared = ["core", "wire", "layers", "media", "tasks"];
            to.strip_prefix("polysight-").is_some_and(|to| shared.contains(&to)) || VENDORS.contains(&to)
        }
        "polysight-gateway" => to == "polysight",
        "polysight-cli" => ["polysight", "polysight-gateway", "polysight-emulator"].contains(&to),
        "polysight-examples" => ["polysight", "polysight-emulator"].contains(&to),
        "polysight-testkit" | "polysight-tests" | "polysight-bench" | "polysight-fuzz" => true,
        other => panic!("{other} is not among the allowed dependencies yet"),
    }
}

/// The crates of the workspace that each of them depends on, dev-dependencies apart.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let members = members();
    let names: BTreeSet<&str> = members.iter().filter_map(|package| package["name"].as_str()).collect();
    members
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let own = dependencies
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|name| names.contains(name));
            (package["name"].as_str().unwrap_or_default().to_owned(), own.map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn crates_depend_on_allowed_crates_alone() {
    for (from, targets) in dependencies() {
        for to in targets {
            assert!(is_allowed(&from, &to), "{from} must not depend on {to}");
        }
    }
}

#[test]
fn the_core_holds_no_http_client_and_no_runtime() {
    let tree = cargo(&["tree", "-p", "polysight-core", "-e", "normal", "--prefix", "none"]);
    for heavy in ["tokio", "reqwest", "hyper", "rustls", "http"] {
        let found = tree.lines().any(|line| line.split(' ').next() == Some(heavy));
        assert!(!found, "polysight-core pulls in {heavy}");
    }
}
