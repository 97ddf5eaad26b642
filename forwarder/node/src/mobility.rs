//! Algorithm 1 of the thesis (section 4.3): an EID moves, and everyone who speaks to it is told.
//!
//! - H=1, from the destination's hypervisor or staff: this site's locators become the entry; the group and the
//!   Map-Server are told.
//! - H=0, C=0, from the destination: the own locators go to 255; everyone who asked for the EID is told.
//! - C=1, from an xTR that serves the EID: the map cache is changed as it says.
//!
//! A message counts only if a key that may speak for the EID made its MAC, if its nonce is new, and if it names this
//! node as its receiver. H=1 and H=0, C=0 need a key that clients do not hold, and C=0 a site of the group. Anything
//! else is counted and changes nothing.

mod handing;

use std::net::SocketAddr;
use std::sync::Arc;

use lisp_wire::message::{ChangePriority, ChangePriorityForm, Purpose};
use lisp_wire::{EidPrefix, Key, Locator, MappingRecord, Message, Priority, Rloc, verify};
use proto::{Span, Timestamp};

use crate::cache::{Content, Life, Mapping, Origin};
use crate::config::{Config, Legacy, Right, Scope, ScopedKey};
use crate::context::{Context, Memory, unsigned};
use crate::counters::Counter;
use crate::datagrams::Datagram;
use crate::deliveries::{Deliveries, Order, Parcel, Shown, addressee_of};
use crate::input::Effect;
use crate::prepared::{Luggage, Prepared};
use crate::preparing::{Preparing, Told};
use crate::replay::ReplayGuard;
use crate::state::{Sender, Standing};
use crate::whereabouts::REDIRECT_FOR;
use crate::xtr::Xtr;

/// The machine of Algorithm 1.
#[derive(Debug)]
pub(crate) struct Mobility {
    keys: Vec<Key>,
    pub(crate) guard: ReplayGuard,
    pub(crate) deliveries: Deliveries,
    pub(crate) preparing: Preparing,
    pub(crate) prepared: Prepared,
}

/// A message whose sender is known, and to be answered.
struct Authentic<'a> {
    sender: Sender,
    key: &'a ScopedKey,
    right: Right,
    records: &'a [MappingRecord],
}

impl Mobility {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            keys: keys_of(config),
            guard: ReplayGuard::default(),
            deliveries: Deliveries::default(),
            preparing: Preparing::default(),
            prepared: Prepared::default(),
        }
    }

    /// The keys have changed.
    pub(crate) fn rekey(&mut self, config: &Config) {
        self.keys = keys_of(config);
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines = [
            self.deliveries.next_deadline(),
            self.preparing.next_deadline(),
            self.prepared.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        self.deliveries.tick(cx);
        self.preparing.tick(cx);
        self.prepared.tick(cx);
    }

    /// A Change-Priority from the network.
    pub(crate) fn receive(
        &mut self,
        message: &ChangePriority,
        datagram: &Datagram<'_>,
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) {
        let Datagram { from, bytes, .. } = *datagram;
        if self.acknowledged_by_key(message, bytes, xtr, cx) {
            return;
        }
        let authentic = match self.authenticate(message, (bytes, from), cx.config) {
            Ok(authentic) => authentic,
            Err(refusal) => return cx.count(refusal),
        };
        // Acknowledgements are not acknowledged, and the type-5 form has none.
        let answered = message.form == ChangePriorityForm::SharedExtension && !message.purpose.acknowledges();
        match self.take(message, &authentic, xtr, cx) {
            Ok(()) if answered => acknowledge((message, authentic.key), from, xtr, cx),
            Ok(()) => {}
            Err(refusal) => {
                cx.count(refusal);
                // The acknowledgement of the last message may have been lost, and its sender repeats it. It is refused
                // like any replay; to say once more that it was taken tells nobody anything but its own nonce.
                if answered && self.guard.is_last(authentic.sender, message.nonce) {
                    acknowledge((message, authentic.key), from, xtr, cx);
                }
            }
        }
    }

    /// An acknowledgement under a key that was handed to us for one client alone.
    fn acknowledged_by_key(
        &mut self,
        message: &ChangePriority,
        bytes: &[u8],
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) -> bool {
        let key = match message.purpose {
            purpose if purpose.acknowledges() => self.deliveries.key_of(message.nonce),
            _ => None,
        };
        let vouched = key.is_some_and(|key| verify(bytes, std::slice::from_ref(&*key)).is_ok());
        if vouched {
            self.acknowledged(message, (&Scope::All, Right::Tell), xtr, cx);
        }
        vouched
    }

    fn acknowledged(
        &mut self,
        message: &ChangePriority,
        (scope, right): (&Scope, Right),
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) {
        let sent_for = self.deliveries.purpose_of(message.nonce);
        if sent_for.is_some_and(|purpose| Right::to(purpose) != Some(right)) {
            return cx.count(Counter::NoRight);
        }
        if let Some(handed_over) = self
            .deliveries
            .acknowledged((message.nonce, message.purpose), scope, cx)
        {
            // A registration of the old site may have crossed ours; now it makes none any more.
            xtr.registrations.register(&[handed_over.eid], &xtr.database, cx);
        }
    }

    fn authenticate<'a>(
        &self,
        message: &'a ChangePriority,
        (datagram, from): (&[u8], SocketAddr),
        config: &'a Config,
    ) -> Result<Authentic<'a>, Counter> {
        let settings = &config.change_priority;
        if message.form == ChangePriorityForm::Legacy && settings.legacy == Legacy::Refused {
            return Err(Counter::Legacy);
        }
        let verified = verify(datagram, &self.keys).map_err(Counter::from)?;
        let (key, right) = settings.known_as(verified.id).ok_or(Counter::UnknownKey)?;
        let Some(needed) = Right::to(message.purpose) else {
            let sender = Sender::Xtr(key.key.id, message.xtr.ok_or(Counter::Malformed)?);
            return Ok(Authentic {
                sender,
                key,
                right,
                records: &[],
            });
        };
        if right != needed {
            return Err(Counter::NoRight);
        }
        let (sender, records) = match message.form {
            ChangePriorityForm::SharedExtension => {
                let xtr = message.xtr.ok_or(Counter::Malformed)?;
                let (first, records) = message.records.split_first().ok_or(Counter::Malformed)?;
                let receiver = addressee_of(first).ok_or(Counter::Misdirected)?;
                // Our own, reflected, is for somebody else too.
                if !config.is_own(receiver) || xtr == config.xtr_id {
                    return Err(Counter::Misdirected);
                }
                (Sender::Xtr(key.key.id, xtr), records)
            }
            ChangePriorityForm::Legacy => {
                let record = message.records.first().ok_or(Counter::Malformed)?;
                (Sender::Legacy(key.key.id, record.eid), message.records.as_slice())
            }
        };
        if records.is_empty() {
            return Err(Counter::Malformed);
        }
        if records.iter().any(|record| !key.scope.holds(&record.eid)) {
            return Err(Counter::Scope);
        }
        let hands_over = matches!(message.purpose, Purpose::Handover | Purpose::HandoverTold);
        if hands_over && !within_group(from, records, &settings.group) {
            return Err(Counter::NotInGroup);
        }
        Ok(Authentic {
            sender,
            key,
            right,
            records,
        })
    }

    /// Does what an authentic message asks, all of it or nothing.
    fn take(
        &mut self,
        message: &ChangePriority,
        authentic: &Authentic<'_>,
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) -> Result<(), Counter> {
        let Authentic { sender, records, .. } = *authentic;
        if message.purpose.acknowledges() {
            let vouched_for = (&authentic.key.scope, authentic.right);
            self.acknowledged(message, vouched_for, xtr, cx);
            return Ok(());
        }
        self.guard.check(sender, message.nonce, cx.now)?;
        let own = |record: &MappingRecord| xtr.database.covering(&record.eid).is_some();
        match message.purpose {
            Purpose::Arrived | Purpose::Handover | Purpose::HandoverTold if !records.iter().all(own) => {
                return Err(Counter::Scope);
            }
            Purpose::UpdateCache => check_update(records, xtr, cx)?,
            Purpose::Arrived
            | Purpose::Handover
            | Purpose::HandoverTold
            | Purpose::Acknowledge
            | Purpose::AcknowledgeSubscribed => {}
        }
        self.guard.note(sender, message.nonce);
        // What changes nothing here is noted all the same, or it could be played again where it would. But nothing
        // hangs on the disk having it at once.
        cx.remember(Memory::Soon);
        for record in records {
            match message.purpose {
                Purpose::Arrived => {
                    cx.remember(Memory::Now);
                    cx.count(Counter::ChangesApplied);
                    self.arrived(record.eid, None, xtr, cx);
                }
                Purpose::Handover => {
                    cx.remember(Memory::Now);
                    cx.count(Counter::ChangesApplied);
                    self.handed_over(record, Told::BySource, xtr, cx);
                }
                Purpose::HandoverTold => {
                    cx.remember(Memory::Now);
                    cx.count(Counter::ChangesApplied);
                    self.handed_over(record, Told::ByDestination, xtr, cx);
                }
                Purpose::UpdateCache => update(record, xtr, cx),
                Purpose::Acknowledge | Purpose::AcknowledgeSubscribed => {}
            }
        }
        Ok(())
    }

    /// H=1: the EID is here now. False if it is none of ours.
    pub(crate) fn arrived(
        &mut self,
        eid: EidPrefix,
        order: Option<Order>,
        xtr: &mut Xtr,
        cx: &mut Context<'_>,
    ) -> bool {
        let config = cx.config;
        let Some(own) = xtr.database.exactly(eid) else {
            return false;
        };
        own.enter_here(config);
        own.standing = Standing::Registered;
        own.arrived = Some(cx.now);
        let entry: Vec<Locator> = config
            .rlocs
            .iter()
            .map(|own| config.marked(Locator::unicast(own.rloc, Priority::FIRST, own.weight)))
            .collect();
        let record = own.record(eid, entry);
        // The EID may have been about to leave from here, and is back.
        self.preparing.departed(eid, &[], Told::BySource);
        let luggage = self.prepared.arrived(eid, &mut xtr.cache, cx);
        let prepared_by = luggage.as_ref().map(|luggage| luggage.sender);
        for peer in config
            .change_priority
            .group
            .iter()
            .filter(|peer| !config.is_own(**peer))
        {
            let purpose = if prepared_by == Some(*peer) {
                Purpose::HandoverTold
            } else {
                Purpose::Handover
            };
            let parcel = Parcel {
                peer: *peer,
                purpose,
                record: record.clone(),
                theirs: None,
                change: order,
                key: None,
                shown: Shown::Nothing,
            };
            self.deliveries.send(parcel, cx);
        }
        if let Some(luggage) = luggage {
            self.tell_handed(eid, luggage, xtr, cx);
        }
        xtr.whereabouts.here(eid, &mut xtr.cache, cx);
        xtr.registrations.register(&[eid], &xtr.database, cx);
        true
    }

    /// Tells the clients that another site handed to us; they are ours from now on.
    fn tell_handed(&mut self, eid: EidPrefix, luggage: Luggage, xtr: &mut Xtr, cx: &mut Context<'_>) {
        for (rloc, client) in luggage.clients {
            xtr.database
                .asked_at(&eid, (rloc, client.source), client.asked_at);
            self.deliveries.abilities.told(rloc, client.manner, cx.now);
            cx.count(Counter::PreparationsTold);
            let news = News {
                eid,
                client: rloc,
                order: None,
                shown: Shown::New,
            };
            self.tell(news, client.key, xtr, cx);
        }
        let Xtr { database, cache, .. } = xtr;
        database.make_room(&eid, &|rloc| cache.reached_by(*rloc).is_some(), cx.now);
    }

    /// H=0, C=0: the EID has gone to another site.
    fn handed_over(&mut self, record: &MappingRecord, told: Told, xtr: &mut Xtr, cx: &mut Context<'_>) {
        let eid = record.eid;
        let Some(own) = xtr.database.exactly(eid) else {
            return;
        };
        let mut after = own.clone();
        after.enter_elsewhere(&record.locators, cx.config);
        after.standing = Standing::Elsewhere;
        if (after.standing, &after.everyone) == (own.standing, &own.everyone) {
            // Said again, because our acknowledgement was lost. The clients are being told already, and views may have
            // been given since.
            return;
        }
        let clients = own.clients(cx.now);
        *own = after;
        let handed = self.preparing.departed(eid, &record.locators, told);
        self.prepared.forget(&eid, cx.now);
        xtr.whereabouts
            .gone((eid, &record.locators), REDIRECT_FOR, &mut xtr.cache, cx);
        for client in clients.difference(&handed) {
            let news = News {
                eid,
                client: *client,
                order: None,
                shown: Shown::Old,
            };
            self.tell_client(news, xtr, cx);
        }
    }

    /// Tells a client what it is to have in its map cache.
    pub(crate) fn tell_client(&mut self, news: News, xtr: &Xtr, cx: &mut Context<'_>) {
        self.tell(news, None, xtr, cx);
    }

    fn tell(&mut self, news: News, key: Option<Arc<Key>>, xtr: &Xtr, cx: &mut Context<'_>) {
        let News {
            eid,
            client,
            order,
            shown,
        } = news;
        let Some((_, own)) = xtr.database.covering(&eid) else {
            return;
        };
        let record = own.record(eid, own.told(&[client]).to_vec());
        let parcel = Parcel {
            peer: client,
            purpose: Purpose::UpdateCache,
            record,
            theirs: own.source_of(&client),
            change: order,
            key,
            // Of what a single client is told the Map-Server knows nothing.
            shown: if own.views.contains_key(&client) {
                Shown::Nothing
            } else {
                shown
            },
        };
        self.deliveries.send(parcel, cx);
    }
}

/// A mapping that a client is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) eid: EidPrefix,
    pub(crate) client: Rloc,
    pub(crate) order: Option<Order>,
    /// What packets of a client that is subscribed to the mapping show.
    pub(crate) shown: Shown,
}

/// Whether a site of the group says that EIDs are at a site of the group. Where a datagram came from is under nobody's
/// key; which locators its records name is.
fn within_group(from: SocketAddr, records: &[MappingRecord], group: &[Rloc]) -> bool {
    let enters_there = |record: &MappingRecord| {
        let mut locators = record.locators.iter();
        locators.any(|locator| locator.priority.usable() && group.contains(&locator.rloc))
    };
    group.contains(&Rloc(from.ip())) && records.iter().all(enters_there)
}

/// Whether an update may be applied. An EID that nobody here speaks to may be named; an answer that is on its way may
/// be older than the update, which then has to come again.
fn check_update(records: &[MappingRecord], xtr: &Xtr, cx: &Context<'_>) -> Result<(), Counter> {
    for record in records {
        let mut own = cx.config.eids.iter().map(|own| &own.prefix);
        if own.any(|own| own.covers(&record.eid) || record.eid.covers(own)) {
            return Err(Counter::OwnEid);
        }
        if xtr.resolutions.awaits(&record.eid) {
            return Err(Counter::Awaited);
        }
    }
    Ok(())
}

/// C=1: the map cache as the message says. Its lifetime goes on as it was: only a Map-Reply extends it.
fn update(record: &MappingRecord, xtr: &mut Xtr, cx: &mut Context<'_>) {
    let Some((prefix, mapping)) = xtr.cache.covering(&record.eid) else {
        return cx.count(Counter::ChangesIdle);
    };
    if xtr.cache.is_pinned(&record.eid) {
        return cx.count(Counter::ChangesIdle);
    }
    let asked = if record.eid.contains(&mapping.asked) {
        mapping.asked
    } else {
        record.eid.first()
    };
    let (learned, expires) = (mapping.learned, mapping.expires);
    let content = if record.locators.is_empty() {
        Content::Negative(record.action)
    } else {
        Content::Locators(record.locators.clone())
    };
    let life = Life {
        from: learned,
        span: expires.since(learned).max(Span(1)),
    };
    if prefix == record.eid && mapping.content == content {
        // Said again, because our acknowledgement was lost.
        return cx.count(Counter::ChangesIdle);
    }
    xtr.cache.insert(
        record.eid,
        Mapping::new(content, Origin::ChangePriority, asked, life).told(cx.now),
    );
    xtr.cache.publish(cx);
    cx.remember(Memory::Now);
    cx.count(Counter::ChangesApplied);
    cx.effects.push(Effect::Release { eid: record.eid });
}

fn acknowledge(
    (message, key): (&ChangePriority, &ScopedKey),
    to: SocketAddr,
    xtr: &Xtr,
    cx: &mut Context<'_>,
) {
    let follows = |record: &MappingRecord| xtr.subscriber.follows(&record.eid);
    let mut changed = message.records.iter().skip(1);
    let subscribed = message.purpose == Purpose::UpdateCache && changed.all(follows);
    let bare = |record: &MappingRecord| MappingRecord {
        locators: Vec::new(),
        ..record.clone()
    };
    let acknowledgement = ChangePriority {
        form: ChangePriorityForm::SharedExtension,
        purpose: if subscribed {
            Purpose::AcknowledgeSubscribed
        } else {
            Purpose::Acknowledge
        },
        nonce: message.nonce,
        auth: unsigned(),
        xtr: Some(cx.config.xtr_id),
        records: message.records.iter().map(bare).collect(),
    };
    cx.send_signed(&Message::ChangePriority(acknowledgement), &key.key, to);
}

/// All keys: which of them may do what is known from their ids.
fn keys_of(config: &Config) -> Vec<Key> {
    let settings = &config.change_priority;
    let scoped = settings.keys.iter().chain(&settings.move_keys);
    scoped.map(|scoped| scoped.key.clone()).collect()
}
