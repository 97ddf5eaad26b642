//! A node that roams: its locators have changed, and everyone who speaks to it is to know.
//!
//! The mapping system is told first, for whoever is told otherwise asks it. Those who asked for our EIDs are told as on
//! any change; those whose EIDs we speak to are solicited at every locator that we can still reach, since the one they
//! asked from may be of a family that we have lost. Solicitations are not acknowledged, and so are repeated. Whoever
//! tells its askers of changes knows us by the address that we asked from: all that we keep is asked for anew.

use std::collections::{BTreeSet, VecDeque};

use lisp_wire::{Eid, EidPrefix, Rloc};
use proto::{Span, Timestamp};

use crate::cache::Cache;
use crate::config::Role;
use crate::context::{Context, Memory};
use crate::counters::Counter;
use crate::deliveries::Shown;
use crate::mobility::News;
use crate::node::Machines;
use crate::resolution::Resolutions;

/// When peers are solicited again.
const AGAIN: [Span; 3] = [Span::millis(300), Span::secs(1), Span::secs(3)];
/// At most this many locators of peers are solicited, for at most so many of our EIDs.
const MOST_PEERS: usize = 256;
const MOST_EIDS: usize = 8;
/// So many mappings are asked for at a time, and so long after each other: 200 a second.
const ASKED_AT_ONCE: usize = 20;
const ASK_EVERY: Span = Span::millis(100);

/// Solicitations to be repeated, and mappings to be asked for anew.
#[derive(Debug, Default)]
pub(crate) struct Relocation {
    eids: Vec<EidPrefix>,
    again: VecDeque<Timestamp>,
    unasked: VecDeque<Eid>,
    ask_at: Timestamp,
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
    xtr.relocation = Relocation {
        eids: eids.into_iter().take(MOST_EIDS).collect(),
        again: AGAIN.iter().map(|after| cx.now + *after).collect(),
        unasked: xtr.cache.asked().into(),
        ask_at: cx.now,
    };
    xtr.relocation.ask(&mut xtr.resolutions, cx);
    xtr.relocation.solicit(&xtr.cache, cx);
}

impl Relocation {
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let ask = (!self.unasked.is_empty()).then_some(self.ask_at);
        self.again.front().copied().into_iter().chain(ask).min()
    }

    pub(crate) fn tick(&mut self, cache: &Cache, resolutions: &mut Resolutions, cx: &mut Context<'_>) {
        if self.ask_at <= cx.now {
            self.ask(resolutions, cx);
        }
        while self.again.front().is_some_and(|then| *then <= cx.now) {
            self.again.pop_front();
            self.solicit(cache, cx);
        }
    }

    /// Asks for the next mappings: who publishes to us does so at our old address (RFC 9437 section 5), and who logs
    /// its askers has that in its log.
    fn ask(&mut self, resolutions: &mut Resolutions, cx: &mut Context<'_>) {
        let most = self.unasked.len().min(ASKED_AT_ONCE);
        for asked in self.unasked.drain(..most) {
            resolutions.refresh(asked, cx);
        }
        self.ask_at = cx.now + ASK_EVERY;
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
