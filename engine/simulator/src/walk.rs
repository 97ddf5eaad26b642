//! One user's day, decided by the engine's own machines: the slot rule, the program (5.1)-(5.3), the gates.
//!
//! The procedure is that of section 5.2.4:
//!
//! 1. The user's levels are broken for S': (5.1)-(5.3) chooses the entry by what is measured between the user and
//!    each data centre, or as the live engine does it by the whole way over each ([`Watched`]).
//! 2. S'' later the whole way, user to entry and entry to VM, is still out of its bound: (5.1)-(5.3) chooses where
//!    the VM is to live. It is copied there, and the user enters where it is.

mod by_clock;
mod by_stay;

use std::ops::AddAssign;

use pacao_core::config::{Calm, Policy, Sla, Statistic, Terms, Watch, Weights};
use pacao_core::optimizer::criteria::{self, K};
use pacao_core::optimizer::{self, Class};
use proto::{Span, Timestamp};

use crate::chance::Chance;
use crate::fabric::{Fabric, Measured, only_rtt};
use crate::slots::Slots;
use crate::tally::Tally;
use crate::trace::Trace;

/// From the decision to the VM running elsewhere: the median of the thesis (section 4.4).
pub const MIGRATION: Span = Span::millis(11_750);
/// Midnight.
const T0: Timestamp = Timestamp(1_700_000_000_000_000);

/// What may be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Nothing.
    Legacy,
    /// The user's entry.
    Pacao1,
    /// The entry, and then the VM.
    Pacao2,
}

impl Scheme {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Legacy, Self::Pacao1, Self::Pacao2];

    /// As files and legends call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Pacao1 => "pacao1",
            Self::Pacao2 => "pacao2",
        }
    }
}

/// Where entry and VM are in the morning. The thesis does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The VM at any data centre, and the user enters where it is.
    Together,
    /// The VM at any data centre, and the user enters by any, as the order of an administrator would have it who
    /// knows neither.
    Apart,
}

/// By what an entry is left and chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The user's leg, as in the thesis; and as in a live fabric whose legs between data centres are not measured.
    Leg,
    /// Both legs, to the VM: what the live engine does.
    Way,
}

impl Watched {
    /// As commands and results call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leg => "leg",
            Self::Way => "way",
        }
    }
}

/// Moves of one user or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// Entries switched.
    pub switches: u64,
    /// VMs moved.
    pub migrations: u64,
}

impl AddAssign for Moves {
    fn add_assign(&mut self, other: Self) {
        self.switches += other.switches;
        self.migrations += other.migrations;
    }
}

/// What everybody is decided by.
#[derive(Clone, Debug)]
pub struct Rules {
    sla: Sla,
    class: Class<K>,
    policy: Policy,
    hold: u32,
}

impl Rules {
    /// A bound on the RTT of `bound_ms`; jitter and loss are not simulated and never bind.
    pub fn new(bound_ms: f64, policy: Policy) -> Self {
        let sla = Sla {
            rtt_ms: bound_ms,
            jitter_ms: 1000.0,
            loss_pct: 100.0,
            weights: Weights {
                rtt: 0.6,
                jitter: 0.2,
                loss: 0.2,
            },
            statistic: Statistic::Mean,
            dscp: 0,
            terms: Terms::default(),
            watch: Watch::default(),
        };
        Self {
            class: criteria::class_of(&sla),
            sla,
            policy,
            hold: Calm::default().hold,
        }
    }

    /// The same, but a level must be broken for `slots` slots S' before anything is moved.
    #[must_use]
    pub fn holding(self, slots: u32) -> Self {
        Self { hold: slots, ..self }
    }

    /// For how many slots S' a level must be broken.
    pub fn hold(&self) -> u32 {
        self.hold
    }

    /// The SLA class.
    pub fn sla(&self) -> &Sla {
        &self.sla
    }

    /// The gates' limits.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// M of (5.3), microseconds.
    pub fn bound_us(&self) -> u32 {
        self.class.bound(0)
    }
}

/// The thesis's own: whatever gains is done, at once.
pub const ANY_GAIN: Policy = Policy {
    proposal_ttl: Span::secs(60),
    cool_down: Span::ZERO,
    gain_min: 0.0,
    gain_min_share: 0.0,
    confirm_within: Span::secs(10),
    prove_within: Span::ZERO,
    down_after: 3,
    up_after: 3,
    stale_after: Span::secs(3600),
    probe_timeout: Span::secs(2),
};

/// As an engine has it whose session says nothing else: at least 5 ms and a tenth, and half an hour between two moves
/// of one user, doubled where moves follow each other.
pub const CALM: Policy = Policy {
    cool_down: Span::secs(1800),
    gain_min: 5.0,
    gain_min_share: 0.1,
    ..ANY_GAIN
};

/// A fabric, rules and slots, and what follows from them for every area.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    fabric: &'a Fabric,
    rules: &'a Rules,
    scheme: Scheme,
    slots: Slots,
    start: Start,
    seed: u64,
    best: &'a Best,
}

/// The best entry for each area, and where whole ways are watched for each place of the VM: users who are alike in that
/// decide alike.
#[derive(Clone, Debug)]
pub struct Best {
    watched: Watched,
    /// A row an area, a column a place of the VM; one column where that does not matter.
    entries: Vec<u8>,
    columns: usize,
}

impl Best {
    /// Solves (5.1)-(5.3) for all areas.
    pub fn new((fabric, areas): (&Fabric, usize), rules: &Rules, watched: Watched) -> Self {
        let columns = match watched {
            Watched::Leg => 1,
            Watched::Way => fabric.dcs().len(),
        };
        let entries = (0..areas as u32).flat_map(|area| {
            (0..columns).map(move |vm| {
                let seen = |dc| only_rtt(watched.rtt(fabric, area, (dc, vm)));
                let candidates: Vec<Measured> = (0..fabric.dcs().len()).map(seen).collect();
                optimizer::choose(&rules.class, &candidates, None).map_or(0, |(at, _)| at) as u8
            })
        });
        Self {
            watched,
            entries: entries.collect(),
            columns,
        }
    }

    fn entry(&self, area: u32, vm: usize) -> usize {
        let column = if self.columns == 1 { 0 } else { vm };
        usize::from(self.entries[area as usize * self.columns + column])
    }
}

impl Watched {
    /// What is measured for a user in `area` who enters by `dc`, microseconds.
    fn rtt(self, fabric: &Fabric, area: u32, (dc, vm): (usize, usize)) -> u32 {
        match self {
            Self::Leg => fabric.leg(area, dc),
            Self::Way => fabric.to_vm(area, dc, vm),
        }
    }
}

/// How everybody lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    /// What may be moved.
    pub scheme: Scheme,
    /// When.
    pub slots: Slots,
    /// From where.
    pub start: Start,
    /// Draws where each user's VM and entry are in the morning.
    pub seed: u64,
}

impl<'a> Walk<'a> {
    /// `best` must be of the same fabric and rules.
    pub fn new(fabric: &'a Fabric, rules: &'a Rules, best: &'a Best, manner: Manner) -> Self {
        let Manner {
            scheme,
            slots,
            start,
            seed,
        } = manner;
        Self {
            fabric,
            rules,
            scheme,
            slots,
            start,
            seed,
            best,
        }
    }

    /// Lets one user live through the day and adds the round trips he saw to `rtt`.
    pub fn day(&self, user: u64, trace: &Trace, rtt: &mut Tally) -> Moves {
        let (entry, vm) = self.morning(user);
        if self.scheme == Scheme::Legacy {
            for stay in trace.stays() {
                rtt.add(self.fabric.to_vm(stay.area, entry, vm), stay.length());
            }
            return Moves::default();
        }
        match self.slots {
            Slots::Shares { decide, settle } => self.by_stay((entry, vm), trace, (decide, settle), rtt),
            Slots::Times { decide, settle } => {
                let mut journal = |_: by_clock::Step| {};
                self.by_clock((entry, vm), trace, (decide, settle), (rtt, &mut journal))
            }
        }
    }

    /// Like [`Self::day`] with slots of fixed length, and tells every switch of the entry: when, since midnight, and
    /// to which data centre. Slots that are shares tell nothing.
    pub fn switches(&self, user: u64, trace: &Trace) -> Vec<(Span, usize)> {
        let Slots::Times { decide, settle } = self.slots else {
            return Vec::new();
        };
        let mut told = Vec::new();
        let mut journal = |step: by_clock::Step| {
            if let by_clock::Step::Switched { at, to } = step {
                told.push((at, to));
            }
        };
        let mut rtt = Tally::default();
        self.by_clock(
            self.morning(user),
            trace,
            (decide, settle),
            (&mut rtt, &mut journal),
        );
        told
    }

    /// The user's first entry and the home of his VM.
    pub fn morning(&self, user: u64) -> (usize, usize) {
        let mut chance = Chance::of(self.seed, [5, user]);
        let dcs = self.fabric.dcs().len();
        let vm = chance.below(dcs);
        match self.start {
            Start::Together => (vm, vm),
            Start::Apart => (chance.below(dcs), vm),
        }
    }

    /// The best entry in place of the present one, and what is measured of both, milliseconds; `None` if the present one
    /// is best.
    fn better(&self, area: u32, (entry, vm): (usize, usize)) -> Option<(usize, (f64, f64))> {
        let best = self.best.entry(area, vm);
        let rtt = |dc| self.best.watched.rtt(self.fabric, area, (dc, vm));
        let both = [entry, best].map(rtt);
        // Ties go to the present one.
        let (chosen, _) = optimizer::choose(&self.rules.class, &both.map(only_rtt), Some(0))?;
        (chosen != 0).then(|| (best, (millis(both[0]), millis(both[1]))))
    }

    /// Where the VM is to live for a user in `area` who sees it after `total` microseconds now: the place chosen, and
    /// what he will see then. `None` if it is best where it is.
    fn home(&self, area: u32, vm: usize, total: u32) -> Option<(usize, u32)> {
        let mut candidates = self.fabric.row(area).to_vec();
        candidates[vm] = only_rtt(total);
        let (to, _) = optimizer::choose(&self.rules.class, &candidates, Some(vm))?;
        (to != vm).then(|| (to, self.fabric.leg(area, to)))
    }
}

/// Microseconds as the gates take them.
fn millis(us: u32) -> f64 {
    f64::from(us) / 1e3
}

#[cfg(test)]
mod tests;
