//! What a person meets in files and words before anything runs: help, wrong words, broken sessions, records.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use system_tests::product::pacao;

fn run(mut command: Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, text)
}

fn workspace(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_is_shipped_is_good() {
    let mut files = Vec::new();
    for folder in ["sessions", "layouts"] {
        for entry in std::fs::read_dir(workspace(folder)).unwrap() {
            files.push(entry.unwrap().path());
        }
    }
    assert!(files.len() >= 4, "{files:?}");
    let mut command = pacao(["check"]).unwrap();
    command.args(&files);
    let (output, text) = run(command);
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_broken_session_is_named_by_line_and_field_and_exits_1() {
    let text = std::fs::read_to_string(workspace("sessions/table-5-1.yaml")).unwrap();
    let broken = text.replace("home: telco }", "home: nowhere }");
    assert_ne!(broken, text);
    let line = 1 + broken.lines().position(|line| line.contains("nowhere")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.yaml");
    std::fs::write(&path, broken).unwrap();
    let (output, text) = run(pacao(["check", path.to_str().unwrap()]).unwrap());
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("broken.yaml:{line}:")), "{text}");
    assert!(
        text.contains("nowhere") && text.contains("telco"),
        "names what is wrong and what would do: {text}"
    );
}

#[test]
fn every_knob_in_force_is_told_with_its_source() {
    let path = workspace("sessions/two-sites.yaml");
    let (output, text) = run(pacao(["check", "--explain", &path]).unwrap());
    assert!(output.status.success(), "{text}");
    let row = |field: &str| -> Vec<String> {
        let mut rows = text
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned));
        let found = rows.find_map(|mut words| (words.next()? == field).then(|| words.collect()));
        found.unwrap_or_else(|| panic!("no {field}: {text}"))
    };
    let line = |of: &str| {
        let session = std::fs::read_to_string(&path).unwrap();
        1 + session.lines().position(|line| line.contains(of)).unwrap()
    };
    assert_eq!(
        row("policy.cool_down"),
        ["10s".to_owned(), format!("{path}:{}", line("cool_down:"))]
    );
    assert_eq!(row("policy.hold"), ["1", "default"]);
    assert_eq!(row("sla.interactive.window"), ["4s", "as", "slots.decide"]);
    let (output, text) = run(pacao(["check", "--explain", "--json", &path]).unwrap());
    assert!(output.status.success(), "{text}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["findings"], serde_json::json!([]));
    let mut knobs = told["knobs"].as_array().unwrap().iter();
    let hold = knobs.find(|knob| knob["field"] == "policy.hold").unwrap();
    assert_eq!(hold["value"], 1);
    assert_eq!(hold["source"], serde_json::json!({ "from": "default" }));
}

#[test]
fn a_broken_session_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.yaml");
    std::fs::write(&path, "version: 1\nname: x\nnonsense: true\n").unwrap();
    let state = folder.path().join("state");
    let mut command = pacao(["serve"]).unwrap();
    command.arg(&path).arg("--state").arg(&state);
    let (output, text) = run(command);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("broken.yaml") && text.contains("nonsense"),
        "{text}"
    );
    assert!(!state.exists(), "nothing was made");
}

#[test]
fn wrong_words_get_help_and_exit_2() {
    for args in [
        vec!["fly"],
        vec!["ctl", "links", "--colour"],
        vec!["drill", "table-9-9"],
        vec!["demo", "--impair", "0"],
    ] {
        let mut command = pacao([]).unwrap();
        command.args(&args);
        let (output, text) = run(command);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(
            text.contains("--help") || text.contains("Usage"),
            "{args:?}: {text}"
        );
    }
}

#[test]
fn every_verb_has_help() {
    let (_, text) = run(pacao(["--help"]).unwrap());
    for verb in [
        "demo",
        "run",
        "serve",
        "attach",
        "ctl",
        "lab",
        "drill",
        "bench",
        "replay",
        "check",
        "forwarder",
    ] {
        assert!(text.contains(&format!("\n  {verb}")), "{verb} is not in: {text}");
        let (output, help) = run(pacao([verb, "--help"]).unwrap());
        assert!(output.status.success(), "{verb}: {help}");
        assert!(help.contains("Usage"), "{verb}: {help}");
    }
}

#[test]
fn asking_an_engine_that_does_not_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = pacao(["ctl", "links", "--state"]).unwrap();
    command.arg(folder.path());
    let (output, text) = run(command);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no engine of yours runs"), "{text}");
}

#[test]
fn a_console_without_a_terminal_says_what_to_use_instead() {
    let (output, text) = run(pacao(["run", &workspace("sessions/table-5-1.yaml")]).unwrap());
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("not a terminal") && text.contains("serve"),
        "{text}"
    );
}

#[test]
fn a_recording_that_was_changed_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.jsonl");
    std::fs::write(&path, "{\"format\":\"something else\"}\n").unwrap();
    let (output, text) = run(pacao(["replay", path.to_str().unwrap()]).unwrap());
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("record.jsonl") && text.contains("first line"),
        "{text}"
    );
}

/// Runs an engine whose forwarders are not there, until it has told its first line.
fn serve_once(session: &std::path::Path, state: &std::path::Path) {
    let mut serve = pacao(["serve", "--die-with-parent"]).unwrap();
    let serve = serve.arg(session).arg("--state").arg(state);
    let mut child = serve
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert!(first.contains("\"hello\""), "{first}");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn records_that_go_on_from_each_other_are_repeated_in_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let (session, state) = (folder.path().join("session.yaml"), folder.path().join("state"));
    let text = std::fs::read_to_string(workspace("sessions/two-sites.yaml")).unwrap();
    let text = text
        .replace(
            "rloc: 172.16.0.1 }",
            "rloc: 172.16.0.1, control: /nowhere/north.sock }",
        )
        .replace(
            "rloc: 172.16.0.2 }",
            "rloc: 172.16.0.2, control: /nowhere/south.sock }",
        );
    for decide in ["4s", "5s", "6s"] {
        std::fs::write(&session, text.replace("decide: 4s", &format!("decide: {decide}"))).unwrap();
        serve_once(&session, &state);
    }
    let record = state.join("two-sites/record.jsonl");
    let repeat = |arguments: &[&str]| {
        let mut command = pacao(["replay"]).unwrap();
        command.args(arguments).arg(&record);
        run(command)
    };
    let (output, text) = repeat(&[]);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("goes on from record-until-") && text.contains("--from-first repeats that as well"),
        "{text}"
    );
    let (output, text) = repeat(&["--from-first", "--json"]);
    assert!(output.status.success(), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let records = report["records"].as_array().unwrap();
    assert_eq!((records.len(), report["starts"].as_u64()), (3, Some(3)), "{text}");
    assert!(
        report["carried_from"].is_null() && report["identical"] == true,
        "{text}"
    );

    // Without the first of them it begins with the second, and says so; with a line less in that it does not fit.
    std::fs::remove_file(records[0].as_str().unwrap()).unwrap();
    let (output, text) = repeat(&["--from-first"]);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("2 file(s) in a row") && text.contains("which is not there"),
        "{text}"
    );
    let second = records[1].as_str().unwrap();
    let whole = std::fs::read_to_string(second).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    std::fs::write(second, lines[..lines.len() - 1].join("\n") + "\n").unwrap();
    let (output, text) = repeat(&["--from-first"]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("record.jsonl:2: ") && text.contains("another end of"),
        "{text}"
    );
}
