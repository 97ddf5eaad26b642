//! Decisions of the shadow from their making to their judgement.

use proto::{ActionClass, LinkState, ProposalId, Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Entry, Outcome, Said};
use crate::Engine;
use crate::decision::Plan;
use crate::fabric::{Dc, PairIx};
use crate::optimizer::criteria::{K, LINK, integer, is_time, place, shown};
use crate::outbox::Outbox;
use crate::policy::Gain;
use crate::way::Onward;

/// So many probes of an entry are needed to say how it went.
const LEAST_POINTS: usize = 3;

/// What the engine would do about one entry, and what it foretells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Foreseen {
    class: ActionClass,
    proposal: ProposalId,
    from: Dc,
    to: Dc,
    /// The criterion of the reason, its figure before and as foretold.
    k: u8,
    before: u32,
    foretold: u32,
    /// Whether all levels were to be kept.
    keeps: bool,
    word: Option<Said>,
    /// The engine carried it out without being asked.
    by_itself: bool,
    /// Since when it is held against what happens: carried out, turned down, or made.
    since: Timestamp,
    judge_at: Timestamp,
}

impl Foreseen {
    /// Whether it speaks of known data centres and criteria only.
    fn fits(&self, known: &impl Fn(Dc) -> bool) -> bool {
        known(self.from) && known(self.to) && usize::from(self.k) < K
    }
}

impl Engine {
    /// A proposal was opened, or written anew before anybody decided.
    pub(crate) fn foresee(&mut self, ix: PairIx, id: ProposalId, plan: &Plan, out: &mut Outbox) {
        let now = out.now;
        if self
            .calm
            .shadow
            .foreseen
            .get(&ix)
            .is_some_and(|old| old.proposal != id)
        {
            self.judge(ix, out);
        }
        let found = || {
            let k = place(plan.reason.criterion)?;
            let foretold = self.measured(ix, plan.to, now)?;
            Some((self.class_of_move(ix, now)?, k, foretold))
        };
        let Some((class, k, foretold)) = found() else {
            self.calm.shadow.foreseen.remove(&ix);
            return;
        };
        let sla = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let foreseen = Foreseen {
            class,
            proposal: id,
            from: self.pairs[ix.at()].entry(),
            to: plan.to,
            k: k as u8,
            before: plan.gain.measured,
            foretold: foretold[k],
            keeps: sla.keeps(&foretold),
            word: None,
            by_itself: false,
            since: now,
            judge_at: now + self.policy().proposal_ttl + self.judge_after(ix),
        };
        self.calm.shadow.foreseen.insert(ix, foreseen);
    }

    /// Staff said something to an open proposal, or nothing in time.
    pub(crate) fn note_word(&mut self, ix: PairIx, id: ProposalId, word: Said, now: Timestamp) {
        if let Some(foreseen) = self.foreseen_mut(ix, id)
            && foreseen.word.is_none()
        {
            foreseen.word = Some(word);
            self.hold_against(ix, id, now);
        }
    }

    /// Staff move an entry by hand, which says something about what the engine would do or did.
    pub(crate) fn note_hand(&mut self, ix: PairIx, to: Dc, now: Timestamp) {
        let Some(foreseen) = self.calm.shadow.foreseen.get_mut(&ix) else {
            return;
        };
        let id = foreseen.proposal;
        if foreseen.by_itself {
            foreseen.word = Some(Said::Other);
            return;
        }
        let word = if foreseen.to == to {
            Said::Approved
        } else {
            Said::Other
        };
        self.note_word(ix, id, word, now);
    }

    /// The engine carries a proposal out without being asked.
    pub(crate) fn note_by_itself(&mut self, ix: PairIx, id: ProposalId) {
        if let Some(foreseen) = self.foreseen_mut(ix, id) {
            foreseen.by_itself = true;
        }
    }

    /// From now on what happens is held against it: it was carried out, turned down, or is off.
    pub(crate) fn hold_against(&mut self, ix: PairIx, id: ProposalId, now: Timestamp) {
        let after = self.judge_after(ix);
        if let Some(foreseen) = self.foreseen_mut(ix, id) {
            foreseen.since = now;
            foreseen.judge_at = now + after;
        }
    }

    /// It was carried out and taken back since.
    pub(crate) fn note_taken_back(&mut self, ix: PairIx, id: ProposalId, out: &mut Outbox) {
        if self.foreseen_mut(ix, id).is_some() {
            self.close(ix, Some(Outcome::Broke), out);
        }
    }

    /// It could not be carried out, which says nothing about its choice.
    pub(crate) fn note_failed(&mut self, ix: PairIx, id: ProposalId, out: &mut Outbox) {
        if self.foreseen_mut(ix, id).is_some() {
            self.close(ix, None, out);
        }
    }

    /// When a decision about an entry is to be judged.
    pub(crate) fn judged_at(&self, ix: PairIx) -> Option<Timestamp> {
        self.calm
            .shadow
            .foreseen
            .get(&ix)
            .map(|foreseen| foreseen.judge_at)
    }

    /// Judges a decision whose time is over.
    pub(crate) fn check_judgement(&mut self, ix: PairIx, out: &mut Outbox) {
        if self.judged_at(ix).is_some_and(|at| at <= out.now) {
            self.judge(ix, out);
        }
    }

    /// A new life of the engine: nothing is fresh, so that judgement waits until something is.
    pub(crate) fn put_judgements_off(&mut self) {
        let waiting: Vec<PairIx> = self.calm.shadow.foreseen.keys().copied().collect();
        for ix in waiting {
            let until = self.armed_at(ix) + self.limits(ix).decide;
            if let Some(foreseen) = self.calm.shadow.foreseen.get_mut(&ix) {
                foreseen.judge_at = foreseen.judge_at.max(until);
            }
        }
    }

    /// Whether what is written down speaks of this fabric only.
    pub(crate) fn shadow_fits(&self) -> bool {
        let known = |dc: Dc| dc.at() < self.fabric.sites.len();
        let foreseen = &self.calm.shadow.foreseen;
        foreseen
            .iter()
            .all(|(ix, foreseen)| ix.at() < self.pairs.len() && foreseen.fits(&known))
    }

    /// Long enough that the monitor's window holds nothing from before.
    fn judge_after(&self, ix: PairIx) -> Span {
        self.knobs().judge_after.max(self.limits(ix).decide)
    }

    fn foreseen_mut(&mut self, ix: PairIx, id: ProposalId) -> Option<&mut Foreseen> {
        self.calm
            .shadow
            .foreseen
            .get_mut(&ix)
            .filter(|foreseen| foreseen.proposal == id)
    }

    fn judge(&mut self, ix: PairIx, out: &mut Outbox) {
        let Some(foreseen) = self.calm.shadow.foreseen.get(&ix) else {
            return;
        };
        let outcome = self.outcome(ix, foreseen, out.now);
        self.close(ix, outcome, out);
    }

    fn close(&mut self, ix: PairIx, outcome: Option<Outcome>, out: &mut Outbox) {
        let Some(foreseen) = self.calm.shadow.foreseen.remove(&ix) else {
            return;
        };
        let entry = Entry {
            at: out.now,
            word: foreseen.word,
            outcome,
        };
        self.count(&foreseen.class, entry, foreseen.by_itself, out);
    }

    /// What became of a decision; `None` if nothing can be said.
    fn outcome(&self, ix: PairIx, foreseen: &Foreseen, now: Timestamp) -> Option<Outcome> {
        let k = usize::from(foreseen.k);
        let chosen = self.measured(ix, foreseen.to, now);
        if chosen.is_none() && self.way_state(ix, foreseen.to) != LinkState::Down {
            return None;
        }
        // Who is there stays while nobody knows what lies behind it; that it kept its levels is not known either.
        if matches!(self.onward(ix, foreseen.to), Onward::Unknown) {
            return None;
        }
        if self
            .fabric
            .dcs()
            .any(|other| other != foreseen.to && self.was_better(ix, (foreseen, other), now))
        {
            return Some(Outcome::Regretted);
        }
        let Some(chosen) = chosen else {
            return Some(Outcome::Broke);
        };
        // No more of what was promised is gone than a quarter, or what no move would be made for.
        let sla = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let least = self.gained((ix, k), (foreseen.foretold, 0)).least(&self.policy());
        let bearable = (foreseen.before.saturating_sub(foreseen.foretold) / 4).max(least);
        // A share is of so few probes that within its bound one lost more or less says nothing.
        let bearable = if k < LINK && !is_time(k) {
            bearable.max(sla.bound(k).saturating_sub(foreseen.foretold))
        } else {
            bearable
        };
        let held = chosen[k] <= foreseen.foretold.saturating_add(bearable);
        Some(if held && (sla.keeps(&chosen) || !foreseen.keeps) {
            Outcome::Held
        } else {
            Outcome::Broke
        })
    }

    /// Whether another entry was better than the one chosen: by enough to be moved for, and by the penalty of (5.1).
    fn was_better(&self, ix: PairIx, (foreseen, other): (&Foreseen, Dc), now: Timestamp) -> bool {
        // What is measured of links is judged as users felt it over the whole time: as a round trip, in which a lost
        // packet is as good as one that comes too late.
        let k = if usize::from(foreseen.k) < LINK {
            0
        } else {
            usize::from(foreseen.k)
        };
        let figure = |dc: Dc| match k {
            0 => self.felt(ix, dc, (foreseen.since, now)),
            k => self.measured(ix, dc, now).map(|measured| shown(k, measured[k])),
        };
        let (Some(measured), Some(expected)) = (figure(foreseen.to), figure(other)) else {
            return false;
        };
        let sla = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let (measured, expected) = (integer(k, measured), integer(k, expected));
        let enough = self
            .gained((ix, k), (measured, expected))
            .is_enough(&self.policy());
        enough && sla.penalty(k, expected) < sla.penalty(k, measured)
    }

    fn gained(&self, (ix, k): (PairIx, usize), (measured, expected): (u32, u32)) -> Gain {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        Gain {
            k,
            measured,
            expected,
            bound: class.bound(k),
        }
    }

    /// Mean round trip of the probes of an entry, milliseconds, the lost ones as long as they were waited for, with what
    /// the leg behind it takes now.
    fn felt(&self, ix: PairIx, dc: Dc, (since, now): (Timestamp, Timestamp)) -> Option<f64> {
        let lost = self.policy().probe_timeout.as_millis_f64();
        let points = self.monitor.history(self.link(ix, dc), now);
        let whole = match self.onward(ix, dc) {
            Onward::Adds(on) => Some(on),
            Onward::Nothing => None,
            Onward::Unknown => return None,
        };
        let felt: Vec<f64> = points
            .iter()
            .filter(|point| point.at >= since)
            .map(|point| point.rtt_ms.zip(whole).map_or(lost, |(rtt, on)| rtt + on))
            .collect();
        (felt.len() >= LEAST_POINTS).then(|| felt.iter().sum::<f64>() / felt.len() as f64)
    }
}
