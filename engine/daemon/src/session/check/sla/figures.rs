//! Criteria that are not measured need figures: what a class weighs or enforces, every data centre and VM must tell. To the
//! engine a figure that is missing does not count, so that a weight on it would weigh nothing, or only somewhere.

use std::collections::BTreeMap;

use pacao_core::config::Sla;
use proto::SlaName;
use proto::proposal::Criterion;

use super::super::doubts::{Doubts, at};
use super::WORDS;
use crate::session::raw::{RawSession, RawSite, RawVm};

/// Whether a class that goes by a criterion finds its figures.
pub(in crate::session::check) fn figures(
    raw: &RawSession,
    slas: &BTreeMap<SlaName, Sla>,
    doubts: &mut Doubts<'_>,
) {
    for (word, criterion) in WORDS {
        let going_by = slas
            .iter()
            .find_map(|(name, sla)| Some(format!("class {name} {} {word}", goes_by(sla, criterion)?)));
        let Some(going_by) = going_by else { continue };
        for (name, site) in &raw.sites.0 {
            if let Some(field) = missing_at_site(site, criterion) {
                let message = format!("the field `{field}` is missing: {going_by}");
                doubts.key(at!["sites", name], message);
            }
            if criterion == Criterion::IsisCost {
                paths((name, site), raw, &going_by, doubts);
            }
        }
        for (name, vm) in &raw.vms.0 {
            if let Some(field) = missing_at_vm(vm, criterion) {
                let message = format!("the field `{field}` is missing: {going_by}; 0 if it takes none");
                doubts.key(at!["vms", name], message);
            }
        }
    }
}

fn goes_by(sla: &Sla, criterion: Criterion) -> Option<&'static str> {
    let weight = sla.terms.further.get(&criterion).map_or(0.0, |term| term.weight);
    match (weight > 0.0, sla.terms.hard.contains(&criterion)) {
        (true, _) => Some("weighs"),
        (false, true) => Some("enforces"),
        (false, false) => None,
    }
}

fn missing_at_site(site: &RawSite, criterion: Criterion) -> Option<&'static str> {
    let (field, is_given) = match criterion {
        Criterion::Ram => ("capacity.ram_mb", site.capacity.ram_mb.is_some()),
        Criterion::Cpu => ("capacity.cpu", site.capacity.cpu.is_some()),
        Criterion::Capacity => ("capacity.users", site.capacity.users.is_some()),
        Criterion::Price => ("price", site.price.is_some()),
        _ => return None,
    };
    (!is_given).then_some(field)
}

fn missing_at_vm(vm: &RawVm, criterion: Criterion) -> Option<&'static str> {
    let (field, is_given) = match criterion {
        Criterion::Ram => ("demand.ram_mb", vm.demand.ram_mb.is_some()),
        Criterion::Cpu => ("demand.cpu", vm.demand.cpu.is_some()),
        _ => return None,
    };
    (!is_given).then_some(field)
}

/// The cost of the path from a data centre to each other one: VMs live where they are moved to.
fn paths((name, site): (&String, &RawSite), raw: &RawSession, going_by: &str, doubts: &mut Doubts<'_>) {
    for (other, _) in &raw.sites.0 {
        let is_known = other == name || site.isis_cost.0.iter().any(|(to, _)| to == other);
        if !is_known {
            let lives = raw.vms.0.iter().find(|(_, vm)| vm.home == *other);
            let why = lives.map_or_else(
                || "VMs may be moved there".to_owned(),
                |(vm, _)| format!("{vm} lives at {other}"),
            );
            let message = format!("the field `isis_cost.{other}` is missing: {going_by}, and {why}");
            doubts.key(at!["sites", name], message);
        }
    }
}
