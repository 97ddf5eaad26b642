//! What consoles are shown of policy.

use proto::policy::{BudgetRow, Damping, DrainRow, FlapKey, FlapRow, ModeRow, PolicyRow, Source, WindowRow};
use proto::{Notice, Span, Timestamp};

use super::Engine;
use crate::Effect;
use crate::config::WindowKind;
use crate::fabric::{Dc, LinkIx, PairIx};
use crate::outbox::Outbox;
use crate::policy::damping::Flap;
use crate::policy::windows;

/// Gauges are not told more often.
const AT_MOST_EVERY: Span = Span::secs(1);
/// Rows of the flap ledger shown.
const FLAPS: usize = 100;
/// Penalties below this are not shown: thousandths of what a flap adds.
const FAINT: u64 = 1_000_000;

impl Engine {
    /// Consoles are to be told at once.
    pub(crate) fn policy_changed(&mut self) {
        self.calm.untold = true;
        self.calm.told_at = Timestamp::default();
    }

    /// When consoles are to be told of what has changed, or a window opens or closes.
    pub(super) fn policy_due(&self) -> Option<Timestamp> {
        let told = self.calm.untold.then(|| self.calm.told_at + AT_MOST_EVERY);
        told.into_iter().chain(self.calm.window_at).min()
    }

    pub(super) fn tell_policy(&mut self, out: &mut Outbox) {
        let now = out.now;
        if self.calm.window_at.is_none_or(|at| at <= now) && !self.fabric.config.calm.windows.is_empty() {
            let rows = self.window_rows(now);
            // A window that never changes again is looked at once an hour, so that a finite table is no matter.
            let next = rows.iter().filter_map(|row| row.changes_at).min();
            self.calm.window_at = Some(next.unwrap_or(now + Span::secs(3600)).max(now + Span::secs(1)));
            self.calm.untold = true;
        }
        if !self.calm.untold || now < self.calm.told_at + AT_MOST_EVERY {
            return;
        }
        self.calm.untold = false;
        self.calm.told_at = now;
        let row = self.policy_row(now);
        out.push(Effect::Notify {
            notice: Notice::Policy { row },
        });
    }

    pub(super) fn policy_row(&self, now: Timestamp) -> PolicyRow {
        PolicyRow {
            arming: self.arming_shown(),
            modes: self.mode_rows(),
            budgets: self.budget_rows(now),
            flaps: self.flap_rows(now),
            damping: self.damping(),
            drains: self.drain_rows(),
            windows: self.window_rows(now),
            autonomy: self.autonomy_rows(now),
        }
    }

    fn mode_rows(&self) -> Vec<ModeRow> {
        let set = |scope| self.calm.modes.iter().any(|(known, _)| known == scope);
        let mut rows: Vec<ModeRow> = self
            .scoped_modes()
            .map(|(scope, mode)| ModeRow {
                scope: scope.clone(),
                mode,
                source: if set(scope) {
                    Source::Runtime
                } else {
                    Source::Session
                },
            })
            .collect();
        rows.sort_by(|a, b| a.scope.cmp(&b.scope));
        rows
    }

    fn budget_rows(&self, now: Timestamp) -> Vec<BudgetRow> {
        let budgets = 0..=self.fabric.config.calm.budgets.len() as u16;
        let row = |budget| {
            let [concurrent, per_hour, users_per_hour, users_seconds] =
                self.calm.spending.gauges(&self.fabric, budget, now);
            BudgetRow {
                name: self.budget_name(budget),
                concurrent,
                per_hour,
                users_per_hour,
                users_seconds,
            }
        };
        budgets.map(row).collect()
    }

    fn damping(&self) -> Damping {
        let damp = &self.fabric.config.calm.damp;
        Damping {
            penalty: damp.penalty,
            half_life: damp.half_life,
            suppress: damp.suppress,
            reuse: damp.reuse,
        }
    }

    fn flap_rows(&self, now: Timestamp) -> Vec<FlapRow> {
        let entry = |(&ix, flap): (&PairIx, &Flap)| {
            let key = FlapKey::Entry {
                user: self.fabric.user_name(ix).clone(),
                vm: self.fabric.vm_of(ix).name.clone(),
            };
            (key, *flap)
        };
        let locator = |(&ix, flap): (&LinkIx, &Flap)| {
            let link = self.fabric.link_id(ix);
            let key = FlapKey::Locator {
                user: link.user,
                dc: link.dc,
            };
            (key, *flap)
        };
        let flaps = &self.calm.flaps;
        let damp = &self.fabric.config.calm.damp;
        let mut all: Vec<(u64, FlapKey, Flap)> = flaps
            .entries
            .iter()
            .map(entry)
            .chain(flaps.locators.iter().map(locator))
            .map(|(key, flap)| (flap.penalty(damp, now), key, flap))
            .filter(|(penalty, _, _)| *penalty >= FAINT)
            .collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        all.truncate(FLAPS);
        let row = |(_, key, flap): (u64, FlapKey, Flap)| {
            let (penalty, at) = flap.last();
            FlapRow {
                key,
                penalty,
                at,
                flaps: flap.flaps(),
                release_at: flap.suppressed_until(now),
            }
        };
        all.into_iter().map(row).collect()
    }

    fn drain_rows(&self) -> Vec<DrainRow> {
        let row = |dc: Dc, by, rule| DrainRow {
            dc: self.fabric.sites[dc.at()].name.clone(),
            by,
            rule,
            left: self.entering(dc),
        };
        let drained = &self.fabric.scopes.drained;
        let session = drained
            .keys()
            .map(|&dc| row(dc, None, self.drained_by_session(dc)));
        let asked = self
            .calm
            .drains
            .iter()
            .map(|drain| row(drain.dc, Some(drain.by.clone()), None));
        session.chain(asked).collect()
    }

    fn window_rows(&self, now: Timestamp) -> Vec<WindowRow> {
        let row = |window: &crate::config::Window| {
            let (on, changes_at) = windows::state(window, now);
            WindowRow {
                name: window.name.clone(),
                denies: window.kind == WindowKind::Deny,
                on,
                changes_at,
            }
        };
        self.fabric.config.calm.windows.iter().map(row).collect()
    }
}
