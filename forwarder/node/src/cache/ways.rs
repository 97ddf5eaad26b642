//! Explicit locator paths (LISP-TE): which hop packets go to next.
//!
//! A node finds its own locators on the path and goes on from there; one that is no hop begins with the first. A hop
//! that does not answer is skipped unless it is strict. A hop with the lookup bit is itself an EID: packets go to the
//! locator that the mapping system has for it.

use std::collections::{BTreeMap, BTreeSet};

use datapath::{Forwarding, MapCache, Reach};
use lisp_wire::path::Standing;
use lisp_wire::{Eid, EidPrefix, Hop, Locator, Path, Priority, Rloc};

/// At most this many hops are looked up at a time: who answers for a mapping must not make us ask without end.
const MOST_LOOKED_UP: usize = 256;

/// What a node knows of paths.
#[derive(Debug)]
pub(super) struct Ways {
    own: Vec<Rloc>,
    /// Which mappings have a hop that stands for this EID.
    looked_up: BTreeMap<Eid, BTreeSet<EidPrefix>>,
    wanted: BTreeSet<Eid>,
}

/// Whether other address families are spoken than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    Same,
    Changed,
}

/// What is known of the network at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) table: &'a MapCache,
    /// Who is down: by probes, for want of an echo, by the word of the mapping's owner.
    pub(super) down: [&'a BTreeSet<Rloc>; 3],
}

impl Known<'_> {
    fn reach(&self, rloc: Rloc) -> Reach {
        if self.down.iter().any(|down| down.contains(&rloc)) {
            Reach::Down
        } else {
            Reach::Up
        }
    }

    /// The locator of the router that an EID stands for.
    fn behind(&self, eid: &Eid) -> Option<Rloc> {
        match &self.table.lookup(eid)?.forwarding {
            // Packets of all flows take the same way, so that it is known which.
            Forwarding::Encapsulate(table) => Some(table.choose(0)?.locator.rloc),
            _ => None,
        }
    }
}

impl Ways {
    pub(super) fn new(own: impl Iterator<Item = Rloc>) -> Self {
        Self {
            own: own.collect(),
            looked_up: BTreeMap::new(),
            wanted: BTreeSet::new(),
        }
    }

    /// The locator of a mapping with the address that packets go to next, and whether that answers. Where there is no
    /// way to go on, with a priority that is never used.
    pub(super) fn next(&mut self, locator: &Locator, of: EidPrefix, known: Known<'_>) -> (Locator, Reach) {
        let Some(path) = locator.path else {
            if self.own.contains(&locator.rloc) {
                // To ourselves it would come back, and go round.
                let never = Priority::NEVER;
                return (
                    Locator {
                        priority: never,
                        ..*locator
                    },
                    Reach::Down,
                );
            }
            let reach = if self.speaks_to(locator.rloc) {
                known.reach(locator.rloc)
            } else {
                Reach::Down
            };
            return (*locator, reach);
        };
        let mut silent = None;
        for hop in path.next(self.standing(&path)) {
            let Some(rloc) = self.address(hop, of, known) else {
                continue;
            };
            if !self.speaks_to(rloc) || self.own.contains(&rloc) {
                continue;
            }
            match known.reach(rloc) {
                Reach::Up => return (Locator { rloc, ..*locator }, Reach::Up),
                Reach::Down => silent = silent.or(Some(rloc)),
            }
        }
        let way = match silent {
            Some(rloc) => Locator { rloc, ..*locator },
            None => Locator {
                priority: Priority::NEVER,
                ..*locator
            },
        };
        (way, Reach::Down)
    }

    /// The node's locators are these from now on.
    pub(super) fn relocate(&mut self, own: Vec<Rloc>) -> Families {
        let spoken = |own: &[Rloc]| [true, false].map(|v4| own.iter().any(|rloc| rloc.0.is_ipv4() == v4));
        let before = spoken(&self.own);
        self.own = own;
        if spoken(&self.own) == before {
            Families::Same
        } else {
            Families::Changed
        }
    }

    fn speaks_to(&self, rloc: Rloc) -> bool {
        self.own.iter().any(|own| own.0.is_ipv4() == rloc.0.is_ipv4())
    }

    /// Whether packets of others may come by here on their way to a locator.
    pub(super) fn leads_by_us(&self, locator: &Locator) -> bool {
        locator
            .path
            .is_none_or(|path| self.standing(&path) != Standing::Outside)
    }

    /// The addresses to be probed for a locator: its own; of a path, the hops that may be the next one and allow it.
    pub(super) fn probed(&self, locator: &Locator) -> Vec<Rloc> {
        let Some(path) = locator.path else {
            return vec![locator.rloc];
        };
        let next = path.next(self.standing(&path));
        next.filter(|hop| hop.probe && !hop.lookup)
            .map(|hop| hop.rloc)
            .collect()
    }

    /// The mappings with a hop that stands for an EID within `block`.
    pub(super) fn by(&self, block: &EidPrefix) -> BTreeSet<EidPrefix> {
        let inside = self.looked_up.range(block.first()..);
        inside
            .take_while(|(eid, _)| block.contains(eid))
            .flat_map(|(_, mappings)| mappings)
            .filter(|mapping| *mapping != block)
            .copied()
            .collect()
    }

    /// Forgets a mapping.
    pub(super) fn forget(&mut self, mapping: &EidPrefix) {
        self.looked_up.retain(|_, mappings| {
            mappings.remove(mapping);
            !mappings.is_empty()
        });
    }

    pub(super) fn take_wanted(&mut self) -> Vec<Eid> {
        std::mem::take(&mut self.wanted).into_iter().collect()
    }

    fn standing(&self, path: &Path) -> Standing {
        path.standing(|rloc| self.own.contains(&rloc))
    }

    /// Where packets go for a hop; `None` while it is not known.
    fn address(&mut self, hop: &Hop, of: EidPrefix, known: Known<'_>) -> Option<Rloc> {
        if !hop.lookup {
            return Some(hop.rloc);
        }
        let eid = Eid::of(hop.rloc.0);
        if self.looked_up.len() < MOST_LOOKED_UP || self.looked_up.contains_key(&eid) {
            self.looked_up.entry(eid).or_default().insert(of);
            if known.table.lookup(&eid).is_none() {
                self.wanted.insert(eid);
            }
        }
        known.behind(&eid)
    }
}

#[cfg(test)]
mod tests {
    use datapath::{Entry, LocatorTable};
    use lisp_wire::Weight;

    use super::*;

    fn rloc(last: u8) -> Rloc {
        Rloc([192, 0, 2, last].into())
    }

    fn over(hops: &[Hop]) -> Locator {
        Locator::over(Path::new(hops).unwrap(), Priority(1), Weight(100))
    }

    fn mapping() -> EidPrefix {
        "10.2.0.0/16".parse().unwrap()
    }

    /// Where the node with locator `own` sends packets over three hops of which some are down; `None` for nowhere.
    fn next(own: u8, strict: bool, down: &[u8]) -> Option<Rloc> {
        let middle = Hop {
            strict,
            ..Hop::loose(rloc(2))
        };
        let locator = over(&[Hop::loose(rloc(1)), middle, Hop::loose(rloc(3))]);
        let known = Known {
            table: &MapCache::new(),
            down: [
                &down.iter().copied().map(rloc).collect(),
                &BTreeSet::new(),
                &BTreeSet::new(),
            ],
        };
        let mut ways = Ways::new([rloc(own)].into_iter());
        let (way, _) = ways.next(&locator, mapping(), known);
        way.priority.usable().then_some(way.rloc)
    }

    #[test]
    fn each_node_goes_on_from_its_own_place_and_the_last_one_nowhere() {
        for (own, to) in [(9, Some(1)), (1, Some(2)), (2, Some(3)), (3, None)] {
            assert_eq!(next(own, false, &[]), to.map(rloc), "{own}");
        }
    }

    #[test]
    fn a_hop_that_is_down_is_skipped_unless_it_is_strict() {
        assert_eq!(next(1, false, &[2]), Some(rloc(3)));
        assert_eq!(next(1, true, &[2]), Some(rloc(2)));
        assert_eq!(next(9, true, &[1]), Some(rloc(2)));
        // All are: the first all the same, since a wrong belief must not become a black hole.
        assert_eq!(next(9, false, &[1, 2, 3]), Some(rloc(1)));
    }

    #[test]
    fn only_hops_that_may_be_next_and_allow_it_are_probed() {
        let shy = Hop {
            probe: false,
            ..Hop::loose(rloc(2))
        };
        let strict = Hop {
            strict: true,
            ..Hop::loose(rloc(3))
        };
        let locator = over(&[Hop::loose(rloc(1)), shy, strict, Hop::loose(rloc(4))]);
        let probed = |own: u8| Ways::new([rloc(own)].into_iter()).probed(&locator);
        assert_eq!(probed(9), [rloc(1), rloc(3)]);
        assert_eq!(probed(1), [rloc(3)]);
        assert_eq!(probed(3), [rloc(4)]);
    }

    #[test]
    fn a_hop_that_is_an_eid_is_asked_for_and_gone_by_once_it_is_known() {
        let hop = Hop {
            lookup: true,
            strict: true,
            ..Hop::loose(Rloc([10, 9, 9, 9].into()))
        };
        let locator = over(&[hop, Hop::loose(rloc(3))]);
        let mut ways = Ways::new([rloc(9)].into_iter());
        let down = BTreeSet::new();
        let mut table = MapCache::new();
        let known = Known {
            table: &table,
            down: [&down; 3],
        };
        let (way, _) = ways.next(&locator, mapping(), known);
        assert!(!way.priority.usable(), "{way:?}");
        let eid = Eid::of([10, 9, 9, 9].into());
        assert_eq!(ways.take_wanted(), [eid]);
        let block: EidPrefix = "10.9.0.0/16".parse().unwrap();
        assert_eq!(ways.by(&block), [mapping()].into());
        let behind = Locator::unicast(rloc(7), Priority(1), Weight(1));
        table.insert(Entry {
            prefix: block,
            forwarding: Forwarding::Encapsulate(LocatorTable::new([(behind, Reach::Up)], None)),
        });
        let known = Known {
            table: &table,
            down: [&down; 3],
        };
        let (way, reach) = ways.next(&locator, mapping(), known);
        assert_eq!((way.rloc, reach, way.path), (rloc(7), Reach::Up, locator.path));
        ways.forget(&mapping());
        assert!(ways.by(&block).is_empty() && ways.take_wanted().is_empty());
    }
}
