//! From links to what is reached over them.
//!
//! - A user's **entry** to a VM stands as the link to the data centre it enters by: that is the way the user's
//!   packets take. It is down from the loss of that link until the link is back or a switch to another is confirmed,
//!   however many others there are: until then the user has to be told, or to find out. Where the leg from there to the
//!   VM's data centre is down, so is the entry; one that was never measured says nothing.
//! - A **VM** is up while one of its users reaches it, down if none does and one of them is known not to.
//! - A **locator** is up while anyone's probes over it are answered. A link that is down speaks against its locator only
//!   if the user behind it is reached some other way, or nobody is at all: a user whose own access failed says
//!   nothing about data centres.

use std::collections::{BTreeMap, BTreeSet};

use proto::availability::Reach;
use serde::{Deserialize, Serialize};

use crate::fabric::{Dc, Fabric, LegIx, LinkIx, PairIx, Renumbered};

/// How all links stand, and which of them are entered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reaching {
    links: Vec<Reach>,
    /// Legs that are not up, as far as they are measured.
    #[serde(default)]
    legs: BTreeMap<LegIx, Reach>,
    /// VMs that do not live where the session says.
    #[serde(default)]
    homes: BTreeMap<u32, Dc>,
    entries: Vec<Dc>,
    /// Links up, by user.
    user_up: Vec<u32>,
    /// Links up, by data centre.
    dc_up: Vec<u32>,
    all_up: u64,
    /// Entries up and down, by VM.
    vms: Vec<(u32, u32)>,
    /// As last counted in `vms`.
    pairs: Vec<Reach>,
}

/// What has to be looked at again.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub(super) pairs: BTreeSet<PairIx>,
    pub(super) vms: BTreeSet<u32>,
    pub(super) dcs: BTreeSet<Dc>,
}

impl Reaching {
    /// Nothing known; `entries` are those of all pairs.
    pub(super) fn new(fabric: &Fabric, entries: Vec<Dc>) -> Self {
        Self {
            links: vec![Reach::Unknown; fabric.links()],
            legs: BTreeMap::new(),
            homes: BTreeMap::new(),
            user_up: vec![0; fabric.users.len()],
            dc_up: vec![0; fabric.sites.len()],
            all_up: 0,
            vms: vec![(0, 0); fabric.vms.len()],
            pairs: vec![Reach::Unknown; entries.len()],
            entries,
        }
    }

    /// Whether it is of this fabric.
    pub(super) fn fits(&self, fabric: &Fabric) -> bool {
        self.links.len() == fabric.links()
            && self.legs.keys().all(|leg| leg.at() < fabric.legs())
            && self.homes.keys().all(|vm| (*vm as usize) < fabric.vms.len())
            && self.homes.values().all(|dc| dc.at() < fabric.sites.len())
            && self.entries.len() == fabric.pairs.len()
            && self.pairs.len() == fabric.pairs.len()
            && self.user_up.len() == fabric.users.len()
            && self.dc_up.len() == fabric.sites.len()
            && self.vms.len() == fabric.vms.len()
            && self.entries.iter().all(|dc| dc.at() < fabric.sites.len())
    }

    pub(super) fn link(&mut self, fabric: &Fabric, (ix, reach): (LinkIx, Reach), touched: &mut Touched) {
        let before = std::mem::replace(&mut self.links[ix.at()], reach);
        let (user, dc) = (fabric.user_of(ix), fabric.dc_of(ix));
        let (was, is) = (before == Reach::Up, reach == Reach::Up);
        if was != is {
            let step = |count: &mut u32| *count = if is { *count + 1 } else { count.saturating_sub(1) };
            step(&mut self.user_up[user as usize]);
            step(&mut self.dc_up[dc.at()]);
            self.all_up = if is {
                self.all_up + 1
            } else {
                self.all_up.saturating_sub(1)
            };
            let edge = u32::from(is);
            if self.user_up[user as usize] == edge || self.all_up == u64::from(edge) {
                touched.dcs.extend(fabric.dcs());
            }
        }
        touched.dcs.insert(dc);
        for pair in fabric.pairs_of(user) {
            if self.entries[pair.at()] == dc {
                self.recount(fabric, pair, touched);
            }
        }
    }

    pub(super) fn leg(&mut self, fabric: &Fabric, (ix, reach): (LegIx, Reach), touched: &mut Touched) {
        if reach == Reach::Up {
            self.legs.remove(&ix);
        } else {
            self.legs.insert(ix, reach);
        }
        for pair in (0..self.pairs.len() as u32).map(PairIx) {
            if self.leg_of(fabric, pair) == Some(ix) {
                self.recount(fabric, pair, touched);
            }
        }
    }

    pub(super) fn entry(&mut self, fabric: &Fabric, (pair, dc): (PairIx, Dc), touched: &mut Touched) {
        self.entries[pair.at()] = dc;
        self.recount(fabric, pair, touched);
    }

    pub(super) fn home(&mut self, fabric: &Fabric, (vm, dc): (u32, Dc), touched: &mut Touched) {
        self.homes.insert(vm, dc);
        for pair in fabric.pairs_with(vm) {
            self.recount(fabric, pair, touched);
        }
    }

    pub(super) fn begin_at(&mut self, homes: &BTreeMap<u32, Dc>) {
        self.homes.clone_from(homes);
    }

    pub(super) fn renumber_legs(&mut self, places: &Renumbered) {
        let legs = std::mem::take(&mut self.legs);
        self.legs = legs
            .into_iter()
            .map(|(leg, reach)| (places.of(leg), reach))
            .collect();
    }

    /// The leg behind an entry; none where the VM lives there.
    fn leg_of(&self, fabric: &Fabric, pair: PairIx) -> Option<LegIx> {
        let vm = fabric.pairs[pair.at()].vm;
        let home = self.homes.get(&vm).copied().or(fabric.vm_of(pair).first_home);
        fabric.leg(self.entries[pair.at()], home?)
    }

    pub(super) fn pair(&self, pair: PairIx) -> Reach {
        self.pairs[pair.at()]
    }

    pub(super) fn vm(&self, vm: u32) -> Reach {
        match self.vms[vm as usize] {
            (0, 0) => Reach::Unknown,
            (0, _) => Reach::Down,
            _ => Reach::Up,
        }
    }

    pub(super) fn locator(&self, fabric: &Fabric, dc: Dc) -> Reach {
        if self.dc_up[dc.at()] > 0 {
            return Reach::Up;
        }
        let speaks_against = |user: u32| {
            let down = self.links[fabric.link(user, dc).at()] == Reach::Down;
            down && (self.all_up == 0 || self.user_up[user as usize] > 0)
        };
        if (0..fabric.users.len() as u32).any(speaks_against) {
            Reach::Down
        } else {
            Reach::Unknown
        }
    }

    fn recount(&mut self, fabric: &Fabric, pair: PairIx, touched: &mut Touched) {
        let facts = fabric.pairs[pair.at()];
        let entry = self.entries[pair.at()];
        let link = self.links[fabric.link(facts.user, entry).at()];
        let leg = self.leg_of(fabric, pair).and_then(|leg| self.legs.get(&leg));
        let reach = both(link, leg.copied().unwrap_or(Reach::Up));
        let before = std::mem::replace(&mut self.pairs[pair.at()], reach);
        if before == reach {
            return;
        }
        let (up, down) = &mut self.vms[facts.vm as usize];
        match before {
            Reach::Up => *up = up.saturating_sub(1),
            Reach::Down => *down = down.saturating_sub(1),
            Reach::Unknown => {}
        }
        match reach {
            Reach::Up => *up += 1,
            Reach::Down => *down += 1,
            Reach::Unknown => {}
        }
        touched.pairs.insert(pair);
        touched.vms.insert(facts.vm);
    }
}

/// Two legs of a way.
const fn both(one: Reach, other: Reach) -> Reach {
    match (one, other) {
        (Reach::Down, _) | (_, Reach::Down) => Reach::Down,
        (Reach::Unknown, _) | (_, Reach::Unknown) => Reach::Unknown,
        (Reach::Up, Reach::Up) => Reach::Up,
    }
}
