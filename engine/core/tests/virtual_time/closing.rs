//! What rules forbid is closed to the user's own router too: backups of priority 255, told anew when a drain begins or
//! ends.

use std::collections::BTreeMap;

use pacao_core::config::{Calm, Config, Glob, Rule, RuleKind, Selector, User};
use pacao_core::{Effect, Engine};
use proto::node::Tell;
use proto::{Audience, Command, Disarmed, Mode, NodeCommand, Reply, Span, Timestamp};

use crate::world::{World, config, table_5_1};

const NEVER: u8 = 255;

/// By data centre in the order of names (lip6, marilyn, telco): the priorities a user's router holds.
fn held(world: &World, user: &str) -> [u8; 3] {
    let config = world.engine.config();
    let held = &world.held[&config.users[user].rloc];
    priorities(config, held)
}

fn priorities(config: &Config, locators: &[lisp_wire::Locator]) -> [u8; 3] {
    assert_eq!(locators.len(), 3, "a set of the same size always: {locators:?}");
    ["lip6", "marilyn", "telco"].map(|dc| {
        let rloc = config.sites[dc].rloc;
        let mut of = locators.iter().filter(|locator| locator.rloc == rloc);
        of.next().expect("every data centre has its place").priority.0
    })
}

fn shown(world: &World, user: &str) -> [u8; 3] {
    let rows = world.engine.snapshot(world.now).rlocs;
    let of: BTreeMap<String, u8> = rows
        .iter()
        .filter(|row| row.user.as_str() == user)
        .map(|row| (row.dc.to_string(), row.priority.0))
        .collect();
    ["lip6", "marilyn", "telco"].map(|dc| of[dc])
}

fn paris() -> Selector {
    Selector {
        users: Some(vec![Glob::new("paris").unwrap()]),
        ..Selector::default()
    }
}

fn sites<const N: usize>(names: [&str; N]) -> std::collections::BTreeSet<proto::SiteName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn with(kind: RuleKind) -> Config {
    let rule = Rule {
        name: "rule".to_owned(),
        kind,
    };
    Config {
        calm: Calm {
            rules: vec![rule],
            ..Calm::default()
        },
        ..config()
    }
}

/// Many users who all enter by telco.
fn crowd(count: u8) -> Config {
    let mut config = config();
    let paris = config.users["paris"].clone();
    config.users.clear();
    for n in 0..count {
        let user = User {
            rloc: lisp_wire::Rloc([172, 16, 2, n].into()),
            eid: format!("10.3.{n}.0/24").parse().unwrap(),
            ..paris.clone()
        };
        config.users.insert(format!("u{n:03}").parse().unwrap(), user);
    }
    config
}

fn drain(dc: &str) -> Command {
    Command::Drain {
        dc: dc.parse().unwrap(),
    }
}

fn undrain(dc: &str) -> Command {
    Command::Undrain {
        dc: dc.parse().unwrap(),
    }
}

/// How many users are told something by Change-Priority at each moment since `from`.
fn bursts(world: &World, from: Timestamp) -> Vec<(f64, usize)> {
    let mut bursts: BTreeMap<Timestamp, usize> = BTreeMap::new();
    for (at, effect) in &world.effects {
        if let Effect::Node {
            command: NodeCommand::SetLocators { tell, .. },
            ..
        } = effect
            && *tell == Tell::ChangePriority
            && *at >= from
        {
            *bursts.entry(*at).or_default() += 1;
        }
    }
    bursts
        .into_iter()
        .map(|(at, count)| (World::seconds(at), count))
        .collect()
}

#[test]
fn a_pinned_user_holds_only_backups_that_his_pin_allows() {
    let mut world = World::of(with(RuleKind::Pin {
        who: paris(),
        sites: sites(["telco", "marilyn"]),
    }));
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(20.0);
    assert_eq!(held(&world, "paris"), [NEVER, 2, 1]);
    assert_eq!(shown(&world, "paris"), [NEVER, 2, 1]);
    assert_eq!(held(&world, "lyon"), [2, 1, 3], "whom it does not bind");
    world.run_to(60.0);
    assert_eq!(held(&world, "paris"), [NEVER, 1, 2]);
    assert_eq!(shown(&world, "paris"), [NEVER, 1, 2]);
}

#[test]
fn an_excluded_data_centre_is_no_backup() {
    let mut world = World::of(with(RuleKind::Exclude {
        who: paris(),
        sites: sites(["marilyn"]),
    }));
    world.run_to(20.0);
    assert_eq!(held(&world, "paris"), [2, NEVER, 1]);
}

#[test]
fn whoever_may_be_nowhere_else_has_his_entry_alone() {
    let mut world = World::of(with(RuleKind::Pin {
        who: paris(),
        sites: sites(["telco"]),
    }));
    world.wan = Box::new(|dc, user, at| (dc != "telco" || at < 30.0).then(|| table_5_1(dc, user)));
    world.run_to(90.0);
    assert_eq!(held(&world, "paris"), [NEVER, NEVER, 1]);
    assert_eq!(world.switches(), []);
}

#[test]
fn a_drain_closes_the_backup_of_everybody_in_bounded_bursts_and_its_end_opens_it() {
    let mut world = World::of(crowd(60));
    world.run_to(20.0);
    assert!((0..60).all(|n| held(&world, &format!("u{n:03}")) == [2, 3, 1]));
    for (command, want) in [(drain("lip6"), [NEVER, 2, 1]), (undrain("lip6"), [2, 3, 1])] {
        let from = world.now;
        let at = World::seconds(from);
        assert!(matches!(world.ask(command), Reply::Accepted { .. }));
        world.run_to(at + 5.0);
        for n in 0..60 {
            let user = format!("u{n:03}");
            assert_eq!(held(&world, &user), want, "{user}");
            assert_eq!(shown(&world, &user), want, "{user}");
        }
        let bursts = bursts(&world, from);
        let counts: Vec<usize> = bursts.iter().map(|&(_, count)| count).collect();
        assert_eq!(counts, [25, 25, 10], "once each, so many at a time");
        assert!(bursts[0].0 <= at + 0.001 && bursts.windows(2).all(|two| two[1].0 >= two[0].0 + 0.25));
        // Whichever forwarder answers a Map-Request says the same.
        for site in ["lip6", "marilyn", "telco"] {
            let last = last_view(&world, site, "u059");
            assert_eq!(last, want, "{site}");
        }
        let budget = world.engine.snapshot(world.now).policy.budgets.remove(0);
        assert_eq!(
            (budget.per_hour.used, budget.users_seconds.used),
            (0, 0),
            "no move"
        );
    }
}

/// The view of a user last given to a forwarder.
fn last_view(world: &World, of: &str, user: &str) -> [u8; 3] {
    let config = world.engine.config();
    let rloc = config.users[user].rloc;
    let mut views = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::Node {
            site,
            command: NodeCommand::SetLocators {
                audience, locators, ..
            },
        } if site.as_str() == of && *audience == (Audience::Client { rloc }) => Some(locators),
        _ => None,
    });
    priorities(config, views.next_back().unwrap())
}

#[test]
fn who_is_moved_off_a_drained_data_centre_does_not_keep_it_as_a_backup() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    world.ask(drain("telco"));
    world.run_to(30.0);
    assert_eq!(held(&world, "paris"), [2, 1, NEVER]);
    assert_eq!(held(&world, "lyon"), [2, 1, NEVER]);
}

#[test]
fn a_drain_that_begins_while_a_switch_is_under_way_is_told_when_it_ends() {
    for answering in [true, false] {
        let mut world = World::new(Mode::Recommend);
        world.run_to(20.0);
        world.answering = answering;
        world.switch("paris", "marilyn");
        world.ask(drain("lip6"));
        world.run_to(25.0);
        world.answering = true;
        world.run_to(60.0);
        let want = if answering { [NEVER, 1, 2] } else { [NEVER, 2, 1] };
        assert_eq!(shown(&world, "paris"), want, "{answering}");
        assert_eq!(last_view(&world, "lip6", "paris"), want, "{answering}");
    }
}

#[test]
fn a_freeze_holds_what_a_drain_would_tell_until_the_engine_is_armed() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    world.ask(Command::Disarm {
        how: Disarmed::Freeze,
    });
    world.ask(drain("lip6"));
    world.run_to(40.0);
    assert_eq!(held(&world, "paris"), [2, 3, 1]);
    world.ask(Command::Arm);
    world.run_to(41.0);
    assert_eq!(held(&world, "paris"), [NEVER, 2, 1]);
}

#[test]
fn without_forwarders_a_drain_is_told_by_the_first_that_comes() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    for site in ["telco", "marilyn", "lip6"] {
        world.cut(site);
    }
    world.ask(drain("lip6"));
    world.run_to(22.0);
    world.connect("marilyn");
    world.run_to(23.0);
    assert_eq!(held(&world, "paris"), [NEVER, 2, 1]);
}

#[test]
fn a_state_of_a_version_that_closed_nothing_is_told_anew() {
    let mut world = World::of(with(RuleKind::Drain {
        sites: sites(["lip6"]),
    }));
    world.run_to(20.0);
    assert_eq!(held(&world, "paris"), [NEVER, 2, 1]);
    let mut old = serde_json::to_value(&world.engine).unwrap();
    for pair in old["pairs"].as_array_mut().unwrap() {
        pair.as_object_mut().unwrap().remove("closed");
    }
    world.engine = serde_json::from_value::<Engine>(old).unwrap();
    world.held.clear();
    world.restart(Span::secs(1));
    world.run_to(25.0);
    assert_eq!(held(&world, "paris"), [NEVER, 2, 1]);
    let told = world.tellings("paris").len();
    world.restart(Span::secs(1));
    world.run_to(40.0);
    assert_eq!(world.tellings("paris").len(), told, "and not once more");
}

/// Capacity and damping are soft: a backup they speak against is better than none, and comes last.
#[test]
fn a_full_data_centre_is_the_last_backup_and_still_one() {
    let mut world = World::of(with(RuleKind::Capacity {
        sites: sites(["marilyn"]),
        users: 1,
    }));
    world.run_to(20.0);
    world.switch("paris", "lip6");
    world.run_to(21.0);
    assert_eq!(
        held(&world, "paris"),
        [1, 3, 2],
        "marilyn has the best RTT and no room"
    );
    let mut world = World::of(config());
    world.run_to(20.0);
    world.switch("paris", "lip6");
    world.run_to(21.0);
    assert_eq!(held(&world, "paris"), [1, 2, 3]);
}

#[test]
fn a_suppressed_data_centre_is_the_last_backup_and_still_one() {
    let mut world = World::of(config());
    world.wan = Box::new(|dc, user, at| match (dc, user) {
        // It dies every ten seconds.
        ("marilyn", "paris") if at < 60.0 && at % 10.0 > 5.0 => None,
        _ => Some(table_5_1(dc, user)),
    });
    world.run_to(90.0);
    world.switch("paris", "lip6");
    world.run_to(91.0);
    assert_eq!(held(&world, "paris"), [1, 3, 2]);
}

#[test]
fn the_view_of_everybody_else_closes_what_is_drained() {
    let mut world = World::of(crowd(2));
    world.run_to(20.0);
    for user in ["u000", "u001"] {
        world.switch(user, "marilyn");
        world.run_to(World::seconds(world.now) + 1.0);
    }
    let everyone = |world: &World| {
        let mut views = world.effects.iter().filter_map(|(_, effect)| match effect {
            Effect::Node {
                command:
                    NodeCommand::SetLocators {
                        audience, locators, ..
                    },
                ..
            } if *audience == Audience::Everyone => Some(locators),
            _ => None,
        });
        priorities(world.engine.config(), views.next_back().unwrap())
    };
    assert_eq!(everyone(&world), [3, 1, 2]);
    world.ask(drain("lip6"));
    assert_eq!(everyone(&world), [NEVER, 1, 2]);
    world.ask(undrain("lip6"));
    assert_eq!(everyone(&world), [3, 1, 2]);
}
