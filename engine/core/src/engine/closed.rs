//! Places that rules close to a user. His router is told never to use them (priority 255, RFC 9301 section 5.4), so
//! that it does not go there by itself when its entry dies; and it is told anew when a rule or a drain begins or ends.
//!
//! Pins, exclusions and drains close. Capacity, damping, affinity and anti-affinity only choose entries: a backup
//! they speak against is better than none. The place entered by is never closed, so that a user for whom everything
//! else is has that one alone.

use proto::policy::{Arming, Disarmed};
use proto::{Notice, Span, Timestamp};

use super::Engine;
use super::nodes::Node;
use crate::Effect;
use crate::fabric::{Dc, PairIx};
use crate::outbox::Outbox;
use crate::pair::rows;

/// So many are told anew at once: telling is no move and takes no budget, but a drain concerns everybody.
const AT_ONCE: usize = 25;
/// And the next ones so much later.
const EVERY: Span = Span::millis(250);

impl Engine {
    /// Of a view, the places that rules forbid, its first apart.
    pub(crate) fn closed(&self, ix: PairIx, order: &[Dc]) -> Vec<Dc> {
        let backups = order.iter().skip(1).copied();
        let mut closed: Vec<Dc> = backups.filter(|&dc| !self.is_permitted(ix, dc)).collect();
        closed.sort_unstable();
        closed
    }

    /// Of the view of everyone who has none of his own, the drained places, its first apart.
    pub(crate) fn closed_to_all(&self, order: &[Dc]) -> Vec<Dc> {
        let backups = order.iter().skip(1).copied();
        backups.filter(|&dc| self.is_drained(dc)).collect()
    }

    /// Whoever's view says otherwise than rules do now is to be told anew.
    pub(crate) fn close_anew(&mut self, out: &mut Outbox) {
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            self.close_anew_for(ix);
        }
        if !self.is_frozen() {
            for vm in 0..self.defaults.len() {
                self.tell_default(vm, out);
            }
        }
    }

    /// The same for one. A switch under way is told apart when it ends.
    pub(crate) fn close_anew_for(&mut self, ix: PairIx) {
        let pair = &self.pairs[ix.at()];
        if pair.flight.is_none() && self.closed(ix, &pair.order) != pair.closed {
            self.calm.closing.insert(ix);
        }
    }

    /// Tells the next of them.
    pub(super) fn tell_closed(&mut self, out: &mut Outbox) {
        let now = out.now;
        if self.closed_due().is_none_or(|due| now < due) {
            return;
        }
        self.calm.closed_at = now;
        let next: Vec<PairIx> = self.calm.closing.iter().take(AT_ONCE).copied().collect();
        let mut told = Vec::new();
        for ix in next {
            self.calm.closing.remove(&ix);
            let pair = &self.pairs[ix.at()];
            let Some(teller) = self.teller(pair.entry()).filter(|_| pair.flight.is_none()) else {
                continue;
            };
            let order = pair.order.clone();
            let change = self.announce(ix, &order, teller, out);
            self.await_view(ix, change, teller);
            let pair = &self.pairs[ix.at()];
            told.extend(rows(&self.fabric, ix, (&pair.order, &pair.closed)));
        }
        if !told.is_empty() {
            out.push(Effect::Notify {
                notice: Notice::Rlocs { rows: told },
            });
        }
    }

    /// When the next are to be told, as far as somebody is there to tell them and nothing is frozen.
    pub(super) fn closed_due(&self) -> Option<Timestamp> {
        let can = !self.is_frozen() && self.nodes.iter().any(Node::is_connected);
        (can && !self.calm.closing.is_empty()).then(|| self.calm.closed_at + EVERY)
    }

    pub(super) fn is_frozen(&self) -> bool {
        matches!(
            self.arming_shown(),
            Arming::Disarmed {
                how: Disarmed::Freeze,
                ..
            }
        )
    }
}
