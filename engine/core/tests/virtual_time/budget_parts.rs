//! Budgets of parts of the users, over hours, and who goes first where many wait.

use std::collections::{BTreeMap, BTreeSet};

use pacao_core::Effect;
use pacao_core::config::{Budget, Calm, Glob, ScopedBudget, Selector};
use proto::policy::{Hold, Limit};
use proto::{Command, Notice, ProposalState, Refusal, Reply, Span, Timestamp};

use crate::policy::{begun, crowd, sites as sites_of};
use crate::world::{World, table_5_1};

/// A budget that a session gives, and whom it counts.
struct Share {
    budget: Budget,
    users: BTreeSet<String>,
}

/// A move as consoles saw it.
struct Seen {
    user: String,
    to: String,
    began: Timestamp,
    ended: Timestamp,
}

fn seen(world: &World) -> Vec<Seen> {
    let mut flying = BTreeMap::new();
    let mut all = Vec::new();
    for (at, effect) in &world.effects {
        let Effect::Notify {
            notice: Notice::Proposal { proposal },
        } = effect
        else {
            continue;
        };
        if matches!(proposal.state, ProposalState::Executing { .. }) {
            flying.insert(proposal.id, *at);
        } else if let Some(began) = flying.remove(&proposal.id) {
            all.push(Seen {
                user: proposal.user.to_string(),
                to: proposal.to.to_string(),
                began,
                ended: *at,
            });
        }
    }
    all
}

/// At every moment at which something begins or ends, over the hour before it.
fn check_hours(moves: &[Seen], share: &Share, sizes: &BTreeMap<String, u64>, domain: impl Fn(&str) -> u8) {
    let hour = Span::secs(3600);
    let own: Vec<&Seen> = moves
        .iter()
        .filter(|seen| share.users.contains(&seen.user))
        .collect();
    let size = |seen: &&&Seen| sizes[&seen.user];
    let moments = own.iter().flat_map(|seen| [seen.began, seen.ended]);
    for now in moments {
        let within = |at: Timestamp| at <= now && now < at + hour;
        let begun = || own.iter().filter(|seen| within(seen.began));
        let (moves, people) = (begun().count(), begun().map(|seen| size(&seen)).sum::<u64>());
        assert!(
            moves <= share.budget.per_hour as usize,
            "{moves} moves in the hour up to {now:?}"
        );
        assert!(
            people <= share.budget.users_per_hour,
            "{people} people in the hour up to {now:?}"
        );
        let flying = || own.iter().filter(|seen| seen.began <= now && now < seen.ended);
        let into: BTreeSet<u8> = flying().map(|seen| domain(&seen.to)).collect();
        assert!(into.len() <= share.budget.domains as usize, "{into:?} at {now:?}");
        let ended = own.iter().filter(|seen| within(seen.ended));
        let past: u64 = ended
            .map(|seen| seen.ended.since(seen.began).micros() * size(&seen))
            .sum();
        let present: u64 = flying()
            .map(|seen| now.since(seen.began).micros() * size(&seen))
            .sum();
        let most = share.budget.users_seconds * 1_000_000;
        assert!(past + present <= most, "{} of {most} at {now:?}", past + present);
    }
}

/// Twelve users of different sizes, half of them of a tenant, a third first entered by Marilyn, each part with a budget.
fn shares() -> (pacao_core::Config, Vec<Share>) {
    let mut config = crowd(12, Calm::default());
    let names: Vec<String> = config.users.keys().map(ToString::to_string).collect();
    for (n, user) in (1_u32..).zip(config.users.values_mut()) {
        user.size = n;
        user.traits.tenant = n.is_multiple_of(2).then(|| "acme".parse().unwrap());
        let entry = if n.is_multiple_of(3) { "marilyn" } else { "telco" };
        user.vms = [("web".parse().unwrap(), entry.parse().unwrap())].into();
    }
    let glob = |text: &str| Some(vec![Glob::new(text).unwrap()]);
    let wide = Budget {
        concurrent: 3,
        per_hour: 12,
        per_dc: 3,
        users_per_hour: 60,
        users_seconds: 160,
        domains: 1,
    };
    let (acme, south) = (
        Budget {
            per_hour: 4,
            users_per_hour: 20,
            ..wide
        },
        Budget {
            users_per_hour: 20,
            users_seconds: 110,
            ..wide
        },
    );
    config.calm.budget = wide;
    let scoped = |name: &str, who, budget| ScopedBudget {
        name: name.to_owned(),
        who,
        budget,
    };
    let tenants = Selector {
        tenants: glob("acme"),
        ..Selector::default()
    };
    let sites = Selector {
        sites: glob("marilyn"),
        ..Selector::default()
    };
    config.calm.budgets = vec![scoped("acme", tenants, acme), scoped("south", sites, south)];
    config.calm.domains = [("north".to_owned(), sites_of(["telco", "lip6"]))].into();
    config.slots.probe = Span::secs(5);
    config.policy.stale_after = Span::secs(30);
    let part = |every: usize| names.iter().skip(every - 1).step_by(every).cloned().collect();
    let shares = vec![
        Share {
            budget: wide,
            users: part(1),
        },
        Share {
            budget: acme,
            users: part(2),
        },
        Share {
            budget: south,
            users: part(3),
        },
    ];
    (config, shares)
}

/// M6, N6. Three hours in which data centres go bad in turn, staff push, and users acknowledge or not.
#[test]
fn budgets_of_parts_hold_over_every_hour() {
    let mut full: BTreeSet<(String, Limit)> = BTreeSet::new();
    for seed in 1..=4_u64 {
        let (config, shares) = shares();
        let sizes = config
            .users
            .iter()
            .map(|(name, user)| (name.to_string(), u64::from(user.size)));
        let sizes: BTreeMap<String, u64> = sizes.collect();
        let mut world = World::of(config);
        world.wan = Box::new(|dc, user, at| {
            let bad = ["telco", "marilyn", "lip6"][(at / 1200.0) as usize % 3] == dc && at % 1200.0 < 300.0;
            Some(table_5_1(dc, user) + if bad { 400.0 } else { 0.0 })
        });
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) % below
        };
        while World::seconds(world.now) < 3.0 * 3600.0 {
            world.run_to(World::seconds(world.now) + 1.0 + next(120) as f64);
            world.answering = next(2) > 0;
            for _ in 0..2 {
                let (user, to) = (
                    format!("u{:03}", next(12)),
                    ["telco", "marilyn", "lip6"][next(3) as usize],
                );
                if let Reply::Refused {
                    refusal:
                        Refusal::Held {
                            hold: Hold::Budget { budget, limit, .. },
                        },
                } = world.switch(&user, to)
                {
                    full.insert((budget, limit));
                }
            }
        }
        world.run_to(World::seconds(world.now) + 60.0);
        let moves = seen(&world);
        assert!(moves.len() > 24, "{}", moves.len());
        for share in &shares {
            check_hours(&moves, share, &sizes, |dc| u8::from(dc == "marilyn"));
        }
    }
    for (budget, limit) in [
        ("all", Limit::PerHour),
        ("all", Limit::UsersPerHour),
        ("all", Limit::UsersSeconds),
        ("all", Limit::Domains),
        ("acme", Limit::PerHour),
        ("acme", Limit::UsersPerHour),
        ("south", Limit::UsersPerHour),
        ("south", Limit::UsersSeconds),
    ] {
        assert!(
            full.contains(&(budget.to_owned(), limit)),
            "{budget} {limit:?}: {full:?}"
        );
    }
}

/// Those who wait for a budget of their own keep nobody else from moving, however many they are and whoever comes first.
#[test]
fn a_crowd_that_waits_for_its_own_budget_starves_nobody_else() {
    let mut config = crowd(200, Calm::default());
    config.slots.probe = Span::secs(1);
    let all: Vec<_> = config.users.keys().cloned().collect();
    for (n, (_, user)) in config.users.iter_mut().enumerate() {
        let tenant = if n < 190 { "large" } else { "small" };
        user.traits.tenant = Some(tenant.parse().unwrap());
    }
    config.calm.budget = Budget {
        per_hour: 1000,
        users_per_hour: 1000,
        ..Budget::default()
    };
    config.calm.budgets = vec![ScopedBudget {
        name: "large".to_owned(),
        who: Selector {
            tenants: Some(vec![Glob::new("large").unwrap()]),
            ..Selector::default()
        },
        budget: Budget {
            per_hour: 3,
            ..Budget::UNLIMITED
        },
    }];
    let mut world = World::of(config);
    world.run_to(20.0);
    let drain = Command::Drain {
        dc: "telco".parse().unwrap(),
    };
    assert!(matches!(world.ask(drain), Reply::Accepted { .. }));
    world.run_to(21.0);
    let moves = begun(&world);
    let large = |user: &str| all[..190].iter().any(|name| name.as_str() == user);
    let (of_large, of_small): (Vec<_>, Vec<_>) = moves.iter().partition(|(_, user, _)| large(user));
    // One after the other, each of 41 ms: nobody waits to be looked at again in a probe's or a slot's time.
    assert_eq!((of_large.len(), of_small.len()), (3, 10));
}

/// Who is cut off goes before all who are merely slow, though he is the last in every order.
#[test]
fn whoever_is_cut_off_goes_before_a_crowd_that_is_slow() {
    let mut config = crowd(120, Calm::default());
    config.slots.probe = Span::secs(1);
    config.calm.budget = Budget {
        per_hour: 2,
        ..Budget::default()
    };
    let mut world = World::of(config);
    world.wan = Box::new(|dc, user, at| match (dc, user) {
        ("telco", "u119") if at > 36.0 => None,
        ("telco", "u119" | "u000") => Some(table_5_1(dc, user)),
        ("telco", _) if at > 30.0 => Some(table_5_1(dc, user) + 400.0),
        _ => Some(table_5_1(dc, user)),
    });
    // One move is under way for 4 s, in which all others come to wait for its end.
    world.run_to(39.9);
    world.answering = false;
    assert!(matches!(world.switch("u000", "lip6"), Reply::Accepted { .. }));
    world.answering = true;
    world.run_to(60.0);
    let moves = begun(&world);
    assert_eq!(moves.len(), 2);
    assert_eq!(moves[1].1, "u119", "{moves:?}");
    assert!((43.8..44.0).contains(&World::seconds(moves[1].0)), "{moves:?}");
    let waited = |line: &String| line.contains("stays with TelcoCenter") && line.contains("has no room");
    assert!(world.log().iter().any(waited), "{:#?}", world.log());
}
