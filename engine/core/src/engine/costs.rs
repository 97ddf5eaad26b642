//! IS-IS costs: what the session says, until the fabric's agent tells better.

use proto::{SiteName, VmName};

use super::Engine;
use crate::fabric::Dc;
use crate::outbox::Outbox;

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

    /// Cost of the path from the border router of `dc` to a VM; `None` if there is none or nobody knows it. Within
    /// its own data centre a VM is at cost 0.
    pub(crate) fn isis_cost(&self, dc: Dc, vm: u32) -> Option<u32> {
        if let Some(told) = self.costs.get(&vm).and_then(|costs| costs.get(&dc)) {
            return *told;
        }
        let home = self.fabric.vms[vm as usize].home?;
        if home == dc {
            return Some(0);
        }
        let offer = &self.fabric.sites[dc.at()].offer;
        offer.isis_cost.get(&self.fabric.sites[home.at()].name).copied()
    }
}
