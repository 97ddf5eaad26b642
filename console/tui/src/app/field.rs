//! A line of text that is being typed: a filter, a command, or the reason for breaking the glass.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proto::{Command, Severity};

use super::App;
use super::choice::GlassOf;
use super::dialog::Dialog;
use super::line::Line;
use super::nodelog::filter_words;
use super::palette::{Known, Order, candidates, completed, parse};
use super::table::Filter;
use crate::Effect;
use crate::keymap::{Intent, hands_tied, hindrance};

/// A line is not longer than this, in characters.
pub(crate) const LONGEST: usize = 200;
/// Commands that are remembered.
pub(crate) const HISTORY: usize = 100;

/// A line being typed.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) line: Line,
    pub(crate) of: FieldOf,
}

/// What the line is for.
#[derive(Clone, Debug)]
pub(crate) enum FieldOf {
    /// The rows shown; as it was before, for when it is given up.
    Filter { before: Filter },
    /// Why the glass is broken.
    Reason(GlassOf),
    /// A command.
    Command(Typing),
}

/// How far a command is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typing {
    /// What is wrong with it, once it was to be carried out.
    pub(crate) trouble: Option<String>,
    /// The line before Tab was pressed, and which of the words that fit stands there now.
    tabbed: Option<(String, usize)>,
    /// How far back in the history.
    back: usize,
}

impl Field {
    /// Moves the caret. The next Tab is about the word before it.
    fn go(&mut self, step: fn(&mut Line)) -> Vec<Effect> {
        step(&mut self.line);
        if let FieldOf::Command(typing) = &mut self.of {
            typing.tabbed = None;
        }
        vec![Effect::Draw]
    }
}

impl App {
    pub(super) fn type_filter(&mut self) {
        let before = self.table.filter.clone();
        self.focus = crate::layout::PaneKind::Links;
        self.field = Some(Field {
            line: Line::new(before.text()),
            of: FieldOf::Filter { before },
        });
    }

    pub(super) fn type_reason(&mut self, glass: GlassOf) {
        self.field = Some(Field {
            line: Line::default(),
            of: FieldOf::Reason(glass),
        });
    }

    pub(super) fn type_command(&mut self) {
        self.field = Some(Field {
            line: Line::default(),
            of: FieldOf::Command(Typing::default()),
        });
    }

    /// Filters of the message log are words, so they are typed as a command.
    pub(super) fn type_log_filter(&mut self) {
        let words = filter_words(&self.looks.filter);
        self.field = Some(Field {
            line: Line::new(format!("log {words}")),
            of: FieldOf::Command(Typing::default()),
        });
    }

    /// Names of layouts, for the palette.
    pub(crate) fn layout_names(&self) -> Vec<String> {
        self.layouts.iter().map(|layout| layout.name.clone()).collect()
    }

    fn complete(&mut self) {
        let layouts = self.layout_names();
        let Some(world) = &self.live else { return };
        let known = Known {
            world,
            layouts: &layouts,
        };
        let Some(Field {
            line,
            of: FieldOf::Command(typing),
        }) = &mut self.field
        else {
            return;
        };
        let (base, next) = typing
            .tabbed
            .take()
            .map_or((line.parts().0.to_owned(), 0), |(base, at)| (base, at + 1));
        let fitting = candidates(&base, known);
        if let Some(word) = fitting.get(next % fitting.len().max(1)) {
            line.rewrite(&completed(&base, word));
        }
        // One that fits is taken; the next Tab is about the next word.
        typing.tabbed = (fitting.len() > 1).then_some((base, next));
        typing.trouble = None;
    }

    fn recall(&mut self, older: isize) {
        let count = self.history.len();
        let Some(Field {
            line,
            of: FieldOf::Command(typing),
        }) = &mut self.field
        else {
            return;
        };
        typing.back = typing.back.saturating_add_signed(older).min(count);
        let typed = count.checked_sub(typing.back).and_then(|at| self.history.get(at));
        *line = typed.cloned().map_or_else(Line::default, Line::new);
        (typing.tabbed, typing.trouble) = (None, None);
    }

    fn carry_out(&mut self, line: &str) -> Vec<Effect> {
        let layouts = self.layout_names();
        let order = match &self.live {
            Some(world) => parse(
                line,
                Known {
                    world,
                    layouts: &layouts,
                },
            ),
            None => Err("the engine has not said anything yet".to_owned()),
        };
        let done = order.and_then(|order| self.order(order));
        match done {
            Ok(mut effects) => {
                if self.history.last().is_none_or(|last| last != line) {
                    self.history.push(line.to_owned());
                    let over = self.history.len().saturating_sub(HISTORY);
                    self.history.drain(..over);
                    effects.push(Effect::Remember(line.to_owned()));
                }
                effects
            }
            Err(trouble) => {
                // The line stays, with what is wrong beside it.
                self.field = Some(Field {
                    line: Line::new(line),
                    of: FieldOf::Command(Typing {
                        trouble: Some(trouble),
                        ..Typing::default()
                    }),
                });
                vec![Effect::Draw]
            }
        }
    }

    fn order(&mut self, order: Order) -> Result<Vec<Effect>, String> {
        match order {
            Order::Act(intent) => match hindrance(self, intent) {
                Some(why) => Err(why),
                None => Ok(self.act(intent)),
            },
            Order::Card(question) => match self.unreachable() {
                Some(why) => Err(why),
                None => Ok(self.ask_on_card(question)),
            },
            Order::Filter(text) => {
                let filter = Filter::parse(&text);
                if let Filter::Bad { why, .. } = filter {
                    return Err(why);
                }
                self.filter(filter);
                Ok(vec![Effect::Draw])
            }
            Order::Sort(by) => {
                self.table.sort = by;
                self.table.direction = super::table::Direction::Natural;
                self.rebuild();
                Ok(self.say(Severity::Info, format!("sorted by {}", by.word())))
            }
            Order::Log(filter) => {
                self.filter_log(filter);
                Ok(self.go_to("node"))
            }
            Order::Node(site) => {
                self.look_into(site);
                Ok(self.go_to("node"))
            }
            Order::Layout(name) => Ok(self.visit(&name)),
            Order::Command(command) => {
                let tied = match command {
                    Command::Disarm { .. } => self.unreachable(),
                    _ => hands_tied(self),
                };
                if let Some(why) = tied {
                    return Err(why);
                }
                self.dialog = Some(self.question(&command)?);
                self.look_again();
                Ok(vec![Effect::Draw])
            }
        }
    }

    /// To a layout, unless it is there.
    fn go_to(&mut self, name: &str) -> Vec<Effect> {
        if self.layout().is_some_and(|layout| layout.name == name) {
            vec![Effect::Draw]
        } else {
            self.visit(name)
        }
    }

    /// The question that a command is asked after.
    fn question(&self, command: &Command) -> Result<Dialog, String> {
        let world = self.live.as_ref().ok_or("the engine has not said anything yet")?;
        let clocks = self.clocks();
        let (dialog, moot) = match command {
            Command::BreakGlass { reason, ask } => {
                return self
                    .question(&ask.clone().into())
                    .map(|dialog| dialog.in_spite(reason));
            }
            Command::Decide {
                proposal, verdict, ..
            } => {
                let proposal = world.proposals.get(proposal).ok_or("that proposal is gone")?;
                let dialog = Dialog::decide(proposal, *verdict, world, self.now);
                (dialog, "it has changed")
            }
            Command::Switch { user, .. } => (
                Dialog::switch(user, world, (self.now, self.live_now())),
                "that user cannot enter there",
            ),
            Command::SetMode { .. } => (Dialog::mode(world.mode, self.now), "there is no such mode"),
            Command::SetModeAt { scope, .. } => {
                (Dialog::mode_of(scope, world, self.now), "there is no such mode")
            }
            Command::Disarm { .. } | Command::Arm => {
                (Dialog::arming(world, clocks), "the engine is armed already")
            }
            Command::Drain { dc } => (Dialog::drain(dc, world, clocks), "it is being drained already"),
            Command::Undrain { dc } => (Dialog::drain(dc, world, clocks), "it is not being drained"),
            Command::Forgive { key } => {
                let flap: Vec<_> = world
                    .policy
                    .flaps
                    .iter()
                    .filter(|flap| flap.key == *key)
                    .collect();
                (
                    Dialog::forgive(&flap, world, clocks),
                    "it has no flaps: there is nothing to forgive",
                )
            }
            Command::Why { .. } | Command::Look { .. } | Command::Accounts { .. } | Command::Plan { .. } => {
                return Err("a question is asked by itself".to_owned());
            }
            Command::PinClass { class, .. } | Command::ForgiveClass { class } => {
                (Dialog::class(class, world, clocks), "nothing would change by it")
            }
            Command::Score { .. } => return Err("this is done by `pacao ctl qoe`".to_owned()),
        };
        dialog.only(command).ok_or_else(|| moot.to_owned())
    }

    pub(super) fn field_key(&mut self, meant: Option<Intent>, key: &KeyEvent) -> Vec<Effect> {
        let Some(field) = &mut self.field else {
            return Vec::new();
        };
        match meant {
            Some(Intent::Keep) => return self.keep(),
            Some(Intent::Cancel) => return self.give_up(),
            Some(Intent::Complete) => {
                self.complete();
                return vec![Effect::Draw];
            }
            Some(Intent::Older) => {
                self.recall(1);
                return vec![Effect::Draw];
            }
            Some(Intent::Newer) => {
                self.recall(-1);
                return vec![Effect::Draw];
            }
            Some(Intent::Erase) => field.line.erase(),
            Some(Intent::EraseNext) => field.line.delete(),
            Some(Intent::EraseWord) => field.line.erase_word(),
            Some(Intent::EraseBefore) => field.line.erase_before(),
            Some(Intent::EraseBehind) => field.line.erase_behind(),
            Some(Intent::CaretLeft) => return field.go(Line::left),
            Some(Intent::CaretRight) => return field.go(Line::right),
            Some(Intent::CaretStart) => return field.go(Line::start),
            Some(Intent::CaretEnd) => return field.go(Line::end),
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
        field.line.insert(text, LONGEST);
        self.typed()
    }

    /// The line has changed.
    fn typed(&mut self) -> Vec<Effect> {
        if let Some(Field {
            of: FieldOf::Command(typing),
            ..
        }) = &mut self.field
        {
            (typing.tabbed, typing.trouble) = (None, None);
        }
        if let Some(Field {
            line,
            of: FieldOf::Filter { .. },
        }) = &self.field
        {
            self.filter(Filter::parse(line.as_str()));
        }
        vec![Effect::Draw]
    }

    fn keep(&mut self) -> Vec<Effect> {
        let Some(field) = self.field.take() else {
            return Vec::new();
        };
        match field.of {
            // It stays, with what is wrong beside it: kept it would hide nothing, dropped it would take the one before along.
            FieldOf::Filter { .. } if matches!(self.table.filter, Filter::Bad { .. }) => {
                self.field = Some(field);
                vec![Effect::Draw]
            }
            FieldOf::Filter { .. } => vec![Effect::Draw],
            FieldOf::Command(_) if field.line.as_str().trim().is_empty() => vec![Effect::Draw],
            FieldOf::Command(_) => self.carry_out(field.line.as_str().trim()),
            FieldOf::Reason(glass) => self.reason_given(field.line.as_str().trim(), glass),
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
                self.look_again();
                vec![Effect::Draw]
            }
            None => self.say(Severity::Warning, "that proposal is gone".to_owned()),
        }
    }
}
