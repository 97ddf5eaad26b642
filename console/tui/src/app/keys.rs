//! What the operator does.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use proto::{Command, Severity, Verdict};

use super::card::{Answer, Card};
use super::dialog::{Came, Choice, Deed, Dialog};
use super::table::Filter;
use super::{App, Connection, Frozen, Visit};
use crate::keymap::{Context, Intent, hindrance, intent, key_of};
use crate::layout::PaneKind;
use crate::terminal::Asks;
use crate::{Effect, Ending, Keys};

/// Layouts with a key of their own; the key for the next layout passes them by.
const VISITED: [&str; 2] = ["policy", "node"];

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
        let context = self.context();
        let meant = intent(key, context);
        match (meant, context) {
            // A text that happens to hold the letter does not end the console.
            (Some(Intent::Leave | Intent::Quit), _) if matches!(came, Came::Hastily(_)) => Vec::new(),
            (Some(Intent::Leave), _) => self.leave(came),
            (Some(Intent::Redraw), _) => vec![Effect::Redraw],
            (meant, Context::Field) => self.field_key(meant, key),
            (meant, Context::Dialog) => self.dialog_key(meant, came),
            (Some(meant), Context::Help) => self.help_key(meant),
            (Some(meant), Context::Card) => self.card_key(meant),
            (Some(meant), _) => self.act(meant),
            (None, Context::Screen) if matches!(came, Came::Pressed(_)) => self.no_such_key(key),
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
            KeyCode::Char(letter) if KeyModifiers::SHIFT.contains(key.modifiers) => {
                format!("'{letter}' means nothing here; {help} lists the keys")
            }
            _ => format!("that key means nothing here; {help} lists the keys"),
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

    /// Back to the first pane, at its live end.
    fn home(&mut self) {
        self.focus = self.focusable().first().copied().unwrap_or(PaneKind::Links);
        (self.log_back, self.rlocs_down, self.proposal) = (0, 0, None);
        self.policy_at = None;
    }

    /// Goes to a layout by its name, or back from it.
    pub(super) fn visit(&mut self, name: &str) -> Vec<Effect> {
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
    pub(super) fn settle_focus(&mut self) {
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

    fn next_layout(&mut self) -> Vec<Effect> {
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

    fn focus(&mut self, by: isize) {
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
    fn page(&self) -> usize {
        let placed = self
            .layout()
            .map(|layout| layout.place(self.screen()))
            .unwrap_or_default();
        let pane = placed.iter().find(|placed| placed.pane.kind == self.focus);
        pane.map_or(10, |placed| usize::from(placed.inside().height.saturating_sub(1)))
            .max(1)
    }

    fn scroll(&mut self, movement: Movement) {
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

    fn help_key(&mut self, meant: Intent) -> Vec<Effect> {
        let line = self.help.unwrap_or(0);
        // The page has a frame of two lines.
        let page = usize::from(self.size.1).saturating_sub(2).max(1);
        let last = crate::view::help_length(self).saturating_sub(page);
        self.help = match meant {
            Intent::Up => Some(Movement::Up(1).from(line, last)),
            Intent::Down => Some(Movement::Down(1).from(line, last)),
            Intent::PageUp => Some(Movement::Up(page).from(line, last)),
            Intent::PageDown => Some(Movement::Down(page).from(line, last)),
            _ => None,
        };
        vec![Effect::Draw]
    }

    /// Asks something that changes nothing, and opens the card that the answer goes on.
    pub(super) fn ask_on_card(&mut self, question: Command) -> Vec<Effect> {
        let about = match &question {
            Command::Why { user, .. } => format!("Why {user}"),
            Command::Plan { .. } => "Plan for all users".to_owned(),
            _ => return Vec::new(),
        };
        let request = self.request();
        self.card = Some(Card {
            about,
            asked: Some((request.clone(), question.clone())),
            answer: Answer::Waiting,
            down: 0,
        });
        vec![Effect::Ask(request, question), Effect::Draw]
    }

    fn show_autonomy(&mut self) {
        self.card = Some(Card {
            about: "Autonomy that was earned".to_owned(),
            asked: None,
            answer: Answer::Autonomy,
            down: 0,
        });
    }

    fn card_key(&mut self, meant: Intent) -> Vec<Effect> {
        let (_, height) = crate::view::card_room(self.screen());
        let page = usize::from(height).saturating_sub(2).max(1);
        let lines = self
            .card
            .as_ref()
            .zip(self.card_frame())
            .map_or(0, |(card, frame)| card.lines(frame).len());
        let last = lines.saturating_sub(page);
        let Some(card) = &mut self.card else {
            return Vec::new();
        };
        let movement = match meant {
            Intent::Up => Movement::Up(1),
            Intent::Down => Movement::Down(1),
            Intent::PageUp => Movement::Up(page),
            Intent::PageDown => Movement::Down(page),
            Intent::Why => {
                let Some((_, question)) = card.asked.clone() else {
                    return Vec::new();
                };
                if let Some(why) = self.unreachable() {
                    return self.say(Severity::Warning, why);
                }
                return self.ask_on_card(question);
            }
            _ => {
                self.card = None;
                return vec![Effect::Draw];
            }
        };
        card.down = movement.from(card.down, last);
        vec![Effect::Draw]
    }

    fn dialog_key(&mut self, meant: Option<Intent>, came: Came) -> Vec<Effect> {
        let Some(dialog) = &mut self.dialog else {
            return Vec::new();
        };
        // Keys without a meaning here count as noise too: a paste storm is made of them.
        if !dialog.takes_key(came) {
            return Vec::new();
        }
        match meant {
            Some(Intent::NextChoice) => dialog.turn(1),
            Some(Intent::PreviousChoice) => dialog.turn(-1),
            Some(Intent::Press) => {
                let choice = dialog.choices.get(dialog.focus).cloned();
                return self.press(choice);
            }
            Some(Intent::Confirm) => {
                let choice = dialog.only_deed().cloned();
                return self.press(choice);
            }
            Some(Intent::Cancel) => self.dialog = None,
            _ => return Vec::new(),
        }
        vec![Effect::Draw]
    }

    fn press(&mut self, choice: Option<Choice>) -> Vec<Effect> {
        let (Some(dialog), Some(choice)) = (&self.dialog, choice) else {
            return Vec::new();
        };
        if let Some(why) = dialog.hindrance(&choice).map(str::to_owned) {
            return self.say(Severity::Warning, why);
        }
        self.dialog = None;
        match choice.deed {
            Deed::Cancel => vec![Effect::Draw],
            Deed::Ask(command, what) => self.ask(command, &what),
            Deed::ModeOf(scope) => {
                let now = self.now;
                self.dialog = self
                    .live
                    .as_ref()
                    .map(|world| Dialog::mode_of(&scope, world, now));
                vec![Effect::Draw]
            }
            Deed::Quit => vec![Effect::Quit(Ending::Quit)],
        }
    }
}

/// A movement.
#[derive(Clone, Copy)]
enum Movement {
    Up(usize),
    Down(usize),
    First,
    Last,
}

impl Movement {
    fn from(self, at: usize, last: usize) -> usize {
        match self {
            Self::Up(by) => at.saturating_sub(by),
            Self::Down(by) => at.saturating_add(by).min(last),
            Self::First => 0,
            Self::Last => last,
        }
    }
}
