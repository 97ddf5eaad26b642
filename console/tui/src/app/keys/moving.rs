//! From pane to pane, and within them.

use crate::app::App;
use crate::layout::PaneKind;

impl App {
    /// Back to the first pane, at its live end.
    pub(super) fn home(&mut self) {
        self.focus = self.focusable().first().copied().unwrap_or(PaneKind::Links);
        (self.log_back, self.rlocs_down, self.proposal) = (0, 0, None);
        self.policy_at = None;
    }

    pub(super) fn focus(&mut self, by: isize) {
        let panes = self.focusable();
        let at = panes
            .iter()
            .position(|pane| *pane == self.focus)
            .and_then(|at| isize::try_from(at).ok());
        let next = at.unwrap_or(-1) + by;
        let count = isize::try_from(panes.len()).unwrap_or(0).max(1);
        let next = usize::try_from(next.rem_euclid(count)).unwrap_or(0);
        if let Some(pane) = panes.get(next) {
            self.focus = *pane;
        }
    }

    /// Rows of the pane with the focus.
    pub(super) fn page(&self) -> usize {
        let placed = self
            .layout()
            .map(|layout| layout.place(self.screen()))
            .unwrap_or_default();
        let pane = placed.iter().find(|placed| placed.pane.kind == self.focus);
        pane.map_or(10, |placed| usize::from(placed.inside().height.saturating_sub(1)))
            .max(1)
    }

    pub(super) fn scroll(&mut self, movement: Movement) {
        match self.focus {
            PaneKind::Links => {
                let last = self.table.order.len().saturating_sub(1);
                let to = movement.from(self.table.position(), last);
                self.table.move_to(to);
                self.rlocs_down = 0;
            }
            PaneKind::Proposals => {
                let Some(world) = self.shown() else { return };
                let ids: Vec<_> = world
                    .proposals_by_urgency()
                    .iter()
                    .map(|proposal| proposal.id)
                    .collect();
                let at = self.selected_proposal().map(|proposal| proposal.id);
                let at = ids.iter().position(|id| Some(*id) == at).unwrap_or(0);
                self.proposal = ids.get(movement.from(at, ids.len().saturating_sub(1))).copied();
            }
            PaneKind::Log => {
                let last = self.shown().map_or(0, |world| world.log.len().saturating_sub(1));
                self.log_back = movement.from(self.log_back, last);
            }
            PaneKind::NodeLog => {
                let last = self.looks.messages.len().saturating_sub(1);
                // Newest last: up is back.
                let movement = match movement {
                    Movement::Up(by) => Movement::Down(by),
                    Movement::Down(by) => Movement::Up(by),
                    Movement::First => Movement::Last,
                    Movement::Last => Movement::First,
                };
                self.looks.back = movement.from(self.looks.back, last);
            }
            PaneKind::Policy => {
                let items = self.policy_items();
                let at = self.policy_item();
                let at = items
                    .iter()
                    .position(|item| Some(item) == at.as_ref())
                    .unwrap_or(0);
                self.policy_at = items
                    .get(movement.from(at, items.len().saturating_sub(1)))
                    .cloned();
            }
            PaneKind::Rlocs => {
                let user = self.table.selected().map(|link| link.user.clone());
                let rows = user
                    .and_then(|user| self.shown()?.rlocs.get(&user))
                    .map_or(0, Vec::len);
                self.rlocs_down = movement.from(self.rlocs_down, rows.saturating_sub(1));
            }
            _ => {}
        }
    }
}

/// A movement.
#[derive(Clone, Copy)]
pub(super) enum Movement {
    Up(usize),
    Down(usize),
    First,
    Last,
}

impl Movement {
    pub(super) fn from(self, at: usize, last: usize) -> usize {
        match self {
            Self::Up(by) => at.saturating_sub(by),
            Self::Down(by) => at.saturating_add(by).min(last),
            Self::First => 0,
            Self::Last => last,
        }
    }
}
