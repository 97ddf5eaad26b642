//! The card over the panes. It answers "why not?": every condition between an entry and its move, what would flip the
//! binding one, and the decision ladder side by side. And it shows plans for all users, what autonomy was
//! earned, and lines of the log whole.

mod autonomy;
mod plan;

use chrono::FixedOffset;
use proto::plan::Plan;
use proto::why::{Check, Margin, Outlook, Rung, RungKind, Why};
use proto::{RequestId, Span, Timestamp};

use super::world::World;
use crate::figures;
use crate::theme::Role;

/// Cells of a condition's name, and of the ladder's row heads.
const NAME: usize = 11;
const HEAD: usize = 15;

/// A card over the panes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Card {
    /// Whom it is about, for the title while nothing else is known.
    pub(crate) about: String,
    /// What was asked, to be asked again, and under which id; nothing of what the console is told anyway.
    pub(crate) asked: Option<(RequestId, proto::Command)>,
    pub(crate) answer: Answer,
    /// Lines it is scrolled by.
    pub(crate) down: usize,
}

/// How far the question is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Waiting,
    Told(Box<Why>),
    Planned(Box<Plan>),
    /// Standing and record of classes of actions, as the console was told last.
    Autonomy,
    /// A line of the log, whole.
    Line(proto::LogEntry),
    Refused(String),
    /// The engine was lost before it answered.
    Lost,
}

/// A line of the card: pieces and their roles.
pub(crate) type Line = Vec<(String, Role)>;

/// What the card is written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) world: &'a World,
    pub(crate) width: usize,
    /// The engine's clock, which runs on while the card is open.
    pub(crate) now: Timestamp,
    pub(crate) zone: FixedOffset,
}

impl Card {
    /// Whether this is the answer that it waits for.
    pub(crate) fn takes(&self, request: &RequestId) -> bool {
        self.asked.as_ref().is_some_and(|(asked, _)| asked == request)
    }

    pub(crate) fn title(&self, frame: Frame<'_>) -> String {
        match &self.answer {
            Answer::Told(why) if why.from != why.to => format!(
                "Why {} enters by {} and not by {}",
                why.user,
                frame.world.label(&why.from),
                frame.world.label(&why.to)
            ),
            _ => self.about.clone(),
        }
    }

    /// All of it, in lines of at most the frame's width.
    pub(crate) fn lines(&self, frame: Frame<'_>) -> Vec<Line> {
        match &self.answer {
            Answer::Waiting => vec![quiet(match &self.asked {
                Some((_, proto::Command::Plan { .. })) => "the engine looks for a plan and a proof of it",
                _ => "waiting for the engine's answer",
            })],
            Answer::Refused(why) => wrapped(
                vec![("x ".to_owned(), Role::Bad)],
                &[(why.as_str(), Role::Text)],
                frame.width,
            ),
            Answer::Lost => vec![quiet(
                "the engine was lost before it answered; ask again once it is back",
            )],
            Answer::Told(why) => told(why, frame),
            Answer::Planned(plan) => plan::lines(plan, frame),
            Answer::Autonomy => autonomy::lines(frame),
            Answer::Line(entry) => wrapped(
                vec![(
                    format!(
                        "{} {} ",
                        figures::clock(entry.at, frame.zone),
                        entry.severity.mark()
                    ),
                    Role::Quiet,
                )],
                &[(entry.text.as_str(), Role::Text)],
                frame.width,
            ),
        }
    }
}

fn told(why: &Why, frame: Frame<'_>) -> Vec<Line> {
    let mut lines = verdict(why, frame);
    lines.push(Vec::new());
    lines.push(heading(
        "CONDITIONS",
        &format!(
            "in the engine's order, as of {}",
            figures::clock(why.at, frame.zone)
        ),
    ));
    let binding = binding(why);
    for (at, check) in why.checks.iter().enumerate() {
        lines.extend(condition(check, binding == Some(at), frame.width));
    }
    lines.push(Vec::new());
    lines.extend(ladder(why, frame));
    lines
}

/// The first condition that does not hold.
fn binding(why: &Why) -> Option<usize> {
    why.checks.iter().position(|check| !check.holds)
}

fn verdict(why: &Why, frame: Frame<'_>) -> Vec<Line> {
    let to = frame.world.label(&why.to);
    let (word, role, rest) = match why.outlook {
        Outlook::Moves => (
            "MOVES",
            Role::Good,
            format!("to {to} by itself: nothing holds it back"),
        ),
        Outlook::Asks => (
            "ASKS",
            Role::Warning,
            format!("staff to let it go to {to}: the mode leaves it to hands"),
        ),
        Outlook::Stays => (
            "STAYS",
            Role::Strong,
            format!("by {}", frame.world.label(&why.from)),
        ),
    };
    let who = format!("{} → {} ", why.user, why.vm);
    let lead = vec![(format!("{word:<NAME$} "), role)];
    let mut lines = wrapped(lead, &[(&who, Role::Strong), (&rest, Role::Text)], frame.width);
    if let Some(check) = binding(why).and_then(|at| why.checks.get(at)) {
        lines.extend(field(
            "binding",
            &format!("{}: {}", check.name, check.text),
            frame.width,
        ));
        let margin = check.margin.as_ref().map_or_else(
            || "by no single figure, nor by time alone".to_owned(),
            |margin| flips(margin, frame),
        );
        lines.extend(field("flips", &margin, frame.width));
        let others = why.checks.iter().filter(|check| !check.holds).count() - 1;
        if others > 0 {
            let text = format!("{} besides, marked x below", figures::count(others, "condition"));
            lines.extend(field("and then", &text, frame.width));
        }
    }
    lines
}

/// What would make the binding condition hold.
fn flips(margin: &Margin, frame: Frame<'_>) -> String {
    match margin {
        Margin::Figure {
            dc,
            criterion,
            now,
            flips_at,
        } => {
            let unit = criterion.unit();
            let sign = if now < flips_at { "above" } else { "at most" };
            format!(
                "{} of {} {sign} {} {unit}; now {} {unit}, {} {unit} off",
                criterion.word(),
                frame.world.label(dc),
                figures::short(*flips_at),
                figures::short(*now),
                figures::short((now - flips_at).abs())
            )
        }
        Margin::Gain { unit, now, flips_at } => format!(
            "gain of at least {} {unit}; now {} {unit}, {} {unit} short",
            figures::short(*flips_at),
            figures::short(*now),
            figures::short(flips_at - now)
        ),
        Margin::Until { at, .. } => {
            let left = at.since(frame.now);
            let clock = figures::clock(*at, frame.zone);
            if left == Span::ZERO {
                format!("at {clock}, which has passed: ask again")
            } else {
                format!("at {clock}, in {}", figures::countdown(left))
            }
        }
    }
}

fn condition(check: &Check, binds: bool, width: usize) -> Vec<Line> {
    let (mark, role, text) = match (check.holds, binds) {
        (true, _) => ("o", Role::Good, Role::Text),
        (false, true) => ("x", Role::Bad, Role::Strong),
        (false, false) => ("x", Role::Warning, Role::Text),
    };
    let lead = vec![
        (format!("{mark} "), role),
        (format!("{:<NAME$}", check.name), Role::Heading),
    ];
    let end = if binds { "  < binding" } else { "" };
    wrapped(lead, &[(&check.text, text), (end, Role::Bad)], width)
}

/// Rungs as columns, their figures as rows.
fn ladder(why: &Why, frame: Frame<'_>) -> Vec<Line> {
    let rungs = &why.rungs;
    let column = (frame.width.saturating_sub(HEAD) / rungs.len().max(1)).clamp(10, 26);
    let picked = |at: usize| why.pick as usize == at;
    let row = |name: &str, cell: &dyn Fn(&Rung) -> String| {
        let mut line = vec![(format!("{name:<HEAD$}"), Role::Heading)];
        line.extend(rungs.iter().enumerate().map(|(at, rung)| {
            let role = match (picked(at), &rung.unavailable) {
                (true, _) => Role::Strong,
                (false, Some(_)) => Role::Quiet,
                (false, None) => Role::Text,
            };
            (figures::left(&format!(" {}", cell(rung)), column), role)
        }));
        line
    };
    let mut head = vec![(format!("{:<HEAD$}", "LADDER"), Role::Heading)];
    head.extend(rungs.iter().enumerate().map(|(at, rung)| {
        let name = short(rung.kind);
        if picked(at) {
            let text = figures::fit(&format!(">{name}<"), column.saturating_sub(1));
            (figures::left(&text, column), Role::Selected)
        } else {
            (figures::left(&format!(" {name}"), column), Role::Strong)
        }
    }));
    let mut lines = vec![
        head,
        row("to", &|rung| {
            rung.to
                .as_ref()
                .map_or_else(dot, |to| frame.world.label(to).to_owned())
        }),
        row("enough", &|rung| {
            match rung.enough {
                Some(true) => "o yes",
                Some(false) => "x no",
                None => "? unknown",
            }
            .to_owned()
        }),
        row("gain, user ms", &|rung| {
            rung.gain_user_ms.map_or_else(dot, |gain| format!("{gain:.1}"))
        }),
        row("downtime", &|rung| {
            rung.downtime.map_or_else(dot, figures::length)
        }),
        row("moved", &|rung| rung.bytes.map_or_else(dot, figures::bytes)),
        row("users at risk", &|rung| rung.users_at_risk.to_string()),
        row("undo in", &|rung| {
            rung.revert_in.map_or_else(dot, figures::length)
        }),
        row("can be done", &|rung| {
            if rung.unavailable.is_none() {
                "yes"
            } else {
                "no, see below"
            }
            .to_owned()
        }),
    ];
    for rung in rungs {
        if let Some(not) = &rung.unavailable {
            let lead = vec![(format!("  {}: ", short(rung.kind)), Role::Quiet)];
            lines.extend(wrapped(lead, &[(not, Role::Quiet)], frame.width));
        }
    }
    lines.push(quiet(
        "the cheapest rung that can be done and is enough is picked",
    ));
    lines
}

/// Names that fit four to a line.
const fn short(kind: RungKind) -> &'static str {
    match kind {
        RungKind::Nothing => "nothing",
        RungKind::Switch => "switch RLOC",
        RungKind::Subflow => "+ subflow",
        RungKind::Migrate => "migrate VM",
    }
}

fn dot() -> String {
    "·".to_owned()
}

fn quiet(text: &str) -> Line {
    vec![(text.to_owned(), Role::Quiet)]
}

fn heading(name: &str, rest: &str) -> Line {
    vec![
        (format!("{name}  "), Role::Heading),
        (rest.to_owned(), Role::Quiet),
    ]
}

fn field(name: &str, text: &str, width: usize) -> Vec<Line> {
    let lead = vec![(format!("{name:<NAME$} "), Role::Heading)];
    wrapped(lead, &[(text, Role::Text)], width)
}

/// Pieces after a lead, broken between words; what follows is indented by the lead.
fn wrapped(lead: Line, pieces: &[(&str, Role)], width: usize) -> Vec<Line> {
    let indent: usize = lead.iter().map(|(text, _)| figures::cells(text)).sum();
    let mut lines = Vec::new();
    let mut line = lead;
    let mut used = indent;
    for (text, role) in pieces {
        let mut piece = String::new();
        for word in text.split_inclusive(' ') {
            let need = figures::cells(word.trim_end());
            if used + need > width && used > indent {
                line.push((std::mem::take(&mut piece), *role));
                lines.push(std::mem::replace(
                    &mut line,
                    vec![(" ".repeat(indent), Role::Text)],
                ));
                used = indent;
            }
            // A space at a new line's beginning is not wanted.
            let word = if used == indent { word.trim_start() } else { word };
            piece.push_str(word);
            used += figures::cells(word);
        }
        line.push((piece, *role));
    }
    lines.push(line);
    lines
}
