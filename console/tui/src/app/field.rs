//! A line of text that is being typed: a filter, or the reason for breaking the glass.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proto::Severity;

use super::App;
use super::choice::GlassOf;
use super::dialog::Dialog;
use super::table::Filter;
use crate::Effect;
use crate::keymap::Intent;

/// A line is not longer than this, in characters.
const LONGEST: usize = 200;

/// A line being typed.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) text: String,
    pub(crate) of: FieldOf,
}

/// What the line is for.
#[derive(Clone, Debug)]
pub(crate) enum FieldOf {
    /// The rows shown; as it was before, for when it is given up.
    Filter { before: Filter },
    /// Why the glass is broken.
    Reason(GlassOf),
}

impl App {
    pub(super) fn type_filter(&mut self) {
        let before = self.table.filter.clone();
        self.focus = crate::layout::PaneKind::Links;
        self.field = Some(Field {
            text: before.text().to_owned(),
            of: FieldOf::Filter { before },
        });
    }

    pub(super) fn type_reason(&mut self, glass: GlassOf) {
        self.field = Some(Field {
            text: String::new(),
            of: FieldOf::Reason(glass),
        });
    }

    pub(super) fn field_key(&mut self, meant: Option<Intent>, key: &KeyEvent) -> Vec<Effect> {
        let Some(field) = &mut self.field else {
            return Vec::new();
        };
        match meant {
            Some(Intent::Keep) => return self.keep(),
            Some(Intent::Cancel) => return self.give_up(),
            Some(Intent::Erase) => {
                field.text.pop();
            }
            Some(Intent::EraseAll) => field.text.clear(),
            _ => match key.code {
                KeyCode::Char(letter) if KeyModifiers::SHIFT.contains(key.modifiers) => {
                    return self.paste(letter.encode_utf8(&mut [0; 4]));
                }
                _ => return Vec::new(),
            },
        }
        self.typed()
    }

    /// Text goes into a text field and nowhere else; what would end the line is left out, so it is never carried out by
    /// itself.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        let free = self.dialog.is_none() && self.help.is_none() && self.card.is_none();
        let Some(field) = self.field.as_mut().filter(|_| free) else {
            return Vec::new();
        };
        let room = LONGEST.saturating_sub(field.text.chars().count());
        field
            .text
            .extend(text.chars().filter(|letter| !letter.is_control()).take(room));
        self.typed()
    }

    /// The line has changed.
    fn typed(&mut self) -> Vec<Effect> {
        if let Some(Field {
            text,
            of: FieldOf::Filter { .. },
        }) = &self.field
        {
            self.filter(Filter::parse(text));
        }
        vec![Effect::Draw]
    }

    fn keep(&mut self) -> Vec<Effect> {
        let Some(field) = self.field.take() else {
            return Vec::new();
        };
        match field.of {
            FieldOf::Filter { .. } => {
                if let Filter::Bad { why, .. } = &self.table.filter {
                    let text = format!("all rows are shown: {why}");
                    self.filter(Filter::All);
                    return self.say(Severity::Warning, text);
                }
                vec![Effect::Draw]
            }
            FieldOf::Reason(glass) => self.reason_given(field.text.trim(), glass),
        }
    }

    fn give_up(&mut self) -> Vec<Effect> {
        let field = self.field.take();
        if let Some(FieldOf::Filter { before }) = field.map(|field| field.of) {
            self.filter(before);
        }
        vec![Effect::Draw]
    }

    /// With a reason, the question as usual; what is asked for goes on the record with it.
    pub(super) fn reason_given(&mut self, reason: &str, glass: GlassOf) -> Vec<Effect> {
        if reason.is_empty() {
            let text = "breaking the glass needs a reason: it goes on the record".to_owned();
            return self.say(Severity::Warning, text);
        }
        let clocks = (self.now, self.engine_now());
        let Some(world) = &self.live else {
            return Vec::new();
        };
        let dialog = match glass {
            GlassOf::Switch(user) => Some(Dialog::switch(&user, world, clocks)),
            GlassOf::Approve(id) => world
                .proposals
                .get(&id)
                .map(|proposal| Dialog::decide(proposal, proto::Verdict::Approve, world, self.now)),
        };
        match dialog {
            Some(mut dialog) => {
                // It may have ended while the reason was typed.
                dialog.follow(world);
                self.dialog = Some(dialog.in_spite(reason));
                vec![Effect::Draw]
            }
            None => self.say(Severity::Warning, "that proposal is gone".to_owned()),
        }
    }
}
