//! Slots that are shares of the stay: each stay is a slot S' of its own, as Figures 5.14 and 5.15 sweep it.
//!
//! Between two moves nothing changes for the user within a stay, so the statistic over any part of it is the round
//! trip itself, and the slot rule comes down to comparing it at the slot's end.

use pacao_core::alone::Calm;
use proto::Span;

use super::{MIGRATION, Moves, Scheme, T0, Walk, millis};
use crate::tally::Tally;
use crate::trace::Trace;

impl Walk<'_> {
    pub(super) fn by_stay(
        &self,
        (mut entry, mut vm): (usize, usize),
        trace: &Trace,
        (decide, settle): (f64, f64),
        rtt: &mut Tally,
    ) -> Moves {
        let mut moves = Moves::default();
        let mut calm = Calm::default();
        let bound = self.rules.bound_us();
        for stay in trace.stays() {
            let to_vm = |entry, vm| self.fabric.to_vm(stay.area, entry, vm);
            let mut now = stay.from;
            let mut spend = |until: Span, seen: u32| {
                let until = until.min(stay.to);
                if until > now {
                    rtt.add(seen, Span(until.0 - now.0));
                    now = until;
                }
            };
            if to_vm(entry, vm) <= bound {
                spend(stay.to, to_vm(entry, vm));
                continue;
            }
            let slot = (stay.length().0 as f64 * decide) as u64;
            let decided = Span(stay.from.0 + slot);
            spend(decided, to_vm(entry, vm));
            let best = self.best.entry(stay.area, entry);
            let legs = [entry, best].map(|dc| millis(self.fabric.leg(stay.area, dc)));
            if best != entry && calm.lets_pass((legs[0], legs[1]), self.rules.policy(), T0 + decided) {
                calm.moved(self.rules.policy(), T0 + decided);
                entry = best;
                moves.switches += 1;
            }
            let settled = Span(decided.0 + (slot as f64 * settle) as u64);
            spend(settled, to_vm(entry, vm));
            let total = to_vm(entry, vm);
            if self.scheme == Scheme::Pacao2
                && settled < stay.to
                && total > bound
                && let Some((to, expected)) = self.home(stay.area, vm, total)
                && self.gains((total, expected))
            {
                spend(Span(settled.0 + MIGRATION.0), total);
                moves.migrations += 1;
                (entry, vm) = (to, to);
            }
            spend(stay.to, to_vm(entry, vm));
        }
        moves
    }

    /// The VM follows the entry within the same procedure: the cool-down after the switch is not held against it, the
    /// least gain is.
    pub(super) fn gains(&self, (total, expected): (u32, u32)) -> bool {
        Calm::default().lets_pass((millis(total), millis(expected)), self.rules.policy(), T0)
    }
}
