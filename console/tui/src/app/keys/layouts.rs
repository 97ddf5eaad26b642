//! Which layout is on the screen.

use proto::Severity;

use crate::Effect;
use crate::app::{App, Visit};
use crate::layout::PaneKind;

/// Layouts with a key of their own; the key for the next layout passes them by.
const VISITED: [&str; 2] = ["policy", "node"];

impl App {
    /// Goes to a layout by its name, or back from it.
    pub(in crate::app) fn visit(&mut self, name: &str) -> Vec<Effect> {
        if self.layout().is_some_and(|layout| layout.name == name) {
            self.chosen = match std::mem::replace(&mut self.visit, Visit::None) {
                Visit::From(chosen) => chosen,
                // Begun with: there is nothing to go back to but what fits.
                Visit::None => None,
            };
            return self.laid_out();
        }
        let screen = self.screen();
        let found = self
            .layouts
            .iter()
            .position(|layout| layout.name == name && layout.fits(screen));
        let Some(found) = found else {
            let known = self.layouts.iter().find(|layout| layout.name == name);
            let text = known.map_or_else(|| format!("there is no layout '{name}'"), App::no_room);
            return self.say(Severity::Warning, text);
        };
        if self.visit == Visit::None {
            self.visit = Visit::From(self.chosen);
        }
        self.chosen = Some(found);
        self.laid_out()
    }

    /// The focus goes to a pane that is there.
    pub(in crate::app) fn settle_focus(&mut self) {
        let panes = self.focusable();
        if !panes.contains(&self.focus) {
            self.focus = panes.first().copied().unwrap_or(PaneKind::Links);
        }
    }

    fn laid_out(&mut self) -> Vec<Effect> {
        self.settle_focus();
        let name = self
            .layout()
            .map(|layout| layout.name.clone())
            .unwrap_or_default();
        self.say(Severity::Info, format!("layout {name}"));
        vec![Effect::Redraw]
    }

    pub(super) fn next_layout(&mut self) -> Vec<Effect> {
        let current = self
            .layout()
            .and_then(|shown| self.layouts.iter().position(|layout| layout == shown));
        let screen = self.screen();
        let count = self.layouts.len();
        let next = (1..count)
            .map(|step| (current.unwrap_or(0) + step) % count.max(1))
            .find(|index| {
                let layout = self.layouts.get(*index);
                layout.is_some_and(|layout| layout.fits(screen) && !VISITED.contains(&layout.name.as_str()))
            });
        let Some(index) = next else {
            return self.say(
                Severity::Warning,
                "no other layout fits into this window".to_owned(),
            );
        };
        self.chosen = Some(index);
        self.visit = Visit::None;
        self.laid_out()
    }
}
