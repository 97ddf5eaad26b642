//! A handover is prepared at the site that an EID is about to leave: its clients, keys and mappings are handed to the
//! destination, in parts that are each repeated until acknowledged.
//!
//! Clients that ask after that are handed over too, as they come. A client counts as handed over once the part it stands
//! in is acknowledged: only those are left to the destination when the EID has moved, the others are told from here. So
//! whatever is lost on the way, nobody is forgotten; at worst a client is told twice.

mod parts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use lisp_wire::message::{Preparation, Step};
use lisp_wire::sealed::Around;
use lisp_wire::{CONTROL_PORT, EidPrefix, Handed, Locator, Message, Nonce, Priority, Rloc, Weight};
use proto::node::ChangeOutcome;
use proto::{Span, Timestamp};

use crate::config::Right;
use crate::context::{CONTROL_DSCP, Context, Memory, unsigned};
use crate::counters::Counter;
use crate::deliveries::{Deliveries, Order};
use crate::timers::Timers;
use crate::whereabouts::HOLD_FOR;
use crate::xtr::Xtr;

/// At most this many moves are prepared at once.
const MOST_OPEN: usize = 1024;
/// Parts that are on their way at a time.
const WINDOW: usize = 16;
/// Wait after the first sending of a part; it doubles from one to the next.
const FIRST_WAIT: Span = Span::millis(100);
/// How often a part is sent; given up at 6.3 s.
const TRIES: u32 = 6;
/// A preparation holds at least and at most so long.
pub(crate) const LIFE: (Span, Span) = (Span::secs(1), Span::secs(3600));

/// The moves that are being prepared.
#[derive(Debug, Default)]
pub(crate) struct Preparing {
    open: BTreeMap<EidPrefix, Outgoing>,
    by_nonce: BTreeMap<Nonce, (EidPrefix, u32)>,
    timers: Timers<(EidPrefix, Due)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Part(u32),
    Expiry,
}

#[derive(Debug)]
struct Outgoing {
    destination: Rloc,
    serial: u64,
    order: Option<Order>,
    began: Timestamp,
    expires: Timestamp,
    stage: Stage,
    parts: BTreeMap<u32, Part>,
    /// Parts that have not been sent yet.
    waiting: VecDeque<u32>,
    next: u32,
    /// Clients that stand in a part, acknowledged or not.
    named: BTreeSet<Rloc>,
    /// Those whose part was acknowledged.
    handed: BTreeSet<Rloc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handing,
    Ready,
    /// It comes to nothing; only the destination has yet to know.
    Abandoned,
}

#[derive(Debug)]
struct Part {
    content: Content,
    /// One for each sending.
    nonces: Vec<Nonce>,
}

#[derive(Debug)]
enum Content {
    Hand(Box<Handed>),
    Stopped,
    Cancelled,
}

impl Preparing {
    /// Begins, or begins anew.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) fn begin(
        &mut self,
        (eid, destination): (EidPrefix, Rloc),
        (life, order): (Span, Order),
        (xtr, deliveries): (&Xtr, &Deliveries),
        cx: &mut Context<'_>,
    ) -> Result<(), String> {
        let settings = &cx.config.change_priority;
        if life < LIFE.0 || life > LIFE.1 {
            return Err(format!(
                "expires_in: {life}, but a preparation holds from {} to {}",
                LIFE.0, LIFE.1
            ));
        }
        if !settings.group.contains(&destination) || cx.config.is_own(destination) {
            return Err(format!(
                "{destination} is not another site of change_priority.group"
            ));
        }
        if settings.key_for(&eid, Right::Move).is_none() {
            return Err(format!("no key of change_priority.move_keys may move {eid}"));
        }
        if self.open.len() >= MOST_OPEN && !self.open.contains_key(&eid) {
            return Err(format!("{MOST_OPEN} moves are being prepared already"));
        }
        let (_, own) = xtr
            .database
            .covering(&eid)
            .ok_or_else(|| format!("{eid} is not within the EIDs configured at this node"))?;
        self.forget(&eid);
        let clients = own.clients(cx.now);
        let parts = parts::of((eid, own), &clients, (xtr, deliveries), cx);
        let mut outgoing = Outgoing {
            destination,
            serial: cx.nonces.timely(cx.now).0,
            order: Some(order),
            began: cx.now,
            expires: cx.now + life,
            stage: Stage::Handing,
            parts: BTreeMap::new(),
            waiting: VecDeque::new(),
            next: 0,
            named: clients,
            handed: BTreeSet::new(),
        };
        for part in parts {
            outgoing.add(Content::Hand(Box::new(part)));
        }
        self.timers.set((eid, Due::Expiry), outgoing.expires);
        self.open.insert(eid, outgoing);
        cx.count(Counter::PreparationsBegun);
        self.go_on(eid, cx);
        Ok(())
    }

    /// A client asked, or was given a view, since.
    pub(crate) fn asked(
        &mut self,
        eid: EidPrefix,
        client: Rloc,
        (xtr, deliveries): (&Xtr, &Deliveries),
        cx: &mut Context<'_>,
    ) {
        let known = self.open.get_mut(&eid);
        let Some(outgoing) = known.filter(|outgoing| outgoing.stage != Stage::Abandoned) else {
            return;
        };
        let Some((_, own)) = xtr.database.covering(&eid) else {
            return;
        };
        if !outgoing.named.insert(client) {
            return;
        }
        for part in parts::of((eid, own), &[client].into(), (xtr, deliveries), cx) {
            outgoing.add(Content::Hand(Box::new(part)));
        }
        self.go_on(eid, cx);
    }

    /// The EID has stopped: the destination is to hold what comes for it. Until it says that it does, it is held here.
    pub(crate) fn stopped(&mut self, eid: EidPrefix, cx: &mut Context<'_>) {
        let known = self.open.get_mut(&eid);
        if let Some(outgoing) = known.filter(|outgoing| outgoing.stage == Stage::Ready) {
            outgoing.add(Content::Stopped);
            self.go_on(eid, cx);
        }
    }

    /// It comes to nothing; whether there was anything.
    pub(crate) fn abandon(&mut self, eid: EidPrefix, cx: &mut Context<'_>) -> bool {
        let Some(outgoing) = self.open.get_mut(&eid) else {
            return false;
        };
        if outgoing.stage != Stage::Abandoned {
            outgoing.stage = Stage::Abandoned;
            outgoing.handed.clear();
            for part in std::mem::take(&mut outgoing.parts) {
                let (number, part) = part;
                self.timers.cancel(&(eid, Due::Part(number)));
                for nonce in part.nonces {
                    self.by_nonce.remove(&nonce);
                }
            }
            outgoing.waiting.clear();
            outgoing.add(Content::Cancelled);
            cx.count(Counter::PreparationsAbandoned);
        }
        self.go_on(eid, cx);
        true
    }

    /// The EID runs at `entry` now. The clients that the site there tells itself, if it says that it does.
    pub(crate) fn departed(&mut self, eid: EidPrefix, entry: &[Locator], told: Told) -> BTreeSet<Rloc> {
        let Some(outgoing) = self.open.get_mut(&eid) else {
            return BTreeSet::new();
        };
        let there = entry.iter().any(|locator| locator.rloc == outgoing.destination);
        let handed = std::mem::take(&mut outgoing.handed);
        let ready = outgoing.stage != Stage::Abandoned;
        self.forget(&eid);
        if there && ready && told == Told::ByDestination {
            handed
        } else {
            BTreeSet::new()
        }
    }

    /// An authentic acknowledgement by one who may speak for `eid`.
    pub(crate) fn acknowledged(&mut self, nonce: Nonce, eid: EidPrefix, xtr: &mut Xtr, cx: &mut Context<'_>) {
        let of_eid = self.by_nonce.get(&nonce).filter(|(about, _)| *about == eid);
        let Some((_, number)) = of_eid.copied() else {
            return cx.count(Counter::Unsolicited);
        };
        let content = self.close(eid, number);
        let Some(outgoing) = self.open.get_mut(&eid) else {
            return;
        };
        cx.count(Counter::PreparationsAcknowledged);
        match content {
            Some(Content::Hand(handed)) => {
                outgoing
                    .handed
                    .extend(handed.clients.iter().map(|client| client.rloc));
                if outgoing.stage == Stage::Handing && outgoing.has_handed_all() {
                    outgoing.stage = Stage::Ready;
                    let outcome = ChangeOutcome::Prepared {
                        destination: outgoing.destination,
                        clients: outgoing.handed.len(),
                        after: cx.now.since(outgoing.began),
                    };
                    if let Some(order) = outgoing.order {
                        order.report(outcome, cx);
                    }
                    if xtr.whereabouts.holds(&eid) {
                        outgoing.add(Content::Stopped);
                    }
                }
            }
            Some(Content::Stopped) if xtr.whereabouts.holds(&eid) => {
                let there = Locator::unicast(outgoing.destination, Priority::FIRST, Weight(100));
                xtr.whereabouts
                    .gone((eid, &[there]), HOLD_FOR, &mut xtr.cache, cx);
            }
            Some(Content::Cancelled) => return self.forget(&eid),
            Some(Content::Stopped) | None => {}
        }
        self.go_on(eid, cx);
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Says again what was not acknowledged, gives up, lets expire.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some((eid, due)) = self.timers.pop_due(cx.now) {
            match due {
                Due::Expiry => {
                    cx.count(Counter::PreparationsExpired);
                    if let Some(outgoing) = self.open.get(&eid)
                        && outgoing.stage == Stage::Handing
                    {
                        outgoing.report_unanswered(0, cx);
                    }
                    self.forget(&eid);
                }
                Due::Part(number) => self.again(eid, number, cx),
            }
        }
    }

    fn again(&mut self, eid: EidPrefix, number: u32, cx: &mut Context<'_>) {
        let tries = self
            .open
            .get(&eid)
            .and_then(|outgoing| outgoing.parts.get(&number))
            .map_or(TRIES, |part| part.nonces.len() as u32);
        if tries < TRIES {
            return self.send(eid, number, cx);
        }
        let content = self.close(eid, number);
        let Some(outgoing) = self.open.get(&eid) else {
            return;
        };
        match (outgoing.stage, content) {
            // Without all of the list the destination is told nothing more: everybody is told from here.
            (Stage::Handing, _) => {
                outgoing.report_unanswered(tries, cx);
                self.forget(&eid);
            }
            (Stage::Abandoned, _) | (_, Some(Content::Cancelled)) => self.forget(&eid),
            // A client that came later and that the destination does not know of is told from here.
            (Stage::Ready, _) => self.go_on(eid, cx),
        }
    }

    /// Sends what there is room for.
    fn go_on(&mut self, eid: EidPrefix, cx: &mut Context<'_>) {
        while let Some(outgoing) = self.open.get_mut(&eid) {
            let on_the_way = outgoing.parts.len() - outgoing.waiting.len();
            if on_the_way >= WINDOW {
                return;
            }
            let Some(number) = outgoing.waiting.pop_front() else {
                return;
            };
            self.send(eid, number, cx);
        }
    }

    fn send(&mut self, eid: EidPrefix, number: u32, cx: &mut Context<'_>) {
        let Some(outgoing) = self.open.get_mut(&eid) else {
            return;
        };
        let (destination, serial, expires) = (outgoing.destination, outgoing.serial, outgoing.expires);
        let Some(part) = outgoing.parts.get_mut(&number) else {
            return;
        };
        let wait = Span(FIRST_WAIT.micros() << part.nonces.len());
        self.timers.set((eid, Due::Part(number)), cx.now + wait);
        let nonce = cx.nonces.timely(cx.now);
        part.nonces.push(nonce);
        self.by_nonce.insert(nonce, (eid, number));
        let life = expires.since(cx.now);
        let envelope = Envelope {
            eid,
            destination,
            serial,
            nonce,
            // Rounded up: the destination must not forget before we do.
            life_seconds: u32::try_from(life.micros().div_ceil(1_000_000)).unwrap_or(u32::MAX),
        };
        match envelope.signed(&part.content, cx) {
            Some(bytes) => {
                cx.remember(Memory::Soon);
                cx.count(Counter::PreparationsSent);
                cx.send_bytes(bytes, SocketAddr::new(destination.0, CONTROL_PORT), CONTROL_DSCP);
            }
            None => cx.count(Counter::Unsendable),
        }
    }

    fn close(&mut self, eid: EidPrefix, number: u32) -> Option<Content> {
        self.timers.cancel(&(eid, Due::Part(number)));
        let part = self.open.get_mut(&eid)?.parts.remove(&number)?;
        for nonce in part.nonces {
            self.by_nonce.remove(&nonce);
        }
        Some(part.content)
    }

    fn forget(&mut self, eid: &EidPrefix) {
        self.timers.cancel(&(*eid, Due::Expiry));
        let Some(outgoing) = self.open.remove(eid) else {
            return;
        };
        for (number, part) in outgoing.parts {
            self.timers.cancel(&(*eid, Due::Part(number)));
            for nonce in part.nonces {
                self.by_nonce.remove(&nonce);
            }
        }
    }
}

/// Who tells the clients of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The destination, those that were handed to it.
    ByDestination,
    /// The site that the EID left, all of them.
    BySource,
}

impl Outgoing {
    fn add(&mut self, content: Content) {
        let nonces = Vec::new();
        self.parts.insert(self.next, Part { content, nonces });
        self.waiting.push_back(self.next);
        self.next += 1;
    }

    fn has_handed_all(&self) -> bool {
        let hands = |part: &Part| matches!(part.content, Content::Hand(_));
        !self.parts.values().any(hands)
    }

    fn report_unanswered(&self, attempts: u32, cx: &mut Context<'_>) {
        cx.count(Counter::PreparationsUnanswered);
        let client = self.destination;
        if let Some(order) = self.order {
            order.report(ChangeOutcome::Unanswered { client, attempts }, cx);
        }
    }
}

/// What stands around a part.
struct Envelope {
    eid: EidPrefix,
    destination: Rloc,
    serial: u64,
    nonce: Nonce,
    life_seconds: u32,
}

impl Envelope {
    /// The message as it goes out; `None` if there is no key for the EID, or no locator of the destination's family.
    fn signed(&self, content: &Content, cx: &mut Context<'_>) -> Option<Vec<u8>> {
        let config = cx.config;
        let key = &config.change_priority.key_for(&self.eid, Right::Move)?.key;
        let (nonce, xtr) = (self.nonce, config.xtr_id);
        let (step, sealed) = match content {
            Content::Hand(handed) => {
                let salt = cx.nonces.salt();
                let sealed = handed.seal(key, Around { nonce, xtr }, salt).ok()?;
                (Step::Hand, sealed)
            }
            Content::Stopped => (Step::Stopped, Vec::new()),
            Content::Cancelled => (Step::Cancelled, Vec::new()),
        };
        let preparation = Preparation {
            step,
            nonce,
            auth: unsigned(),
            xtr,
            sender: cx.own_toward(self.destination.0)?,
            receiver: self.destination,
            eid: self.eid,
            serial: self.serial,
            life_seconds: self.life_seconds,
            sealed,
        };
        let mut bytes = Vec::new();
        Message::Preparation(preparation)
            .emit_signed(key, &mut bytes)
            .ok()?;
        Some(bytes)
    }
}
