//! Change-Priority on its way to peers: signed, repeated until acknowledged, with solicitation (SMR) as the last resort.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use lisp_wire::message::{ChangePriority, ChangePriorityForm, Purpose};
use lisp_wire::{
    Action, CONTROL_PORT, Eid, EidPrefix, InstanceId, Locator, MappingRecord, Message, Nonce, Priority, Rloc,
    Ttl, Weight,
};
use proto::node::ChangeOutcome;
use proto::{ChangeId, NodeReport, Span, Timestamp};

use crate::config::{Config, Scope, TellBy};
use crate::context::{CONTROL_DSCP, Context, Memory, unsigned};
use crate::counters::Counter;
use crate::input::{ClientId, Effect, To};
use crate::timers::Timers;

/// Wait after the first sending; it doubles from one to the next.
const FIRST_WAIT: Span = Span::millis(100);
/// How often a message is sent: at 0, 0.1, 0.3, 0.7, 1.5 and 3.1 s, and given up at 6.3 s.
const TRIES: u32 = 6;
/// The type-5 form cannot be acknowledged: once, and then the SMR, which is answered by a Map-Request.
const LEGACY_TRIES: u32 = 1;
/// So often a peer that did not acknowledge is solicited, and so long each time is waited for its Map-Request.
const SOLICITS: u32 = 3;
const SOLICIT_WAIT: Span = Span::secs(1);
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
    /// Peers that have not acknowledged their last message: they may not speak Change-Priority at all, and are
    /// solicited at once besides.
    silent: BTreeSet<Rloc>,
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
    form: ChangePriorityForm,
    /// One for each sending: a receiver takes a sender's nonces in order only, and another message may have passed this
    /// one. Whichever is acknowledged, the parcel has arrived.
    nonces: Vec<Nonce>,
    began: Timestamp,
    tries: u32,
    most_tries: u32,
    solicits: u32,
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
        let Parcel { peer, purpose, .. } = parcel;
        let eid = parcel.record.eid;
        self.overtake(peer, eid, cx);
        if self.open.len() >= MOST_OPEN {
            cx.count(Counter::Full);
            return report(
                &parcel,
                ChangeOutcome::Unanswered {
                    client: peer,
                    attempts: 0,
                },
                cx,
            );
        }
        let legacy = cx.config.change_priority.legacy_peers.contains(&peer);
        let solicited_only =
            purpose == Purpose::UpdateCache && cx.config.change_priority.tell_by == TellBy::Solicitation;
        let (form, most_tries) = if solicited_only {
            (ChangePriorityForm::SharedExtension, 0)
        } else if legacy {
            (ChangePriorityForm::Legacy, LEGACY_TRIES)
        } else {
            (ChangePriorityForm::SharedExtension, TRIES)
        };
        self.opened += 1;
        let id = DeliveryId(self.opened);
        let delivery = Delivery {
            parcel,
            form,
            nonces: Vec::new(),
            began: cx.now,
            tries: 0,
            most_tries,
            solicits: 0,
        };
        self.open.insert(id, delivery);
        self.by_peer.entry(peer).or_default().insert(eid, id);
        let was_silent = !solicited_only && self.silent.contains(&peer);
        self.go_on(id, cx);
        if was_silent
            && purpose == Purpose::UpdateCache
            && let Some(delivery) = self.open.get_mut(&id)
        {
            cx.solicit(peer, eid, delivery.parcel.theirs);
            delivery.solicits += 1;
        }
    }

    fn overtake(&mut self, peer: Rloc, eid: EidPrefix, cx: &mut Context<'_>) {
        let overtaken = self.by_peer.get(&peer).and_then(|eids| eids.get(&eid)).copied();
        if let Some(delivery) = overtaken.and_then(|id| self.close(id)) {
            delivery.report_unanswered(cx);
        }
    }

    /// Whether messages of this change are under way.
    pub(crate) fn carries(&self, change: ChangeId) -> bool {
        self.open
            .values()
            .any(|delivery| delivery.parcel.change.is_some_and(|order| order.change == change))
    }

    /// How a client is told of changes, in a word.
    pub(crate) fn manner_to(&self, client: &Rloc, config: &Config) -> &'static str {
        let settings = &config.change_priority;
        if settings.tell_by == TellBy::Solicitation {
            "smr"
        } else if self.silent.contains(client) {
            "smr-too"
        } else if settings.legacy_peers.contains(client) {
            "change-priority-legacy"
        } else {
            "change-priority"
        }
    }

    /// An authentic acknowledgement, by one who may speak for the EIDs of `scope`.
    pub(crate) fn acknowledged(
        &mut self,
        nonce: Nonce,
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
        self.silent.remove(&delivery.parcel.peer);
        delivery.report_acknowledged(cx);
        let eid = delivery.parcel.record.eid;
        (delivery.parcel.purpose == Purpose::Handover).then_some(HandedOver { eid })
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
            if let Some(delivery) = self.close(id) {
                delivery.report_acknowledged(cx);
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
        if delivery.tries < delivery.most_tries {
            let nonce = cx.nonces.timely(cx.now);
            if let Some(bytes) = signed(&delivery.parcel, delivery.form, nonce, cx) {
                self.timers
                    .set(id, cx.now + Span(FIRST_WAIT.micros() << delivery.tries));
                delivery.tries += 1;
                delivery.nonces.push(nonce);
                self.by_nonce.insert(nonce, id);
                cx.remember(Memory::Soon);
                cx.count(Counter::ChangesSent);
                cx.send_bytes(bytes, SocketAddr::new(peer.0, CONTROL_PORT), CONTROL_DSCP);
                return;
            }
            // Without a key there is only the way that needs none: the solicitation.
            delivery.most_tries = 0;
        }
        if delivery.tries > 0 || cx.config.change_priority.tell_by == TellBy::ChangePriority {
            self.silent.insert(peer);
        }
        if purpose == Purpose::UpdateCache && delivery.solicits < SOLICITS {
            delivery.solicits += 1;
            self.timers.set(id, cx.now + SOLICIT_WAIT);
            cx.solicit(peer, delivery.parcel.record.eid, delivery.parcel.theirs);
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
        Some(delivery)
    }
}

impl Delivery {
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
    let mut keys = cx.config.change_priority.keys.iter();
    let scoped = keys.find(|scoped| scoped.scope.holds(&record.eid))?;
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
        .emit_signed(&scoped.key, &mut bytes)
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
        Purpose::Handover => vec![Locator::unicast(peer, Priority::NEVER, Weight(0))],
        Purpose::Arrived | Purpose::UpdateCache | Purpose::Acknowledge => Vec::new(),
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
