//! Proposals: the selected one as a card, the others as lines; what was carried out, with its receipt.

use chrono::FixedOffset;
use proto::proposal::Receipt;
use proto::{Actor, Proposal, ProposalState, Span, Timestamp};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::row::Row;
use super::{line, sentence};
use crate::app::App;
use crate::app::dialog::{cost, gain, waits, why};
use crate::app::world::World;
use crate::figures::{clock, count, countdown, length};
use crate::keymap::{Intent, hindrance, key_of};
use crate::layout::PaneKind;
use crate::theme::Role;

pub(super) struct Props<'a> {
    world: Option<&'a World>,
    proposals: Vec<&'a Proposal>,
    selected: Option<&'a Proposal>,
    now: Timestamp,
    zone: FixedOffset,
    focus: Focus,
    cursor: Cursor,
    /// Key, word, and whether it can be pressed.
    keys: Vec<(String, &'static str, Role)>,
}

/// Whether the selected proposal is marked; a wall has no cursor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cursor {
    Shown,
    Hidden,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let world = app.shown();
    let key = |intent, word| {
        let role = if hindrance(app, intent).is_some() {
            Role::Quiet
        } else {
            Role::Key
        };
        (key_of(intent), word, role)
    };
    let hands = app.has_hands();
    Props {
        world,
        proposals: world.map(World::proposals_by_urgency).unwrap_or_default(),
        selected: app.selected_proposal(),
        now: app.engine_now(),
        zone: app.zone,
        focus: if app.focus == PaneKind::Proposals && hands {
            Focus::Here
        } else {
            Focus::Elsewhere
        },
        cursor: if hands { Cursor::Shown } else { Cursor::Hidden },
        keys: if hands {
            vec![
                key(Intent::Approve, "approve"),
                key(Intent::Reject, "reject"),
                key(Intent::Why, "why not migrate"),
            ]
        } else {
            Vec::new()
        },
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let count = |wanted: fn(&ProposalState) -> bool| {
            self.proposals.iter().filter(|one| wanted(&one.state)).count()
        };
        let open = count(|state| matches!(state, ProposalState::Open));
        let under_way = count(|state| matches!(state, ProposalState::Executing { .. }));
        let mut note = format!("{open} open");
        if under_way > 0 {
            note.extend([", ", &under_way.to_string(), " under way"]);
        }
        Title {
            text: "Proposals".to_owned(),
            note,
            focus: self.focus,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>, first: &mut usize) {
    let Some(world) = props.world else { return };
    if props.proposals.is_empty() {
        let text = match world.mode {
            proto::Mode::Observe => "no proposals: the engine only observes; change the mode to get some",
            proto::Mode::Recommend | proto::Mode::Auto => {
                "no proposals: one is made when a link in use leaves its bounds and another is better"
            }
        };
        return sentence(frame, area, text);
    }
    let selected = props
        .selected
        .and_then(|selected| props.proposals.iter().position(|one| one.id == selected.id));
    let selected = selected.unwrap_or(0);
    let width = usize::from(area.width);
    let card = props
        .proposals
        .get(selected)
        .map(|one| card(one, world, props, width))
        .unwrap_or_default();
    let height = usize::from(area.height);
    // The card is seen whole, as far as there is room; the list moves no further than it must.
    *first = (*first).clamp(
        (selected + card.len() + 1).saturating_sub(height).min(selected),
        selected,
    );
    let mut rows = Vec::new();
    for (index, proposal) in props.proposals.iter().enumerate().skip(*first) {
        let here = index == selected && props.cursor == Cursor::Shown;
        let here = if here { Focus::Here } else { Focus::Elsewhere };
        rows.push((
            headline(proposal, world, props, here, width),
            here == Focus::Here && props.focus == Focus::Here,
        ));
        if index == selected {
            rows.extend(card.iter().map(|row| (row.clone(), false)));
        }
        if rows.len() >= height {
            break;
        }
    }
    for (index, (row, over)) in rows.into_iter().enumerate() {
        row.draw_over(frame, line(area, index), over.then_some(Role::Selected));
    }
}

/// One line of a proposal.
fn headline(proposal: &Proposal, world: &World, props: &Props<'_>, here: Focus, width: usize) -> Row {
    let (mark, role, end) = standing(proposal, props);
    let over = proposal.state.is_over();
    let tone = if over { Role::Text } else { Role::Strong };
    let mut row = Row::new()
        .add(if here == Focus::Here { ">" } else { " " }, Role::Strong)
        .add(format!("{mark} "), role)
        .add(format!("#{}", proposal.id.0), tone);
    if !over {
        row.push(format!(" r{}", proposal.revision), Role::Quiet);
    }
    let (from, to) = (world.label(&proposal.from), world.label(&proposal.to));
    row = row.pad_to(11);
    if width >= 70 {
        row.push("SWITCH ", if over { Role::Quiet } else { Role::Strong });
    }
    row.push(format!("{}  ", proposal.user), tone);
    row.push(format!("{from} → {to}"), tone);
    if width > 110 {
        row.push(format!("  to {}", proposal.vm), Role::Quiet);
    }
    // What it stands at is on the right, and never cut off.
    let room = width.saturating_sub(crate::figures::cells(&end) + 2);
    row.cut_to(room)
        .pad_to(room)
        .add(format!(" {end} "), if over { Role::Text } else { role })
}

/// Mark, its role, and how it stands in a few words.
fn standing(proposal: &Proposal, props: &Props<'_>) -> (char, Role, String) {
    let at = |at: &Timestamp| clock(*at, props.zone);
    match &proposal.state {
        ProposalState::Open => {
            let left = proposal.expires_at.since(props.now);
            let role = if left < Span::secs(15) {
                Role::Bad
            } else {
                Role::Warning
            };
            let text = if left == Span::ZERO {
                "lapses now".to_owned()
            } else {
                format!("expires {}", countdown(left))
            };
            ('~', role, text)
        }
        ProposalState::Executing { by, since } => {
            let age = length(props.now.since(*since));
            ('~', Role::Warning, format!("under way for {age}, {}", actor(by)))
        }
        ProposalState::Confirmed { by, receipt } => (
            'o',
            Role::Good,
            format!("confirmed {}, {}", at(&receipt.confirmed_at), actor(by)),
        ),
        ProposalState::Failed { at: moment, .. } => ('x', Role::Bad, format!("failed {}", at(moment))),
        ProposalState::Reverted { at: moment, .. } => {
            ('x', Role::Warning, format!("taken back {}", at(moment)))
        }
        ProposalState::Rejected { by, at: moment } => (
            '-',
            Role::Quiet,
            format!("rejected {}, {}", at(moment), actor(by)),
        ),
        ProposalState::Expired { at: moment } => ('-', Role::Quiet, format!("expired {}", at(moment))),
        ProposalState::Superseded { at: moment, .. } => {
            ('-', Role::Quiet, format!("superseded {}", at(moment)))
        }
    }
}

fn actor(by: &Actor) -> String {
    match by {
        Actor::Operator { name } => format!("by {name}"),
        Actor::Engine => "by the engine".to_owned(),
    }
}

/// What stands below the headline of the selected proposal.
fn card(proposal: &Proposal, world: &World, props: &Props<'_>, width: usize) -> Vec<Row> {
    let field = |name: &str, text: String| {
        Row::new()
            .pad_to(5)
            .add(format!("{name:<6}"), Role::Heading)
            .add(text, Role::Text)
    };
    let why = field("why", why(proposal, world));
    match &proposal.state {
        ProposalState::Open => {
            let gain = field("gain", gain(proposal));
            let gain = gain
                .add("   cost ", Role::Heading)
                .add(cost(proposal), Role::Text);
            let last = answers(proposal, world, props, width);
            let waits = waits(proposal, props.now).map(|text| field("mind", text));
            [why, gain].into_iter().chain(waits).chain([last]).collect()
        }
        ProposalState::Executing { .. } => {
            vec![
                why,
                field(
                    "now",
                    "Change-Priority is out; waiting for the user's xTR to acknowledge".to_owned(),
                ),
            ]
        }
        ProposalState::Confirmed { receipt, .. } => vec![why, field("took", took(receipt))],
        ProposalState::Failed { why: reason, .. } => {
            let meanwhile = meanwhile(proposal, world, props.now);
            vec![why, field("then", format!("{reason}; {meanwhile}"))]
        }
        ProposalState::Superseded { why: reason, .. } | ProposalState::Reverted { why: reason, .. } => {
            vec![why, field("then", reason.clone())]
        }
        ProposalState::Rejected { .. } | ProposalState::Expired { .. } => vec![why],
    }
}

/// What can be answered, and what happens if nobody does; of that nothing is cut off as long as a shorter wording fits. The
/// keys stand in the footer, too.
fn answers(proposal: &Proposal, world: &World, props: &Props<'_>, width: usize) -> Row {
    let keys = |words: fn(&'static str) -> &'static str| {
        let mut row = Row::new().pad_to(5);
        for (key, word, role) in &props.keys {
            row = row
                .add(format!("[{key}]"), *role)
                .add(format!(" {}  ", words(word)), Role::Text);
        }
        row
    };
    let first_word = |words: &'static str| words.split(' ').next().unwrap_or(words);
    let lapses = clock(proposal.expires_at, props.zone);
    let long = format!("else lapses {lapses}; {}", meanwhile(proposal, world, props.now));
    let short = format!("lapses {lapses}, {}", briefly(proposal, world, props.now));
    let wordings = [
        (keys(|words| words), &long),
        (keys(first_word), &long),
        (keys(first_word), &short),
        (Row::new().pad_to(5), &long),
    ];
    let rows = wordings.map(|(row, text)| row.add(text.clone(), Role::Quiet));
    let last = Row::new().pad_to(5).add(short.clone(), Role::Quiet);
    rows.into_iter().find(|row| row.width() <= width).unwrap_or(last)
}

/// [`meanwhile`] in two or three words.
fn briefly(proposal: &Proposal, world: &World, now: Timestamp) -> String {
    let from = world.label(&proposal.from);
    match entry_state(proposal, world, now) {
        Some(proto::LinkState::Down) => format!("{from} is down"),
        Some(proto::LinkState::Stale) => format!("{from} is not heard"),
        _ => format!("{from} stays"),
    }
}

fn entry_state(proposal: &Proposal, world: &World, now: Timestamp) -> Option<proto::LinkState> {
    let link = world.links.get(&proto::LinkId {
        user: proposal.user.clone(),
        dc: proposal.from.clone(),
    });
    link.map(|link| link.state(now))
}

/// What the user's traffic does while nothing is switched. No traffic stays on an entry that is dead.
fn meanwhile(proposal: &Proposal, world: &World, now: Timestamp) -> String {
    let from = world.label(&proposal.from);
    match entry_state(proposal, world, now) {
        Some(proto::LinkState::Down) => format!("{from} is down: the user's router uses its next locator"),
        Some(proto::LinkState::Stale) => {
            format!("nobody hears of {from}: if it is down, the next locator is used")
        }
        _ => format!("traffic stays on {from}"),
    }
}

/// `signalling 35 ms in 1 attempt; 18.7 s from the first bad sample to the new entry`.
fn took(receipt: &Receipt) -> String {
    let attempts = count(usize::try_from(receipt.attempts).unwrap_or(usize::MAX), "attempt");
    let signalling = format!(
        "signalling {:.1} ms in {attempts}",
        receipt.signalling.as_millis_f64()
    );
    match receipt.broken_at {
        Some(broken) => {
            let whole = length(receipt.confirmed_at.since(broken));
            format!("{signalling}; {whole} from the first bad sample to the new entry")
        }
        None => signalling,
    }
}
