//! The drills, judged by their own checks: Table 5.1, compressed, and a user whose router roams.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use serde_json::Value;
use system_tests::product::pacao;

/// Runs Table 5.1, requires every check to hold, and gives the modes of its runs.
fn drill(args: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let mut command = pacao(["drill", "table-5-1", "--json", "--report"]).unwrap();
    let output = command.arg(&report).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let whole: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    assert!(output.status.success(), "{:#?}\n{errors}", broken(&whole));
    assert!(broken(&whole).is_empty());
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(written, whole);
    whole["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["mode"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn at_400_ms_the_volume_is_held_and_the_engine_may_be_killed() {
    let modes = drill(&["--impair", "400", "--compress", "10", "--kill-engine"]);
    assert_eq!(modes, ["undisturbed", "legacy", "pacao1", "pacao1-engine-killed"]);
}

/// Compressed less: one round trip of the stressed link, which cannot be compressed, weighs more than S' otherwise.
#[test]
fn at_1000_ms_the_volume_is_held() {
    assert_eq!(
        drill(&["--impair", "1000", "--compress", "6"]),
        ["undisturbed", "legacy", "pacao1"]
    );
}

#[test]
fn a_user_s_router_roams_and_all_its_peers_follow() {
    let output = pacao(["drill", "roaming", "--moves", "2", "--json"])
        .unwrap()
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let whole: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    assert!(output.status.success(), "{:#?}\n{errors}", broken(&whole));
    assert!(broken(&whole).is_empty());
    assert_eq!(whole["moves"].as_array().unwrap().len(), 2);
}

/// The checks that do not hold.
fn broken(whole: &Value) -> Vec<&Value> {
    let checks = whole["checks"].as_array().unwrap();
    checks.iter().filter(|check| check["holds"] != true).collect()
}
