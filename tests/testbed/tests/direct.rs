//! Two sites on a plain cable. Needs root.

use std::process::Command;

#[test]
fn hosts_on_a_plain_cable_reach_each_other_without_loss() {
    let output = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .arg("direct")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let echoed = lines.iter().find(|line| line["traffic"] == "echoed").unwrap();
    assert_eq!(
        (echoed["sent"].as_u64(), echoed["lost"].as_u64()),
        (Some(50), Some(0))
    );
    let downloaded = lines.last().unwrap();
    assert!(downloaded["broke"].is_null());
    // Far more than any shaped line would let through.
    assert!(downloaded["bytes"].as_u64().unwrap() > 50_000_000, "{downloaded}");
}
