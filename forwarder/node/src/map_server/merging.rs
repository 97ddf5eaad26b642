//! Registrations that are merged: several xTRs of a site, each with its own locators, make one mapping (the "a" bit of a
//! Map-Register, RFC 9301 section 5.6), and each is told the whole of it (section 5.7).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use lisp_wire::message::{MapNotify, SiteId, XtrId};
use lisp_wire::{EidPrefix, Key, Locator, MappingRecord, Message, Nonce, verify};
use proto::{Span, Timestamp};

use super::{MapServer, Registration};
use crate::config::Config;
use crate::context::{Context, unsigned};
use crate::counters::Counter;
use crate::state::Registrant;
use crate::timers::Timers;

/// How long each sending waits for its acknowledgement: three repetitions 3 s apart, then three more at twice the time
/// of the one before (RFC 9301 section 5.7).
const WAITS: [Span; 7] = [
    Span::secs(3),
    Span::secs(3),
    Span::secs(3),
    Span::secs(6),
    Span::secs(12),
    Span::secs(24),
    Span::secs(24),
];
/// Locators of a merged mapping; more do not fit a record.
const MOST_LOCATORS: usize = 255;

/// Whether an xTR's locators stand with those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The last to register speaks alone.
    Alone,
    /// All that say so make one mapping.
    Merged,
}

/// What a Map-Notify to a registered xTR is signed with, and where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) to: SocketAddr,
    pub(super) key_id: u8,
    pub(super) xtr: Option<(XtrId, SiteId)>,
}

/// Map-Notifies to the other xTRs of merged mappings, until they are acknowledged.
#[derive(Debug, Default)]
pub(super) struct MergeNotices {
    open: BTreeMap<Nonce, MergeNotice>,
    /// The one under way to each xTR; a later change overtakes it.
    latest: BTreeMap<(EidPrefix, Registrant), Nonce>,
    timers: Timers<Nonce>,
}

#[derive(Clone, Copy, Debug)]
struct MergeNotice {
    about: (EidPrefix, Registrant),
    tries: usize,
}

/// The registration that speaks for a prefix, whole: the last one, with the locators of the others where it is merged.
pub(super) fn spoken(registrants: &BTreeMap<Registrant, Registration>) -> Option<Registration> {
    let newest = registrants
        .values()
        .max_by_key(|registration| (registration.at, registration.nonce))?;
    let mut whole = newest.clone();
    if newest.standing == Standing::Merged {
        let merged = || {
            registrants
                .values()
                .filter(|other| other.standing == Standing::Merged)
        };
        let locators = merged().flat_map(|other| &other.record.locators);
        whole.record.locators = union(locators);
        whole.record.ttl = merged()
            .map(|other| other.record.ttl)
            .min()
            .unwrap_or(whole.record.ttl);
        // One that wants to answer itself is not answered for.
        whole.proxy_reply = merged().all(|other| other.proxy_reply);
    }
    Some(whole)
}

/// Each locator once, in the order of their addresses, which is that of the locator-status bits; an xTR's word on its
/// own locator before that of others.
fn union<'a>(locators: impl Iterator<Item = &'a Locator>) -> Vec<Locator> {
    let mut union: BTreeMap<_, Locator> = BTreeMap::new();
    for locator in locators {
        let known = union.entry(locator.rloc).or_insert(*locator);
        if locator.local && !known.local {
            *known = *locator;
        }
    }
    union.into_values().take(MOST_LOCATORS).collect()
}

impl MapServer {
    /// Tells the other xTRs of a merged mapping what it is now.
    pub(super) fn tell_merged(&mut self, eid: EidPrefix, but: &Registrant, cx: &mut Context<'_>) {
        let Some(registrants) = self.registrations.get(&eid) else {
            return;
        };
        let merged = |(_, registration): &(&Registrant, &Registration)| {
            registration.standing == Standing::Merged && registration.reach.xtr.is_some()
        };
        let others = registrants.iter().filter(merged);
        let others: Vec<Registrant> = others.map(|(by, _)| *by).filter(|by| by != but).collect();
        for other in others {
            self.notify_merged(
                MergeNotice {
                    about: (eid, other),
                    tries: 0,
                },
                cx,
            );
        }
    }

    fn notify_merged(&mut self, notice: MergeNotice, cx: &mut Context<'_>) {
        if let Some(overtaken) = self.merges.latest.remove(&notice.about) {
            self.merges.open.remove(&overtaken);
            self.merges.timers.cancel(&overtaken);
        }
        let (eid, registrant) = notice.about;
        let Some(wait) = WAITS.get(notice.tries) else {
            return cx.count(Counter::MergeUnanswered);
        };
        let Some(registrants) = self.registrations.get(&eid) else {
            return;
        };
        let Some(registration) = registrants.get(&registrant) else {
            return;
        };
        let (Some(whole), Some(key)) = (
            spoken(registrants),
            key_of(cx.config, &registrant, registration.reach.key_id),
        ) else {
            return;
        };
        // Greater than any before, so that a receiver can tell what is old.
        let nonce = cx.nonces.growing(cx.now);
        let notify = MapNotify {
            nonce,
            auth: unsigned(),
            records: vec![whole.record],
            xtr: registration.reach.xtr,
        };
        cx.count(Counter::MergeTold);
        cx.send_signed(&Message::MapNotify(notify), key, registration.reach.to);
        self.merges.latest.insert(notice.about, nonce);
        self.merges.timers.set(nonce, cx.now + *wait);
        self.merges.open.insert(
            nonce,
            MergeNotice {
                tries: notice.tries + 1,
                ..notice
            },
        );
    }

    /// Whether a Map-Notify-Ack is for one of these; if it is authentic too, that is not repeated.
    pub(super) fn merge_acknowledged(
        &mut self,
        ack: &MapNotify,
        datagram: &[u8],
        cx: &mut Context<'_>,
    ) -> bool {
        let Some(notice) = self.merges.open.get(&ack.nonce) else {
            return false;
        };
        let (eid, registrant) = notice.about;
        let site = cx.config.sites.iter().find(|site| site.prefix == registrant.site);
        match verify(
            datagram,
            site.map(|site| site.keys.as_slice()).unwrap_or_default(),
        ) {
            Ok(_) => {
                self.merges.latest.remove(&(eid, registrant));
                self.merges.open.remove(&ack.nonce);
                self.merges.timers.cancel(&ack.nonce);
                cx.count(Counter::MergeKnown);
            }
            Err(error) => cx.count(error.into()),
        }
        true
    }

    pub(super) fn merges_due(&self) -> Option<Timestamp> {
        self.merges.timers.next()
    }

    /// Says again what was not acknowledged, as it is by now.
    pub(super) fn tick_merges(&mut self, cx: &mut Context<'_>) {
        while let Some(nonce) = self.merges.timers.pop_due(cx.now) {
            if let Some(notice) = self.merges.open.remove(&nonce) {
                self.merges.latest.remove(&notice.about);
                self.notify_merged(notice, cx);
            }
        }
    }

    /// What the xTR that has just registered is told of: the whole mapping where it is merged.
    pub(super) fn confirmed(&self, record: &MappingRecord, standing: Standing) -> MappingRecord {
        let whole = || self.registrations.get(&record.eid).and_then(spoken);
        match standing {
            Standing::Merged => whole().map_or_else(|| record.clone(), |whole| whole.record),
            Standing::Alone => record.clone(),
        }
    }
}

/// The key of a site with this number.
fn key_of<'c>(config: &'c Config, registrant: &Registrant, id: u8) -> Option<&'c Key> {
    let site = config.sites.iter().find(|site| site.prefix == registrant.site)?;
    site.keys
        .iter()
        .find(|key| key.id == id)
        .or_else(|| site.keys.first())
}
