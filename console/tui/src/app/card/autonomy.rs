//! What autonomy was earned: for each class of actions its level, why, and its record.

use proto::autonomy::{Bounded, Standing};
use proto::{Actor, AutonomyRow, Mode};

use super::{Frame, Line, heading, quiet, wrapped};
use crate::figures;
use crate::theme::Role;

/// Cells of the words before lines.
const NAME: usize = 8;

pub(super) fn lines(frame: Frame<'_>) -> Vec<Line> {
    let rows = &frame.world.policy.autonomy;
    if rows.is_empty() {
        let text = "no class of actions has a record yet, and the session lets none rise (policy.autonomy.rise): the \
                    engine acts as the mode says";
        return wrapped(Vec::new(), &[(text, Role::Text)], frame.width);
    }
    let mode = frame.world.mode;
    let mut lines = vec![heading(
        "CLASSES",
        &format!("mode {mode}; modes, windows and budgets hold in any case"),
    )];
    for row in rows {
        lines.push(Vec::new());
        lines.extend(class(row, frame));
    }
    lines.push(Vec::new());
    lines.push(quiet(
        ":pin CLASS recommend|auto holds one, :unpin CLASS lets it go, :pardon CLASS forgets a fall",
    ));
    lines
}

fn class(row: &AutonomyRow, frame: Frame<'_>) -> Vec<Line> {
    let (mark, role, level, how) = standing(row, frame);
    let mut lines = wrapped(
        vec![
            (format!("{mark} "), role),
            (format!("{}  ", row.class), Role::Strong),
            (format!("{level}  "), role),
        ],
        &[(&how, Role::Text)],
        frame.width,
    );
    let (words, outcomes) = (row.words, row.outcomes);
    let staff = format!(
        "{} approved, {} rejected, {} done otherwise, {} lapsed: agreed {}",
        words.approved,
        words.rejected,
        words.other,
        words.lapsed,
        bounded(row.agreement)
    );
    let reality = format!(
        "{} held, {} broke, {} regretted: wrong {}",
        outcomes.held,
        outcomes.broke,
        outcomes.regretted,
        bounded(row.regret)
    );
    let falls = format!(
        "{} so far; within {} if it turns wrong now",
        row.falls,
        figures::count(row.falls_within as usize, "action")
    );
    let mut field = |name: &str, text: &str| {
        let lead = vec![(format!("  {name:<NAME$} "), Role::Heading)];
        lines.extend(wrapped(lead, &[(text, Role::Text)], frame.width));
    };
    if !row.why.is_empty() {
        field("why", &row.why);
    }
    field("staff", &staff);
    field("reality", &reality);
    field("falls", &falls);
    lines
}

/// Its mark, the level it acts at, and since when.
fn standing(row: &AutonomyRow, frame: Frame<'_>) -> (char, Role, &'static str, String) {
    let clock = |at| figures::clock(at, frame.zone);
    match &row.standing {
        Standing::AsMode if row.may_rise => ('o', Role::Text, "AS THE MODE", "may rise".to_owned()),
        Standing::AsMode => ('o', Role::Text, "AS THE MODE", String::new()),
        Standing::Risen { since } => ('^', Role::Good, "AUTO", format!("risen, since {}", clock(*since))),
        Standing::Fallen { since, until } => (
            'x',
            Role::Bad,
            "RECOMMEND",
            format!(
                "fallen since {}; not in auto before {}, in {}",
                clock(*since),
                clock(*until),
                figures::countdown(until.since(frame.now))
            ),
        ),
        Standing::Pinned { mode, by, since } => {
            let by = match by {
                Actor::Operator { name } => name.as_str(),
                Actor::Engine => "the engine",
            };
            let level = if *mode == Mode::Auto { "AUTO" } else { "RECOMMEND" };
            (
                '=',
                Role::Strong,
                level,
                format!("pinned by {by} since {}", clock(*since)),
            )
        }
    }
}

fn bounded(found: Option<Bounded>) -> String {
    found.map_or_else(|| "unknown".to_owned(), |found| found.to_string())
}
