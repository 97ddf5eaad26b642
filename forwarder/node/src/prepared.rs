//! A handover is prepared at the site that an EID will come to: who speaks to it, the keys for them, where they are.
//!
//! What was handed over is used when the EID arrives, and forgotten when its time is up, when the other site says that it
//! does not come, or when it has to make room. Nothing is believed that the sender's key has no say over, except where
//! clients are: that is no more than a hint about locators to which packets would go anyway, of the EID's own tenant, kept
//! for as long as the preparation holds, and worth less than anything else that is known.
//!
//! A preparation counts whole or not at all: the other site leaves to us those clients whose parts we acknowledged. So no
//! part is taken of one that was forgotten, over restarts too; who was handed over with it is told by the other site.

use std::collections::BTreeMap;
use std::sync::Arc;

use lisp_wire::message::{Preparation, XtrId};
use lisp_wire::{Eid, EidPrefix, Handed, Key, Manner, MappingRecord, Nonce, Rloc};
use proto::{Span, Timestamp};

use crate::cache::{Cache, Content, Life, Mapping, Origin};
use crate::context::Context;
use crate::counters::Counter;
use crate::preparing::LIFE;
use crate::replay::WINDOW;
use crate::state::Begun;
use crate::timers::Timers;

/// At most this many EIDs are awaited.
const MOST_EIDS: usize = 1024;
/// At most this many clients and mappings of clients have been handed over of one EID: who is remembered to have asked for
/// it, who was given a view, and as many mappings as are of use.
const MOST_OF_ONE: usize = 4096 + 16_384 + MOST_MAPPINGS;
/// And of all together.
const MOST: usize = 131_072;
/// At most this many mappings are kept of one EID.
const MOST_MAPPINGS: usize = 16_384;
/// A block of a site is no wider than this; what is wider is asked for.
const WIDEST: (u8, u8) = (16, 32);
/// At most this many ended preparations are remembered.
const MOST_ENDED: usize = 4096;

/// What other sites have handed over.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    awaited: BTreeMap<EidPrefix, Incoming>,
    expiries: Timers<EidPrefix>,
    /// The last one of each sender that has come to an end, while parts of it may still be under way.
    ended: BTreeMap<(EidPrefix, XtrId), u64>,
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
    /// Whether a part may be taken, with so many clients and mappings.
    ///
    /// # Errors
    /// The counter to count the refusal under.
    pub(crate) fn check(&self, message: &Preparation, more: usize) -> Result<(), Counter> {
        let ended = self.ended.get(&(message.eid, message.xtr));
        if ended.is_some_and(|ended| message.serial <= *ended) {
            return Err(Counter::Replay);
        }
        match self.awaited.get(&message.eid) {
            Some(known) if message.serial < known.serial => Err(Counter::Replay),
            // The later preparation counts, whoever makes it; one number is one sender's.
            Some(known) if message.serial == known.serial && message.xtr != known.from => {
                Err(Counter::Replay)
            }
            None if self.awaited.len() >= MOST_EIDS => Err(Counter::Full),
            _ if self.burden_with(message, more) > MOST_OF_ONE => Err(Counter::Full),
            _ if self.overload(message, more) > 0
                && self.burden_with(message, more) > self.share(message) =>
            {
                Err(Counter::Full)
            }
            _ => Ok(()),
        }
    }

    /// What has been handed over of an EID once this part is taken; what it takes the place of does not count.
    fn burden_with(&self, message: &Preparation, more: usize) -> usize {
        let known = self.awaited.get(&message.eid);
        let goes_on = known.filter(|known| known.serial == message.serial);
        goes_on.map_or(0, Incoming::burden) + more
    }

    /// By how much all together would be too much.
    fn overload(&self, message: &Preparation, more: usize) -> usize {
        let others = self.awaited.iter().filter(|(eid, _)| **eid != message.eid);
        let others: usize = others.map(|(_, incoming)| incoming.burden()).sum();
        (others + self.burden_with(message, more)).saturating_sub(MOST)
    }

    /// What each EID may have handed over however much the others have.
    fn share(&self, message: &Preparation) -> usize {
        let new = usize::from(!self.awaited.contains_key(&message.eid));
        MOST / (self.awaited.len() + new)
    }

    /// Who has the most, and so more than its share, makes room. Its clients are told by the other site.
    fn make_room(&mut self, message: &Preparation, more: usize, cx: &mut Context<'_>) {
        while self.overload(message, more) > 0 {
            let others = self.awaited.iter().filter(|(eid, _)| **eid != message.eid);
            let heaviest = others.max_by_key(|(_, incoming)| incoming.burden());
            let Some(heaviest) = heaviest.map(|(eid, _)| *eid) else {
                return;
            };
            cx.count(Counter::PreparationsDisplaced);
            self.forget(&heaviest, cx.now);
        }
    }

    /// Whether parts of the same preparation have been taken before.
    pub(crate) fn knows(&self, message: &Preparation) -> bool {
        self.sender_of(message).is_some()
    }

    /// Takes a part that was checked. The clients to be told at once, because the EID has come already.
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
            self.forget(&eid, cx.now);
        }
        self.make_room(message, handed.clients.len() + handed.mappings.len(), cx);
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
            incoming.clients.insert(client.rloc, kept);
        }
        for mapping in handed.mappings {
            if incoming.mappings.len() >= MOST_MAPPINGS {
                break;
            }
            if believable((eid, &mapping), &incoming.clients, cx) {
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
    pub(crate) fn forget(&mut self, eid: &EidPrefix, now: Timestamp) {
        self.expiries.cancel(eid);
        if let Some(incoming) = self.awaited.remove(eid) {
            self.end((*eid, incoming.from), incoming.serial, now);
        }
    }

    fn end(&mut self, whose: (EidPrefix, XtrId), serial: u64, now: Timestamp) {
        // The number is the sender's clock at the time that it began: no part of it can come after this.
        self.ended
            .retain(|_, serial| Timestamp(*serial) + LIFE.1 + WINDOW >= now);
        if self.ended.len() >= MOST_ENDED
            && let Some(oldest) = self.ended.iter().min_by_key(|(_, serial)| **serial)
        {
            let oldest = *oldest.0;
            self.ended.remove(&oldest);
        }
        let last = self.ended.entry(whose).or_insert(serial);
        *last = serial.max(*last);
    }

    /// What must outlive the process: after a restart nothing is known of what was begun before.
    pub(crate) fn begun(&self) -> Vec<Begun> {
        let awaited = self
            .awaited
            .iter()
            .map(|(eid, incoming)| ((*eid, incoming.from), incoming.serial));
        let ended = self.ended.iter().map(|(whose, serial)| (*whose, *serial));
        let begun = |((eid, xtr), serial)| Begun { eid, xtr, serial };
        awaited.chain(ended).map(begun).collect()
    }

    /// An earlier process had begun to take these.
    pub(crate) fn resume(&mut self, begun: &[Begun], now: Timestamp) {
        for Begun { eid, xtr, serial } in begun {
            self.end((*eid, *xtr), *serial, now);
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
            self.forget(&eid, cx.now);
        }
    }
}

impl Incoming {
    fn burden(&self) -> usize {
        self.clients.len() + self.mappings.len()
    }

    /// Puts the clients' mappings into the map cache, where nothing better is known.
    fn settle_in(&self, cache: &mut Cache, cx: &mut Context<'_>) {
        let mut changed = Vec::new();
        for (eid, (record, handed_at)) in &self.mappings {
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
            if cache.hint(*eid, Mapping::new(content, Origin::Prepared, eid.first(), life)) {
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

/// Whether a mapping is one of a client's: of the same tenant as the EID that it speaks to, no wider than a site's block, at
/// a client that was handed over, and of none of our own EIDs. Nobody may draw other packets to himself.
fn believable(
    (moving, record): (EidPrefix, &MappingRecord),
    clients: &BTreeMap<Rloc, Client>,
    cx: &Context<'_>,
) -> bool {
    let mut own = cx.config.eids.iter().map(|own| &own.prefix);
    let overlaps = own.any(|own| own.covers(&record.eid) || record.eid.covers(own));
    let widest = if record.eid.address().is_ipv4() {
        WIDEST.0
    } else {
        WIDEST.1
    };
    let at_client = |locator: &lisp_wire::Locator| clients.contains_key(&locator.etr());
    record.eid.iid() == moving.iid()
        && record.eid.length() >= widest
        && !overlaps
        && record.locators.iter().any(at_client)
}
