//! What is said of this site's own mappings.

use std::collections::{BTreeMap, BTreeSet};

use datapath::marks::OwnMark;
use lisp_wire::{EidPrefix, Locator, Path, Rloc};
use proto::{Span, Timestamp};

use super::MOST_SIBLINGS;
use crate::config::Config;
use crate::database::{Database, Own, in_order};

/// When locators have been added to a mapping or taken from it, no bits are said for so long: peers may still count by the
/// old ones (the "use-LSB" timer of RFC 9300 section 13.1).
const USE_LSB: Span = Span::secs(300);

/// The places of the bits of each own mapping, and since when they are what they are.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: BTreeMap<EidPrefix, Place>,
    /// Whether what is new has come while peers may have asked already.
    lasts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    locators: Vec<(Rloc, Option<Path>)>,
    quiet_until: Timestamp,
}

impl Places {
    /// Takes the mappings as they are now.
    fn follow(&mut self, mappings: BTreeMap<EidPrefix, Vec<(Rloc, Option<Path>)>>, now: Timestamp) {
        let before = std::mem::take(&mut self.known);
        for (eid, locators) in mappings {
            // What is split off another mapping has been told with that one.
            let around = (0..=eid.length()).rev();
            let around = around.filter_map(|length| EidPrefix::new(eid.iid(), eid.address(), length).ok());
            let told = around.into_iter().find_map(|block| before.get(&block));
            let quiet_until = match told {
                Some(told) if told.locators == locators => told.quiet_until,
                None if !self.lasts => now,
                _ => now + USE_LSB,
            };
            self.known.insert(
                eid,
                Place {
                    locators,
                    quiet_until,
                },
            );
        }
        self.lasts = true;
    }

    /// When bits may be said again that may not be now.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let quiet = self.known.values().map(|place| place.quiet_until);
        quiet.filter(|until| *until > now).min()
    }

    fn are_told(&self, eid: &EidPrefix, now: Timestamp) -> bool {
        self.known.get(eid).is_none_or(|place| place.quiet_until <= now)
    }
}

/// What is said of each, and the locators of the site that are others' than this node's.
pub(super) fn marks(
    database: &Database,
    down: &BTreeSet<Rloc>,
    (places, now): (&mut Places, Timestamp),
    config: &Config,
) -> (Vec<OwnMark>, BTreeSet<Rloc>) {
    let placed = |own: &Own| {
        told(own)
            .iter()
            .map(|locator| (locator.rloc, locator.path))
            .collect()
    };
    places.follow(
        database.iter().map(|(eid, own)| (*eid, placed(own))).collect(),
        now,
    );
    let (mut marks, mut siblings) = (Vec::new(), BTreeSet::new());
    let tells_status = config.data_header.tells_status();
    for ((eid, own), number) in database.iter().zip(0..) {
        let locators = told(own);
        let plain = locators.iter().filter(|locator| locator.path.is_none());
        let others = plain
            .map(|locator| locator.rloc)
            .filter(|rloc| !config.is_own(*rloc));
        siblings.extend(others.filter(|_| tells_status));
        marks.push(OwnMark {
            eid: *eid,
            status: (places.are_told(eid, now) && alike(own, &locators)).then(|| status(&locators, down)),
            version: own.version,
            number,
        });
    }
    (marks, siblings.into_iter().take(MOST_SIBLINGS).collect())
}

/// The locators in the order of a Map-Reply.
fn told(own: &Own) -> Vec<Locator> {
    in_order(own.answer(&[]))
}

/// Whether everybody is told the same locators, in whatever order of preference: a bit is a place among them.
fn alike(own: &Own, locators: &[Locator]) -> bool {
    let same = |(one, other): (&Locator, &Locator)| (one.rloc, one.path) == (other.rloc, other.path);
    own.views.values().all(|view| {
        let view = in_order(view.clone());
        view.len() == locators.len() && view.iter().zip(locators).all(same)
    })
}

/// A bit for each of the first 32 locators; those after the last have none (RFC 9300 section 10).
fn status(locators: &[Locator], down: &BTreeSet<Rloc>) -> u32 {
    let up = locators.iter().take(32).zip(0..);
    up.filter(|(locator, _)| !down.contains(&locator.rloc))
        .fold(0, |bits, (_, place)| bits | 1 << place)
}
