//! The house keeps to its plan: who may depend on whom, and what may enter from outside.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The arrows of docs/ARCHITECTURE.md. Anything not listed is forbidden; `system-tests` may look at everything.
const ARROWS: &[(&str, &[&str])] = &[
    ("lisp-wire", &[]),
    ("proto", &["lisp-wire"]),
    ("pacao-core", &["proto", "lisp-wire"]),
    ("simulator", &["pacao-core", "proto"]),
    ("engine", &["pacao-core", "proto", "lisp-wire"]),
    ("datapath", &["lisp-wire"]),
    ("node", &["datapath", "lisp-wire", "proto"]),
    ("offload", &[]),
    (
        "pacao-forwarder",
        &["node", "datapath", "offload", "proto", "lisp-wire"],
    ),
    ("tui", &["proto"]),
    ("testbed", &["proto", "engine", "lisp-wire"]),
];

/// Crates that must stay free of I/O, clocks and runtimes.
const PURE: &[&str] = &[
    "lisp-wire",
    "proto",
    "pacao-core",
    "simulator",
    "datapath",
    "node",
];
const NOT_IN_PURE: &[&str] = &[
    "tokio",
    "tracing",
    "nix",
    "libc",
    "socket2",
    "mio",
    "chrono",
    "getrandom",
];

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn normal_dependencies(package: &Value) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().unwrap();
    let normal = dependencies.iter().filter(|d| d["kind"].is_null());
    normal.map(|d| d["name"].as_str().unwrap().to_owned()).collect()
}

fn ours(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let local = packages.iter().filter(|p| p["source"].is_null());
    local
        .map(|p| (p["name"].as_str().unwrap().to_owned(), normal_dependencies(p)))
        .collect()
}

#[test]
fn our_crates_depend_on_each_other_only_along_the_arrows() {
    let ours = ours(&metadata());
    let names: BTreeSet<&String> = ours.keys().collect();
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for (package, dependencies) in &ours {
        if matches!(package.as_str(), "system-tests" | "pacao") {
            continue;
        }
        let allowed = arrows
            .get(package.as_str())
            .unwrap_or_else(|| panic!("{package} has no row in ARROWS"));
        for dependency in dependencies.iter().filter(|d| names.contains(d)) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{package} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn pure_crates_know_neither_clock_nor_socket_nor_runtime() {
    let ours = ours(&metadata());
    for package in PURE {
        for banned in NOT_IN_PURE {
            assert!(
                !ours[*package].contains(*banned),
                "{package} must not depend on {banned}"
            );
        }
    }
}

#[test]
fn licences_bans_and_sources_are_as_deny_toml_says() {
    let policy = std::fs::read_to_string(workspace().join("deny.toml")).unwrap();
    let quoted = |section: &str| -> BTreeSet<String> {
        let body = policy.split(section).nth(1).unwrap().split("\n]").next().unwrap();
        body.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let licences = quoted("allow = [");
    let bans = quoted("deny = [");
    let metadata = metadata();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        assert!(!bans.contains(name), "{name} is banned in deny.toml");
        let Some(source) = package["source"].as_str() else {
            continue;
        };
        assert!(source.starts_with("registry+"), "{name} comes from {source}");
        let licence = package["license"]
            .as_str()
            .unwrap_or_else(|| panic!("{name} names no licence"));
        let licence = licence.replace('/', " OR ");
        let choices = licence
            .split(" OR ")
            .map(|choice| choice.trim_matches(|c| "() ".contains(c)));
        let mut parts = choices.map(|choice| {
            choice
                .split(" AND ")
                .all(|one| licences.contains(one.trim_matches(|c| "() ".contains(c))))
        });
        assert!(
            parts.any(|allowed| allowed),
            "{name} is licensed {licence}, which deny.toml does not allow"
        );
    }
}

#[test]
fn unsafe_code_stands_only_where_the_house_allows_it() {
    // An allocator that counts is unsafe by its trait; it is a test's.
    let allowed = [
        "forwarder/offload/",
        "tests/testbed/src/",
        "forwarder/datapath/tests/allocations.rs",
    ];
    let listing = Command::new("git")
        .args(["ls-files", "*.rs"])
        .current_dir(workspace())
        .output()
        .unwrap();
    let mut seen = BTreeSet::new();
    for file in String::from_utf8(listing.stdout).unwrap().lines() {
        let Ok(text) = std::fs::read_to_string(workspace().join(file)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if line.contains(concat!("unsafe", " {"))
                || line.trim_start().starts_with(concat!("unsafe", " impl"))
            {
                assert!(
                    allowed.iter().any(|place| file.starts_with(place)),
                    "{file}:{}: unsafe",
                    number + 1
                );
                seen.insert(file.to_owned());
            }
        }
    }
    let raw_socket_modules = seen
        .iter()
        .filter(|file| file.starts_with("tests/testbed/"))
        .count();
    assert!(
        raw_socket_modules <= 1,
        "one raw-socket module may be unsafe in the testbed: {seen:?}"
    );
}
