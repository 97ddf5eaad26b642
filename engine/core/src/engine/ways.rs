//! Whole ways: a user's leg, and the leg from the data centre entered to the one where the VM lives.
//!
//! | the second leg | a way by it |
//! |---|---|
//! | not measured, or its other end answers nobody | goes by the user's leg alone |
//! | silent, answered too little, or down when its other end fell silent | as that where the user enters; no place to go to |
//! | down | is down |
//! | up | both legs together |

use proto::{LinkState, ProbeOutcome, ProbeSample, Span, Timestamp};

use super::Engine;
use crate::fabric::{Dc, LegIx, LinkIx, PairIx};
use crate::legs::{Leg, Standing, sum};
use crate::monitor::{Link, Turn};
use crate::optimizer::criteria::LINK;
use crate::outbox::Outbox;
use crate::way::{Onward, Taken, Way};

impl Engine {
    /// The leg from `dc` to where a pair's VM lives; `None` where it lives there.
    pub(crate) fn leg_ix(&self, ix: PairIx, dc: Dc) -> Option<LegIx> {
        self.fabric.leg(dc, self.fabric.vm_of(ix).home?)
    }

    /// What is known of that leg.
    pub(crate) fn leg(&self, ix: PairIx, dc: Dc) -> Option<&Leg> {
        self.legs.get(self.leg_ix(ix, dc)?)
    }

    /// How it stands for the pair's class.
    pub(crate) fn leg_standing(&self, ix: PairIx, dc: Dc) -> Option<Standing<'_>> {
        let class = self.fabric.users[self.fabric.pairs[ix.at()].user as usize].class;
        Some(self.leg(ix, dc)?.standing(class))
    }

    /// How a pair's way by `dc` stands: down if either leg is, else as its levels are.
    pub(crate) fn way_state(&self, ix: PairIx, dc: Dc) -> LinkState {
        let link = self.state(self.link(ix, dc));
        if self.leg_standing(ix, dc) == Some(Standing::Down) {
            return LinkState::Down;
        }
        let pair = &self.pairs[ix.at()];
        let way = pair.way.filter(|_| pair.entry() == dc);
        match (link, way) {
            (LinkState::Down | LinkState::Stale, _) | (_, None) => link,
            (_, Some(Way::Open { .. })) => link.max(LinkState::Warn),
            (_, Some(Way::Broken { .. })) => LinkState::Broken,
        }
    }

    /// Whether the leg behind a pair's entry was heard of once, and what became of it is not known.
    pub(crate) fn is_leg_uncertain(&self, ix: PairIx) -> bool {
        let standing = self.leg_standing(ix, self.pairs[ix.at()].entry());
        matches!(
            standing,
            Some(Standing::Silent | Standing::Lapsed | Standing::Few | Standing::Unproven)
        )
    }

    /// Both legs of a way, in the order of [`crate::optimizer::criteria::CRITERIA`]; `None` if there is nothing usable.
    pub(crate) fn way_measured(&self, ix: PairIx, dc: Dc, now: Timestamp) -> Option<[u32; LINK]> {
        let link = self.link_measured(ix, dc, now)?;
        match self.leg_standing(ix, dc) {
            None | Some(Standing::Unmeasured | Standing::Unproven) => Some(link),
            Some(Standing::Silent | Standing::Lapsed | Standing::Few) => {
                Some(link).filter(|_| self.pairs[ix.at()].entry() == dc)
            }
            Some(Standing::Down) => None,
            Some(Standing::Up(loads)) => Some(sum::sum(&link, &loads.measured)),
        }
    }

    /// The user's leg of it.
    pub(crate) fn link_measured(&self, ix: PairIx, dc: Dc, now: Timestamp) -> Option<[u32; LINK]> {
        if self.state(self.link(ix, dc)) == LinkState::Down {
            return None;
        }
        self.monitor.measured(&self.fabric, self.link(ix, dc), now)
    }

    /// Whether the next lost probe would make it down: no way to go by.
    pub(crate) fn is_doubtful(&self, ix: PairIx, dc: Dc) -> bool {
        self.monitor.is_doubtful(&self.fabric, self.link(ix, dc))
            || self.leg(ix, dc).is_some_and(|leg| leg.is_doubtful(&self.fabric))
    }

    /// When the trouble of a way began.
    pub(crate) fn way_broken_since(&self, ix: PairIx, dc: Dc) -> Option<Timestamp> {
        let link = self.monitor.link(self.link(ix, dc)).and_then(Link::broken_since);
        let leg = self.leg(ix, dc).and_then(Leg::down_since);
        let way = self.pairs[ix.at()].way.map(Way::since);
        [link, leg, way].into_iter().flatten().min()
    }

    /// Whether a broken way is out of its bounds only because of samples that are over.
    pub(crate) fn is_way_recovering(&self, ix: PairIx, now: Timestamp) -> bool {
        let look = (now, self.limits(ix));
        match (self.pairs[ix.at()].way, self.legs_of_way(ix)) {
            (Some(way), Some((link, behind))) => way.is_recovering((link, &behind), look),
            _ => false,
        }
    }

    /// A forwarder probed the locator of another data centre. What became of the leg by it, if anything.
    pub(super) fn leg_sample(
        &mut self,
        (from, to): (Dc, Dc),
        sample: &ProbeSample,
        now: Timestamp,
    ) -> Option<(LegIx, Turn)> {
        let ix = self.fabric.leg(from, to)?;
        let turn = self.legs.take(&self.fabric, ix, sample, now)?;
        Some((ix, turn))
    }

    /// After a probe of a link: its data centre's border router lives if it was answered, and the ways that begin
    /// with the link may be out of their bounds by it.
    pub(super) fn watch_ways(&mut self, link: LinkIx, outcome: ProbeOutcome, out: &mut Outbox) {
        if self.legs.is_empty() {
            return;
        }
        let dc = self.fabric.dc_of(link);
        if let ProbeOutcome::Rtt(_) = outcome {
            self.legs.answered(&self.fabric, dc, out.now);
        }
        for ix in self.fabric.pairs_of(self.fabric.user_of(link)) {
            if self.pairs[ix.at()].entry() == dc {
                self.watch_way(ix, outcome, out);
            }
        }
    }

    fn watch_way(&mut self, ix: PairIx, outcome: ProbeOutcome, out: &mut Outbox) {
        let now = out.now;
        let before = self.pairs[ix.at()].way;
        self.judge_way(ix, now);
        let after = self.pairs[ix.at()].way;
        match (before, after) {
            (None, None) if self.leaves_a_bound(ix, outcome) => {
                self.pairs[ix.at()].way = Some(Way::Open { since: now });
                self.schedule(ix, now);
            }
            // Every look at a broken way is due by itself; what changed is looked at now.
            _ if before == after => {}
            (Some(Way::Open { .. }), Some(Way::Broken { .. })) => {
                self.count_way(ix, now);
                self.attend(ix, out);
            }
            _ => self.attend(ix, out),
        }
    }

    /// Holds the way a pair takes against its bounds, if its slot has ended or it is broken.
    pub(crate) fn judge_way(&mut self, ix: PairIx, now: Timestamp) {
        let Some(way) = self.pairs[ix.at()].way else {
            return;
        };
        let limits = self.limits(ix);
        if way.is_early(now, limits) {
            return;
        }
        self.pairs[ix.at()].way = self
            .legs_of_way(ix)
            .and_then(|(link, behind)| way.judged((link, &behind), (now, limits)));
    }

    /// When the slot of a pair's way ends.
    pub(crate) fn way_due(&self, ix: PairIx, now: Timestamp) -> Option<Timestamp> {
        match self.pairs[ix.at()].way {
            // Past it, every probe of the link is a look.
            Some(Way::Open { since }) => Some(since + self.limits(ix).decide).filter(|&at| at > now),
            Some(Way::Broken { .. }) | None => None,
        }
    }

    /// Whether a probe of the user's leg and the latest of the other are out of a bound together.
    fn leaves_a_bound(&self, ix: PairIx, outcome: ProbeOutcome) -> bool {
        let Some((link, behind)) = self.legs_of_way(ix) else {
            return false;
        };
        let rtt = match outcome {
            ProbeOutcome::Rtt(rtt) | ProbeOutcome::Overdue(rtt) => {
                u32::try_from(rtt.micros()).unwrap_or(u32::MAX)
            }
            ProbeOutcome::Lost => return true,
        };
        behind.leaves_a_bound((rtt, link.jitter()), self.limits(ix))
    }

    /// Of the way a pair takes, if both of its legs are heard: the user's, and what the other takes of the bounds.
    fn legs_of_way(&self, ix: PairIx) -> Option<(&Link, Taken)> {
        let dc = self.pairs[ix.at()].entry();
        let Some(Standing::Up(loads)) = self.leg_standing(ix, dc) else {
            return None;
        };
        let link = self.monitor.link(self.link(ix, dc))?;
        let leg = self.leg(ix, dc)?;
        let heard = !matches!(link.state(), LinkState::Down | LinkState::Stale);
        heard.then(|| {
            let taken = Taken {
                last: leg.last(),
                jitter: leg.link().jitter(),
                pressing: loads.pressing,
            };
            (link, taken)
        })
    }

    /// Something became of a leg: those whose way takes it are looked at.
    pub(super) fn leg_turned(&mut self, leg: LegIx, turn: Turn, out: &mut Outbox) {
        self.log_leg(leg, turn, out);
        self.book_leg(leg, turn, out.now);
        match turn {
            Turn::Down { .. } => {
                let ways = self.ways_over(leg);
                // It broke for each of them.
                for &ix in &ways {
                    self.count_way(ix, out.now);
                }
                self.attend_ways(ways, out);
            }
            Turn::Up | Turn::Stale => self.attend_ways(self.ways_over(leg), out),
            // By itself it breaks nobody's level; its ways are judged with their users' probes.
            Turn::Broken { .. } | Turn::Kept | Turn::Fresh => {}
        }
    }

    pub(super) fn attend_ways(&mut self, mut ways: Vec<PairIx>, out: &mut Outbox) {
        ways.sort_by_cached_key(|&ix| self.need_of(ix));
        for ix in ways {
            self.pairs[ix.at()].way = None;
            self.attend(ix, out);
        }
    }

    /// Pairs whose way takes a leg.
    pub(crate) fn ways_over(&self, leg: LegIx) -> Vec<PairIx> {
        let (from, to) = self.fabric.ends_of(leg);
        (0..self.pairs.len() as u32)
            .map(PairIx)
            .filter(|ix| self.pairs[ix.at()].entry() == from && self.fabric.vm_of(*ix).home == Some(to))
            .collect()
    }

    /// A way that breaks by its second leg is a flap of the locator entered, for its user.
    fn count_way(&mut self, ix: PairIx, now: Timestamp) {
        let link = self.link(ix, self.pairs[ix.at()].entry());
        if !matches!(self.state(link), LinkState::Broken | LinkState::Down) {
            self.count_flap(link, Turn::Broken { since: now }, now);
        }
    }

    /// What the second leg of a way makes of its round trips, as far as it is known.
    pub(crate) fn onward(&self, ix: PairIx, dc: Dc) -> Onward {
        match self.leg_standing(ix, dc) {
            Some(Standing::Up(loads)) => Onward::Adds(f64::from(loads.measured[0]) / 1e3),
            None | Some(Standing::Unmeasured | Standing::Unproven) => Onward::Adds(0.0),
            Some(Standing::Down) => Onward::Nothing,
            Some(Standing::Silent | Standing::Lapsed | Standing::Few) => Onward::Unknown,
        }
    }

    /// How often the row of a leg may be told.
    pub(super) fn legs_every(&self) -> Span {
        self.rows_every()
    }
}
