//! "Why not?" (N4): the condition that binds is named, and at its margin the decision is another.

use pacao_core::Config;
use pacao_core::config::{Glob, Rule, RuleKind, Selector};
use proto::why::{Margin, Outlook, RungKind, Why};
use proto::{Command, Mode, Refusal, Reply, Span};

use crate::world::{World, config, table_5_1};

fn ask(world: &mut World, user: &str, to: Option<&str>) -> Reply {
    world.ask(Command::Why {
        user: user.parse().unwrap(),
        vm: None,
        to: to.map(|to| to.parse().unwrap()),
    })
}

fn why(world: &mut World, to: Option<&str>) -> Why {
    match ask(world, "paris", to) {
        Reply::Explained { why } => *why,
        other => panic!("{other:?}"),
    }
}

fn binding(why: &Why) -> (&str, Option<&Margin>) {
    let check = why.checks.iter().find(|check| !check.holds);
    check.map_or(("", None), |check| (check.name.as_str(), check.margin.as_ref()))
}

#[test]
fn a_gain_too_small_is_named_and_a_least_gain_at_the_margin_moves_the_user() {
    let with = |gain_min| {
        let mut config = Config {
            mode: Mode::Auto,
            ..config()
        };
        config.policy.gain_min = gain_min;
        let mut world = World::of(config);
        world.stress(("paris", "telco"), 400.0, (30.0, 500.0));
        world.run_to(60.0);
        world
    };
    let mut world = with(1000.0);
    let told = why(&mut world, None);
    assert_eq!(told.outlook, Outlook::Stays);
    let ("gain", Some(&Margin::Gain { now, flips_at, .. })) = binding(&told) else {
        panic!("{told:#?}");
    };
    assert!((flips_at - 1000.0).abs() < 1e-9);
    assert!(world.switches().is_empty());
    assert!(with(now + 0.1).switches().is_empty(), "just above what is gained");
    assert!(!with(now).switches().is_empty(), "at the margin");
}

#[test]
fn a_cool_down_is_named_with_what_is_left_of_it_and_then_it_moves() {
    let mut config = Config {
        mode: Mode::Auto,
        ..config()
    };
    config.policy.cool_down = Span::secs(120);
    let mut world = World::of(config);
    world.wan = Box::new(|dc, user, at| {
        let base = table_5_1(dc, user);
        let stressed = match (user, dc) {
            ("paris", "telco") => at > 30.0,
            ("paris", "marilyn") => at > 60.0,
            _ => false,
        };
        Some(if stressed { base + 400.0 } else { base })
    });
    world.run_to(80.0);
    assert_eq!(world.switches().len(), 1);
    let told = why(&mut world, None);
    let ("cool-down", Some(&Margin::Until { at, left })) = binding(&told) else {
        panic!("{told:#?}");
    };
    assert_eq!(world.now + left, at);
    let over = World::seconds(at);
    world.run_to(over - 0.1);
    assert_eq!(world.switches().len(), 1);
    world.run_to(over + 2.0);
    assert_eq!(world.switches().len(), 2, "{:#?}", world.log());
}

#[test]
fn who_is_well_stays_and_is_told_from_where_on_not() {
    let mut world = World::new(Mode::Auto);
    world.run_to(30.0);
    let told = why(&mut world, Some("marilyn"));
    let (
        "level",
        Some(Margin::Figure {
            dc, now, flips_at, ..
        }),
    ) = binding(&told)
    else {
        panic!("{told:#?}");
    };
    assert_eq!(dc.as_str(), "telco");
    assert!((now - 37.0).abs() < 1e-9 && (flips_at - 100.0).abs() < 1e-9);
    assert_eq!(
        told.rungs[told.pick as usize].kind,
        RungKind::Nothing,
        "the cheapest that is enough"
    );
}

#[test]
fn the_ladder_picks_a_switch_where_that_is_enough_and_never_what_nobody_can_do() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 500.0));
    world.run_to(60.0);
    let told = why(&mut world, None);
    assert_eq!(told.outlook, Outlook::Asks);
    let kinds: Vec<RungKind> = told.rungs.iter().map(|rung| rung.kind).collect();
    assert_eq!(
        kinds,
        [
            RungKind::Nothing,
            RungKind::Switch,
            RungKind::Subflow,
            RungKind::Migrate
        ]
    );
    let picked = &told.rungs[told.pick as usize];
    assert_eq!(picked.kind, RungKind::Switch);
    assert!((picked.gain_user_ms.unwrap() - 402.0).abs() < 1.0, "{picked:?}");
    assert!(told.rungs[2..].iter().all(|rung| rung.unavailable.is_some()));
}

#[test]
fn a_vm_is_not_advised_to_live_where_rules_forbid_it_or_its_users() {
    let place = |rule: Option<RuleKind>| {
        let mut config = Config {
            mode: Mode::Recommend,
            ..config()
        };
        config.calm.rules = rule
            .map(|kind| Rule {
                name: "house".to_owned(),
                kind,
            })
            .into_iter()
            .collect();
        let mut world = World::of(config);
        world.stress(("paris", "telco"), 400.0, (30.0, 500.0));
        world.run_to(60.0);
        let told = why(&mut world, None);
        let rung = told
            .rungs
            .into_iter()
            .find(|rung| rung.kind == RungKind::Migrate)
            .unwrap();
        (rung.to.map(|to| to.to_string()), rung.unavailable.unwrap())
    };
    let sites = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    let everybody = || Selector {
        vms: Some(vec![Glob::new("web").unwrap()]),
        ..Selector::default()
    };
    let lyon = || Selector {
        users: Some(vec![Glob::new("lyon").unwrap()]),
        ..Selector::default()
    };
    assert_eq!(
        place(None).0.as_deref(),
        Some("marilyn"),
        "LIP6 is as good by (5.1) and first by name, but further for both"
    );
    let exclude = |who, names: &[&str]| RuleKind::Exclude {
        who,
        sites: sites(names),
    };
    let full = RuleKind::Capacity {
        sites: sites(&["marilyn"]),
        users: 1,
    };
    for rule in [
        exclude(everybody(), &["marilyn"]),
        exclude(lyon(), &["marilyn"]),
        RuleKind::Drain {
            sites: sites(&["marilyn"]),
        },
        full,
    ] {
        assert_eq!(place(Some(rule.clone())).0.as_deref(), Some("lip6"), "{rule:?}");
    }
    let (to, why) = place(Some(exclude(everybody(), &["marilyn", "lip6"])));
    assert_eq!(to, None);
    assert!(why.contains("lives at the best place"), "{why}");
}

#[test]
fn a_question_changes_nothing_and_a_wrong_name_is_refused() {
    let mut world = World::new(Mode::Auto);
    world.run_to(30.0);
    // Any input may let rows be told; nothing else changes.
    let decided = |world: &World| {
        let state = serde_json::to_value(&world.engine).unwrap();
        ["pairs", "desk", "agenda", "changes", "calm", "journal"].map(|part| state[part].clone())
    };
    let before = decided(&world);
    why(&mut world, Some("lip6"));
    assert!(
        decided(&world) == before,
        "a question is no input to any decision"
    );
    for (user, to) in [("nobody", None), ("paris", Some("atlantis"))] {
        let Reply::Refused { refusal } = ask(&mut world, user, to) else {
            panic!("accepted");
        };
        assert!(matches!(refusal, Refusal::UnknownName { .. }));
    }
}
