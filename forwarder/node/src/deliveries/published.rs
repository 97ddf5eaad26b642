//! Changes that are left to a Map-Server, which tells the peer of them (RFC 9437), and what shows that it did not.
//!
//! To believe wrongly that a peer is told costs a delay and nothing else: packets show by which mapping they come, and a peer
//! that is seen to go by the old one, or not seen to go by the new one, is told directly and is no longer believed to be
//! told. One that sends nothing asks its Map-Server anew within three minutes by itself; so long it is watched.

use std::sync::Arc;

use datapath::{Sight, Watch};
use lisp_wire::EidPrefix;
use proto::Span;

use super::{Deliveries, Delivery, DeliveryId, Stage};
use crate::context::Context;
use crate::counters::Counter;
use crate::pubsub::Publication;

/// So often it is looked whether a peer was seen. The first look comes after all legs: registration, publication, packets.
pub(super) const LOOK: Span = Span::secs(1);
/// One whose packets would show that it knows, and that was not seen for so long, is told.
const SHOWS_WITHIN: Span = Span::secs(5);
/// One whose packets would show that it does not know is looked for so long: it renews its subscription within it.
const WATCHED_FOR: Span = Span::secs(240);
/// At most this many are left to Map-Servers at a time; further ones are told directly.
const MOST_WATCHED: usize = 4096;

/// What packets of a subscriber show of a change that is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing, or nobody registers the change: who is to know is told.
    Nothing,
    /// Those that still come here come by the old mapping.
    Old,
    /// Those that come here come by the new mapping.
    New,
}

/// A change that is left to the Map-Server.
#[derive(Debug)]
pub(super) struct Left {
    shown: Shown,
    sight: Arc<Sight>,
    looks: u32,
}

impl Left {
    pub(super) fn new(shown: Shown) -> Self {
        Self {
            shown,
            sight: Arc::default(),
            looks: 0,
        }
    }
}

/// Who is watched; put together anew when somebody is, or is no more.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) count: usize,
    changed: bool,
}

impl Watched {
    pub(super) const fn has_room(&self) -> bool {
        self.count < MOST_WATCHED
    }

    pub(super) fn more(&mut self) {
        self.count += 1;
        self.changed = true;
    }

    pub(super) fn fewer(&mut self) {
        self.count = self.count.saturating_sub(1);
        self.changed = true;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is looked again.
    Open,
    /// It knows, as far as can be seen; it is looked again all the same.
    Settled,
    /// There is nothing more to be seen.
    Over,
    /// It does not know.
    Untold,
}

impl Left {
    fn look(&mut self, age: Span) -> Verdict {
        self.looks += 1;
        match (self.shown, self.sight.take()) {
            // What was on its way when the news spread is no sign.
            (Shown::Old, _) if self.looks == 1 => Verdict::Open,
            (Shown::Old, true) | (Shown::Nothing, _) => Verdict::Untold,
            (Shown::Old, false) if age >= WATCHED_FOR => Verdict::Over,
            (Shown::Old, false) => Verdict::Settled,
            (Shown::New, true) => Verdict::Over,
            (Shown::New, false) if age >= SHOWS_WITHIN => Verdict::Untold,
            (Shown::New, false) => Verdict::Open,
        }
    }
}

impl Deliveries {
    /// Whether the packet path is to look for others than when last asked.
    pub(crate) const fn watches_others(&mut self) -> bool {
        std::mem::replace(&mut self.watched.changed, false)
    }

    /// Whom the packet path is to look for.
    pub(crate) fn watch(&self) -> Option<Arc<Watch>> {
        let watched = |delivery: &Delivery| match &delivery.stage {
            Stage::Left(left) => {
                let parcel = &delivery.parcel;
                Some((parcel.peer.0, parcel.record.eid, Arc::clone(&left.sight)))
            }
            Stage::Open | Stage::Answered => None,
        };
        (self.watched.count > 0).then(|| Arc::new(Watch::new(self.open.values().filter_map(watched))))
    }

    /// Looks whether a peer has shown that it knows, or does not.
    pub(super) fn look(&mut self, id: DeliveryId, cx: &mut Context<'_>) {
        let Some(delivery) = self.open.get_mut(&id) else {
            return;
        };
        let Stage::Left(left) = &mut delivery.stage else {
            return;
        };
        match left.look(cx.now.since(delivery.began)) {
            Verdict::Open => self.timers.set(id, cx.now + LOOK),
            Verdict::Settled => {
                delivery.settle(cx);
                self.timers.set(id, cx.now + LOOK);
            }
            Verdict::Over => {
                delivery.settle(cx);
                self.close(id);
            }
            Verdict::Untold => self.tell_after_all(id, cx),
        }
    }

    fn tell_after_all(&mut self, id: DeliveryId, cx: &mut Context<'_>) {
        let Some(delivery) = self.open.get_mut(&id) else {
            return;
        };
        cx.count(Counter::ChangesUnpublished);
        let (peer, eid) = (delivery.parcel.peer, delivery.parcel.record.eid);
        self.abilities.doubt_subscription(peer, eid, cx.now);
        delivery.stage = Stage::Open;
        self.watched.fewer();
        self.go_on(id, cx);
    }

    /// What this node's own Map-Server knows of its subscribers.
    pub(crate) fn published(&mut self, publication: &Publication, cx: &mut Context<'_>) {
        for peer in publication.peers() {
            match publication {
                Publication::Subscribed { eid, .. } => self.abilities.subscribes(peer, *eid, cx.now),
                Publication::Told { eid, .. } => {
                    for id in self.left_to_server(peer, *eid) {
                        if let Some(delivery) = self.open.get_mut(&id) {
                            delivery.settle(cx);
                        }
                        self.close(id);
                    }
                }
                Publication::Ended { eid, .. } => {
                    self.abilities.subscribes_no_more(peer, *eid);
                    for id in self.left_to_server(peer, *eid) {
                        self.tell_after_all(id, cx);
                    }
                }
            }
        }
    }

    fn left_to_server(&self, peer: lisp_wire::Rloc, block: EidPrefix) -> Vec<DeliveryId> {
        let of_peer = self.by_peer.get(&peer).into_iter().flatten();
        let left = |id: &DeliveryId| {
            let delivery = self.open.get(id);
            delivery.is_some_and(|delivery| matches!(delivery.stage, Stage::Left(_)))
        };
        of_peer
            .filter(|(eid, id)| block.covers(eid) && left(id))
            .map(|(_, id)| *id)
            .collect()
    }
}

impl Delivery {
    /// The peer knows: said once.
    fn settle(&mut self, cx: &mut Context<'_>) {
        if matches!(&self.stage, Stage::Left(_)) && !std::mem::replace(&mut self.settled, true) {
            cx.count(Counter::ChangesPublished);
            self.report_acknowledged(cx);
            // If it turns out otherwise, it is told; whoever ordered the change has had the answer.
            self.parcel.change = None;
        }
    }
}
