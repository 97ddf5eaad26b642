//! A session as it is written. Words are kept as text here, so that every wrong one can be told at once;
//! only [`super::check`] reads these types. They are written again, defaults and all, to be explained.

mod calm;

use std::fmt;
use std::marker::PhantomData;

use proto::Mode;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

pub(super) use calm::{
    RawAutonomy, RawBackoff, RawBudget, RawDamp, RawModeAt, RawRule, RawSelector, RawWhen, RawWindow,
};

/// A mapping in the order of the file; a key given twice is an error at the second one.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a session: sla, sites, vms, users and more")]
pub(super) struct RawSession {
    pub(super) version: u32,
    pub(super) name: String,
    #[serde(default)]
    pub(super) mode: Mode,
    pub(super) slots: RawSlots,
    #[serde(default)]
    pub(super) policy: RawPolicy,
    #[serde(default)]
    pub(super) sla: Entries<RawSla>,
    pub(super) sites: Entries<RawSite>,
    pub(super) vms: Entries<RawVm>,
    pub(super) users: Entries<RawUser>,
    pub(super) legs: Option<RawLegs>,
    pub(super) lab: Option<RawLab>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "slots: decide, settle, probe")]
pub(super) struct RawSlots {
    pub(super) decide: String,
    pub(super) settle: String,
    pub(super) probe: String,
}

/// Defaults are those of the thesis's first test bed, as `sessions/table-5-1.yaml` spells them out.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "policy: a mapping of its settings")]
pub(super) struct RawPolicy {
    pub(super) proposal_ttl: String,
    pub(super) cool_down: String,
    pub(super) gain_min: f64,
    pub(super) gain_min_share: f64,
    pub(super) confirm_within: String,
    pub(super) prove_within: String,
    pub(super) down_after: u32,
    pub(super) up_after: u32,
    pub(super) stale_after: String,
    pub(super) probe_timeout: String,
    pub(super) hold: u32,
    pub(super) backoff: RawBackoff,
    pub(super) damp: RawDamp,
    pub(super) budget: RawBudget,
    pub(super) budgets: Entries<RawBudget>,
    pub(super) domains: Entries<Vec<String>>,
    pub(super) modes: Vec<RawModeAt>,
    pub(super) rules: Entries<RawRule>,
    pub(super) windows: Entries<RawWindow>,
    pub(super) autonomy: RawAutonomy,
}

impl Default for RawPolicy {
    fn default() -> Self {
        Self {
            proposal_ttl: "60s".into(),
            cool_down: "30m".into(),
            gain_min: 5.0,
            gain_min_share: 0.10,
            confirm_within: "10s".into(),
            prove_within: "60s".into(),
            down_after: 3,
            up_after: 3,
            stale_after: "5s".into(),
            probe_timeout: "2s".into(),
            hold: 1,
            backoff: RawBackoff::default(),
            damp: RawDamp::default(),
            budget: RawBudget::default(),
            budgets: Entries::default(),
            domains: Entries::default(),
            modes: Vec::new(),
            rules: Entries::default(),
            windows: Entries::default(),
            autonomy: RawAutonomy::default(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "an SLA class: bounds, weights and more")]
pub(super) struct RawSla {
    pub(super) bounds: RawBounds,
    pub(super) weights: RawWeights,
    #[serde(default = "mean")]
    pub(super) statistic: String,
    #[serde(default)]
    pub(super) dscp: u8,
    #[serde(default)]
    pub(super) statistics: RawStatistics,
    #[serde(default)]
    pub(super) hard: Vec<String>,
    pub(super) slots: Option<RawSlots>,
    pub(super) window: Option<String>,
    pub(super) down_after: Option<u32>,
    pub(super) up_after: Option<u32>,
    #[serde(default)]
    pub(super) bands: RawBands,
    pub(super) on_violation: Option<String>,
    pub(super) availability: Option<RawContract>,
}

/// What was agreed on as to availability.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a contract")]
pub(super) struct RawContract {
    pub(super) target_pct: f64,
    pub(super) per: String,
    #[serde(default = "points")]
    pub(super) unit: String,
    #[serde(default)]
    pub(super) penalties: Vec<RawPenalty>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a penalty")]
pub(super) struct RawPenalty {
    pub(super) below_pct: f64,
    pub(super) amount: u64,
}

fn points() -> String {
    "points".into()
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "statistics by criterion")]
pub(super) struct RawStatistics {
    pub(super) jitter: Option<String>,
    pub(super) loss: Option<String>,
    pub(super) availability: Option<String>,
}

/// Percent of a bound.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "bands by criterion")]
pub(super) struct RawBands {
    #[serde(rename = "warn_pct")]
    pub(super) warn: f64,
    #[serde(rename = "leave_pct")]
    pub(super) leave: f64,
    #[serde(rename = "enter_pct")]
    pub(super) enter: f64,
}

impl Default for RawBands {
    fn default() -> Self {
        Self {
            warn: 90.0,
            leave: 100.0,
            enter: 100.0,
        }
    }
}

fn mean() -> String {
    "mean".into()
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "bounds by criterion")]
pub(super) struct RawBounds {
    pub(super) rtt_ms: f64,
    pub(super) jitter_ms: f64,
    pub(super) loss_pct: f64,
    pub(super) availability_pct: Option<f64>,
    pub(super) ram_pct: Option<f64>,
    pub(super) cpu_pct: Option<f64>,
    pub(super) capacity_pct: Option<f64>,
    pub(super) isis_cost: Option<f64>,
    pub(super) price: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "weights by criterion")]
pub(super) struct RawWeights {
    pub(super) rtt: f64,
    pub(super) jitter: f64,
    pub(super) loss: f64,
    pub(super) availability: Option<f64>,
    pub(super) ram: Option<f64>,
    pub(super) cpu: Option<f64>,
    pub(super) capacity: Option<f64>,
    pub(super) isis_cost: Option<f64>,
    pub(super) price: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a data centre: label, rloc and more")]
pub(super) struct RawSite {
    pub(super) label: Option<String>,
    pub(super) rloc: String,
    pub(super) control: Option<String>,
    #[serde(default)]
    pub(super) capacity: RawCapacity,
    pub(super) price: Option<f64>,
    #[serde(default)]
    pub(super) isis_cost: Entries<u32>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "a capacity: ram_mb, cpu, users")]
pub(super) struct RawCapacity {
    pub(super) ram_mb: Option<u64>,
    pub(super) cpu: Option<f64>,
    pub(super) users: Option<u64>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "a demand: ram_mb, cpu")]
pub(super) struct RawDemand {
    pub(super) ram_mb: Option<u64>,
    pub(super) cpu: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a VM: eid, home and more")]
pub(super) struct RawVm {
    #[serde(default)]
    pub(super) demand: RawDemand,
    pub(super) shared: Option<String>,
    pub(super) eid: String,
    pub(super) home: String,
    pub(super) tenant: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a user: rloc, eid, sla, vms and more")]
pub(super) struct RawUser {
    pub(super) label: Option<String>,
    pub(super) rloc: String,
    pub(super) eid: String,
    pub(super) sla: String,
    pub(super) vms: Entries<String>,
    #[serde(default = "one")]
    pub(super) size: u32,
    pub(super) tenant: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

const fn one() -> u32 {
    1
}

/// The ways between data centres. What is not said is as the strictest class has it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(
    deny_unknown_fields,
    expecting = "legs: probe, timeout, down_after, up_after or measure"
)]
pub(super) struct RawLegs {
    #[serde(default = "yes")]
    pub(super) measure: bool,
    pub(super) probe: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) down_after: Option<u32>,
    pub(super) up_after: Option<u32>,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a lab: a mapping of its parts")]
pub(super) struct RawLab {
    pub(super) map_server: RawMapServer,
    #[serde(default)]
    pub(super) wan: RawWan,
    #[serde(default)]
    pub(super) fabric: RawFabric,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a Map-Server")]
pub(super) struct RawMapServer {
    pub(super) rloc: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "a wan: default, access, pairs")]
pub(super) struct RawWan {
    #[serde(rename = "default")]
    pub(super) other: RawShape,
    pub(super) pairs: Vec<RawPair>,
    pub(super) access: Entries<RawAccess>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "a fabric: default, pairs")]
pub(super) struct RawFabric {
    #[serde(rename = "default")]
    pub(super) other: RawShape,
    pub(super) pairs: Vec<RawPair>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default, expecting = "a line: rtt, jitter, loss_pct")]
pub(super) struct RawShape {
    pub(super) rtt: Option<String>,
    pub(super) jitter: Option<String>,
    pub(super) loss_pct: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a line between two data centres")]
pub(super) struct RawPair {
    pub(super) between: Vec<String>,
    // `flatten` would switch deny_unknown_fields off, so the fields of a shape stand here again.
    pub(super) rtt: Option<String>,
    pub(super) jitter: Option<String>,
    pub(super) loss_pct: Option<f64>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, expecting = "a line between a data centre and a user")]
pub(super) struct RawAccess {
    pub(super) rate: String,
    #[serde(default = "fair")]
    pub(super) queue: String,
    #[serde(default = "buffer")]
    pub(super) buffer: String,
}

fn fair() -> String {
    "fair".into()
}

fn buffer() -> String {
    "256KiB".into()
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

impl<T: Serialize> Serialize for Entries<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping from names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
        let mut entries: Vec<(String, T)> = Vec::new();
        while let Some(key) = map.next_key_seed(FreshKey { entries: &entries })? {
            let value = map.next_value()?;
            entries.push((key, value));
        }
        Ok(Entries(entries))
    }
}

/// Reads a key and refuses one that was there before; failing inside the key puts the error's mark on it.
struct FreshKey<'a, T> {
    entries: &'a [(String, T)],
}

impl<'de, T> DeserializeSeed<'de> for FreshKey<'_, T> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T> Visitor<'_> for FreshKey<'_, T> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<String, E> {
        if self.entries.iter().any(|(known, _)| known == key) {
            return Err(E::custom(format!(
                "'{key}' is given twice; rename or remove one of them"
            )));
        }
        Ok(key.to_owned())
    }
}
