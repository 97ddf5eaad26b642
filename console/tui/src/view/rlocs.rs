//! Locators of the selected user's VMs, as that user is told to use them.

use std::collections::BTreeSet;

use proto::{LegRow, LinkId, LinkState, RlocRow, SiteName, Timestamp, UserName};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::links::role;
use super::row::Row;
use super::{line, sentence};
use crate::app::App;
use crate::app::world::{Link, World, by_use};
use crate::figures::{self, aligned, cells, left};
use crate::layout::PaneKind;
use crate::theme::Role;

pub(super) struct Props<'a> {
    world: Option<&'a World>,
    user: Option<&'a UserName>,
    rows: Vec<&'a RlocRow>,
    down: usize,
    now: Timestamp,
    focus: Focus,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let world = app.shown();
    let user = app.table.selected().map(|link| &link.user);
    let rows = user
        .and_then(|user| world?.rlocs.get(user))
        .map(Vec::as_slice)
        .unwrap_or_default();
    let rows = by_use(rows);
    let focus = if app.focus == PaneKind::Rlocs {
        Focus::Here
    } else {
        Focus::Elsewhere
    };
    Props {
        world,
        user,
        rows,
        down: app.rlocs_down,
        now: app.engine_now(),
        focus,
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let text = self
            .user
            .map_or_else(|| "RLOCs".to_owned(), |user| format!("RLOCs for {user}"));
        Title {
            text,
            note: String::new(),
            focus: self.focus,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let Some((world, user)) = props.world.zip(props.user) else {
        return sentence(frame, area, "no user is selected");
    };
    if props.rows.is_empty() {
        return sentence(frame, area, &format!("{user} uses no VM"));
    }
    let label = props
        .rows
        .iter()
        .map(|row| cells(world.label(&row.dc)))
        .max()
        .unwrap_or(0)
        .clamp(4, 14);
    // ">*" + label + RTT 9 + PRI 5 + WGT 4 + state 3
    let spare = usize::from(area.width).saturating_sub(3 + label + 9 + 5 + 4 + 3);
    let address = props
        .rows
        .iter()
        .map(|row| row.rloc.to_string().len())
        .max()
        .unwrap_or(0);
    let address = if spare > address { address + 1 } else { 0 };

    let mut lines = Vec::new();
    let mut vm = None;
    let mut cursor = 0;
    for (index, row) in props.rows.iter().enumerate() {
        if vm != Some(&row.vm) {
            vm = Some(&row.vm);
            lines.push(
                Row::new()
                    .add(format!(" {}  ", row.vm), Role::Strong)
                    .add(row.eid.to_string(), Role::Text),
            );
            lines.push(head(label, address));
        }
        if index == props.down {
            cursor = lines.len();
        }
        lines.push(body(row, world, props.now, (label, address)));
    }
    let height = usize::from(area.height);
    if lines.len() + 1 < height && props.rows.iter().any(|row| row.home) {
        lines.push(Row::new());
        lines.push(Row::new().add("   * home of the VM   ▶ in use", Role::Quiet));
    }
    lines.extend(legs(world, &props.rows, label));
    let first = (cursor + 1).saturating_sub(height);
    for (index, row) in lines.into_iter().enumerate().skip(first).take(height) {
        let here = index == cursor && props.focus == Focus::Here;
        row.draw_over(frame, line(area, index - first), here.then_some(Role::Selected));
    }
}

/// How far it is from each data centre to where the VMs live, as far as it was ever measured.
fn legs(world: &World, rows: &[&RlocRow], label: usize) -> Vec<Row> {
    let homes: BTreeSet<&SiteName> = rows.iter().filter(|row| row.home).map(|row| &row.dc).collect();
    let mut lines = Vec::new();
    for home in homes {
        let heard = |leg: &&LegRow| leg.to == *home && leg.heard_at.is_some();
        let legs: Vec<&LegRow> = world.legs.iter().filter(heard).collect();
        if legs.is_empty() {
            continue;
        }
        lines.push(Row::new());
        let text = format!("   on to {} ms", world.label(home));
        lines.push(
            Row::new()
                .add(left(&text, 3 + label + 9), Role::Heading)
                .add("  LOSS%  S", Role::Heading),
        );
        for leg in legs {
            // What was heard before a leg fell silent or died says nothing of it now.
            let heard = !matches!(leg.state, LinkState::Down | LinkState::Stale);
            let rtt = leg.rtt.filter(|_| heard).map(|rtt| rtt.last);
            lines.push(
                Row::new()
                    .add("   ", Role::Text)
                    .add(left(world.label(&leg.from), label), Role::Text)
                    .add(format!(" {}", aligned(rtt, 8)), Role::Text)
                    .add(
                        format!(
                            "{:>7}",
                            leg.loss_pct
                                .map_or_else(|| "·".to_owned(), |loss| format!("{loss:.1}"))
                        ),
                        Role::Text,
                    )
                    .add(format!("  {}", leg.state.mark()), role(leg.state)),
            );
        }
    }
    lines
}

fn head(label: usize, address: usize) -> Row {
    let mut text = format!("   {}", left("DC", label));
    if address > 0 {
        text.extend([" ", &left("RLOC", address - 1)]);
    }
    text.push_str("   RTT ms  PRI WGT  S");
    Row::new().add(text, Role::Heading)
}

/// The newest RTT; how old it is instead, where it no longer tells how the link is.
fn rtt(link: Option<&Link>, now: Timestamp) -> String {
    const WIDTH: usize = 8;
    let told = link.filter(|link| link.tells(now));
    match link.and_then(|link| link.age(now)) {
        Some(age) if told.is_none() => format!("{:>WIDTH$}", format!("? {}", figures::age(age))),
        _ => aligned(told.and_then(|link| link.row.rtt).map(|rtt| rtt.last), WIDTH),
    }
}

fn body(row: &RlocRow, world: &World, now: Timestamp, (label, address): (usize, usize)) -> Row {
    let link = world.links.get(&LinkId {
        user: row.user.clone(),
        dc: row.dc.clone(),
    });
    let state = link.map_or(LinkState::Stale, |link| link.state(now));
    let carries = link.is_some_and(|link| link.row.carries.contains(&row.vm));
    let tone = if carries { Role::Strong } else { Role::Text };
    let never = row.priority.0 == u8::MAX;
    let mut line = Row::new()
        .add(if carries { " ▶" } else { "  " }, Role::Strong)
        .add(if row.home { "*" } else { " " }, Role::Text)
        .add(left(world.label(&row.dc), label), tone);
    if address > 0 {
        line.push(
            format!(" {}", left(&row.rloc.to_string(), address - 1)),
            Role::Quiet,
        );
    }
    line.push(format!(" {}", rtt(link, now)), tone);
    line.push(
        format!("{:>5}", row.priority.0),
        if never { Role::Quiet } else { tone },
    );
    line.push(
        if never {
            "   -".to_owned()
        } else {
            format!("{:>4}", row.weight.0)
        },
        tone,
    );
    line.push(format!("  {}", state.mark()), role(state));
    line
}
