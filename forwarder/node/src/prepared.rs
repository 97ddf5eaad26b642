//! A handover is prepared at the site that an EID will come to: who speaks to it, the keys for them, where they are.
//!
//! What was handed over is used when the EID arrives, and forgotten when its time is up or when the other site says
//! that it does not come. Nothing is believed that the sender's key has no say over, except where clients are: that is
//! no more than a hint about locators to which packets would go anyway, kept for as long as the preparation holds and
//! asked for in the mapping system like any mapping that is in use.

use std::collections::BTreeMap;
use std::sync::Arc;

use lisp_wire::message::{Preparation, XtrId};
use lisp_wire::{Eid, EidPrefix, Handed, Key, Manner, MappingRecord, Nonce, Rloc};
use proto::{Span, Timestamp};

use crate::cache::{Cache, Content, Life, Mapping, Origin};
use crate::context::Context;
use crate::counters::Counter;
use crate::preparing::LIFE;
use crate::timers::Timers;

/// At most this many EIDs are awaited.
const MOST_EIDS: usize = 1024;
/// At most this many clients have been handed over, of all EIDs together.
const MOST_CLIENTS: usize = 65_536;
/// At most this many mappings have been, of one EID.
const MOST_MAPPINGS: usize = 16_384;

/// What other sites have handed over.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    awaited: BTreeMap<EidPrefix, Incoming>,
    expiries: Timers<EidPrefix>,
    clients: usize,
}

#[derive(Debug)]
struct Incoming {
    from: XtrId,
    /// Where the other site is reached.
    sender: Rloc,
    serial: u64,
    expires: Timestamp,
    highest: Nonce,
    clients: BTreeMap<Rloc, Client>,
    mappings: BTreeMap<EidPrefix, (MappingRecord, Timestamp)>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Awaited,
    /// It runs here. Clients that the other site names later are told as they come.
    Come,
}

/// A client that was handed over.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) source: Option<Eid>,
    pub(crate) manner: Manner,
    pub(crate) key: Option<Arc<Key>>,
    pub(crate) asked_at: Timestamp,
}

/// What an EID brings along that has come as it was prepared.
#[derive(Debug)]
pub(crate) struct Luggage {
    /// The locator of the site that it comes from.
    pub(crate) sender: Rloc,
    pub(crate) clients: BTreeMap<Rloc, Client>,
}

impl Prepared {
    /// Whether a part may be taken.
    ///
    /// # Errors
    /// The counter to count the refusal under.
    pub(crate) fn check(&self, message: &Preparation, clients: usize) -> Result<(), Counter> {
        match self.awaited.get(&message.eid) {
            Some(known) if message.serial < known.serial => Err(Counter::Replay),
            // The later preparation counts, whoever makes it; one number is one sender's.
            Some(known) if message.serial == known.serial && message.xtr != known.from => {
                Err(Counter::Replay)
            }
            None if self.awaited.len() >= MOST_EIDS => Err(Counter::Full),
            _ if self.clients + clients > MOST_CLIENTS => Err(Counter::Full),
            _ => Ok(()),
        }
    }

    /// Takes a part. The clients to be told at once, because the EID has come already.
    pub(crate) fn take(
        &mut self,
        message: &Preparation,
        (handed, own_keys): (Handed, &[Key]),
        cache: &mut Cache,
        cx: &mut Context<'_>,
    ) -> Option<Luggage> {
        let eid = message.eid;
        if self
            .awaited
            .get(&eid)
            .is_some_and(|known| known.serial < message.serial)
        {
            self.forget(&eid);
        }
        let life = Span::secs(u64::from(message.life_seconds)).clamp(LIFE.0, LIFE.1);
        let incoming = self.awaited.entry(eid).or_insert_with(|| Incoming {
            from: message.xtr,
            sender: message.sender,
            serial: message.serial,
            expires: cx.now + life,
            highest: Nonce(0),
            clients: BTreeMap::new(),
            mappings: BTreeMap::new(),
            stage: Stage::Awaited,
        });
        incoming.expires = incoming.expires.max(cx.now + life);
        incoming.highest = incoming.highest.max(handed.highest);
        self.expiries.set(eid, incoming.expires);
        cx.count(Counter::PreparationsTaken);
        // A key that is there already is not kept once more.
        let keys: Vec<Option<Arc<Key>>> = handed
            .keys
            .into_iter()
            .map(|key| (!own_keys.iter().any(|own| own.same_as(&key))).then(|| Arc::new(key)))
            .collect();
        let mut fresh = BTreeMap::new();
        for client in handed.clients {
            let key = client.key.and_then(|index| keys.get(usize::from(index)));
            let kept = Client {
                source: client.source,
                manner: client.manner,
                key: key.cloned().flatten(),
                asked_at: cx.now - Span::secs(u64::from(client.age_seconds)),
            };
            if cx.config.is_own(client.rloc) || cx.own_toward(client.rloc.0).is_none() {
                continue;
            }
            fresh.insert(client.rloc, kept.clone());
            if incoming.clients.insert(client.rloc, kept).is_none() {
                self.clients += 1;
            }
        }
        for mapping in handed.mappings {
            if incoming.mappings.len() >= MOST_MAPPINGS {
                break;
            }
            if believable(&mapping, &incoming.clients, cx) {
                incoming.mappings.insert(mapping.eid, (mapping, cx.now));
            } else {
                cx.count(Counter::PreparationsUnbelieved);
            }
        }
        incoming.settle_in(cache, cx);
        (incoming.stage == Stage::Come).then_some(Luggage {
            sender: incoming.sender,
            clients: fresh,
        })
    }

    /// The sender of the preparation that a later message of it is about.
    pub(crate) fn sender_of(&self, message: &Preparation) -> Option<Rloc> {
        let known = self.awaited.get(&message.eid)?;
        (known.from == message.xtr && known.serial == message.serial).then_some(known.sender)
    }

    /// Whether the EID is still to come.
    pub(crate) fn awaits(&self, eid: &EidPrefix) -> bool {
        self.awaited
            .get(eid)
            .is_some_and(|known| known.stage == Stage::Awaited)
    }

    /// The EID runs here: what was handed over for it, if it was prepared and the time is not up.
    pub(crate) fn arrived(
        &mut self,
        eid: EidPrefix,
        cache: &mut Cache,
        cx: &mut Context<'_>,
    ) -> Option<Luggage> {
        let incoming = self.awaited.get_mut(&eid)?;
        if incoming.expires <= cx.now || incoming.stage == Stage::Come {
            return None;
        }
        incoming.stage = Stage::Come;
        cx.count(Counter::PreparationsUsed);
        cx.nonces.succeed(incoming.highest, cx.now);
        incoming.settle_in(cache, cx);
        Some(Luggage {
            sender: incoming.sender,
            clients: incoming.clients.clone(),
        })
    }

    /// It does not come, or has left again.
    pub(crate) fn forget(&mut self, eid: &EidPrefix) {
        self.expiries.cancel(eid);
        if let Some(incoming) = self.awaited.remove(eid) {
            self.clients -= incoming.clients.len();
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.expiries.next()
    }

    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some(eid) = self.expiries.pop_due(cx.now) {
            if self.awaits(&eid) {
                cx.count(Counter::PreparationsExpired);
            }
            self.forget(&eid);
        }
    }
}

impl Incoming {
    /// Puts the clients' mappings into the map cache, where nothing better is known.
    fn settle_in(&self, cache: &mut Cache, cx: &mut Context<'_>) {
        let mut changed = Vec::new();
        for (eid, (record, handed_at)) in &self.mappings {
            let known = cache.covering(eid).map(|(_, mapping)| mapping.origin);
            if known.is_some_and(|origin| origin != Origin::Prepared) {
                continue;
            }
            let lives = Span::secs(u64::from(record.ttl.0) * 60);
            let expires = self.expires.min(*handed_at + lives);
            if expires <= cx.now {
                continue;
            }
            let life = Life {
                from: cx.now,
                span: expires.since(cx.now),
            };
            let content = Content::Locators(record.locators.clone());
            cache.insert(*eid, Mapping::new(content, Origin::Prepared, eid.first(), life));
            if known.is_none() {
                cx.count(Counter::PreparationsMappings);
                changed.push(*eid);
            }
        }
        cache.publish(cx);
        for eid in changed {
            cx.effects.push(crate::Effect::Release { eid });
        }
    }
}

/// Whether a mapping is one of a client's, and of none of our own EIDs: nobody may draw other packets to himself.
fn believable(record: &MappingRecord, clients: &BTreeMap<Rloc, Client>, cx: &Context<'_>) -> bool {
    let mut own = cx.config.eids.iter().map(|own| &own.prefix);
    let overlaps = own.any(|own| own.covers(&record.eid) || record.eid.covers(own));
    let at_client = |locator: &lisp_wire::Locator| clients.contains_key(&locator.etr());
    !overlaps && record.locators.iter().any(at_client)
}
