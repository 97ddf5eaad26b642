//! `pacao ctl policy`, and the commands that set policy while an engine runs.

use std::fmt::Write as _;

use anyhow::bail;
use chrono::{DateTime, FixedOffset};
use proto::policy::{Arming, BudgetRow, FlapRow, Gauge, ModeRow, Source};
use proto::{Actor, Command, FlapKey, Forced, Scope, SiteName, Snapshot, Timestamp, UserName, VmName};

use crate::cli::{ModeWord, PartArgs};

/// The width of a gauge, in cells.
const GAUGE: u64 = 12;

/// All of policy, as text; times in `zone`.
pub(super) fn text(snapshot: &Snapshot, zone: FixedOffset) -> String {
    let policy = &snapshot.policy;
    let clock = |at: Timestamp| {
        let at = DateTime::from_timestamp_micros(i64::try_from(at.micros()).unwrap_or_default());
        let at = at.unwrap_or_default().with_timezone(&zone);
        at.format("%Y-%m-%d %H:%M:%S").to_string()
    };
    let mut text = match &policy.arming {
        Arming::Armed => "armed\n".to_owned(),
        Arming::Disarmed { how, since, .. } => format!("DISARMED ({how}) since {}\n", clock(*since)),
    };
    text += &modes(snapshot);
    for row in &policy.budgets {
        text += &budget(row);
    }
    for row in &policy.flaps {
        text += &flap(row, clock);
    }
    for row in &policy.drains {
        let by = match (&row.by, &row.rule) {
            (Some(Actor::Operator { name }), _) => format!("by {name}"),
            (Some(Actor::Engine), _) => "by the engine".to_owned(),
            (None, rule) => rule.as_ref().map_or_else(
                || "by the session".to_owned(),
                |rule| format!("by rule '{rule}' of the session"),
            ),
        };
        let _ = writeln!(text, "drain   {} {by}: {} left", row.dc, row.left);
    }
    for row in &policy.windows {
        let (kind, on) = match (row.denies, row.on) {
            (true, true) => ("deny", "ON: nothing moves"),
            (true, false) => ("deny", "off"),
            (false, true) => ("allow", "on"),
            (false, false) => ("allow", "OFF: nothing moves"),
        };
        let until = row
            .changes_at
            .map_or_else(|| "for good".to_owned(), |at| format!("until {}", clock(at)));
        let _ = writeln!(text, "window  {} ({kind}) {on} {until}", row.name);
    }
    text
}

/// The mode of everything, and of parts.
pub(super) fn modes(snapshot: &Snapshot) -> String {
    let part = |row: &ModeRow| {
        let source = match row.source {
            Source::Session => "session",
            Source::Runtime => "runtime",
        };
        format!("mode    {} for {} ({source})\n", row.mode, row.scope)
    };
    let parts: String = snapshot.policy.modes.iter().map(part).collect();
    format!("{}\n{parts}", snapshot.mode)
}

/// What sets a mode.
pub(super) fn set_mode(mode: ModeWord, part: &PartArgs) -> anyhow::Result<Command> {
    Ok(match (mode, part.scope()) {
        (ModeWord::Set(mode), Scope::All) => Command::SetMode { mode },
        (ModeWord::Inherit, Scope::All) => {
            bail!("`inherit` is for a part: name it by --dc, --tenant, --vm or --user")
        }
        (ModeWord::Set(mode), scope) => Command::SetModeAt {
            scope,
            mode: Some(mode),
        },
        (ModeWord::Inherit, scope) => Command::SetModeAt { scope, mode: None },
    })
}

/// What forgives flaps.
pub(super) fn forgive(
    user: &UserName,
    vm: Option<&VmName>,
    dc: Option<&SiteName>,
) -> anyhow::Result<Command> {
    let user = user.clone();
    let key = match (vm.cloned(), dc.cloned()) {
        (Some(vm), _) => FlapKey::Entry { user, vm },
        (None, Some(dc)) => FlapKey::Locator { user, dc },
        (None, None) => bail!("forgive what? give --vm or --dc"),
    };
    Ok(Command::Forgive { key })
}

/// The command itself, or in spite of rules, windows and budgets.
pub(super) fn in_spite(reason: Option<&String>, forced: Forced) -> Command {
    match reason {
        None => forced.into(),
        Some(reason) => Command::BreakGlass {
            reason: reason.clone(),
            ask: forced,
        },
    }
}

fn budget(row: &BudgetRow) -> String {
    let gauges = [
        ("under way", row.concurrent),
        ("moves an hour", row.per_hour),
        ("users an hour", row.users_per_hour),
        ("users x s an hour", row.users_seconds),
    ];
    // A budget of a part of the users may leave limits open.
    let open = u64::from(u32::MAX);
    let line = |(what, gauge): (&str, Gauge)| {
        let limit = if gauge.limit >= open {
            "no limit".to_owned()
        } else {
            gauge.limit.to_string()
        };
        format!(
            "budget  {:<12} [{}] {:>6} / {limit} {what}\n",
            row.name,
            bar(gauge),
            gauge.used
        )
    };
    gauges.into_iter().map(line).collect()
}

fn bar(gauge: Gauge) -> String {
    let full = gauge
        .used
        .saturating_mul(GAUGE)
        .checked_div(gauge.limit)
        .unwrap_or(GAUGE)
        .min(GAUGE);
    (0..GAUGE).map(|at| if at < full { '#' } else { '.' }).collect()
}

fn flap(row: &FlapRow, clock: impl Fn(Timestamp) -> String) -> String {
    let state = row.release_at.map_or_else(
        || "counted".to_owned(),
        |at| format!("suppressed until {}", clock(at)),
    );
    format!(
        "flaps   {}: {} flaps, penalty {:.0} at {}, {state}\n",
        row.key,
        row.flaps,
        row.penalty,
        clock(row.at)
    )
}
