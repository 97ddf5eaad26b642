//! The executor's gates: whoever wants something moved comes by here, at the moment it is to happen. A planner may
//! ask too, but only a [`Pass`] lets [`Engine::depart`] go, and only [`Engine::admit`] gives one.

use proto::policy::{Arming, Disarmed, FlapKey, Hold, Scope};
use proto::{Actor, Mode, Span, Timestamp};

use super::spending::{Flying, Full};
use super::{Need, windows};
use crate::Engine;
use crate::config::{OnFailure, Window, WindowKind};
use crate::fabric::{Dc, PairIx};

/// That every gate was passed, at this very input.
#[derive(Debug)]
pub(crate) struct Pass(Flying);

impl Pass {
    /// What is to be counted against the budgets.
    pub(crate) fn flying(&self) -> Flying {
        self.0
    }
}

/// Whether rules, windows and budgets hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glass {
    /// They do.
    Whole,
    /// Staff gave a reason to pass them by.
    Broken,
}

/// A move somebody wants to begin now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) ix: PairIx,
    pub(crate) to: Dc,
    pub(crate) need: Need,
    pub(crate) by: &'a Actor,
    pub(crate) glass: Glass,
    /// It would have to prove itself.
    pub(crate) proves: bool,
}

impl Engine {
    /// Whether the engine may begin a move now, its own or one that a drain orders, and if not, why.
    pub(crate) fn admit(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Pass, Hold> {
        self.may_act(ask, now)?;
        self.is_warm(ask.ix, now)?;
        self.pass(ask, now)
    }

    /// Whether a move that somebody asks for at this moment may begin now: whoever looks need not wait until the
    /// engine has seen a whole window.
    pub(crate) fn admit_by_hand(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Pass, Hold> {
        self.may_act(ask, now)?;
        self.pass(ask, now)
    }

    fn may_act(&self, ask: &Ask<'_>, now: Timestamp) -> Result<(), Hold> {
        self.is_armed(ask.by)?;
        self.mode_lets(ask, now)
    }

    /// The gates that are the same for all.
    fn pass(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Pass, Hold> {
        if *ask.by == Actor::Engine {
            self.is_calm(ask, now)?;
        }
        self.is_alone(ask.ix)?;
        if ask.glass == Glass::Whole {
            self.may_enter(ask.ix, ask.to)?;
            self.is_open(ask.ix, ask.need, now)?;
            self.has_room(ask, now)?;
        }
        Ok(Pass(self.flying(ask, now)))
    }

    /// Whether a switch may be undone now: what holds only the engine's own wishes back does not count, nor the mode
    /// having been lowered since to one in which staff decide, for whoever approved it approved this as well.
    pub(crate) fn admit_undo(&self, ask: &Ask<'_>, now: Timestamp) -> Result<Pass, Hold> {
        self.is_armed(ask.by)?;
        let (mode, scope) = self.mode_of(ask.ix, Some(ask.to));
        if mode == Mode::Observe {
            return Err(Hold::Mode { mode, scope });
        }
        self.is_alone(ask.ix)?;
        self.may_enter(ask.ix, ask.to)?;
        self.is_open(ask.ix, ask.need, now)?;
        self.has_room(ask, now)?;
        Ok(Pass(self.flying(ask, now)))
    }

    /// The mode that holds for a move of an entry to `to` (or for the entry as it is), and whose it is. The most
    /// specific scope wins; of two equally specific ones, the more cautious mode.
    pub(crate) fn mode_of(&self, ix: PairIx, to: Option<Dc>) -> (Mode, Scope) {
        let mut best: Option<(u8, Mode, &Scope)> = None;
        for (scope, mode) in self.scoped_modes() {
            let Some(rank) = self.rank(scope, ix, to) else {
                continue;
            };
            let wins =
                best.is_none_or(|(least, cautious, _)| rank > least || (rank == least && mode < cautious));
            if wins {
                best = Some((rank, mode, scope));
            }
        }
        best.map_or((self.mode, Scope::All), |(_, mode, scope)| (mode, scope.clone()))
    }

    /// Modes of parts of the fabric; what was set while the engine ran hides what the session says of the same.
    pub(crate) fn scoped_modes(&self) -> impl Iterator<Item = (&Scope, Mode)> {
        let set = &self.calm.modes;
        let session = &self.fabric.config.calm.modes;
        let hidden = move |scope: &Scope| set.iter().any(|(known, _)| known == scope);
        set.iter().map(|(scope, mode)| (scope, *mode)).chain(
            session
                .iter()
                .filter(move |at| !hidden(&at.scope))
                .map(|at| (&at.scope, at.mode)),
        )
    }

    /// How specific a scope is if it fits.
    fn rank(&self, scope: &Scope, ix: PairIx, to: Option<Dc>) -> Option<u8> {
        let (fits, rank) = match scope {
            Scope::All => (true, 0),
            Scope::Dc { dc } => {
                let named = |at: Dc| self.fabric.sites[at.at()].name == *dc;
                (named(self.pairs[ix.at()].entry()) || to.is_some_and(named), 1)
            }
            Scope::Tenant { tenant } => {
                let config = &self.fabric.config;
                let user = config
                    .users
                    .get(self.fabric.user_name(ix))
                    .map(|user| &user.traits);
                let vm = config.vms.get(&self.fabric.vm_of(ix).name).map(|vm| &vm.traits);
                let mut traits = user.into_iter().chain(vm);
                (traits.any(|traits| traits.tenant.as_ref() == Some(tenant)), 2)
            }
            Scope::Vm { vm } => (self.fabric.vm_of(ix).name == *vm, 3),
            Scope::User { user } => (self.fabric.user_name(ix) == user, 4),
        };
        fits.then_some(rank)
    }

    fn is_armed(&self, by: &Actor) -> Result<(), Hold> {
        if self.calm.unrecorded.is_some() {
            return Err(Hold::Unrecorded);
        }
        match &self.calm.arming {
            Arming::Disarmed { how, .. } if *how == Disarmed::Freeze || *by == Actor::Engine => {
                Err(Hold::Disarmed { how: *how })
            }
            Arming::Armed | Arming::Disarmed { .. } => Ok(()),
        }
    }

    fn mode_lets(&self, ask: &Ask<'_>, now: Timestamp) -> Result<(), Hold> {
        let (mode, scope) = self.mode_of_move(ask.ix, ask.to, now);
        let least = if *ask.by == Actor::Engine {
            Mode::Auto
        } else {
            Mode::Recommend
        };
        if mode >= least {
            Ok(())
        } else {
            Err(Hold::Mode { mode, scope })
        }
    }

    /// A restart is not a trigger, whoever ordered what is still to be done.
    pub(crate) fn is_warm(&self, ix: PairIx, now: Timestamp) -> Result<(), Hold> {
        let until = self.armed_at(ix);
        if now < until {
            return Err(Hold::Warming { until });
        }
        Ok(())
    }

    /// What holds the engine itself back, and not staff.
    pub(crate) fn is_calm(&self, ask: &Ask<'_>, now: Timestamp) -> Result<(), Hold> {
        let user = || self.fabric.user_name(ask.ix).clone();
        if let Some(until) = self.calm.flaps.entry_until(ask.ix, now) {
            let vm = self.fabric.vm_of(ask.ix).name.clone();
            return Err(Hold::Damped {
                key: FlapKey::Entry { user: user(), vm },
                until,
            });
        }
        let gates = &self.pairs[ask.ix.at()].gates;
        match gates.cools_until(ask.need, now) {
            Some(until) => Err(Hold::CoolDown { user: user(), until }),
            None => Ok(()),
        }
    }

    /// One thing at a time for one user.
    fn is_alone(&self, ix: PairIx) -> Result<(), Hold> {
        let flying = |ix: PairIx| self.pairs[ix.at()].flight.is_some();
        if flying(ix) || self.siblings(ix).any(flying) {
            let user = self.fabric.user_name(ix).clone();
            return Err(Hold::InFlight { user });
        }
        Ok(())
    }

    /// Deny windows, then allow windows. Told is the one that denies longest, or the one that allows first.
    fn is_open(&self, ix: PairIx, need: Need, now: Timestamp) -> Result<(), Hold> {
        // A window that never changes, as far as is known, changes after all others.
        let changes = |&(_, at): &(&Window, Option<Timestamp>)| (at.is_none(), at);
        let (mut denying, mut allowing, mut allowed) = (Vec::new(), Vec::new(), false);
        let all = &self.fabric.config.calm.windows;
        let own = self.fabric.scopes.windows(ix).iter();
        for window in own.filter_map(|&at| all.get(usize::from(at))) {
            if need == Need::Hard && window.on_failure == OnFailure::Move {
                continue;
            }
            let (on, changes_at) = windows::state(window, now);
            match (window.kind, on) {
                (WindowKind::Deny, true) => denying.push((window, changes_at)),
                (WindowKind::Allow, true) => allowed = true,
                (WindowKind::Allow, false) => allowing.push((window, changes_at)),
                (WindowKind::Deny, false) => {}
            }
        }
        let first = allowing.into_iter().min_by_key(changes).filter(|_| !allowed);
        match denying.into_iter().max_by_key(changes).or(first) {
            Some((window, until)) => Err(Hold::Window {
                window: window.name.clone(),
                until,
            }),
            None => Ok(()),
        }
    }

    fn has_room(&self, ask: &Ask<'_>, now: Timestamp) -> Result<(), Hold> {
        let flying = self.flying(ask, now);
        self.calm
            .spending
            .room(&self.fabric, ask.ix, &flying)
            .map_err(|full| {
                let Full {
                    budget,
                    limit,
                    gauge,
                    until,
                } = full;
                Hold::Budget {
                    budget: self.budget_name(budget),
                    limit,
                    gauge,
                    until,
                }
            })
    }

    /// A move that begins now, with the longest it may take.
    fn flying(&self, ask: &Ask<'_>, now: Timestamp) -> Flying {
        Flying {
            from: self.pairs[ask.ix.at()].entry(),
            to: ask.to,
            users: self.fabric.users[self.fabric.pairs[ask.ix.at()].user as usize].size,
            at: now,
            until: now + self.policy().confirm_within,
            proves: ask.proves && self.policy().prove_within > Span::ZERO,
        }
    }

    pub(crate) fn budget_name(&self, budget: u16) -> String {
        let scoped = usize::from(budget).checked_sub(1);
        let scoped = scoped.and_then(|at| self.fabric.config.calm.budgets.get(at));
        scoped.map_or_else(|| "all".to_owned(), |scoped| scoped.name.clone())
    }
}
