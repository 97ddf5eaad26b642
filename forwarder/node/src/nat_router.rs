//! The router (RTR) that helps xTRs through NATs (draft-ermagan-lisp-nat-traversal section 5): hands their registrations on
//! to their Map-Server, and learns from its answers at which address and port each site is reached.
//!
//! Anyone can send a registration. Nothing is learned from it until the Map-Server, which knows the site's key, says under
//! the key that it shares with this router that it is good.
//!
//! Where a registration came from is under nobody's key, so who sees one can send a copy from elsewhere. A site that is
//! known stays where it is as long as its own registrations arrive too.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{AuthField, Encapsulated, MapNotify, MapRegister, Via, XtrId};
use lisp_wire::{
    CONTROL_PORT, DATA_HEADER_LEN, DataHeader, EidPrefix, Message, Nonce, Rloc, Ttl, verify_apart,
};
use proto::{Span, Timestamp};

use crate::cache::{Cache, Content, Life, Mapping, Origin};
use crate::context::Context;
use crate::counters::Counter;
use crate::input::Effect;
use crate::limits::Rate;
use crate::timers::Timers;

/// How long a Map-Server may take to confirm a registration.
const CONFIRMS_WITHIN: Span = Span::secs(5);
/// Registrations under way at a time; where a site is known to be, twice as many.
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
    /// Confirmed not long ago, and with it that a site has another address.
    moves: BTreeMap<Nonce, Move>,
    behind: BTreeMap<EidPrefix, Behind>,
    timers: Timers<Due>,
    /// For registrations from where no site is known to be, and from where one is: a flood of the former must not make
    /// us forget the latter.
    strangers: Rate,
    known: Rate,
}

/// A registration that the Map-Server has not confirmed yet.
#[derive(Clone, Debug)]
struct Pending {
    /// The xTR as it is seen here.
    outside: SocketAddr,
    /// As it sees itself.
    inside: SocketAddr,
    server: Rloc,
    auth: AuthField,
}

/// A site behind a NAT, as it was last registered.
#[derive(Clone, Copy, Debug)]
struct Behind {
    outside: SocketAddr,
    /// By which of its xTRs.
    xtr: Option<XtrId>,
    nonce: Nonce,
}

/// Sites that a registration has moved.
#[derive(Clone, Debug)]
struct Move {
    /// The registration's, by which a copy of it is known.
    auth: AuthField,
    from: Vec<(EidPrefix, Behind)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Unconfirmed(Nonce),
    Settled(Nonce),
    Silent(EidPrefix),
}

impl NatRouter {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            pending: BTreeMap::new(),
            moves: BTreeMap::new(),
            behind: BTreeMap::new(),
            timers: Timers::default(),
            strangers: Rate::per_second(RELAYED_PER_SECOND, now),
            known: Rate::per_second(RELAYED_PER_SECOND, now),
        }
    }

    /// A registration of an xTR behind a NAT, on its way to its Map-Server.
    pub(crate) fn relay(
        &mut self,
        envelope: &Encapsulated,
        from: SocketAddr,
        cache: &mut Cache,
        cx: &mut Context<'_>,
    ) {
        let server = Rloc(envelope.destination);
        if !cx.config.nat.servers.contains_key(&server) {
            return cx.count(Counter::NoRole);
        }
        let Ok(Message::MapRegister(register)) = Message::parse(&envelope.message) else {
            return cx.count(Counter::Malformed);
        };
        let home = self.is_home(&register, from);
        let (rate, room) = if home {
            (&mut self.known, 2 * MOST_PENDING)
        } else {
            (&mut self.strangers, MOST_PENDING)
        };
        if !rate.allows(cx.now) {
            return cx.count(Counter::Rate);
        }
        let nonce = register.nonce;
        if let Some(moved) = self.moves.get(&nonce) {
            let home = |(_, before): &(EidPrefix, Behind)| before.outside == from;
            if moved.auth != register.auth || !moved.from.iter().any(home) {
                return cx.count(Counter::Replay);
            }
            return self.move_back(nonce, cache, cx);
        }
        if let Some(first) = self.pending.get(&nonce) {
            // Said again on the way. The first one counts, or whoever repeats it elsewhere would turn the site round,
            // unless the site is known to be where this one comes from: then the first was such a repetition.
            if first.outside == from || !home {
                return cx.count(Counter::Replay);
            }
            cx.count(Counter::NatContested);
        } else if self.pending.len() >= room {
            return cx.count(Counter::Full);
        }
        let pending = Pending {
            outside: from,
            inside: envelope.source,
            server,
            auth: register.auth,
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
            .filter(|one| one.server == server)
            .cloned()
        else {
            return cx.count(Counter::Unsolicited);
        };
        self.pending.remove(&notify.nonce);
        self.timers.cancel(&Due::Unconfirmed(notify.nonce));
        if !config.nat.any_nonces.contains(&server) && self.is_old(&notify) {
            return cx.count(Counter::Replay);
        }
        let now = Behind {
            outside: pending.outside,
            xtr: notify.xtr.map(|(xtr, _)| xtr),
            nonce: notify.nonce,
        };
        let mut moved = Vec::new();
        for record in &notify.records {
            if record.ttl == Ttl::DEREGISTER {
                self.forget(&record.eid, cache);
            } else if config.nat.eids.iter().any(|block| block.covers(&record.eid)) {
                let before = self.learn(record.eid, now, cache, cx);
                moved.extend(before.map(|before| (record.eid, before)));
            } else {
                cx.count(Counter::Scope);
            }
        }
        cache.publish(cx);
        if !moved.is_empty() && self.moves.len() < MOST_PENDING {
            let (auth, from) = (pending.auth.clone(), moved);
            self.moves.insert(notify.nonce, Move { auth, from });
            self.timers
                .set(Due::Settled(notify.nonce), cx.now + CONFIRMS_WITHIN);
        }
        pass_on(envelope, &pending, cx);
    }

    /// Whether this is where a site of the registration is.
    fn is_home(&self, register: &MapRegister, from: SocketAddr) -> bool {
        let known = |eid| self.behind.get(eid).is_some_and(|known| known.outside == from);
        register.records.iter().any(|record| known(&record.eid))
    }

    /// Whether the Map-Server said this before what it has said since: together with an old registration it would be
    /// taken for an answer.
    fn is_old(&self, notify: &MapNotify) -> bool {
        let xtr = notify.xtr.map(|(xtr, _)| xtr);
        let later = |known: &Behind| known.xtr == xtr && notify.nonce <= known.nonce;
        let mut records = notify.records.iter();
        records.any(|record| self.behind.get(&record.eid).is_some_and(later))
    }

    /// The registration that moved sites came from where they were, too: from elsewhere came a copy of it.
    fn move_back(&mut self, nonce: Nonce, cache: &mut Cache, cx: &mut Context<'_>) {
        self.timers.cancel(&Due::Settled(nonce));
        cx.count(Counter::NatContested);
        for (eid, before) in self.moves.remove(&nonce).into_iter().flat_map(|moved| moved.from) {
            if self.behind.get(&eid).is_some_and(|known| known.nonce == nonce) {
                self.learn(eid, Behind { nonce, ..before }, cache, cx);
            }
        }
    }

    /// Where it was known to be, if that was elsewhere.
    fn learn(
        &mut self,
        eid: EidPrefix,
        now: Behind,
        cache: &mut Cache,
        cx: &mut Context<'_>,
    ) -> Option<Behind> {
        let outside = now.outside;
        let before = self.behind.get(&eid).copied();
        if before.is_none() && self.behind.len() >= MOST_BEHIND {
            cx.count(Counter::Full);
            return None;
        }
        cx.count(Counter::NatReached);
        let elsewhere = before.filter(|before| before.outside != outside);
        if elsewhere.is_some() {
            cx.count(Counter::NatMoved);
        }
        self.behind.insert(eid, now);
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
        elsewhere
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
                Due::Settled(nonce) => {
                    self.moves.remove(&nonce);
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
fn pass_on(envelope: &Encapsulated, pending: &Pending, cx: &mut Context<'_>) {
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
    cx.send_in_data(bytes, &envelope.message, pending.outside);
}
