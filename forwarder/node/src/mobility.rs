//! Algorithm 1 of the thesis (section 4.3): an EID moves, and everyone who speaks to it is told.
//!
//! - H=1, from the destination's hypervisor or staff: this site's locators become the entry; the group and the
//!   Map-Server are told.
//! - H=0, C=0, from the destination: the own locators go to 255; everyone who asked for the EID is told.
//! - C=1, from an xTR that serves the EID: the map cache is changed as it says.
//!
//! A message counts only if a key that may speak for the EID made its MAC, if its nonce is new, and if it names this
//! node as its receiver. Anything else is counted and changes nothing.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use lisp_wire::message::{ChangePriority, ChangePriorityForm, Purpose};
use lisp_wire::{EidPrefix, Key, Locator, MappingRecord, Message, Priority, Rloc, verify};
use proto::Span;

use crate::cache::{Content, Life, Mapping, Origin};
use crate::config::{Config, Legacy, ScopedKey};
use crate::context::{Context, Memory, unsigned};
use crate::counters::Counter;
use crate::datagrams::Datagram;
use crate::deliveries::{Deliveries, Order, Parcel, addressee_of};
use crate::input::Effect;
use crate::replay::ReplayGuard;
use crate::state::{Sender, Standing};
use crate::xtr::Xtr;

/// The machine of Algorithm 1.
#[derive(Debug)]
pub(crate) struct Mobility {
    keys: Vec<Key>,
    pub(crate) guard: ReplayGuard,
    pub(crate) deliveries: Deliveries,
}

/// A message whose sender is known, and to be answered.
struct Authentic<'a> {
    sender: Sender,
    key: &'a ScopedKey,
    records: &'a [MappingRecord],
}

impl Mobility {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            keys: keys_of(config),
            guard: ReplayGuard::default(),
            deliveries: Deliveries::default(),
        }
    }

    /// The keys have changed.
    pub(crate) fn rekey(&mut self, config: &Config) {
        self.keys = keys_of(config);
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
        let authentic = match self.authenticate(message, bytes, cx.config) {
            Ok(authentic) => authentic,
            Err(refusal) => return cx.count(refusal),
        };
        // Acknowledgements are not acknowledged, and the type-5 form has none.
        let answered =
            message.form == ChangePriorityForm::SharedExtension && message.purpose != Purpose::Acknowledge;
        match self.take(message, &authentic, xtr, cx) {
            Ok(()) if answered => acknowledge(message, authentic.key, from, cx),
            Ok(()) => {}
            Err(refusal) => {
                cx.count(refusal);
                // The acknowledgement of the last message may have been lost, and its sender repeats it. It is refused
                // like any replay; to say once more that it was taken tells nobody anything but its own nonce.
                if answered && self.guard.is_last(authentic.sender, message.nonce) {
                    acknowledge(message, authentic.key, from, cx);
                }
            }
        }
    }

    fn authenticate<'a>(
        &self,
        message: &'a ChangePriority,
        datagram: &[u8],
        config: &'a Config,
    ) -> Result<Authentic<'a>, Counter> {
        let settings = &config.change_priority;
        if message.form == ChangePriorityForm::Legacy && settings.legacy == Legacy::Refused {
            return Err(Counter::Legacy);
        }
        let verified = verify(datagram, &self.keys).map_err(Counter::from)?;
        let key = settings
            .keys
            .iter()
            .find(|scoped| scoped.key.id == verified.id)
            .ok_or(Counter::UnknownKey)?;
        if message.purpose == Purpose::Acknowledge {
            let sender = Sender::Xtr(key.key.id, message.xtr.ok_or(Counter::Malformed)?);
            return Ok(Authentic {
                sender,
                key,
                records: &[],
            });
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
        Ok(Authentic { sender, key, records })
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
        if message.purpose == Purpose::Acknowledge {
            if let Some(handed_over) = self
                .deliveries
                .acknowledged(message.nonce, &authentic.key.scope, cx)
            {
                // A registration of the old site may have crossed ours; now it makes none any more.
                xtr.registrations.register(&[handed_over.eid], &xtr.database, cx);
            }
            return Ok(());
        }
        self.guard.check(sender, message.nonce, cx.now)?;
        let own = |record: &MappingRecord| xtr.database.covering(&record.eid).is_some();
        match message.purpose {
            Purpose::Arrived | Purpose::Handover if !records.iter().all(own) => return Err(Counter::Scope),
            Purpose::UpdateCache => check_update(records, xtr, cx)?,
            Purpose::Arrived | Purpose::Handover | Purpose::Acknowledge => {}
        }
        self.guard.note(sender, message.nonce);
        cx.remember(Memory::Now);
        for record in records {
            match message.purpose {
                Purpose::Arrived => {
                    cx.count(Counter::ChangesApplied);
                    self.arrived(record.eid, None, xtr, cx);
                }
                Purpose::Handover => {
                    cx.count(Counter::ChangesApplied);
                    self.handed_over(record, xtr, cx);
                }
                Purpose::UpdateCache => update(record, xtr, cx),
                Purpose::Acknowledge => {}
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
        let entry: Vec<Locator> = config
            .rlocs
            .iter()
            .map(|own| config.marked(Locator::unicast(own.rloc, Priority::FIRST, own.weight)))
            .collect();
        let record = own.record(eid, entry);
        for peer in config
            .change_priority
            .group
            .iter()
            .filter(|peer| !config.is_own(**peer))
        {
            let record = record.clone();
            self.deliveries.send(
                Parcel {
                    peer: *peer,
                    purpose: Purpose::Handover,
                    record,
                    theirs: None,
                    change: order,
                },
                cx,
            );
        }
        xtr.registrations.register(&[eid], &xtr.database, cx);
        true
    }

    /// H=0, C=0: the EID has gone to another site.
    fn handed_over(&mut self, record: &MappingRecord, xtr: &mut Xtr, cx: &mut Context<'_>) {
        let Some(own) = xtr.database.exactly(record.eid) else {
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
        // Who has a view is a client too, even one that never asked here.
        let clients: BTreeSet<Rloc> = own
            .requesters(cx.now)
            .into_iter()
            .chain(own.views.keys().copied())
            .collect();
        *own = after;
        for client in clients {
            self.tell_client(
                News {
                    eid: record.eid,
                    client,
                    order: None,
                },
                xtr,
                cx,
            );
        }
    }

    /// Tells a client what it is to have in its map cache.
    pub(crate) fn tell_client(&mut self, news: News, xtr: &Xtr, cx: &mut Context<'_>) {
        let News { eid, client, order } = news;
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
    cx.count(Counter::ChangesApplied);
    cx.effects.push(Effect::Release { eid: record.eid });
}

fn acknowledge(message: &ChangePriority, key: &ScopedKey, to: SocketAddr, cx: &mut Context<'_>) {
    let bare = |record: &MappingRecord| MappingRecord {
        locators: Vec::new(),
        ..record.clone()
    };
    let acknowledgement = ChangePriority {
        form: ChangePriorityForm::SharedExtension,
        purpose: Purpose::Acknowledge,
        nonce: message.nonce,
        auth: unsigned(),
        xtr: Some(cx.config.xtr_id),
        records: message.records.iter().map(bare).collect(),
    };
    cx.send_signed(&Message::ChangePriority(acknowledgement), &key.key, to);
}

fn keys_of(config: &Config) -> Vec<Key> {
    let scoped = &config.change_priority.keys;
    scoped.iter().map(|scoped| scoped.key.clone()).collect()
}
