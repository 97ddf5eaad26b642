//! What the engine does about one user's entry as things are. It is found out without changing anything, so that "why
//! not?" gives the answer that the engine acts on.

use proto::policy::Hold;
use proto::{Actor, LinkState, Mode, Timestamp};

use crate::Engine;
use crate::decision::{Plan, SOONEST};
use crate::execution::Departure;
use crate::fabric::PairIx;
use crate::outbox::Outbox;
use crate::policy::admit::{Ask, Glass, Pass};
use crate::policy::{Need, Withheld};

/// What is to be done about an entry.
#[derive(Debug)]
pub(crate) enum Course {
    /// Nothing; an open card stays as it is.
    Rest,
    /// All levels are kept again: an open card is off.
    Kept,
    /// There is nowhere to go to: an open card is off.
    Nowhere(Withheld),
    /// There is, but it is not worth a move, or not yet. No card is open.
    Withhold(Withheld),
    /// Whoever would act without being asked is held back by a gate. An open card stays.
    Held(Plan, Hold),
    /// Staff are asked.
    Ask(Plan),
    /// It departs.
    Depart(Plan, Pass, Actor),
}

impl Engine {
    /// What is to be done about an entry that is not being moved.
    pub(crate) fn course(&self, ix: PairIx, now: Timestamp) -> Course {
        if self.mode_of(ix, None).0 == Mode::Observe {
            return Course::Rest;
        }
        let open = self.pairs[ix.at()].proposal;
        if self.waits_for_a_window(ix, now) {
            return Course::Rest;
        }
        if self.is_ordered_away(ix) {
            return self.course_away(ix, now);
        }
        match self.way_state(ix, self.pairs[ix.at()].entry()) {
            // A restart is not a trigger, and no proof that a level is kept either: that takes a whole window.
            // Nor is a leg of which nobody knows how it is.
            LinkState::Ok if self.is_leg_uncertain(ix) => Course::Rest,
            LinkState::Ok if open.is_some() && now >= self.armed_at(ix) => Course::Kept,
            LinkState::Broken | LinkState::Down => self.course_away(ix, now),
            LinkState::Ok | LinkState::Warn | LinkState::Stale => Course::Rest,
        }
    }

    /// What is ordered waits for a whole window after a start; who is cut off is looked at, and held then.
    pub(crate) fn waits_for_a_window(&self, ix: PairIx, now: Timestamp) -> bool {
        let state = self.way_state(ix, self.pairs[ix.at()].entry());
        self.is_ordered_away(ix) && now < self.armed_at(ix) && state != LinkState::Down
    }

    /// For an entry that is to be left if there is somewhere to go to.
    fn course_away(&self, ix: PairIx, now: Timestamp) -> Course {
        let plan = match self.plan(ix, now) {
            Ok(plan) => plan,
            Err(withheld) => return Course::Nowhere(withheld),
        };
        let open = self.pairs[ix.at()].proposal;
        let actor = self.actor_for(ix, plan.to, now);
        let pass = self.worth_it(ix, (&plan, actor.as_ref()), now);
        if let (None, Err(withheld)) = (open, pass) {
            return Course::Withhold(withheld);
        }
        let Some(by) = actor.filter(|_| pass.is_ok() && self.teller(plan.to).is_some()) else {
            return Course::Ask(plan);
        };
        // What the engine would do by itself does not become a proposal while a gate is shut.
        let ask = Ask {
            ix,
            to: plan.to,
            need: plan.need,
            by: &by,
            glass: Glass::Whole,
            proves: plan.need != Need::Ordered,
        };
        match self.admit(&ask, now) {
            Ok(pass) => Course::Depart(plan, pass, by),
            Err(hold) => Course::Held(plan, hold),
        }
    }

    /// Whether `actor` may make a move, or staff be asked to if there is none.
    fn worth_it(
        &self,
        ix: PairIx,
        (plan, actor): (&Plan, Option<&Actor>),
        now: Timestamp,
    ) -> Result<(), Withheld> {
        let (need, gain) = (plan.need, plan.gain);
        if let Some(leaving) = self.leaving(ix, now) {
            match actor {
                Some(Actor::Engine) => leaving.pass(need, gain, now)?,
                Some(Actor::Operator { .. }) | None => leaving.worth(need, gain, now)?,
            }
        }
        if actor.is_none() && self.is_quiet(ix, now) {
            return Err(Withheld::Quiet);
        }
        Ok(())
    }

    /// Whether no card is to be opened, for nobody answered the last one. One that is open stays.
    pub(crate) fn is_quiet(&self, ix: PairIx, now: Timestamp) -> bool {
        let pair = &self.pairs[ix.at()];
        pair.proposal.is_none() && pair.gates.quiet_until(now).is_some()
    }

    /// Looks at an entry that is not being moved, and does what is to be done.
    pub(crate) fn evaluate(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        self.pairs[ix.at()].recheck_at = None;
        if self.mode_of(ix, None).0 == Mode::Observe {
            return;
        }
        let course = self.course(ix, now);
        let state = self.way_state(ix, self.pairs[ix.at()].entry());
        let ordered = self.is_ordered_away(ix);
        if self.pairs[ix.at()].proposal.is_some()
            || ordered
            || matches!(state, LinkState::Broken | LinkState::Down)
        {
            self.pairs[ix.at()].recheck_at = Some(now + self.limits(ix).probe.max(SOONEST));
        }
        if self.waits_for_a_window(ix, now) {
            self.pairs[ix.at()].recheck_at = Some(self.armed_at(ix));
        }
        self.take(ix, course, out);
        if !ordered && matches!(state, LinkState::Ok | LinkState::Warn) {
            self.pairs[ix.at()].withheld = None;
        }
    }

    fn take(&mut self, ix: PairIx, course: Course, out: &mut Outbox) {
        match course {
            Course::Rest => {}
            Course::Kept => self.supersede(ix, "the level is kept again", out),
            Course::Nowhere(withheld) => {
                self.supersede(ix, "no other entry is usable and better now", out);
                self.withhold(ix, withheld, out);
            }
            Course::Withhold(withheld) => self.withhold(ix, withheld, out),
            Course::Held(plan, hold) => {
                self.hold_back(ix, plan.need, &hold, out);
                if let Some(id) = self.pairs[ix.at()].proposal {
                    self.revise(id, ix, &plan, out);
                }
            }
            Course::Ask(plan) => {
                self.propose(ix, &plan, out);
            }
            Course::Depart(plan, pass, by) => {
                let id = self.propose(ix, &plan, out);
                if by == Actor::Engine {
                    // The proposal before is judged when this one is opened: its class may have fallen by that.
                    if self.actor_for(ix, plan.to, out.now) != Some(Actor::Engine) {
                        return;
                    }
                    self.note_by_itself(ix, id);
                }
                let departure = Departure {
                    proposal: id,
                    order: plan.order,
                    need: plan.need,
                    pass,
                };
                self.depart(ix, departure, by, out);
            }
        }
    }
}
