//! What is said of this site's own mappings.

use std::collections::BTreeSet;

use datapath::marks::OwnMark;
use lisp_wire::{Locator, Rloc};

use super::MOST_SIBLINGS;
use crate::config::Config;
use crate::database::{Database, Own, in_order};

/// What is said of each, and the locators of the site that are others' than this node's.
pub(super) fn marks(
    database: &Database,
    down: &BTreeSet<Rloc>,
    config: &Config,
) -> (Vec<OwnMark>, BTreeSet<Rloc>) {
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
            status: alike(own, &locators).then(|| status(&locators, down)),
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
