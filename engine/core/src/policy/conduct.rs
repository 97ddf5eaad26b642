//! Policy in the engine's course: who acts, who waits, what is spent and counted.

use proto::policy::Hold;
use proto::proposal::{Criterion, Reason};
use proto::{Actor, Mode, Severity, Timestamp};

use super::admit::Pass;
use super::leaving::{Behind, Leaving};
use super::spending::Spending;
use super::{GateKind, Need, Withheld};
use crate::Engine;
use crate::fabric::{Dc, LinkIx, PairIx};
use crate::monitor::Turn;
use crate::optimizer::criteria::Measures;
use crate::outbox::Outbox;
use crate::way::Way;

impl Engine {
    /// Who would carry a move out without being asked: whoever drains the data centre, or the engine in mode auto.
    pub(crate) fn actor_for(&self, ix: PairIx, to: Dc, now: Timestamp) -> Option<Actor> {
        let entry = self.pairs[ix.at()].entry();
        let drain = self.calm.drains.iter().find(|drain| drain.dc == entry);
        drain
            .map(|drain| drain.by.clone())
            .or_else(|| (self.mode_of_move(ix, to, now).0 == Mode::Auto).then_some(Actor::Engine))
    }

    /// What decides whether an entry may be left; `None` for a link nobody watches.
    pub(crate) fn leaving(&self, ix: PairIx, now: Timestamp) -> Option<Leaving<'_>> {
        let pair = &self.pairs[ix.at()];
        let behind = match pair.way {
            Some(way @ Way::Broken { .. }) => Some(Behind {
                since: way.since(),
                recovering: self.is_way_recovering(ix, now),
            }),
            Some(Way::Open { .. }) | None => None,
        };
        Some(Leaving {
            behind,
            link: (self.monitor.link(self.link(ix, pair.entry()))?, self.limits(ix)),
            hold: self.fabric.config.calm.hold,
            gates: &pair.gates,
            policy: &self.fabric.config.policy,
        })
    }

    /// What the optimizer may choose from: where modes, rules, damping and doubt leave something. Who is cut off goes
    /// to a suppressed locator, or one that was rejected or tried in vain before, rather than nowhere.
    pub(crate) fn allowed(
        &self,
        ix: PairIx,
        need: Need,
        measured: &[Option<Measures>],
        now: Timestamp,
    ) -> Vec<Option<Measures>> {
        let pair = &self.pairs[ix.at()];
        let entry = pair.entry();
        let mut allowed = measured.to_vec();
        for dc in self.fabric.dcs() {
            let out = if dc == entry {
                need == Need::Ordered
            } else {
                pair.gates.is_refused(dc, now)
                    || self.is_doubtful(ix, dc)
                    || (allowed[dc.at()].is_some()
                        && (self.is_only_observed(ix, dc) || !self.is_enterable(ix, dc)))
            };
            if out {
                allowed[dc.at()] = None;
            }
        }
        let calm = |dc: Dc| {
            !pair.gates.is_barred(dc, now) && self.calm.flaps.locator_until(self.link(ix, dc), now).is_none()
        };
        let left = |dc: &Dc| *dc != entry && allowed[dc.at()].is_some();
        if need != Need::Hard || self.fabric.dcs().filter(left).any(calm) {
            for dc in self.fabric.dcs().filter(|&dc| dc != entry && !calm(dc)) {
                allowed[dc.at()] = None;
            }
        }
        allowed
    }

    /// Whether nothing may be moved to a data centre because it is only observed. Who is observed where he is, is not
    /// looked at here.
    pub(crate) fn is_only_observed(&self, ix: PairIx, to: Dc) -> bool {
        self.mode_of(ix, Some(to)).0 == Mode::Observe
    }

    /// A gate of the executor is shut: it is tried again when that may have changed.
    pub(crate) fn hold_back(&mut self, ix: PairIx, need: Need, hold: &Hold, out: &mut Outbox) {
        let gate = GateKind::from(hold);
        self.calm.wait(need, ix, gate);
        self.stay(ix, Withheld::Gate(gate), &hold.to_string(), out);
    }

    /// A move begins: it counts against every budget of its user, and as a flap of its entry.
    pub(crate) fn spend(&mut self, ix: PairIx, pass: &Pass, now: Timestamp) {
        self.calm.spending.begin(&self.fabric, ix, pass.flying());
        self.calm.flaps.entry(ix, &self.fabric.config.calm.damp, now);
        self.calm.no_longer_waits(ix);
        self.calm.untold = true;
    }

    /// Until when a move under way may take, if it asks for `until`: as far as the budgets reach.
    pub(crate) fn stretch(&mut self, ix: PairIx, until: Timestamp, now: Timestamp) -> Timestamp {
        self.calm.spending.extend(&self.fabric, ix, (until, now))
    }

    /// A move ended, well or not.
    pub(crate) fn land(&mut self, ix: PairIx, now: Timestamp) {
        if self.calm.spending.end(&self.fabric, ix, now) {
            self.calm.landed = true;
            self.calm.untold = true;
        }
        // Whoever is bound to it follows, or may now go where it was.
        if self.fabric.scopes.is_bound(ix) {
            let bound = self.siblings(ix).map(|other| (Need::Ordered, other));
            self.calm.waiting.extend(bound);
        }
    }

    /// After a start, those that rules or a drain want away are looked at once the engine may act by itself.
    pub(crate) fn recall_orders(&mut self, now: Timestamp) {
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            if self.is_ordered_away(ix) {
                self.pairs[ix.at()].recheck_at = Some(self.armed_at(ix));
                self.schedule(ix, now);
            }
        }
    }

    /// What is an hour old no longer counts.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        if self.calm.spending.settle(&self.fabric, now) {
            self.calm.landed = true;
            self.calm.untold = true;
        }
    }

    /// After a move ended, those that waited for that are looked at, the most pressing first, until there is no
    /// room for another.
    pub(crate) fn wake(&mut self, out: &mut Outbox) {
        if !std::mem::take(&mut self.calm.landed) {
            return;
        }
        self.tell_drained(out);
        // Whoever is held again waits for the next one.
        let mut woken = std::mem::take(&mut self.calm.waiting);
        while self.has_general_room(out.now)
            && let Some((_, ix)) = woken.pop_first()
        {
            self.attend(ix, out);
        }
        woken.append(&mut self.calm.waiting);
        self.calm.waiting = woken;
    }

    /// Whether the budget of everybody lets anybody begin.
    fn has_general_room(&self, now: Timestamp) -> bool {
        let [concurrent, per_hour, ..] = self.calm.spending.gauges(&self.fabric, 0, now);
        concurrent.used < concurrent.limit && per_hour.used < per_hour.limit
    }

    /// A link that breaks or goes down is a flap of its locator, for its user.
    pub(crate) fn count_flap(&mut self, link: LinkIx, turn: Turn, now: Timestamp) {
        if matches!(turn, Turn::Broken { .. } | Turn::Down { .. }) {
            let damp = &self.fabric.config.calm.damp;
            self.calm.flaps.locator(link, damp, now);
            self.calm.untold = true;
        }
    }

    /// Says once of each drain that it is done.
    fn tell_drained(&mut self, out: &mut Outbox) {
        for at in 0..self.calm.drains.len() {
            let drain = &self.calm.drains[at];
            let dc = drain.dc;
            if drain.told_empty || self.entering(dc) > 0 {
                continue;
            }
            self.calm.drains[at].told_empty = true;
            let text = format!("{} is drained: nobody enters by it", self.fabric.label(dc));
            self.log(Severity::Info, text, out);
        }
    }

    /// Whether what is written down speaks of this fabric only.
    pub(crate) fn calm_fits(&self) -> bool {
        let calm = &self.calm;
        let pair = |ix: PairIx| ix.at() < self.pairs.len();
        let dc = |dc: Dc| dc.at() < self.fabric.sites.len();
        let spending: &Spending = &calm.spending;
        spending.pairs().all(pair)
            && spending
                .flying()
                .all(|(_, flying)| dc(flying.from) && dc(flying.to))
            && calm.waiting.iter().all(|&(_, ix)| pair(ix))
            && calm.closing.iter().all(|&ix| pair(ix))
            && calm.drains.iter().all(|drain| dc(drain.dc))
            && calm.flaps.entries.keys().all(|&ix| pair(ix))
            && self.shadow_fits()
            && calm
                .flaps
                .locators
                .keys()
                .all(|link| link.at() < self.fabric.links())
    }
}

/// Nothing is broken, a rule wants it.
pub(crate) const fn ruled(reason: &Reason) -> Reason {
    Reason {
        criterion: Criterion::Rule,
        measured: 0.0,
        bound: 0.0,
        expected: 0.0,
        ..*reason
    }
}
