//! How many enter by which data centre: asked for each place of each entry that is looked at, so counted once.

use crate::Engine;
use crate::fabric::{Dc, Fabric, PairIx};
use crate::pair::Pair;

/// Counts over all entries, by data centre.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Crowds {
    sites: Vec<Crowd>,
    /// Entries by VM and data centre.
    vms: Vec<u32>,
}

/// Of one data centre.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Crowd {
    /// Entries by it and on their way to it.
    entries: u32,
    /// Their users.
    users: u64,
    /// Users of entries on their way to it, and of those by it that are on their way nowhere else.
    heading: u64,
}

impl Crowds {
    pub(crate) fn of(fabric: &Fabric, pairs: &[Pair]) -> Self {
        let mut crowds = Self {
            sites: vec![Crowd::default(); fabric.sites.len()],
            vms: vec![0; fabric.vms.len() * fabric.sites.len()],
        };
        for (ix, pair) in (0..).map(PairIx).zip(pairs) {
            crowds.count(fabric, (ix, pair), Step::In);
        }
        crowds
    }

    fn count(&mut self, fabric: &Fabric, (ix, pair): (PairIx, &Pair), step: Step) {
        let facts = &fabric.pairs[ix.at()];
        let size = u64::from(fabric.users[facts.user as usize].size);
        let (entry, to) = places(pair);
        for dc in [Some(entry), to.filter(|&to| to != entry)].into_iter().flatten() {
            let crowd = &mut self.sites[dc.at()];
            crowd.entries = step.of(crowd.entries.into(), 1) as u32;
            crowd.users = step.of(crowd.users, size);
        }
        let heading = &mut self.sites[to.unwrap_or(entry).at()].heading;
        *heading = step.of(*heading, size);
        let vm = &mut self.vms[facts.vm as usize * fabric.sites.len() + entry.at()];
        *vm = step.of((*vm).into(), 1) as u32;
    }
}

#[derive(Clone, Copy)]
enum Step {
    In,
    Out,
}

impl Step {
    fn of(self, count: u64, amount: u64) -> u64 {
        match self {
            Self::In => count.saturating_add(amount),
            Self::Out => count.saturating_sub(amount),
        }
    }
}

impl Engine {
    /// Changes a pair; what is counted follows.
    pub(crate) fn resettle<T>(&mut self, ix: PairIx, change: impl FnOnce(&mut Pair) -> T) -> T {
        let pair = &mut self.pairs[ix.at()];
        self.crowds.count(&self.fabric, (ix, pair), Step::Out);
        let changed = change(pair);
        self.crowds.count(&self.fabric, (ix, pair), Step::In);
        changed
    }

    /// Users that enter by a data centre or are on their way there, without one entry.
    pub(crate) fn load(&self, dc: Dc, without: Option<PairIx>) -> u64 {
        let own = without.filter(|&ix| {
            let (entry, to) = places(&self.pairs[ix.at()]);
            entry == dc || to == Some(dc)
        });
        let own = own.map_or(0, |ix| self.size(ix));
        self.crowds.sites[dc.at()].users.saturating_sub(own)
    }

    /// Users that head for a data centre, or stay there; of one entry only if it does not.
    pub(crate) fn heading(&self, dc: Dc, without: PairIx) -> u64 {
        let (entry, to) = places(&self.pairs[without.at()]);
        let own = if to.unwrap_or(entry) == dc {
            self.size(without)
        } else {
            0
        };
        self.crowds.sites[dc.at()].heading.saturating_sub(own)
    }

    /// Entries by a data centre, those on their way to it among them.
    pub(crate) fn entering(&self, dc: Dc) -> u32 {
        self.crowds.sites[dc.at()].entries
    }

    /// Entries to a VM by a data centre.
    pub(crate) fn entering_for(&self, vm: u32, dc: Dc) -> u32 {
        self.crowds.vms[vm as usize * self.fabric.sites.len() + dc.at()]
    }
}

/// Where a pair enters, and where it is on its way to.
fn places(pair: &Pair) -> (Dc, Option<Dc>) {
    (pair.entry(), pair.flight.as_ref().and_then(|flight| flight.to()))
}
