//! A window too small for any layout: what matters most, line by line, as far as there is room.

use proto::{ProposalState, Timestamp};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::line;
use super::links::role;
use super::row::Row;
use crate::app::table::Table;
use crate::app::world::World;
use crate::app::{App, Status};
use crate::figures::{aligned, countdown, left};
use crate::keymap::{Intent, key_of};
use crate::theme::Role;

pub(super) struct Props<'a> {
    world: Option<&'a World>,
    table: &'a Table,
    status: Option<&'a Status>,
    frozen: bool,
    now: Timestamp,
    advice: String,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let (width, height) = app.least();
    let advice = format!(
        "{} help  {} quit  {} disarm  {width}x{height} for all",
        key_of(Intent::Help),
        key_of(Intent::Quit),
        key_of(Intent::Arming)
    );
    Props {
        world: app.shown(),
        table: &app.table,
        status: app.status.as_ref(),
        frozen: app.frozen.is_some(),
        now: app.engine_now(),
        advice,
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let Some(world) = props.world else { return };
    let mut rows = vec![summary(world, props)];
    rows.extend(proposal(world, props.now));
    let last = match props.status {
        Some(status) => Some(Row::new().add(
            format!("{} {}", status.severity.mark(), status.text),
            Role::Strong,
        )),
        None if area.height > 4 => Some(Row::new().add(props.advice.clone(), Role::Quiet)),
        None => None,
    };
    let room = usize::from(area.height).saturating_sub(rows.len() + usize::from(last.is_some()));
    let cursor = props.table.position();
    let first = (cursor + 1).saturating_sub(room);
    for (index, id) in props.table.order.iter().enumerate().skip(first).take(room) {
        let Some(link) = world.links.get(id) else { continue };
        let state = link.state(props.now);
        let carries = if link.row.carries.is_empty() { " " } else { "▶" };
        rows.push(
            Row::new()
                .add(if index == cursor { ">" } else { " " }, Role::Strong)
                .add(format!("{} ", state.mark()), role(state))
                .add(left(id.user.as_str(), 12), Role::Text)
                .add(
                    format!(" {carries} {}", left(world.label(&id.dc), 12)),
                    Role::Text,
                )
                .add(
                    format!(
                        " {}",
                        aligned(
                            link.row.rtt.filter(|_| link.tells(props.now)).map(|rtt| rtt.last),
                            8
                        )
                    ),
                    Role::Text,
                ),
        );
    }
    rows.extend(last);
    for (index, row) in rows.into_iter().enumerate() {
        row.draw(frame, line(area, index));
    }
}

/// `x1 ~2 ?0 o6 RECOMMEND`: the gravest first, so that it is what a window of a few cells shows. Before it, what makes the
/// rest look other than it is.
fn summary(world: &World, props: &Props<'_>) -> Row {
    let tally = world.tally(props.now);
    let mut row = Row::new();
    if props.frozen {
        row.push("FROZEN ", Role::Alarm);
    }
    if world.policy.arming != proto::Arming::Armed {
        row.push("DISARMED ", Role::Alarm);
    }
    for (mark, number, tone) in [
        ('x', tally.broken, Role::Bad),
        ('~', tally.warned, Role::Warning),
        ('?', tally.stale, Role::Stale),
        ('o', tally.fine, Role::Good),
    ] {
        if number > 0 {
            row.push(format!("{mark}{number} "), tone);
        }
    }
    row.push(world.mode.to_string().to_uppercase(), Role::Strong);
    match world.autos() {
        0 => row,
        autos => row.add(format!(" +{autos} AUTO"), Role::Alarm),
    }
}

fn proposal(world: &World, now: Timestamp) -> Option<Row> {
    let proposal = world
        .proposals_by_urgency()
        .into_iter()
        .find(|one| one.state == ProposalState::Open)?;
    let left = countdown(proposal.expires_at.since(now));
    let to = world.label(&proposal.to);
    Some(Row::new().add(
        format!("~ #{} {} → {to} {left}", proposal.id.0, proposal.user),
        Role::Warning,
    ))
}
