//! Slots of fixed length: probe by probe, as the live engine does it.

use pacao_core::alone::{Calm, Level};
use pacao_core::optimizer;
use proto::{Span, Timestamp};

use super::{MIGRATION, Moves, Scheme, T0, Walk, Watched, millis};
use crate::fabric::{Measured, only_rtt};
use crate::tally::Tally;
use crate::trace::{Stay, Trace};

/// Something done for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// He enters by `to` from then on.
    Switched { at: Span, to: usize },
    /// His VM was moved.
    Migrated,
}

/// One user in the middle of the day.
struct Present<'a> {
    walk: &'a Walk<'a>,
    stays: &'a [Stay],
    window: Span,
    probe: Span,
    entry: usize,
    vm: usize,
    /// What the entry is left by: user to entry, or to the VM where whole ways are watched.
    level: Level,
    /// User to VM, where the entry is left by the user's leg alone.
    way: Option<Level>,
    /// The way is watched for S'' since then: sum and number of its samples.
    watch: Option<(Span, u64, u64)>,
    /// The VM runs there from then on.
    copying: Option<(usize, Span)>,
    /// Neither entry nor VM had anything better the last time somebody looked, in this area and with whole windows.
    content: bool,
    /// Of the entry.
    calm: Calm,
    /// Of the VM, which follows the entry within one procedure: the cool-down of a switch does not hold it back.
    vm_calm: Calm,
}

impl Walk<'_> {
    pub(super) fn by_clock(
        &self,
        (entry, vm): (usize, usize),
        trace: &Trace,
        (decide, settle): (Span, Span),
        (rtt, journal): (&mut Tally, &mut dyn FnMut(Step)),
    ) -> Moves {
        // Enough probes over S'' to be judged by (section 5.2.4).
        let probe = Span((settle.0 / 3).clamp(1_000_000, 60_000_000));
        let mut present = Present {
            walk: self,
            stays: trace.stays(),
            window: decide,
            probe,
            entry,
            vm,
            level: self.level(decide),
            way: (self.best.watched == Watched::Leg).then(|| self.level(decide)),
            watch: None,
            copying: None,
            content: false,
            calm: Calm::default(),
            vm_calm: Calm::default(),
        };
        let mut moves = Moves::default();
        let mut count = |step: Step| {
            match step {
                Step::Switched { .. } => moves.switches += 1,
                Step::Migrated => moves.migrations += 1,
            }
            journal(step);
        };
        for (at, stay) in trace.stays().iter().enumerate() {
            present.stay(at, *stay, (settle, rtt), &mut count);
        }
        moves
    }

    fn level(&self, decide: Span) -> Level {
        let rules = self.rules;
        Level::new(rules.sla(), rules.policy(), (decide, rules.hold()))
    }
}

impl Present<'_> {
    fn stay(
        &mut self,
        number: usize,
        stay: Stay,
        (settle, rtt): (Span, &mut Tally),
        tell: &mut dyn FnMut(Step),
    ) {
        self.content = false;
        // Probes go on at one rhythm all day.
        let mut now = Span(stay.from.0.div_ceil(self.probe.0) * self.probe.0);
        let mut told = stay.from;
        while now < stay.to {
            let before = self.seen(stay.area);
            rtt.add(before, Span(now.0 - told.0));
            told = now;
            self.probe_at(number, now, settle, tell);
            now = Span(now.0 + self.probe.0);
            if self.is_quiet(number, now) {
                // Nothing can change before the user moves; the last window is lived through again, since what
                // comes next is judged by it.
                let rest = Span(stay.to.0.saturating_sub(self.window.0));
                if self.is_calm() {
                    now = stay.to;
                } else {
                    now = now.max(Span(rest.0.div_ceil(self.probe.0) * self.probe.0));
                }
            }
        }
        rtt.add(self.seen(stay.area), Span(stay.to.0 - told.0));
    }

    fn probe_at(&mut self, number: usize, now: Span, settle: Span, tell: &mut dyn FnMut(Step)) {
        let at = T0 + now;
        let area = self.stays[number].area;
        let policy = self.walk.rules.policy();
        if let Some((to, _)) = self.copying.filter(|&(_, done)| done <= now) {
            self.copying = None;
            (self.entry, self.vm) = (to, to);
            self.vm_calm.moved(policy, at);
            self.relive(number, Span(now.0.saturating_sub(1)));
            tell(Step::Migrated);
        }
        self.measure(area, at);
        let mut looked = true;
        if self.level.is_broken()
            && self.copying.is_none()
            && let Some((to, gain)) = self.better(number, now)
        {
            looked = false;
            if self.calm.lets_leave(&self.level, gain, policy, at) {
                self.calm.moved(policy, at);
                self.entry = to;
                self.relive(number, now);
                self.watch = (self.walk.scheme == Scheme::Pacao2).then_some((now, 0, 0));
                tell(Step::Switched { at: now, to });
            }
        }
        if self.walk.scheme == Scheme::Pacao2 && self.copying.is_none() {
            looked &= self.watch_way(area, now, settle);
        }
        self.content = looked && self.copying.is_none() && self.watch.is_none();
    }

    /// A probe of the user's leg, and what lies behind it.
    fn measure(&mut self, area: u32, at: Timestamp) {
        let fabric = self.walk.fabric;
        let (leg, onward) = (fabric.leg(area, self.entry), fabric.trunk(self.entry, self.vm));
        if let Some(way) = &mut self.way {
            self.level.take(leg, at);
            way.take(leg.saturating_add(onward), at);
        } else {
            self.level.take_way((leg, onward), at);
        }
    }

    /// The level of the way to the VM.
    fn whole(&self) -> &Level {
        self.way.as_ref().unwrap_or(&self.level)
    }

    fn is_calm(&self) -> bool {
        self.level.is_calm() && self.whole().is_calm()
    }

    /// Step 2 of the procedure; whether there is nothing more to do about the VM's place.
    fn watch_way(&mut self, area: u32, now: Span, settle: Span) -> bool {
        if self.watch.is_none() && self.whole().is_broken() {
            self.watch = Some((now, 0, 0));
        }
        let seen = self.seen(area);
        let Some((since, sum, samples)) = &mut self.watch else {
            return self.whole().is_calm();
        };
        *sum += u64::from(seen);
        *samples += 1;
        if now.0 < since.0 + settle.0 {
            return false;
        }
        let mean = (*sum / *samples) as u32;
        self.watch = None;
        if mean <= self.walk.rules.bound_us() {
            return true;
        }
        let Some((to, expected)) = self.walk.home(area, self.vm, seen) else {
            return true;
        };
        let (policy, at) = (self.walk.rules.policy(), T0 + now);
        if self
            .vm_calm
            .lets_pass((millis(seen), millis(expected)), policy, at)
        {
            self.copying = Some((to, Span(now.0 + MIGRATION.0)));
            return false;
        }
        // What gains too little gains no more later; what only has to wait is looked at again.
        !self.vm_calm.is_cooling(at)
    }

    /// Whether nothing more can happen in this stay.
    fn is_quiet(&self, number: usize, now: Span) -> bool {
        let settled = now.0 >= self.stays[number].from.0 + 2 * self.window.0;
        let is_turning = self.level.is_open() || self.whole().is_open();
        self.content && (self.is_calm() || (settled && !is_turning))
    }

    /// What the user sees now, microseconds.
    fn seen(&self, area: u32) -> u32 {
        self.walk.fabric.to_vm(area, self.entry, self.vm)
    }

    /// The entry that (5.1)-(5.3) has in place of the present one, by the means over the window; and what is measured
    /// of both, milliseconds.
    fn better(&self, number: usize, now: Span) -> Option<(usize, (f64, f64))> {
        let stay = self.stays[number];
        if now.0 >= stay.from.0 + self.window.0 || number == 0 {
            return self.walk.better(stay.area, (self.entry, self.vm));
        }
        let row = self.means(number, now);
        let (best, _) = optimizer::choose(&self.walk.rules.class, &row, Some(self.entry))?;
        let ms = |dc: usize| row[dc].map_or(f64::NAN, |[rtt, ..]| millis(rtt));
        (best != self.entry).then(|| (best, (ms(self.entry), ms(best))))
    }

    /// The mean over the window's probes of each data centre, across the areas the user was in.
    fn means(&self, number: usize, now: Span) -> Vec<Measured> {
        let fabric = self.walk.fabric;
        let from = now.0.saturating_sub(self.window.0);
        let mut sums = vec![0_u64; fabric.dcs().len()];
        let mut samples = 0;
        for stay in self.stays[..=number].iter().rev() {
            let (first, end) = (stay.from.0.max(from), stay.to.0.min(now.0 + 1));
            if first >= end {
                break;
            }
            // Probes at multiples of S''' in first..end.
            let probes = end.div_ceil(self.probe.0) - first.div_ceil(self.probe.0);
            samples += probes;
            for (sum, measured) in sums.iter_mut().zip(fabric.row(stay.area)) {
                *sum += probes * measured.map_or(0, |[rtt, ..]| u64::from(rtt));
            }
        }
        let onward = |dc: usize| match self.walk.best.watched {
            Watched::Leg => 0,
            Watched::Way => fabric.trunk(dc, self.vm),
        };
        let mean = |(dc, sum): (usize, u64)| {
            let leg = sum.checked_div(samples)?;
            only_rtt((leg as u32).saturating_add(onward(dc)))
        };
        sums.into_iter().enumerate().map(mean).collect()
    }

    /// Entry or VM is another: its link was probed all the time, so its level is made of what was measured lately. A
    /// whole way is watched anew, as the live engine does it.
    fn relive(&mut self, number: usize, now: Span) {
        let walk = self.walk;
        let mut level = walk.level(self.window);
        let mut way = self.way.as_ref().map(|_| walk.level(self.window));
        // A slot, the hold, and what the statistics of either look back on.
        let reach = 2 + u64::from(walk.rules.hold());
        let first = now.0.saturating_sub(reach * self.window.0).div_ceil(self.probe.0);
        let start = self
            .stays
            .first()
            .map_or(0, |stay| stay.from.0.div_ceil(self.probe.0));
        let mut at = self.stays[..=number].partition_point(|stay| stay.to.0 <= first * self.probe.0);
        for step in first.max(start)..=now.0 / self.probe.0 {
            let moment = Span(step * self.probe.0);
            while at < number && self.stays[at].to <= moment {
                at += 1;
            }
            let area = self.stays[at].area;
            level.take(walk.fabric.leg(area, self.entry), T0 + moment);
            if let Some(way) = &mut way {
                way.take(walk.fabric.to_vm(area, self.entry, self.vm), T0 + moment);
            }
        }
        (self.level, self.way) = (level, way);
    }
}
