//! What (5.1)-(5.3) are solved on: the figures of a link, and what is known of the data centre behind it.

use proto::Timestamp;

use super::Engine;
use super::costs::PathCost;
use crate::fabric::{Dc, PairIx};
use crate::optimizer::criteria::{CAPACITY, CPU, ISIS_COST, K, LINK, Measures, PRICE, RAM, integer, share};
use crate::optimizer::placement::Member;

impl Engine {
    /// A pair's user entering by `dc`; `None` if there is nothing usable.
    pub(crate) fn measured(&self, ix: PairIx, dc: Dc, now: Timestamp) -> Option<Measures> {
        let all = self.measured_apart_from_crowding(ix, dc, now)?;
        Some(self.with_crowding(ix, dc, all))
    }

    fn with_crowding(&self, ix: PairIx, dc: Dc, mut all: Measures) -> Measures {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        if class.counts(CAPACITY) {
            all[CAPACITY] = self.crowding(ix, dc);
        }
        all
    }

    /// The same without the users there, for whoever places all users at once.
    pub(crate) fn measured_apart_from_crowding(
        &self,
        ix: PairIx,
        dc: Dc,
        now: Timestamp,
    ) -> Option<Measures> {
        Some(self.with_facts(ix, dc, self.way_measured(ix, dc, now)?))
    }

    /// What is measured of a way, with what is known of its data centre. What is not known does not count: sessions are
    /// refused whose classes go by a figure that is missing, so only old records and tests have such data centres.
    fn with_facts(&self, ix: PairIx, dc: Dc, way: [u32; LINK]) -> Measures {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let mut all = [0; K];
        all[..LINK].copy_from_slice(&way);
        if class.counts(ISIS_COST) {
            all[ISIS_COST] = match self.isis_cost(dc, self.fabric.pairs[ix.at()].vm) {
                PathCost::Known(cost) => integer(ISIS_COST, f64::from(cost)),
                // As dear as can be.
                PathCost::NoPath => u32::MAX,
                // What is not known does not count (decision 9).
                PathCost::Unknown => 0,
            };
        }
        all[PRICE] = integer(PRICE, self.fabric.sites[dc.at()].offer.price);
        all
    }

    /// What is measured of every data centre for a pair's user, by [`Dc`].
    pub(crate) fn all_measured(&self, ix: PairIx, now: Timestamp) -> Vec<Option<Measures>> {
        self.fabric.dcs().map(|dc| self.measured(ix, dc, now)).collect()
    }

    /// All users of a VM as its placement sees them: entering where it would live, which then costs nothing to reach.
    /// Where rules do not let it live, nothing is known of any of them, so that it is no place.
    pub(crate) fn members(&self, vm: u32, now: Timestamp) -> Vec<Member<'_, K>> {
        let permitted: Vec<bool> = self
            .fabric
            .dcs()
            .map(|dc| self.may_live(vm, dc).is_ok())
            .collect();
        let left: Vec<_> = self.fabric.dcs().map(|dc| self.taken_of(vm, dc)).collect();
        let member = |ix: PairIx| Member {
            class: &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class,
            measured: self
                .fabric
                .dcs()
                .map(|dc| {
                    let link = self.link_measured(ix, dc, now).filter(|_| permitted[dc.at()])?;
                    let mut all = self.with_crowding(ix, dc, self.with_facts(ix, dc, link));
                    [all[RAM], all[CPU]] = left[dc.at()];
                    all[ISIS_COST] = 0;
                    Some(all)
                })
                .collect(),
        };
        self.fabric.pairs_with(vm).into_iter().map(member).collect()
    }

    /// Users entering by `dc`, the one of `ix` among them, as a share of what it can take; nothing if that is not known.
    fn crowding(&self, ix: PairIx, dc: Dc) -> u32 {
        let Some(most) = self.fabric.sites[dc.at()].offer.capacity.users else {
            return 0;
        };
        share(self.heading(dc, ix).saturating_add(self.size(ix)), most)
    }

    /// RAM and CPU that a VM would take of what the others leave at `dc`; nothing where that is not known.
    fn taken_of(&self, vm: u32, dc: Dc) -> [u32; 2] {
        let vms = &self.fabric.vms;
        let others = || {
            (0..vms.len())
                .filter(|&at| at != vm as usize && vms[at].home == Some(dc))
                .map(|at| vms[at].demand)
        };
        let (offer, own) = (self.fabric.sites[dc.at()].offer.capacity, vms[vm as usize].demand);
        let ram = offer.ram_mb.map_or(0, |all| {
            let used: u64 = others().map(|demand| demand.ram_mb).sum();
            share(own.ram_mb, all.saturating_sub(used))
        });
        let cpu = offer.cpu.map_or(0, |all| {
            let used: u64 = others().map(|demand| millicores(demand.cpu)).sum();
            share(millicores(own.cpu), millicores(all).saturating_sub(used))
        });
        [ram, cpu]
    }
}

fn millicores(cores: f64) -> u64 {
    (cores.max(0.0) * 1e3).round() as u64
}
