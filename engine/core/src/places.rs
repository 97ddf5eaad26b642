//! Where what stood under a name in one fabric stands in another: an edited session gives its parts other numbers.

use crate::fabric::{Dc, Fabric, LinkIx, PairIx};

/// By the numbers of the fabric before, those of the fabric now; `None`: the name is gone.
pub(crate) struct Places {
    dcs: Vec<Option<Dc>>,
    users: Vec<Option<u32>>,
    vms: Vec<Option<u32>>,
    classes: Vec<Option<u32>>,
    pairs: Vec<Option<PairIx>>,
    /// Data centres before and now.
    sites: (u32, u32),
}

impl Places {
    pub(crate) fn new(before: &Fabric, now: &Fabric) -> Self {
        let place = |at: Result<usize, usize>| at.ok().map(|at| at as u32);
        let vms: Vec<Option<u32>> = before
            .vms
            .iter()
            .map(|vm| place(now.vms.binary_search_by(|known| known.name.cmp(&vm.name))))
            .collect();
        let users: Vec<Option<u32>> = before.users.iter().map(|user| now.user(&user.name)).collect();
        let classes = before
            .classes
            .iter()
            .map(|class| place(now.classes.binary_search_by(|known| known.name.cmp(&class.name))))
            .collect();
        let pairs = before
            .pairs
            .iter()
            .map(|pair| {
                let (user, vm) = (users[pair.user as usize]?, vms[pair.vm as usize]?);
                now.pairs_of(user).find(|ix| now.pairs[ix.at()].vm == vm)
            })
            .collect();
        Self {
            dcs: before.sites.iter().map(|site| now.dc(&site.name)).collect(),
            users,
            vms,
            classes,
            pairs,
            sites: (before.sites.len() as u32, now.sites.len() as u32),
        }
    }

    pub(crate) fn dc(&self, before: Dc) -> Option<Dc> {
        self.dcs.get(before.at()).copied().flatten()
    }

    pub(crate) fn user(&self, before: u32) -> Option<u32> {
        self.users.get(before as usize).copied().flatten()
    }

    pub(crate) fn vm(&self, before: u32) -> Option<u32> {
        self.vms.get(before as usize).copied().flatten()
    }

    pub(crate) fn class(&self, before: u32) -> Option<u32> {
        self.classes.get(before as usize).copied().flatten()
    }

    pub(crate) fn pair(&self, before: PairIx) -> Option<PairIx> {
        self.pairs.get(before.at()).copied().flatten()
    }

    pub(crate) fn link(&self, before: LinkIx) -> Option<LinkIx> {
        let (old, new) = self.sites;
        let user = self.user(before.0 / old.max(1))?;
        let dc = self.dc(Dc(before.0 % old.max(1)))?;
        Some(LinkIx(user * new + dc.0))
    }

    /// What is kept by a number before, under its number now.
    pub(crate) fn vm_rows<T: Clone>(&self, before: &[T], now: &mut [T]) {
        rows(&self.vms, before, now, |vm| *vm as usize);
    }

    /// The same of data centres.
    pub(crate) fn dc_rows<T: Clone>(&self, before: &[T], now: &mut [T]) {
        rows(&self.dcs, before, now, |dc| dc.at());
    }

    /// The same of entries.
    pub(crate) fn pair_rows<T: Clone>(&self, before: &[T], now: &mut [T]) {
        rows(&self.pairs, before, now, |pair| pair.at());
    }

    /// A view with the data centres there still are, best first, and those that are new at its end.
    pub(crate) fn order(&self, before: &[Dc], now: &Fabric) -> Vec<Dc> {
        let mut order: Vec<Dc> = before.iter().filter_map(|&dc| self.dc(dc)).collect();
        let new: Vec<Dc> = now.dcs().filter(|dc| !order.contains(dc)).collect();
        order.extend(new);
        order
    }
}

fn rows<T: Clone, P>(places: &[Option<P>], before: &[T], now: &mut [T], at: impl Fn(&P) -> usize) {
    for (place, row) in places.iter().zip(before) {
        if let Some(slot) = place.as_ref().and_then(|place| now.get_mut(at(place))) {
            *slot = row.clone();
        }
    }
}
