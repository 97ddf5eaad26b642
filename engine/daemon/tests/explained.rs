//! Every knob in force is told, with its value and where that comes from.

// The helpers of tests are tests: they may unwrap.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use engine::session::{Knob, SessionError, Source, explain};

const PAGE: &str = include_str!("../../../docs/session.md");

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../sessions")
        .join(name)
}

fn explained(text: &str) -> Vec<Knob> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.yaml");
    std::fs::write(&path, text).unwrap();
    explain(&path).unwrap()
}

fn source(knob: &Knob) -> String {
    match &knob.source {
        Source::File { line } => format!("line {line}"),
        Source::Default => "default".to_owned(),
        Source::As { field } => format!("as {field}"),
        Source::Shipped => "shipped".to_owned(),
    }
}

/// Value and source of a knob.
fn told<'a>(knobs: &'a [Knob], field: &str) -> (String, String) {
    let found: Vec<&'a Knob> = knobs.iter().filter(|knob| knob.field == field).collect();
    let [knob] = found.as_slice() else {
        panic!("{field}: {found:?}")
    };
    (knob.shown(), source(knob))
}

#[test]
fn the_smallest_session_is_explained_whole() {
    let knobs = explain(&shipped("two-sites.yaml")).unwrap();
    let lines: Vec<String> = knobs
        .iter()
        .map(|knob| format!("{}: {} ({})", knob.field, knob.shown(), source(knob)))
        .collect();
    insta::assert_snapshot!("two-sites-explained", lines.join("\n"));
}

#[test]
fn what_the_file_says_is_told_with_the_line_that_says_it() {
    let text = std::fs::read_to_string(shipped("policy.yaml")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let knobs = explain(&shipped("policy.yaml")).unwrap();
    let mut written = 0;
    for knob in &knobs {
        let Source::File { line } = knob.source else {
            continue;
        };
        let name = knob.field.rsplit('.').next().unwrap();
        assert!(
            lines[line - 1].contains(&format!("{name}:")),
            "{} is not in line {line}: {}",
            knob.field,
            lines[line - 1]
        );
        written += 1;
    }
    assert!(written > 150, "{written}");
    let once: BTreeSet<&str> = knobs.iter().map(|knob| knob.field.as_str()).collect();
    assert_eq!(once.len(), knobs.len(), "none is told twice");
}

/// The field with names of the session's own taken out.
fn shape(field: &str) -> String {
    let mut parts: Vec<&str> = field.split('.').collect();
    match parts.as_slice() {
        ["policy", "budgets", _, rest @ ..] => parts = [&["policy", "budget"], rest].concat(),
        ["policy", "domains" | "rules" | "windows", ..] => parts[2] = "*",
        ["sla" | "sites" | "vms" | "users", ..] if parts.len() > 1 => parts[1] = "*",
        _ => {}
    }
    parts.join(".")
}

/// What is explained is what is read, so a new knob shows here until the session uses it.
#[test]
fn the_session_of_all_knobs_leaves_none_at_its_default() {
    let knobs = explain(&shipped("policy.yaml")).unwrap();
    let of = |is_written: bool| -> BTreeSet<String> {
        let from = knobs
            .iter()
            .filter(|knob| matches!(knob.source, Source::File { .. }) == is_written);
        from.filter(|knob| knob.source != Source::Shipped)
            .map(|knob| shape(&knob.field))
            .collect()
    };
    let unused: Vec<String> = of(false).difference(&of(true)).cloned().collect();
    assert_eq!(unused, Vec::<String>::new());
}

const BARE: &str = "
version: 1
name: bare
slots: { decide: 10s, settle: 5s, probe: 500ms }
sla:
  gold:
    bounds: { rtt_ms: 50, jitter_ms: 10, loss_pct: 1, availability_pct: 99, ram_pct: 80, cpu_pct: 80, capacity_pct: 80, isis_cost: 10, price: 1 }
    weights: { rtt: 1, jitter: 0, loss: 0 }
sites:
  north: { rloc: 172.16.0.1, control: /run/north.sock }
vms:
  web: { eid: 10.1.0.7/32, home: north }
users:
  one: { rloc: 172.16.1.1, eid: 10.2.1.0/24, sla: gold, vms: { web: north } }
";

/// The defaults of the page under a heading, by field.
fn defaults(heading: &str) -> Vec<(String, String)> {
    let begins = format!("# {heading}\n");
    let section = PAGE.split("\n#").map(|section| section.trim_start_matches('#'));
    let section = section.map(|section| format!("#{section}"));
    let section = section.into_iter().find(|section| section.starts_with(&begins));
    let section = section.unwrap_or_else(|| panic!("no {heading}"));
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    });
    cells.collect()
}

#[test]
fn the_defaults_of_the_page_are_those_in_force() {
    let knobs = explained(BARE);
    let mut compared = 0;
    for (heading, path) in [
        ("policy", "policy"),
        ("policy.backoff", "policy.backoff"),
        ("policy.damp", "policy.damp"),
        ("policy.budget", "policy.budget"),
        ("policy.autonomy", "policy.autonomy"),
        ("sla", "sla.gold"),
        ("sla.CLASS.weights", "sla.gold.weights"),
        ("sla.CLASS.statistics", "sla.gold.statistics"),
        ("sla.CLASS.bands", "sla.gold.bands"),
        ("sites", "sites.north"),
        ("sites.DC.capacity", "sites.north.capacity"),
        ("vms", "vms.web"),
        ("vms.VM.demand", "vms.web.demand"),
        ("users", "users.one"),
    ] {
        for (field, default) in defaults(heading) {
            let field = format!("{path}.{field}");
            let known = knobs
                .iter()
                .filter(|knob| knob.field == field && knob.source == Source::Default);
            for knob in known {
                // 0.10 is 0.1, and what is worded is no value.
                let value = |text: &str| {
                    text.parse::<f64>()
                        .map_or(text.to_owned(), |number| number.to_string())
                };
                let worded = ["each its own", "nothing rises", "unknown"].contains(&default.as_str());
                assert!(
                    value(&default) == knob.shown() || (worded && knob.shown() == "none"),
                    "{field}: {default} on the page, {} in force",
                    knob.shown()
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 55, "{compared}");
}

#[test]
fn what_goes_by_another_knob_says_by_which() {
    let text = BARE
        .replace(
            "    weights:",
            "    slots: { decide: 4s, settle: 2s, probe: 200ms }\n    down_after: 2\n    weights:",
        )
        .replace(
            "users:\n",
            "policy: { up_after: 7 }\nusers:\n  two: { rloc: 172.16.1.2, eid: 10.2.2.0/24, sla: voice, vms: { web: north } }\n",
        );
    let knobs = explained(&text);
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    for (field, value, source) in [
        ("policy.up_after", "7", "line 15"),
        ("policy.down_after", "3", "default"),
        ("sla.gold.window", "4s", "as sla.gold.slots.decide"),
        ("sla.gold.down_after", "2", "line 9"),
        ("sla.gold.up_after", "7", "as policy.up_after"),
        ("sla.voice.slots.decide", "10s", "as slots.decide"),
        ("sla.gold.slots.decide", "4s", "line 8"),
        ("sla.voice.window", "10s", "as slots.decide"),
        ("sla.voice.statistic", "p95", "shipped"),
        ("sla.voice.bounds.rtt_ms", "300", "shipped"),
        ("sla.voice.dscp", "46", "shipped"),
        ("legs.probe", "200ms", "as sla.gold.slots.probe"),
        ("legs.down_after", "2", "as sla.gold.down_after"),
        ("legs.up_after", "7", "as policy.up_after"),
        ("legs.timeout", "2s", "as policy.probe_timeout"),
    ] {
        assert_eq!(told(&knobs, field), pair(value, source), "{field}");
    }
    let silent = explained(&text.replace("users:\n", "legs: { measure: false }\nusers:\n"));
    assert_eq!(told(&silent, "legs.measure"), pair("false", "line 16"));
    assert!(!silent.iter().any(|knob| knob.field == "legs.probe"));
}

#[test]
fn a_session_that_is_wrong_is_not_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.yaml");
    std::fs::write(&path, BARE.replace("home: north", "home: nowhere")).unwrap();
    assert!(matches!(explain(&path), Err(SessionError::Invalid { .. })));
}

#[test]
fn of_very_many_users_the_first_are_explained_and_the_others_counted() {
    use std::fmt::Write as _;
    let mut text = BARE.to_owned();
    for n in 0..150 {
        let _ = writeln!(
            text,
            "  u{n}: {{ rloc: 172.16.2.{n}, eid: 10.3.{n}.0/24, sla: gold, vms: {{ web: north }} }}"
        );
    }
    let knobs = explained(&text);
    let count = |part: &str| knobs.iter().filter(|knob| knob.field.starts_with(part)).count();
    assert_eq!(count("users."), 300, "a hundred of class, size and tags each");
    let (value, source) = told(&knobs, "users");
    assert_eq!(
        (value.as_str(), source.as_str()),
        ("51 more, not shown", "line 13")
    );
}

#[test]
fn names_of_digits_have_lines_too() {
    let text = std::fs::read_to_string(shipped("two-sites.yaml")).unwrap();
    let user = text
        .lines()
        .skip_while(|line| !line.starts_with("users:"))
        .nth(1)
        .unwrap();
    let name = user.trim().split(':').next().unwrap();
    let knobs = explained(&text.replace(name, "1001"));
    let written: Vec<&Knob> = knobs
        .iter()
        .filter(|knob| knob.field.starts_with("users.1001.") && matches!(knob.source, Source::File { .. }))
        .collect();
    assert!(!written.is_empty(), "{knobs:?}");
}
