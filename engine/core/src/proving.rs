//! Confirmed commit: a switch of the engine's making is provisional, and taken back by itself unless the new entry
//! keeps its levels within `policy.prove_within`.
//!
//! - It is final once the new entry keeps its levels S'' or later after the switch.
//! - It is taken back as soon as the new entry is out of its bounds and the old one scores better by (5.1), and at
//!   the end of the time if the new one has still not been seen to keep its levels and the old one scores better.
//! - If there is nothing better to go back to, it stays, and the log says so.
//!
//! What staff switched by hand and what a rule ordered away is final at once: somebody wanted that place, whatever
//! is measured. Taking back passes the executor's gates like any move, except for what only holds the engine's own
//! wishes back (cool-down, damping), and is not provisional itself.

use proto::proposal::{Criterion, Reason};
use proto::{Actor, LinkState, Proposal, ProposalId, ProposalState, Severity, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::execution::Departure;
use crate::fabric::{Dc, Fabric, PairIx};
use crate::outbox::Outbox;
use crate::pair::Reverting;
use crate::places::Places;
use crate::policy::admit::{Ask, Glass};
use crate::policy::{GateKind, Need, Withheld};

/// Never looked at again sooner than this, whatever the probe interval.
const SOONEST: Span = Span::millis(100);

/// A switch that still has to prove itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Provisional {
    /// Which switch.
    proposal: ProposalId,
    /// Who approved it; the card may be filed away by the time it is taken back.
    #[serde(default = "engine")]
    by: Actor,
    /// The view before it.
    undo: Vec<Dc>,
    /// It is not final before this: S'' after the switch.
    settled_at: Timestamp,
    until: Timestamp,
    /// When it is looked at next.
    pub(crate) check_at: Timestamp,
}

const fn engine() -> Actor {
    Actor::Engine
}

impl Provisional {
    /// The same in an edited session; `None` if there is nothing left to go back to. What was measured before is not
    /// kept: it is final no sooner than S'' after the edit.
    pub(crate) fn carried(
        &self,
        (fabric, places): (&Fabric, &Places),
        (now, settle): (Timestamp, Span),
    ) -> Option<Self> {
        places.dc(*self.undo.first()?)?;
        let settled_at = self.settled_at.max(now + settle);
        Some(Self {
            undo: places.order(&self.undo, fabric),
            settled_at,
            // Nobody is heard yet: there is time for one look and another.
            until: self.until.max(settled_at + settle),
            check_at: settled_at,
            by: self.by.clone(),
            proposal: self.proposal,
        })
    }

    /// Whether it speaks of known data centres only.
    pub(crate) fn fits(&self, known: impl Fn(&Dc) -> bool) -> bool {
        !self.undo.is_empty() && self.undo.iter().all(known)
    }
}

/// How a provisional switch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// The new entry keeps its levels.
    Kept,
    /// It does not, and the old one would be better.
    Worse,
    /// Neither is known, or both are bad.
    Open,
}

impl Engine {
    /// A switch was confirmed: from now on it is provisional.
    pub(crate) fn begin_proof(&mut self, ix: PairIx, proposal: ProposalId, undo: Vec<Dc>, now: Timestamp) {
        let within = self.policy().prove_within;
        let wanted = self
            .desk
            .get(proposal)
            .is_some_and(|card| !matches!(card.reason.criterion, Criterion::Manual | Criterion::Rule));
        if within == Span::ZERO || !wanted {
            return;
        }
        let settled_at = now + self.limits(ix).settle.min(within);
        self.pairs[ix.at()].provisional = Some(Box::new(Provisional {
            proposal,
            by: self.desk.approver_of(proposal),
            undo,
            settled_at,
            until: now + within,
            check_at: settled_at,
        }));
    }

    /// Makes a provisional switch final, takes it back, or looks again later.
    pub(crate) fn check_proof(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        let Some(provisional) = self.pairs[ix.at()].provisional.clone() else {
            return;
        };
        let number = provisional.proposal.0;
        let proof = self.proof(ix, &provisional, now);
        match proof {
            Proof::Kept => {
                self.forget_proof(ix);
                let name = format!(
                    "{}/{}",
                    self.fabric.user_name(ix),
                    self.fabric.label(self.pairs[ix.at()].entry())
                );
                self.log(
                    Severity::Info,
                    format!("switch #{number} is final: {name} keeps its levels"),
                    out,
                );
                return;
            }
            Proof::Worse => {
                self.take_back(ix, &provisional, out);
                if self.pairs[ix.at()].flight.is_some() {
                    return;
                }
            }
            Proof::Open => {}
        }
        if now >= provisional.until {
            self.forget_proof(ix);
            let why = match (proof, self.pairs[ix.at()].withheld) {
                (Proof::Worse, Some(Withheld::Gate(gate))) => {
                    format!("could not be taken back in that time: {}", gate.words())
                }
                (Proof::Worse, _) => {
                    "could not be taken back in that time: no forwarder is connected".to_owned()
                }
                (Proof::Kept | Proof::Open, _) => "cannot be taken back to anything better".to_owned(),
            };
            let text = format!(
                "switch #{number} has not proved itself within {}, and {why}",
                self.policy().prove_within
            );
            self.log(Severity::Warning, text, out);
            return;
        }
        let again = (now + self.limits(ix).probe.max(SOONEST)).max(provisional.settled_at);
        if let Some(provisional) = &mut self.pairs[ix.at()].provisional {
            provisional.check_at = again.min(provisional.until);
        }
    }

    /// A switch is provisional no longer: room for its way back need not be kept.
    pub(crate) fn forget_proof(&mut self, ix: PairIx) {
        self.pairs[ix.at()].provisional = None;
        if self.calm.spending.release(ix) {
            self.calm.landed = true;
            self.calm.untold = true;
        }
    }

    fn proof(&self, ix: PairIx, provisional: &Provisional, now: Timestamp) -> Proof {
        let entry = self.pairs[ix.at()].entry();
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let new = self.measured(ix, entry, now);
        let keeps = new.as_ref().is_some_and(|measured| class.keeps(measured));
        let (settled, over) = (now >= provisional.settled_at, now >= provisional.until);
        let bad = match self.way_state(ix, entry) {
            LinkState::Ok if settled => return Proof::Kept,
            LinkState::Warn if over && keeps => return Proof::Kept,
            LinkState::Broken | LinkState::Down => true,
            LinkState::Warn => settled && !keeps,
            LinkState::Ok | LinkState::Stale => over,
        };
        let Some(&old) = provisional.undo.first().filter(|_| bad) else {
            return Proof::Open;
        };
        let doubtful = self.is_doubtful(ix, old);
        match (self.measured(ix, old, now), new) {
            (Some(old), _) if doubtful || !class.allows(&old) => Proof::Open,
            (Some(old), Some(new)) if class.score(&old) >= class.score(&new) => Proof::Open,
            (Some(_), _) => Proof::Worse,
            (None, _) => Proof::Open,
        }
    }

    /// Puts the view before in force again, as a switch of its own on the record.
    fn take_back(&mut self, ix: PairIx, provisional: &Provisional, out: &mut Outbox) {
        let now = out.now;
        let Some(&to) = provisional.undo.first() else {
            return;
        };
        let by = provisional.by.clone();
        let down = self.way_state(ix, self.pairs[ix.at()].entry()) == LinkState::Down;
        let need = if down { Need::Hard } else { Need::Ordered };
        let ask = Ask {
            ix,
            to,
            need,
            by: &by,
            glass: Glass::Whole,
            proves: false,
        };
        let pass = match self.admit_undo(&ask, now) {
            Ok(pass) if self.teller(to).is_some() => pass,
            Ok(_) => return,
            Err(hold) => {
                let withheld = Withheld::Gate(GateKind::from(&hold));
                let why = format!("switch #{} cannot be taken back: {hold}", provisional.proposal.0);
                self.stay(ix, withheld, &why, out);
                return;
            }
        };
        let entry = self.pairs[ix.at()].entry();
        let why = format!(
            "{} did not keep the levels of {}",
            self.fabric.label(entry),
            self.fabric.user_name(ix)
        );
        self.supersede(ix, "the switch before is taken back", out);
        let card = self.undoing(ix, to, now);
        let id = self.desk.open(card, out);
        let text = format!(
            "switch #{} is taken back by #{}: {why}; {} -> {}",
            provisional.proposal.0,
            id.0,
            self.fabric.label(entry),
            self.fabric.label(to)
        );
        self.log(Severity::Warning, text, out);
        let departure = Departure {
            proposal: id,
            order: provisional.undo.clone(),
            need,
            pass,
        };
        self.depart(ix, departure, by, out);
        if let Some(flight) = &mut self.pairs[ix.at()].flight {
            flight.reverting = Some(Reverting {
                proposal: provisional.proposal,
                why,
            });
        }
    }

    fn undoing(&self, ix: PairIx, to: Dc, now: Timestamp) -> Proposal {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let entry = self.pairs[ix.at()].entry();
        let penalty = |dc: Dc| {
            let measured = self.measured(ix, dc, now);
            measured.map_or(0.0, |measured| class.score(&measured).penalty_f64())
        };
        let site = |dc: Dc| self.fabric.sites[dc.at()].name.clone();
        Proposal {
            id: ProposalId(0),
            revision: 1,
            user: self.fabric.user_name(ix).clone(),
            vm: self.fabric.vm_of(ix).name.clone(),
            from: site(entry),
            to: site(to),
            reason: Reason {
                criterion: Criterion::Revert,
                measured: 0.0,
                bound: 0.0,
                expected: 0.0,
                penalty: penalty(entry),
                penalty_expected: penalty(to),
                broken_for: self.broken_since(ix).map_or(Span::ZERO, |since| now.since(since)),
            },
            gain: 0.0,
            gain_share: 0.0,
            people: self.size(ix),
            opened_at: now,
            expires_at: now + self.policy().proposal_ttl,
            held: None,
            state: ProposalState::Open,
        }
    }
}
