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
        let policy = self.rules.policy();
        let (mut calm, mut vm_calm) = (Calm::default(), Calm::default());
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
            if let Some((best, gain)) = self.better(stay.area, (entry, vm))
                && calm.lets_pass(gain, policy, T0 + decided)
            {
                calm.moved(policy, T0 + decided);
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
                && vm_calm.lets_pass((millis(total), millis(expected)), policy, T0 + settled)
            {
                let done = Span(settled.0 + MIGRATION.0);
                spend(done, total);
                vm_calm.moved(policy, T0 + done);
                moves.migrations += 1;
                (entry, vm) = (to, to);
            }
            spend(stay.to, to_vm(entry, vm));
        }
        moves
    }
}
