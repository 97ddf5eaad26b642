//! The router (RTR) that helps xTRs through NATs (draft-ermagan-lisp-nat-traversal section 5): hands their registrations on
//! to their Map-Server, and learns from its answers at which address and port each site is reached.
//!
//! Anyone can send a registration. Nothing is learned from it until the Map-Server, which knows the site's key, says under
//! the key that it shares with this router that it is good.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{AuthField, Encapsulated, Via};
use lisp_wire::{
    CONTROL_PORT, DATA_HEADER_LEN, DataHeader, EidPrefix, Message, Nonce, Rloc, Ttl, verify_apart,
};
use proto::{Span, Timestamp};

use crate::cache::{Cache, Content, Life, Mapping, Origin};
use crate::context::{CONTROL_DSCP, Context};
use crate::counters::Counter;
use crate::input::Effect;
use crate::limits::Rate;
use crate::timers::Timers;

/// How long a Map-Server may take to confirm a registration.
const CONFIRMS_WITHIN: Span = Span::secs(5);
/// Registrations under way at a time.
const MOST_PENDING: usize = 4096;
/// And begun in a second: each makes the Map-Server work.
const RELAYED_PER_SECOND: u64 = 1000;
/// Sites behind NATs that are known at a time.
const MOST_BEHIND: usize = 16_384;
/// A site is known so long without registering again: as long as the Map-Server knows it.
const KNOWN: Span = Span::secs(180);

/// Who is behind a NAT, and who wants to be known to be.
#[derive(Debug)]
pub(crate) struct NatRouter {
    pending: BTreeMap<Nonce, Pending>,
    behind: BTreeMap<EidPrefix, SocketAddr>,
    timers: Timers<Due>,
    rate: Rate,
}

/// A registration that the Map-Server has not confirmed yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// The xTR as it is seen here.
    outside: SocketAddr,
    /// As it sees itself.
    inside: SocketAddr,
    server: Rloc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Unconfirmed(Nonce),
    Silent(EidPrefix),
}

impl NatRouter {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            pending: BTreeMap::new(),
            behind: BTreeMap::new(),
            timers: Timers::default(),
            rate: Rate::per_second(RELAYED_PER_SECOND, now),
        }
    }

    /// A registration of an xTR behind a NAT, on its way to its Map-Server.
    pub(crate) fn relay(&mut self, envelope: &Encapsulated, from: SocketAddr, cx: &mut Context<'_>) {
        let server = Rloc(envelope.destination);
        if !cx.config.nat.servers.contains_key(&server) {
            return cx.count(Counter::NoRole);
        }
        let Ok(Message::MapRegister(register)) = Message::parse(&envelope.message) else {
            return cx.count(Counter::Malformed);
        };
        if !self.rate.allows(cx.now) {
            return cx.count(Counter::Rate);
        }
        let nonce = register.nonce;
        if self.pending.contains_key(&nonce) {
            // Said again on the way; the first one counts, or whoever repeats it elsewhere would turn the site round.
            return cx.count(Counter::Replay);
        }
        if self.pending.len() >= MOST_PENDING {
            return cx.count(Counter::Full);
        }
        let pending = Pending {
            outside: from,
            inside: envelope.source,
            server,
        };
        self.pending.insert(nonce, pending);
        self.timers.set(Due::Unconfirmed(nonce), cx.now + CONFIRMS_WITHIN);
        cx.count(Counter::NatRelayed);
        let handed_on = Encapsulated {
            via: Via::FromRouter,
            ..envelope.clone()
        };
        cx.send(&Message::Encapsulated(handed_on), server);
    }

    /// The Map-Server's answer to one of them.
    pub(crate) fn notified(
        &mut self,
        (envelope, proof): (&Encapsulated, &AuthField),
        from: SocketAddr,
        cache: &mut Cache,
        cx: &mut Context<'_>,
    ) {
        let config = cx.config;
        let server = Rloc(from.ip());
        let Some(keys) = config.nat.servers.get(&server) else {
            return cx.count(Counter::NoRole);
        };
        if let Err(error) = verify_apart(&envelope.message, proof, keys.all()) {
            return cx.count(error.into());
        }
        let Ok(Message::MapNotify(notify)) = Message::parse(&envelope.message) else {
            return cx.count(Counter::Malformed);
        };
        let Some(pending) = self
            .pending
            .get(&notify.nonce)
            .copied()
            .filter(|one| one.server == server)
        else {
            return cx.count(Counter::Unsolicited);
        };
        self.pending.remove(&notify.nonce);
        self.timers.cancel(&Due::Unconfirmed(notify.nonce));
        for record in &notify.records {
            if record.ttl == Ttl::DEREGISTER {
                self.forget(&record.eid, cache);
            } else if config.nat.eids.iter().any(|block| block.covers(&record.eid)) {
                self.learn(record.eid, pending.outside, cache, cx);
            } else {
                cx.count(Counter::Scope);
            }
        }
        cache.publish(cx);
        pass_on(envelope, pending, cx);
    }

    fn learn(&mut self, eid: EidPrefix, outside: SocketAddr, cache: &mut Cache, cx: &mut Context<'_>) {
        let before = self.behind.get(&eid).copied();
        if before.is_none() && self.behind.len() >= MOST_BEHIND {
            return cx.count(Counter::Full);
        }
        cx.count(Counter::NatReached);
        if before.is_some_and(|before| before != outside) {
            cx.count(Counter::NatMoved);
        }
        self.behind.insert(eid, outside);
        self.timers.set(Due::Silent(eid), cx.now + KNOWN);
        let life = Life {
            from: cx.now,
            span: KNOWN,
        };
        let mapping = Mapping::new(Content::Behind(outside), Origin::Router, eid.first(), life);
        cache.insert(eid, mapping);
        cache.forget_holes(eid);
        cache.publish(cx);
        cx.effects.push(Effect::Release { eid });
    }

    fn forget(&mut self, eid: &EidPrefix, cache: &mut Cache) {
        self.timers.cancel(&Due::Silent(*eid));
        if self.behind.remove(eid).is_some() {
            cache.remove(eid);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    pub(crate) fn tick(&mut self, cache: &mut Cache, cx: &mut Context<'_>) {
        while let Some(due) = self.timers.pop_due(cx.now) {
            match due {
                Due::Unconfirmed(nonce) => {
                    self.pending.remove(&nonce);
                    cx.count(Counter::NatUnanswered);
                }
                Due::Silent(eid) => {
                    cx.count(Counter::NatExpired);
                    self.forget(&eid, cache);
                }
            }
        }
    }
}

/// The Map-Notify goes to the xTR as a data packet (Data-Map-Notify): the NAT lets in at its data port alone what comes
/// from our control port, where it sent its registration.
fn pass_on(envelope: &Encapsulated, pending: Pending, cx: &mut Context<'_>) {
    let packet = Encapsulated {
        source: SocketAddr::new(pending.server.0, CONTROL_PORT),
        destination: pending.inside.ip(),
        via: Via::Nobody,
        ..envelope.clone()
    };
    let mut enveloped = Vec::new();
    if Message::Encapsulated(packet).emit(&mut enveloped).is_err() {
        return cx.count(Counter::Unsendable);
    }
    // An envelope is one word and the packet.
    let mut bytes = Vec::with_capacity(DATA_HEADER_LEN + enveloped.len());
    bytes.extend(DataHeader::PLAIN.emit());
    bytes.extend(enveloped.iter().skip(4));
    cx.count(Counter::Sent);
    cx.effects.push(Effect::Send {
        from: cx.own_toward(pending.outside.ip()).map(|own| own.0),
        to: pending.outside,
        bytes,
        dscp: CONTROL_DSCP,
    });
}
