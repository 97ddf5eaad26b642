//! Earned autonomy: which classes of actions may rise, and on what evidence.

use std::collections::BTreeSet;

use pacao_core::autonomy::{classes, falls_within};
use pacao_core::config::Autonomy;
use proto::{ActionClass, SlaName, Span};

use super::DAY;
use crate::session::check::doubts::{Doubts, at};
use crate::session::raw::{RawAutonomy, RawSession};

/// More are never remembered of one class.
const MOST_ACTIONS: f64 = 64.0;
const YEAR: Span = Span::secs(365 * 86_400);

pub(super) fn autonomy(raw: &RawAutonomy, session: &RawSession, doubts: &mut Doubts<'_>) -> Autonomy {
    doubts.within(
        at!["policy", "autonomy", "min_actions"],
        raw.min_actions.into(),
        1.0..=MOST_ACTIONS,
    );
    doubts.within(
        at!["policy", "autonomy", "min_agreement"],
        raw.min_agreement,
        0.0..=1.0,
    );
    doubts.within(at!["policy", "autonomy", "max_regret"], raw.max_regret, 0.0..=1.0);
    if (0.0..=1.0).contains(&raw.max_regret) && falls_within(raw.max_regret).is_none() {
        let message = format!(
            "with {} no class would ever fall, however wrong: 0.7 is the most",
            raw.max_regret
        );
        doubts.value(at!["policy", "autonomy", "max_regret"], message);
    }
    let mut span = |field: &str, text: &str, most: Span| {
        doubts.span(at!["policy", "autonomy", field], text, (Span::secs(1), most))
    };
    let judge_after = span("judge_after", &raw.judge_after, DAY);
    let half_life = span("half_life", &raw.half_life, YEAR);
    let back_off = span("back_off", &raw.back_off, YEAR);
    let back_off_max = span("back_off_max", &raw.back_off_max, YEAR);
    if let (Some(first), Some(most)) = (back_off, back_off_max)
        && first > most
    {
        let message = format!("{first} is more than policy.autonomy.back_off_max ({most})");
        doubts.value(at!["policy", "autonomy", "back_off"], message);
    }
    Autonomy {
        rise: rise(&raw.rise, session, doubts),
        min_actions: raw.min_actions,
        min_agreement: raw.min_agreement,
        max_regret: raw.max_regret,
        judge_after: judge_after.unwrap_or_default(),
        half_life: half_life.unwrap_or_default(),
        back_off: back_off.unwrap_or_default(),
        back_off_max: back_off_max.unwrap_or_default(),
    }
}

/// A class by name, or all that fit: `*` stands for any one part, as in `switch/down/*`.
fn rise(given: &[String], session: &RawSession, doubts: &mut Doubts<'_>) -> BTreeSet<ActionClass> {
    // Those that the session defines, and those that its users name.
    let defined = session.sla.0.iter().map(|(name, _)| name);
    let used = session.users.0.iter().map(|(_, user)| &user.sla);
    let slas: BTreeSet<SlaName> = defined
        .chain(used)
        .filter_map(|name| SlaName::new(name).ok())
        .collect();
    let mut all = BTreeSet::new();
    for (at, pattern) in given.iter().enumerate() {
        let fitting: Vec<ActionClass> = slas
            .iter()
            .flat_map(classes)
            .filter(|class| fits(pattern, &class.to_string()))
            .collect();
        if fitting.is_empty() {
            let message = format!(
                "no class of actions fits '{pattern}': write it like switch/rtt/interactive, '*' for any cause or SLA class"
            );
            doubts.value(at!["policy", "autonomy", "rise", at], message);
        }
        all.extend(fitting);
    }
    all
}

fn fits(pattern: &str, class: &str) -> bool {
    let (pattern, class) = (pattern.split('/'), class.split('/'));
    pattern.clone().count() == class.clone().count()
        && pattern
            .zip(class)
            .all(|(pattern, part)| pattern == "*" || pattern == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_part() {
        for (pattern, class, fit) in [
            ("switch/rtt/voice", "switch/rtt/voice", true),
            ("switch/*/voice", "switch/isis-cost/voice", true),
            ("*/*/*", "switch/down/bulk", true),
            ("switch/*", "switch/rtt/voice", false),
            ("*", "switch/rtt/voice", false),
            ("switch/rtt/v*", "switch/rtt/voice", false),
        ] {
            assert_eq!(fits(pattern, class), fit, "{pattern} {class}");
        }
    }
}
