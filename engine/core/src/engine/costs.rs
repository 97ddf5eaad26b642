//! IS-IS costs: what the session says, until the fabric's agent tells better.

use proto::{SiteName, VmName};

use super::Engine;
use crate::fabric::Dc;
use crate::outbox::Outbox;

/// The path from a data centre's border router to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathCost {
    /// It costs so much.
    Known(u32),
    /// The agent told that there is none.
    NoPath,
    /// Neither agent nor session tells.
    Unknown,
}

impl Engine {
    /// The agent's word on the path from `site`'s border router to `vm`; names it does not share with the session
    /// are left alone.
    pub(super) fn fabric_cost(&mut self, site: &SiteName, vm: &VmName, cost: Option<u32>, out: &mut Outbox) {
        let (Some(dc), Ok(vm)) = (
            self.fabric.dc(site),
            self.fabric.vms.binary_search_by(|row| row.name.cmp(vm)),
        ) else {
            return;
        };
        self.costs.entry(vm as u32).or_default().insert(dc, cost);
        for ix in self.fabric.pairs_with(vm as u32) {
            self.attend(ix, out);
        }
    }

    /// Cost of the path from the border router of `dc` to a VM. Within its own data centre a VM is at cost 0.
    pub(crate) fn isis_cost(&self, dc: Dc, vm: u32) -> PathCost {
        if let Some(told) = self.costs.get(&vm).and_then(|costs| costs.get(&dc)) {
            return told.map_or(PathCost::NoPath, PathCost::Known);
        }
        let Some(home) = self.fabric.vms[vm as usize].home else {
            return PathCost::Unknown;
        };
        if home == dc {
            return PathCost::Known(0);
        }
        let costs = &self.fabric.sites[dc.at()].offer.isis_cost;
        let cost = costs.get(&self.fabric.sites[home.at()].name);
        cost.map_or(PathCost::Unknown, |&cost| PathCost::Known(cost))
    }
}
