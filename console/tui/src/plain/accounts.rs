//! Availability and users' scores, as text and as CSV.

use std::fmt::Write as _;

use chrono::DateTime;
use proto::availability::{
    Availability, AvailabilityReport, AvailabilityRow, Horizon, Period, Subject, Tally,
};
use proto::qoe::{ClassRow, ShareRow};
use proto::{Snapshot, Span, Timestamp};

use super::{Side, Table, missing};
use crate::figures::length;

/// Which week and year are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The last seven days, the last 365.
    Rolling,
    /// The calendar's, which run.
    Calendar,
}

/// Downtime, unknown time and class of nines (thesis Table 2.1) of VMs, locators and entries.
pub fn availability(snapshot: &Snapshot, over: Over) -> String {
    let (week, year) = match over {
        Over::Rolling => (Horizon::RollingWeek, Horizon::RollingYear),
        Over::Calendar => (Horizon::Week, Horizon::Year),
    };
    let [week_head, year_head] = match over {
        Over::Rolling => ["7 DAYS", "365 DAYS"],
        Over::Calendar => ["WEEK", "YEAR"],
    };
    let columns = [
        ("S", Side::Left),
        ("STATE", Side::Left),
        ("SUBJECT", Side::Left),
        (week_head, Side::Right),
        ("DOWN", Side::Right),
        ("UNKNOWN", Side::Right),
        ("9s", Side::Right),
        (year_head, Side::Right),
        ("DOWN", Side::Right),
        ("UNKNOWN", Side::Right),
        ("9s", Side::Right),
        ("TARGET", Side::Left),
        ("LEFT", Side::Right),
        ("OWED (now+ended)", Side::Left),
    ];
    let mut table = Table::new(&columns);
    let report = &snapshot.availability;
    for row in &report.rows {
        let cells = |horizon| -> [String; 4] {
            match row.tally(horizon) {
                Some(tally) => [
                    tally
                        .availability()
                        .map_or_else(missing, |share| share.to_string()),
                    length(tally.down),
                    length(tally.unknown),
                    tally.nines().to_string(),
                ],
                None => std::array::from_fn(|_| missing()),
            }
        };
        let contract = row.contract.as_ref();
        let head = [
            row.state.mark().to_string(),
            row.state.word().to_owned(),
            row.subject.to_string(),
        ];
        let tail = [
            contract.map_or_else(missing, |contract| {
                format!("{} a {} ({})", contract.target, contract.per.word(), contract.sla)
            }),
            row.budget_left().map_or_else(missing, left),
            owed(row),
        ];
        table.row(head.into_iter().chain(cells(week)).chain(cells(year)).chain(tail));
    }
    let mut text = table.text("no accounts yet: they begin with the engine's first input");
    if report.left_out > 0 {
        let _ = writeln!(
            text,
            "and {} entries with less downtime (--all shows them)",
            report.left_out
        );
    }
    if let Some(row) = report.rows.first() {
        let counted = row.at.since(row.counted_from);
        let behind = snapshot.at.since(row.at);
        let _ = writeln!(
            text,
            "counted for {}, until {} ago",
            length(counted),
            length(behind)
        );
    }
    text
}

/// What is left of a budget; what is overspent has a minus.
pub(crate) fn left(micros: i64) -> String {
    let span = length(Span(micros.unsigned_abs()));
    if micros < 0 { format!("-{span}") } else { span }
}

/// Penalties: of the running periods, and of those that ended.
pub(crate) fn owed(row: &AvailabilityRow) -> String {
    let owed = row
        .owed
        .iter()
        .map(|owed| format!("{}+{} {}", owed.running, owed.ended, owed.unit));
    let all = owed.collect::<Vec<_>>().join(", ");
    if all.is_empty() { missing() } else { all }
}

/// One line for each subject and horizon; seconds, times in UTC. What is left of a contract's downtime stands on the line of
/// the horizon that it is counted over.
pub fn availability_csv(report: &AvailabilityReport) -> String {
    let head = [
        "of",
        "user",
        "name",
        "state",
        "since",
        "until",
        "horizon",
        "from",
        "length_s",
        "counted_s",
        "up_s",
        "down_s",
        "unknown_s",
        "outages",
        "availability_pct",
        "nines",
        "target_pct",
        "per",
        "budget_left_s",
    ];
    let rows = report.rows.iter().flat_map(|row| {
        let tallies = row.tallies.iter();
        tallies.map(move |tally| tally_cells(row, tally))
    });
    written(&head, rows)
}

fn tally_cells(row: &AvailabilityRow, tally: &Tally) -> Vec<String> {
    let percent = |share: Availability| share.to_string().trim_end_matches('%').to_owned();
    let contract = row.contract.as_ref();
    let counted_over = contract.filter(|contract| contract.per == tally.horizon);
    let mut cells = subject(row);
    cells.extend([
        row.state.word().to_owned(),
        utc(row.since),
        utc(row.at),
        tally.horizon.word().to_owned(),
        utc(tally.from),
        seconds(tally.length),
        seconds(tally.counted),
        seconds(tally.up()),
        seconds(tally.down),
        seconds(tally.unknown),
        tally.outages.to_string(),
        tally.availability().map_or_else(String::new, percent),
        tally.nines().to_string(),
        contract.map_or_else(String::new, |contract| percent(contract.target)),
        contract.map_or("", |contract| contract.per.word()).to_owned(),
        counted_over.map_or_else(String::new, |contract| {
            format!("{:.6}", tally.budget_left(contract.target) as f64 / 1e6)
        }),
    ]);
    cells
}

/// The bill: one line for each period of an entry's contract, those that have ended and, as it stands, the one that runs.
/// Contracts are those of entries; a VM's penalties are theirs together, and not counted again.
pub fn penalties_csv(report: &AvailabilityReport) -> String {
    let head = [
        "of",
        "user",
        "name",
        "sla",
        "period",
        "from",
        "to",
        "down_s",
        "unknown_s",
        "amount",
        "unit",
    ];
    let of_entries = |row: &&AvailabilityRow| matches!(row.subject, Subject::Entry { .. });
    let rows = report.rows.iter().filter(of_entries).flat_map(bill);
    written(&head, rows)
}

fn bill(row: &AvailabilityRow) -> Vec<Vec<String>> {
    let (Some(contract), Some(owed)) = (&row.contract, row.owed.first()) else {
        return Vec::new();
    };
    let ended = row.periods.iter().map(|period| ("ended", *period));
    let running = row.tally(contract.per).map(|tally| {
        let period = Period {
            from: tally.from,
            to: row.at,
            down: tally.down,
            unknown: tally.unknown,
            amount: owed.running,
        };
        ("running", period)
    });
    let cells = |(state, period): (&str, Period)| {
        let mut cells = subject(row);
        cells.extend([
            contract.sla.to_string(),
            state.to_owned(),
            utc(period.from),
            utc(period.to),
            seconds(period.down),
            seconds(period.unknown),
            period.amount.to_string(),
            owed.unit.clone(),
        ]);
        cells
    };
    ended.chain(running).map(cells).collect()
}

/// What it is, the user if it has one, and the name.
fn subject(row: &AvailabilityRow) -> Vec<String> {
    let (of, user, name) = match &row.subject {
        Subject::Vm { vm } => ("vm", "", vm.as_str()),
        Subject::Locator { dc } => ("locator", "", dc.as_str()),
        Subject::Entry { user, vm } => ("entry", user.as_str(), vm.as_str()),
    };
    [of, user, name].map(str::to_owned).into()
}

fn seconds(span: Span) -> String {
    format!("{:.6}", span.as_secs_f64())
}

/// Lines of values with commas between them, in quotation marks where they need them (RFC 4180).
fn written(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail, and what is made of strings is one.
    let _ = lines.write_record(head);
    for row in rows {
        let _ = lines.write_record(row);
    }
    String::from_utf8(lines.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn utc(at: Timestamp) -> String {
    let micros = i64::try_from(at.micros()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_micros(micros)
        .map_or_else(missing, |at| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// What scores tell of each class's bounds.
pub fn qoe(snapshot: &Snapshot) -> String {
    let classes: String = snapshot.qoe.classes.iter().map(class).collect();
    if classes.is_empty() {
        return "no scores yet: `pacao ctl qoe USER --score 1..5` gives one\n".to_owned();
    }
    classes
}

fn class(row: &ClassRow) -> String {
    let mut text = format!("class {}: {} scores", row.sla, row.scores);
    if row.unjoined > 0 {
        let _ = write!(text, ", {} of sessions nothing was measured in", row.unjoined);
    }
    let _ = writeln!(
        text,
        "\n  bad scores while all bounds were kept    {}\n  good scores while a bound was broken     {}",
        share(&row.low_while_kept),
        share(&row.high_while_broken)
    );
    for criterion in &row.criteria {
        let _ = writeln!(text, "  {}", criterion.text());
    }
    text
}

fn share(share: &ShareRow) -> String {
    if share.of == 0 {
        return "no such session".to_owned();
    }
    let percent = |millionths: u32| f64::from(millionths) / 1e4;
    format!(
        "{:.1} of {:.1} (95 %: {:.0} to {:.0} %)",
        f64::from(share.so) / 1e3,
        f64::from(share.of) / 1e3,
        percent(share.least),
        percent(share.most)
    )
}
