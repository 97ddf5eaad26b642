//! What the Map-Server says to a Map-Request, or to whom it hands it on (RFC 9301 section 8.3).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use lisp_wire::message::MapReply;
use lisp_wire::{Action, EidPrefix, Locator, MappingRecord, Message, Nonce, Rloc};
use proto::{Span, Timestamp};

use super::merging::spoken;
use super::{Asker, MapServer, Query, Registration};
use crate::config::Config;
use crate::context::Context;
use crate::counters::Counter;
use crate::database::in_order;
use crate::etr::{MOST_ASKED, MOST_WITHIN, REPLY_DSCP, alike, reply_address};

/// A client that asks for the same EID again within this time repeats itself: it has had no answer.
const INSISTING: Span = Span::secs(3);
/// So many askings go to one ETR before the next is tried: one may be lost, and only the ETR that registered knows for
/// certain what each client is to be told.
const ASKINGS_EACH: usize = 2;
/// At most this many askers are remembered for that.
const MOST_ASKERS: usize = 16_384;

impl MapServer {
    /// Answers a Map-Request, or sends it on to the ETR. What can be answered of several records is, in one Map-Reply;
    /// for the others the request goes on as it is, to each ETR once.
    pub(crate) fn resolve(&mut self, query: &Query<'_>, cx: &mut Context<'_>) {
        let request = query.request;
        if request.unsubscribes() {
            return self.unsubscribe(request, query.arrival, cx);
        }
        let Some(to) = reply_address(request, query.arrival, cx) else {
            return;
        };
        let (mut records, mut onward) = (BTreeMap::new(), BTreeSet::new());
        for (index, asked) in (0..).zip(request.eids.iter().copied().take(MOST_ASKED)) {
            if self.subscribed(request, (index, asked), to, cx) {
                continue;
            }
            let Some(registration) = self.newest(&asked) else {
                let counter = match self.hole(asked, cx) {
                    Some(hole) => {
                        records.insert(hole.eid, hole);
                        Counter::ServerNegative
                    }
                    None => Counter::ServerSilent,
                };
                cx.count(counter);
                continue;
            };
            if registration.is_answered_for(cx.config) && !request.authoritative {
                cx.count(Counter::ServerProxied);
                let told = self.told_whole(&registration, asked, cx.config);
                records.extend(told.into_iter().map(|record| (record.eid, record)));
            } else {
                onward.extend(self.etr_for(&registration, (asked, to), query, cx));
            }
        }
        if !records.is_empty() {
            send_reply(request.nonce, alike(records), to, cx);
        }
        for etr in onward {
            cx.count(Counter::ServerForwarded);
            cx.send(&Message::Encapsulated(query.envelope.clone()), etr);
        }
    }

    /// A registered mapping as we tell it in the name of its owner, with the longer ones within it, which it would hide
    /// otherwise (RFC 9301 section 5.5). Where those are too many, or want to answer for themselves, only the largest part
    /// around `asked` without them is told of.
    fn told_whole(
        &self,
        registration: &Registration,
        asked: EidPrefix,
        config: &Config,
    ) -> Vec<MappingRecord> {
        let eid = registration.record.eid;
        let is_whole = |block: &EidPrefix| {
            let mut within = self.within(*block);
            within
                .by_ref()
                .take(MOST_WITHIN)
                .all(|other| other.is_answered_for(config))
                && within.next().is_none()
        };
        let block = (eid.length()..asked.length())
            .filter_map(|length| EidPrefix::new(asked.iid(), asked.address(), length).ok())
            .find(is_whole)
            .unwrap_or(asked);
        let main = MappingRecord {
            eid: block,
            ..proxied(&registration.record)
        };
        let within = self
            .within(block)
            .filter(|other| other.is_answered_for(config))
            .take(MOST_WITHIN);
        std::iter::once(main)
            .chain(within.map(|other| proxied(&other.record)))
            .collect()
    }

    /// What is registered within `block`, itself left out.
    pub(super) fn within(&self, block: EidPrefix) -> impl Iterator<Item = Registration> {
        self.registrations
            .range(block..)
            .take_while(move |(eid, _)| block.contains(&eid.first()))
            .filter(move |(eid, _)| **eid != block && block.covers(eid))
            .filter_map(|(_, registrants)| spoken(registrants))
    }

    /// Which ETR this question goes to.
    fn etr_for(
        &mut self,
        registration: &Registration,
        (asked, to): (EidPrefix, SocketAddr),
        query: &Query<'_>,
        cx: &Context<'_>,
    ) -> Option<Rloc> {
        // Who was solicited asks for the news, not for want of an answer.
        let times = if query.request.invoked {
            0
        } else {
            self.insistence(asked, Rloc(to.ip()), cx.now)
        };
        let etrs = etrs(registration, cx);
        let turn = (times / ASKINGS_EACH).checked_rem(etrs.len())?;
        etrs.get(turn).copied()
    }

    /// How often this client has asked for this EID in a row.
    fn insistence(&mut self, asked: EidPrefix, client: Rloc, now: Timestamp) -> usize {
        if self.askers.len() >= MOST_ASKERS && now.since(self.askers_swept) >= INSISTING {
            self.askers_swept = now;
            self.askers.retain(|_, asker| now.since(asker.at) <= INSISTING);
        }
        if self.askers.len() >= MOST_ASKERS && !self.askers.contains_key(&(asked, client)) {
            return 0;
        }
        let entry = self
            .askers
            .entry((asked, client))
            .or_insert(Asker { at: now, times: 0 });
        let new = entry.at == now || now.since(entry.at) > INSISTING;
        *entry = Asker {
            at: now,
            times: if new { 0 } else { entry.times + 1 },
        };
        entry.times
    }
}

/// Whom to ask: the registering xTR's own locators first, then the others, each by priority.
fn etrs(registration: &Registration, cx: &Context<'_>) -> Vec<Rloc> {
    let usable = |locator: &&Locator| locator.priority.usable() && cx.own_toward(locator.etr().0).is_some();
    // To ourselves it would come back to where it is.
    let other = |rloc: &Rloc| !cx.config.is_own(*rloc);
    let mut locators: Vec<&Locator> = registration.record.locators.iter().filter(usable).collect();
    // Only the xTR that registered knows for certain what it tells each client.
    locators.sort_by_key(|locator| {
        (
            locator.etr().0 != registration.from,
            !locator.local,
            locator.priority,
        )
    });
    let mut etrs: Vec<Rloc> = locators
        .iter()
        .map(|locator| locator.etr())
        .filter(other)
        .collect();
    if etrs.is_empty() {
        etrs.extend(Some(Rloc(registration.from)).filter(other));
    }
    etrs
}

/// The record as it is told by us, who are not its owner (RFC 9301 section 5.4): without A, L and p, without an action,
/// which registrations do not have, and with its locators in order (section 5.5).
pub(super) fn proxied(record: &MappingRecord) -> MappingRecord {
    let foreign = |locator: &Locator| Locator {
        local: false,
        probed: false,
        ..*locator
    };
    MappingRecord {
        authoritative: false,
        action: Action::NoAction,
        locators: in_order(record.locators.iter().map(foreign).collect()),
        ..record.clone()
    }
}

pub(super) fn send_reply(nonce: Nonce, records: Vec<MappingRecord>, to: SocketAddr, cx: &mut Context<'_>) {
    let reply = MapReply {
        nonce,
        probe: false,
        echo_nonce: false,
        records,
    };
    cx.send_to(&Message::MapReply(reply), to, REPLY_DSCP);
}
