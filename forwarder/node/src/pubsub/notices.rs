//! Map-Notifies on their way to subscribers: repeated until acknowledged (RFC 9301 section 5.7).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use lisp_wire::message::{MapNotify, XtrId};
use lisp_wire::{Action, EidPrefix, Key, MappingRecord, Message, Nonce, Ttl, verify};
use proto::{Span, Timestamp};

use super::{Wish, keys_of};
use crate::config::KeyRing;
use crate::context::{Context, unsigned};
use crate::counters::Counter;
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
/// From this sending on the other ITR-RLOCs of a subscriber are tried in turn (RFC 9437 section 6).
const ELSEWHERE: usize = 3;
/// So many nonces are looked at for one that nobody asks with.
const MOST_SKIPPED: u64 = 8;
/// How long the last word counts. Not zero, which would be a withdrawal.
const ENDED: Ttl = Ttl(1);
/// At most this many offers wait for their first acknowledgement: anyone can ask for one.
const MOST_OFFERS: usize = 16_384;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NoticeId(u64);

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The subscription that was asked for begins.
    Confirm {
        /// For which EIDs.
        asked: EidPrefix,
    },
    /// It ends.
    Farewell,
    /// The change is known.
    Publication,
}

/// Whether a Map-Notify goes on being repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Sent,
    GivenUp,
}

/// A Map-Notify that has not been acknowledged.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) purpose: Purpose,
    /// What is subscribed to; the record may be about a part of it.
    pub(super) eid: EidPrefix,
    pub(super) wish: Wish,
    pub(super) record: Arc<MappingRecord>,
    nonces: Vec<Nonce>,
    tries: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Notices {
    open: BTreeMap<NoticeId, Notice>,
    /// By what an acknowledgement says, and where it may come from.
    by_ack: BTreeMap<(Nonce, EidPrefix, IpAddr), NoticeId>,
    /// Offers by EID, asker and where it is told: the last of each counts.
    offers: BTreeMap<(EidPrefix, XtrId, SocketAddr), NoticeId>,
    timers: Timers<NoticeId>,
    opened: u64,
}

impl Notice {
    pub(super) fn new(purpose: Purpose, wish: Wish, record: Arc<MappingRecord>) -> Self {
        Self {
            purpose,
            eid: record.eid,
            wish,
            record,
            nonces: Vec::new(),
            tries: 0,
        }
    }

    fn offered_to(&self) -> Option<(EidPrefix, XtrId, SocketAddr)> {
        let first = self.wish.to.first()?;
        (self.purpose != Purpose::Publication).then_some((self.eid, self.wish.xtr, *first))
    }
}

impl Notices {
    /// Sends what nobody has proven to want yet; `None` if there is no room.
    pub(super) fn offer(&mut self, notice: Notice, keys: &KeyRing, cx: &mut Context<'_>) -> Option<NoticeId> {
        let place = notice.offered_to()?;
        if let Some(older) = self.offers.get(&place).copied() {
            self.drop(older);
        }
        if self.offers.len() >= MOST_OFFERS {
            return None;
        }
        let id = self.send(notice, keys, cx);
        self.offers.insert(place, id);
        Some(id)
    }

    /// Sends, and goes on until it is acknowledged.
    pub(super) fn send(&mut self, notice: Notice, keys: &KeyRing, cx: &mut Context<'_>) -> NoticeId {
        self.opened += 1;
        let id = NoticeId(self.opened);
        self.open.insert(id, notice);
        self.again(id, None, keys, cx);
        id
    }

    /// Sends once more, with this nonce if it is to have another; or gives up.
    pub(super) fn again(
        &mut self,
        id: NoticeId,
        nonce: Option<Nonce>,
        keys: &KeyRing,
        cx: &mut Context<'_>,
    ) -> Verdict {
        let Some(notice) = self.open.get_mut(&id) else {
            return Verdict::GivenUp;
        };
        notice.wish.nonce = nonce.unwrap_or(notice.wish.nonce);
        let Some(wait) = WAITS.get(notice.tries).copied() else {
            cx.count(Counter::PubsubUnanswered);
            if let Some(notice) = self.drop(id) {
                last_word(&notice, keys, cx);
            }
            return Verdict::GivenUp;
        };
        let to = &notice.wish.to;
        let turn = notice.tries.saturating_sub(ELSEWHERE).checked_rem(to.len());
        let address = turn.and_then(|turn| to.get(turn)).copied();
        // A subscriber may not have the newest key yet.
        let key = keys.signing(notice.tries);
        notice.tries += 1;
        if notice.nonces.last() != Some(&notice.wish.nonce) {
            notice.nonces.push(notice.wish.nonce);
            for address in to.iter() {
                let place = (notice.wish.nonce, notice.record.eid, address.ip());
                self.by_ack.insert(place, id);
            }
        }
        if let (Some(address), Some(key)) = (address, key) {
            send(notice, notice.record.as_ref().clone(), (key, address), cx);
        }
        self.timers.set(id, cx.now + wait);
        Verdict::Sent
    }

    /// Takes out what this acknowledges.
    pub(super) fn acknowledged(
        &mut self,
        ack: &MapNotify,
        datagram: &[u8],
        from: SocketAddr,
        cx: &mut Context<'_>,
    ) -> Option<Notice> {
        let place = ack
            .records
            .first()
            .map(|record| (ack.nonce, record.eid, from.ip()));
        let Some(id) = place.and_then(|place| self.by_ack.get(&place)).copied() else {
            cx.count(Counter::Unsolicited);
            return None;
        };
        let keys = self
            .open
            .get(&id)
            .and_then(|notice| keys_of(cx.config, &notice.record.eid))?;
        if let Err(error) = verify(datagram, keys.all()) {
            cx.count(error.into());
            return None;
        }
        self.drop(id)
    }

    /// One more than the last nonce of a subscription (RFC 9437 section 6), or more where the subscriber is asking with
    /// that one to subscribe anew: what acknowledges the one must not be taken for the other's.
    pub(super) fn after(&self, last: Nonce, about: &EidPrefix, to: &[SocketAddr]) -> Nonce {
        let taken = |nonce: Nonce| {
            let mut places = to.iter().map(|address| (nonce, *about, address.ip()));
            places.any(|place| self.by_ack.contains_key(&place))
        };
        let more = |by: u64| Nonce(last.0.saturating_add(by));
        // Many subscribers may share an address; for them one more will do.
        (1..=MOST_SKIPPED)
            .map(more)
            .find(|nonce| !taken(*nonce))
            .unwrap_or(more(1))
    }

    /// Forgets one.
    pub(super) fn drop(&mut self, id: NoticeId) -> Option<Notice> {
        self.timers.cancel(&id);
        let notice = self.open.remove(&id)?;
        for nonce in &notice.nonces {
            for address in notice.wish.to.iter() {
                let place = (*nonce, notice.record.eid, address.ip());
                // Another subscriber behind the same address may have taken its place.
                if self.by_ack.get(&place) == Some(&id) {
                    self.by_ack.remove(&place);
                }
            }
        }
        if let Some(place) = notice.offered_to() {
            self.offers.remove(&place);
        }
        Some(notice)
    }

    /// Whose it is, what for, and what it is about.
    pub(super) fn subject(&self, id: NoticeId) -> Option<(EidPrefix, XtrId, Purpose, EidPrefix)> {
        let notice = self.open.get(&id)?;
        Some((notice.eid, notice.wish.xtr, notice.purpose, notice.record.eid))
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<NoticeId> {
        self.timers.pop_due(now)
    }
}

/// Who never answers is told once that its subscription is no more (RFC 9437 section 5).
pub(super) fn last_word(notice: &Notice, keys: &KeyRing, cx: &mut Context<'_>) {
    let ended = MappingRecord {
        ttl: ENDED,
        action: Action::DropAuthFailure,
        locators: Vec::new(),
        ..notice.record.as_ref().clone()
    };
    if let (Some(address), Some(key)) = (notice.wish.to.first(), keys.signing(0)) {
        send(notice, ended, (key, *address), cx);
    }
}

fn send(notice: &Notice, record: MappingRecord, (key, to): (&Key, SocketAddr), cx: &mut Context<'_>) {
    let notify = MapNotify {
        nonce: notice.wish.nonce,
        auth: unsigned(),
        records: vec![record],
        // Signed with the rest: what one holder of the key was told cannot be replayed to another.
        xtr: Some((notice.wish.xtr, notice.wish.site)),
    };
    cx.count(Counter::PubsubSent);
    cx.send_signed(&Message::MapNotify(notify), key, to);
}
