//! What data centres offer and what VMs demand.

use std::collections::BTreeMap;

use pacao_core::config::{Capacity, Demand, Offer, Shared};

use super::doubts::{Doubts, at};
use super::members::site_named;
use super::sla::statistic;
use crate::session::raw::{RawSession, RawSite, RawVm};

/// Cores of one data centre, and megabytes.
const MOST: f64 = 1e9;

pub(super) fn offer(site: &RawSite, name: &String, raw: &RawSession, doubts: &mut Doubts<'_>) -> Offer {
    if let Some(cpu) = site.capacity.cpu {
        doubts.within(at!["sites", name, "capacity", "cpu"], cpu, 0.0..=MOST);
    }
    let price = site.price.unwrap_or(0.0);
    doubts.within(at!["sites", name, "price"], price, 0.0..=4e6);
    let mut isis_cost = BTreeMap::new();
    for (other, cost) in &site.isis_cost.0 {
        let place = at!["sites", name, "isis_cost", other];
        if let Some(other) = site_named(other, place, raw, doubts) {
            isis_cost.insert(other, *cost);
        }
    }
    Offer {
        capacity: Capacity {
            ram_mb: site.capacity.ram_mb,
            cpu: site.capacity.cpu,
            users: site.capacity.users,
        },
        price,
        isis_cost,
    }
}

pub(super) fn demand(vm: &RawVm, name: &String, doubts: &mut Doubts<'_>) -> Demand {
    let cpu = vm.demand.cpu.unwrap_or(0.0);
    doubts.within(at!["vms", name, "demand", "cpu"], cpu, 0.0..=MOST);
    Demand {
        ram_mb: vm.demand.ram_mb.unwrap_or(0),
        cpu,
    }
}

/// `sum`, `worst`, or a quantile of the users' scores such as `p95`.
pub(super) fn shared(vm: &RawVm, name: &String, doubts: &mut Doubts<'_>) -> Shared {
    let text = vm.shared.as_deref().unwrap_or("sum");
    let meant = match text {
        "sum" => Some(Shared::Sum),
        _ => statistic(text).ok().and_then(Shared::from_statistic),
    };
    meant.unwrap_or_else(|| {
        let message = format!("'{text}' does not join users: give sum, worst, or a quantile such as p95");
        doubts.value(at!["vms", name, "shared"], message);
        Shared::Sum
    })
}
