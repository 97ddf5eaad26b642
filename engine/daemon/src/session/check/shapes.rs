//! Fields that are missing, unknown or of the wrong kind. The parser stops at the first; here each part of a session
//! is read by itself, so that one wrong part does not hide the others.

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use crate::session::Finding;
use crate::session::locate::{Step, fault};
use crate::session::raw::{
    RawAccess, RawMapServer, RawPair, RawPolicy, RawShape, RawSite, RawSla, RawSlots, RawUser, RawVm,
};

/// How one part is read.
#[derive(Clone, Copy)]
struct Probe {
    /// Whether its value alone is good: most are, and that costs no walk over the text.
    good: fn(&Value) -> bool,
    /// What is wrong with it, and where in the text.
    fault: fn(&str, &[Step]) -> Option<serde_yaml::Error>,
}

const fn probe<T: DeserializeOwned>() -> Probe {
    Probe {
        good: |value| T::deserialize(value).is_ok(),
        fault: fault::<T>,
    }
}

/// Parts of which there is one.
const SINGLE: [(&[&str], Probe); 5] = [
    (&["slots"], probe::<RawSlots>()),
    (&["policy"], probe::<RawPolicy>()),
    (&["lab", "map_server"], probe::<RawMapServer>()),
    (&["lab", "wan", "default"], probe::<RawShape>()),
    (&["lab", "fabric", "default"], probe::<RawShape>()),
];

/// Mappings and lists of parts.
const MANY: [(&[&str], Probe); 7] = [
    (&["sla"], probe::<RawSla>()),
    (&["sites"], probe::<RawSite>()),
    (&["vms"], probe::<RawVm>()),
    (&["users"], probe::<RawUser>()),
    (&["lab", "wan", "access"], probe::<RawAccess>()),
    (&["lab", "wan", "pairs"], probe::<RawPair>()),
    (&["lab", "fabric", "pairs"], probe::<RawPair>()),
];

/// As many parts that are wrong are told of; each costs a walk over the text.
const MAX_PARTS: usize = 500;

/// Everything of the wrong shape, `first` (what the parser said of the whole) among it, in the order of the file.
pub(super) fn all(
    text: &str,
    first: &serde_yaml::Error,
    told: impl Fn(&serde_yaml::Error) -> Finding,
) -> Vec<Finding> {
    let mut findings = vec![told(first)];
    // Not YAML, or a key given twice: nothing more can be said with certainty.
    if let Ok(whole) = serde_yaml::from_str::<Value>(text) {
        let faults = parts(&whole)
            .into_iter()
            .take(MAX_PARTS)
            .filter_map(|(path, probe)| (probe.fault)(text, &path));
        findings.extend(faults.map(|error| told(&error)));
    }
    findings.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
    findings.dedup();
    findings
}

/// The parts that are not good.
fn parts(whole: &Value) -> Vec<(Vec<Step>, Probe)> {
    let mut parts = Vec::new();
    for (path, probe) in SINGLE {
        if under(whole, path).is_some_and(|value| !value.is_null() && !(probe.good)(value)) {
            parts.push((keys(path), probe));
        }
    }
    for (path, probe) in MANY {
        let steps: Vec<Step> = match under(whole, path) {
            Some(Value::Mapping(entries)) => entries
                .iter()
                .filter(|(_, value)| !(probe.good)(value))
                .filter_map(|(key, _)| key.as_str())
                .map(|key| Step::Key(key.to_owned()))
                .collect(),
            Some(Value::Sequence(items)) => (0..items.len())
                .filter(|&at| !(probe.good)(&items[at]))
                .map(Step::Index)
                .collect(),
            _ => Vec::new(),
        };
        for step in steps {
            let mut path = keys(path);
            path.push(step);
            parts.push((path, probe));
        }
    }
    parts
}

fn under<'v>(whole: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(whole, |value, key| value.get(key))
}

fn keys(path: &[&str]) -> Vec<Step> {
    path.iter().map(|key| Step::Key((*key).to_owned())).collect()
}
