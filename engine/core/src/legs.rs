//! Legs between data centres: what is known of the way from a data centre that is entered to one where a VM lives.
//!
//! - Forwarders of data centres probe each other as they probe users' routers; a sample belongs to the leg from the
//!   site that probed to the one whose locator was probed.
//! - Legs lead to data centres where a VM of the session lives: nobody's way takes the others.
//! - A leg is *down* only by probes that were lost while its other end was known to answer somebody. If a border
//!   router is dead, nobody knows what lies behind it: the leg is as good as not measured.
//!   What was proven before counts for `policy.stale_after`; then the leg is unknown: no place to go to, no reason to leave.
//! - What a leg adds to a way is computed with every sample of it, for each class: many ways share it.

mod leg;
pub(crate) mod sum;

use proto::{ProbeOutcome, ProbeSample, Span, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use leg::{Leg, Standing};

use crate::fabric::{Dc, Fabric, LegIx, Renumbered};
use crate::monitor::Turn;

/// All legs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Legs {
    all: Vec<Leg>,
    /// By data centre: whether its border router answers somebody.
    routers: Vec<Router>,
    /// No leg can turn stale before this.
    sweep_at: Option<Timestamp>,
    /// Legs whose row changed since it was last told.
    dirty: Vec<LegIx>,
    /// When rows were last told.
    told_at: Timestamp,
}

/// The other end of legs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Router {
    /// Since when it has answered without a gap.
    since: Timestamp,
    /// When it last did.
    at: Timestamp,
}

impl Legs {
    pub(crate) fn new(fabric: &Fabric) -> Self {
        Self {
            all: vec![Leg::new(fabric.classes.len()); fabric.legs()],
            routers: vec![Router::default(); fabric.sites.len()],
            sweep_at: None,
            dirty: Vec::new(),
            told_at: Timestamp::default(),
        }
    }

    /// Of a state that was written down before there were legs.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.routers.is_empty()
    }

    /// Whether it speaks of this fabric.
    pub(crate) fn fits(&self, fabric: &Fabric) -> bool {
        self.all.len() == fabric.legs()
            && self.routers.len() == fabric.sites.len()
            && self.all.iter().all(|leg| leg.fits(fabric.classes.len()))
            && self.dirty.iter().all(|ix| ix.at() < self.all.len())
    }

    /// Legs have other numbers, for there are more of them.
    pub(crate) fn renumber(&mut self, fabric: &Fabric, places: &Renumbered) {
        let mut all = vec![Leg::new(fabric.classes.len()); fabric.legs()];
        for (leg, ix) in std::mem::take(&mut self.all).into_iter().zip((0..).map(LegIx)) {
            if let Some(slot) = all.get_mut(places.of(ix).at()) {
                *slot = leg;
            }
        }
        self.all = all;
        for ix in &mut self.dirty {
            *ix = places.of(*ix);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn get(&self, ix: LegIx) -> Option<&Leg> {
        self.all.get(ix.at())
    }

    /// Takes a probe's outcome in.
    pub(crate) fn take(
        &mut self,
        fabric: &Fabric,
        ix: LegIx,
        sample: &ProbeSample,
        now: Timestamp,
    ) -> Option<Turn> {
        let (_, to) = fabric.ends_of(ix);
        if let ProbeOutcome::Rtt(_) = sample.outcome {
            self.answered(fabric, to, now);
        }
        let router = *self.routers.get(to.at())?;
        let leg = self.all.get_mut(ix.at())?;
        // By this clock, for the forwarder's may be another: that it is lost was known at its timeout.
        let sent = now - fabric.leg_limits.timeout;
        // What was answered before the probe was sent may be heard for one round trip after.
        let heard_by = sent + Span(leg.last().into());
        let answered_meanwhile = router.since <= sent && heard_by <= router.at;
        let turn = leg.take(fabric, (sample, answered_meanwhile), now);
        let lapses = leg.lapse(router.at + fabric.config.policy.stale_after, now);
        let turn = if lapses { Some(Turn::Stale) } else { turn };
        if self.sweep_at.is_none() {
            self.sweep_at = Some(now + fabric.config.policy.stale_after + Span(1));
        }
        self.touch(ix);
        turn
    }

    /// A probe by or of a data centre's border router was answered.
    pub(crate) fn answered(&mut self, fabric: &Fabric, dc: Dc, now: Timestamp) {
        let limits = &fabric.leg_limits;
        let gap = limits.timeout.max(Span(limits.probe.micros().saturating_mul(3)));
        if let Some(router) = self.routers.get_mut(dc.at()) {
            if now.since(router.at) > gap {
                router.since = now;
            }
            router.at = now;
        }
    }

    /// Finds legs gone stale.
    pub(crate) fn advance(&mut self, fabric: &Fabric, now: Timestamp) -> Vec<(LegIx, Turn)> {
        let mut turns = Vec::new();
        if self.sweep_at.is_none_or(|at| at > now) {
            return turns;
        }
        self.sweep_at = None;
        for at in 0..self.all.len() {
            let ix = LegIx(at as u32);
            let Some(stale_at) = self.all[at].stale_at(fabric) else {
                continue;
            };
            if stale_at > now {
                self.sweep_at = Some(self.sweep_at.map_or(stale_at, |least| least.min(stale_at)));
                continue;
            }
            turns.push((ix, self.all[at].turn_stale()));
            self.touch(ix);
        }
        turns
    }

    /// When [`Self::advance`] or [`Self::rows_due`] has something to do.
    pub(crate) fn next_deadline(&self, every: Span) -> Option<Timestamp> {
        let rows = (!self.dirty.is_empty()).then(|| self.told_at + every);
        [rows, self.sweep_at].into_iter().flatten().min()
    }

    /// A new life of the engine: nothing is fresh.
    pub(crate) fn restart(&mut self) {
        self.all.iter_mut().for_each(Leg::restart);
        self.routers.fill(Router::default());
        self.sweep_at = None;
        self.dirty.clear();
    }

    /// The leg's row is to be told with the next batch.
    pub(crate) fn touch(&mut self, ix: LegIx) {
        if let Some(leg) = self.all.get_mut(ix.at())
            && !std::mem::replace(&mut leg.dirty, true)
        {
            self.dirty.push(ix);
        }
    }

    /// The legs whose rows are to be told now.
    pub(crate) fn rows_due(&mut self, now: Timestamp, every: Span) -> Vec<LegIx> {
        if self.dirty.is_empty() || now < self.told_at + every {
            return Vec::new();
        }
        self.told_at = now;
        let mut due = std::mem::take(&mut self.dirty);
        due.sort_unstable();
        for ix in &due {
            if let Some(leg) = self.all.get_mut(ix.at()) {
                leg.dirty = false;
            }
        }
        due
    }
}
