//! What cargo says of the workspace, without the network.

use std::process::Command;

use serde_json::Value;

pub(crate) fn cargo(arguments: &[&str]) -> String {
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

/// The packages of the workspace.
pub(crate) fn members() -> Vec<Value> {
    packages(&["metadata", "--format-version=1", "--no-deps"])
}

/// All packages of a build for this platform, the workspace's own among them. Those of other platforms are not fetched by a
/// build, and cargo needs their sources.
pub(crate) fn resolved() -> Vec<Value> {
    packages(&["metadata", "--format-version=1", "--filter-platform", &host()])
}

fn packages(arguments: &[&str]) -> Vec<Value> {
    let metadata: Value = serde_json::from_str(&cargo(arguments)).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("there are packages").clone();
    assert!(packages.iter().any(|package| package["name"] == "polysight-core"), "the workspace was read");
    packages
}

/// The platform that this runs on, such as `x86_64-unknown-linux-gnu`.
fn host() -> String {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc prints UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}
