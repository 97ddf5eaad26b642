//! What is known of every user-to-data-centre link, and when a level counts as broken.
//!
//! The slot rule (thesis section 5.2.4), as built here:
//!
//! - A slot opens at the first sample that leaves a bound: an RTT or the jitter above it, or a lost probe.
//! - S' later the statistics over the slot's samples are held against the bounds. If a statistic is out of its
//!   bound *and* the latest samples still are, the level is [`Turn::Broken`]. If all are kept, the slot closes.
//!   If a statistic is out only because of samples that are over, the slot goes on until either is true.
//! - Of an RTT or a jitter the latest three samples tell that it is over. Loss and downtime do not show in every
//!   sample: so many of the latest have to be answered that fewer than one in twenty orders of the slot's samples
//!   would end like that (16 of 20 after two losses, 9 after five).
//! - So a switch comes S' plus at most one probe interval plus one bound (or RTT, if that is shorter) after the
//!   onset of a stress, and a spike that is over by then moves nothing.
//! - The probe that opened a slot says nothing about its loss, and one more lost probe is forgiven: at 20 probes
//!   a slot it would be 5 %, which is no evidence against a bound of 2 %.
//! - A probe that is out for longer than the bound counts at once as an RTT of at least that; what becomes of it
//!   takes its place later. So a large stress is noticed one bound after its onset, not one RTT after.
//! - With bands, a kept level is out above the one to leave, a broken one kept at the one to enter.
//! - `down_after` probes lost in a row make the link [`Turn::Down`] at once, `up_after` answered ones end it.
//! - A link nobody has reported on for `stale_after` is [`Turn::Stale`].

mod limits;
mod link;
mod outcome;
mod ring;
mod statistic;
mod untold;

use std::collections::BTreeSet;

use proto::snapshot::HistoryPoint;
use proto::{LinkState, ProbeSample, Span, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use link::{Figures, Link, Turn, Verdict, millis};

use crate::fabric::{Fabric, LinkIx};
use crate::optimizer::criteria::LINK;
pub(crate) use limits::Limits;
use untold::Untold;

/// All links, and the moments at which something about them is due without a sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Monitor {
    links: Vec<Link>,
    /// Ends of open slots.
    slots: BTreeSet<(Timestamp, LinkIx)>,
    /// No link can turn stale before this.
    sweep_at: Option<Timestamp>,
    /// Links whose row changed since it was last told.
    dirty: Untold,
    /// When rows were last told.
    told_at: Timestamp,
    /// The link to go on telling from, if not all were told then.
    #[serde(default)]
    told_to: Option<LinkIx>,
}

impl Monitor {
    /// Bytes its links take, windows and histories included.
    pub(crate) fn memory(&self) -> usize {
        self.links.iter().map(Link::memory).sum()
    }

    pub(crate) fn new(fabric: &Fabric) -> Self {
        Self {
            links: vec![Link::default(); fabric.links()],
            slots: BTreeSet::new(),
            sweep_at: None,
            dirty: Untold::default(),
            told_at: Timestamp::default(),
            told_to: None,
        }
    }

    /// Takes a probe's outcome in.
    pub(crate) fn take(
        &mut self,
        fabric: &Fabric,
        ix: LinkIx,
        sample: &ProbeSample,
        now: Timestamp,
    ) -> Option<Turn> {
        let limits = limits(fabric, ix);
        let link = self.links.get_mut(ix.at())?;
        let slot = link.slot_end(limits.decide);
        let turn = link.take(sample, now, limits);
        let new_slot = link.slot_end(limits.decide);
        if slot != new_slot {
            if let Some(end) = slot {
                self.slots.remove(&(end, ix));
            }
            if let Some(end) = new_slot {
                self.slots.insert((end, ix));
            }
        }
        if self.sweep_at.is_none() {
            self.sweep_at = Some(now + fabric.config.policy.stale_after + Span(1));
        }
        self.touch(ix);
        turn
    }

    /// Ends slots.
    pub(crate) fn advance(&mut self, fabric: &Fabric, now: Timestamp) -> Vec<(LinkIx, Turn)> {
        let mut turns = Vec::new();
        while let Some(&(end, ix)) = self.slots.first() {
            if end > now {
                break;
            }
            self.slots.pop_first();
            let Some(link) = self.links.get_mut(ix.at()) else {
                continue;
            };
            turns.extend(link.judge(now, limits(fabric, ix)).map(|turn| (ix, turn)));
            self.touch(ix);
        }
        turns
    }

    /// Links that go stale now: all of a forwarder's at once, so that only their numbers are kept.
    pub(crate) fn silent(&mut self, fabric: &Fabric, now: Timestamp) -> Vec<LinkIx> {
        let mut silent = Vec::new();
        if self.sweep_at.is_none_or(|at| at > now) {
            return silent;
        }
        let stale_after = fabric.config.policy.stale_after;
        self.sweep_at = None;
        for at in 0..self.links.len() {
            let ix = LinkIx(at as u32);
            let link = &mut self.links[at];
            let Some(heard_at) = link.heard_at().filter(|_| link.is_fresh()) else {
                continue;
            };
            let stale_at = heard_at + stale_after + Span(1);
            if stale_at > now {
                self.sweep_at = Some(self.sweep_at.map_or(stale_at, |least| least.min(stale_at)));
                continue;
            }
            if let Some(end) = link.slot_end(limits(fabric, ix).decide) {
                self.slots.remove(&(end, ix));
            }
            link.turn_stale();
            silent.push(ix);
            self.touch(ix);
        }
        silent
    }

    /// It was read, and is of this fabric.
    pub(crate) fn fit(&mut self, fabric: &Fabric) {
        for (ix, link) in (0..).map(LinkIx).zip(&mut self.links) {
            link.fit(limits(fabric, ix));
        }
    }

    /// A new life of the engine: nothing is fresh.
    pub(crate) fn restart(&mut self) {
        self.links.iter_mut().for_each(Link::restart);
        self.slots.clear();
        self.sweep_at = None;
        self.dirty.clear();
    }

    /// The next moment at which [`Self::advance`], [`Self::silent`] or [`Self::rows_due`] has something to do.
    pub(crate) fn next_deadline(&self, rows_every: Span) -> Option<Timestamp> {
        let slot = self.slots.first().map(|&(end, _)| end);
        let rows = (!self.dirty.is_empty()).then(|| self.rows_at(rows_every));
        [slot, rows, self.sweep_at].into_iter().flatten().min()
    }

    /// The links whose rows are to be told now.
    pub(crate) fn rows_due(&mut self, now: Timestamp, rows_every: Span) -> Vec<LinkIx> {
        if self.dirty.is_empty() || now < self.rows_at(rows_every) {
            return Vec::new();
        }
        self.told_at = now;
        let (due, next) = self.dirty.take(self.told_to.unwrap_or(LinkIx(0)));
        self.told_to = next;
        due
    }

    /// The link's row is to be told with the next batch.
    pub(crate) fn touch(&mut self, ix: LinkIx) {
        if ix.at() < self.links.len() {
            self.dirty.insert(ix);
        }
    }

    fn rows_at(&self, rows_every: Span) -> Timestamp {
        untold::next(self.told_at, rows_every, self.told_to.is_some())
    }

    /// How many there are.
    pub(crate) fn links(&self) -> usize {
        self.links.len()
    }

    /// How a link stands, as far as its samples tell.
    pub(crate) fn state(&self, ix: LinkIx) -> LinkState {
        self.links.get(ix.at()).map_or(LinkState::Stale, Link::state)
    }

    pub(crate) fn link(&self, ix: LinkIx) -> Option<&Link> {
        self.links.get(ix.at())
    }

    /// What the optimizer may use of a link; `None` if nothing.
    pub(crate) fn measured(&self, fabric: &Fabric, ix: LinkIx, now: Timestamp) -> Option<[u32; LINK]> {
        self.links.get(ix.at())?.measured(now, limits(fabric, ix))
    }

    /// Whether the next lost probe would make the link down: no place to go to.
    pub(crate) fn is_doubtful(&self, fabric: &Fabric, ix: LinkIx) -> bool {
        let bound = limits(fabric, ix).down_after.saturating_sub(1).max(1);
        self.links
            .get(ix.at())
            .is_none_or(|link| link.lost_run() >= bound)
    }

    pub(crate) fn figures(&self, fabric: &Fabric, ix: LinkIx, now: Timestamp) -> Option<Figures> {
        Some(self.links.get(ix.at())?.figures(now, limits(fabric, ix)))
    }

    /// The last two minutes, oldest first.
    pub(crate) fn history(&self, ix: LinkIx, now: Timestamp) -> Vec<HistoryPoint> {
        let Some(link) = self.links.get(ix.at()) else {
            return Vec::new();
        };
        let from = now - ring::HISTORY;
        let samples = link.history();
        let first = samples.len().saturating_sub(ring::POINTS);
        samples[first..]
            .iter()
            .filter(|&&(at, _)| at >= from)
            // What is still out has no point yet.
            .filter(|(_, outcome)| outcome.is_lost() || outcome.rtt().is_some())
            .map(|&(at, outcome)| HistoryPoint {
                at,
                rtt_ms: outcome.rtt().map(millis),
            })
            .collect()
    }
}

/// Which rows were told decides nothing.
impl PartialEq for Monitor {
    fn eq(&self, other: &Self) -> bool {
        (&self.links, &self.slots, self.sweep_at) == (&other.links, &other.slots, other.sweep_at)
    }
}

fn limits(fabric: &Fabric, ix: LinkIx) -> &Limits {
    &fabric.class_of(fabric.user_of(ix)).limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_takes_less_than_two_lines_of_a_cache_besides_its_samples() {
        assert!(size_of::<Link>() <= 120, "{}", size_of::<Link>());
    }
}
