//! From what is written to what is meant. Everything that can be wrong is looked at before anything is returned.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use lisp_wire::{EidPrefix, Rloc};
use pacao_core::config::{Config, Policy, Site, Sla, Slots, Statistic, User, Vm, Weights};
use proto::{SiteName, SlaName, Span, UserName, VmName};

use super::locate::{At, Step, dotted, locate};
use super::raw::{Entries, RawPolicy, RawSession, RawSite, RawSla, RawSlots, RawUser, RawVm};
use super::{Finding, MAP_SERVER, Session};

mod addresses;
mod lab;

use addresses::Addresses;

/// The only version of the format there is.
const VERSION: u32 = 1;

/// More findings than this help nobody.
const MAX_FINDINGS: usize = 50;

pub(super) fn session(text: &str, file: &str) -> Result<Session, Vec<Finding>> {
    let raw: RawSession = serde_yaml::from_str(text).map_err(|error| vec![shape(&error, file)])?;
    let mut doubts = Doubts {
        text,
        file,
        findings: Vec::new(),
        more: 0,
    };
    let session = convert(&raw, &mut doubts);
    match session {
        Some(session) if doubts.findings.is_empty() => Ok(session),
        _ => Err(doubts.finish()),
    }
}

/// The text is not YAML, or a field is missing, unknown or of the wrong kind: the parser tells one at a time.
fn shape(error: &serde_yaml::Error, file: &str) -> Finding {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    let told = error.to_string();
    let told = told
        .rsplit_once(" at line ")
        .map_or(told.as_str(), |(message, _)| message);
    // The parser puts the path before its own messages; the rest is a message about the whole.
    let (field, message) = match told.split_once(": ") {
        Some((path, message)) if !path.contains(' ') => (path, message),
        _ => ("", told),
    };
    let message = message
        .replace("expected f64", "expected a number")
        .replace("expected u32", "expected a whole number");
    Finding {
        file: file.into(),
        line,
        column,
        field: field.into(),
        message,
    }
}

/// What is wrong so far.
pub(super) struct Doubts<'a> {
    text: &'a str,
    file: &'a str,
    findings: Vec<Finding>,
    more: usize,
}

impl Doubts<'_> {
    /// Something is wrong with a field's value.
    fn value(&mut self, path: &[Step], message: impl Into<String>) {
        self.add(path, At::Value, message.into());
    }

    /// Something is wrong with a field's name.
    fn key(&mut self, path: &[Step], message: impl Into<String>) {
        self.add(path, At::Key, message.into());
    }

    /// The value, or `None` and a finding.
    fn good<T, E: ToString>(&mut self, path: &[Step], result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.value(path, error.to_string())).ok()
    }

    /// A number within bounds; the finding says which.
    fn within(&mut self, path: &[Step], number: f64, range: std::ops::RangeInclusive<f64>) {
        if !range.contains(&number) {
            let (low, high) = range.into_inner();
            self.value(path, format!("{number} is out of range: give {low} to {high}"));
        }
    }

    fn span(&mut self, path: &[Step], text: &str, range: (Span, Span)) -> Option<Span> {
        let span = self.good(path, Span::parse(text))?;
        if span < range.0 || span > range.1 {
            self.value(
                path,
                format!("{span} is out of range: give {} to {}", range.0, range.1),
            );
            return None;
        }
        Some(span)
    }

    fn add(&mut self, path: &[Step], at: At, message: String) {
        // Locating walks the text again, so their number is bounded first.
        if self.findings.len() == MAX_FINDINGS {
            self.more += 1;
            return;
        }
        let (line, column) = locate(self.text, path, at);
        let finding = Finding {
            file: self.file.into(),
            line,
            column,
            field: dotted(path),
            message,
        };
        self.findings.push(finding);
    }

    fn finish(mut self) -> Vec<Finding> {
        self.findings
            .sort_by_key(|finding| (finding.line, finding.column));
        if self.more > 0 {
            let message = format!("and {} more; mend the ones above first", self.more);
            self.findings.push(Finding {
                file: self.file.into(),
                line: 1,
                column: 1,
                field: String::new(),
                message,
            });
        }
        self.findings
    }
}

/// `at![users, name, vms]`: keys of a path, owned.
macro_rules! at {
    ($($step:expr),+ $(,)?) => { &[$($crate::session::check::step($step)),+] };
}
use at;

pub(super) fn step(key: impl Into<StepArg>) -> Step {
    key.into().0
}

pub(super) struct StepArg(Step);

impl From<&str> for StepArg {
    fn from(key: &str) -> Self {
        Self(Step::Key(key.to_owned()))
    }
}

impl From<&String> for StepArg {
    fn from(key: &String) -> Self {
        Self(Step::Key(key.clone()))
    }
}

impl From<usize> for StepArg {
    fn from(index: usize) -> Self {
        Self(Step::Index(index))
    }
}

fn convert(raw: &RawSession, doubts: &mut Doubts<'_>) -> Option<Session> {
    if raw.version != VERSION {
        let message = format!(
            "version {} is unknown: this build reads version {VERSION}",
            raw.version
        );
        doubts.value(at!["version"], message);
    }
    doubts.good(at!["name"], SiteName::new(&raw.name));
    let slots = slots(&raw.slots, doubts);
    let policy = policy(&raw.policy, doubts);
    let mut addresses = Addresses::default();
    let sla = slas(&raw.sla, doubts);
    let (sites, controls) = sites(raw, doubts, &mut addresses);
    let vms = vms(raw, doubts, &mut addresses);
    let users = users(raw, doubts, &mut addresses);
    let lab = match &raw.lab {
        None => None,
        Some(lab) => Some(lab::lab(lab, raw, doubts, &mut addresses)),
    };
    if let (Some(slots), Some(policy)) = (&slots, &policy) {
        calm(*slots, policy, doubts);
    }
    let config = Config {
        session: raw.name.clone(),
        mode: raw.mode,
        slots: slots?,
        sites,
        users,
        vms,
        sla,
        policy: policy?,
    };
    let lab = match lab {
        None => None,
        Some(lab) => Some(lab?),
    };
    Some(Session {
        name: raw.name.clone(),
        config,
        controls,
        lab,
    })
}

const MILLI: Span = Span::millis(1);
const DAY: Span = Span::secs(86_400);

fn slots(raw: &RawSlots, doubts: &mut Doubts<'_>) -> Option<Slots> {
    let decide = doubts.span(at!["slots", "decide"], &raw.decide, (MILLI, DAY));
    let settle = doubts.span(at!["slots", "settle"], &raw.settle, (MILLI, DAY));
    let probe = doubts.span(at!["slots", "probe"], &raw.probe, (Span::millis(10), DAY));
    let slots = Slots {
        decide: decide?,
        settle: settle?,
        probe: probe?,
    };
    if slots.settle >= slots.decide {
        let message = format!(
            "{} is not below slots.decide ({}): S'' must be shorter than S'",
            slots.settle, slots.decide
        );
        doubts.value(at!["slots", "settle"], message);
    }
    if slots.probe.micros().saturating_mul(2) > slots.decide.micros() {
        let message = format!(
            "{} leaves less than two probes in slots.decide ({})",
            slots.probe, slots.decide
        );
        doubts.value(at!["slots", "probe"], message);
    }
    Some(slots)
}

fn policy(raw: &RawPolicy, doubts: &mut Doubts<'_>) -> Option<Policy> {
    let mut span =
        |field: &str, text: &str, least: Span| doubts.span(at!["policy", field], text, (least, DAY));
    let proposal_ttl = span("proposal_ttl", &raw.proposal_ttl, MILLI);
    let cool_down = span("cool_down", &raw.cool_down, Span::ZERO);
    let confirm_within = span("confirm_within", &raw.confirm_within, MILLI);
    let stale_after = span("stale_after", &raw.stale_after, MILLI);
    let probe_timeout = span("probe_timeout", &raw.probe_timeout, MILLI);
    doubts.within(at!["policy", "gain_min"], raw.gain_min, 0.0..=1e6);
    doubts.within(at!["policy", "gain_min_share"], raw.gain_min_share, 0.0..=1.0);
    doubts.within(at!["policy", "down_after"], raw.down_after.into(), 1.0..=1000.0);
    doubts.within(at!["policy", "up_after"], raw.up_after.into(), 1.0..=1000.0);
    Some(Policy {
        proposal_ttl: proposal_ttl?,
        cool_down: cool_down?,
        gain_min: raw.gain_min,
        gain_min_share: raw.gain_min_share,
        confirm_within: confirm_within?,
        down_after: raw.down_after,
        up_after: raw.up_after,
        stale_after: stale_after?,
        probe_timeout: probe_timeout?,
    })
}

/// Limits that only make sense together.
fn calm(slots: Slots, policy: &Policy, doubts: &mut Doubts<'_>) {
    // Between two probes nothing is heard: figures must not be called stale for that.
    if policy.stale_after <= slots.probe {
        let message = format!(
            "{} must be longer than slots.probe ({})",
            policy.stale_after, slots.probe
        );
        doubts.value(at!["policy", "stale_after"], message);
    }
}

fn slas(raw: &Entries<RawSla>, doubts: &mut Doubts<'_>) -> BTreeMap<SlaName, Sla> {
    if raw.0.is_empty() {
        doubts.value(at!["sla"], "there is no SLA class: give at least one");
    }
    let mut slas = BTreeMap::new();
    for (name, sla) in &raw.0 {
        let known = SlaName::new(name).map_err(|error| doubts.key(at!["sla", name], error.to_string()));
        let bounds = [("rtt_ms", sla.bounds.rtt_ms), ("jitter_ms", sla.bounds.jitter_ms)];
        for (field, bound) in bounds {
            doubts.within(at!["sla", name, "bounds", field], bound, 0.0..=60_000.0);
        }
        doubts.within(
            at!["sla", name, "bounds", "loss_pct"],
            sla.bounds.loss_pct,
            0.0..=100.0,
        );
        let Weighted { rtt, jitter, loss } = weights(sla, name, doubts);
        let statistic = statistic(&sla.statistic);
        let statistic = doubts.good(at!["sla", name, "statistic"], statistic);
        if let (Ok(known), Some(statistic)) = (known, statistic) {
            let weights = Weights { rtt, jitter, loss };
            let (rtt_ms, jitter_ms, loss_pct) =
                (sla.bounds.rtt_ms, sla.bounds.jitter_ms, sla.bounds.loss_pct);
            slas.insert(
                known,
                Sla {
                    rtt_ms,
                    jitter_ms,
                    loss_pct,
                    weights,
                    statistic,
                },
            );
        }
    }
    slas
}

struct Weighted {
    rtt: f64,
    jitter: f64,
    loss: f64,
}

/// Thesis (5.1): each alpha lies in 0 to 1 and together they are 1.
fn weights(sla: &RawSla, name: &String, doubts: &mut Doubts<'_>) -> Weighted {
    let Weighted { rtt, jitter, loss } = Weighted {
        rtt: sla.weights.rtt,
        jitter: sla.weights.jitter,
        loss: sla.weights.loss,
    };
    for (field, weight) in [("rtt", rtt), ("jitter", jitter), ("loss", loss)] {
        doubts.within(at!["sla", name, "weights", field], weight, 0.0..=1.0);
    }
    let sum = rtt + jitter + loss;
    if (sum - 1.0).abs() > 1e-6 {
        let sum = (sum * 1e6).round() / 1e6;
        doubts.value(
            at!["sla", name, "weights"],
            format!("the weights sum to {sum}, not to 1"),
        );
    }
    Weighted { rtt, jitter, loss }
}

fn statistic(text: &str) -> Result<Statistic, String> {
    let quantile = || {
        let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
        (percent > 0.0 && percent < 100.0).then_some(Statistic::Quantile(percent / 100.0))
    };
    match text {
        "mean" => Ok(Statistic::Mean),
        "worst" => Ok(Statistic::Worst),
        _ => quantile()
            .ok_or_else(|| format!("'{text}' is no statistic: give mean, worst, or a quantile such as p95")),
    }
}

fn sites(
    raw: &RawSession,
    doubts: &mut Doubts<'_>,
    addresses: &mut Addresses,
) -> (BTreeMap<SiteName, Site>, BTreeMap<SiteName, PathBuf>) {
    if raw.sites.0.is_empty() {
        doubts.value(at!["sites"], "there is no data centre: give at least one");
    }
    let (mut sites, mut controls) = (BTreeMap::new(), BTreeMap::new());
    for (name, site) in &raw.sites.0 {
        let known = SiteName::new(name)
            .map_err(|error| doubts.key(at!["sites", name], error.to_string()))
            .ok();
        if name == MAP_SERVER {
            doubts.key(
                at!["sites", name],
                "this name is kept for the lab's Map-Server; take another",
            );
        }
        let RawSite { label, rloc, control } = site;
        let place = at!["sites", name, "rloc"];
        let rloc = address(rloc, place, doubts);
        if let Some(rloc) = rloc {
            addresses.rloc(rloc, place, doubts);
        }
        let control = control_path(control.as_deref(), raw, name, doubts);
        if let (Some(known), Some(rloc)) = (known, rloc) {
            let label = label.clone().unwrap_or_else(|| name.clone());
            sites.insert(known.clone(), Site { label, rloc });
            controls.extend(control.map(|path| (known, path)));
        }
    }
    (sites, controls)
}

fn control_path(
    given: Option<&str>,
    raw: &RawSession,
    name: &String,
    doubts: &mut Doubts<'_>,
) -> Option<PathBuf> {
    match given {
        // A socket's address holds 108 bytes with the closing zero (unix(7)).
        Some(text) if text.len() > 107 => {
            doubts.value(
                at!["sites", name, "control"],
                "the path of a socket has at most 107 bytes",
            );
            None
        }
        Some(text) if text.starts_with('/') => Some(PathBuf::from(text)),
        Some(text) => {
            let message = format!("'{text}' is not an absolute path: give the forwarder's control socket");
            doubts.value(at!["sites", name, "control"], message);
            None
        }
        None if raw.lab.is_some() => None,
        None => {
            let message = "the field `control` is missing: without a `lab` part, each data centre names its forwarder's control socket";
            doubts.key(at!["sites", name], message);
            None
        }
    }
}

fn vms(raw: &RawSession, doubts: &mut Doubts<'_>, addresses: &mut Addresses) -> BTreeMap<VmName, Vm> {
    let mut vms = BTreeMap::new();
    for (name, RawVm { eid, home }) in &raw.vms.0 {
        let known = VmName::new(name)
            .map_err(|error| doubts.key(at!["vms", name], error.to_string()))
            .ok();
        let place = at!["vms", name, "eid"];
        let eid: Option<EidPrefix> = doubts.good(place, eid.parse());
        if let Some(eid) = eid {
            addresses.eid(eid, place, doubts);
        }
        let home = site_named(home, at!["vms", name, "home"], raw, doubts);
        if let (Some(known), Some(eid), Some(home)) = (known, eid, home) {
            vms.insert(known, Vm { eid, home });
        }
    }
    vms
}

fn users(raw: &RawSession, doubts: &mut Doubts<'_>, addresses: &mut Addresses) -> BTreeMap<UserName, User> {
    let mut users = BTreeMap::new();
    for (name, user) in &raw.users.0 {
        let known = UserName::new(name)
            .map_err(|error| doubts.key(at!["users", name], error.to_string()))
            .ok();
        if has(&raw.sites, name) || name == MAP_SERVER {
            let message = format!(
                "'{name}' is the name of another site; users and data centres share one list of names"
            );
            doubts.key(at!["users", name], message);
        }
        let RawUser {
            label,
            rloc,
            eid,
            sla,
            vms,
        } = user;
        let place = at!["users", name, "rloc"];
        let rloc = address(rloc, place, doubts);
        if let Some(rloc) = rloc {
            addresses.rloc(rloc, place, doubts);
        }
        let place = at!["users", name, "eid"];
        let eid: Option<EidPrefix> = doubts.good(place, eid.parse());
        if let Some(eid) = eid {
            addresses.eid(eid, place, doubts);
        }
        let sla = named(sla, &raw.sla, "SLA class", at!["users", name, "sla"], doubts);
        let sla = sla.and_then(|sla| SlaName::new(sla).ok());
        let mut entries = BTreeMap::new();
        for (vm, entry) in &vms.0 {
            if !has(&raw.vms, vm) {
                doubts.key(at!["users", name, "vms", vm], unknown("VM", vm, &raw.vms));
            }
            let entry = site_named(entry, at!["users", name, "vms", vm], raw, doubts);
            if let (Ok(vm), Some(entry)) = (VmName::new(vm), entry) {
                entries.insert(vm, entry);
            }
        }
        if let (Some(known), Some(rloc), Some(eid), Some(sla)) = (known, rloc, eid, sla) {
            let label = label.clone().unwrap_or_else(|| name.clone());
            users.insert(
                known,
                User {
                    label,
                    rloc,
                    eid,
                    sla,
                    vms: entries,
                },
            );
        }
    }
    users
}

fn address(text: &str, path: &[Step], doubts: &mut Doubts<'_>) -> Option<Rloc> {
    let message = format!("'{text}' is not an address: write it like 192.0.2.1 or 2001:db8::1");
    let address: IpAddr = doubts.good(path, text.parse().map_err(|_| message))?;
    if address.is_unspecified() || address.is_multicast() {
        doubts.value(path, format!("{address} cannot be the address of a single site"));
        return None;
    }
    Some(Rloc(address))
}

fn site_named(name: &str, path: &[Step], raw: &RawSession, doubts: &mut Doubts<'_>) -> Option<SiteName> {
    named(name, &raw.sites, "data centre", path, doubts).and_then(|name| SiteName::new(name).ok())
}

fn named<'n, T>(
    name: &'n str,
    among: &Entries<T>,
    what: &str,
    path: &[Step],
    doubts: &mut Doubts<'_>,
) -> Option<&'n str> {
    if has(among, name) {
        return Some(name);
    }
    doubts.value(path, unknown(what, name, among));
    None
}

fn has<T>(entries: &Entries<T>, name: &str) -> bool {
    entries.0.iter().any(|(known, _)| known == name)
}

fn unknown<T>(what: &str, name: &str, among: &Entries<T>) -> String {
    unknown_of(what, name, among.0.iter().map(|(known, _)| known.as_str()))
}

fn unknown_of<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 8;
    let known: Vec<&str> = known.collect();
    let mut list = known.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN {
        list.push_str(", ...");
    }
    let list = if list.is_empty() { "none".to_owned() } else { list };
    format!("no {what} is called '{name}'; known: {list}")
}
