//! A node that roams: its locators have changed, and everyone who speaks to it is to know.
//!
//! The mapping system is told first, for whoever is told otherwise asks it. Those who asked for our EIDs are told as on
//! any change; those whose EIDs we speak to are solicited at every locator that we can still reach, since the one they
//! asked from may be of a family that we have lost. Solicitations are not acknowledged, and so are repeated.

use std::collections::{BTreeSet, VecDeque};

use lisp_wire::{EidPrefix, Rloc};
use proto::{Span, Timestamp};

use crate::cache::Cache;
use crate::config::Role;
use crate::context::{Context, Memory};
use crate::counters::Counter;
use crate::deliveries::Shown;
use crate::mobility::News;
use crate::node::Machines;

/// When peers are solicited again.
const AGAIN: [Span; 3] = [Span::millis(300), Span::secs(1), Span::secs(3)];
/// At most this many locators of peers are solicited, for at most so many of our EIDs.
const MOST_PEERS: usize = 256;
const MOST_EIDS: usize = 8;

/// Solicitations to be repeated.
#[derive(Debug, Default)]
pub(crate) struct Relocation {
    eids: Vec<EidPrefix>,
    again: VecDeque<Timestamp>,
}

/// Tells everyone. The configuration has the new locators already.
pub(crate) fn follow(machines: &mut Machines, cx: &mut Context<'_>) {
    let Machines { xtr, mobility, .. } = machines;
    cx.count(Counter::Relocations);
    let eids = xtr.database.relocate(cx.config);
    cx.remember(Memory::Soon);
    xtr.cache
        .relocate(cx.config.rlocs.iter().map(|own| own.rloc).collect());
    xtr.cache.publish(cx);
    if cx.config.has(Role::Etr) {
        xtr.registrations.round(&xtr.database, cx);
    }
    for eid in &eids {
        let requesters = xtr.database.requesters(eid, cx.now);
        for client in requesters
            .into_iter()
            .filter(|client| cx.config.speaks_to(*client))
        {
            let news = News {
                eid: *eid,
                client,
                order: None,
                // Of several locators only one may have changed.
                shown: Shown::Nothing,
            };
            mobility.tell_client(news, xtr, cx);
        }
    }
    // Who publishes to us does so at our old address (RFC 9437 section 5).
    for asked in xtr.cache.published() {
        xtr.resolutions.refresh(asked, cx);
    }
    xtr.relocation = Relocation {
        eids: eids.into_iter().take(MOST_EIDS).collect(),
        again: AGAIN.iter().map(|after| cx.now + *after).collect(),
    };
    xtr.relocation.solicit(&xtr.cache, cx);
}

impl Relocation {
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.again.front().copied()
    }

    pub(crate) fn tick(&mut self, cache: &Cache, cx: &mut Context<'_>) {
        while self.again.front().is_some_and(|then| *then <= cx.now) {
            self.again.pop_front();
            self.solicit(cache, cx);
        }
    }

    fn solicit(&self, cache: &Cache, cx: &mut Context<'_>) {
        let reached = |rloc: &Rloc| cx.config.speaks_to(*rloc) && !cx.config.is_own(*rloc);
        let peers: BTreeSet<Rloc> = cache.etrs().filter(reached).take(MOST_PEERS).collect();
        for peer in peers {
            for eid in &self.eids {
                cx.solicit(peer, *eid, None);
            }
        }
    }
}
