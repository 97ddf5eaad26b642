//! How long VMs, locators and entries could be reached, and what users say of it. There is no cursor.

use std::cmp::Reverse;

use proto::Timestamp;
use proto::availability::{AvailabilityRow, Horizon, Reach, Subject, Tally};
use proto::qoe::{Finding, QoeReport};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::row::Row;
use super::{line, sentence};
use crate::app::App;
use crate::figures::{cells, left, length};
use crate::plain::{budget_left, owed};
use crate::theme::Role;

/// From here on there is room for nines and for what is owed.
const WIDE: usize = 108;
/// Cells of one horizon: availability and downtime; where there is room, nines.
const HORIZON: usize = 22;
const NINES: usize = 3;
/// Cells of what is left, and of unknown time.
const LENGTH: usize = 10;

pub(super) struct Props<'a> {
    /// What is down first, then VMs, locators and entries, those with the most downtime first.
    rows: Vec<&'a AvailabilityRow>,
    qoe: Option<&'a QoeReport>,
    left_out: u64,
    now: Timestamp,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let world = app.shown();
    let report = world.map(|world| &world.availability);
    let mut rows: Vec<&AvailabilityRow> = report
        .map(|report| report.rows.iter().collect())
        .unwrap_or_default();
    rows.sort_by_key(|row| {
        let down = row.tally(Horizon::RollingWeek).map(|tally| tally.down);
        let kind = match row.subject {
            Subject::Vm { .. } => 0,
            Subject::Locator { .. } => 1,
            Subject::Entry { .. } => 2,
        };
        (row.state != Reach::Down, kind, Reverse(down), &row.subject)
    });
    Props {
        rows,
        qoe: world.map(|world| &world.qoe),
        left_out: report.map_or(0, |report| report.left_out),
        now: app.engine_now(),
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let down = self.rows.iter().filter(|row| row.state == Reach::Down).count();
        let note = match self.rows.first() {
            None => String::new(),
            // Counted a little behind the present, told once a minute.
            Some(row) => format!(
                "{down} down, counted until {} ago",
                length(self.now.since(row.at))
            ),
        };
        Title {
            text: "Availability".to_owned(),
            note,
            focus: Focus::Elsewhere,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let width = usize::from(area.width);
    if props.rows.is_empty() {
        return sentence(
            frame,
            area,
            "no accounts yet: they begin with the engine's first input",
        );
    }
    let name = props
        .rows
        .iter()
        .map(|row| cells(&row.subject.to_string()))
        .max()
        .unwrap_or(0);
    let taken = 3 + 2 * cells_of(width) + 2 * LENGTH;
    let name = name.clamp(7, width.saturating_sub(taken).clamp(12, 32));
    heading(name, width).draw(frame, line(area, 0));
    let scores = scores(props.qoe);
    // The heading, and the line about scores.
    let room = usize::from(area.height).saturating_sub(2);
    let hidden = props.rows.len().saturating_sub(room) as u64 + props.left_out;
    let fit = if hidden > 0 { room.saturating_sub(1) } else { room };
    for (index, row) in props.rows.iter().take(fit).enumerate() {
        account(row, name, width).draw(frame, line(area, index + 1));
    }
    if hidden > 0 {
        let hidden = props.rows.len().saturating_sub(fit) as u64 + props.left_out;
        let text = format!("   and {hidden} more");
        let shown = props.rows.len().min(fit);
        Row::new()
            .add(text, Role::Quiet)
            .draw(frame, line(area, shown + 1));
    }
    scores.draw(frame, line(area, usize::from(area.height).saturating_sub(1)));
}

fn heading(name: usize, width: usize) -> Row {
    let nines = if width < WIDE { "" } else { " 9s" };
    let horizon = |days: &str| format!(" {days:>12}{:>9}{nines}", "DOWN");
    let row = Row::new()
        .add(format!("   {}", left("SUBJECT", name)), Role::Heading)
        .add(horizon("7 DAYS") + &horizon("365 DAYS"), Role::Heading)
        .add(format!(" {:>9} {:>9}", "LEFT", "UNKNOWN"), Role::Heading);
    if width < WIDE {
        return row;
    }
    row.add("  OWED (now+ended)", Role::Heading)
}

fn account(row: &AvailabilityRow, name: usize, width: usize) -> Row {
    let tone = match row.state {
        Reach::Up => Role::Good,
        Reach::Down => Role::Bad,
        Reach::Unknown => Role::Stale,
    };
    let text = Row::new().add(format!(" {} ", row.state.mark()), tone).add(
        left(&row.subject.to_string(), name),
        if row.state == Reach::Up { Role::Text } else { tone },
    );
    let week = row.tally(Horizon::RollingWeek);
    let text = horizon(text, week, width);
    let year = row.tally(Horizon::RollingYear);
    let text = match year.filter(|year| week.is_some_and(|week| year.counted <= week.counted)) {
        // A year of which no more than the week was seen: it would claim what nobody has counted.
        Some(year) => {
            let counted = format!("only {} counted", length(year.counted));
            text.add(format!("{counted:>0$}", cells_of(width)), Role::Quiet)
        }
        None => horizon(text, year, width),
    };
    let text = match row.budget_left() {
        None => text.add(format!(" {:>9}", "-"), Role::Quiet),
        Some(micros) => {
            let role = if micros < 0 { Role::Bad } else { Role::Text };
            text.add(format!(" {:>9}", brief(budget_left(micros))), role)
        }
    };
    let unknown = week.map_or_else(String::new, |tally| brief(length(tally.unknown)));
    let text = text.add(format!(" {unknown:>9}"), Role::Quiet);
    if width < WIDE {
        return text;
    }
    let role = if row.owed.iter().any(|owed| owed.running > 0) {
        Role::Bad
    } else {
        Role::Quiet
    };
    text.add(format!("  {}", owed(row)), role)
}

fn horizon(row: Row, tally: Option<&Tally>, width: usize) -> Row {
    let Some(tally) = tally else {
        return row.add(format!("{:>1$}", "-", cells_of(width)), Role::Quiet);
    };
    let share = tally
        .availability()
        .map_or_else(|| "-".to_owned(), |share| share.to_string());
    let role = if tally.outages == 0 {
        Role::Text
    } else {
        Role::Warning
    };
    let row = row
        .add(format!(" {share:>12}"), Role::Text)
        .add(format!("{:>9}", brief(length(tally.down))), role);
    if width < WIDE {
        return row;
    }
    row.add(format!(" {:>2}", tally.nines()), Role::Text)
}

/// Cells of a horizon on a screen this wide.
fn cells_of(width: usize) -> usize {
    if width < WIDE { HORIZON } else { HORIZON + NINES }
}

/// `2 min 03 s` as `2m03s`: a column has no room for spaces.
fn brief(length: String) -> String {
    if length.len() <= 8 {
        return length;
    }
    length.replace(" min", "m").replace(' ', "")
}

/// What scores say, in a line: the first bound that differs from users, or how many there are.
fn scores(qoe: Option<&QoeReport>) -> Row {
    let classes = qoe.map_or(&[][..], |report| &report.classes);
    let differs = classes.iter().flat_map(|class| {
        let rows = class.criteria.iter();
        rows.filter(|row| matches!(row.finding, Finding::TooStrict { .. } | Finding::TooLoose { .. }))
            .map(move |row| format!(" ~ class {}: {}", class.sla, row.text()))
    });
    if let Some(text) = differs.into_iter().next() {
        return Row::new().add(text, Role::Warning);
    }
    let all: u32 = classes.iter().map(|class| class.scores).sum();
    let text = match all {
        0 => " no scores of users yet".to_owned(),
        all => format!(" {all} scores of users; no bound is found to differ from them"),
    };
    Row::new().add(text, Role::Quiet)
}
