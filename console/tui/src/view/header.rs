//! Session, mode, engine, forwarders, age of the data, clock, operator: one line that drops what matters least when it is short.

use proto::{Mode, Span, Timestamp};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::row::Row;
use crate::app::App;
use crate::app::dialog::meaning;
use crate::app::world::World;
use crate::figures;
use crate::theme::Role;

pub(super) struct Props<'a> {
    world: Option<&'a World>,
    operator: &'a str,
    now: Timestamp,
    clock: String,
    zone: String,
    frozen: Option<String>,
    skew: Option<Span>,
}

pub(super) fn props(app: &App) -> Props<'_> {
    Props {
        world: app.shown(),
        operator: &app.operator,
        now: app.engine_now(),
        clock: figures::clock(app.engine_now(), app.zone),
        zone: figures::zone(app.zone),
        frozen: frozen(app),
        skew: app.skew_worth_a_word(),
    }
}

/// For how long what is shown has stood still, and how it is behind it.
fn frozen(app: &App) -> Option<String> {
    let frozen = app.frozen.as_ref()?;
    let now = app.live_now();
    let age = figures::length(Span::secs((now.since(frozen.at).micros() / 1_000_000).max(1)));
    let live = app.live.as_ref()?;
    let open = live
        .proposals
        .values()
        .filter(|proposal| proposal.state == proto::ProposalState::Open);
    let open = figures::count(open.count(), "proposal");
    let mode = if live.mode == frozen.world.mode {
        String::new()
    } else {
        format!("{}, ", live.mode.to_string().to_uppercase())
    };
    let broken = live.tally(now).broken;
    Some(format!("FROZEN {age}, now {mode}{broken} x, {open}"))
}

/// A piece of the line; the highest rank is dropped first.
struct Piece {
    rank: u8,
    side: Side,
    text: String,
    role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let Some(world) = props.world else { return };
    let mut pieces = pieces(props, world);
    let width = usize::from(area.width);
    while taken(&pieces) > width {
        let Some(last) = pieces
            .iter()
            .enumerate()
            .max_by_key(|(_, piece)| piece.rank)
            .map(|(index, _)| index)
        else {
            return;
        };
        pieces.remove(last);
    }
    let right: usize = pieces
        .iter()
        .filter(|piece| piece.side == Side::Right)
        .map(cells)
        .sum();
    let mut row = Row::new();
    for side in [Side::Left, Side::Right] {
        for piece in pieces.iter().filter(|piece| piece.side == side) {
            row.push(format!(" {} ", piece.text), piece.role);
        }
        if side == Side::Left {
            row = row.pad_to(width.saturating_sub(right));
        }
    }
    row.draw(frame, Some(area));
}

fn pieces(props: &Props<'_>, world: &World) -> Vec<Piece> {
    let piece = |rank, side, text: String, role| Piece {
        rank,
        side,
        text,
        role,
    };
    let connected = world.nodes.iter().filter(|node| node.connected).count();
    let forwarders = format!("forwarders {connected}/{}", world.nodes.len());
    let up = figures::length(props.now.since(world.engine_since));
    let (data, data_role) = match world.newest().map(|newest| props.now.since(newest)) {
        Some(age) if age > Span::secs(5) => (format!("? data {} old", figures::length(age)), Role::Warning),
        Some(age) => (format!("data {:.1} s", age.as_secs_f64()), Role::Text),
        None => ("no data yet".to_owned(), Role::Warning),
    };
    let (mode, mode_role) = match world.mode {
        Mode::Observe => ("OBSERVE", Role::Selected),
        Mode::Recommend => ("RECOMMEND", Role::Focus),
        Mode::Auto => ("AUTO", Role::Guide),
    };
    let forwarders_role = if connected == world.nodes.len() {
        Role::Text
    } else {
        Role::Warning
    };
    let mut pieces = vec![
        piece(7, Side::Left, "pacao".to_owned(), Role::Strong),
        piece(4, Side::Left, world.session.clone(), Role::Text),
        piece(0, Side::Left, mode.to_owned(), mode_role),
        piece(6, Side::Left, format!("engine up {up}"), Role::Text),
        piece(3, Side::Left, forwarders, forwarders_role),
        piece(2, Side::Left, data, data_role),
        piece(1, Side::Right, props.clock.clone(), Role::Strong),
        piece(8, Side::Right, props.zone.clone(), Role::Quiet),
        piece(5, Side::Right, props.operator.to_owned(), Role::Text),
    ];
    let autos = world.autos();
    if autos > 0 {
        // Who reads the mode alone would think that nothing moves by itself.
        pieces.insert(3, piece(0, Side::Left, format!("+{autos} AUTO"), Role::Alarm));
    }
    if let Some(frozen) = &props.frozen {
        pieces.insert(3, piece(0, Side::Left, frozen.clone(), Role::Alarm));
    }
    if let proto::Arming::Disarmed { how, .. } = &world.policy.arming {
        let text = format!("DISARMED ({how})");
        pieces.insert(3, piece(0, Side::Left, text, Role::Alarm));
        pieces.insert(4, piece(4, Side::Left, meaning(*how).to_owned(), Role::Warning));
    }
    if let Some(budget) = world.policy.budgets.first() {
        let (moves, radius) = (budget.per_hour, budget.users_seconds);
        let full = moves.used >= moves.limit || radius.used >= radius.limit;
        let text = format!(
            "moves {}/{} h, {}/{} user s",
            moves.used, moves.limit, radius.used, radius.limit
        );
        let role = if full { Role::Warning } else { Role::Quiet };
        pieces.push(piece(6, Side::Left, text, role));
    }
    if world.clock_ahead > Span::ZERO {
        let text = format!("~ engine time {} ahead", figures::length(world.clock_ahead));
        pieces.insert(6, piece(2, Side::Left, text, Role::Warning));
    }
    if let Some(skew) = props.skew {
        let text = format!("~ clocks differ by {}", figures::length(skew));
        pieces.insert(6, piece(5, Side::Left, text, Role::Warning));
    }
    pieces
}

fn cells(piece: &Piece) -> usize {
    figures::cells(&piece.text) + 2
}

fn taken(pieces: &[Piece]) -> usize {
    pieces.iter().map(cells).sum()
}
