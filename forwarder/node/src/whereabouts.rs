//! Where own EIDs are that are not simply here: about to come, stopped, or gone not long ago.
//!
//! Each state lasts for a bounded time. After it the EID is taken to be at this site, as the configuration says, and
//! packets for it are handed to the site.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datapath::{Forwarding, Gate, LocatorTable, Reach};
use lisp_wire::{EidPrefix, Locator};
use proto::{Span, Timestamp};

use crate::cache::Cache;
use crate::context::Context;
use crate::counters::Counter;
use crate::input::Effect;
use crate::timers::Timers;

/// A VM that stands still for longer than this is not being moved. Whoever holds packets for it keeps each for as long:
/// what was taken in is handed on when the gate opens, whichever end that has.
pub const HOLD_FOR: Span = Span::secs(10);
/// For so long late packets follow an EID that has left: clients that were not reached ask again within it.
pub(crate) const REDIRECT_FOR: Span = Span::secs(60);
/// For so long they go back to where an EID stayed that was to come.
pub(crate) const RETURN_FOR: Span = Span::secs(2);
/// The gate stays after it was opened until all has long gone through.
const OPEN_FOR: Span = Span::secs(5);
/// At most this many EIDs are on their way.
const MOST: usize = 65_536;

/// The EIDs that are somewhere else than usual.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    away: BTreeMap<EidPrefix, Whereabout>,
    /// Of which it may have changed since it was last asked.
    turned: BTreeSet<EidPrefix>,
    timers: Timers<EidPrefix>,
}

#[derive(Debug)]
enum Whereabout {
    /// Packets for it are held.
    Awaited(Arc<Gate>),
    /// It runs here, and what was held goes first.
    Come,
    /// Packets for it are sent on, since this moment where they are sent now.
    Gone(Timestamp),
}

impl Whereabouts {
    /// Holds what comes for an EID until it is known where it runs.
    pub(crate) fn hold(&mut self, eid: EidPrefix, cache: &mut Cache, cx: &mut Context<'_>) {
        if matches!(self.away.get(&eid), Some(Whereabout::Awaited(_))) {
            return self.timers.set(eid, cx.now + HOLD_FOR);
        }
        let gate = Arc::new(Gate::default());
        let forwarding = Forwarding::Arriving(Arc::clone(&gate));
        self.set(
            (eid, Whereabout::Awaited(gate)),
            HOLD_FOR,
            (forwarding, cache),
            cx,
        );
    }

    /// The EID runs here: what was held is delivered, and late packets that followed it elsewhere stay.
    pub(crate) fn here(&mut self, eid: EidPrefix, cache: &mut Cache, cx: &mut Context<'_>) {
        self.turned.insert(eid);
        match self.away.get(&eid) {
            Some(Whereabout::Awaited(gate)) => {
                gate.open();
                self.away.insert(eid, Whereabout::Come);
                self.timers.set(eid, cx.now + OPEN_FOR);
                cx.effects.push(Effect::Deliver { eid });
            }
            Some(Whereabout::Gone(_)) => self.settle(eid, cache, cx),
            Some(Whereabout::Come) | None => {}
        }
    }

    /// The EID runs elsewhere: what was held and what still comes follows it for a while.
    pub(crate) fn gone(
        &mut self,
        (eid, to): (EidPrefix, &[Locator]),
        span: Span,
        cache: &mut Cache,
        cx: &mut Context<'_>,
    ) {
        let reachable = |locator: &&Locator| {
            let usable = locator.priority.usable() && cx.config.speaks_to(locator.etr());
            usable && !cx.config.is_own(locator.etr())
        };
        let to = to.iter().filter(reachable).map(|locator| (*locator, Reach::Up));
        let table = LocatorTable::new(to, None);
        if table.locators().is_empty() {
            return;
        }
        let held = matches!(self.away.get(&eid), Some(Whereabout::Awaited(_)));
        self.set(
            (eid, Whereabout::Gone(cx.now)),
            span,
            (Forwarding::Redirect(table), cache),
            cx,
        );
        if held {
            cx.effects.push(Effect::Release { eid });
        }
    }

    /// Packets of clients are to enter here again, wherever the EID is.
    pub(crate) fn enter_here(&mut self, eid: EidPrefix, cache: &mut Cache, cx: &mut Context<'_>) {
        if matches!(self.away.get(&eid), Some(Whereabout::Gone(_))) {
            self.settle(eid, cache, cx);
        }
    }

    /// Since when packets for an EID that has left are sent on to where it is taken to be now.
    pub(crate) fn gone_since(&self, eid: &EidPrefix) -> Option<Timestamp> {
        match self.away.get(eid) {
            Some(Whereabout::Gone(since)) => Some(*since),
            _ => None,
        }
    }

    /// Whether what comes for an EID is held.
    pub(crate) fn holds(&self, eid: &EidPrefix) -> bool {
        matches!(self.away.get(eid), Some(Whereabout::Awaited(_)))
    }

    /// Whether an EID does not run here although this site registers it: it has stopped, and is about to move.
    pub(crate) fn has_stopped(&self, eid: &EidPrefix) -> bool {
        let around = |length| EidPrefix::new(eid.iid(), eid.address(), length).ok();
        let mut around = (0..=eid.length()).rev().filter_map(around);
        let known = around.find_map(|prefix| self.away.get(&prefix));
        matches!(known, Some(Whereabout::Awaited(_) | Whereabout::Gone(_)))
    }

    /// Of which it may have changed since the last call.
    pub(crate) fn take_turned(&mut self) -> BTreeSet<EidPrefix> {
        std::mem::take(&mut self.turned)
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    pub(crate) fn tick(&mut self, cache: &mut Cache, cx: &mut Context<'_>) {
        while let Some(eid) = self.timers.pop_due(cx.now) {
            self.settle(eid, cache, cx);
        }
    }

    fn set(
        &mut self,
        (eid, whereabout): (EidPrefix, Whereabout),
        span: Span,
        (forwarding, cache): (Forwarding, &mut Cache),
        cx: &mut Context<'_>,
    ) {
        if self.away.len() >= MOST && !self.away.contains_key(&eid) {
            return cx.count(Counter::Full);
        }
        self.away.insert(eid, whereabout);
        self.turned.insert(eid);
        self.timers.set(eid, cx.now + span);
        cache.set_own(eid, Some(forwarding));
        cache.publish(cx);
    }

    /// Back to what the configuration says.
    fn settle(&mut self, eid: EidPrefix, cache: &mut Cache, cx: &mut Context<'_>) {
        self.timers.cancel(&eid);
        let Some(before) = self.away.remove(&eid) else {
            return;
        };
        self.turned.insert(eid);
        cache.set_own(eid, None);
        cache.publish(cx);
        if let Whereabout::Awaited(gate) = before {
            // Nobody said where it is. What is held has waited for too long; what comes from now on is the site's.
            gate.open();
            cx.effects.push(Effect::Deliver { eid });
        }
    }
}
