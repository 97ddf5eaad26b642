//! Questions about policy: disarming, drains, flaps, modes of parts, the glass.

use chrono::FixedOffset;
use proto::policy::{Arming, DrainRow, FlapRow, ModeRow, Source};
use proto::{Actor, Command, Disarmed, FlapKey, Forced, Mode, ProposalState, Scope, SiteName, Timestamp};

use super::{Choice, Deed, Dialog};
use crate::app::world::World;
use crate::charts;
use crate::figures;

/// Cells of a penalty's meter, and of the curve by which it falls.
const METER: usize = 8;
const CURVE: usize = 24;

/// What a question is asked at: our clock, the engine's, and how far local time is from UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    pub(crate) ours: Timestamp,
    pub(crate) engine: Timestamp,
    pub(crate) zone: FixedOffset,
}

impl Dialog {
    /// Disarm, or arm again.
    pub(crate) fn arming(world: &World, clocks: Clocks) -> Self {
        match &world.policy.arming {
            Arming::Armed => {
                let mut dialog = Self::new("Disarm".to_owned(), clocks.ours);
                dialog.facts = vec![("now", "armed: the engine moves what its modes let it".to_owned())];
                dialog.facts.extend(under_way(world));
                dialog.facts.push((
                    "then",
                    "until it is armed again, over restarts; traffic flows on".to_owned(),
                ));
                dialog
                    .choices
                    .extend([disarm(Disarmed::Freeze, None), disarm(Disarmed::Ignore, None)]);
                dialog
            }
            Arming::Disarmed { how, by, since } => {
                let mut dialog = Self::new("Arm".to_owned(), clocks.ours);
                let since = figures::clock(*since, clocks.zone);
                dialog.facts = vec![
                    ("now", format!("DISARMED ({how}) since {since}, by {}", who(by))),
                    ("means", meaning(*how).to_owned()),
                    ("then", format!("mode {}: {}", world.mode, does(world.mode))),
                ];
                dialog.choices.push(Choice {
                    label: "Arm".to_owned(),
                    deed: Deed::Ask(Command::Arm, "arming".to_owned()),
                    hindrance: None,
                });
                dialog
                    .choices
                    .extend([Disarmed::Freeze, Disarmed::Ignore].map(|way| disarm(way, Some(*how))));
                dialog
            }
        }
    }

    /// Let nobody enter by a data centre, or let them again.
    pub(crate) fn drain(dc: &SiteName, world: &World, clocks: Clocks) -> Self {
        let label = world.label(dc);
        let rows: Vec<_> = world.policy.drains_of(dc).collect();
        if !rows.is_empty() {
            return Self::undrain(&rows, label, clocks);
        }
        let mut dialog = Self::new(format!("Drain {label}"), clocks.ours);
        let entries: usize = world
            .links
            .values()
            .filter(|link| link.row.link.dc == *dc)
            .map(|link| link.row.carries.len())
            .sum();
        let room = world.policy.budgets.first().map_or_else(String::new, |budget| {
            let hour = budget.per_hour;
            format!(
                "; {} of {} moves an hour are left",
                hour.limit.saturating_sub(hour.used),
                hour.limit
            )
        });
        dialog.facts = vec![
            ("now", format!("{} by {label}", figures::entries(entries))),
            ("then", format!("they move off within the budgets{room}")),
            ("", format!("nobody enters by {label} until it is undrained")),
        ];
        dialog.choices.push(Choice {
            label: "Drain".to_owned(),
            deed: Deed::Ask(Command::Drain { dc: dc.clone() }, format!("draining {label}")),
            hindrance: None,
        });
        dialog
    }

    /// `rows` are those of one data centre.
    fn undrain(rows: &[&DrainRow], label: &str, clocks: Clocks) -> Self {
        let staff = rows.iter().any(|row| row.by.is_some());
        let title = if staff { "Undrain" } else { "Drain of" };
        let mut dialog = Self::new(format!("{title} {label}"), clocks.ours);
        let by: Vec<String> = rows.iter().map(|row| drainer(row)).collect();
        let left = figures::entries(rows.first().map_or(0, |row| row.left as usize));
        let session = rows.iter().find(|row| row.by.is_none()).map(|row| drainer(row));
        let then = session.as_ref().map_or_else(
            || format!("users may enter by {label} again; nobody is moved back"),
            |rule| format!("it stays drained for {rule}: change it there"),
        );
        dialog.facts = vec![
            (
                "now",
                format!("being drained for {}: {left} left", by.join(" and ")),
            ),
            ("then", then),
        ];
        let Some(dc) = rows.first().map(|row| row.dc.clone()) else {
            return dialog;
        };
        dialog.choices.push(Choice {
            label: "Undrain".to_owned(),
            deed: Deed::Ask(
                Command::Undrain { dc: dc.clone() },
                format!("taking back the drain of {label}"),
            ),
            hindrance: (!staff).then(|| "a rule of the session drains it: change it there".to_owned()),
        });
        if !staff {
            dialog.choices.push(Choice {
                label: "Drain for staff too".to_owned(),
                deed: Deed::Ask(Command::Drain { dc }, format!("draining {label}")),
                hindrance: None,
            });
        }
        dialog
    }

    /// Forget flaps. One line of the ledger, or all those of a user to choose from.
    pub(crate) fn forgive(flaps: &[&FlapRow], world: &World, clocks: Clocks) -> Self {
        let mut dialog = Self::new("Forgive flaps".to_owned(), clocks.ours);
        let damping = &world.policy.damping;
        dialog.facts.push((
            "rule",
            format!(
                "suppressed above {}, let go at {}, halved every {}",
                damping.suppress,
                damping.reuse,
                figures::length(damping.half_life)
            ),
        ));
        if let [flap] = flaps {
            dialog.facts.insert(0, ("flaps", subject(&flap.key, world)));
            dialog.facts.push(("penalty", standing(flap, world, clocks)));
            dialog.facts.extend(flap.release_at.map(|at| {
                let curve = curve(flap, world, clocks.engine);
                (
                    "until then",
                    format!("{curve} {}", figures::clock(at, clocks.zone)),
                )
            }));
        }
        dialog.facts.push((
            "then",
            "the penalty is nothing; it may be moved, or moved to, again".to_owned(),
        ));
        dialog.choices.extend(flaps.iter().map(|flap| {
            let subject = subject(&flap.key, world);
            let label = if flaps.len() == 1 {
                "Forgive".to_owned()
            } else {
                format!("{subject}  {}", standing(flap, world, clocks))
            };
            Choice {
                label,
                deed: Deed::Ask(
                    Command::Forgive {
                        key: flap.key.clone(),
                    },
                    format!("forgiving the flaps of {subject}"),
                ),
                hindrance: None,
            }
        }));
        dialog
    }

    /// Whose mode is to be set.
    pub(crate) fn parts(parts: Vec<Scope>, world: &World, now: Timestamp) -> Self {
        let mut dialog = Self::new("Mode of a part".to_owned(), now);
        dialog.facts = vec![
            ("all", format!("{} for everything", world.mode)),
            ("", "of two that fit, the more specific wins".to_owned()),
        ];
        dialog.choices.extend(parts.into_iter().map(|scope| {
            let own = mode_row(world, &scope).map_or_else(
                || "no mode of its own".to_owned(),
                |row| format!("{} ({})", row.mode, source(row)),
            );
            Choice {
                label: format!("{:<28}{own}", part(&scope, world)),
                deed: Deed::ModeOf(scope),
                hindrance: None,
            }
        }));
        dialog
    }

    /// Choose the mode of a part.
    pub(crate) fn mode_of(scope: &Scope, world: &World, now: Timestamp) -> Self {
        let name = part(scope, world);
        let mut dialog = Self::new(format!("Mode of {name}"), now);
        let row = mode_row(world, scope);
        dialog.facts = vec![(
            "now",
            row.map_or_else(
                || "none of its own: as what is around it".to_owned(),
                |row| format!("{} ({})", row.mode, source(row)),
            ),
        )];
        for mode in [Mode::Observe, Mode::Recommend, Mode::Auto] {
            let here = row.is_some_and(|row| row.mode == mode);
            dialog.choices.push(Choice {
                label: format!("{mode:<11}{}{}", does(mode), if here { " (now)" } else { "" }),
                deed: set_mode(scope, Some(mode), &name),
                hindrance: here.then(|| format!("the mode of {name} is {mode} already")),
            });
        }
        dialog.choices.push(Choice {
            label: format!("{:<11}as what is around it", "inherit"),
            deed: set_mode(scope, None, &name),
            hindrance: match row.map(|row| row.source) {
                None => Some("it has no mode of its own".to_owned()),
                Some(Source::Session) => Some("the session file sets it: change it there".to_owned()),
                Some(Source::Runtime) => None,
            },
        });
        dialog
    }

    /// The same in spite of rules, windows and budgets.
    #[must_use]
    pub(crate) fn in_spite(mut self, reason: &str) -> Self {
        self.title = format!("Break the glass: {}", self.title);
        self.facts.push(("reason", reason.to_owned()));
        self.facts.push((
            "spite",
            "rules, windows and budgets do not count; the reason goes on the record".to_owned(),
        ));
        for choice in &mut self.choices {
            if let Deed::Ask(command, what) = &mut choice.deed {
                match Forced::try_from(command.clone()) {
                    Ok(ask) => {
                        let reason = reason.to_owned();
                        *command = Command::BreakGlass { reason, ask };
                        what.push_str(", glass broken");
                    }
                    Err(error) => choice.hindrance = Some(error.to_string()),
                }
            }
        }
        self
    }
}

fn disarm(how: Disarmed, already: Option<Disarmed>) -> Choice {
    let here = already == Some(how);
    Choice {
        label: format!(
            "{:<8}{}{}",
            how.to_string(),
            meaning(how),
            if here { " (now)" } else { "" }
        ),
        deed: Deed::Ask(Command::Disarm { how }, format!("disarming ({how})")),
        hindrance: here.then(|| format!("the engine is disarmed ({how}) already")),
    }
}

fn set_mode(scope: &Scope, mode: Option<Mode>, name: &str) -> Deed {
    let command = match (scope, mode) {
        (Scope::All, Some(mode)) => Command::SetMode { mode },
        (scope, mode) => Command::SetModeAt {
            scope: scope.clone(),
            mode,
        },
    };
    let what = mode.map_or_else(
        || format!("taking back the mode of {name}"),
        |mode| format!("setting mode {mode} for {name}"),
    );
    Deed::Ask(command, what)
}

/// What a disarmed engine still lets happen.
pub(crate) const fn meaning(how: Disarmed) -> &'static str {
    match how {
        Disarmed::Freeze => "nothing moves, whoever asks",
        Disarmed::Ignore => "only hands move; the engine moves nothing by itself",
    }
}

const fn does(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "measures and shows; proposes nothing",
        Mode::Recommend => "proposes; staff decide",
        Mode::Auto => "proposes, and switches by itself",
    }
}

fn under_way(world: &World) -> Option<(&'static str, String)> {
    let flying = world
        .proposals
        .values()
        .filter(|proposal| matches!(proposal.state, ProposalState::Executing { .. }))
        .count();
    (flying > 0).then(|| {
        let moves = figures::count(flying, "move");
        (
            "under way",
            format!("{moves}: confirmed or taken back all the same"),
        )
    })
}

fn mode_row<'a>(world: &'a World, scope: &Scope) -> Option<&'a ModeRow> {
    world.policy.modes.iter().find(|row| row.scope == *scope)
}

pub(crate) const fn source(row: &ModeRow) -> &'static str {
    match row.source {
        Source::Session => "session",
        Source::Runtime => "set by staff",
    }
}

/// A part as staff know it.
pub(crate) fn part(scope: &Scope, world: &World) -> String {
    match scope {
        Scope::Dc { dc } => format!("data centre {}", world.label(dc)),
        other => other.to_string(),
    }
}

/// What flapped, as staff know it.
pub(crate) fn subject(key: &FlapKey, world: &World) -> String {
    match key {
        FlapKey::Entry { user, vm } => format!("{user} → {vm}"),
        FlapKey::Locator { user, dc } => format!("{user} by {}", world.label(dc)),
    }
}

/// `███░░░░░ 1000 of 3000, 1 flap, not suppressed`, or how long until it is let go.
pub(crate) fn standing(flap: &FlapRow, world: &World, clocks: Clocks) -> String {
    let damping = &world.policy.damping;
    let penalty = flap.penalty_at(damping, clocks.engine);
    let share = penalty / f64::from(damping.suppress.max(1));
    let flaps = figures::count(flap.flaps as usize, "flap");
    let end = flap.release_at.filter(|at| *at > clocks.engine).map_or_else(
        || "not suppressed".to_owned(),
        |at| format!("let go in {}", figures::countdown(at.since(clocks.engine))),
    );
    format!(
        "{} {penalty:.0} of {}, {flaps}, {end}",
        charts::bar(share, METER),
        damping.suppress
    )
}

/// How the penalty falls from now to its release.
pub(crate) fn curve(flap: &FlapRow, world: &World, now: Timestamp) -> String {
    let Some(release) = flap.release_at.filter(|at| *at > now) else {
        return String::new();
    };
    let whole = release.since(now).micros();
    let damping = &world.policy.damping;
    let top = flap.penalty_at(damping, now).max(1.0);
    let at = |step: usize| {
        let then = now + proto::Span(whole / CURVE as u64 * step as u64);
        charts::level(flap.penalty_at(damping, then) / top)
    };
    (0..CURVE).map(at).collect()
}

fn who(by: &Actor) -> &str {
    match by {
        Actor::Operator { name } => name,
        Actor::Engine => "the engine",
    }
}

/// Who drains a data centre.
pub(crate) fn drainer(row: &DrainRow) -> String {
    match (&row.by, &row.rule) {
        (Some(by), _) => who(by).to_owned(),
        (None, Some(rule)) => format!("rule '{rule}' of the session"),
        (None, None) => "the session file".to_owned(),
    }
}
