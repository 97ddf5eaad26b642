//! Table 5.1, compressed ten times, judged by the drill's own checks.

use serde_json::Value;
use system_tests::product::pacao;

#[test]
fn table_5_1_holds_at_400_and_1000_ms_and_the_engine_may_be_killed() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let mut command = pacao([
        "drill",
        "table-5-1",
        "--impair",
        "400,1000",
        "--compress",
        "10",
        "--kill-engine",
        "--report",
    ])
    .unwrap();
    let output = command.arg(&report).arg("--json").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let whole: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    let failed: Vec<&Value> = whole["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["holds"] != true)
        .collect();
    assert!(
        failed.is_empty() && output.status.success(),
        "{failed:#?}\n{errors}"
    );
    assert_eq!(
        whole["runs"].as_array().unwrap().len(),
        6,
        "undisturbed, two impairments in two modes, engine killed"
    );
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(written, whole);
}
