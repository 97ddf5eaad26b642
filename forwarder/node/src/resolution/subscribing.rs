//! Questions that ask to be told of changes too (RFC 9437 section 5), and what is told in their place.

use std::collections::BTreeMap;

use lisp_wire::{Action, Eid, EidPrefix, MappingRecord, Nonce, Rloc};

use super::{Accepted, Resolutions, Why, apart_from_own};
use crate::cache::{Cache, Origin};
use crate::config::Config;
use crate::context::Context;
use crate::counters::Counter;

/// So many attempts ask to be told of changes; one that has no answer may have gone to somebody who cannot read that.
const SUBSCRIBING: usize = 2;

/// How a question is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// With the wish to be told of changes, where the resolver is one to subscribe through (RFC 9437).
    Subscribe,
    /// A Map-Server does not want us as a subscriber.
    Plain,
}

/// The last nonce of each subscription, sent or heard: the next request to subscribe has one more (RFC 9437 section 5). If
/// nobody answers that, the Map-Server may have come further than we have heard, and a new one is drawn, above all others.
#[derive(Debug, Default)]
pub(super) struct Followed {
    last: BTreeMap<EidPrefix, Nonce>,
}

impl Followed {
    /// The nonce to subscribe with for `eid`.
    pub(super) fn next(&mut self, eid: &Eid, attempt: usize, cx: &mut Context<'_>) -> Nonce {
        let host = EidPrefix::host(*eid);
        let around = (0..=host.length()).rev();
        let mut around = around.filter_map(|length| EidPrefix::new(eid.iid, eid.address, length).ok());
        let held = around.find(|block| self.last.contains_key(block));
        match held.and_then(|block| self.last.get_mut(&block)) {
            Some(last) => {
                let next = Nonce(last.0.saturating_add(1));
                *last = if attempt == 0 {
                    next
                } else {
                    next.max(cx.nonces.subscribing(cx.now))
                };
                *last
            }
            None => cx.nonces.subscribing(cx.now),
        }
    }
}

impl Resolutions {
    /// Goes on from the nonce that a subscription has come to.
    pub(crate) fn follow(&mut self, eid: EidPrefix, nonce: Nonce) {
        let last = self.followed.last.entry(eid).or_insert(nonce);
        *last = nonce.max(*last);
    }

    /// The subscription is no more; the last nonce that was used for it.
    pub(crate) fn unfollow(&mut self, eid: &EidPrefix) -> Option<Nonce> {
        self.followed.last.remove(eid)
    }

    /// What the Map-Server tells those who subscribed. What was asked for it is answered with it.
    pub(crate) fn told(
        &mut self,
        record: &MappingRecord,
        asked: Eid,
        cache: &mut Cache,
        cx: &mut Context<'_>,
    ) {
        self.close(&asked);
        if cache.is_pinned(&record.eid) {
            return;
        }
        let Some(eid) = apart_from_own(record, asked, cx) else {
            return cx.count(Counter::OwnEid);
        };
        if !record.locators.is_empty() {
            cache.forget_holes(eid);
        }
        let accepted = Accepted {
            eid,
            asked,
            record,
            origin: Origin::Publication,
        };
        self.learn(accepted, cache, cx);
    }

    /// A question that needs no answer any more.
    pub(crate) fn settle(&mut self, asked: &Eid) {
        if self.open.get(asked).is_some_and(|open| open.why != Why::Miss) {
            self.close(asked);
        }
    }

    /// What was asked with this nonce, and of whom, if it was to subscribe.
    pub(crate) fn subscribing(&self, nonce: Nonce, config: &Config) -> Option<(Eid, Rloc)> {
        let asked = self.by_nonce.get(&nonce)?;
        let open = self.open.get(asked)?;
        let attempt = open.nonces.iter().position(|other| *other == nonce)?;
        // What was asked to subscribe stays so, though what follows is asked plainly.
        let resolver = resolver_of(attempt, config)?;
        subscribes(Manner::Subscribe, attempt, config).then_some((*asked, resolver))
    }

    pub(super) fn ask_plainly(&mut self, asked: Eid, cx: &mut Context<'_>) {
        if let Some(open) = self.open.get_mut(&asked)
            && open.manner == Manner::Subscribe
        {
            open.manner = Manner::Plain;
            self.attempt(asked, cx);
        }
    }
}

pub(super) fn resolver_of(attempt: usize, config: &Config) -> Option<Rloc> {
    let reached = || {
        config
            .map_resolvers
            .iter()
            .filter(|resolver| config.speaks_to(**resolver))
    };
    reached()
        .nth(attempt.checked_rem(reached().count()).unwrap_or(0))
        .copied()
}

pub(super) fn subscribes(manner: Manner, attempt: usize, config: &Config) -> bool {
    let through = resolver_of(attempt, config);
    manner == Manner::Subscribe
        && attempt < SUBSCRIBING
        && through.is_some_and(|resolver| config.subscribe.contains_key(&resolver))
}

/// RFC 9437 section 5: the subscription is refused, by policy or for want of proof.
pub(super) fn is_denial(record: &MappingRecord) -> bool {
    record.locators.is_empty() && matches!(record.action, Action::DropPolicyDenied | Action::DropAuthFailure)
}
