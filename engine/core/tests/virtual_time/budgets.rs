//! Budgets: what may be under way at once, and how much an hour.

use std::collections::BTreeMap;

use pacao_core::Effect;
use pacao_core::config::{Budget, Calm};
use proptest::prelude::*;
use proto::policy::{Hold, Limit};
use proto::{Command, Notice, ProposalState, Reply, Span, Timestamp};

use crate::policy::{begun, crowd, held};
use crate::world::{World, table_5_1};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    /// M6, N6. A data centre goes bad for everybody, acknowledgements come or do not, and staff push as well.
    #[test]
    fn budgets_hold_while_a_whole_data_centre_is_left(
        (concurrent, per_hour, per_dc) in (1_u32..5, 3_u32..30, 1_u32..4),
        size in 1_u32..20,
        users_seconds in 200_u64..2000,
        answering in prop::bool::ANY,
        dead in prop::bool::ANY,
        proving in prop::bool::ANY,
        pushes in prop::collection::vec((0_u8..24, 0_usize..3, 20.0_f64..200.0), 0..20),
    ) {
        let budget = Budget { concurrent, per_hour, per_dc, users_seconds, ..Budget::default() };
        let mut config = crowd(24, Calm { budget, ..Calm::default() });
        config.users.values_mut().for_each(|user| user.size = size);
        config.policy.prove_within = if proving { Span::secs(60) } else { Span::ZERO };
        let mut world = World::of(config);
        world.answering = answering;
        world.wan = Box::new(move |dc, user, at| match (dc, at > 30.0, dead) {
            ("telco", true, true) => None,
            ("telco", true, false) => Some(500.0),
            _ => Some(table_5_1(dc, user)),
        });
        let mut pushes = pushes;
        pushes.sort_by(|a, b| a.2.total_cmp(&b.2));
        for (user, to, at) in pushes {
            world.run_to(at);
            world.switch(&format!("u{user:03}"), ["telco", "marilyn", "lip6"][to]);
        }
        world.run_to(400.0);
        check_budget(&world, &budget, size);
    }
}

/// From what left the engine alone.
pub(crate) fn check_budget(world: &World, budget: &Budget, size: u32) {
    let mut flying: BTreeMap<u64, (Timestamp, String, String)> = BTreeMap::new();
    let (mut begun, mut exposure) = (0_u64, 0_u64);
    for (at, effect) in &world.effects {
        let Effect::Notify {
            notice: Notice::Proposal { proposal },
        } = effect
        else {
            continue;
        };
        match &proposal.state {
            ProposalState::Executing { .. } => {
                begun += 1;
                let row = (*at, proposal.from.to_string(), proposal.to.to_string());
                flying.insert(proposal.id.0, row);
            }
            state if state.is_over() => {
                if let Some((since, _, _)) = flying.remove(&proposal.id.0) {
                    exposure += at.since(since).micros() * u64::from(size);
                }
            }
            _ => {}
        }
        assert!(flying.len() <= budget.concurrent as usize, "{flying:?}");
        let into: std::collections::BTreeSet<_> = flying.values().map(|(_, _, to)| to).collect();
        assert!(into.len() <= budget.domains as usize, "{flying:?}");
        for from in ["telco", "marilyn", "lip6"] {
            let out = flying.values().filter(|(_, of, _)| of == from).count();
            assert!(out <= budget.per_dc as usize, "{flying:?}");
        }
    }
    assert!(begun > 0 && begun <= u64::from(budget.per_hour), "{begun}");
    assert!(exposure <= budget.users_seconds * 1_000_000, "{exposure}");
    let shown = &world.engine.snapshot(world.now).policy.budgets[0];
    assert_eq!(shown.per_hour.used, begun);
    assert!(shown.users_seconds.used <= shown.users_seconds.limit);
}

#[test]
fn whoever_waits_for_a_budget_goes_as_soon_as_there_is_room() {
    let mut world = World::of(crowd(10, Calm::default()));
    world.wan = Box::new(|dc, user, at| (dc != "telco" || at < 30.0).then(|| table_5_1(dc, user)));
    world.run_to(60.0);
    let moves = begun(&world);
    assert_eq!(moves.len(), 10);
    let last = World::seconds(moves[9].0) - World::seconds(moves[0].0);
    // One after the other out of one data centre, 41 ms each.
    assert!((0.36..2.5).contains(&last), "{last}");
    let log = world.log();
    assert!(
        log.iter()
            .any(|line| line.contains("budget 'all' has no room: 1 of 1 moves under way out of"))
    );
}

#[test]
fn an_hour_s_budget_holds_staff_as_well_until_they_break_the_glass() {
    let budget = Budget {
        per_hour: 2,
        ..Budget::default()
    };
    let mut world = World::of(crowd(
        4,
        Calm {
            budget,
            ..Calm::default()
        },
    ));
    world.run_to(20.0);
    for user in ["u000", "u001"] {
        assert!(matches!(world.switch(user, "lip6"), Reply::Accepted { .. }));
        world.run_to(World::seconds(world.now) + 1.0);
    }
    let refused = world.switch("u002", "lip6");
    let Hold::Budget {
        limit, until, gauge, ..
    } = held(&refused)
    else {
        panic!("{refused:?}")
    };
    assert_eq!((*limit, gauge.used), (Limit::PerHour, 2));
    assert_eq!(until.map(|at| World::seconds(at).round()), Some(3620.0));
    let switch = Command::Switch {
        user: "u002".parse().unwrap(),
        vm: "web".parse().unwrap(),
        to: "lip6".parse().unwrap(),
    };
    let broken = |reason: &str| Command::BreakGlass {
        reason: reason.to_owned(),
        ask: switch.clone().try_into().unwrap(),
    };
    assert!(
        matches!(world.ask(broken(" \n")), Reply::Refused { .. }),
        "no reason, no move"
    );
    assert!(matches!(
        world.ask(broken("fire in the hall")),
        Reply::Accepted { .. }
    ));
    world.run_to(30.0);
    assert_eq!(world.entry("u002"), "lip6");
    assert!(
        world
            .log()
            .iter()
            .any(|line| line == "glass broken by ada: fire in the hall")
    );
}

/// N2 within M6: the hour's budget keeps room for the way back of a switch that has still to prove itself.
#[test]
fn a_bad_switch_goes_back_although_the_hour_is_spent_by_others() {
    let budget = Budget {
        per_hour: 3,
        ..Budget::default()
    };
    let mut config = crowd(
        3,
        Calm {
            budget,
            ..Calm::default()
        },
    );
    config.policy.prove_within = Span::secs(60);
    let mut world = World::of(config);
    // The first user is moved for his link to TelcoCenter, which recovers, and Marilyn turns bad for him.
    world.wan = Box::new(|dc, user, at| {
        let base = table_5_1(dc, user);
        Some(match (user, dc) {
            ("u000", "telco") if (30.0..42.0).contains(&at) => base + 400.0,
            ("u000", "marilyn" | "lip6") if at > 42.0 => base + 600.0,
            _ => base,
        })
    });
    world.run_to(41.5);
    assert_eq!(world.entry("u000"), "marilyn");
    assert!(matches!(world.switch("u001", "lip6"), Reply::Accepted { .. }));
    world.run_to(42.0);
    let refused = world.switch("u002", "lip6");
    let Hold::Budget { limit, gauge, .. } = held(&refused) else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (*limit, gauge.used, gauge.limit),
        (Limit::PerHour, 3, 3),
        "one is kept"
    );
    world.run_to(120.0);
    assert_eq!(world.entry("u000"), "telco", "{:#?}", world.log());
    check_budget(&world, &budget, 1);
}
