//! Where VMs live, as forwarders tell. Until one tells of a VM, it lives where the session says.
//!
//! | what is told | where the VM lives |
//! |---|---|
//! | it arrived at a site | there: of all arrivals the latest counts |
//! | it is at a site by the site's configuration | there, if the site where it lived says that it is not there |
//! | it is not at a site | where it did: it is being moved |

use std::collections::{BTreeMap, BTreeSet};

use proto::node::Residence;
use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fabric::{Dc, Fabric};
use crate::places::Places;

/// For so long two sites may say that a VM is there, before anybody is told: a handover is repeated for less.
pub(crate) const DOUBTED_AFTER: Span = Span::secs(10);
/// For so long a site that a VM has left sends late packets on; a view by which it may be entered would end that.
pub(crate) const RETOLD_AFTER: Span = Span::secs(60);

/// What sites say of VMs, and what follows from it. VMs go by their place in the fabric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Homes {
    /// VMs that do not live where the session said, or did not for a while.
    lives: BTreeMap<u32, Dc>,
    words: BTreeMap<u32, BTreeMap<Dc, Word>>,
    /// Sites that ever told anything: what is new from them happened since.
    told: BTreeSet<Dc>,
    /// Sites that have connected and not told anything since.
    awaited: BTreeSet<Dc>,
    /// Data centres where VMs lived by their forwarders' words; legs to them have numbers.
    ever: BTreeSet<Dc>,
    /// VMs that are told to run at two sites.
    doubts: BTreeMap<u32, Doubt>,
    /// VMs that arrived where they live, and when their users' views are to be told again.
    retell: BTreeMap<u32, Timestamp>,
}

/// What a site said last of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Word {
    here: bool,
    /// The arrival last told, by the site's clock.
    since: Option<Timestamp>,
    /// The same by this clock, or when it was heard if it was heard as it happened; zero without an arrival.
    rank: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Doubt {
    /// In a move the old site hears of it last: it is said if it is so for longer.
    Due {
        at: Timestamp,
    },
    Said,
}

/// What a report changed.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// It was the site's first since it connected.
    pub(crate) first: bool,
    /// VMs of which the site says something else than before; with its first report all that anybody ever spoke of, for
    /// from now on its word counts again.
    pub(crate) of: BTreeMap<u32, Event>,
}

/// What happened to a VM at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It came since the site told of it before.
    Arrived,
    /// It is there, or not, in some other way.
    Other,
}

impl Homes {
    /// Where a VM lives, if not where the session says.
    pub(crate) fn of(&self, vm: u32) -> Option<Dc> {
        self.lives.get(&vm).copied()
    }

    /// Of VMs that moved, where they live.
    pub(crate) fn all(&self) -> &BTreeMap<u32, Dc> {
        &self.lives
    }

    /// Where VMs ever lived besides where the session says.
    pub(crate) fn ever(&self) -> impl Iterator<Item = Dc> + '_ {
        self.ever.iter().copied()
    }

    pub(crate) fn connected(&mut self, dc: Dc) {
        self.awaited.insert(dc);
    }

    /// Whether a site that has just connected will say what runs there.
    pub(crate) fn awaits(&self, dc: Dc) -> bool {
        self.awaited.contains(&dc) && self.told.contains(&dc)
    }

    /// Takes a site's report in.
    pub(crate) fn take(&mut self, dc: Dc, told: &BTreeMap<u32, Residence>, now: Timestamp) -> News {
        let known = !self.told.insert(dc);
        let first = self.awaited.remove(&dc) || !known;
        let mut of = BTreeMap::new();
        if first {
            // Of what it does not name it is no site any more.
            for (vm, words) in &mut self.words {
                if !told.contains_key(vm) && words.remove(&dc).is_some() {
                    of.insert(*vm, Event::Other);
                }
            }
        }
        for (&vm, &residence) in told {
            let words = self.words.entry(vm).or_default();
            let before = words.get(&dc).copied();
            // What comes later than it happened goes by the site's clock, which may be ahead.
            let heard = |since: Timestamp| if first { since.min(now) } else { now };
            let word = Word::after(before, residence, heard);
            words.insert(dc, word);
            let came = before.is_none_or(|before| before.rank < word.rank);
            let event = if word.here && known && came && word.since.is_some() {
                Event::Arrived
            } else {
                Event::Other
            };
            if before != Some(word) {
                of.insert(vm, event);
            }
        }
        if first {
            for &vm in self.words.keys() {
                of.entry(vm).or_insert(Event::Other);
            }
        }
        News { first, of }
    }

    /// Where a VM that lives at `home` is to be taken to live instead, if anywhere.
    pub(crate) fn elsewhere(&self, vm: u32, home: Option<Dc>, connected: impl Fn(Dc) -> bool) -> Option<Dc> {
        let words = self.words.get(&vm)?;
        let there = home.and_then(|home| words.get(&home));
        let rank = there.map_or(Timestamp::default(), |word| word.rank);
        let told = |dc: Dc| connected(dc) && self.told.contains(&dc) && !self.awaited.contains(&dc);
        let left = home.is_none_or(|home| told(home) && there.is_none_or(|word| !word.here));
        let counts = |dc: Dc, word: &Word| {
            let by_hearsay = left && connected(dc) && (word.since.is_some() || rank == Timestamp::default());
            word.here && (word.rank > rank || by_hearsay)
        };
        let claims = words
            .iter()
            .filter(|&(&dc, word)| Some(dc) != home && counts(dc, word));
        claims.max_by_key(|(_, word)| word.rank).map(|(&dc, _)| dc)
    }

    /// It lives there from now on.
    pub(crate) fn settle(&mut self, vm: u32, dc: Dc) {
        self.lives.insert(vm, dc);
        self.ever.insert(dc);
    }

    /// Keeps in mind whether a VM is told to run at several sites, to say so at `at` if it is still so.
    pub(crate) fn doubt(&mut self, vm: u32, connected: impl Fn(Dc) -> bool, at: Timestamp) {
        if self.claims(vm, connected).len() < 2 {
            self.doubts.remove(&vm);
        } else {
            self.doubts.entry(vm).or_insert(Doubt::Due { at });
        }
    }

    /// VMs that were told to run at several sites for long enough, with those sites.
    pub(crate) fn doubtful(&mut self, connected: impl Fn(Dc) -> bool, now: Timestamp) -> Vec<(u32, Vec<Dc>)> {
        let due =
            |(&vm, doubt): (&u32, &Doubt)| matches!(doubt, Doubt::Due { at } if *at <= now).then_some(vm);
        let due: Vec<u32> = self.doubts.iter().filter_map(due).collect();
        let mut said = Vec::new();
        for vm in due {
            let sites = self.claims(vm, &connected);
            if sites.len() < 2 {
                self.doubts.remove(&vm);
            } else {
                self.doubts.insert(vm, Doubt::Said);
                said.push((vm, sites));
            }
        }
        said
    }

    /// Views of a VM's users are in force again at `at`; forwarders forgot them with the move.
    pub(crate) fn retell(&mut self, vm: u32, at: Timestamp) {
        self.retell.insert(vm, at);
    }

    /// VMs for which it is time.
    pub(crate) fn retold(&mut self, now: Timestamp) -> Vec<u32> {
        let due = self.retell.iter().filter(|&(_, &at)| at <= now);
        let due: Vec<u32> = due.map(|(&vm, _)| vm).collect();
        for vm in &due {
            self.retell.remove(vm);
        }
        due
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let due = self.doubts.values().filter_map(|doubt| match doubt {
            Doubt::Due { at } => Some(*at),
            Doubt::Said => None,
        });
        due.chain(self.retell.values().copied()).min()
    }

    fn claims(&self, vm: u32, connected: impl Fn(Dc) -> bool) -> Vec<Dc> {
        let words = self.words.get(&vm).into_iter().flatten();
        let here = words.filter(|&(&dc, word)| word.here && connected(dc));
        here.map(|(&dc, _)| dc).collect()
    }

    /// Whether it speaks of this fabric.
    pub(crate) fn fits(&self, fabric: &Fabric) -> bool {
        let vm = |vm: &u32| (*vm as usize) < fabric.vms.len();
        let dc = |dc: &Dc| dc.at() < fabric.sites.len();
        let words = |words: &BTreeMap<Dc, Word>| words.keys().all(dc);
        self.lives.keys().all(vm)
            && self.lives.values().all(dc)
            && self.words.keys().all(vm)
            && self.words.values().all(words)
            && self.told.iter().chain(&self.awaited).chain(&self.ever).all(dc)
            && self.doubts.keys().chain(self.retell.keys()).all(vm)
    }

    /// What goes on in an edited session. A VM whose home the edit itself changes lives where it says, until a forwarder
    /// says otherwise.
    pub(crate) fn carried(&self, (before, fabric): (&Fabric, &Fabric), places: &Places) -> Self {
        let mut next = Self {
            told: self.told.iter().filter_map(|&dc| places.dc(dc)).collect(),
            ..Self::default()
        };
        let name = |fabric: &Fabric, vm: u32| {
            let home = fabric.vms[vm as usize].first_home;
            home.map(|dc| fabric.sites[dc.at()].name.clone())
        };
        for (&vm, &dc) in &self.lives {
            if let (Some(to), Some(dc)) = (places.vm(vm), places.dc(dc))
                && name(before, vm) == name(fabric, to)
            {
                next.settle(to, dc);
            }
        }
        for (&vm, words) in &self.words {
            let Some(to) = places.vm(vm) else { continue };
            // Another EID is another VM to a forwarder.
            if before.vms[vm as usize].eid != fabric.vms[to as usize].eid {
                continue;
            }
            let words = words
                .iter()
                .filter_map(|(&dc, &word)| Some((places.dc(dc)?, word)));
            next.words.insert(to, words.collect());
        }
        let retell = self.retell.iter();
        next.retell = retell
            .filter_map(|(&vm, &at)| Some((places.vm(vm)?, at)))
            .collect();
        next
    }
}

impl Word {
    /// `heard` gives an arrival that was not told before its rank.
    fn after(before: Option<Self>, residence: Residence, heard: impl Fn(Timestamp) -> Timestamp) -> Self {
        let (since, rank) = before.map_or((None, Timestamp::default()), |word| (word.since, word.rank));
        match residence {
            Residence::Elsewhere => Self {
                here: false,
                since,
                rank,
            },
            // It has not left meanwhile, or has come back to stay.
            Residence::Here { since: told } if told == since => Self {
                here: true,
                since,
                rank,
            },
            Residence::Here { since } => Self {
                here: true,
                since,
                rank: since.map_or(Timestamp::default(), heard),
            },
        }
    }
}
