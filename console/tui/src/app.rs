//! State of the console, as data, and how inputs change it. No channels, no handles, no clock.

use std::collections::BTreeMap;

use chrono::FixedOffset;
use proto::{Command, PROTOCOL, Proposal, ProposalId, RequestId, Severity, Span, Timestamp};
use ratatui::layout::Rect;

use crate::layout::{Arrangement, Layout, PaneKind, built_in};
use crate::terminal::{OnLost, Quitting};
use crate::theme::Theme;
use crate::{Effect, Ending, Input};

pub(crate) mod card;
pub(crate) mod choice;
pub(crate) mod dialog;
mod engine;
pub(crate) mod field;
mod keys;
mod line;
pub(crate) mod nodelog;
pub(crate) mod palette;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod world;

use card::Card;
use choice::PolicyItem;
use dialog::{Came, Clocks, Dialog};
use field::Field;
use table::Table;
use world::World;

/// All that the screen is drawn from.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) operator: String,
    pub(crate) theme: Theme,
    on_lost: OnLost,
    quitting: Quitting,
    layouts: Vec<Layout>,
    /// `None`: by width.
    chosen: Option<usize>,
    visit: Visit,
    pub(crate) size: (u16, u16),
    pub(crate) zone: FixedOffset,
    pub(crate) now: Timestamp,

    /// What the engine told; `None` before its first snapshot.
    pub(crate) live: Option<World>,
    pub(crate) frozen: Option<Frozen>,
    pub(crate) connection: Connection,
    /// Engine's clock minus ours, microseconds.
    skew: i64,
    /// When the engine last said anything, by our clock.
    pub(crate) heard_at: Timestamp,

    pub(crate) focus: PaneKind,
    pub(crate) table: Table,
    /// The proposal under the cursor; `None`: the most urgent.
    proposal: Option<ProposalId>,
    /// Lines that log and locators are scrolled by.
    pub(crate) log_back: usize,
    pub(crate) rlocs_down: usize,
    /// The line of the policy pane under the cursor; `None`: the first.
    policy_at: Option<PolicyItem>,
    pub(crate) help: Option<usize>,
    pub(crate) card: Option<Card>,
    pub(crate) dialog: Option<Dialog>,
    /// A line of text as it is being typed.
    pub(crate) field: Option<Field>,

    /// The forwarder that is looked into.
    pub(crate) looks: nodelog::NodeLog,
    /// Commands typed, oldest first.
    history: Vec<String>,

    pub(crate) status: Option<Status>,
    /// That the last key means nothing to the card or the help page.
    pub(crate) unheard: Option<String>,
    pub(crate) guide: Option<String>,
    pending: BTreeMap<RequestId, Asked>,
    asked: u64,
    request_prefix: String,
    rang_at: Option<Timestamp>,
}

/// What an [`App`] starts from.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) operator: String,
    pub(crate) theme: Theme,
    pub(crate) arrangement: Arrangement,
    pub(crate) on_lost: OnLost,
    pub(crate) guide: Option<String>,
    pub(crate) quitting: Quitting,
    /// Commands typed before, the oldest first.
    pub(crate) history: Vec<String>,
    pub(crate) size: (u16, u16),
    pub(crate) zone: FixedOffset,
    /// Makes request ids of this console different from all others.
    pub(crate) request_prefix: String,
}

/// The display, held still.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) world: World,
    /// When, by the engine's clock.
    pub(crate) at: Timestamp,
}

/// Whether the layout is one that was gone to by its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    None,
    /// And which was chosen before; `None`: by width.
    From(Option<usize>),
}

/// How it stands with the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// No snapshot yet.
    Waiting,
    /// All is well.
    Up,
    /// Gone.
    Lost { since: Timestamp, why: String },
    /// There, but it speaks another version.
    Foreign { protocol: u32 },
}

/// The status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) severity: Severity,
    pub(crate) text: String,
    pub(crate) at: Timestamp,
}

/// A command that has not been answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    what: String,
    at: Timestamp,
    reminded: Reminded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reminded {
    NotYet,
    Already,
}

/// An answer that takes longer is worth a word.
const PATIENCE: Span = Span::secs(3);
/// A pleasant word stays for this long, an unpleasant one three times as long.
const STATUS_STAYS: Span = Span::secs(10);

/// Changes the state as the input says. `now` is our clock.
pub(crate) fn update(app: &mut App, input: Input, now: Timestamp) -> Vec<Effect> {
    let before = app.now;
    app.now = now.max(before);
    match input {
        Input::Frame(frame) => app.frame(*frame),
        Input::Lost { why } => app.lose(why),
        Input::Back => app.say(Severity::Info, "the engine is back".to_owned()),
        Input::Guide(guide) => {
            app.guide = guide;
            vec![Effect::Draw]
        }
        Input::Close { why } => vec![Effect::Quit(Ending::Closed { why })],
        Input::Key(key) => {
            let at = app.now;
            app.key(&key, Came::Pressed(at))
        }
        Input::Keys(keys) => app.keys(&keys),
        Input::Paste(text) => app.paste(&text),
        Input::Resize { width, height } => {
            app.size = (width, height);
            app.settle_focus();
            vec![Effect::Redraw]
        }
        Input::Zone(zone) => {
            app.zone = zone;
            vec![Effect::Draw]
        }
        Input::Signal(signal) => vec![Effect::Quit(Ending::Signal(signal))],
        Input::Tick => app.tick(before),
    }
}

impl App {
    pub(crate) fn new(setup: Setup, now: Timestamp) -> Self {
        let mut layouts = built_in();
        let chosen = match setup.arrangement {
            Arrangement::Auto => None,
            Arrangement::Fixed(layout) => {
                let known = layouts.iter().position(|known| *known == layout);
                known.or_else(|| {
                    layouts.push(layout);
                    Some(layouts.len() - 1)
                })
            }
        };
        let mut app = Self {
            operator: setup.operator,
            theme: setup.theme,
            on_lost: setup.on_lost,
            quitting: setup.quitting,
            layouts,
            chosen,
            visit: Visit::None,
            size: setup.size,
            zone: setup.zone,
            now,
            live: None,
            frozen: None,
            connection: Connection::Waiting,
            skew: 0,
            heard_at: now,
            focus: PaneKind::Links,
            table: Table::default(),
            proposal: None,
            log_back: 0,
            rlocs_down: 0,
            policy_at: None,
            help: None,
            card: None,
            dialog: None,
            field: None,
            looks: nodelog::NodeLog::default(),
            history: setup.history,
            status: None,
            unheard: None,
            guide: setup.guide,
            pending: BTreeMap::new(),
            asked: 0,
            request_prefix: setup.request_prefix,
            rang_at: None,
        };
        let screen = app.screen();
        let asked = app.chosen.and_then(|chosen| app.layouts.get(chosen));
        if let Some(layout) = asked.filter(|layout| !layout.fits(screen)) {
            let text = App::no_room(layout);
            let _drawn_anyway = app.say(Severity::Warning, text);
        }
        app
    }

    /// Why a layout that was asked for is not shown.
    fn no_room(layout: &Layout) -> String {
        let (width, height) = layout.min;
        let name = layout.name();
        format!("the layout '{name}' does not fit into this window; it needs {width}x{height}")
    }

    /// What is on the screen: frozen or live.
    pub(crate) fn shown(&self) -> Option<&World> {
        self.frozen
            .as_ref()
            .map(|frozen| &frozen.world)
            .or(self.live.as_ref())
    }

    /// The engine's clock now, or when the display was frozen.
    pub(crate) fn engine_now(&self) -> Timestamp {
        self.frozen
            .as_ref()
            .map_or_else(|| self.live_now(), |frozen| frozen.at)
    }

    pub(crate) fn live_now(&self) -> Timestamp {
        Timestamp(self.now.micros().saturating_add_signed(self.skew))
    }

    /// How far the engine's clock is from ours, if that is more than the way to it explains.
    pub(crate) fn skew_worth_a_word(&self) -> Option<Span> {
        let skew = Span(self.skew.unsigned_abs());
        (skew > Span::secs(5)).then_some(skew)
    }

    /// The layout that fits; `None` if none does.
    pub(crate) fn layout(&self) -> Option<&Layout> {
        let screen = self.screen();
        let name = if self.size.0 < 100 { "compact" } else { "noc" };
        let by_name = |name: &str| self.layouts.iter().find(|layout| layout.name == name);
        let chosen = self
            .chosen
            .map_or_else(|| by_name(name), |chosen| self.layouts.get(chosen));
        chosen
            .filter(|layout| layout.fits(screen))
            .or_else(|| by_name("compact").filter(|layout| layout.fits(screen)))
    }

    pub(crate) fn screen(&self) -> Rect {
        Rect::new(0, 0, self.size.0, self.size.1)
    }

    /// The screen that the smallest layout needs.
    pub(crate) fn least(&self) -> (u16, u16) {
        let least = self.layouts.iter().map(|layout| layout.min);
        least
            .min_by_key(|(width, height)| u32::from(*width) * u32::from(*height))
            .unwrap_or((1, 1))
    }

    /// Whether not even the smallest layout fits.
    pub(crate) fn is_tiny(&self) -> bool {
        self.layout().is_none()
    }

    pub(crate) fn has_pane(&self, kind: PaneKind) -> bool {
        let screen = self.screen();
        self.layout()
            .is_none_or(|layout| layout.panes(screen).iter().any(|pane| pane.kind == kind))
    }

    /// Whether there is a cursor on this screen; a wall has none.
    pub(crate) fn has_hands(&self) -> bool {
        [PaneKind::Links, PaneKind::Policy, PaneKind::NodeLog]
            .into_iter()
            .any(|kind| self.has_pane(kind))
    }

    /// Whether the engine is disarmed, as far as it is known.
    pub(crate) fn is_disarmed(&self) -> bool {
        self.live
            .as_ref()
            .is_some_and(|world| world.policy.arming != proto::Arming::Armed)
    }

    /// What moments are told by.
    pub(crate) fn clocks(&self) -> Clocks {
        Clocks {
            ours: self.now,
            engine: self.engine_now(),
            zone: self.zone,
        }
    }

    /// What a card is written with; `None` without anything to hold it against.
    pub(crate) fn card_frame(&self) -> Option<card::Frame<'_>> {
        let (width, _) = crate::view::card_room(self.screen());
        Some(card::Frame {
            world: self.live.as_ref()?,
            width: usize::from(width).saturating_sub(4),
            now: self.live_now(),
            zone: self.zone,
        })
    }

    /// Panes that can have the focus, in reading order.
    fn focusable(&self) -> Vec<PaneKind> {
        const CAN: [PaneKind; 6] = [
            PaneKind::Links,
            PaneKind::Policy,
            PaneKind::NodeLog,
            PaneKind::Rlocs,
            PaneKind::Proposals,
            PaneKind::Log,
        ];
        let Some(layout) = self.layout().filter(|_| self.has_hands()) else {
            return Vec::new();
        };
        layout
            .panes(self.screen())
            .into_iter()
            .map(|pane| pane.kind)
            .filter(|kind| CAN.contains(kind))
            .collect()
    }

    /// The proposal under the cursor, or else the most urgent one.
    pub(crate) fn selected_proposal(&self) -> Option<&Proposal> {
        let world = self.shown()?;
        let chosen = self.proposal.and_then(|id| world.proposals.get(&id));
        chosen.or_else(|| world.proposals_by_urgency().first().copied())
    }

    /// Why nothing can be asked of the engine.
    pub(crate) fn unreachable(&self) -> Option<String> {
        match &self.connection {
            Connection::Up => None,
            Connection::Waiting => Some("the engine has not said anything yet".to_owned()),
            Connection::Lost { .. } => Some("the engine is lost; nothing can be asked of it".to_owned()),
            Connection::Foreign { protocol } => Some(foreign(*protocol)),
        }
    }

    /// Sets the status line.
    fn say(&mut self, severity: Severity, text: String) -> Vec<Effect> {
        self.status = Some(Status {
            severity,
            text,
            at: self.now,
        });
        vec![Effect::Draw]
    }

    /// An id that no other request has.
    fn request(&mut self) -> RequestId {
        self.asked += 1;
        RequestId(format!("{}-{}", self.request_prefix, self.asked))
    }

    /// Asks the engine.
    fn ask(&mut self, command: Command, what: &str) -> Vec<Effect> {
        let request = self.request();
        let asked = Asked {
            what: what.to_owned(),
            at: self.now,
            reminded: Reminded::NotYet,
        };
        self.pending.insert(request.clone(), asked);
        let mut effects = vec![Effect::Ask(request, command)];
        effects.extend(self.say(Severity::Info, format!("asked: {what}")));
        effects
    }

    fn tick(&mut self, before: Timestamp) -> Vec<Effect> {
        let mut effects = self.look();
        if self
            .status
            .as_ref()
            .is_some_and(|status| self.now.since(status.at) > stays(status.severity))
        {
            self.status = None;
            effects.push(Effect::Draw);
        }
        let now = self.now;
        let late = self
            .pending
            .values_mut()
            .find(|asked| asked.reminded == Reminded::NotYet && now.since(asked.at) > PATIENCE);
        if let Some(asked) = late {
            asked.reminded = Reminded::Already;
            let text = format!("no answer yet: {}", asked.what);
            effects.extend(self.say(Severity::Warning, text));
        }
        // Clock, countdowns and ages move once a second; a heavier sort of the table goes along.
        if now.micros() / 1_000_000 != before.micros() / 1_000_000 {
            self.follow();
            effects.push(Effect::Draw);
        }
        effects
    }

    /// Lets the table follow what is shown.
    fn follow(&mut self) {
        let hands_on = self.focus == PaneKind::Links;
        if !hands_on {
            self.table.touched = None;
        }
        let now = self.now;
        if let Some(world) = self
            .frozen
            .as_ref()
            .map(|frozen| &frozen.world)
            .or(self.live.as_ref())
        {
            self.table.follow(world, now);
        }
    }
}

fn stays(severity: Severity) -> Span {
    match severity {
        Severity::Info => STATUS_STAYS,
        Severity::Warning | Severity::Error => Span(STATUS_STAYS.micros() * 3),
    }
}

fn foreign(protocol: u32) -> String {
    format!(
        "the engine speaks protocol {protocol}, this console {PROTOCOL}; use programs of the same version"
    )
}
