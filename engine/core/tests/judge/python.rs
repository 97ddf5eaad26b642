//! Asks a program of tests/judge.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// The interpreter that has HiGHS; made at first use.
static PYTHON: LazyLock<String> = LazyLock::new(|| {
    let output = Command::new(folder().join("python")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "no judge, so nothing is shown: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
});

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/judge")
}

/// What the program of tests/judge says of `given`, which it reads from a file.
pub(crate) fn ask(program: &str, given: &Value) -> Value {
    let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    serde_json::to_writer(&mut file, given).unwrap();
    file.flush().unwrap();
    let output = Command::new(PYTHON.as_str())
        .arg(folder().join(program))
        .arg(file.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}{complaints}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{program}: {error} in {said}"))
}
