//! Hold, damping, budgets, modes, rules and windows: what keeps moves few, small and wanted.

mod autonomy;
mod rules;
mod select;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use pacao_core::Config;
use pacao_core::config::{Backoff, Budget, Calm, Damp, ModeAt, ScopedBudget, Subject, User};
use pacao_core::policy::contradiction::contradictions;
use proto::text;
use proto::{Scope, SiteName, Span, TenantName, UserName, VmName};

use super::doubts::{Doubts, at};
use super::members::unknown_of;
use crate::session::locate::Step;
use crate::session::raw::{Entries, RawBackoff, RawBudget, RawDamp, RawModeAt, RawSession};
use select::{Known, selector};

const DAY: Span = Span::secs(86_400);
/// More of one kind are a mistake of a program, not of a person.
const MOST: usize = 1000;
/// Longest name of a budget, a rule or a window, in characters.
const LONGEST_NAME: usize = 64;

pub(super) fn calm(raw: &RawSession, doubts: &mut Doubts<'_>) -> Calm {
    let policy = &raw.policy;
    let known = Known::new(raw);
    doubts.within(at!["policy", "hold"], policy.hold.into(), 0.0..=1000.0);
    for (field, count) in [
        ("budgets", policy.budgets.0.len()),
        ("modes", policy.modes.len()),
        ("rules", policy.rules.0.len()),
        ("windows", policy.windows.0.len()),
    ] {
        if count > MOST {
            doubts.value(at!["policy", field], format!("{count} of them: at most {MOST}"));
        }
    }
    named("budgets", policy.budgets.0.iter().map(|(name, _)| name), doubts);
    named("rules", policy.rules.0.iter().map(|(name, _)| name), doubts);
    named("windows", policy.windows.0.iter().map(|(name, _)| name), doubts);
    if policy.budget.who.is_some() {
        let message = "this budget is everybody's: give budgets of a part of the users in policy.budgets";
        doubts.value(at!["policy", "budget", "who"], message);
    }
    Calm {
        hold: policy.hold,
        backoff: backoff(&policy.backoff, doubts),
        damp: damp(&policy.damp, doubts),
        budget: budget(
            &policy.budget,
            &Budget::default(),
            at!["policy", "budget"],
            doubts,
        ),
        budgets: budgets(&policy.budgets, &known, doubts),
        domains: domains(&policy.domains, &known, doubts),
        modes: modes(&policy.modes, &known, doubts),
        rules: rules::rules(&policy.rules, &known, doubts),
        windows: windows::windows(&policy.windows, &known, doubts),
        autonomy: autonomy::autonomy(&policy.autonomy, raw, doubts),
    }
}

/// Names go to logs and screens beside what the engine says itself.
fn named<'a>(field: &str, names: impl Iterator<Item = &'a String>, doubts: &mut Doubts<'_>) {
    for name in names.take(MOST) {
        let good = text::line("a name", name, LONGEST_NAME).and_then(|()| {
            let seen = !name.trim().is_empty();
            seen.then_some(()).ok_or_else(|| "a name is not empty".to_owned())
        });
        if let Err(why) = good {
            doubts.key(at!["policy", field, name], why);
        }
    }
}

/// What only shows in the whole: rules that contradict each other, users too many for a budget.
pub(super) fn together(config: &Config, doubts: &mut Doubts<'_>) {
    for contradiction in contradictions(config) {
        doubts.key(at!["policy", "rules", &contradiction.rule], contradiction.what);
    }
    for (name, user) in &config.users {
        for (place, budget) in budgets_of(config, name, user) {
            too_many(
                config.policy.confirm_within,
                (name, user),
                (&place, &budget),
                doubts,
            );
        }
    }
}

/// Every budget that counts some entry of a user, and where it is written.
fn budgets_of(config: &Config, name: &UserName, user: &User) -> Vec<(String, Budget)> {
    let mut budgets = vec![("policy.budget".to_owned(), config.calm.budget)];
    for scoped in &config.calm.budgets {
        let counts = user.vms.iter().any(|(vm, entry)| {
            config.vms.get(vm).is_some_and(|facts| {
                scoped.who.matches(Subject {
                    user: name.as_str(),
                    vm: vm.as_str(),
                    site: entry.as_str(),
                    user_traits: &user.traits,
                    vm_traits: &facts.traits,
                })
            })
        });
        if counts {
            budgets.push((format!("policy.budgets.{}", scoped.name), scoped.budget));
        }
    }
    budgets
}

/// People behind one locator move together: a budget smaller than they are never lets them.
fn too_many(
    takes: Span,
    (name, user): (&UserName, &User),
    (place, budget): (&str, &Budget),
    doubts: &mut Doubts<'_>,
) {
    let size = user.size;
    let at_risk = (f64::from(size) * takes.as_secs_f64()).ceil();
    if at_risk > budget.users_seconds as f64 {
        let message = format!(
            "{size} users for policy.confirm_within ({takes}) are {at_risk} users x seconds, more than \
             {place}.users_seconds ({}): they could never be moved",
            budget.users_seconds
        );
        doubts.value(at!["users", &name.to_string(), "size"], message);
    }
    if u64::from(size) > budget.users_per_hour {
        let message = format!(
            "{size} users are more than {place}.users_per_hour ({}): they could never be moved",
            budget.users_per_hour
        );
        doubts.value(at!["users", &name.to_string(), "size"], message);
    }
}

fn backoff(raw: &RawBackoff, doubts: &mut Doubts<'_>) -> Backoff {
    doubts.within(
        at!["policy", "backoff", "factor"],
        raw.factor.into(),
        1.0..=1000.0,
    );
    let max = doubts.span(
        at!["policy", "backoff", "max"],
        &raw.max,
        (Span::ZERO, Span::secs(30 * 86_400)),
    );
    Backoff {
        factor: raw.factor,
        max: max.unwrap_or_default(),
    }
}

fn damp(raw: &RawDamp, doubts: &mut Doubts<'_>) -> Damp {
    let mut span =
        |field: &str, text: &str| doubts.span(at!["policy", "damp", field], text, (Span::secs(1), DAY));
    let (half_life, max) = (span("half_life", &raw.half_life), span("max", &raw.max));
    for (field, value, least) in [
        ("penalty", raw.penalty, 0.0),
        ("suppress", raw.suppress, 1.0),
        ("reuse", raw.reuse, 1.0),
    ] {
        doubts.within(at!["policy", "damp", field], value.into(), least..=1e6);
    }
    if raw.reuse >= raw.suppress {
        let message = format!(
            "{} is not below policy.damp.suppress ({})",
            raw.reuse, raw.suppress
        );
        doubts.value(at!["policy", "damp", "reuse"], message);
    }
    Damp {
        half_life: half_life.unwrap_or_default(),
        penalty: raw.penalty,
        suppress: raw.suppress,
        reuse: raw.reuse,
        max: max.unwrap_or_default(),
    }
}

/// A limit of 0 would stop everything for good: that is what disarming and windows are for.
fn budget(raw: &RawBudget, other: &Budget, path: &[Step], doubts: &mut Doubts<'_>) -> Budget {
    let given = [
        ("concurrent", raw.concurrent.map(u64::from)),
        ("per_hour", raw.per_hour.map(u64::from)),
        ("per_dc", raw.per_dc.map(u64::from)),
        ("users_per_hour", raw.users_per_hour),
        ("users_seconds", raw.users_seconds),
        ("domains", raw.domains.map(u64::from)),
    ];
    for (field, value) in given {
        if value == Some(0) {
            let mut path = path.to_vec();
            path.push(Step::Key(field.to_owned()));
            doubts.value(
                &path,
                "0 would never let anything move: use observe, a window or disarming for that",
            );
        }
    }
    Budget {
        concurrent: raw.concurrent.unwrap_or(other.concurrent),
        per_hour: raw.per_hour.unwrap_or(other.per_hour),
        per_dc: raw.per_dc.unwrap_or(other.per_dc),
        users_per_hour: raw.users_per_hour.unwrap_or(other.users_per_hour),
        users_seconds: raw.users_seconds.unwrap_or(other.users_seconds),
        domains: raw.domains.unwrap_or(other.domains),
    }
}

fn budgets(raw: &Entries<RawBudget>, known: &Known<'_>, doubts: &mut Doubts<'_>) -> Vec<ScopedBudget> {
    let mut budgets = Vec::new();
    for (name, scoped) in &raw.0 {
        if name == "all" {
            doubts.key(
                at!["policy", "budgets", name],
                "'all' is policy.budget: take another name",
            );
        }
        let path = at!["policy", "budgets", name];
        let Some(who) = &scoped.who else {
            doubts.key(path, "the field `who` is missing: whose moves does it count?");
            continue;
        };
        budgets.push(ScopedBudget {
            name: name.clone(),
            who: selector(who, at!["policy", "budgets", name, "who"], known, doubts),
            budget: budget(scoped, &Budget::UNLIMITED, path, doubts),
        });
    }
    budgets
}

fn domains(
    raw: &Entries<Vec<String>>,
    known: &Known<'_>,
    doubts: &mut Doubts<'_>,
) -> BTreeMap<String, BTreeSet<SiteName>> {
    let mut domains: BTreeMap<String, BTreeSet<SiteName>> = BTreeMap::new();
    for (name, sites) in &raw.0 {
        let path = at!["policy", "domains", name];
        let sites = select::sites(sites, path, known, doubts);
        let twice = domains.iter().find_map(|(other, theirs)| {
            let shared = theirs.intersection(&sites).next()?;
            Some(format!("{shared} is of domain '{other}' already"))
        });
        if let Some(message) = twice {
            doubts.value(path, message);
        }
        domains.insert(name.clone(), sites);
    }
    domains
}

fn modes(raw: &[RawModeAt], known: &Known<'_>, doubts: &mut Doubts<'_>) -> Vec<ModeAt> {
    let mut modes: Vec<ModeAt> = Vec::new();
    for (at, entry) in raw.iter().enumerate() {
        let path = at!["policy", "modes", at];
        let given: Vec<(&str, &String)> = [
            ("dc", &entry.dc),
            ("tenant", &entry.tenant),
            ("vm", &entry.vm),
            ("user", &entry.user),
        ]
        .into_iter()
        .filter_map(|(field, name)| name.as_ref().map(|name| (field, name)))
        .collect();
        let [(field, name)] = given.as_slice() else {
            doubts.value(path, "give exactly one of dc, tenant, vm, user, and its mode");
            continue;
        };
        let Some(scope) = scope(field, name) else {
            doubts.value(
                at!["policy", "modes", at, *field],
                format!("'{name}' is not a name"),
            );
            continue;
        };
        let (what, names) = known.of(field);
        if !names.contains(name.as_str()) {
            let message = unknown_of(what, name, names.iter().copied());
            doubts.value(at!["policy", "modes", at, *field], message);
        }
        if modes.iter().any(|known| known.scope == scope) {
            doubts.value(path, format!("the mode of {scope} is given twice"));
        }
        modes.push(ModeAt {
            scope,
            mode: entry.mode,
        });
    }
    modes
}

fn scope(field: &str, name: &str) -> Option<Scope> {
    Some(match field {
        "dc" => Scope::Dc {
            dc: SiteName::new(name).ok()?,
        },
        "tenant" => Scope::Tenant {
            tenant: TenantName::new(name).ok()?,
        },
        "vm" => Scope::Vm {
            vm: VmName::new(name).ok()?,
        },
        _ => Scope::User {
            user: UserName::new(name).ok()?,
        },
    })
}
