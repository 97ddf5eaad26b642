//! A plan for all users with its badge: what is proven of it, what it wants moved, what that loads.

use proto::plan::{Load, Move, Plan};

use super::{Frame, Line, heading, quiet, wrapped};
use crate::figures;
use crate::keymap::{Intent, key_of};
use crate::plain;
use crate::theme::Role;

/// Cells of the words before lines.
const NAME: usize = 8;
/// Of a data centre, of people, of a gain.
const DC: usize = 13;
const PEOPLE: usize = 7;
const GAIN: usize = 13;

pub(super) fn lines(plan: &Plan, frame: Frame<'_>) -> Vec<Line> {
    let clock = figures::clock(plan.at, frame.zone);
    let text = format!("{}; figures of {clock}", plain::plan_summary(plan));
    let mut lines = wrapped(Vec::new(), &[(&text, Role::Strong)], frame.width);
    lines.push(Vec::new());
    for (name, text) in plain::plan_parts(plan) {
        let role = match name {
            "proven" if plain::plan_badge(plan).0 == 'o' => Role::Good,
            "proven" => Role::Warning,
            _ => Role::Text,
        };
        let lead = vec![(format!("{name:<NAME$} "), Role::Heading)];
        lines.extend(wrapped(lead, &[(&text, role)], frame.width));
    }
    lines.push(Vec::new());
    lines.extend(moves(plan, frame));
    lines.push(Vec::new());
    lines.push(heading("LOAD", "people by data centre, now and then"));
    lines.extend(plan.sites.iter().map(|site| load(site, frame)));
    for held in &plan.held {
        let text = plain::plan_left_out(held);
        lines.extend(wrapped(
            vec![("? ".to_owned(), Role::Quiet)],
            &[(&text, Role::Quiet)],
            frame.width,
        ));
    }
    lines
}

fn moves(plan: &Plan, frame: Frame<'_>) -> Vec<Line> {
    if plan.moves.is_empty() {
        return vec![quiet("nothing is worth its price: all stay where they are")];
    }
    let key = key_of(Intent::Palette);
    let mut lines = vec![heading(
        "MOVES",
        &format!("nothing is moved by this; {key}switch USER DC does one"),
    )];
    // The longest names give way, the figures never.
    let names = frame.width.saturating_sub(2 * (DC + 1) + PEOPLE + GAIN + 2);
    lines.push(vec![(
        format!(
            "  {} {} {}{:>PEOPLE$}{:>GAIN$}",
            figures::left("USER", names),
            figures::left("FROM", DC),
            figures::left("TO", DC - 1),
            "PEOPLE",
            "GAIN user-ms",
        ),
        Role::Heading,
    )]);
    lines.extend(plan.moves.iter().map(|wanted| row(wanted, names, frame)));
    if plan.more > 0 {
        lines.push(quiet(&format!("  and {} more", plan.more)));
    }
    lines
}

fn row(wanted: &Move, names: usize, frame: Frame<'_>) -> Line {
    let role = match wanted.gain_user_ms {
        None => Role::Bad,
        Some(gain) if gain > 0.0 => Role::Good,
        Some(_) => Role::Text,
    };
    let label = |site, width| figures::left(&figures::fit(frame.world.label(site), width), width);
    let who = figures::fit(wanted.user.as_str(), names);
    vec![
        (format!("  {} ", figures::left(&who, names)), Role::Strong),
        (
            format!(
                "{} {}{:>PEOPLE$}",
                label(&wanted.from, DC),
                label(&wanted.to, DC - 1),
                wanted.people
            ),
            Role::Text,
        ),
        (format!("{:>GAIN$}", plain::plan_gain(wanted)), role),
    ]
}

fn load(site: &Load, frame: Frame<'_>) -> Line {
    let label = figures::left(&figures::fit(frame.world.label(&site.dc), DC), DC);
    let most = site
        .most
        .map_or_else(|| "without a limit".to_owned(), |most| format!("at most {most}"));
    let role = if site.most.is_some_and(|most| site.then > most) {
        Role::Bad
    } else {
        Role::Text
    };
    vec![
        (format!("  {label} "), Role::Strong),
        (
            format!("{:>PEOPLE$} -> {:<PEOPLE$} {most}", site.now, site.then),
            role,
        ),
    ]
}
