//! Rules of placement: each says exactly one thing.

use pacao_core::config::{Rule, RuleKind, Selector};

use super::select::{self, Known};
use crate::session::check::doubts::{Doubts, at};
use crate::session::raw::{Entries, RawRule, RawSelector};

const KINDS: &str = "pin, exclude, affinity, anti_affinity, capacity, drain";

pub(super) fn rules(raw: &Entries<RawRule>, known: &Known<'_>, doubts: &mut Doubts<'_>) -> Vec<Rule> {
    let rule = |(name, rule): &(String, RawRule)| {
        let kind = kind(name, rule, known, doubts)?;
        Some(Rule {
            name: name.clone(),
            kind,
        })
    };
    raw.0.iter().filter_map(rule).collect()
}

fn kind(name: &String, rule: &RawRule, known: &Known<'_>, doubts: &mut Doubts<'_>) -> Option<RuleKind> {
    let path = at!["policy", "rules", name];
    let given = [
        rule.pin.is_some(),
        rule.exclude.is_some(),
        rule.affinity.is_some(),
        rule.anti_affinity.is_some(),
        rule.capacity.is_some(),
        rule.drain.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        doubts.key(path, format!("a rule says exactly one of {KINDS}"));
        return None;
    }
    let places = rule.pin.is_some() || rule.exclude.is_some();
    if rule.who.is_some() && !places {
        doubts.value(
            at!["policy", "rules", name, "who"],
            "`who` belongs to pin and exclude",
        );
    }
    if rule.at.is_some() && rule.capacity.is_none() {
        doubts.value(at!["policy", "rules", name, "at"], "`at` belongs to capacity");
    }
    let mut sites = |field: &str, given: &[String]| {
        if given.is_empty() {
            doubts.value(at!["policy", "rules", name, field], "no data centre is named");
        }
        select::sites(given, at!["policy", "rules", name, field], known, doubts)
    };
    if let Some(given) = &rule.drain {
        let sites = sites("drain", given);
        return Some(RuleKind::Drain { sites });
    }
    if let Some(users) = rule.capacity {
        let Some(given) = &rule.at else {
            doubts.key(
                path,
                "the field `at` is missing: which data centres hold so many users?",
            );
            return None;
        };
        let sites = sites("at", given);
        return Some(RuleKind::Capacity { sites, users });
    }
    if let Some(given) = &rule.pin {
        let sites = sites("pin", given);
        let who = who(name, rule.who.as_ref(), known, doubts)?;
        return Some(RuleKind::Pin { who, sites });
    }
    if let Some(given) = &rule.exclude {
        let sites = sites("exclude", given);
        let who = who(name, rule.who.as_ref(), known, doubts)?;
        return Some(RuleKind::Exclude { who, sites });
    }
    let mut bound = |field: &str, given: &RawSelector| {
        select::selector(given, at!["policy", "rules", name, field], known, doubts)
    };
    match (&rule.affinity, &rule.anti_affinity) {
        (Some(given), _) => Some(RuleKind::Affinity {
            who: bound("affinity", given),
        }),
        (None, Some(given)) => Some(RuleKind::AntiAffinity {
            who: bound("anti_affinity", given),
        }),
        (None, None) => None,
    }
}

fn who(
    name: &String,
    given: Option<&RawSelector>,
    known: &Known<'_>,
    doubts: &mut Doubts<'_>,
) -> Option<Selector> {
    let Some(given) = given else {
        let message = "the field `who` is missing: whom does it bind?";
        doubts.key(at!["policy", "rules", name], message);
        return None;
    };
    Some(select::selector(
        given,
        at!["policy", "rules", name, "who"],
        known,
        doubts,
    ))
}
