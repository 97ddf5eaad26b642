//! The main job without hands, judged by its own checks; and its recording, repeated.

use std::process::Stdio;

use serde_json::Value;
use system_tests::product::pacao;

#[test]
fn a_link_degrades_the_engine_moves_the_user_and_the_record_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("demo.jsonl");
    let mut command = pacao([
        "demo",
        "--auto",
        "--headless",
        "--json",
        "--stress-after",
        "6",
        "--watch",
        "20",
        "--record",
    ])
    .unwrap();
    command
        .arg(&record)
        .env("XDG_STATE_HOME", folder.path())
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{errors}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = summary["checks"].as_array().unwrap();
    for name in [
        "proposed after the stress",
        "switched after the stress",
        "packets lost",
        "volume against a fixed RLOC",
    ] {
        let check = checks
            .iter()
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("no check '{name}'"));
        assert_eq!(check["holds"], true, "{check}");
    }

    let replay = |path: &std::path::Path| {
        let mut command = pacao(["replay", "--json"]).unwrap();
        let output = command.arg(path).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, text) = replay(&record);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(report["identical"], true);
    assert!(
        report["decisions"].as_u64().unwrap() > 0 && report["inputs"].as_u64().unwrap() > 100,
        "{text}"
    );

    // A record in which one sample was changed is no record.
    let changed = std::fs::read_to_string(&record)
        .unwrap()
        .replacen("\"rtt\":", "\"rtt\":1", 1);
    std::fs::write(&record, changed).unwrap();
    let (code, _) = replay(&record);
    assert_ne!(code, Some(0));
}
