//! Availability and users' scores, as text and as CSV.

use std::fmt::Write as _;

use chrono::DateTime;
use proto::availability::{AvailabilityRow, Horizon, Subject, Tally};
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
        let _ = writeln!(text, "and {} entries with less downtime", report.left_out);
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

/// One line for each subject and horizon; seconds, times in UTC.
pub fn availability_csv(snapshot: &Snapshot) -> String {
    let mut text =
        "of,user,name,state,since,until,horizon,from,length_s,counted_s,up_s,down_s,unknown_s,outages,\
                    availability_pct,nines,target_pct,per,budget_left_s,unit,owed_running,owed_ended\n"
            .to_owned();
    for row in &snapshot.availability.rows {
        for tally in &row.tallies {
            csv_line(&mut text, row, tally);
        }
    }
    text
}

fn csv_line(text: &mut String, row: &AvailabilityRow, tally: &Tally) {
    let (of, user, name) = match &row.subject {
        Subject::Vm { vm } => ("vm", "", vm.as_str()),
        Subject::Locator { dc } => ("locator", "", dc.as_str()),
        Subject::Entry { user, vm } => ("entry", user.as_str(), vm.as_str()),
    };
    let seconds = |span: Span| format!("{:.6}", span.as_secs_f64());
    let percent =
        |share: proto::availability::Availability| share.to_string().trim_end_matches('%').to_owned();
    let contract = row.contract.as_ref();
    let owed = row.owed.first();
    let cells = [
        of.to_owned(),
        user.to_owned(),
        name.to_owned(),
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
        contract.map_or_else(String::new, |contract| {
            format!("{:.6}", tally.budget_left(contract.target) as f64 / 1e6)
        }),
        owed.map_or_else(String::new, |owed| owed.unit.clone()),
        owed.map_or_else(String::new, |owed| owed.running.to_string()),
        owed.map_or_else(String::new, |owed| owed.ended.to_string()),
    ];
    text.push_str(&cells.join(","));
    text.push('\n');
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
