//! What the operator does.

mod layouts;
mod moving;
mod over;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use proto::{Command, Severity, Verdict};

use super::card::{Answer, Card};
use super::dialog::{Came, Dialog};
use super::table::Filter;
use super::{App, Connection, Frozen};
use crate::keymap::{Context, Intent, hindrance, intent, key_of};
use crate::layout::PaneKind;
use crate::terminal::Asks;
use crate::{Effect, Ending, Keys};
use moving::Movement;

/// More keys than this, read at once, were not pressed by fingers: a slow line gathers a few, a paste brings many.
const AT_ONCE: usize = 8;

/// With the engine's own price and time.
const ANY_PLAN: Command = Command::Plan {
    price: None,
    budget: None,
};

impl App {
    /// Keys that came at once.
    pub(super) fn keys(&mut self, came: &Keys) -> Vec<Effect> {
        let each = if came.keys.len() > AT_ONCE {
            Came::Hastily(came.at)
        } else {
            Came::Pressed(came.at)
        };
        let mut effects: Vec<Effect> = came.keys.iter().flat_map(|key| self.key(key, each)).collect();
        if self.dialog.is_some() && matches!(each, Came::Hastily(_)) {
            let text = format!(
                "{} keys came at once, as from a paste: this question takes none of them",
                came.keys.len()
            );
            effects.extend(self.say(Severity::Warning, text));
        }
        effects
    }

    pub(super) fn key(&mut self, key: &KeyEvent, came: Came) -> Vec<Effect> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        self.table.touched = Some(self.now);
        self.unheard = None;
        let context = self.context();
        let meant = intent(key, context);
        match (meant, context) {
            // A text that happens to hold the letter does not end the console.
            (Some(Intent::Leave | Intent::Quit), _) if matches!(came, Came::Hastily(_)) => Vec::new(),
            (Some(Intent::Leave), _) => self.leave(came),
            (Some(Intent::Redraw), _) => vec![Effect::Redraw],
            (meant, Context::Field) => self.field_key(meant, key),
            (meant, Context::Dialog) => self.dialog_key((meant, key), came),
            (Some(meant), Context::Help) => self.help_key(meant),
            (Some(meant), Context::Card) => self.card_key(meant),
            (Some(meant), _) => self.act(meant),
            (None, Context::Screen) if matches!(came, Came::Pressed(_)) => self.no_such_key(key),
            (None, Context::Card | Context::Help) if matches!(came, Came::Pressed(_)) => {
                self.no_such_key_over(key, context)
            }
            (None, _) => Vec::new(),
        }
    }

    /// Silence would leave open whether the key was heard.
    fn no_such_key(&mut self, key: &KeyEvent) -> Vec<Effect> {
        let help = key_of(Intent::Help);
        let text = match key.code {
            KeyCode::Char('u') if key.modifiers.is_empty() => {
                let switch = key_of(Intent::Switch);
                format!("there is no key to undo: {switch} lets the user enter where it did before")
            }
            _ => format!("{} means nothing here; {help} lists the keys", spoken(key)),
        };
        self.say(Severity::Info, text)
    }

    /// Where keys go now.
    pub(crate) fn context(&self) -> Context {
        if self.dialog.is_some() {
            Context::Dialog
        } else if self.help.is_some() {
            Context::Help
        } else if self.card.is_some() {
            Context::Card
        } else if self.field.is_some() {
            Context::Field
        } else {
            Context::Screen
        }
    }

    pub(super) fn act(&mut self, meant: Intent) -> Vec<Effect> {
        if let Some(why) = hindrance(self, meant) {
            return self.say(Severity::Warning, why);
        }
        match meant {
            Intent::Approve => self.ask_decision(Verdict::Approve),
            Intent::Reject => self.ask_decision(Verdict::Reject),
            Intent::Switch => {
                let chosen = self.table.selected().map(|link| link.user.clone());
                let clocks = (self.now, self.engine_now());
                self.dialog = chosen
                    .zip(self.live.as_ref())
                    .map(|(user, world)| Dialog::switch(&user, world, clocks));
                self.look_again();
            }
            Intent::Mode => self.dialog = self.live.as_ref().map(|world| Dialog::mode(world.mode, self.now)),
            Intent::Why => {
                if let Ok(question) = self.why_of_row() {
                    return self.ask_on_card(question);
                }
            }
            Intent::Plan => return self.ask_on_card(ANY_PLAN),
            Intent::Autonomy => self.show_autonomy(),
            Intent::Open => {
                self.card = self.line_of_log().cloned().map(|entry| Card {
                    about: "A line of the log".to_owned(),
                    asked: None,
                    answer: Answer::Line(entry),
                    down: 0,
                });
            }
            Intent::Arming => {
                let clocks = self.clocks();
                self.dialog = self.live.as_ref().map(|world| Dialog::arming(world, clocks));
            }
            Intent::ModePart => {
                let parts = self.parts_of_row().unwrap_or_default();
                let now = self.now;
                self.dialog = self.live.as_ref().map(|world| match parts.as_slice() {
                    [only] => Dialog::mode_of(only, world, now),
                    _ => Dialog::parts(parts, world, now),
                });
            }
            Intent::Drain => {
                let clocks = self.clocks();
                let dc = self.dc_of_row();
                match (dc, &self.live) {
                    (Ok(dc), Some(world)) => self.dialog = Some(Dialog::drain(&dc, world, clocks)),
                    (Err(why), _) => return self.say(Severity::Warning, why),
                    (Ok(_), None) => {}
                }
            }
            Intent::Forgive => {
                let clocks = self.clocks();
                let dialog = match (self.flaps_of_row(), &self.live) {
                    (Ok(flaps), Some(world)) => Some(Dialog::forgive(&flaps, world, clocks)),
                    _ => None,
                };
                self.dialog = dialog;
            }
            Intent::Glass => {
                if let Ok(glass) = self.glass_of_row() {
                    self.type_reason(glass);
                }
            }
            Intent::Palette => self.type_command(),
            Intent::Node => return self.visit("node"),
            Intent::NextNode => self.look_further(1),
            Intent::PreviousNode => self.look_further(-1),
            Intent::Policy => return self.visit("policy"),
            Intent::Up => self.scroll(Movement::Up(1)),
            Intent::Down => self.scroll(Movement::Down(1)),
            Intent::PageUp => self.scroll(Movement::Up(self.page())),
            Intent::PageDown => self.scroll(Movement::Down(self.page())),
            Intent::First => self.scroll(Movement::First),
            Intent::Last => self.scroll(Movement::Last),
            Intent::FocusNext => self.focus(1),
            Intent::FocusPrevious => self.focus(-1),
            Intent::Filter if self.has_pane(PaneKind::NodeLog) => self.type_log_filter(),
            Intent::Filter => self.type_filter(),
            Intent::ClearFilter if self.table.filter.text().is_empty() => self.home(),
            Intent::ClearFilter => self.filter(Filter::All),
            Intent::Sort => self.sort(),
            Intent::Reverse => {
                self.table.direction = self.table.direction.other();
                self.rebuild();
            }
            Intent::Freeze => self.freeze(),
            Intent::Layout => return self.next_layout(),
            Intent::Help => self.help = Some(0),
            Intent::Quit => return self.quit(),
            _ => {}
        }
        vec![Effect::Draw]
    }

    fn ask_decision(&mut self, verdict: Verdict) {
        let dialog = match (self.selected_proposal(), &self.live) {
            (Some(proposal), Some(world)) => Some(Dialog::decide(proposal, verdict, world, self.now)),
            _ => None,
        };
        self.dialog = dialog;
        self.look_again();
    }

    /// At once, unless more ends than the console; then once more at the question is an answer.
    fn leave(&mut self, came: Came) -> Vec<Effect> {
        if self.quitting.asks == Asks::WhileUnderWay {
            return vec![Effect::Quit(Ending::Quit)];
        }
        match self.dialog.as_mut().filter(|dialog| dialog.is_about_quitting()) {
            None => self.quit(),
            Some(dialog) => {
                let taken = dialog.takes_key(came);
                taken.then_some(Effect::Quit(Ending::Quit)).into_iter().collect()
            }
        }
    }

    fn quit(&mut self) -> Vec<Effect> {
        // Of an engine that is gone nothing is left to end.
        self.dialog = if matches!(self.connection, Connection::Lost { .. }) {
            None
        } else {
            Dialog::quit(self.live.as_ref(), &self.quitting, self.now)
        };
        if self.dialog.is_some() {
            vec![Effect::Draw]
        } else {
            vec![Effect::Quit(Ending::Quit)]
        }
    }

    /// The first press after a pause sorts anew; presses in a row go through the columns.
    fn sort(&mut self) {
        let Some(world) = self.shown() else { return };
        let mut anew = self.table.clone();
        anew.rebuild(world);
        if anew.order == self.table.order {
            anew.sort = self.table.sort.next();
            anew.direction = super::table::Direction::Natural;
            anew.rebuild(world);
        }
        let text = format!("sorted by {}", anew.sort.word());
        self.table = anew;
        self.say(Severity::Info, text);
    }

    pub(super) fn rebuild(&mut self) {
        if let Some(world) = self
            .frozen
            .as_ref()
            .map(|frozen| &frozen.world)
            .or(self.live.as_ref())
        {
            self.table.rebuild(world);
        }
    }

    pub(super) fn filter(&mut self, filter: Filter) {
        self.table.filter = filter;
        self.rebuild();
        // What was said of the rows before is not true of these.
        self.status = None;
    }

    fn freeze(&mut self) {
        self.frozen = if self.frozen.is_some() {
            None
        } else {
            let at = self.live_now();
            self.live.clone().map(|world| Frozen { world, at })
        };
        self.table.touched = None;
        self.follow();
    }
}

/// A key in a sentence.
fn spoken(key: &KeyEvent) -> String {
    match key.code {
        KeyCode::Char(letter) if KeyModifiers::SHIFT.contains(key.modifiers) => format!("'{letter}'"),
        _ => "that key".to_owned(),
    }
}
