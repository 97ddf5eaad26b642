//! What policy allows now: arming, modes, budgets as gauges, the flap ledger with its releases, drains, windows.

use proto::policy::{Arming, BudgetRow, Gauge, WindowRow};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::line;
use super::row::Row;
use crate::app::App;
use crate::app::choice::PolicyItem;
use crate::app::dialog::{Clocks, curve, drainer, meaning, part, source, standing, subject};
use crate::app::world::World;
use crate::charts;
use crate::figures;
use crate::keymap::{Intent, key_of};
use crate::layout::PaneKind;
use crate::theme::Role;

/// Cells of a gauge's bar, and of the names before lines.
const BAR: usize = 8;
const NAME: usize = 26;
/// From this width on the gauges of a budget stand in one line, and flaps show their curve.
const WIDE: usize = 130;

pub(super) struct Props<'a> {
    world: Option<&'a World>,
    items: Vec<PolicyItem>,
    /// The line under the cursor.
    at: Option<PolicyItem>,
    clocks: Clocks,
    focus: Focus,
}

pub(super) fn props(app: &App) -> Props<'_> {
    Props {
        world: app.shown(),
        items: app.policy_items(),
        at: app.policy_item(),
        clocks: app.clocks(),
        focus: if app.focus == PaneKind::Policy {
            Focus::Here
        } else {
            Focus::Elsewhere
        },
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        Title {
            text: "Policy".to_owned(),
            note: format!(
                "{} disarm  {} mode of a part  {} drain  {} forgive",
                key_of(Intent::Arming),
                key_of(Intent::ModePart),
                key_of(Intent::Drain),
                key_of(Intent::Forgive)
            ),
            focus: self.focus,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>, first: &mut usize) {
    let Some(world) = props.world else { return };
    let width = usize::from(area.width);
    let mut lines = head(world, props.clocks, width);
    let mut cursor = 0;
    let mut section = "";
    for item in &props.items {
        let (name, role, row) = item_row(item, world, props.clocks, width);
        if name != section {
            lines.push((Row::new().add(format!(" {name}"), role), false));
            section = name;
        }
        let here = props.at.as_ref() == Some(item);
        if here {
            cursor = lines.len();
        }
        lines.push((row, here));
    }
    if world.policy.flaps.is_empty() {
        let text = "no flaps: nothing broke or was moved lately, so nothing is suppressed";
        lines.push((labelled("flaps", text), false));
    }
    if world.policy.drains.is_empty() {
        lines.push((labelled("drains", "no data centre is being drained"), false));
    }
    let windows = &world.policy.windows;
    if !windows.is_empty() {
        lines.push((Row::new().add(" WINDOWS", Role::Heading), false));
        lines.extend(windows.iter().map(|row| (window(row, props.clocks), false)));
    }
    let height = usize::from(area.height);
    // The cursor is seen, and the list moves no further than it must.
    let least = (cursor + 1).saturating_sub(height);
    let most = lines.len().saturating_sub(height).min(cursor);
    *first = (*first).clamp(least.min(most), most);
    for (index, (row, here)) in lines.into_iter().skip(*first).take(height).enumerate() {
        row.draw_over(frame, line(area, index), here.then_some(Role::Selected));
    }
}

/// Arming, the mode of everything, budgets.
fn head(world: &World, clocks: Clocks, width: usize) -> Vec<(Row, bool)> {
    let armed = match &world.policy.arming {
        Arming::Armed => Row::new()
            .add(" armed      ", Role::Good)
            .add("the engine moves what its modes let it", Role::Text),
        Arming::Disarmed { how, since, .. } => {
            let since = figures::clock(*since, clocks.zone);
            Row::new()
                .add(" DISARMED ", Role::Alarm)
                .add(format!("  {how} since {since}: {}", meaning(*how)), Role::Strong)
        }
    };
    let mode = Row::new()
        .add(format!(" {:<11}", "mode"), Role::Heading)
        .add(format!("{} for everything", world.mode), Role::Text);
    let mut lines = vec![(armed, false), (mode, false)];
    for row in &world.policy.budgets {
        lines.extend(budget(row, width).into_iter().map(|row| (row, false)));
    }
    lines
}

fn budget(row: &BudgetRow, width: usize) -> Vec<Row> {
    let gauges = [
        ("under way", row.concurrent),
        ("moves an hour", row.per_hour),
        ("users an hour", row.users_per_hour),
        ("user s an hour", row.users_seconds),
    ];
    let each = if width >= WIDE { 4 } else { 2 };
    let room = width.saturating_sub(12) / each;
    gauges
        .chunks(each)
        .enumerate()
        .map(|(at, some)| {
            let name = if at == 0 {
                figures::left(&format!("budget {}", row.name), 10)
            } else {
                " ".repeat(10)
            };
            let mut line = Row::new().add(format!(" {name} "), Role::Heading);
            for (what, gauge) in some {
                let end = line.width() + room;
                line = gauge_of(line, what, *gauge).pad_to(end);
            }
            line
        })
        .collect()
}

fn gauge_of(line: Row, what: &str, gauge: Gauge) -> Row {
    // A budget of a part of the users may leave limits open.
    if gauge.limit >= u64::from(u32::MAX) {
        return line.add(format!("{what} {}, no limit", gauge.used), Role::Text);
    }
    let share = gauge.used as f64 / gauge.limit.max(1) as f64;
    let role = match gauge.used {
        used if used >= gauge.limit => Role::Bad,
        used if used.saturating_mul(5) >= gauge.limit.saturating_mul(4) => Role::Warning,
        _ => Role::Good,
    };
    line.add(charts::bar(share, BAR), role)
        .add(format!(" {}/{} {what}", gauge.used, gauge.limit), Role::Text)
}

/// Section, role of its title, and the line.
fn item_row(item: &PolicyItem, world: &World, clocks: Clocks, width: usize) -> (&'static str, Role, Row) {
    match item {
        PolicyItem::Mode(scope) => {
            let row = world.policy.modes.iter().find(|row| row.scope == *scope);
            let text = row.map_or_else(String::new, |row| format!("{} ({})", row.mode, source(row)));
            ("MODES OF PARTS", Role::Heading, named(&part(scope, world), &text))
        }
        PolicyItem::Flap(key) => {
            let flap = world.policy.flaps.iter().find(|row| row.key == *key);
            let row = flap.map_or_else(Row::new, |flap| {
                let held = flap.release_at.is_some_and(|at| at > clocks.engine);
                let (mark, role) = if held { ("x", Role::Bad) } else { ("o", Role::Good) };
                let row = Row::new()
                    .add(format!("  {mark} "), role)
                    .add(figures::left(&subject(key, world), NAME), Role::Text)
                    .add(format!(" {}", standing(flap, world, clocks)), Role::Text);
                let curve = curve(flap, world, clocks.engine);
                if let Some(at) = flap.release_at.filter(|_| width >= WIDE && held) {
                    let at = figures::clock(at, clocks.zone);
                    row.add(format!(" at {at}  {curve}"), Role::Quiet)
                } else {
                    row
                }
            });
            ("FLAPS", Role::Heading, row)
        }
        PolicyItem::Drain(dc) => {
            let rows: Vec<_> = world.policy.drains_of(dc).collect();
            let by: Vec<String> = rows.iter().map(|row| drainer(row)).collect();
            let left = match rows.first().map_or(0, |row| row.left) {
                0 => "nobody enters by it".to_owned(),
                left => format!("{} left", figures::entries(left as usize)),
            };
            let text = format!("for {}: {left}", by.join(" and "));
            ("DRAINS", Role::Heading, named(world.label(dc), &text))
        }
    }
}

fn named(name: &str, text: &str) -> Row {
    Row::new()
        .add(format!("    {}", figures::left(name, NAME)), Role::Text)
        .add(format!(" {text}"), Role::Text)
}

fn labelled(name: &str, text: &str) -> Row {
    Row::new()
        .add(format!(" {name:<11}"), Role::Heading)
        .add(text.to_owned(), Role::Quiet)
}

fn window(row: &WindowRow, clocks: Clocks) -> Row {
    let (kind, on, role) = match (row.denies, row.on) {
        (true, true) => ("deny", "ON: nothing moves", Role::Bad),
        (true, false) => ("deny", "off", Role::Text),
        (false, true) => ("allow", "on", Role::Text),
        (false, false) => ("allow", "OFF: nothing moves", Role::Bad),
    };
    let until = row.changes_at.map_or_else(
        || "for good".to_owned(),
        |at| format!("until {}", figures::clock(at, clocks.zone)),
    );
    Row::new()
        .add(format!("    {} ", figures::left(&row.name, NAME)), Role::Text)
        .add(format!("{kind:<6}"), Role::Quiet)
        .add(format!("{on}, {until}"), role)
}
