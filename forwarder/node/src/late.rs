//! Late packets: who still sends to an EID that has left this site does not know where it is, whatever the reason. It never
//! asked here, or asked before a restart, or was told in vain. So it is solicited.
//!
//! Packets that were under way when the EID left are no such sign, and who is being told in another way must not be asked
//! to ask: an update does not count while an answer is awaited. So a while passes first. Where a packet came from is under
//! nobody's key, so solicitations are few.

use std::collections::{BTreeMap, VecDeque};

use lisp_wire::{Eid, EidPrefix, Manner, Rloc};
use proto::{Span, Timestamp};

use crate::context::Context;
use crate::deliveries::Deliveries;
use crate::limits::Rate;
use crate::xtr::Xtr;

/// So long everybody else may tell senders, from when it is known where the EID went.
const TOLD_WITHIN: Span = Span::secs(2);
/// So long packets may have been under way.
const UNDER_WAY: Span = Span::millis(500);
/// Who goes on sending is solicited this often.
const EVERY: Span = Span::secs(1);
/// And all of them together no more than so often.
const PER_SECOND: u64 = 100;
/// Who has not been heard of for so long is forgotten.
const FORGOTTEN: Span = Span::secs(60);
/// At most this many senders are told apart.
const MOST: usize = 16_384;

/// Who sent late packets.
#[derive(Debug)]
pub(crate) struct Late {
    /// When each may be solicited.
    from: BTreeMap<(Rloc, EidPrefix), Timestamp>,
    by_age: VecDeque<(Timestamp, (Rloc, EidPrefix))>,
    rate: Rate,
}

impl Late {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            from: BTreeMap::new(),
            by_age: VecDeque::new(),
            rate: Rate::per_second(PER_SECOND, now),
        }
    }

    /// A packet for an EID that has left came from `sender`, and was sent on.
    pub(crate) fn came(
        &mut self,
        (sender, eid): (Rloc, Eid),
        (xtr, deliveries): (&Xtr, &Deliveries),
        cx: &mut Context<'_>,
    ) {
        let Some((block, own)) = xtr.database.covering(&EidPrefix::host(eid)) else {
            return;
        };
        let gone = xtr.whereabouts.gone_since(&block);
        if gone.is_none_or(|since| cx.now.since(since) < TOLD_WITHIN) {
            return;
        }
        if !cx.config.speaks_to(sender) || cx.config.is_own(sender) || !self.is_due((sender, block), cx.now) {
            return;
        }
        let wants_own = deliveries.manner(&sender, cx) == Manner::SolicitOwn;
        let theirs = own.source_of(&sender).filter(|_| wants_own);
        cx.solicit(sender, block, theirs);
    }

    fn is_due(&mut self, who: (Rloc, EidPrefix), now: Timestamp) -> bool {
        while let Some((at, gone)) = self.by_age.front().copied() {
            if now.since(at) < FORGOTTEN && self.by_age.len() < MOST {
                break;
            }
            self.by_age.pop_front();
            self.from.remove(&gone);
        }
        let Some(next) = self.from.get_mut(&who) else {
            self.from.insert(who, now + UNDER_WAY);
            self.by_age.push_back((now, who));
            return false;
        };
        if now < *next || !self.rate.allows(now) {
            return false;
        }
        *next = now + EVERY;
        true
    }
}
