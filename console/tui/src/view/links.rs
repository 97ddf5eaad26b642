//! The links table: one row a user and data centre.

use proto::{LinkState, SiteName, Timestamp};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::row::Row;
use super::{below, line, sentences};
use crate::app::App;
use crate::app::table::{Direction, Filter, Sort, Table};
use crate::app::world::{Figures, Link, Tally, World};
use crate::charts::sparkline;
use crate::figures::{aligned, cells, left, signed, tenths};
use crate::keymap::{Intent, key_of};
use crate::layout::{Column, PaneKind};
use crate::theme::Role;

pub(super) struct Props<'a> {
    pub(super) world: Option<&'a World>,
    pub(super) table: &'a Table,
    pub(super) columns: &'a [Column],
    pub(super) now: Timestamp,
    pub(super) focus: Focus,
}

pub(super) fn props<'a>(app: &'a App, columns: &'a [Column]) -> Props<'a> {
    let focus = if app.focus == PaneKind::Links {
        Focus::Here
    } else {
        Focus::Elsewhere
    };
    Props {
        world: app.shown(),
        table: &app.table,
        columns,
        now: app.engine_now(),
        focus,
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let filter = self.table.filter.text();
        let text = if filter.is_empty() {
            "Links".to_owned()
        } else {
            format!("Links /{filter}")
        };
        let mut note = self
            .world
            .map_or_else(String::new, |world| tally(world.tally(self.now)));
        if !matches!(self.table.filter, Filter::All) {
            note = format!("{} of {note}", self.table.order.len());
        }
        Title {
            text,
            note,
            focus: self.focus,
        }
    }
}

/// `128 links, 3 ~, 1 x`.
pub(super) fn tally(tally: Tally) -> String {
    let mut text = crate::figures::count(tally.links, "link");
    for (number, mark) in [(tally.broken, "x"), (tally.warned, "~"), (tally.stale, "?")] {
        if number > 0 {
            text.extend([", ", &number.to_string(), " ", mark]);
        }
    }
    text
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>, first: &mut usize) {
    let Some(world) = props.world else { return };
    let plan = Plan::new(props, world, usize::from(area.width));
    plan.head(props).draw(frame, line(area, 0));
    let rows = usize::from(area.height.saturating_sub(1));
    if props.table.order.is_empty() {
        return empty(frame, area, props, world);
    }
    let cursor = props.table.position();
    // The cursor stays on the screen, and the table moves no further than it must.
    *first = (*first)
        .clamp((cursor + 1).saturating_sub(rows), cursor)
        .min(props.table.order.len().saturating_sub(rows));
    for (index, id) in props.table.order.iter().skip(*first).take(rows).enumerate() {
        let Some(link) = world.links.get(id) else { continue };
        let here = if *first + index == cursor {
            Focus::Here
        } else {
            Focus::Elsewhere
        };
        let over = (here == Focus::Here && props.focus == Focus::Here).then_some(Role::Selected);
        plan.row(link, world, props.now, here)
            .draw_over(frame, line(area, index + 1), over);
    }
}

/// Said wherever links would be.
pub(super) const NO_LINKS: &str = "no links yet: they appear once forwarders report probes";

/// Why there are no rows, and what to do.
fn empty(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>, world: &World) {
    let texts = if world.links.is_empty() {
        let connected = world.nodes.iter().filter(|node| node.connected).count();
        let all = world.nodes.len();
        [
            NO_LINKS.to_owned(),
            format!("{connected} of {all} forwarders are connected"),
        ]
    } else {
        let (filter, key) = (props.table.filter.text(), key_of(Intent::ClearFilter));
        [
            format!("no link matches /{filter}"),
            format!("{key} shows all {}", world.links.len()),
        ]
    };
    sentences(frame, below(area, 2), &texts.each_ref().map(String::as_str));
}

/// Which columns there is room for, and how wide they are.
struct Plan {
    user: usize,
    columns: Vec<(Column, usize)>,
}

/// Cells before the first column: cursor, mark, space.
const MARGIN: usize = 4;
/// Columns that give way first when the table is narrow.
const GIVES_WAY: [Column; 9] = [
    Column::Rloc,
    Column::Sla,
    Column::Availability,
    Column::Jitter,
    Column::P95,
    Column::Loss,
    Column::History,
    Column::Margin,
    Column::Rtt,
];
/// The history gets narrower before this one gives way, and wider by what is left over.
const BEHIND_HISTORY: Column = Column::P95;
/// Cells of the history, and the least: how old a silent link's figures are.
const HISTORY: (usize, usize) = (10, 5);

impl Plan {
    fn new(props: &Props<'_>, world: &World, width: usize) -> Self {
        let order = &props.table.order;
        let widest =
            |texts: &mut dyn Iterator<Item = usize>, most: usize| texts.max().unwrap_or(0).clamp(4, most);
        let user = widest(&mut order.iter().map(|id| id.user.as_str().len()), 16);
        let mut sites: Vec<&SiteName> = world.nodes.iter().map(|node| &node.site).collect();
        sites.extend(order.iter().take(1).map(|id| &id.dc));
        let via = widest(&mut sites.into_iter().map(|site| cells(world.label(site))), 14) + 2;
        let mut columns: Vec<(Column, usize)> = props
            .columns
            .iter()
            .map(|column| {
                let width = match column {
                    Column::Via => via,
                    Column::Rtt | Column::P95 | Column::Margin | Column::Availability => 7,
                    Column::Jitter | Column::Loss => 6,
                    Column::Sla => 12,
                    Column::Rloc => 15,
                    Column::History => HISTORY.0,
                };
                (*column, width)
            })
            .collect();
        let taken = |columns: &[(Column, usize)]| {
            MARGIN + user + columns.iter().map(|(_, width)| width + 1).sum::<usize>()
        };
        for column in GIVES_WAY {
            if taken(&columns) <= width {
                break;
            }
            if column == BEHIND_HISTORY {
                widen(&mut columns, |_| HISTORY.1);
                if taken(&columns) <= width {
                    break;
                }
            }
            columns.retain(|(kept, _)| *kept != column);
        }
        // What is left over goes to the history.
        let spare = width.saturating_sub(taken(&columns));
        widen(&mut columns, |width| width + spare.min(110));
        Self { user, columns }
    }

    fn head(&self, props: &Props<'_>) -> Row {
        let sorted = |sort: Sort| match (props.table.sort == sort, props.table.direction) {
            (false, _) => "",
            (true, Direction::Natural) => "▾",
            (true, Direction::Reversed) => "▴",
        };
        let mut row = Row::new().pad_to(MARGIN);
        row.push(
            left(&format!("USER{}", sorted(Sort::User)), self.user),
            Role::Heading,
        );
        for (column, width) in &self.columns {
            let text = match column {
                Column::Via => left(&format!("  VIA{}", sorted(Sort::Via)), *width),
                Column::Rtt => head("RTT ms", sorted(Sort::Rtt), *width),
                Column::P95 => head("p95", sorted(Sort::P95), *width),
                Column::Jitter => head("JIT", sorted(Sort::Jitter), *width),
                Column::Loss => head("LOSS%", sorted(Sort::Loss), *width),
                Column::Margin => head("SLA ms", sorted(Sort::Margin), *width),
                Column::Availability => head("AVAIL%", "", *width),
                Column::Sla => left("CLASS", *width),
                Column::Rloc => left("RLOC", *width),
                Column::History if *width < HISTORY.0 => left("2 MIN", *width),
                Column::History => left("LAST 2 MIN", *width),
            };
            row.push(format!(" {text}"), Role::Heading);
        }
        row
    }

    fn row(&self, link: &Link, world: &World, now: Timestamp, here: Focus) -> Row {
        let figures = link.figures(now);
        let state = link.state(now);
        let tone = |role: Role| {
            if figures == Figures::Fresh {
                role
            } else {
                Role::Stale
            }
        };
        let mark = state.mark();
        let mut row = Row::new()
            .add(if here == Focus::Here { ">" } else { " " }, Role::Strong)
            .add(format!("{mark}  "), tone(role(state)))
            .add(
                left(link.row.link.user.as_str(), self.user),
                tone(name_role(state)),
            );
        for (column, width) in &self.columns {
            row.push(" ", Role::Text);
            let (text, role) = cell(*column, *width, (link, now), world);
            if *column == Column::History {
                let age = match figures {
                    Figures::Fresh => String::new(),
                    Figures::Old(age) => format!(" ? {}", crate::figures::age(age)),
                    Figures::Never => " no data".to_owned(),
                };
                let width = width.saturating_sub(cells(&age));
                row.push(sparkline(link.history.iter(), now, width), tone(role));
                row.push(age, Role::Warning);
            } else {
                row.push(text, tone(role));
            }
        }
        row
    }
}

/// Gives the history, if it is there, another width.
fn widen(columns: &mut [(Column, usize)], width: impl Fn(usize) -> usize) {
    if let Some((_, now)) = columns.iter_mut().find(|(column, _)| *column == Column::History) {
        *now = width(*now);
    }
}

/// A heading above figures that stand three cells from the right, or as near to that as it fits.
fn head(text: &str, sorted: &str, width: usize) -> String {
    format!(
        "{:>width$}",
        format!("{text}{}", if sorted.is_empty() { " " } else { sorted })
    )
}

fn cell(column: Column, width: usize, (link, now): (&Link, Timestamp), world: &World) -> (String, Role) {
    let row = &link.row;
    // A figure of before would look as if it were of now.
    let told = |figure: Option<f64>| figure.filter(|_| link.tells(now));
    let fresh = |figure: Option<f64>| figure.filter(|_| link.figures(now) == Figures::Fresh);
    let state = role(row.state);
    // Figures of a link in trouble stand out where the trouble is.
    let rtt_role = match row.margin_ms {
        Some(margin) if margin < 0.0 => state,
        _ => Role::Text,
    };
    match column {
        Column::Via => {
            let (carries, role) = if row.carries.is_empty() {
                ("  ", Role::Quiet)
            } else {
                ("▶ ", Role::Strong)
            };
            (
                left(&format!("{carries}{}", world.label(&row.link.dc)), width),
                role,
            )
        }
        Column::Rtt => (aligned(told(row.rtt.map(|rtt| rtt.last)), width), rtt_role),
        Column::P95 => (aligned(told(row.rtt.map(|rtt| rtt.p95)), width), Role::Text),
        Column::Jitter => (aligned(told(row.jitter_ms), width), Role::Text),
        Column::Loss => {
            let lossy = row.loss_pct.is_some_and(|loss| loss > 0.0);
            (
                tenths(fresh(row.loss_pct), width),
                if lossy { Role::Warning } else { Role::Text },
            )
        }
        Column::Margin => (signed(told(row.margin_ms), width), rtt_role),
        Column::Availability => (tenths(fresh(row.availability_pct), width), Role::Text),
        Column::Sla => (left(row.sla.as_str(), width), Role::Text),
        Column::Rloc => (left(&row.user_rloc.to_string(), width), Role::Text),
        Column::History => (
            String::new(),
            if row.state == LinkState::Ok {
                Role::Good
            } else {
                state
            },
        ),
    }
}

/// How a state is drawn.
pub(super) fn role(state: LinkState) -> Role {
    match state {
        LinkState::Ok => Role::Good,
        LinkState::Warn => Role::Warning,
        LinkState::Broken | LinkState::Down => Role::Bad,
        LinkState::Stale => Role::Stale,
    }
}

fn name_role(state: LinkState) -> Role {
    match state {
        LinkState::Broken | LinkState::Down => Role::Bad,
        LinkState::Warn => Role::Warning,
        LinkState::Ok | LinkState::Stale => Role::Text,
    }
}
