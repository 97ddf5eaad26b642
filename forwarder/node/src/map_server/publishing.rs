//! What the Map-Server's registrations mean to its subscribers (RFC 9437).

use std::net::SocketAddr;
use std::sync::Arc;

use lisp_wire::message::{MapNotify, MapRequest};
use lisp_wire::{Action, EidPrefix, MappingRecord};

use super::answering::{proxied, send_reply};
use super::damping::When;
use super::merging::spoken;
use super::{MapServer, Query, UNREGISTERED, notified_at};
use crate::config::{Config, KeyRing};
use crate::context::Context;
use crate::counters::Counter;
use crate::etr::{Arrival, reply_address};
use crate::pubsub::{Proven, Publication, Wish, keys_of, withdrawn};

/// At most so many longer mappings are told to who subscribes to a block; where there are more, the subscription is to a
/// part of it.
const MOST_WITHIN: usize = 64;

impl MapServer {
    /// A Map-Request that ends subscriptions. It is answered where it came from (RFC 9437 section 5).
    pub(crate) fn unsubscribe(&mut self, request: &MapRequest, arrival: Arrival, cx: &mut Context<'_>) {
        let Some((xtr, site)) = request.xtr else { return };
        for (index, asked) in (0..=u8::MAX).zip(&request.eids) {
            if request.notify.contains(index) {
                let wish = Wish {
                    xtr,
                    site,
                    asked: *asked,
                    nonce: request.nonce,
                    to: Arc::new([notified_at(arrival.asker)]),
                };
                self.publisher.unsubscribe(wish, cx);
            }
        }
    }

    /// A Map-Notify-Ack: only subscribers send any.
    pub(crate) fn acknowledged(
        &mut self,
        ack: &MapNotify,
        datagram: &[u8],
        from: SocketAddr,
        cx: &mut Context<'_>,
    ) {
        if self.merge_acknowledged(ack, datagram, cx) {
            return;
        }
        if let Some(proven) = self.publisher.acknowledged(ack, datagram, from, cx) {
            self.catch_up(&proven, cx);
        }
        for (subscriber, eid) in self.publisher.take_waiting() {
            let now = self.told(&eid).unwrap_or_else(|| withdrawn(eid));
            self.publisher.publish_to(subscriber, now, cx);
        }
    }

    /// Tells a new subscriber what has changed while its subscription was on its way, and of the longer mappings within,
    /// which the one that it asked for would hide.
    fn catch_up(&mut self, proven: &Proven, cx: &mut Context<'_>) {
        let subscriber = (proven.eid, proven.xtr);
        match self.holding(&proven.eid) {
            Some(now) if now == *proven.told => {}
            Some(now) => self.publisher.publish_to(subscriber, now, cx),
            None if proven.told.locators.is_empty() => {}
            None => self.publisher.publish_to(subscriber, withdrawn(proven.eid), cx),
        }
        let within = self.within(proven.eid).filter(|longer| longer.proxy_reply);
        for record in within.map(|longer| proxied(&longer.record)).collect::<Vec<_>>() {
            self.publisher.publish_to(subscriber, record, cx);
        }
    }

    /// What an xTR at this node may want to know of subscribers.
    pub(crate) fn take_publications(&mut self) -> Vec<Publication> {
        self.publisher.take_news()
    }

    /// Whether a Map-Request about an EID of this node begins or ends a subscription; if not, the node answers it as an ETR.
    pub(crate) fn takes_up(&mut self, query: &Query<'_>, cx: &mut Context<'_>) -> bool {
        let Query { request, arrival, .. } = *query;
        if request.unsubscribes() {
            self.unsubscribe(request, arrival, cx);
            return true;
        }
        let to = reply_address(request, arrival, cx);
        let asked = request.eids.first().copied();
        asked
            .zip(to)
            .is_some_and(|(asked, to)| self.subscribed(request, (0, asked), to, cx))
    }

    /// Whether a Map-Request has been answered as the subscription it asks for: by a Map-Notify, or a denial. Where it
    /// was not, it is a question like any other.
    pub(super) fn subscribed(
        &mut self,
        request: &MapRequest,
        (index, asked): (u8, EidPrefix),
        to: SocketAddr,
        cx: &mut Context<'_>,
    ) -> bool {
        let config = cx.config;
        let Some((xtr, site)) = request
            .xtr
            .filter(|_| request.notify.contains(index) && config.publishes())
        else {
            return false;
        };
        let Some(keys) = keys_of(config, &asked) else {
            // Where no site is, there is nobody whose policy it could be.
            let denied = config.sites.iter().any(|site| site.prefix.covers(&asked));
            if denied {
                cx.count(Counter::PubsubDenied);
                let record = MappingRecord {
                    ttl: UNREGISTERED,
                    action: Action::DropPolicyDenied,
                    ..withdrawn(asked)
                };
                send_reply(request.nonce, vec![record], to, cx);
            }
            return denied;
        };
        // RFC 9437 section 3: only where the Map-Server may speak for the ETR.
        let record = match self.newest(&asked) {
            Some(registration) if registration.proxy_reply => {
                let around = registration.record.eid.length()..=asked.length();
                around
                    .filter_map(|length| EidPrefix::new(asked.iid(), asked.address(), length).ok())
                    .find(|block| self.is_one(*block, keys, config))
                    .map(|eid| MappingRecord {
                        eid,
                        ..proxied(&registration.record)
                    })
            }
            Some(_) => {
                cx.count(Counter::PubsubNotProxied);
                None
            }
            None => self
                .hole(asked, cx)
                .filter(|hole| self.is_one(hole.eid, keys, config)),
        };
        let Some(record) = record else { return false };
        let others = request.itr_rlocs.iter().filter(|rloc| rloc.0 != to.ip());
        let reachable = others.filter(|rloc| cx.own_toward(rloc.0).is_some());
        let wish = Wish {
            xtr,
            site,
            asked,
            nonce: request.nonce,
            to: [to.ip()]
                .into_iter()
                .chain(reachable.map(|rloc| rloc.0))
                .map(|address| notified_at(SocketAddr::new(address, 0)))
                .collect(),
        };
        self.publisher.subscribe(wish, record, keys, cx).is_ok()
    }

    /// Whether one subscription can be to all of a block: under the same key everywhere, with few longer mappings within,
    /// of which all are told of here.
    fn is_one(&self, block: EidPrefix, keys: &KeyRing, config: &Config) -> bool {
        let same = |of: Option<&KeyRing>| of.is_some_and(|of| std::ptr::eq(of, keys));
        let mut sites = config.sites.iter().filter(|site| block.covers(&site.prefix));
        let mut within = self.within(block);
        same(keys_of(config, &block))
            && sites.all(|site| same(site.pubsub.as_ref().or(config.pubsub.key.as_ref())))
            && within.by_ref().take(MOST_WITHIN).all(|longer| longer.proxy_reply)
            && within.next().is_none()
    }

    /// The mapping that holds for a block, if subscribers are told of it: its own, or the one around it.
    fn holding(&self, block: &EidPrefix) -> Option<MappingRecord> {
        let around = self.newest(block).filter(|around| around.proxy_reply)?;
        Some(MappingRecord {
            eid: *block,
            ..proxied(&around.record)
        })
    }

    /// What subscribers are told of exactly this prefix.
    pub(super) fn told(&self, eid: &EidPrefix) -> Option<MappingRecord> {
        if self.publisher.is_empty() {
            return None;
        }
        let whole = self.registrations.get(eid).and_then(spoken)?;
        whole.proxy_reply.then(|| proxied(&whole.record))
    }

    /// Tells all who want to know, if a mapping is no longer what it was `before`: at once, or with what is yet to come if it
    /// changes all the time.
    pub(super) fn publish(&mut self, eid: EidPrefix, before: Option<&MappingRecord>, cx: &mut Context<'_>) {
        if self.publisher.is_empty() {
            return;
        }
        let now = self.registrations.get(&eid).and_then(spoken);
        if now.is_some_and(|now| !now.proxy_reply) {
            // Its owner alone may tell of it, and what subscribers have of the block around would hide it.
            return self.publisher.let_go(eid, cx);
        }
        if self.told(&eid).as_ref() == before {
            return;
        }
        match self.damping.changed(eid, cx.now) {
            When::Now => self.publish_now(eid, cx),
            When::Later => cx.count(Counter::PubsubCoalesced),
        }
    }

    /// Publishes what was put off.
    pub(super) fn publish_due(&mut self, cx: &mut Context<'_>) {
        while let Some(eid) = self.damping.due(cx.now) {
            self.publish_now(eid, cx);
        }
    }

    fn publish_now(&mut self, eid: EidPrefix, cx: &mut Context<'_>) {
        // Who is subscribed to a part that nobody registers goes by the mapping around it.
        let closest = |part: &EidPrefix| {
            let longer = self.newest_prefix(part);
            longer.is_none_or(|longer| longer.length() <= eid.length())
        };
        let now = |part| self.holding(&part).unwrap_or_else(|| withdrawn(part));
        let within: Vec<_> = self.publisher.within(eid).filter(closest).map(now).collect();
        let record = self.told(&eid).unwrap_or_else(|| withdrawn(eid));
        self.publisher.publish(record, within, cx);
    }

    /// The longest registered prefix around `asked`.
    fn newest_prefix(&self, asked: &EidPrefix) -> Option<EidPrefix> {
        if self.registrations.contains_key(asked) {
            return Some(*asked);
        }
        self.newest(asked).map(|registration| registration.record.eid)
    }
}
