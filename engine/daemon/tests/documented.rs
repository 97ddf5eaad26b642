//! docs/session.md names every field a session has, and no other; sessions/policy.yaml uses every one.

// The helpers of tests are tests: they may unwrap.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

const SOURCES: [&str; 2] = [
    include_str!("../src/session/raw.rs"),
    include_str!("../src/session/raw/calm.rs"),
];
const PAGE: &str = include_str!("../../../docs/session.md");
const POLICY: &str = include_str!("../../../sessions/policy.yaml");

/// Where the fields of a struct stand on the page.
const SECTIONS: [(&str, &str); 32] = [
    ("RawSession", "The file"),
    ("RawSlots", "slots"),
    ("RawPolicy", "policy"),
    ("RawBackoff", "policy.backoff"),
    ("RawDamp", "policy.damp"),
    ("RawBudget", "policy.budget"),
    ("RawModeAt", "policy.modes"),
    ("RawRule", "policy.rules"),
    ("RawWindow", "policy.windows"),
    ("RawWhen", "policy.windows: deny and allow"),
    ("RawAutonomy", "policy.autonomy"),
    ("RawSelector", "Selectors"),
    ("RawSla", "sla"),
    ("RawBounds", "sla.CLASS.bounds"),
    ("RawWeights", "sla.CLASS.weights"),
    ("RawStatistics", "sla.CLASS.statistics"),
    ("RawBands", "sla.CLASS.bands"),
    ("RawContract", "sla.CLASS.availability"),
    ("RawPenalty", "sla.CLASS.availability.penalties"),
    ("RawSite", "sites"),
    ("RawCapacity", "sites.DC.capacity"),
    ("RawVm", "vms"),
    ("RawDemand", "vms.VM.demand"),
    ("RawUser", "users"),
    ("RawLegs", "legs"),
    ("RawLab", "lab"),
    ("RawMapServer", "lab.map_server"),
    ("RawWan", "lab.wan"),
    ("RawFabric", "lab.fabric"),
    ("RawShape", "Lines"),
    ("RawPair", "Lines of pairs"),
    ("RawAccess", "lab.wan.access"),
];

/// The fields of each struct, as sessions write them.
fn written() -> BTreeMap<String, BTreeSet<String>> {
    let mut structs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in SOURCES.iter().flat_map(|source| source.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == "struct") {
            structs.insert(words[at + 1].to_owned(), BTreeSet::new());
        }
    }
    structs.retain(|name, _| name.starts_with("Raw"));
    for source in SOURCES {
        for block in source.split("struct ").skip(1) {
            let name = block.split_whitespace().next().unwrap();
            let Some(fields) = structs.get_mut(name) else {
                continue;
            };
            let body = block.split("\n}").next().unwrap();
            let mut renamed = None;
            for line in body.lines().map(str::trim) {
                if let Some((_, rest)) = line.split_once("rename = \"") {
                    renamed = Some(rest.split('"').next().unwrap().to_owned());
                } else if let Some((field, _)) =
                    line.strip_prefix("pub(").and_then(|rest| rest.split_once(": "))
                {
                    let field = field.rsplit(' ').next().unwrap();
                    fields.insert(renamed.take().unwrap_or_else(|| field.to_owned()));
                }
            }
        }
    }
    structs
}

/// The first column of the table under each heading.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let sections = PAGE.split("\n#").skip(1).map(|section| {
        let heading = section.lines().next().unwrap().trim_matches(['#', ' ']);
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        let fields = rows.map(|row| row.split('`').next().unwrap().to_owned());
        (heading.to_owned(), fields.collect())
    });
    sections.collect()
}

#[test]
fn every_field_of_a_session_is_on_the_page_and_nothing_else() {
    let (written, documented) = (written(), documented());
    let known: BTreeSet<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    let structs: BTreeSet<&str> = written.keys().map(String::as_str).collect();
    assert_eq!(structs, known, "a part of sessions has no section, or is gone");
    for (name, heading) in SECTIONS {
        assert!(!written[name].is_empty(), "{name}");
        assert_eq!(
            documented.get(heading),
            Some(&written[name]),
            "docs/session.md, '{heading}', and {name}"
        );
    }
    let tables = documented.iter().filter(|(_, fields)| !fields.is_empty());
    let headings: BTreeSet<&str> = tables.map(|(heading, _)| heading.as_str()).collect();
    let expected: BTreeSet<&str> = SECTIONS.iter().map(|(_, heading)| *heading).collect();
    assert_eq!(
        headings, expected,
        "a table of fields that no part of a session has"
    );
}

#[test]
fn the_session_of_all_knobs_uses_every_one() {
    // As a key: at the beginning of a line or of a flow mapping, or after a comma.
    let used = |field: &str| {
        let code = POLICY.lines().map(|line| line.split(" #").next().unwrap());
        let mut starts = code.flat_map(|line| {
            line.match_indices(&format!("{field}:"))
                .map(|(at, _)| line[..at].trim_end_matches([' ', '-']).to_owned())
                .collect::<Vec<_>>()
        });
        starts.any(|before| before.is_empty() || before.ends_with(['{', ',']))
    };
    for (name, fields) in written() {
        for field in fields {
            // A lab makes the sockets itself.
            let elsewhere = (name.as_str(), field.as_str()) == ("RawSite", "control");
            assert!(
                elsewhere || used(&field),
                "sessions/policy.yaml has no {field} of {name}"
            );
        }
    }
}
