//! A lab without root: in a user namespace of its own, as on a desktop.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const TESTBED: &str = env!("CARGO_BIN_EXE_testbed");
const STAND_IN: &str = env!("CARGO_BIN_EXE_stand-in");
const AS_NOBODY: &str = env!("CARGO_BIN_EXE_as-nobody");

fn session() -> String {
    format!("{}/../../sessions/table-5-1.yaml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn somebody_without_privilege_gets_a_whole_lab_with_the_session_s_round_trips() {
    let mut child = Command::new(AS_NOBODY)
        .args([TESTBED, STAND_IN, &session(), "--"])
        .args([
            "/mnt/testbed",
            "lab",
            "/mnt/table-5-1.yaml",
            "--forwarder",
            "/mnt/stand-in",
            "--echo",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().flush().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("privilege: UserNamespace"), "{text}");
    let paris = text
        .lines()
        .find(|line| line.starts_with("paris-001 telco "))
        .unwrap();
    let summary: serde_json::Value = serde_json::from_str(
        paris
            .split_once('{')
            .map(|(_, rest)| format!("{{{rest}"))
            .unwrap()
            .as_str(),
    )
    .unwrap();
    assert_eq!(
        (summary["sent"].as_u64(), summary["lost"].as_u64()),
        (Some(10), Some(0))
    );
    let rtt = summary["rtt_p50_ms"].as_f64().unwrap();
    assert!((37.0..45.0).contains(&rtt), "{rtt}");
    let directory = text
        .lines()
        .find_map(|line| line.strip_prefix("directory: "))
        .unwrap();
    assert!(!Path::new(directory).exists(), "{directory} is left behind");
}

#[test]
fn who_may_not_open_the_tun_device_is_told_what_to_do() {
    let output = Command::new(AS_NOBODY)
        .args(["--private-tun", TESTBED, STAND_IN, &session(), "--"])
        .args([
            "/mnt/testbed",
            "lab",
            "/mnt/table-5-1.yaml",
            "--forwarder",
            "/mnt/stand-in",
        ])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("cannot open /dev/net/tun: Permission denied"),
        "{text}"
    );
    assert!(text.contains("chmod 0666 /dev/net/tun"), "{text}");
}
