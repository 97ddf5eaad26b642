//! A slot held against the bounds: kept, broken, or out of them only by what is over.

use proto::{Span, Timestamp};

use super::window::{Window, per_million};
use super::{Link, Slot, next_jitter16};
use crate::config::Statistic;
use crate::monitor::limits::Limits;
use crate::monitor::outcome::Outcome;
use crate::monitor::statistic;
use crate::optimizer::criteria::LINK;

/// What is bad about a link's samples is over if so few of all its possible orders, in parts of a hundred, would
/// leave the latest samples as good as they are.
const CHANCE: f64 = 0.05;

/// In the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Kept,
    /// The statistic is out of its bound only because of samples that are over.
    Lagging,
    Broken,
}

impl Link {
    /// How a slot that opened at `since` stands against bounds that are not the class's own.
    pub(crate) fn held_against(
        &self,
        bound: &[u32; LINK],
        since: Timestamp,
        (now, limits): (Timestamp, &Limits),
    ) -> Verdict {
        self.verdict(Slot::since(since), now, (bound, limits))
    }

    pub(super) fn verdict(
        &self,
        slot: Slot,
        now: Timestamp,
        (bound, limits): (&[u32; LINK], &Limits),
    ) -> Verdict {
        self.window(now, limits).verdict(slot, (bound, limits))
    }
}

impl Window {
    fn verdict(&self, slot: Slot, (bound, limits): (&[u32; LINK], &Limits)) -> Verdict {
        let after_opening = self.since(slot.at() + Span(1));
        self.rtt_verdict(limits, bound[0])
            .max(self.jitter_verdict(after_opening, limits, bound[1]))
            .max(self.loss_verdict(after_opening, limits, bound[2]))
            .max(self.downtime_verdict(limits, bound[3]))
    }

    fn rtt_verdict(&self, limits: &Limits, bound: u32) -> Verdict {
        let recent = limits.enough() as usize;
        match self.rtt_statistic(limits.statistics[0]) {
            Some(rtt) if rtt > bound => {
                let last = self.outcomes().rev().filter_map(Outcome::at_least);
                if last.take(recent).any(|rtt| rtt > bound) {
                    Verdict::Broken
                } else {
                    Verdict::Lagging
                }
            }
            _ => Verdict::Kept,
        }
    }

    /// The jitter of the slot's own samples: the step into the slot does not count, or a single spike would
    /// look like jitter for half a slot.
    fn jitter_verdict(&self, count: usize, limits: &Limits, bound: u32) -> Verdict {
        let mut jitter16 = 0;
        let mut calm_steps = usize::MAX;
        for step in self.steps(count) {
            jitter16 = next_jitter16(jitter16, step);
            calm_steps = if step > bound {
                0
            } else {
                calm_steps.saturating_add(1)
            };
        }
        let jitter = match limits.statistics[1] {
            Statistic::Mean => jitter16 >> 4,
            other => statistic::of(self.steps(count), other).map_or(0, u64::from),
        };
        match (jitter > u64::from(bound), calm_steps < limits.enough() as usize) {
            (false, _) => Verdict::Kept,
            (true, false) => Verdict::Lagging,
            (true, true) => Verdict::Broken,
        }
    }

    /// One lost probe is forgiven besides the one that opened the slot: with few probes it would be a large share.
    fn loss_verdict(&self, after_opening: usize, limits: &Limits, bound: u32) -> Verdict {
        let lost = |count: usize| self.last(count).filter(|outcome| outcome.is_lost()).count();
        if limits.parts <= 1 {
            let out = per_million(lost(after_opening).saturating_sub(1), after_opening) > bound;
            return self.unless_over(out, (after_opening, Outcome::is_lost), limits);
        }
        // Probes may be lost further apart than S': over several parts, all of them count.
        let share = self.share(limits, (limits.statistics[2], Outcome::is_lost));
        let out = share > bound && lost(self.len()) > 2;
        self.unless_over(out, (self.len(), Outcome::is_lost), limits)
    }

    fn downtime_verdict(&self, limits: &Limits, bound: u32) -> Verdict {
        let down = self.share(limits, (limits.statistics[3], Outcome::was_down));
        self.unless_over(down > bound, (self.len(), Outcome::was_down), limits)
    }

    /// Of a share that is out of its bound, whether what makes it up is over.
    ///
    /// Neither loss nor downtime shows in every sample, so that the latest few tell less than those of a round trip
    /// do: how many have to be good goes by how many were bad. With `bad` of `all` at random places, the chance that
    /// the latest `good` are none of them is C(all - good, bad) / C(all, bad).
    pub(super) fn unless_over(
        &self,
        out_of_bound: bool,
        (count, is_bad): (usize, fn(Outcome) -> bool),
        limits: &Limits,
    ) -> Verdict {
        if !out_of_bound {
            return Verdict::Kept;
        }
        let bad = self.last(count).filter(|&outcome| is_bad(outcome)).count();
        let latest = self.last(count).rev();
        // One that is still out may be lost yet.
        let good = latest
            .take_while(|outcome| outcome.rtt().is_some() && !is_bad(*outcome))
            .count();
        if good >= limits.enough() as usize && is_over(good, bad, count) {
            Verdict::Lagging
        } else {
            Verdict::Broken
        }
    }
}

/// Whether it would be strange that the latest `good` of `all` samples are good if the `bad` ones came by chance.
fn is_over(good: usize, bad: usize, all: usize) -> bool {
    let mut chance = 1.0;
    for at in 0..bad {
        if chance < CHANCE {
            return true;
        }
        let left = all.saturating_sub(at);
        chance *= left.saturating_sub(good) as f64 / left.max(1) as f64;
    }
    chance < CHANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many samples in a row have to be good.
    fn needed(bad: usize, all: usize) -> usize {
        (0..=all - bad).find(|&good| is_over(good, bad, all)).unwrap()
    }

    #[test]
    fn the_more_was_lost_the_fewer_good_probes_show_that_it_is_over() {
        let of_twenty: Vec<usize> = [2, 3, 5, 10].map(|bad| needed(bad, 20)).into();
        assert_eq!(of_twenty, [16, 12, 9, 4]);
        assert_eq!(needed(12, 240), 52, "5 % over two minutes");
    }

    #[test]
    fn chance_is_that_of_the_orders_counted_one_by_one() {
        let all = 12_u32;
        for bad in 1..5 {
            for good in 0..=all - bad {
                let orders = (0_u32..1 << all).filter(|order| order.count_ones() == bad);
                let (as_good, any) = orders.fold((0, 0), |(as_good, any), order| {
                    (as_good + u32::from(order.trailing_zeros() >= good), any + 1)
                });
                let strange = f64::from(as_good) / f64::from(any) < CHANCE;
                assert_eq!(
                    is_over(good as usize, bad as usize, all as usize),
                    strange,
                    "{good} good after {bad} of {all}"
                );
            }
        }
    }
}
