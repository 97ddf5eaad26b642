//! The decision ladder: do nothing, switch, add a subflow, migrate; side by side, the cheapest that is enough picked.
//!
//! Figures are estimates from measurements. What nothing is known of is `None`, and what has no executor in this
//! engine is shown with the reason and never picked.

use proto::why::{Rung, RungKind};
use proto::{Span, Timestamp};

use crate::Engine;
use crate::fabric::{Dc, PairIx};
use crate::optimizer::criteria::{K, Measures};
use crate::optimizer::placement;

/// Bytes of one locator in a message (RFC 9301 section 5.4, IPv4), and of a whole Change-Priority without them:
/// headers, authentication and one record.
const LOCATOR: u64 = 12;
const MESSAGE: u64 = 108;

/// The cheapest rung that can be done and is enough; if none is, the cheapest of those that gain most; else the first.
/// Who `leaves`, since the entry is dead, is to be left, or is left for another anyway, does not do nothing while anything
/// else can be done.
///
/// `rungs` come the cheapest first and the first is to do nothing.
pub fn pick(rungs: &[Rung], leaves: bool) -> usize {
    let can = |rung: &Rung| rung.unavailable.is_none();
    let enough = |rung: &Rung| can(rung) && rung.enough == Some(true);
    if let Some(enough) = rungs.iter().position(enough) {
        return enough;
    }
    let gain = |rung: &Rung| rung.gain_user_ms.unwrap_or(0.0);
    let mut best = 0;
    for (at, rung) in rungs.iter().enumerate().skip(1) {
        if can(rung) && ((leaves && best == 0) || gain(rung) > rungs.get(best).map_or(0.0, gain)) {
            best = at;
        }
    }
    best
}

impl Engine {
    /// What could be done about an entry, if it were to go to `to`.
    pub(crate) fn ladder(&self, ix: PairIx, to: Dc, now: Timestamp) -> Vec<Rung> {
        vec![
            self.doing_nothing(ix, now),
            self.switching(ix, to, now),
            self.adding_a_subflow(ix, now),
            self.migrating(ix, now),
        ]
    }

    fn keeps(&self, ix: PairIx, measured: Option<&Measures>) -> Option<bool> {
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        measured.map(|measured| class.keeps(measured))
    }

    /// Milliseconds of round trip that a user saves at `to`, times the users behind it.
    fn saved(&self, ix: PairIx, to: Option<&Measures>, now: Timestamp) -> Option<f64> {
        let present = self.measured(ix, self.pairs[ix.at()].entry(), now)?;
        let saved = (f64::from(present[0]) - f64::from(to?[0])) / 1e3;
        Some(saved * self.size(ix) as f64)
    }

    fn doing_nothing(&self, ix: PairIx, now: Timestamp) -> Rung {
        let present = self.measured(ix, self.pairs[ix.at()].entry(), now);
        // Where a rule or a drain wants it away, well measured is not well.
        let stays = self.must_leave(ix).is_none();
        let keeps = self.keeps(ix, present.as_ref()).unwrap_or(false);
        Rung {
            kind: RungKind::Nothing,
            to: None,
            enough: Some(stays && keeps),
            gain_user_ms: Some(0.0),
            downtime: Some(Span::ZERO),
            bytes: Some(0),
            users_at_risk: 0,
            revert_in: Some(Span::ZERO),
            unavailable: None,
        }
    }

    /// Both entries forward during a switch: no downtime. Told to every forwarder and, with an answer, to the user.
    fn switching(&self, ix: PairIx, to: Dc, now: Timestamp) -> Rung {
        let measured = self.measured(ix, to, now);
        let message = MESSAGE + LOCATOR * self.fabric.sites.len() as u64;
        let unavailable = if to == self.pairs[ix.at()].entry() {
            Some("it enters there already".to_owned())
        } else if measured.is_none() {
            Some(self.unusable(ix, to))
        } else if self.teller(to).is_none() {
            Some("no forwarder is connected to tell the user".to_owned())
        } else {
            self.may_enter(ix, to).err().map(|hold| hold.to_string())
        };
        Rung {
            kind: RungKind::Switch,
            to: Some(self.fabric.sites[to.at()].name.clone()),
            enough: self.keeps(ix, measured.as_ref()),
            gain_user_ms: self.saved(ix, measured.as_ref(), now),
            downtime: Some(Span::ZERO),
            bytes: Some(2 * message),
            users_at_risk: self.size(ix),
            revert_in: measured.map(|measured| Span(measured[0].into())),
            unavailable,
        }
    }

    /// With a subflow over every entry, traffic goes by the best of them (thesis chapter 6).
    fn adding_a_subflow(&self, ix: PairIx, now: Timestamp) -> Rung {
        let all = self.allowed(ix, self.need(ix), &self.all_measured(ix, now), now);
        let best = all.iter().flatten().min_by_key(|measured| measured[0]);
        let some_keep = all
            .iter()
            .flatten()
            .any(|measured| self.keeps(ix, Some(measured)) == Some(true));
        Rung {
            kind: RungKind::Subflow,
            to: None,
            enough: best.map(|_| some_keep),
            gain_user_ms: self.saved(ix, best, now),
            downtime: Some(Span::ZERO),
            bytes: None,
            users_at_risk: 0,
            revert_in: Some(Span::ZERO),
            unavailable: Some("no MPTCP daemon is connected at the user's host".to_owned()),
        }
    }

    /// The best place for all users of the VM, by (5.1)-(5.3).
    pub(crate) fn migrating(&self, ix: PairIx, now: Timestamp) -> Rung {
        let (at, vm) = (self.fabric.pairs[ix.at()].vm, self.fabric.vm_of(ix));
        let members = self.members(at, now);
        let place = placement::choose(&members, vm.home.map(Dc::at), vm.shared);
        let to = place
            .map(|(at, _)| Dc(at as u32))
            .filter(|&to| vm.home != Some(to));
        let users = self.fabric.pairs_with(at);
        let there =
            |member: &placement::Member<'_, K>, to: Dc| member.measured.get(to.at()).copied().flatten();
        let gain = to.and_then(|to| {
            users
                .iter()
                .zip(&members)
                .map(|(&user, member)| self.saved(user, there(member, to).as_ref(), now))
                .sum()
        });
        let enough = to.map(|to| {
            let keeps = |member: &placement::Member<'_, K>| {
                there(member, to).is_some_and(|measured| member.class.keeps(&measured))
            };
            members.iter().all(keeps)
        });
        let unavailable = match (place, to) {
            (None, _) => "rules and figures leave no data centre for all of its users".to_owned(),
            (Some(_), None) => format!("{} lives at the best place there is", vm.name),
            (Some(_), Some(_)) => "no hypervisor is connected to this engine".to_owned(),
        };
        Rung {
            kind: RungKind::Migrate,
            to: to.map(|to| self.fabric.sites[to.at()].name.clone()),
            enough,
            gain_user_ms: gain,
            downtime: None,
            bytes: Some(vm.demand.ram_mb.saturating_mul(1_000_000)).filter(|&bytes| bytes > 0),
            users_at_risk: users.iter().map(|&user| self.size(user)).sum(),
            revert_in: None,
            unavailable: Some(unavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rung(kind: RungKind, enough: Option<bool>, gain: Option<f64>, can: bool) -> Rung {
        Rung {
            kind,
            to: None,
            enough,
            gain_user_ms: gain,
            downtime: None,
            bytes: None,
            users_at_risk: 0,
            revert_in: None,
            unavailable: (!can).then(|| "no executor".to_owned()),
        }
    }

    proptest! {
        /// N1: never dearer than needed, and never what cannot be done.
        #[test]
        fn the_pick_is_the_cheapest_that_is_enough(
            given in prop::collection::vec((any::<Option<bool>>(), prop::option::of(-50.0..500.0_f64), any::<bool>()), 3),
            calm in any::<bool>(),
            leaves in any::<bool>(),
        ) {
            let kinds = [RungKind::Switch, RungKind::Subflow, RungKind::Migrate];
            let mut rungs = vec![rung(RungKind::Nothing, Some(calm), Some(0.0), true)];
            for (kind, (enough, gain, can)) in kinds.into_iter().zip(given) {
                rungs.push(rung(kind, enough, gain, can));
            }
            let picked = pick(&rungs, leaves);
            prop_assert!(rungs[picked].unavailable.is_none());
            for cheaper in &rungs[..picked] {
                prop_assert!(cheaper.unavailable.is_some() || cheaper.enough != Some(true), "a cheaper one was enough");
                // Without any that is enough, a dearer one is picked for more gain only, or to do anything at all.
                let gain = |rung: &Rung| rung.gain_user_ms.unwrap_or(0.0);
                prop_assert!(
                    rungs[picked].enough == Some(true)
                        || (leaves && cheaper.kind == RungKind::Nothing)
                        || cheaper.unavailable.is_some()
                        || gain(cheaper) < gain(&rungs[picked])
                );
            }
            let other = rungs[1..].iter().any(|rung| rung.unavailable.is_none());
            prop_assert!(!leaves || !other || picked > 0 || calm, "nothing is done for who leaves");
            let any = rungs.iter().any(|rung| rung.unavailable.is_none() && rung.enough == Some(true));
            prop_assert_eq!(any, rungs[picked].enough == Some(true) && rungs[picked].unavailable.is_none());
        }
    }
}
