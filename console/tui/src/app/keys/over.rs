//! What lies over the panes: questions, cards, the help page.

use crossterm::event::KeyEvent;
use proto::{Command, Severity};

use super::moving::Movement;
use super::spoken;
use crate::app::App;
use crate::app::card::{Answer, Card};
use crate::app::dialog::{Came, Choice, Deed, Dialog};
use crate::keymap::{Context, Intent, hindrance, key_in};
use crate::{Effect, Ending};

impl App {
    /// Said at the edge of what lies over the panes, for it may lie over the status line too.
    pub(super) fn no_such_key_over(&mut self, key: &KeyEvent, context: Context) -> Vec<Effect> {
        let (close, scroll) = (key_in(context, Intent::Cancel), key_in(context, Intent::Down));
        self.unheard = Some(format!(
            "{} means nothing here; {close} closes, {scroll} scrolls",
            spoken(key)
        ));
        vec![Effect::Draw]
    }

    fn no_such_key_in_dialog(&mut self, key: &KeyEvent) -> Vec<Effect> {
        let key_of = |intent| key_in(Context::Dialog, intent);
        let text = format!(
            "{} means nothing here; {} chooses, {} presses, {} cancels",
            spoken(key),
            key_of(Intent::NextChoice),
            key_of(Intent::Press),
            key_of(Intent::Cancel)
        );
        self.say(Severity::Info, text)
    }

    pub(super) fn help_key(&mut self, meant: Intent) -> Vec<Effect> {
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
    pub(in crate::app) fn ask_on_card(&mut self, question: Command) -> Vec<Effect> {
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

    pub(super) fn show_autonomy(&mut self) {
        self.card = Some(Card {
            about: "Autonomy that was earned".to_owned(),
            asked: None,
            answer: Answer::Autonomy,
            down: 0,
        });
    }

    pub(super) fn card_key(&mut self, meant: Intent) -> Vec<Effect> {
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
                    let close = key_in(Context::Card, Intent::Cancel);
                    self.unheard = Some(format!("nothing was asked for this card; {close} closes"));
                    return vec![Effect::Draw];
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

    pub(super) fn dialog_key(
        &mut self,
        (meant, key): (Option<Intent>, &KeyEvent),
        came: Came,
    ) -> Vec<Effect> {
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
                if let Some(why) = hindrance(self, Intent::Confirm) {
                    return self.say(Severity::Warning, why);
                }
                let choice = self.dialog.as_ref().and_then(Dialog::only_deed).cloned();
                return self.press(choice);
            }
            Some(Intent::Cancel) => self.dialog = None,
            _ => return self.no_such_key_in_dialog(key),
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
