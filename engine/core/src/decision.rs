//! Where one user's entry to one VM should be, given what the links tell, and the card that says so.

use proto::policy::Hold;
use proto::proposal::Reason;
use proto::{Actor, LinkState, Proposal, ProposalId, ProposalState, Refusal, Severity, Span, Timestamp};

use crate::Engine;
use crate::autonomy::Said;
use crate::fabric::{Dc, PairIx};
use crate::legs::Standing;
use crate::monitor::Limits;
use crate::optimizer::criteria::{ALL, CRITERIA, K, Measures, shown};
use crate::optimizer::{self, Unmoved};
use crate::outbox::Outbox;
use crate::policy::admit::{Ask, Glass};
use crate::policy::conduct::ruled;
use crate::policy::gain::gravity;
use crate::policy::{Gain, Need, Withheld, rounded};

/// Without usable figures, or down: as if nothing came through, which is what the user sees.
const NOTHING_THROUGH: Measures = [0, 0, ALL, 0, 0, 0, 0, 0, 0];
/// Never look again sooner than this, whatever the probe interval.
pub(crate) const SOONEST: Span = Span::millis(100);

/// A better entry.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) to: Dc,
    pub(crate) order: Vec<Dc>,
    pub(crate) need: Need,
    pub(crate) reason: Reason,
    pub(crate) gain: Gain,
}

/// The present entry beside another.
struct Comparison {
    need: Need,
    present: Option<Measures>,
    expected: Measures,
}

impl Engine {
    /// Looks at one pair: deadlines first, then the facts.
    pub(crate) fn attend(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        self.judge_way(ix, now);
        self.check_judgement(ix, out);
        if self.pairs[ix.at()].flight.is_some() {
            // Ends in another look if the switch is given up.
            self.check_flight(ix, out);
            if self.pairs[ix.at()].flight.is_some() {
                self.schedule(ix, now);
            }
            return;
        }
        self.lapse(ix, out);
        self.check_watch(ix, out);
        self.check_proof(ix, out);
        if self.pairs[ix.at()].flight.is_none() {
            self.evaluate(ix, out);
        }
        self.schedule(ix, now);
    }

    /// What the links of a pair's user are held against.
    pub(crate) fn limits(&self, ix: PairIx) -> &Limits {
        &self.fabric.class_of(self.fabric.pairs[ix.at()].user).limits
    }

    /// The best other entry as (5.1)-(5.3) have it, or why there is none.
    pub(crate) fn plan(&self, ix: PairIx, now: Timestamp) -> Result<Plan, Withheld> {
        let pair = &self.pairs[ix.at()];
        let entry = pair.entry();
        let rule = self.must_leave(ix);
        let need = match (self.way_state(ix, entry), &rule) {
            (LinkState::Down, _) => Need::Hard,
            (_, Some(_)) => Need::Ordered,
            (_, None) => Need::Soft,
        };
        let measured = self.all_measured(ix, now);
        let allowed = self.allowed(ix, need, &measured, now);
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let (best, best_score) =
            optimizer::choose(class, &allowed, Some(entry.at())).ok_or(Withheld::NothingBetter)?;
        let mut to = Dc(best as u32);
        // A card keeps its target while that is as good by (5.1): it should not change under the reader's eyes.
        if let Some(shown) = pair
            .proposal
            .and_then(|id| self.desk.get(id))
            .and_then(|card| self.fabric.dc(&card.to))
            && let Some(score) = allowed[shown.at()].as_ref().map(|m| class.score(m))
            && to != entry
            && score.penalty <= best_score.penalty
            && allowed[entry.at()]
                .as_ref()
                .is_none_or(|m| score < class.score(m))
        {
            to = shown;
        }
        if to == entry {
            return Err(Withheld::NothingBetter);
        }
        let expected = measured[to.at()].ok_or(Withheld::NothingBetter)?;
        let on_violation = self.fabric.class_of(self.fabric.pairs[ix.at()].user).on_violation;
        if need == Need::Soft
            && let Some(present) = &measured[entry.at()]
        {
            optimizer::worth_leaving(class, (present, &expected), on_violation).map_err(|unmoved| {
                match unmoved {
                    Unmoved::Hold => Withheld::Hold,
                    Unmoved::Variance { .. } => Withheld::Variance,
                }
            })?;
        }
        let (reason, gain) = self.reason(
            ix,
            &Comparison {
                need,
                present: measured[entry.at()],
                expected,
            },
            now,
        );
        let (reason, gain) = match need {
            Need::Ordered => (ruled(&reason), Gain::NONE),
            Need::Hard | Need::Soft => (reason, gain),
        };
        Ok(Plan {
            to,
            order: self.order(ix, to, (&measured, now)),
            need,
            reason,
            gain,
        })
    }

    /// `to` first, then the usable ones by score, those that damping or a full house speaks against behind the
    /// others, then those without figures, then those that are down; within each as they were before. Those that
    /// rules forbid have places here as well: the user is told not to use them ([`Engine::closed`]).
    pub(crate) fn order(
        &self,
        ix: PairIx,
        to: Dc,
        (measured, now): (&[Option<Measures>], Timestamp),
    ) -> Vec<Dc> {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let mut others: Vec<Dc> = optimizer::rank(class, measured)
            .into_iter()
            .map(|at| Dc(at as u32))
            .filter(|&dc| dc != to)
            .collect();
        others.sort_by_key(|&dc| self.is_second_choice(ix, dc, now));
        let mut order = vec![to];
        order.extend(others);
        let ranked = order.clone();
        let mut rest: Vec<Dc> = self.pairs[ix.at()]
            .order
            .iter()
            .copied()
            .filter(|dc| !ranked.contains(dc))
            .collect();
        rest.sort_by_key(|&dc| self.way_state(ix, dc) == LinkState::Down);
        order.extend(rest);
        order
    }

    /// Whether an open proposal still stands on facts; `Err` says what changed.
    pub(crate) fn still_true(&self, ix: PairIx, proposal: &Proposal, now: Timestamp) -> Result<Plan, String> {
        let pair = &self.pairs[ix.at()];
        let entry = pair.entry();
        let (from, to) = (self.fabric.dc(&proposal.from), self.fabric.dc(&proposal.to));
        if from != Some(entry) {
            return Err(format!(
                "{} enters by {} now",
                proposal.user,
                self.fabric.label(entry)
            ));
        }
        let Some(to) = to else {
            return Err(format!("there is no {}", proposal.to));
        };
        let need = match self.way_state(ix, entry) {
            LinkState::Down => Need::Hard,
            _ if self.is_ordered_away(ix) => Need::Ordered,
            LinkState::Stale => {
                return Err(format!(
                    "there are no fresh figures of {}",
                    self.fabric.label(entry)
                ));
            }
            LinkState::Ok => return Err(format!("{} keeps its levels again", self.fabric.label(entry))),
            LinkState::Warn | LinkState::Broken => Need::Soft,
        };
        let measured = self.all_measured(ix, now);
        let Some(expected) = measured[to.at()] else {
            return Err(self.unusable(ix, to));
        };
        if self.is_doubtful(ix, to) {
            return Err(format!("{} loses probes right now", self.fabric.label(to)));
        }
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        if !class.allows(&expected) {
            return Err(format!("{} exceeds an enforced bound", self.fabric.label(to)));
        }
        if need != Need::Ordered
            && let Some(present) = measured[entry.at()]
            && class.score(&expected) >= class.score(&present)
        {
            return Err(format!(
                "{} is no better than {} now",
                self.fabric.label(to),
                self.fabric.label(entry)
            ));
        }
        let (reason, gain) = self.reason(
            ix,
            &Comparison {
                need,
                present: measured[entry.at()],
                expected,
            },
            now,
        );
        Ok(Plan {
            to,
            order: self.order(ix, to, (&measured, now)),
            need,
            reason,
            gain,
        })
    }

    /// Why a data centre cannot be entered now.
    pub(crate) fn unusable(&self, ix: PairIx, dc: Dc) -> String {
        let label = self.fabric.label(dc);
        let link = self.state(self.link(ix, dc));
        if let (Some(leg), Some(standing)) = (self.leg_ix(ix, dc), self.leg_standing(ix, dc))
            && !matches!(link, LinkState::Down | LinkState::Stale)
        {
            let home = self.fabric.label(self.fabric.ends_of(leg).1);
            let vm = &self.fabric.vm_of(ix).name;
            match standing {
                Standing::Down => {
                    return format!("the leg from {label} to {home}, where {vm} lives, is down");
                }
                Standing::Silent => {
                    return format!("there are no fresh figures of the leg from {label} to {home}");
                }
                Standing::Lapsed => {
                    return format!("the leg from {label} to {home} was down when {home} fell silent");
                }
                Standing::Few => {
                    return format!("{home} has answered {label} too few probes to be judged");
                }
                Standing::Unmeasured | Standing::Unproven | Standing::Up(_) => {}
            }
        }
        match link {
            LinkState::Down => format!("{label} is down for {}", self.fabric.user_name(ix)),
            LinkState::Stale => format!("there are no fresh figures of {label}"),
            LinkState::Ok | LinkState::Warn | LinkState::Broken => {
                format!("{label} has answered too few probes to be judged")
            }
        }
    }

    /// When the trouble of the present entry began.
    pub(crate) fn broken_since(&self, ix: PairIx) -> Option<Timestamp> {
        let entry = self.pairs[ix.at()].entry();
        let node = &self.nodes[entry.at()];
        if node.is_dead() {
            return Some(node.since());
        }
        self.way_broken_since(ix, entry)
    }

    /// Takes an open proposal off the table.
    pub(crate) fn supersede(&mut self, ix: PairIx, why: &str, out: &mut Outbox) {
        let now = out.now;
        let Some(id) = self.pairs[ix.at()].proposal.take() else {
            return;
        };
        self.hold_against(ix, id, now);
        self.desk.end(
            id,
            ProposalState::Superseded {
                at: now,
                why: why.to_owned(),
            },
            out,
        );
        let text = format!(
            "proposal #{} for {} is off: {why}",
            id.0,
            self.fabric.user_name(ix)
        );
        self.log(Severity::Info, text, out);
    }

    /// A proposal for `plan`, as its card shows it.
    pub(crate) fn card(&self, ix: PairIx, plan: &Plan, now: Timestamp) -> Proposal {
        Proposal {
            id: ProposalId(0),
            revision: 1,
            user: self.fabric.user_name(ix).clone(),
            vm: self.fabric.vm_of(ix).name.clone(),
            from: self.fabric.sites[self.pairs[ix.at()].entry().at()].name.clone(),
            to: self.fabric.sites[plan.to.at()].name.clone(),
            reason: plan.reason.clone(),
            gain: plan.gain.value(),
            gain_share: plan.gain.share(),
            people: self.size(ix),
            opened_at: now,
            expires_at: now + self.policy().proposal_ttl,
            held: self.would_wait(ix, plan, now).map(Box::new),
            state: ProposalState::Open,
        }
    }

    /// What would make the engine wait with a move that staff may make at once.
    fn would_wait(&self, ix: PairIx, plan: &Plan, now: Timestamp) -> Option<Hold> {
        let ask = Ask {
            ix,
            to: plan.to,
            need: plan.need,
            by: &Actor::Engine,
            glass: Glass::Whole,
            proves: plan.need != Need::Ordered,
        };
        self.is_warm(ix, now).and(self.is_calm(&ask, now)).err()
    }

    /// What a move to `to` would gain.
    pub(crate) fn gain_of(&self, ix: PairIx, (to, need): (Dc, Need), now: Timestamp) -> Option<Gain> {
        let comparison = Comparison {
            need,
            present: self.measured(ix, self.pairs[ix.at()].entry(), now),
            expected: self.measured(ix, to, now)?,
        };
        Some(self.reason(ix, &comparison, now).1)
    }

    /// The criterion that weighs most on an entry, one that is out of its bound before all others.
    pub(crate) fn weightiest(&self, ix: PairIx, present: Option<&Measures>) -> usize {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let limits = self.limits(ix);
        let present = present.unwrap_or(&NOTHING_THROUGH);
        (0..K)
            .rev()
            .max_by_key(|&k| {
                let figure = present[k];
                (gravity((class, limits), k, figure), class.weighted(k, figure))
            })
            .unwrap_or(0)
    }

    fn reason(&self, ix: PairIx, comparison: &Comparison, now: Timestamp) -> (Reason, Gain) {
        let &Comparison {
            need,
            present,
            expected,
        } = comparison;
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let present = match need {
            Need::Hard => NOTHING_THROUGH,
            Need::Ordered | Need::Soft => present.unwrap_or(NOTHING_THROUGH),
        };
        let gain = match need {
            // Whatever the class weighs: nothing comes through.
            Need::Hard => Gain::of_all_lost(class, &expected),
            Need::Ordered | Need::Soft => {
                Gain::decisive((class, self.limits(ix)), (&present, &expected), &self.policy())
            }
        };
        let unit = |value: u32| rounded(shown(gain.k, value));
        let reason = Reason {
            criterion: CRITERIA[gain.k],
            measured: unit(gain.measured),
            bound: unit(gain.bound),
            expected: unit(gain.expected),
            penalty: class.score(&present).penalty_f64(),
            penalty_expected: class.score(&expected).penalty_f64(),
            broken_for: self.broken_since(ix).map_or(Span::ZERO, |since| now.since(since)),
        };
        (reason, gain)
    }

    /// Opens a card, or writes the open one anew.
    pub(crate) fn propose(&mut self, ix: PairIx, plan: &Plan, out: &mut Outbox) -> ProposalId {
        match self.pairs[ix.at()].proposal {
            Some(id) => {
                self.revise(id, ix, plan, out);
                id
            }
            None => self.open(ix, plan, out),
        }
    }

    fn open(&mut self, ix: PairIx, plan: &Plan, out: &mut Outbox) -> ProposalId {
        let now = out.now;
        let card = self.card(ix, plan, now);
        let entry = self.pairs[ix.at()].entry();
        // Which of both legs it is, for whoever reads the log afterwards.
        let legs = self
            .heard_way_words(ix, entry, now)
            .map(|words| format!(" ({words})"));
        let text = format!(
            "{} {} -> {}: {}{}",
            card.user,
            self.fabric.label(entry),
            self.fabric.label(plan.to),
            plan.reason.words(),
            legs.unwrap_or_default(),
        );
        let id = self.desk.open(card, out);
        self.pairs[ix.at()].proposal = Some(id);
        self.pairs[ix.at()].written_at = now;
        self.pairs[ix.at()].withheld = None;
        self.foresee(ix, id, plan, out);
        self.log(Severity::Warning, format!("proposal #{}: {text}", id.0), out);
        id
    }

    /// A card is written anew when its target or criterion changes; for its figures alone, when the gain is off
    /// by more than a quarter (and the least gain), and at most once a slot: whoever reads it must have the time
    /// to decide, and approval goes by the facts of its own moment anyway.
    pub(crate) fn revise(&mut self, id: ProposalId, ix: PairIx, plan: &Plan, out: &mut Outbox) {
        let now = out.now;
        let Some(shown) = self.desk.get(id) else { return };
        let same_target = self.fabric.dc(&shown.to) == Some(plan.to);
        if same_target && shown.reason.criterion == plan.reason.criterion {
            let drift = (shown.gain - plan.gain.value()).abs();
            let bearable = (shown.gain.abs() / 4.0).max(plan.gain.least_shown(&self.policy()));
            let fresh = now < self.pairs[ix.at()].written_at + self.limits(ix).decide;
            if drift <= bearable || fresh {
                return;
            }
        }
        self.rewrite(id, ix, plan, out);
    }

    /// The same without asking whether it is worth it.
    pub(crate) fn rewrite(&mut self, id: ProposalId, ix: PairIx, plan: &Plan, out: &mut Outbox) {
        let now = out.now;
        self.pairs[ix.at()].written_at = now;
        let card = self.card(ix, plan, now);
        self.desk.revise(id, card, out);
        self.foresee(ix, id, plan, out);
    }

    fn lapse(&mut self, ix: PairIx, out: &mut Outbox) {
        let now = out.now;
        let Some(id) = self.pairs[ix.at()].proposal else {
            return;
        };
        if self.desk.get(id).is_none_or(|proposal| proposal.expires_at > now) {
            return;
        }
        let slot = self.limits(ix).decide;
        let pair = &mut self.pairs[ix.at()];
        pair.proposal = None;
        pair.gates.keep_quiet(now + slot);
        self.note_word(ix, id, Said::Lapsed, now);
        self.desk.end(id, ProposalState::Expired { at: now }, out);
        let text = format!(
            "proposal #{} for {} lapsed undecided",
            id.0,
            self.fabric.user_name(ix)
        );
        self.log(Severity::Warning, text, out);
    }

    pub(crate) fn withhold(&mut self, ix: PairIx, withheld: Withheld, out: &mut Outbox) {
        self.stay(ix, withheld, &withheld.to_string(), out);
    }

    /// Logs why somebody is not moved, once.
    pub(crate) fn stay(&mut self, ix: PairIx, withheld: Withheld, why: &str, out: &mut Outbox) {
        if self.pairs[ix.at()].withheld.replace(withheld) == Some(withheld) {
            return;
        }
        let dc = self.pairs[ix.at()].entry();
        let (user, entry) = (self.fabric.user_name(ix), self.fabric.label(dc));
        let (severity, text) = if self.way_state(ix, dc) == LinkState::Down {
            (
                Severity::Error,
                format!("{user} is cut off at {entry} and stays: {why}"),
            )
        } else {
            (Severity::Info, format!("{user} stays with {entry}: {why}"))
        };
        self.log(severity, text, out);
    }
}

/// What may be said against a switch to `to` that staff ask for by hand.
pub(crate) fn refuse_unusable(engine: &Engine, ix: PairIx, to: Dc) -> Option<Refusal> {
    let site = engine.fabric.sites[to.at()].name.clone();
    match engine.way_state(ix, to) {
        LinkState::Down | LinkState::Stale => Some(Refusal::Unusable {
            to: site,
            why: engine.unusable(ix, to),
        }),
        LinkState::Ok | LinkState::Warn | LinkState::Broken => match engine.teller(to) {
            Some(_) => None,
            None => Some(Refusal::Unusable {
                to: site,
                why: "no forwarder is connected to tell the user".to_owned(),
            }),
        },
    }
}
