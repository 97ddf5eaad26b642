//! Sessions: good ones mean what they say, bad ones are told where.

// The helpers of tests are tests: they may unwrap.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use engine::Session;
use engine::session::{BitRate, ByteSize, Queue, check};
use pacao_core::config::{Calm, Legs, OnFailure, OnViolation, Shared, Statistic, When};
use proto::Span;
use proto::availability::Horizon;
use proto::proposal::Criterion;

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sessions");
    yaml_files(&folder)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_shipped_session_is_good() {
    let files = shipped();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert_eq!(check(&file).unwrap(), [], "{}", file.display());
    }
}

#[test]
fn table_5_1_says_what_the_thesis_says() {
    let file = shipped()
        .into_iter()
        .find(|path| path.ends_with("table-5-1.yaml"))
        .unwrap();
    let session = Session::read(&file).unwrap();
    assert_eq!(session.config.slots.decide, Span::secs(10));
    let vm = "vm-web-07".parse().unwrap();
    let entry = session.config.users["paris-001"].vms.get(&vm);
    assert_eq!(entry.unwrap().as_str(), "telco");
    let lab = session.lab.unwrap();
    assert_eq!(lab.wan.between("paris-001", "marilyn").rtt, Span::millis(35));
    assert_eq!(lab.wan.between("telco", "paris-001").rtt, Span::millis(37));
    assert_eq!(
        lab.wan.between("paris-001", "lyon-042").rtt,
        Span::millis(20),
        "the default"
    );
    assert_eq!(lab.fabric.between("telco", "marilyn").rtt, Span::millis(1));
    let line = lab.wan.access["paris-001"];
    assert_eq!(
        (line.rate, line.queue, line.buffer),
        (BitRate(8_000_000), Queue::Fair, ByteSize(262_144))
    );
}

#[test]
fn legs_are_watched_unless_the_session_says_otherwise() {
    let text = include_str!("../../../sessions/table-5-1.yaml");
    let legs = |block: &str| {
        let session = Session::parse(&format!("{block}{text}"), "s.yaml").unwrap();
        session.config.legs
    };
    assert_eq!(legs(""), None, "as the classes have it");
    let told = Legs {
        probe: Some(Span::secs(1)),
        down_after: Some(5),
        ..Legs::default()
    };
    assert_eq!(legs("legs: { probe: 1s, down_after: 5 }\n"), Some(told));
    assert!(!legs("legs: { measure: false }\n").unwrap().measure);
    let short = text.replace("decide: 10s,", "decide: 10s, ");
    let text = short.replace(
        "    statistic: mean ",
        "    window: 60s x 60\n    slots: { decide: 1h, settle: 5s, probe: 1s }\n    statistic: mean ",
    );
    let error = Session::parse(&format!("legs: {{ probe: 500ms }}\n{text}"), "s.yaml").unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("s.yaml:1:16: legs.probe: 500ms puts more than 4096 probes"),
        "{told}"
    );
}

#[test]
fn policy_is_read_with_the_defaults_operators_know() {
    let text = include_str!("../../../sessions/table-5-1.yaml");
    let bare = text.replace("  cool_down: 30s\n", "");
    let bare: String = bare
        .lines()
        .filter(|line| !line.starts_with("  budget:"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let config = Session::parse(&bare, "s.yaml").unwrap().config;
    assert_eq!(config.policy.cool_down, Span::secs(1800));
    assert_eq!(config.calm, Calm::default());
    let policy = "policy:
  hold: 3
  backoff: { factor: 3, max: 4h }
  damp: { half_life: 10m, reuse: 500 }
  budget: { concurrent: 4 }
  budgets:
    gold: { who: { users: [paris-*] }, per_hour: 3 }
  domains: { island: [telco, lip6] }
  modes: [{ user: paris-001, mode: auto }]
  rules:
    stay: { pin: [telco, lip6], who: { users: [paris-001], vms: [vm-*] } }
    nobody: { exclude: [telco], who: {} }
  windows:
    office: { deny: { days: [mon, fri], from: \"08:00\", to: \"18:30\" }, zone: Europe/Paris, on_failure: hold }
    works: { allow: { from: 2026-12-24 22:00, to: 2026-12-25 04:00 }, who: { sites: [telco] } }
  autonomy: { rise: [\"switch/*/interactive\", switch/rtt/interactive], min_actions: 30, back_off: 2h }
";
    let calm = Session::parse(&bare.replace("policy:\n", policy), "s.yaml")
        .unwrap()
        .config
        .calm;
    assert_eq!((calm.hold, calm.backoff.factor, calm.damp.reuse), (3, 3, 500));
    assert_eq!((calm.budget.concurrent, calm.budget.per_hour), (4, 12));
    assert_eq!(
        (calm.budgets[0].budget.per_hour, calm.budgets[0].budget.concurrent),
        (3, u32::MAX)
    );
    assert_eq!((calm.domains["island"].len(), calm.rules.len()), (2, 2));
    assert_eq!(
        calm.windows[0].when,
        When::Weekly {
            days: [0, 4].into(),
            from: 28_800,
            to: 66_600
        }
    );
    assert_eq!(calm.autonomy.rise.len(), 10, "{:?}", calm.autonomy.rise);
    assert_eq!(
        (calm.autonomy.min_actions, calm.autonomy.back_off),
        (30, Span::secs(7200))
    );
    assert_eq!(calm.autonomy.back_off_max, Span::secs(86_400));
    assert_eq!(calm.windows[0].on_failure, OnFailure::Hold);
    assert!(calm.windows[0].zone.shifts.len() > 90 && calm.windows[1].zone.shifts.len() == 1);
    let When::Once { from, to } = calm.windows[1].when else {
        panic!("{:?}", calm.windows[1])
    };
    assert_eq!((from, to - from), (1_798_149_600, 6 * 3600));
}

#[test]
fn every_bad_session_is_told_what_is_wrong_and_where() {
    let files = yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid"));
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let told = Session::parse(&text, &format!("{name}.yaml"))
            .expect_err(&name)
            .to_string();
        insta::assert_snapshot!(name, told);
    }
}

#[test]
fn a_session_that_is_not_there_is_an_error_and_not_a_finding() {
    let told = check(Path::new("/nonexistent/session.yaml"))
        .unwrap_err()
        .to_string();
    assert!(
        told.starts_with("/nonexistent/session.yaml: the session cannot be read"),
        "{told}"
    );
}

mod mutated {
    use super::Session;
    use proptest::prelude::*;

    const GOOD: &str = include_str!("../../../sessions/table-5-1.yaml");

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_change_of_the_text_makes_the_reader_panic(
            cuts in proptest::collection::vec((0..GOOD.len(), 0usize..12, "[ -~\n\t\u{e9}]{0,6}"), 1..6)
        ) {
            let mut text = GOOD.to_owned();
            for (start, length, put) in cuts {
                let mut start = start.min(text.len());
                while !text.is_char_boundary(start) { start -= 1; }
                let mut end = (start + length).min(text.len());
                while !text.is_char_boundary(end) { end += 1; }
                text.replace_range(start..end, &put);
            }
            let lines = text.lines().count().max(1) + 1;
            match Session::parse(&text, "mutated.yaml") {
                Ok(session) => prop_assert!(!session.config.sites.is_empty()),
                Err(engine::session::SessionError::Invalid { findings }) => {
                    prop_assert!(!findings.is_empty());
                    for finding in findings {
                        prop_assert!((1..=lines).contains(&finding.line), "{finding}");
                        prop_assert!(finding.column >= 1, "{finding}");
                    }
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }
}

#[test]
fn a_class_may_say_all_there_is_and_a_shipped_one_needs_no_definition() {
    let text = "
version: 1
name: rich
slots: { decide: 10s, settle: 5s, probe: 500ms }
policy: { prove_within: 90s }
sla:
  gold:
    bounds: { rtt_ms: 50, jitter_ms: 10, loss_pct: 1, availability_pct: 99.5, ram_pct: 80, capacity_pct: 90, isis_cost: 40, price: 3 }
    weights: { rtt: 0.4, jitter: 0.1, loss: 0.1, availability: 0.1, ram: 0.1, isis_cost: 0.1, price: 0.1 }
    statistic: trimmed10
    statistics: { jitter: p90, loss: worst, availability: median }
    hard: [ram, capacity, rtt]
    slots: { decide: 8s, settle: 2s, probe: 250ms }
    window: 30s x 4
    down_after: 3
    up_after: 10
    bands: { warn_pct: 80, leave_pct: 100, enter_pct: 90 }
    on_violation: best_of_worst(10%)
    availability:
      target_pct: 99.99
      per: month
      unit: EUR
      penalties: [{ below_pct: 99.99, amount: 100 }, { below_pct: 99, amount: 400 }]
sites:
  north: { rloc: 172.16.0.1, control: /run/north.sock, capacity: { ram_mb: 64000, cpu: 16, users: 500 }, price: 1.5, isis_cost: { south: 20 } }
  south: { rloc: 172.16.0.2, control: /run/south.sock, capacity: { ram_mb: 64000, users: 500 }, price: 1, isis_cost: { north: 20 } }
vms:
  web: { eid: 10.1.0.7/32, home: north, shared: p95, demand: { ram_mb: 4096, cpu: 2.5 } }
users:
  user-1: { rloc: 172.16.1.1, eid: 10.2.1.0/24, sla: gold, vms: { web: north } }
  user-2: { rloc: 172.16.1.2, eid: 10.2.2.0/24, sla: voice, vms: { web: south } }
";
    let config = Session::parse(text, "rich.yaml").unwrap().config;
    let gold = &config.sla["gold"];
    assert_eq!(gold.statistic, Statistic::Trimmed(0.1));
    assert_eq!(gold.terms.statistics.jitter, Statistic::Quantile(0.9));
    assert!((gold.terms.further[&Criterion::Unavailability].bound - 0.5).abs() < 1e-9);
    assert_eq!(gold.terms.hard.len(), 3);
    let window = gold.watch.window.unwrap();
    assert_eq!((window.part, window.parts), (Span::secs(30), 4));
    assert_eq!(gold.watch.slots.unwrap().probe, Span::millis(250));
    assert_eq!(gold.watch.on_violation, OnViolation::BestOfWorst(0.1));
    let contract = gold.terms.contract.as_ref().unwrap();
    assert_eq!(
        (contract.target.to_string().as_str(), contract.per),
        ("99.99%", Horizon::Month)
    );
    assert_eq!(
        (contract.unit.as_str(), contract.penalties[1].amount),
        ("EUR", 400)
    );
    assert_eq!(config.sla["voice"].dscp, 46, "shipped");
    assert_eq!(config.sla.len(), 2, "and only those that are named");
    assert_eq!(config.vms["web"].shared, Shared::Quantile(0.95));
    assert_eq!(config.sites["north"].offer.capacity.users, Some(500));
    assert_eq!(config.sites["north"].offer.isis_cost["south"], 20);
    assert_eq!(config.policy.prove_within, Span::secs(90));
    // What the engine writes down of it reads back the same.
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<pacao_core::Config>(&written).unwrap(),
        config
    );
}

#[test]
fn what_is_wrong_in_a_contract_is_told_with_its_place() {
    const GOOD: &str = include_str!("../../../sessions/table-5-1.yaml");
    let contract = "    availability:
      target_pct: 99.99
      per: fortnight
      unit: a,b
      penalties: [{ below_pct: 99.999, amount: 5 }, { below_pct: 99.999, amount: 5 }, { below_pct: 101, amount: 9 }]
";
    let (place, _) = GOOD.match_indices("    bounds:").next().unwrap();
    let text = format!("{}{contract}{}", &GOOD[..place], &GOOD[place..]);
    let Err(engine::session::SessionError::Invalid { findings }) = Session::parse(&text, "bad.yaml") else {
        panic!("it is wrong")
    };
    let told: Vec<String> = findings
        .iter()
        .map(|finding| format!("{}: {}", finding.field, finding.message))
        .collect();
    for want in [
        "per: 'fortnight' is no period: give week, month or year",
        "unit: give one word",
        "penalties[0].below_pct: 99.999% is above the target",
        "penalties[1].below_pct: 99.999% is not below the step before",
        "penalties[1].amount: 5 is not more than the step before",
        "penalties[2].below_pct: 101 is out of range: give 0 to 100",
    ] {
        assert!(told.iter().any(|line| line.contains(want)), "{want}: {told:#?}");
    }
}

/// A name that turns the line it stands in, or shows nothing, passes for another in the log.
#[test]
fn names_and_labels_hold_only_what_is_seen() {
    const GOOD: &str = include_str!("../../../sessions/two-sites.yaml");
    let text = GOOD
        .replacen(
            "  proposal_ttl: 30s",
            "  proposal_ttl: 30s\n  rules: { \"stay\\u202ehere\": { drain: [south] }, \" \": { drain: [north] } }",
            1,
        )
        .replacen("label: North", "label: \"No\\u200brth\"", 1);
    let Err(engine::session::SessionError::Invalid { findings }) = Session::parse(&text, "bad.yaml") else {
        panic!("it is wrong")
    };
    let told: Vec<String> = findings.iter().map(|finding| finding.message.clone()).collect();
    for want in [
        "no U+202E",
        "a name is not empty",
        "a label has 1 to 40 printable characters",
    ] {
        assert!(told.iter().any(|line| line.contains(want)), "{want}: {told:#?}");
    }
}
