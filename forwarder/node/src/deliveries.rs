//! Change-Priority on its way to peers: signed, repeated until acknowledged, with solicitation (SMR) as the last resort.

mod plan;
mod published;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use lisp_wire::message::{ChangePriority, ChangePriorityForm, Purpose};
use lisp_wire::{
    Action, CONTROL_PORT, Eid, EidPrefix, InstanceId, Key, Locator, Manner, MappingRecord, Message, Nonce,
    Priority, Rloc, Ttl, Weight,
};
use proto::node::ChangeOutcome;
use proto::{ChangeId, NodeReport, Span, Timestamp};

use crate::abilities::Abilities;
use crate::config::{Right, Scope, TellBy};
use crate::context::{CONTROL_DSCP, Context, Memory, unsigned};
use crate::counters::Counter;
use crate::input::{ClientId, Effect, To};
use crate::timers::Timers;
use plan::Plan;
pub(crate) use published::Shown;
use published::{LOOK, Left, Watched};

/// Wait after the first sending; it doubles from one to the next.
const FIRST_WAIT: Span = Span::millis(100);
/// So often a peer that did not acknowledge is solicited, and so long each time is waited for its Map-Request.
const SOLICITS: u32 = 3;
const SOLICIT_WAIT: Span = Span::secs(1);
/// A client that asked anew after a solicitation may still acknowledge what it was sent: from far away the answer takes
/// longer than the solicitation waits.
const LATE: Span = Span::secs(1);
/// At most this many messages are under way.
const MOST_OPEN: usize = 16_384;
/// The tenant under which a message names whom it is for; no EID may use it.
const ADDRESSEE_TENANT: u32 = 0x00ff_ffff;

/// Messages that no peer has acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    open: BTreeMap<DeliveryId, Delivery>,
    by_nonce: BTreeMap<Nonce, DeliveryId>,
    /// One for each peer and EID: a newer message overtakes the older.
    by_peer: BTreeMap<Rloc, BTreeMap<EidPrefix, DeliveryId>>,
    timers: Timers<DeliveryId>,
    opened: u64,
    watched: Watched,
    pub(crate) abilities: Abilities,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DeliveryId(u64);

/// What is to be told to a peer.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) peer: Rloc,
    pub(crate) purpose: Purpose,
    pub(crate) record: MappingRecord,
    /// The EID for which the peer asked last, if it said.
    pub(crate) theirs: Option<Eid>,
    /// The change it belongs to, for the reports.
    pub(crate) change: Option<Order>,
    /// The key that the peer is spoken to with, where it is none of the configuration's.
    pub(crate) key: Option<Arc<Key>>,
    /// What packets of a peer that a Map-Server tells of it show.
    pub(crate) shown: Shown,
}

/// Who ordered a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) change: ChangeId,
    pub(crate) by: Asker,
}

/// Whether the reports about a change go to the subscribers alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Subscribed,
    /// A client that did not subscribe but asked for the change.
    Other(ClientId),
}

#[derive(Debug)]
struct Delivery {
    parcel: Parcel,
    plan: Plan,
    stage: Stage,
    /// One for each sending: a receiver takes a sender's nonces in order only, and another message may have passed this
    /// one. Whichever is acknowledged, the parcel has arrived.
    nonces: Vec<Nonce>,
    began: Timestamp,
    tries: u32,
    solicits: u32,
    /// Whether it was said to be known to a peer that a Map-Server tells.
    settled: bool,
}

/// Whether there is still something to be said.
#[derive(Debug)]
enum Stage {
    Open,
    /// A Map-Server tells the peer.
    Left(Left),
    /// The client asked anew and was told; only whether it acknowledges too is still of interest.
    Answered,
}

/// A handover that a peer has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandedOver {
    pub(crate) eid: EidPrefix,
}

impl Deliveries {
    /// Sends, and goes on until it is acknowledged. What was under way to the same peer about the same EID is
    /// overtaken.
    pub(crate) fn send(&mut self, parcel: Parcel, cx: &mut Context<'_>) {
        let peer = parcel.peer;
        let eid = parcel.record.eid;
        self.overtake(peer, eid, cx);
        if self.open.len() >= MOST_OPEN {
            cx.count(Counter::Full);
            // Who cannot be told until it is known that it was is at least asked to ask, once.
            let solicits = parcel.purpose == Purpose::UpdateCache;
            if solicits {
                Plan::of(&parcel, &self.abilities, cx).solicit(&parcel, cx);
            }
            return report(
                &parcel,
                ChangeOutcome::Unanswered {
                    client: peer,
                    attempts: u32::from(solicits),
                },
                cx,
            );
        }
        let plan = Plan::of(&parcel, &self.abilities, cx);
        let left = self.is_left_to_server(&parcel, cx);
        self.opened += 1;
        let id = DeliveryId(self.opened);
        let stage = if left {
            Stage::Left(Left::new(parcel.shown))
        } else {
            Stage::Open
        };
        let delivery = Delivery {
            parcel,
            plan,
            stage,
            nonces: Vec::new(),
            began: cx.now,
            tries: 0,
            solicits: 0,
            settled: false,
        };
        self.open.insert(id, delivery);
        self.by_peer.entry(peer).or_default().insert(eid, id);
        if left {
            self.watched.more();
            self.timers.set(id, cx.now + LOOK);
        } else {
            self.go_on(id, cx);
        }
    }

    /// Whether a peer is told by a Map-Server, and it can be seen if it is not.
    fn is_left_to_server(&self, parcel: &Parcel, cx: &Context<'_>) -> bool {
        cx.config.change_priority.tell_by == TellBy::Best
            && parcel.purpose == Purpose::UpdateCache
            && parcel.shown != Shown::Nothing
            && self.watched.has_room()
            && self
                .abilities
                .is_subscribed(&parcel.peer, &parcel.record.eid, cx.now)
    }

    fn overtake(&mut self, peer: Rloc, eid: EidPrefix, cx: &mut Context<'_>) {
        let overtaken = self.by_peer.get(&peer).and_then(|eids| eids.get(&eid)).copied();
        if let Some(delivery) = overtaken.and_then(|id| self.close(id))
            && delivery.is_under_way()
        {
            delivery.report_unanswered(cx);
        }
    }

    /// Whether messages of this change are under way.
    pub(crate) fn carries(&self, change: ChangeId) -> bool {
        let of_change = |order: Order| order.change == change;
        self.open
            .values()
            .any(|delivery| delivery.is_under_way() && delivery.parcel.change.is_some_and(of_change))
    }

    /// How a client is told of changes of a mapping, in a word.
    pub(crate) fn manner_to(&self, (eid, client): (&EidPrefix, &Rloc), cx: &Context<'_>) -> &'static str {
        let settings = &cx.config.change_priority;
        if settings.tell_by == TellBy::Best && self.abilities.is_subscribed(client, eid, cx.now) {
            return "map-server";
        }
        match (settings.tell_by, self.manner(client, cx)) {
            (TellBy::Solicitation, _) | (TellBy::Best, Manner::Solicit | Manner::SolicitOwn) => "smr",
            (TellBy::Best, Manner::Unknown) => "change-priority-or-smr",
            (TellBy::ChangePriority, Manner::Solicit | Manner::SolicitOwn) => "smr-too",
            (_, Manner::Legacy) => "change-priority-legacy",
            (TellBy::ChangePriority, Manner::Unknown) | (_, Manner::ChangePriority) => "change-priority",
        }
    }

    /// How a client is told of changes: as it is configured, or as it has shown.
    pub(crate) fn manner(&self, client: &Rloc, cx: &Context<'_>) -> Manner {
        let settings = &cx.config.change_priority;
        if settings.legacy_peers.contains(client) {
            return Manner::Legacy;
        }
        match self.abilities.of(client, cx.now) {
            Manner::Solicit if settings.own_eid_peers.contains(client) => Manner::SolicitOwn,
            manner => manner,
        }
    }

    /// The key that a message with this nonce was signed with, where it is none of the configuration's.
    pub(crate) fn key_of(&self, nonce: Nonce) -> Option<Arc<Key>> {
        let id = self.by_nonce.get(&nonce)?;
        self.open.get(id)?.parcel.key.clone()
    }

    /// What a message with this nonce was sent for.
    pub(crate) fn purpose_of(&self, nonce: Nonce) -> Option<Purpose> {
        let id = self.by_nonce.get(&nonce)?;
        Some(self.open.get(id)?.parcel.purpose)
    }

    /// An authentic acknowledgement, by one who may speak for the EIDs of `scope`.
    pub(crate) fn acknowledged(
        &mut self,
        (nonce, said): (Nonce, Purpose),
        scope: &Scope,
        cx: &mut Context<'_>,
    ) -> Option<HandedOver> {
        let within = |id: &DeliveryId| {
            let delivery = self.open.get(id);
            delivery.is_some_and(|delivery| scope.holds(&delivery.parcel.record.eid))
        };
        let id = self.by_nonce.get(&nonce).copied().filter(within);
        let Some(delivery) = id.and_then(|id| self.close(id)) else {
            cx.count(Counter::Unsolicited);
            return None;
        };
        cx.count(Counter::ChangesAcknowledged);
        let (peer, eid) = (delivery.parcel.peer, delivery.parcel.record.eid);
        self.abilities.acknowledged(peer, cx.now);
        if said == Purpose::AcknowledgeSubscribed {
            self.abilities.subscribes(peer, eid, cx.now);
        } else {
            self.abilities.unsubscribed(peer, eid);
        }
        if delivery.is_under_way() {
            delivery.report_acknowledged(cx);
        }
        let handed_over = matches!(delivery.parcel.purpose, Purpose::Handover | Purpose::HandoverTold);
        handed_over.then_some(HandedOver { eid })
    }

    /// Clients were told of `eids` in a Map-Reply: where they were solicited, that is as good as an acknowledgement.
    pub(crate) fn answered(&mut self, clients: &[Rloc], eids: &[EidPrefix], cx: &mut Context<'_>) {
        let told = |eid: &EidPrefix, id: &DeliveryId| {
            eids.iter().any(|block| block.covers(eid))
                && self.open.get(id).is_some_and(|delivery| delivery.solicits > 0)
        };
        let settled: Vec<DeliveryId> = clients
            .iter()
            .filter_map(|client| self.by_peer.get(client))
            .flatten()
            .filter(|(eid, id)| told(eid, id))
            .map(|(_, id)| *id)
            .collect();
        for id in settled {
            let Some(delivery) = self.open.get_mut(&id).filter(|one| one.is_under_way()) else {
                continue;
            };
            delivery.report_acknowledged(cx);
            if delivery.tries > 0 && delivery.plan.form == ChangePriorityForm::SharedExtension {
                delivery.stage = Stage::Answered;
                self.timers.set(id, cx.now + LATE);
            } else {
                self.close(id);
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        while let Some(id) = self.timers.pop_due(cx.now) {
            self.go_on(id, cx);
        }
    }

    /// Sends once more, solicits, or gives up.
    fn go_on(&mut self, id: DeliveryId, cx: &mut Context<'_>) {
        let Some(delivery) = self.open.get_mut(&id) else {
            return;
        };
        let Parcel { peer, purpose, .. } = delivery.parcel;
        match delivery.stage {
            Stage::Open => {}
            Stage::Left(_) => return self.look(id, cx),
            Stage::Answered => {
                self.abilities.silent(peer, cx.now);
                self.close(id);
                return;
            }
        }
        if delivery.tries < delivery.plan.tries {
            let nonce = cx.nonces.timely(cx.now);
            if let Some(bytes) = signed(&delivery.parcel, delivery.plan.form, nonce, cx) {
                let wait = Span(FIRST_WAIT.micros() << delivery.tries);
                self.timers
                    .set(id, cx.now + delivery.plan.wait(delivery.tries, wait));
                let also = delivery.plan.solicits_with(delivery.tries) && delivery.solicits < SOLICITS;
                delivery.tries += 1;
                delivery.nonces.push(nonce);
                self.by_nonce.insert(nonce, id);
                cx.remember(Memory::Soon);
                cx.count(Counter::ChangesSent);
                cx.send_bytes(bytes, SocketAddr::new(peer.0, CONTROL_PORT), CONTROL_DSCP);
                if also {
                    delivery.solicits += 1;
                    delivery.plan.solicit(&delivery.parcel, cx);
                }
                return;
            }
            // Without a key there is only the way that needs none: the solicitation.
            delivery.plan.tries = 0;
        }
        if delivery.tries > 0 || cx.config.change_priority.tell_by == TellBy::ChangePriority {
            self.abilities.silent(peer, cx.now);
        }
        if purpose == Purpose::UpdateCache && delivery.solicits < SOLICITS {
            delivery.solicits += 1;
            self.timers.set(id, cx.now + SOLICIT_WAIT);
            delivery.plan.solicit(&delivery.parcel, cx);
            return;
        }
        if let Some(delivery) = self.close(id) {
            delivery.report_unanswered(cx);
        }
    }

    fn close(&mut self, id: DeliveryId) -> Option<Delivery> {
        self.timers.cancel(&id);
        let delivery = self.open.remove(&id)?;
        let Parcel { peer, record, .. } = &delivery.parcel;
        if let Some(eids) = self.by_peer.get_mut(peer) {
            eids.remove(&record.eid);
            if eids.is_empty() {
                self.by_peer.remove(peer);
            }
        }
        for nonce in &delivery.nonces {
            self.by_nonce.remove(nonce);
        }
        if matches!(delivery.stage, Stage::Left(_)) {
            self.watched.fewer();
        }
        Some(delivery)
    }
}

impl Delivery {
    /// Whether it is not known yet what becomes of it.
    const fn is_under_way(&self) -> bool {
        match self.stage {
            Stage::Open => true,
            Stage::Left(_) => !self.settled,
            Stage::Answered => false,
        }
    }

    fn report_acknowledged(&self, cx: &mut Context<'_>) {
        let after = cx.now.since(self.began);
        let outcome = ChangeOutcome::Acknowledged {
            client: self.parcel.peer,
            after,
            attempts: self.attempts(),
        };
        report(&self.parcel, outcome, cx);
    }

    fn report_unanswered(&self, cx: &mut Context<'_>) {
        let outcome = ChangeOutcome::Unanswered {
            client: self.parcel.peer,
            attempts: self.attempts(),
        };
        report(&self.parcel, outcome, cx);
    }

    fn attempts(&self) -> u32 {
        self.tries + self.solicits
    }
}

impl Order {
    /// Tells the subscribers, and whoever ordered the change.
    pub(crate) fn report(&self, outcome: ChangeOutcome, cx: &mut Context<'_>) {
        let report = NodeReport::Changed {
            change: self.change,
            outcome,
        };
        if let Asker::Other(client) = self.by {
            cx.effects.push(Effect::Report {
                to: To::Client(client),
                reply_to: None,
                report: report.clone(),
            });
        }
        cx.tell(report);
    }
}

fn report(parcel: &Parcel, outcome: ChangeOutcome, cx: &mut Context<'_>) {
    if let Some(order) = parcel.change {
        order.report(outcome, cx);
    }
}

/// The message as it goes out, once more each time; `None` if no key may speak for its EID.
fn signed(parcel: &Parcel, form: ChangePriorityForm, nonce: Nonce, cx: &mut Context<'_>) -> Option<Vec<u8>> {
    let Parcel {
        peer,
        purpose,
        record,
        ..
    } = parcel;
    let own = cx
        .config
        .change_priority
        .key_for(&record.eid, Right::to(*purpose)?)
        .map(|scoped| &scoped.key);
    let key = parcel.key.as_deref().or(own)?;
    let (xtr, records) = match form {
        ChangePriorityForm::Legacy => (None, vec![record.clone()]),
        ChangePriorityForm::SharedExtension => (
            Some(cx.config.xtr_id),
            vec![addressee(*peer, *purpose), record.clone()],
        ),
    };
    let message = ChangePriority {
        form,
        purpose: *purpose,
        nonce,
        auth: unsigned(),
        xtr,
        records,
    };
    let mut bytes = Vec::new();
    if Message::ChangePriority(message)
        .emit_signed(key, &mut bytes)
        .is_err()
    {
        cx.count(Counter::Unsendable);
        return None;
    }
    Some(bytes)
}

/// The first record of every message of type 15: whom it is for.
///
/// The MAC covers it, so a message caught on its way to one client cannot be played to another, for whom its locators
/// were not meant. It is the receiver's RLOC as a host prefix of a tenant that no EID may use; a handover, which has
/// to name locators in each record, repeats the RLOC there with priority 255.
pub(crate) fn addressee(peer: Rloc, purpose: Purpose) -> MappingRecord {
    let iid = InstanceId::new(ADDRESSEE_TENANT).unwrap_or(InstanceId::DEFAULT);
    let locators = match purpose {
        Purpose::Handover | Purpose::HandoverTold => {
            vec![Locator::unicast(peer, Priority::NEVER, Weight(0))]
        }
        Purpose::Arrived | Purpose::UpdateCache | Purpose::Acknowledge | Purpose::AcknowledgeSubscribed => {
            Vec::new()
        }
    };
    MappingRecord {
        ttl: Ttl(1),
        eid: EidPrefix::host(Eid { iid, address: peer.0 }),
        action: Action::NoAction,
        authoritative: false,
        map_version: 0,
        locators,
    }
}

/// Whom a record says the message is for; `None` for a record about EIDs.
pub(crate) fn addressee_of(record: &MappingRecord) -> Option<Rloc> {
    let host = EidPrefix::host(record.eid.first()) == record.eid;
    (host && record.eid.iid().get() == ADDRESSEE_TENANT).then_some(Rloc(record.eid.address()))
}
