//! The subscribing xTR: takes the Map-Notifies of Map-Servers that it subscribed at (RFC 9437).

mod rows;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{MapNotify, MapRequest, NotifyBits};
use lisp_wire::{
    Action, CONTROL_PORT, Eid, EidPrefix, Key, MappingRecord, Message, Nonce, Rloc, Ttl, verify,
};
use proto::{Span, Timestamp};

use crate::cache::Cache;
use crate::context::{CONTROL_DSCP, Context};
use crate::counters::Counter;
use crate::datagrams::Datagram;
use crate::resolution::Resolutions;
use crate::timers::Timers;

/// How long each attempt to end a subscription waits; after the last it is left to run out at the Map-Server.
const WAITS: [Span; 3] = [Span::secs(1), Span::secs(2), Span::secs(4)];
/// What ended is acknowledged for so long, as long as a Map-Server may repeat itself.
const LINGER: Span = Span::secs(100);

/// What this node is subscribed to.
#[derive(Debug, Default)]
pub(crate) struct Subscriber {
    held: BTreeMap<EidPrefix, Held>,
    renewals: Timers<EidPrefix>,
    farewells: BTreeMap<Nonce, Farewell>,
    waits: Timers<Nonce>,
}

#[derive(Clone, Debug)]
struct Held {
    /// By whom it was asked for: its key vouches for what is published.
    resolver: Rloc,
    /// The Map-Server.
    server: SocketAddr,
    /// The highest nonce taken.
    last: Nonce,
    /// What was asked.
    asked: Eid,
    mapping: Standing,
}

/// Whether there is a mapping to the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    There,
    /// The Map-Server says that it is gone. It may come back, and then we are told.
    Withdrawn,
}

#[derive(Clone, Debug)]
struct Farewell {
    eid: EidPrefix,
    held: Held,
    tries: usize,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    None,
    /// The Map-Server knows; it may not know that we know.
    Confirmed,
}

/// What a subscriber's news go into.
#[derive(Debug)]
pub(crate) struct Knowledge<'a> {
    pub(crate) resolutions: &'a mut Resolutions,
    pub(crate) cache: &'a mut Cache,
}

impl Subscriber {
    /// A Map-Notify that acknowledges no registration of ours: a confirmation, or a publication.
    pub(crate) fn notify(
        &mut self,
        notify: &MapNotify,
        datagram: &Datagram<'_>,
        mut knowledge: Knowledge<'_>,
        cx: &mut Context<'_>,
    ) {
        let Some(record) = notify.records.first() else {
            return cx.count(Counter::Unsolicited);
        };
        if notify.xtr.is_some_and(|(xtr, _)| xtr != cx.config.xtr_id) {
            return cx.count(Counter::Misdirected);
        }
        let waiting = knowledge.resolutions.subscribing(notify.nonce, cx.config);
        // No subscription begins with what is gone: a publication may have the nonce that we ask with meanwhile.
        let waiting = waiting.filter(|_| record.ttl != Ttl(0));
        let (about, resolver) = if let Some((_, resolver)) = waiting {
            (None, resolver)
        } else if let Some(farewell) = self.farewells.get(&notify.nonce) {
            (None, farewell.held.resolver)
        } else if let Some((eid, held)) = self.concerning(&record.eid) {
            (Some(eid), held.resolver)
        } else {
            return cx.count(Counter::Unsolicited);
        };
        let Some(keys) = cx.config.subscribe.get(&resolver) else {
            return cx.count(Counter::UnknownKey);
        };
        // The key that the Map-Server signs with is one that it has: acknowledgements are signed with the same.
        let key = match verify(datagram.bytes, keys.all()) {
            Ok(key) => key,
            Err(error) => return cx.count(error.into()),
        };
        let heard = Heard {
            notify,
            key,
            from: datagram.from,
        };
        match (waiting, about) {
            (Some((asked, resolver)), _) => {
                let news = Held {
                    resolver,
                    server: datagram.from,
                    last: notify.nonce,
                    asked,
                    mapping: Standing::There,
                };
                self.confirmed(heard, news, &mut knowledge, cx);
            }
            (None, Some(eid)) => self.published(heard, eid, &mut knowledge, cx),
            (None, None) => self.parted(heard, cx),
        }
    }

    /// The Map-Server has taken our subscription.
    fn confirmed(
        &mut self,
        heard: Heard<'_>,
        news: Held,
        knowledge: &mut Knowledge<'_>,
        cx: &mut Context<'_>,
    ) {
        let notify = heard.notify;
        let Some(record) = notify
            .records
            .iter()
            .find(|record| record.eid.contains(&news.asked))
        else {
            return cx.count(Counter::Mismatch);
        };
        if record.action == Action::DropAuthFailure && record.locators.is_empty() {
            // The end of an offer that we never saw; the question goes on.
            return cx.count(Counter::PubsubEnded);
        }
        let overtaken = self
            .held
            .get(&record.eid)
            .is_some_and(|held| held.last >= notify.nonce);
        heard.acknowledge(cx);
        if overtaken {
            cx.count(Counter::PubsubReplayed);
            knowledge.resolutions.settle(&news.asked);
            return;
        }
        cx.count(Counter::PubsubConfirmed);
        knowledge
            .resolutions
            .told(record, news.asked, knowledge.cache, cx);
        self.renewals.set(record.eid, cx.now + cx.config.subscribe_every);
        knowledge.resolutions.follow(record.eid, news.last);
        self.held.insert(record.eid, news);
    }

    /// A change, of what we are subscribed to.
    fn published(
        &mut self,
        heard: Heard<'_>,
        eid: EidPrefix,
        knowledge: &mut Knowledge<'_>,
        cx: &mut Context<'_>,
    ) {
        let Some(held) = self.held.get_mut(&eid) else {
            return;
        };
        let notify = heard.notify;
        let ended = |record: &MappingRecord| {
            record.locators.is_empty() && record.action == Action::DropAuthFailure && record.ttl != Ttl(0)
        };
        if notify.nonce >= held.last && notify.records.iter().all(ended) {
            cx.count(Counter::PubsubEnded);
            let asked = held.asked;
            self.forget(&eid, knowledge.resolutions);
            // Of none of these we are told any more, and the block would hide what has come within it.
            for block in knowledge.cache.published_within(eid) {
                let told_yet = self
                    .concerning(&block)
                    .is_some_and(|(around, _)| around.covers(&block));
                if !told_yet {
                    knowledge.cache.withdraw(&block);
                }
            }
            knowledge.cache.publish(cx);
            return knowledge.resolutions.refresh(asked, cx);
        }
        if notify.nonce == held.last {
            // Our acknowledgement was lost.
            cx.count(Counter::PubsubRepeated);
            return heard.acknowledge(cx);
        }
        if notify.nonce < held.last {
            return cx.count(Counter::PubsubReplayed);
        }
        let related = |record: &MappingRecord| eid.covers(&record.eid) || record.eid.covers(&eid);
        if !notify.records.iter().all(related) {
            return cx.count(Counter::Mismatch);
        }
        (held.last, held.server) = (notify.nonce, heard.from);
        knowledge.resolutions.follow(eid, notify.nonce);
        heard.acknowledge(cx);
        for record in &notify.records {
            if record.ttl == Ttl(0) {
                if record.eid.covers(&eid) {
                    held.mapping = Standing::Withdrawn;
                }
                knowledge.cache.withdraw(&record.eid);
            } else {
                held.mapping = Standing::There;
                let asked = if record.eid.contains(&held.asked) {
                    held.asked
                } else {
                    record.eid.first()
                };
                knowledge.resolutions.told(record, asked, knowledge.cache, cx);
                if record.eid != eid && record.eid.covers(&eid) {
                    // We were subscribed to a hole in it, which is no more: the mapping itself is to be subscribed to.
                    knowledge.resolutions.refresh(held.asked, cx);
                }
            }
            cx.count(Counter::PubsubApplied);
        }
        knowledge.cache.publish(cx);
    }

    /// The Map-Server has let go of us.
    fn parted(&mut self, heard: Heard<'_>, cx: &mut Context<'_>) {
        let nonce = heard.notify.nonce;
        let Some(farewell) = self.farewells.get_mut(&nonce) else {
            return;
        };
        if farewell.answer == Answer::None {
            farewell.answer = Answer::Confirmed;
            self.waits.set(nonce, cx.now + LINGER);
        }
        heard.acknowledge(cx);
    }

    /// Whether a Map-Server tells us of all changes of this mapping.
    pub(crate) fn follows(&self, eid: &EidPrefix) -> bool {
        let around = self.concerning(eid);
        around.is_some_and(|(around, held)| around.covers(eid) && held.mapping == Standing::There)
    }

    /// A plain Map-Reply to a request to subscribe: there is no subscription for this EID.
    pub(crate) fn declined(&mut self, asked: Eid, resolutions: &mut Resolutions) {
        if let Some((eid, _)) = self.concerning(&EidPrefix::host(asked)) {
            self.forget(&eid, resolutions);
        }
    }

    /// Mappings that have left the map cache: nobody need tell us of them any more.
    pub(crate) fn departed(
        &mut self,
        eids: &[EidPrefix],
        resolutions: &mut Resolutions,
        cx: &mut Context<'_>,
    ) {
        for eid in eids {
            if self
                .held
                .get(eid)
                .is_some_and(|held| held.mapping == Standing::There)
            {
                self.part(*eid, resolutions, cx);
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.renewals.next().into_iter().chain(self.waits.next()).min()
    }

    /// Asks anew for what is in use, and ends what is not.
    pub(crate) fn tick(&mut self, knowledge: &mut Knowledge<'_>, cx: &mut Context<'_>) {
        while let Some(eid) = self.renewals.pop_due(cx.now) {
            let Some(asked) = self.held.get(&eid).map(|held| held.asked) else {
                continue;
            };
            if knowledge.cache.holds_within(eid) {
                self.renewals.set(eid, cx.now + cx.config.subscribe_every);
                knowledge.resolutions.refresh(asked, cx);
            } else {
                self.part(eid, knowledge.resolutions, cx);
            }
        }
        while let Some(nonce) = self.waits.pop_due(cx.now) {
            let Some(farewell) = self.farewells.remove(&nonce) else {
                continue;
            };
            if farewell.answer == Answer::None && farewell.tries < WAITS.len() {
                self.say_farewell(farewell, cx);
            }
        }
    }

    fn part(&mut self, eid: EidPrefix, resolutions: &mut Resolutions, cx: &mut Context<'_>) {
        if let Some(held) = self.forget(&eid, resolutions) {
            cx.count(Counter::PubsubFarewells);
            let farewell = Farewell {
                eid,
                held,
                tries: 0,
                answer: Answer::None,
            };
            self.say_farewell(farewell, cx);
        }
    }

    /// RFC 9437 section 5: the only ITR-RLOC has no address. It goes to the Map-Server itself, by its own address.
    fn say_farewell(&mut self, mut farewell: Farewell, cx: &mut Context<'_>) {
        let Some(wait) = WAITS.get(farewell.tries) else {
            return;
        };
        // As for the request to subscribe: one more than the last, and if that is not answered a new one.
        let next = Nonce(farewell.held.last.0.saturating_add(1));
        let nonce = if farewell.tries == 0 {
            next
        } else {
            next.max(cx.nonces.subscribing(cx.now))
        };
        farewell.held.last = nonce;
        farewell.tries += 1;
        self.waits.set(nonce, cx.now + *wait);
        let request = MapRequest {
            nonce,
            authoritative: false,
            probe: false,
            solicit: false,
            invoked: false,
            proxy_itr: false,
            no_reply: false,
            source_eid: None,
            itr_rlocs: Vec::new(),
            eids: vec![farewell.eid],
            map_reply: None,
            notify: NotifyBits::FIRST,
            xtr: Some((cx.config.xtr_id, cx.config.site_id)),
        };
        let to = SocketAddr::new(farewell.held.server.ip(), CONTROL_PORT);
        self.farewells.insert(nonce, farewell);
        cx.send_to(&Message::MapRequest(request), to, CONTROL_DSCP);
    }

    fn forget(&mut self, eid: &EidPrefix, resolutions: &mut Resolutions) -> Option<Held> {
        self.renewals.cancel(eid);
        let asked_with = resolutions.unfollow(eid);
        let held = self.held.remove(eid)?;
        let last = asked_with.map_or(held.last, |nonce| nonce.max(held.last));
        Some(Held { last, ..held })
    }

    /// The subscription that news of `eid` belong to: the closest around it, or one within.
    fn concerning(&self, eid: &EidPrefix) -> Option<(EidPrefix, &Held)> {
        let around = (0..=eid.length()).rev().find_map(|length| {
            let prefix = EidPrefix::new(eid.iid(), eid.address(), length).ok()?;
            self.held.get(&prefix).map(|held| (prefix, held))
        });
        around.or_else(|| {
            let (within, held) = self.held.range(*eid..).next()?;
            eid.covers(within).then_some((*within, held))
        })
    }
}

/// A Map-Notify that is believed.
#[derive(Clone, Copy)]
struct Heard<'a> {
    notify: &'a MapNotify,
    /// The key that it was signed with.
    key: &'a Key,
    from: SocketAddr,
}

impl Heard<'_> {
    /// RFC 9301 section 5.7: the same content, signed by us.
    fn acknowledge(self, cx: &mut Context<'_>) {
        let message = Message::MapNotifyAck(self.notify.acknowledgement());
        cx.send_signed(&message, self.key, self.from);
    }
}
