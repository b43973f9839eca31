//! Third-party dependencies: their licences, versions and compilers, and those that must not be there.

use std::collections::{BTreeMap, BTreeSet};

use crate::metadata::resolved;

/// Licences under which a dependency may be used, as SPDX names them: permissive, each without a duty beyond notices.
/// MIT-0 is MIT without the notice. CDLA-Permissive-2.0 is a licence of data: that of Mozilla's list of authorities (feature `bundled-roots`).
const LICENCES: [&str; 12] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "Zlib",
    "BSL-1.0",
    "Unicode-3.0",
    "IJG",
    "CDLA-Permissive-2.0",
];

/// Crates that take long to build or whose types cross crates: one version of each.
const HEAVY: [&str; 21] = [
    "bytes",
    "h2",
    "http",
    "http-body",
    "hyper",
    "hyper-util",
    "image",
    "moka",
    "redis",
    "reqwest",
    "ring",
    "rustls",
    "rustls-webpki",
    "serde",
    "serde_json",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "toml",
    "tracing",
    "url",
];

/// Whether an SPDX expression leaves a choice of allowed licences. Cargo's old `/` is an `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    any_of(&mut rest) == Some(true) && rest.is_empty()
}

/// `None` where the expression is malformed.
fn any_of(tokens: &mut &[&str]) -> Option<bool> {
    let mut allowed = all_of(tokens)?;
    while next_is(tokens, "OR") {
        allowed |= all_of(tokens)?;
    }
    Some(allowed)
}

fn all_of(tokens: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(tokens)?;
    while next_is(tokens, "AND") {
        allowed &= one(tokens)?;
    }
    Some(allowed)
}

fn one(tokens: &mut &[&str]) -> Option<bool> {
    if next_is(tokens, "(") {
        let allowed = any_of(tokens)?;
        return next_is(tokens, ")").then_some(allowed);
    }
    let mut licence = (*tokens.split_off_first()?).to_owned();
    if next_is(tokens, "WITH") {
        licence = format!("{licence} WITH {}", tokens.split_off_first()?);
    }
    Some(LICENCES.contains(&licence.as_str()))
}

fn next_is(tokens: &mut &[&str], wanted: &str) -> bool {
    let is_next = tokens.first() == Some(&wanted);
    if is_next {
        tokens.split_off_first();
    }
    is_next
}

#[test]
fn a_licence_expression_is_read_as_spdx_has_it() {
    for allowed in [
        "MIT",
        "Apache-2.0/MIT",
        "GPL-3.0-only OR MIT",
        "(MIT OR GPL-2.0-only) AND Unicode-3.0",
        "Unlicense OR MIT",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT OR",
        "(MIT",
        "MIT MIT",
        "MIT AND (LGPL-3.0-only OR MPL-2.0)",
        "MIT WITH Some-exception",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let mut by_licence = BTreeMap::<String, usize>::new();
    let mut refused = Vec::new();
    for package in resolved() {
        // A package may name a file in place of an expression: then it must be read by hand.
        let licence = package["license"].as_str().unwrap_or_default();
        *by_licence.entry(licence.to_owned()).or_default() += 1;
        if !is_allowed(licence) {
            refused.push(format!("{} {}: `{licence}`", package["name"], package["version"]));
        }
    }
    for (licence, count) in &by_licence {
        println!("{count:>4} {licence}");
    }
    assert!(refused.is_empty(), "licences that are not allowed: {refused:#?}");
}

#[test]
fn no_dependency_brings_openssl() {
    let unwanted = ["openssl", "openssl-sys", "native-tls", "aws-lc-sys", "boring-sys"];
    for package in resolved() {
        let name = package["name"].as_str().unwrap_or_default();
        assert!(!unwanted.contains(&name), "{name} is a dependency");
    }
}

#[test]
fn heavy_crates_come_in_one_version() {
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in resolved() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    for heavy in HEAVY {
        // A crate that is gone leaves the list too.
        let found = versions.get(heavy).unwrap_or_else(|| panic!("{heavy} is no dependency any more"));
        assert_eq!(found.len(), 1, "{heavy} comes in several versions: {found:?}");
    }
}

#[test]
fn no_dependency_asks_for_a_newer_compiler_than_is_promised() {
    let version = |text: &str| {
        let mut parts = text.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let packages = resolved();
    let promised = packages
        .iter()
        .find(|package| package["name"] == "polysight")
        .and_then(|package| package["rust_version"].as_str())
        .expect("the facade states its compiler");
    for package in &packages {
        if let Some(wanted) = package["rust_version"].as_str() {
            assert!(version(wanted) <= version(promised), "{} wants Rust {wanted}", package["name"]);
        }
    }
}
