//! One leg: a link of its own, whether its silence is proven to be its own, and what it adds to the ways that take it.

use proto::{LinkState, ProbeOutcome, ProbeSample, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fabric::Fabric;
use crate::monitor::{Link, Turn};
use crate::optimizer::criteria::LINK;

/// What a leg adds to a way.
pub(crate) type Load = [u32; LINK];

/// What is known of a leg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Standing<'a> {
    /// Nobody ever measured it.
    Unmeasured,
    /// Probes of it are lost, and those of its other end by everybody else as well: that says nothing of the leg.
    Unproven,
    /// It was measured, and nobody reports on it now.
    Silent,
    /// It was down when its other end fell silent for everybody.
    Lapsed,
    /// Too few probes are answered yet to judge it by.
    Few,
    /// Its probes go unanswered although its other end is there.
    Down,
    /// It carries.
    Up(&'a Loads),
}

/// What a leg adds to the ways of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Loads {
    /// As its statistics are.
    pub(crate) measured: Load,
    /// As far as the latest samples do not say that it is over: what levels break by.
    pub(crate) pressing: Load,
}

/// Everything known of one leg.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leg {
    link: Link,
    /// By class, as of the latest sample.
    loads: Vec<Option<Loads>>,
    /// Microseconds; of one that is still out, so far.
    last: Option<u32>,
    /// Probes lost in a row while the other end answered somebody.
    proven_run: u32,
    /// Since the first of those lost.
    down: Option<Timestamp>,
    /// It was down when its other end fell silent for everybody: what was proven is too old to go by.
    #[serde(default)]
    lapsed: bool,
    /// Whether it waits for its row to be told.
    pub(super) dirty: bool,
}

impl Leg {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            loads: vec![None; classes],
            ..Self::default()
        }
    }

    pub(super) fn fits(&self, classes: usize) -> bool {
        self.loads.len() == classes
    }

    /// Takes a probe's outcome in; with it, whether the other end answered somebody since the probe was sent.
    pub(super) fn take(
        &mut self,
        fabric: &Fabric,
        (sample, answered_meanwhile): (&ProbeSample, bool),
        now: Timestamp,
    ) -> Option<Turn> {
        let turn = self.link.take(sample, now, &fabric.leg_limits);
        match sample.outcome {
            ProbeOutcome::Rtt(rtt) => {
                self.last = u32::try_from(rtt.micros()).ok();
                self.proven_run = 0;
            }
            ProbeOutcome::Overdue(so_far) => self.last = u32::try_from(so_far.micros()).ok(),
            ProbeOutcome::Lost if answered_meanwhile => self.proven_run = self.proven_run.saturating_add(1),
            ProbeOutcome::Lost => {}
        }
        for (load, class) in self.loads.iter_mut().zip(&fabric.classes) {
            *load = self.link.measured(now, &class.limits).map(|measured| Loads {
                measured,
                pressing: self.link.pressing(measured, (now, &class.limits)),
            });
        }
        self.own(turn, fabric, now)
    }

    /// Of what became of the link, what concerns the leg.
    fn own(&mut self, turn: Option<Turn>, fabric: &Fabric, now: Timestamp) -> Option<Turn> {
        let silent = self.link.state() == LinkState::Down;
        match (self.down, silent) {
            (None, true) if self.proven_run >= fabric.leg_limits.down_after.max(1) => {
                let since = self.link.broken_since().unwrap_or(now);
                self.down = Some(since);
                self.lapsed = false;
                Some(Turn::Down { since })
            }
            (Some(_), false) => {
                self.down = None;
                Some(Turn::Up)
            }
            (None, false) if self.lapsed => {
                self.lapsed = false;
                Some(Turn::Up)
            }
            _ => turn.filter(|turn| !matches!(turn, Turn::Down { .. } | Turn::Up)),
        }
    }

    /// What is known of it, for a class.
    pub(crate) fn standing(&self, class: u32) -> Standing<'_> {
        if self.link.heard_at().is_none() {
            return Standing::Unmeasured;
        }
        if !self.link.is_fresh() {
            return Standing::Silent;
        }
        if self.lapsed {
            return Standing::Lapsed;
        }
        if self.down.is_some() {
            return Standing::Down;
        }
        if self.link.state() == LinkState::Down {
            return Standing::Unproven;
        }
        match self.loads.get(class as usize) {
            Some(Some(loads)) => Standing::Up(loads),
            _ => Standing::Few,
        }
    }

    /// That it is down was proven by answers of its other end, the last of which counts until then. Whether it lapsed.
    pub(super) fn lapse(&mut self, until: Timestamp, now: Timestamp) -> bool {
        let lapses = self.down.is_some() && until < now;
        if lapses {
            self.down = None;
            self.proven_run = 0;
            self.lapsed = true;
        }
        lapses
    }

    /// Whether the next lost probe would make it down: no way to go by.
    pub(crate) fn is_doubtful(&self, fabric: &Fabric) -> bool {
        let bound = fabric.leg_limits.down_after.saturating_sub(1).max(1);
        self.link.is_fresh() && self.proven_run >= bound && self.link.lost_run() >= bound
    }

    /// The latest round trip, microseconds.
    pub(crate) fn last(&self) -> u32 {
        self.last.unwrap_or(0)
    }

    /// Since when it is down.
    pub(crate) fn down_since(&self) -> Option<Timestamp> {
        self.down.filter(|_| self.link.is_fresh())
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn stale_at(&self, fabric: &Fabric) -> Option<Timestamp> {
        let heard_at = self.link.heard_at().filter(|_| self.link.is_fresh())?;
        Some(heard_at + fabric.config.policy.stale_after + Span(1))
    }

    pub(super) fn turn_stale(&mut self) -> Turn {
        // Heard of again, it has to be found down anew, so that its ways are looked at.
        self.down = None;
        self.lapsed = false;
        self.proven_run = 0;
        self.last = None;
        self.link.turn_stale()
    }

    pub(super) fn restart(&mut self) {
        self.link.restart();
        self.loads.fill(None);
        self.last = None;
        self.proven_run = 0;
        self.down = None;
        self.lapsed = false;
        self.dirty = false;
    }
}
