//! `pacao ctl autonomy`: what the engine has earned to do by itself.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};
use proto::autonomy::{Bounded, Standing};
use proto::{AutonomyRow, Command, Mode, Timestamp};

use crate::cli::AutonomyAsk;

/// One block a class; times in `zone`.
pub(super) fn text(rows: &[AutonomyRow], zone: FixedOffset) -> String {
    if rows.is_empty() {
        return "no class of actions has a record yet, and the session lets none rise\n".to_owned();
    }
    let clock = |at: Timestamp| {
        let at = DateTime::from_timestamp_micros(i64::try_from(at.micros()).unwrap_or_default());
        let at = at.unwrap_or_default().with_timezone(&zone);
        at.format("%Y-%m-%d %H:%M:%S").to_string()
    };
    rows.iter().map(|row| block(row, clock)).collect()
}

/// What changes a standing.
pub(super) fn change(ask: &AutonomyAsk) -> Command {
    match ask {
        AutonomyAsk::Pin { class, at } => Command::PinClass {
            class: class.clone(),
            mode: Some(*at),
        },
        AutonomyAsk::Unpin { class } => Command::PinClass {
            class: class.clone(),
            mode: None,
        },
        AutonomyAsk::Forgive { class } => Command::ForgiveClass { class: class.clone() },
    }
}

fn block(row: &AutonomyRow, clock: impl Fn(Timestamp) -> String) -> String {
    let (mark, standing) = match &row.standing {
        Standing::AsMode if row.may_rise => ('o', "as the mode says; may rise".to_owned()),
        Standing::AsMode => ('o', "as the mode says".to_owned()),
        Standing::Risen { since } => ('^', format!("RISEN: acts by itself since {}", clock(*since))),
        Standing::Fallen { since, until } => (
            'x',
            format!(
                "FALLEN: staff decide since {}; not in auto before {}",
                clock(*since),
                clock(*until)
            ),
        ),
        Standing::Pinned { mode, by, since } => {
            let by = match by {
                proto::Actor::Operator { name } => name.as_str(),
                proto::Actor::Engine => "the engine",
            };
            let what = if *mode == Mode::Auto {
                "pinned at auto"
            } else {
                "pinned at recommend"
            };
            ('=', format!("{what} by {by} since {}", clock(*since)))
        }
    };
    let (words, outcomes) = (row.words, row.outcomes);
    let mut text = format!("{mark} {}  {standing}\n", row.class);
    if !row.why.is_empty() {
        let _ = writeln!(text, "    why      {}", row.why);
    }
    let _ = writeln!(
        text,
        "    staff    {} approved, {} rejected, {} done otherwise, {} lapsed: agreed {}",
        words.approved,
        words.rejected,
        words.other,
        words.lapsed,
        bounded(row.agreement)
    );
    let _ = writeln!(
        text,
        "    reality  {} held, {} broke, {} regretted: wrong {}",
        outcomes.held,
        outcomes.broke,
        outcomes.regretted,
        bounded(row.regret)
    );
    let _ = writeln!(
        text,
        "    falls    {} so far; within {} actions if it turns wrong now",
        row.falls, row.falls_within
    );
    text
}

fn bounded(found: Option<Bounded>) -> String {
    found.map_or_else(|| "unknown".to_owned(), |found| found.to_string())
}

#[cfg(test)]
mod tests {
    use proto::autonomy::{Outcomes, Words};

    use super::*;

    #[test]
    fn a_record_reads_like_a_sentence_and_its_bounds_are_shown() {
        let row = AutonomyRow {
            class: "switch/rtt/interactive".parse().unwrap(),
            standing: Standing::Fallen {
                since: Timestamp(1_700_000_000_000_000),
                until: Timestamp(1_700_003_600_000_000),
            },
            may_rise: true,
            why: "3 of its last 4 decisions were wrong in hindsight".to_owned(),
            words: Words {
                approved: 19,
                rejected: 1,
                ..Words::default()
            },
            outcomes: Outcomes {
                held: 19,
                broke: 1,
                regretted: 0,
            },
            agreement: Some(Bounded {
                share: 0.95,
                low: 0.804,
                high: 0.989,
            }),
            regret: None,
            falls: 1,
            falls_within: 4,
        };
        let utc = FixedOffset::east_opt(0).unwrap();
        assert_eq!(
            text(&[row], utc),
            "x switch/rtt/interactive  FALLEN: staff decide since 2023-11-14 22:13:20; not in auto before 2023-11-14 23:13:20
    why      3 of its last 4 decisions were wrong in hindsight
    staff    19 approved, 1 rejected, 0 done otherwise, 0 lapsed: agreed 95 % (80 to 99)
    reality  19 held, 1 broke, 0 regretted: wrong unknown
    falls    1 so far; within 4 actions if it turns wrong now
"
        );
    }
}
